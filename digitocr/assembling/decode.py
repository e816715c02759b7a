"""What a field most probably holds, of all that its grammar allows.

Every way through the field's lattice is a reading; readings of one value add up. The search
keeps the best beginnings at each place (a beam over the Viterbi algorithm's states), and so
knows besides how much speaks for other values, within the grammar and without it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from digitocr.assembling.grammar import grammar_of, unchecked
from digitocr.assembling.lattice import Edges, Token
from digitocr.recipe import ValueOptions
from digitocr.types import CLASSES, NOT_A_DIGIT, Grammar

__all__ = ["Meaning", "decode"]

_BEAM = 24  # beginnings that are followed at each place
_LEAST = 1e-6  # the share of a digit that none is thought to have less of
_STRAY = 2.0  # the log score lost where what looks like a separator is taken for a speck
_OTHER_POINT = 0.7  # and where a point is taken for a comma, or a comma for a point
_BREAKS_RULE = 0.05  # how much less likely a value is that the field's grammar forbids
_NO_MEANING = 0.01  # a value that is less probable is not worth telling

_POINTS = {".": ",", ",": "."}

_Way = tuple["_Way | None", int, str]  # the way before, the edge, the sign it is read as


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a field most probably holds.

    tokens: the best reading. value: canonical. share: 0 to 1, how probable the value is.
    changed: the places in ``tokens`` of digits that only a check digit made so.
    """

    tokens: list[Token]
    value: str
    share: float
    changed: tuple[int, ...] = ()


class _Step(NamedTuple):
    """A beginning: the log sum over its readings, the best one's score, and its way."""

    total: float
    best: float
    way: _Way | None


_Beam = dict[tuple[str, Hashable], _Step]


@dataclass(frozen=True, slots=True)
class _Found:
    """All values that were found: for each the log sum over its readings, and the best one."""

    totals: dict[str, float]
    ways: dict[str, _Way]

    @property
    def whole(self) -> float:
        return float(np.logaddexp.reduce(list(self.totals.values()))) if self.totals else -math.inf

    @property
    def best(self) -> str:
        return max(self.totals, key=lambda value: self.totals[value])


def decode(edges: Edges, grammar: Grammar) -> Meaning | None:
    """The most probable value of a field, None where it hardly holds one.

    A value that its grammar forbids may stand there all the same, though it is not what is
    looked for: what speaks for such values lowers the share. A value that is the best only
    because of its check digits has the share that it has without them, since they cannot
    prove what they were used for.
    """
    found = _search(edges, grammar)
    if not found.totals:
        return None
    value = found.best
    tokens = _tokens(edges, found.ways[value])
    changed: tuple[int, ...] = ()
    bare = unchecked(grammar)
    if bare is not grammar:
        loose = _search(edges, bare)
        if loose.best != value:
            changed = _differing(tokens, _tokens(edges, loose.ways[loose.best]))
            found = loose
    share = _share(edges, found, value)
    return Meaning(tokens, value, share, changed) if share >= _NO_MEANING else None


def _share(edges: Edges, found: _Found, value: str) -> float:
    """How probable a value is among those that were found and those of no grammar."""
    anything = _search(edges, grammar_of(ValueOptions())).whole
    # The readings within the grammar are among those of no grammar.
    beyond = anything + math.log1p(-min(math.exp(min(found.whole - anything, 0.0)), 1 - 1e-12))
    whole = np.logaddexp(found.whole, beyond + math.log(_BREAKS_RULE))
    return math.exp(found.totals.get(value, -math.inf) - float(whole))


def _search(edges: Edges, grammar: Grammar) -> _Found:
    """All values that the beam reaches the end with."""
    places = int(edges.span[:, 1].max()) + 1
    signs = _signs(edges)
    leaving: list[list[int]] = [[] for _ in range(places)]
    for at, start in enumerate(edges.span[:, 0].tolist()):
        leaving[start].append(at)
    beams: list[_Beam] = [{} for _ in range(places)]
    beams[0]["", grammar.start] = _Step(0.0, 0.0, None)
    for place, edges_here in enumerate(leaving[:-1]):
        beam = _best(beams[place])
        for at in edges_here:
            _follow(beam, beams[int(edges.span[at, 1])], at, signs[at], grammar)
    return _values(beams[-1], grammar)


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
    for (text, state), step in before.items():
        for sign, score in signs:
            following = grammar.step(state, sign) if sign else state
            if following is None:
                continue
            key = text + sign, following
            total, best, way = step.total + score, step.best + score, (step.way, at, sign)
            old = after.get(key)
            if old is not None:
                total = _sum(old.total, total)
                if old.best >= best:
                    best, way = old.best, old.way or way
            after[key] = _Step(total, best, way)


def _best(beam: _Beam) -> _Beam:
    if len(beam) <= _BEAM:
        return beam
    return dict(sorted(beam.items(), key=lambda one: -one[1].total)[:_BEAM])


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum."""
    high, low = (one, other) if one > other else (other, one)
    return high + math.log1p(math.exp(low - high))


def _values(beam: _Beam, grammar: Grammar) -> _Found:
    """The values of the texts at the end."""
    totals: dict[str, float] = {}
    best: dict[str, _Step] = {}
    for (text, state), step in beam.items():
        value = grammar.value(text, state)
        if value is None or step.way is None:
            continue
        totals[value] = _sum(totals[value], step.total) if value in totals else step.total
        if value not in best or step.best > best[value].best:
            best[value] = step
    return _Found(totals, {value: step.way for value, step in best.items() if step.way})


def _tokens(edges: Edges, way: _Way | None) -> list[Token]:
    """The tokens of a way, from left to right."""
    tokens: list[Token] = []
    while way is not None:
        way, at, sign = way
        left, top, right, bottom = (int(edge) for edge in edges.boxes[at])
        tokens.append(Token.of(sign, (left, top, right, bottom), edges.probabilities[at]))
    return tokens[::-1]


def _differing(tokens: Sequence[Token], likely: Sequence[Token]) -> tuple[int, ...]:
    """The places of the digits that are read as another, or otherwise cut, than is likely."""
    known = {(token.box, token.text) for token in likely}
    return tuple(
        at
        for at, token in enumerate(tokens)
        if token.kind == "digit" and (token.box, token.text) not in known
    )
