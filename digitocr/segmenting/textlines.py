"""Lines of writing on open paper, and which of them are prose.

Components that stand beside each other with less than a letter's height between them form
a line. A line of many words is prose, and so is a short line above or below prose of the
same size, as the last of a paragraph is: a number inside a sentence is no field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitocr.components import chains, neighbours

__all__ = ["TextLines", "find_lines", "prose"]

_LINE_GAP = 1.6  # of the letters' height: wider gaps part what stands on one level
_SIZES = 2.5  # how much higher one letter of a line may be than its neighbour
_SURROUNDINGS = np.array([0.6, 0.4])  # of the letters' height, beside and above a line
_WORD_GAP = 0.35  # of the letters' height
_PROSE_WORDS = 5  # a line of more words is a sentence
_PITCH = 2.6  # of the letters' height: the most between the lines of one paragraph


@dataclass(frozen=True, slots=True)
class TextLines:
    """Lines of writing.

    line: int32 (C,), the line of each component.
    boxes: int32 (L, 4), of each line.
    height: float64 (L,), of its capitals and figures, pixels.
    words: int32 (L,), how many words it has.
    """

    line: NDArray[np.int32]
    boxes: NDArray[np.int32]
    height: NDArray[np.float64]
    words: NDArray[np.int32]


def find_lines(boxes: NDArray[np.int32], region: NDArray[np.int32]) -> TextLines:
    """Chain components into lines.

    boxes: int32 (C, 4). region: int32 (C,), which stretch of paper between ruled lines
    each stands on; components of two regions are never chained.
    """
    heights = (boxes[:, 3] - boxes[:, 1]).astype(np.float64)
    first, second = neighbours(boxes, _LINE_GAP * heights)
    # Neighbours differ in size as letters do, not as a heading and a footnote.
    ratio = heights[first] / heights[second]
    gap = boxes[second, 0] - boxes[first, 2]
    near = gap <= _LINE_GAP * np.minimum(_SIZES * heights[second], heights[first])
    joined = (region[first] == region[second]) & near & (ratio < _SIZES) & (ratio > 1 / _SIZES)
    line = chains(len(boxes), first[joined], second[joined])
    line = _take_in(_measure(boxes, heights, line))
    return _measure(boxes, heights, line)


def _take_in(lines: TextLines) -> NDArray[np.int32]:
    """int32 (C,): the line of each component after dots and dashes have joined theirs.

    They are too small to be chained to a letter; what they stand next to or above is the
    line of larger writing whose surroundings they lie in.
    """
    middle = (lines.boxes[:, :2] + lines.boxes[:, 2:]) / 2
    reach = lines.height[:, None] * _SURROUNDINGS
    low, high = lines.boxes[:, :2] - reach, lines.boxes[:, 2:] + reach
    within = np.ones((len(middle), len(middle)), bool)  # small, large
    for at, least, most in zip(middle.T, low.T, high.T, strict=True):
        within &= (at[:, None] >= least) & (at[:, None] <= most)
    larger = lines.height[None, :] >= 2 * lines.height[:, None]
    distance = abs(middle[:, None, 1] - middle[None, :, 1]) / np.maximum(lines.height, 1)
    distance[~(within & larger)] = np.inf
    nearest = distance.argmin(axis=1) if len(distance) else np.zeros(0, np.int64)
    lone = ~np.isfinite(distance).any(axis=1)
    nearest[lone] = np.flatnonzero(lone)
    # A dot may have joined a dash that joined a letter.
    return np.asarray(nearest[nearest][lines.line], np.int32)


def _measure(
    boxes: NDArray[np.int32], heights: NDArray[np.float64], line: NDArray[np.int32]
) -> TextLines:
    """Boxes, letter heights and word counts of lines, which are numbered anew from 0."""
    if not len(line):
        return TextLines(line, boxes[:0], np.zeros(0), np.zeros(0, np.int32))
    _, found, count = np.unique(line, return_inverse=True, return_counts=True)
    number = np.asarray(found, np.int32)
    first = np.cumsum(count) - count
    height = heights[np.lexsort((heights, number))][first + (0.8 * (count - 1) + 0.5).astype(int)]
    order = np.lexsort((boxes[:, 0], number))
    own = boxes[order]
    low, high = np.minimum.reduceat(own[:, :2], first), np.maximum.reduceat(own[:, 2:], first)
    words = np.add.reduceat(_begins_word(own, number[order], height), first, dtype=np.int32)
    return TextLines(number, np.concatenate([low, high], axis=1), height, words)


def _begins_word(
    boxes: NDArray[np.int32], line: NDArray[np.int32], height: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """bool (C,): whether a component is the first of its line or stands behind a gap.

    boxes: int32 (C, 4), line by line, from left to right. height: float64 (L,), of lines.
    """
    # Each line is moved far to the right of the one before: one pass measures all gaps.
    away = line * np.int64(1 + boxes[:, 2].max())
    reached = np.maximum.accumulate(boxes[:, 2] + away)
    begins = np.ones(len(line), bool)
    gaps = (boxes[:, 0] + away)[1:] - reached[:-1]
    begins[1:] = (gaps > _WORD_GAP * height[line[1:]]) | (line[1:] != line[:-1])
    return begins


def prose(lines: TextLines) -> NDArray[np.bool_]:
    """bool (L,): which lines are sentences, parts of a paragraph, or fragments of either."""
    sentence = lines.words > _PROSE_WORDS
    result = sentence.copy()
    for index in np.flatnonzero(sentence):
        result |= _same_paragraph(lines, int(index)) | _fragments(lines, int(index))
    return result


def _fragments(lines: TextLines, index: int) -> NDArray[np.bool_]:
    """Which lines lie within one, as what is left of letters where ink was lost does."""
    reach = lines.height[index] * _SURROUNDINGS
    middle = (lines.boxes[:, :2] + lines.boxes[:, 2:]) / 2
    low, high = lines.boxes[index, :2] - reach, lines.boxes[index, 2:] + reach
    within = ((middle >= low) & (middle <= high)).all(axis=1)
    result: NDArray[np.bool_] = within & (lines.height <= 1.3 * lines.height[index])
    return result


def _same_paragraph(lines: TextLines, index: int) -> NDArray[np.bool_]:
    """Which lines stand right above or below one, in letters of its size."""
    left, top, right, bottom = lines.boxes[index]
    height = lines.height[index]
    middle = (lines.boxes[:, 1] + lines.boxes[:, 3]) / 2
    near = abs(middle - (top + bottom) / 2) <= _PITCH * height
    alike = (lines.height <= 1.3 * height) & (height <= 1.3 * lines.height)
    over = (lines.boxes[:, 0] < right) & (lines.boxes[:, 2] > left)
    result: NDArray[np.bool_] = near & alike & over & (lines.words > 1)
    return result
