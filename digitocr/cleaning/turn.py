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

from digitocr.cleaning.morphology import over, reduced
from digitocr.components import boxes_and_areas, closed_runs, runs_of

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
    level, upright = _words(mask, size), _words_aside(mask, size)
    along, across = _length(level), _length(upright)
    if across >= max(_SHORTEST_TEXT, _CLEARLY * along):
        _, skewness = _agreement(_aside(mask), upright)
        return 0 if abs(skewness) < _LIKELY else 90 if skewness > 0 else 270
    if along >= max(_SHORTEST_TEXT, _CLEARLY * across):
        return 180 if max(_agreement(mask, level)) <= -_SURE else 0
    return 0


def _aside(mask: Mask) -> Mask:
    """The mask turned by a quarter clockwise."""
    return np.asarray(cv2.rotate(mask, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8)


def _words(mask: Mask, size: float) -> NDArray[np.int32]:
    """(N, 4) left, top, width, height of what looks like a word along the rows."""
    if size >= 2 * _ENOUGH:  # half the scale is enough to see where words are
        return 2 * _words(over(reduced(mask, 2), 0.0), size / 2)
    runs = closed_runs(runs_of(mask), round(_SMEAR * size / 2), mask.shape[1])
    boxes, area = boxes_and_areas(runs)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    word = (width >= _LONG * height) & (height <= _TALLEST * size) & (height >= _LOWEST * size)
    word &= area >= 0.3 * width * height
    return np.column_stack([boxes[:, :2], width, height])[word]


def _words_aside(mask: Mask, size: float) -> NDArray[np.int32]:
    """The words along the rows of the mask turned by a quarter clockwise."""
    if size >= 2 * _ENOUGH:  # what is small is turned faster; the lowest rows come first there
        return 2 * _words_aside(over(reduced(mask[len(mask) % 2 :], 2), 0.0), size / 2)
    return _words(_aside(mask), size)


def _length(words: NDArray[np.int32]) -> float:
    """The length of all words together, in times their heights."""
    return float(np.sum(words[:, 2] / words[:, 3]))


def _agreement(mask: Mask, words: NDArray[np.int32]) -> tuple[float, float]:
    """How the words vote on their top, by two measures, in standard deviations.

    Positive where they stand upright.
    """
    profiles, heights = _profiles(mask, words), words[:, 3]
    return _vote(_lopsided(profiles, heights)), _vote(_skewed(profiles))


def _profiles(mask: Mask, words: NDArray[np.int32]) -> NDArray[np.int64]:
    """int64 (N, H): the ink of each row of each word; 0 below the lower ones."""
    profiles = np.zeros((len(words), int(words[:, 3].max(initial=1))), np.int64)
    for profile, (x, y, width, height) in zip(profiles, words.tolist(), strict=True):
        ink = cv2.reduce(mask[y : y + height, x : x + width], 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
        profile[:height] = ink[:, 0]
    return profiles // 255


def _vote(ballots: NDArray[np.int64]) -> float:
    """The sum of votes of 1 and -1 in standard deviations of what chance would give."""
    return float(ballots.sum() / np.sqrt(max(1, int(np.count_nonzero(ballots)))))


def _lopsided(profiles: NDArray[np.int64], heights: NDArray[np.int32]) -> NDArray[np.int64]:
    """1 where more of a word's ink is above its body than below, -1 the other way, or 0.

    profiles: int64 (N, H), as of ``_profiles``. heights: int32 (N,), rows of each.
    """
    each, rows = np.arange(len(profiles)), np.arange(profiles.shape[1])
    dense = np.sort(profiles, axis=1)[each, -np.maximum(1, heights // 4)]
    body = (profiles >= _BODY * dense[:, None]) & (rows < heights[:, None])
    first, last = body.argmax(axis=1), len(rows) - 1 - body[:, ::-1].argmax(axis=1)
    so_far = np.cumsum(profiles, axis=1)
    total = so_far[:, -1]
    above, below = so_far[each, first] - profiles[each, first], total - so_far[each, last]
    more = above - below
    return np.asarray(np.sign(more) * (np.abs(more) >= _LOPSIDED * total), np.int64)


def _skewed(profiles: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 where a word's ink has its longer tail above, -1 where below, or 0."""
    rows, total = np.arange(profiles.shape[1]), profiles.sum(axis=1)
    away = rows - (profiles @ rows / total)[:, None]
    spread = np.sqrt((profiles * away**2).sum(axis=1) / total)
    skewness = -(profiles * away**3).sum(axis=1) / total / np.maximum(spread, 0.1) ** 3
    return np.asarray(np.sign(skewness) * (np.abs(skewness) >= _LOPSIDED), np.int64)
