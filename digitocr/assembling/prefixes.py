"""The texts that a strip's columns may say, the most probable first.

Prefix beam search (Graves 2012, section 7.5; Hannun et al. 2014, arXiv 1408.2873) within a
grammar: a text's probability is the sum over all ways to say it column by column.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator

import numpy as np
from numpy.typing import NDArray

from digitocr.strips import SIGNS
from digitocr.types import Grammar

__all__ = ["texts_of"]

_BEAM = 16  # beginnings that are followed at each column
_LEAST = -12.0  # the logarithm of a sign's share, below which it is not looked at
_QUIET = -1e-3  # of "nothing new": of columns so sure of it one in a row is enough
_NEVER = -math.inf

_Beam = dict[tuple[str, Hashable], tuple[float, float]]


def texts_of(
    shares: NDArray[np.float32], grammar: Grammar
) -> Iterator[tuple[str, Hashable, float]]:
    """Beginnings of texts within a grammar, whole ones among them.

    shares: float32 (signs + 1, T), the logarithms of shares in each column; the last row is
    "nothing new". Yields each text with its state and the logarithm of its probability.
    """
    beam: _Beam = {("", grammar.start): (0.0, _NEVER)}  # ended by nothing, or by their last sign
    quiet = shares[-1] >= _QUIET
    quiet[1:] &= quiet[:-1]  # the first of them parts two equal signs
    for column in shares[:, ~quiet].T.tolist():
        beam = _best(_followed(beam, column, grammar))
    for (text, state), ends in beam.items():
        yield text, state, _sum(*ends)


def _followed(beam: _Beam, column: list[float], grammar: Grammar) -> _Beam:
    """The beginnings after one more column."""
    nothing = column[-1]
    signs = [(sign, share) for sign, share in zip(SIGNS, column, strict=False) if share > _LEAST]
    after: _Beam = {}
    for (text, state), (bare, signed) in beam.items():
        both = _sum(bare, signed)
        _add(after, (text, state), both + nothing, _NEVER)
        for sign, share in signs:
            if text and sign == text[-1]:
                _add(after, (text, state), _NEVER, signed + share)
                before = bare  # the same sign again must be parted by nothing
            else:
                before = both
            following = grammar.step(state, sign) if before > _NEVER else None
            if following is not None:
                _add(after, (text + sign, following), _NEVER, before + share)
    return after


def _add(beam: _Beam, key: tuple[str, Hashable], bare: float, signed: float) -> None:
    old = beam.get(key)
    beam[key] = (bare, signed) if old is None else (_sum(old[0], bare), _sum(old[1], signed))


def _best(beam: _Beam) -> _Beam:
    if len(beam) <= _BEAM:
        return beam
    kept = sorted(beam.items(), key=lambda one: -_sum(*one[1]))[:_BEAM]
    return dict(kept)


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum."""
    high, low = (one, other) if one > other else (other, one)
    return high if low == _NEVER else high + math.log1p(math.exp(low - high))
