"""All that a field's lattice may hold within a grammar.

Every way through the lattice is a reading; readings of one value add up. The search keeps
the best beginnings at each place (a beam over the Viterbi algorithm's states), and so knows
besides how much speaks for other values.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from digitocr.assembling.lattice import Edges, Token
from digitocr.types import CLASSES, NOT_A_DIGIT, Grammar

__all__ = ["Found", "search"]

_BEAM = 24  # beginnings that are followed at each place
_LEAST = 1e-6  # the share of a digit that none is thought to have less of
_STRAY = 2.0  # the log score lost where what looks like a separator is taken for a speck
_OTHER_POINT = 0.7  # and where a point is taken for a comma, or a comma for a point

_POINTS = {".": ",", ",": "."}

_Way = tuple["_Way | None", int, str]  # the way before, the edge, the sign it is read as
# A beginning: the log sum over its readings, the best one's score, and its way.
_Step = tuple[float, float, _Way | None]
_Beam = dict[tuple[str, Hashable], _Step]


@dataclass(frozen=True, slots=True)
class Found:
    """All values that were found: for each the log sum over its readings, and the best one."""

    edges: Edges
    totals: dict[str, float]
    ways: dict[str, _Way]

    @property
    def whole(self) -> float:
        """The log sum over all values, -inf where there are none."""
        return float(np.logaddexp.reduce(list(self.totals.values()))) if self.totals else -math.inf

    @property
    def cuts_ink(self) -> bool:
        """Whether the best reading of all is cut through ink."""
        way = self.ways[max(self.totals, key=lambda one: self.totals[one])] if self.totals else None
        while way is not None:
            way, at, _sign = way
            if self.edges.cuts[at]:
                return True
        return False

    def tokens(self, value: str) -> list[Token]:
        """The best reading of a value that was found, from left to right."""
        tokens: list[Token] = []
        way: _Way | None = self.ways[value]
        while way is not None:
            way, at, sign = way
            left, top, right, bottom = (int(edge) for edge in self.edges.boxes[at])
            box = left, top, right, bottom
            tokens.append(Token.of(sign, box, self.edges.probabilities[at]))
        return tokens[::-1]


def search(edges: Edges, grammar: Grammar) -> Found:
    """All values that the beam reaches the end with."""
    places = int(edges.span[:, 1].max()) + 1
    signs = _signs(edges)
    leaving: list[list[int]] = [[] for _ in range(places)]
    for at, start in enumerate(edges.span[:, 0].tolist()):
        leaving[start].append(at)
    beams: list[_Beam] = [{} for _ in range(places)]
    beams[0]["", grammar.start] = 0.0, 0.0, None
    for place, edges_here in enumerate(leaving[:-1]):
        beam = _best(beams[place])
        for at in edges_here:
            _follow(beam, beams[int(edges.span[at, 1])], at, signs[at], grammar)
    return _values(edges, beams[-1], grammar)


def _signs(edges: Edges) -> list[list[tuple[str, float]]]:
    """For each edge the signs that it may be read as, "" for none, with their log scores."""
    shares = np.maximum(edges.probabilities[:, :NOT_A_DIGIT], _LEAST)
    atoms = (edges.span[:, 1] - edges.span[:, 0])[:, None]
    against = np.log(shares / shares.max(axis=1, keepdims=True))
    digits = (edges.scores[:, :1] + atoms * against).tolist()
    found = []
    for at, mark in enumerate(edges.mark.tolist()):
        signs = list(zip(CLASSES, digits[at], strict=True))
        other = float(edges.scores[at, 1])
        if mark:
            signs.append((chr(mark), other))
            if chr(mark) in _POINTS:
                signs.append((_POINTS[chr(mark)], other - _OTHER_POINT))
            other -= _STRAY
        found.append([*signs, ("", other)])
    return found


def _follow(
    before: _Beam, after: _Beam, at: int, signs: Sequence[tuple[str, float]], grammar: Grammar
) -> None:
    """Take an edge from each of the beginnings, read as each of its signs."""
    going_on: dict[Hashable, list[tuple[str, float, Hashable]]] = {}  # many are in one state
    for (text, state), (total, best, way) in before.items():
        if state not in going_on:
            going_on[state] = _going_on(state, signs, grammar)
        for sign, score, following in going_on[state]:
            key = text + sign, following
            new = total + score, best + score, (way, at, sign)
            old = after.get(key)
            after[key] = new if old is None else _both(old, new)


def _going_on(
    state: Hashable, signs: Sequence[tuple[str, float]], grammar: Grammar
) -> list[tuple[str, float, Hashable]]:
    """The signs that may follow in a state, with their scores, and the state after each."""
    after = [(*one, grammar.step(state, one[0]) if one[0] else state) for one in signs]
    return [one for one in after if one[2] is not None]


def _both(old: _Step, new: _Step) -> _Step:
    """One beginning of two that are the same text in the same state."""
    total = _sum(old[0], new[0])
    if old[1] >= new[1]:
        return total, old[1], old[2] or new[2]
    return total, new[1], new[2]


def _best(beam: _Beam) -> _Beam:
    if len(beam) <= _BEAM:
        return beam
    items, totals = list(beam.items()), [total for total, _, _ in beam.values()]
    order = sorted(range(len(items)), key=totals.__getitem__, reverse=True)
    return dict(items[at] for at in order[:_BEAM])


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum."""
    high, low = (one, other) if one > other else (other, one)
    return high + math.log1p(math.exp(low - high))


def _values(edges: Edges, beam: _Beam, grammar: Grammar) -> Found:
    """The values of the texts at the end."""
    totals: dict[str, float] = {}
    best: dict[str, tuple[float, _Way]] = {}
    for (text, state), (total, score, way) in beam.items():
        value = grammar.value(text, state)
        if value is None or way is None:
            continue
        totals[value] = _sum(totals[value], total) if value in totals else total
        if value not in best or score > best[value][0]:
            best[value] = score, way
    return Found(edges, totals, {value: way for value, (_, way) in best.items()})
