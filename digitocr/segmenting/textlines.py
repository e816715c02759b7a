"""Lines of writing on open paper, and which of them are prose.

Components that stand beside each other with less than a letter's height between them form
a line. A line of many words is prose, and so is a short line above or below prose of the
same size, as the last of a paragraph is: a number inside a sentence is no field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitocr.components import chains, neighbours, spread

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
    x, y = _middles(lines)
    beside, above = lines.height * _SURROUNDINGS[:, None]
    left, top, right, bottom = lines.boxes.T
    large, small = _at_height(y, top - above, bottom + above)
    near = (left - beside)[large] <= x[small]
    near &= x[small] <= (right + beside)[large]
    near &= lines.height[large] >= 2 * lines.height[small]
    large, small = large[near], small[near]
    distance = abs(y[small] - y[large]) / np.maximum(lines.height[large], 1)
    order = np.lexsort((large, distance, small))
    nearest = np.arange(len(y))
    taken, first = np.unique(small[order], return_index=True)
    nearest[taken] = large[order[first]]
    # A dot may have joined a dash that joined a letter.
    return np.asarray(nearest[nearest][lines.line], np.int32)


def _middles(lines: TextLines) -> NDArray[np.float64]:
    """float64 (2, L): x and y of the middle of each line's box."""
    middles: NDArray[np.float64] = (lines.boxes[:, :2] + lines.boxes[:, 2:]).T / 2
    return middles


def _at_height(
    y: NDArray[np.float64], least: NDArray[np.float64], most: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The lines whose middles, float64 (L,), lie in ranges of rows, float64 (R,), ends included.

    Returns intp (P,) each, the range and the line.
    """
    order = np.argsort(y, kind="stable")
    first, last = (np.searchsorted(y[order], *to) for to in ((least, "left"), (most, "right")))
    which, at = spread(first, last)
    return which, order[at]


def _measure(
    boxes: NDArray[np.int32], heights: NDArray[np.float64], line: NDArray[np.int32]
) -> TextLines:
    """Boxes, letter heights and word counts of lines, which are numbered anew from 0."""
    if not len(line):
        return TextLines(line, boxes[:0], np.zeros(0), np.zeros(0, np.int32))
    count = np.bincount(line)
    number = (np.cumsum(count > 0, dtype=np.int32) - 1)[line]
    count = count[count > 0]
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
    result = lines.words > _PROSE_WORDS
    sentences = np.flatnonzero(result)
    for other in (_same_paragraph(lines, sentences), _fragments(lines, sentences)):
        result[other] = True
    return result


def _fragments(lines: TextLines, sentences: NDArray[np.intp]) -> NDArray[np.intp]:
    """The lines within some, as what is left of letters where ink was lost does."""
    x, y = _middles(lines)
    height = lines.height
    beside, above = height[sentences] * _SURROUNDINGS[:, None]
    left, top, right, bottom = lines.boxes[sentences].T
    at, other = _at_height(y, top - above, bottom + above)
    within = (x[other] >= (left - beside)[at]) & (x[other] <= (right + beside)[at])
    return np.asarray(other[within & (height[other] <= 1.3 * height[sentences[at]])])


def _same_paragraph(lines: TextLines, sentences: NDArray[np.intp]) -> NDArray[np.intp]:
    """The lines right above or below some, in letters of their size."""
    _, y = _middles(lines)
    reach = _PITCH * lines.height[sentences]
    at, other = _at_height(y, y[sentences] - reach, y[sentences] + reach)
    height, own = lines.height[other], lines.height[sentences[at]]
    alike = (height <= 1.3 * own) & (own <= 1.3 * height)
    left, _, right, _ = lines.boxes.T
    one = sentences[at]
    over = (left[other] < right[one]) & (right[other] > left[one])
    return np.asarray(other[alike & over & (lines.words[other] > 1)])
