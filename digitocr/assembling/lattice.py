"""The best way to read a field: a path through its lattice of candidates.

Every atom of a field is read exactly once, by a candidate that is a digit, a separator or
something else; the path with the highest score wins (Viterbi).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from digitocr.types import CLASSES, NOT_A_DIGIT, Box, Glyphs

__all__ = [
    "Edges",
    "Token",
    "are_tall",
    "best_path",
    "edges_of",
    "figure_heights",
    "number_between",
    "read_as",
    "row_of",
    "where_given",
]

_LEAST_DIGIT = 0.5  # of the figures' height: what is lower is hardly a digit
_NO_DIGIT = 0.3  # of the figures' height: what is lower is surely none
_CUT = 1.5  # the log score lost for each cut through ink
_CHANGE = 2.5  # the log score lost between a digit and other writing within a word
_GIVEN = 3.0  # the log score lost by other writing where a number is known to stand
_NO_SEPARATOR = 0.01  # how likely what was read as a separator is a digit
_WORD_GAP = 0.3  # of the figures' height: the space between words


@dataclass(frozen=True, slots=True)
class Token:
    """One glyph as read.

    text: the digit or the separator, "" for other. box: in pixels of the ink picture.
    probabilities: float32 (11,), of the classes.
    """

    kind: Literal["digit", "mark", "other"]
    text: str
    box: tuple[int, int, int, int]
    probabilities: NDArray[np.float32]

    @property
    def confidence(self) -> float:
        """That this token is what it is read as."""
        if self.kind == "digit":
            return float(self.probabilities[CLASSES.index(self.text)])
        return float(self.probabilities[NOT_A_DIGIT])

    @classmethod
    def of(cls, sign: str, box: Box, probabilities: NDArray[np.float32]) -> Token:
        """A glyph read as a digit, as a separator, or as neither (the empty sign)."""
        kind: Literal["digit", "mark", "other"] = "mark" if sign else "other"
        return cls("digit" if sign in CLASSES and sign else kind, sign, box, probabilities)


@dataclass(frozen=True, slots=True)
class Edges:
    """The candidates of one field, the edges of its lattice.

    boxes: int32 (N, 4). span: int32 (N, 2), of the field's atoms, which begin with 0.
    cuts: uint8 (N,), how many of each one's sides are cut through ink.
    mark: uint8 (N,), the separator each may be, 0 where none. probabilities: float32
    (N, 11). scores: float64 (N, 3), the log score as the best digit, as other writing, and
    as the separator, -inf where it can be none.
    """

    boxes: NDArray[np.int32]
    span: NDArray[np.int32]
    cuts: NDArray[np.uint8]
    mark: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    scores: NDArray[np.float64]


def read_as(
    boxes: NDArray[np.int32],
    probabilities: NDArray[np.float32],
    digit: Sequence[bool],
    mark: Sequence[int],
) -> list[Token]:
    """Candidates, each read as its best digit, or as the separator it may be, or as neither.

    boxes: int32 (n, 4). probabilities: float32 (n, 11). mark: ASCII, 0 for none.
    """
    best = probabilities[:, :NOT_A_DIGIT].argmax(axis=1).tolist()
    signs = [
        CLASSES[one] if is_digit else chr(sign) if sign else ""
        for one, is_digit, sign in zip(best, digit, mark, strict=True)
    ]
    places = ((left, top, right, bottom) for left, top, right, bottom in boxes.tolist())
    return [Token.of(*one) for one in zip(signs, places, probabilities, strict=True)]


def figure_heights(glyphs: Glyphs, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64 (fields,): the height of each field's digits, 0 where it holds nothing.

    It is that of the likely ones, else of all that is no dot or dash. probabilities: float32
    (N, 11), of the page's candidates.
    """
    heights, line = glyphs.boxes[:, 3] - glyphs.boxes[:, 1], glyphs.field
    tall = are_tall(heights, line)
    likely = tall & (probabilities[:, :NOT_A_DIGIT].max(axis=1) > 0.5)
    known = np.bincount(line[likely], minlength=len(glyphs.fields)) > 0
    some = np.where(known[line], likely, tall)
    counts = np.bincount(line[some], minlength=len(glyphs.fields))
    order = np.lexsort((heights[some], line[some]))
    rising = np.append(heights[some][order], 0)  # and one for fields that hold nothing
    first = np.cumsum(counts) - counts
    median = (rising[first + (counts - 1) // 2] + rising[first + counts // 2]) / 2
    return np.where(counts > 0, median, 0.0)


def are_tall(heights: NDArray[np.int32], line: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool (N,): which are the heights of no dots or dashes.

    heights: int32 (N,), of a page's candidates. line: int32 (N,), of each, in order.
    """
    starts = np.flatnonzero(np.diff(line, prepend=-1))
    counts = np.diff(starts, append=len(line))
    usual = heights[np.lexsort((heights, line))][starts + (0.6 * counts).astype(np.intp)]
    return np.asarray(2 * heights >= np.repeat(usual, counts))


def edges_of(
    glyphs: Glyphs, probabilities: NDArray[np.float32], heights: NDArray[np.float64]
) -> list[Edges | None]:
    """Each field's candidates with their scores, None where it holds nothing.

    probabilities: float32 (N, 11). heights: float64 (fields,), of the figures, in pixels of the
    ink picture.
    """
    scores = _scores(glyphs, probabilities, heights[glyphs.field])
    bounds = np.searchsorted(glyphs.field, np.arange(len(glyphs.fields) + 1)).tolist()

    def edges(own: slice) -> Edges:
        span = glyphs.span[own] - glyphs.span[own].min()
        boxes, cuts, mark = glyphs.boxes[own], glyphs.cuts[own], glyphs.mark[own]
        return Edges(boxes, span, cuts, mark, probabilities[own], scores[own])

    return [
        None if start == stop else edges(slice(start, stop)) for start, stop in pairwise(bounds)
    ]


def where_given(edges: Edges, height: float) -> Edges:
    """The same where a number is known to stand, so that tall ink is hardly anything else.

    height: of the figures.
    """
    scores = edges.scores.copy()
    tall = edges.boxes[:, 3] - edges.boxes[:, 1] >= _LEAST_DIGIT * height
    scores[tall, 1] -= _GIVEN * (edges.span[tall, 1] - edges.span[tall, 0])
    return replace(edges, scores=scores)


def row_of(tokens: Sequence[Token]) -> Edges:
    """A reading, at least one token, as a lattice of its own: each stays one sign."""
    places = np.arange(len(tokens), dtype=np.int32)
    probabilities = np.stack([one.probabilities for one in tokens])
    shares = np.stack(
        [probabilities[:, :NOT_A_DIGIT].max(axis=1), *[probabilities[:, NOT_A_DIGIT]] * 2], axis=1
    )
    mark = np.array([ord(one.text) if one.kind == "mark" else 0 for one in tokens], np.uint8)
    scores = np.log(np.maximum(shares.astype(np.float64), 1e-6))
    scores[mark == 0, 2] = -np.inf
    scores[mark > 0, 0] += math.log(_NO_SEPARATOR)
    return Edges(
        np.array([one.box for one in tokens], np.int32),
        np.stack([places, places + 1], axis=1),
        np.zeros(len(tokens), np.uint8),
        mark,
        probabilities,
        scores,
    )


def best_path(edges: Edges, height: float) -> tuple[list[Token], list[int]]:
    """The most probable reading of one field, and where it parts the field's atoms: token k is
    of those from the k-th place to the next. height: of its figures.
    """
    spans = edges.span.tolist()  # lists are quicker
    apart = _word_gaps(edges.boxes.tolist(), spans, height)
    path = _path(spans, edges.scores.tolist(), apart)
    which = [at for at, _ in path]
    digit, mark = [digit for _, digit in path], edges.mark[which].tolist()
    tokens = read_as(edges.boxes[which], edges.probabilities[which], digit, mark)
    return tokens, [0, *edges.span[which, 1].tolist()]


def number_between(edges: Edges, start: int, stop: int, height: float) -> Edges:
    """The part of a field from one atom to another, where a number is taken to stand.

    What may be a slash may be one there, too. height: of the figures.
    """
    inside = (edges.span[:, 0] >= start) & (edges.span[:, 1] <= stop)
    boxes, span, mark = edges.boxes[inside], edges.span[inside] - start, edges.mark[inside]
    scores = edges.scores[inside]  # a copy
    tall = (boxes[:, 3] - boxes[:, 1] >= _LEAST_DIGIT * height) & (mark == 0)
    scores[tall, 1] -= _GIVEN * (span[tall, 1] - span[tall, 0])
    return Edges(boxes, span, edges.cuts[inside], mark, edges.probabilities[inside], scores)


def _scores(
    glyphs: Glyphs, probabilities: NDArray[np.float32], height: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 (N, 3): the log score of each candidate as a digit, as other writing, as a mark.

    height: float64 (N,), of the figures in each one's field.

    A candidate of k atoms weighs k times, so that paths of few and of many are compared
    fairly. A cut through ink must be worth it. What is much lower than the figures, leans
    and reaches like a slash or hangs like a comma, is no digit whatever its shape.
    """
    mark = glyphs.mark
    heights = glyphs.boxes[:, 3] - glyphs.boxes[:, 1]
    size = (heights / height - _NO_DIGIT) / (_LEAST_DIGIT - _NO_DIGIT)
    size = np.minimum(np.maximum(size, 0.01), 1.0)
    size[(mark == ord("/")) | (mark == ord(","))] = 0.01
    digit = np.log(np.maximum(probabilities[:, :NOT_A_DIGIT].max(axis=1) * size, 1e-6))
    other = np.log(np.maximum(np.maximum(probabilities[:, NOT_A_DIGIT], 1 - size), 1e-6))
    separator = np.where(mark > 0, other, -np.inf)
    atoms = (glyphs.span[:, 1] - glyphs.span[:, 0])[:, None]
    scores = np.stack([digit, other, separator], axis=1)
    return np.asarray(scores * atoms - _CUT / 2 * glyphs.cuts[:, None])


def _word_gaps(boxes: list[list[int]], spans: list[list[int]], height: float) -> list[bool]:
    """Before which atoms there is the gap between two words, and behind the last."""
    sides = {
        start: (left, right)
        for (left, _, right, _), (start, stop) in zip(boxes, spans, strict=True)
        if stop - start == 1
    }
    apart, reached = [], -math.inf
    for place in range(len(sides)):
        left, right = sides[place]
        apart.append(left - reached > _WORD_GAP * height)
        reached = max(reached, right)
    return [*apart, True]


def _path(
    spans: list[list[int]], scores: list[list[float]], apart: list[bool]
) -> list[tuple[int, bool]]:
    """The candidates of the best path, and whether each is read as a digit.

    The path is at each place among digits or among other writing. To go from one to the other
    within a word costs: a doubtful glyph between digits is one, between letters is none. A
    separator leaves it where it is.
    """
    # To each place the best path among digits, and among other writing: its score, and the last
    # candidate, among what it starts, and whether it is a digit.
    best = [[(-math.inf, 0, 0, False)] * 2 for _ in apart]
    best[0] = [(0.0, 0, 0, False)] * 2
    for at in sorted(range(len(spans)), key=spans.__getitem__):
        start, stop = spans[at]
        digit, other, mark = scores[at]
        (digits, *_), (others, *_) = best[start]
        change = 0.0 if apart[start] else _CHANGE
        for state, way in (
            (0, (digits + digit, at, 0, True)),
            (0, (others + digit - change, at, 1, True)),
            (0, (digits + mark, at, 0, False)),
            (1, (digits + other - change, at, 0, False)),
            (1, (others + other, at, 1, False)),
            (1, (others + mark, at, 1, False)),
        ):
            if way[0] > best[stop][state][0]:
                best[stop][state] = way
    path: list[tuple[int, bool]] = []
    place, state = len(apart) - 1, int(best[-1][1][0] > best[-1][0][0])
    while place > 0:
        _, at, state, digit = best[place][state]
        path.append((at, digit))
        place = spans[at][0]
    return path[::-1]
