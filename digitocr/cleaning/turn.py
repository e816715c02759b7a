"""Which way is up: 0, 90, 180 or 270 degrees, from the page's printed words.

Letters stand closer to their neighbours in a line than to the next line, which tells the
direction of the lines; and more ink of Latin (and Devanagari) letters stands above the
body of a word than hangs below it, which tells the top (after Caprari 2000, "Algorithm for
text page up/down orientation determination"). To turn a right page is far worse than to
leave a turned one: a page is turned about only where two measures are sure of it. A page
on its side cannot be read anyway, so that for it the likelier of two ways is enough.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.morphology import closed, over, reduced
from digitocr.components import find_components, packed

__all__ = ["measure_turn"]

Mask = NDArray[np.uint8]

_SMEAR = 0.7  # of a character's height: the gap between letters that is closed
_LONG = 2.5  # a word is this much longer than high, at least
_TALLEST = 2.5  # a word's height at most, in characters
_LOWEST = 0.6  # and at least
_SMALLEST = 4.0  # pixels; smaller characters tell nothing
_ENOUGH = 5.0  # pixels a character that show where words are
_SHORTEST_TEXT = 40.0  # times its height, all words together
_CLEARLY = 3.0  # times more text along one direction than the other
_BODY = 0.5  # share of a word's densest rows that the rows of its body hold
_LOPSIDED = 0.04  # share of a word's ink by which one side must outweigh the other
_SURE = 4.0  # standard deviations
_LIKELY = 1.0


def measure_turn(mask: Mask, size: float) -> int:
    """Degrees clockwise by which the page must be turned to stand upright, 0 if in doubt.

    mask: uint8 (h, w), 255 is ink; deskewed, small: some 10 pixels a character are enough.
    size: of the page's characters, in pixels.
    """
    if size < _SMALLEST:
        return 0
    level = _words(mask, size)
    aside = np.asarray(cv2.rotate(mask, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8)
    upright = _words(aside, size)
    along, across = _length(level), _length(upright)
    if across >= max(_SHORTEST_TEXT, _CLEARLY * along):
        _, skewness = _agreement(aside, upright)
        return 0 if abs(skewness) < _LIKELY else 90 if skewness > 0 else 270
    if along >= max(_SHORTEST_TEXT, _CLEARLY * across):
        return 180 if max(_agreement(mask, level)) <= -_SURE else 0
    return 0


def _words(mask: Mask, size: float) -> NDArray[np.int32]:
    """(N, 4) left, top, width, height of what looks like a word along the rows."""
    if size >= 2 * _ENOUGH:  # half the scale is enough to see where words are
        return 2 * _words(over(reduced(mask, 2), 0.0), size / 2)
    smear = 2 * round(_SMEAR * size / 2) + 1
    parts = find_components(packed(closed(mask, smear, 1)))
    width, height, area = parts.widths, parts.heights, parts.areas
    word = (width >= _LONG * height) & (height <= _TALLEST * size) & (height >= _LOWEST * size)
    word &= area >= 0.3 * width * height
    return np.column_stack([parts.boxes[:, :2], width, height])[word]


def _length(words: NDArray[np.int32]) -> float:
    """The length of all words together, in times their heights."""
    return float(np.sum(words[:, 2] / words[:, 3]))


def _agreement(mask: Mask, words: NDArray[np.int32]) -> tuple[float, float]:
    """How the words vote on their top, by two measures, in standard deviations.

    Positive where they stand upright.
    """
    profiles = [
        np.count_nonzero(mask[y : y + h, x : x + w], axis=1) for x, y, w, h in words.tolist()
    ]
    lopsided = [_lopsided(rows) for rows in profiles]
    skewed = [_skewed(rows) for rows in profiles]
    return _vote(lopsided), _vote(skewed)


def _vote(ballots: list[int]) -> float:
    """The sum of votes of 1 and -1 in standard deviations of what chance would give."""
    return float(sum(ballots) / np.sqrt(max(1, sum(map(abs, ballots)))))


def _lopsided(rows: NDArray[np.intp]) -> int:
    """1 where more of a word's ink is above its body than below, -1 the other way."""
    body = np.flatnonzero(rows >= _BODY * np.sort(rows)[-max(1, len(rows) // 4)])
    above, below = int(rows[: body[0]].sum()), int(rows[body[-1] + 1 :].sum())
    if abs(above - below) < _LOPSIDED * int(rows.sum()):
        return 0
    return 1 if above > below else -1


def _skewed(rows: NDArray[np.intp]) -> int:
    """1 where a word's ink has its longer tail above, -1 where below."""
    total = float(rows.sum())
    away = np.arange(len(rows)) - float(rows @ np.arange(len(rows))) / total
    spread = (float(rows @ away**2) / total) ** 0.5
    skewness = -float(rows @ away**3) / total / max(spread, 0.1) ** 3
    return 0 if abs(skewness) < _LOPSIDED else 1 if skewness > 0 else -1
