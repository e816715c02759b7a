"""The texts that a strip's columns may say, the most probable first.

Prefix beam search (Graves 2012, section 7.5; Hannun et al. 2014, arXiv 1408.2873) within a
grammar: a text's probability is the sum over all ways to say it column by column.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping

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
    signs = {sign: share for sign, share in zip(SIGNS, column, strict=False) if share > _LEAST}
    going_on: dict[Hashable, list[tuple[str, float, Hashable]]] = {}  # many are in one state
    after: _Beam = {}
    for (text, state), (bare, signed) in beam.items():
        both, last = _sum(bare, signed), text[-1:]
        new = both + nothing, signed + signs.get(last, _NEVER)
        old = after.get((text, state))
        after[text, state] = new if old is None else (_sum(old[0], new[0]), _sum(old[1], new[1]))
        if state not in going_on:
            going_on[state] = _going_on(state, signs, grammar)
        for sign, share, following in going_on[state]:
            before = bare if sign == last else both  # the same again must be parted by nothing
            if before == _NEVER:
                continue
            key = text + sign, following
            old = after.get(key)
            total = before + share
            after[key] = (_NEVER, total) if old is None else (old[0], _sum(old[1], total))
    return after


def _going_on(
    state: Hashable, signs: Mapping[str, float], grammar: Grammar
) -> list[tuple[str, float, Hashable]]:
    """The signs that may follow in a state, with their shares, and the state after each."""
    after = [(sign, share, grammar.step(state, sign)) for sign, share in signs.items()]
    return [one for one in after if one[2] is not None]


def _best(beam: _Beam) -> _Beam:
    if len(beam) <= _BEAM:
        return beam
    items, totals = list(beam.items()), [_sum(*ends) for ends in beam.values()]
    order = sorted(range(len(items)), key=totals.__getitem__, reverse=True)
    return dict(items[at] for at in order[:_BEAM])


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum."""
    high, low = (one, other) if one > other else (other, one)
    return high if low == _NEVER else high + math.log1p(math.exp(low - high))
