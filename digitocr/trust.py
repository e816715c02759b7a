"""What two readers say of the same values, each as far as it is to be trusted.

A product of experts (Hinton 2002): the logarithms of their shares add up, each with its
weight. Where one of them is sure of what the other holds for impossible, neither is believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from digitocr.types import Trust

__all__ = ["Evidence", "log_sum", "weighed"]

_NEVER = -20.0  # the logarithm of what a strip is taken to give a value that it was not read as


@dataclass(frozen=True, slots=True)
class Evidence:
    """What two readers say of a field.

    read, found: the logarithms of each value's shares by the strip and by the lattice; what is
    missing to 1 is for values that are not among them. cut: whether the lattice's best reading
    is cut through ink, and so perhaps where nothing ends.
    """

    read: Mapping[str, float]
    found: Mapping[str, float]
    cut: bool = False


def weighed(evidence: Evidence, trust: Trust) -> dict[str, float]:
    """The share of each value by both readers, 0 to 1; what is missing to 1 is for no value."""
    in_lattice = trust.cut if evidence.cut else trust.lattice

    def together(by_strip: float, by_lattice: float) -> float:
        strip, lattice = max(by_strip, _NEVER), max(by_lattice, trust.least)
        return trust.strip * strip + in_lattice * lattice

    read, found = evidence.read, evidence.found
    values = sorted({*read, *found})
    scores = [together(read.get(one, _NEVER), found.get(one, trust.least)) for one in values]
    whole = log_sum([*scores, together(_rest(read), _rest(found))])
    return {one: math.exp(score - whole) for one, score in zip(values, scores, strict=True)}


def log_sum(values: Iterable[float]) -> float:
    """The logarithm of the sum of what these are the logarithms of, -inf of nothing."""
    terms = list(values)
    high = max(terms, default=-math.inf)
    return (
        high if high == -math.inf else high + math.log(sum(math.exp(one - high) for one in terms))
    )


def _rest(shares: Mapping[str, float]) -> float:
    """The logarithm of what is left to other values."""
    return math.log(max(1 - sum(map(math.exp, shares.values())), 1e-12))
