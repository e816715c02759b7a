"""How often numbers are right that are read digit by digit, by how sure they were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitocr.risk import RiskTable
from digitocr.training.data import Samples
from digitocr.types import NOT_A_DIGIT

__all__ = ["risk_of_numbers"]

_NUMBERS = 5000  # that are counted
_DIGITS = 1, 7  # of a number


def risk_of_numbers(
    shares: Sequence[NDArray[np.floating]], parts: Sequence[Samples], seed: int
) -> RiskTable:
    """The table of numbers whose digits stand apart, each of one writer.

    shares: float (N, outputs) for each part, of each of its digits. parts: that were not
    trained on; each counts alike. A number is as sure as all its digits together.
    """
    random = np.random.default_rng([seed, 15])
    confidences: list[float] = []
    right: list[bool] = []
    for share, part in zip(shares, parts, strict=True):
        known = part.labels < NOT_A_DIGIT
        surest = share[known].max(axis=1)
        said = share[known].argmax(axis=1) == part.labels[known]
        for places in _numbers(part.writers[known], _NUMBERS // len(parts), random):
            confidences.append(float(np.prod(surest[places])))
            right.append(bool(said[places].all()))
    return RiskTable.of(confidences, right)


def _numbers(
    writers: NDArray[np.str_], count: int, random: np.random.Generator
) -> list[NDArray[np.intp]]:
    """The places of the digits of some numbers, each in one hand."""
    _names, writer = np.unique(writers, return_inverse=True)
    own = [np.flatnonzero(writer == one) for one in range(int(writer.max()) + 1)]
    low, high = _DIGITS
    return [
        random.choice(own[int(random.integers(len(own)))], int(random.integers(low, high + 1)))
        for _ in range(count)
    ]
