"""What two readers say of the same values, each as far as it is to be trusted.

A product of experts (Hinton 2002): the logarithms of their shares add up, each with its
weight. Where one of them is sure of what the other holds for impossible, neither is believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from digitocr.types import Trust

__all__ = ["log_sum", "weighed"]

_NEVER = -20.0  # the logarithm of what a strip is taken to give a value that it was not read as


def weighed(read: Mapping[str, float], cut: Mapping[str, float], trust: Trust) -> dict[str, float]:
    """The share of each value by both readers, 0 to 1; what is missing to 1 is for no value.

    read, cut: the logarithms of each value's shares by the strip and by the lattice; what is
    missing to 1 is for values that are not among them.
    """

    def together(by_strip: float, by_lattice: float) -> float:
        strip, lattice = max(by_strip, _NEVER), max(by_lattice, trust.least)
        return trust.strip * strip + trust.lattice * lattice

    values = sorted({*read, *cut})
    scores = [together(read.get(one, _NEVER), cut.get(one, trust.least)) for one in values]
    whole = log_sum([*scores, together(_rest(read), _rest(cut))])
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
