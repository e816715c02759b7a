"""The best way to read a field: a path through its lattice of candidates.

Every atom of a field is read exactly once, by a candidate that is a digit, a separator or
something else; the path with the highest score wins (Viterbi).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from digitocr.types import CLASSES, NOT_A_DIGIT, Glyphs

__all__ = ["Token", "best_path", "figure_height", "token"]

_LEAST_DIGIT = 0.5  # of the figures' height: what is lower is hardly a digit
_NO_DIGIT = 0.3  # of the figures' height: what is lower is surely none
_GIVE_UP = 0.5  # the log score lost for each atom that is read as no digit
_CUT = 0.7  # the log score lost for each cut through ink


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


def token(
    box: NDArray[np.int32], probabilities: NDArray[np.float32], digit: bool, mark: int = 0
) -> Token:
    """A candidate read as its best digit, or as the separator it may be, or as neither.

    box: int32 (4,). probabilities: float32 (11,). mark: ASCII, 0 for none.
    """
    left, top, right, bottom = (int(edge) for edge in box)
    if digit:
        text = CLASSES[int(probabilities[:NOT_A_DIGIT].argmax())]
        return Token("digit", text, (left, top, right, bottom), probabilities)
    text = chr(mark) if mark else ""
    return Token("mark" if mark else "other", text, (left, top, right, bottom), probabilities)


def figure_height(boxes: NDArray[np.int32], probabilities: NDArray[np.float32]) -> float:
    """The height of a line's digits: of its likely ones, else of all that is no dot or dash.

    boxes: int32 (N, 4), N at least 1. probabilities: float32 (N, 11).
    """
    heights = boxes[:, 3] - boxes[:, 1]
    tall = 2 * heights >= np.sort(heights)[int(0.6 * len(heights))]
    likely = tall & (probabilities[:, :NOT_A_DIGIT].max(axis=1) > 0.5)
    return float(np.median(heights[likely if likely.any() else tall]))


def best_path(
    glyphs: Glyphs, probabilities: NDArray[np.float32], own: slice, height: float
) -> list[Token]:
    """The most probable reading of one field.

    own: the field's candidates in ``glyphs``, at least one. probabilities: float32 (n, 11),
    of those. height: of the field's figures, in pixels of the ink picture.
    """
    span, boxes, mark = glyphs.span[own], glyphs.boxes[own], glyphs.mark[own]
    digit, other = _digit_or_other(boxes, mark, probabilities, height)
    score = _score(span, glyphs.cuts[own], digit, other)
    return [
        token(boxes[at], probabilities[at], bool(digit[at] > other[at]), int(mark[at]))
        for at in _path(span, score)
    ]


def _path(span: NDArray[np.int32], score: NDArray[np.float64]) -> list[int]:
    """The candidates of the path with the highest sum of scores."""
    first, last = int(span[:, 0].min()), int(span[:, 1].max())
    best = np.full(last - first + 1, -np.inf)
    best[0] = 0.0
    chosen = np.zeros(last - first + 1, np.int64)
    for index in np.argsort(span[:, 1], kind="stable"):
        start, stop = span[index] - first
        if best[start] + score[index] > best[stop]:
            best[stop] = best[start] + score[index]
            chosen[stop] = index
    path: list[int] = []
    stop = last - first
    while stop > 0:
        path.append(int(chosen[stop]))
        stop = int(span[path[-1], 0]) - first
    return path[::-1]


def _digit_or_other(
    boxes: NDArray[np.int32],
    mark: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    height: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (N,) each: that a candidate is some digit, and that it is none.

    What is much lower than the figures, or leans and reaches like a slash, is no digit
    whatever its shape.
    """
    heights = boxes[:, 3] - boxes[:, 1]
    size = np.clip((heights / height - _NO_DIGIT) / (_LEAST_DIGIT - _NO_DIGIT), 0.01, 1.0)
    size[mark == ord("/")] = 0.01
    digit = probabilities[:, :NOT_A_DIGIT].max(axis=1) * size
    other = np.maximum(probabilities[:, NOT_A_DIGIT], 1 - size)
    return digit, other


def _score(
    span: NDArray[np.int32],
    cuts: NDArray[np.uint8],
    digit: NDArray[np.float64],
    other: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64 (N,): the log score of each candidate on a path.

    A candidate of k atoms weighs k times, so that paths of few and of many are compared
    fairly. A cut through ink must be worth it, and so must giving up on a glyph.
    """
    atoms = span[:, 1] - span[:, 0]
    read = np.log(np.maximum(digit, 1e-6))
    given_up = np.log(np.maximum(other, 1e-6)) - _GIVE_UP
    return np.asarray(np.maximum(read, given_up) * atoms - _CUT / 2 * cuts)
