"""What on open paper may be a number, as far as the last signs tell.

Most writing on a page is words. Between two wide gaps a number is the last that stands there; so
where the last sign is none of a number's, or the one before it, all the rest is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitocr.assembling.freestanding import FEWEST, NUMBER_GAP
from digitocr.assembling.lattice import are_tall
from digitocr.types import NOT_A_DIGIT, Glyphs, Segments

__all__ = ["Endings", "endings_of"]

_SURELY_NONE = 0.95  # so probable, other writing wins at a word's end, whatever it costs there
_TWO_DIGITS = 0.9  # of their height that two digits which touch are wide, at least
_HIGH = 0.6  # of the highest on its line: no speck, which tells nothing of what it stands beside

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Endings:
    """The candidates of a page, each in the stretch between wide gaps that it ends in.

    stretch: int (N,), 0 for all that is not on open paper.
    last: bool (N,), which may be the last sign of their stretch. A sign that stands alone on
        its line is no number. before: bool (N,), which may be the high sign before that.
    joined: bool (N,), which are of several pieces. mark: as of ``Segments``.
    touching: bool (N,), which pieces may be several digits that touch, or parts of such: what
        they look like tells nothing.
    """

    stretch: NDArray[np.intp]
    last: Mask
    before: Mask
    joined: Mask
    touching: Mask
    mark: NDArray[np.uint8]

    def first(self, _probabilities: NDArray[np.float32]) -> Mask:
        """bool (N,): what must be known of any page."""
        return np.asarray(self.last | (self.stretch == 0))

    def second(self, probabilities: NDArray[np.float32]) -> Mask:
        """bool (N,): what must be known besides to tell what is hopeful.

        probabilities: float32 (N, 11), right for what comes first.
        """
        asked = self.before & ~self._beside(self.before & self.touching)
        last = self.last & self._may_be(probabilities)
        return np.asarray(asked & self._beside(last))

    def hopeful(self, probabilities: NDArray[np.float32]) -> Mask:
        """bool (N,): what may be part of a number; the rest may be taken for no digits.

        probabilities: float32 (N, 11), right for what comes first and second.
        """
        may_be = self._may_be(probabilities)
        last = self.last & may_be
        before = self._beside(self.before & (may_be | self.touching)) | ~self._beside(self.before)
        ends = self._beside(last) & (before | self._beside(last & self.joined))
        return np.asarray(ends | (self.stretch == 0))

    def _may_be(self, probabilities: NDArray[np.float32]) -> Mask:
        """bool (N,): which may be signs of a number."""
        return np.asarray((self.mark > 0) | (probabilities[:, NOT_A_DIGIT] < _SURELY_NONE))

    def _beside(self, some: Mask) -> Mask:
        """bool (N,): all that stands in a stretch with any of some."""
        found = np.zeros(self.stretch.max(initial=0) + 1, np.bool_)
        found[self.stretch[some]] = True
        return found[self.stretch]


def endings_of(glyphs: Glyphs | Segments) -> Endings:
    """The endings of a page's candidates."""
    stop = glyphs.span[:, 1]
    joined = stop - glyphs.span[:, 0] > 1
    free = np.array([one.kind == "free" for one in glyphs.fields], np.bool_)[glyphs.field]
    single = free & ~joined  # the pieces on open paper, line by line from left to right
    line, boxes = glyphs.field[single], glyphs.boxes[single]
    least, highest = _heights(glyphs.boxes[free], glyphs.field[free], len(glyphs.fields))
    ends = _before_gaps(boxes, line, least)
    high = boxes[:, 3] - boxes[:, 1] >= _HIGH * highest[line]
    alone = np.bincount(line, minlength=len(least)) < FEWEST
    piece = np.searchsorted(stop[single], stop[free])  # the last of each candidate's

    def of_candidates(values: NDArray[Any]) -> NDArray[Any]:
        result = np.zeros(len(free), values.dtype)
        result[free] = values[piece]
        return result

    number = np.asarray(np.cumsum(ends) - ends + 1)
    return Endings(
        stretch=of_candidates(number),
        last=of_candidates(ends & ~alone[line]),
        before=of_candidates(_last_of_each(high & ~ends, number)),
        joined=joined,
        touching=((glyphs.cuts > 0) | _wide(glyphs.boxes)) & ~joined,
        mark=glyphs.mark,
    )


def _wide(boxes: NDArray[np.int32]) -> Mask:
    """bool (N,): which are as wide as two digits."""
    return np.asarray(boxes[:, 2] - boxes[:, 0] >= _TWO_DIGITS * (boxes[:, 3] - boxes[:, 1]))


def _before_gaps(
    boxes: NDArray[np.int32], line: NDArray[np.int32], least: NDArray[np.int32]
) -> Mask:
    """bool (n,): the pieces that stand before wide gaps, or at the end of their lines.

    boxes: int32 (n, 4). line: int32 (n,), of each. least: of each line's figures, their height.
    """
    ends = np.ones(len(line), np.bool_)
    gap = boxes[1:, 0] - boxes[:-1, 2]
    ends[:-1] = (gap >= NUMBER_GAP * least[line[:-1]]) | (line[1:] != line[:-1])
    return ends


def _last_of_each(some: Mask, stretch: NDArray[np.intp]) -> Mask:
    """bool (n,): of some pieces those that come last in their stretches."""
    places = np.flatnonzero(some)
    last = np.append(np.diff(stretch[places]) > 0, True)
    result = np.zeros(len(some), np.bool_)
    result[places] = last[: len(places)]
    return result


def _heights(
    boxes: NDArray[np.int32], line: NDArray[np.int32], lines: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """int32 (lines,) each: the least that a line's figures may be high, whatever the
    probabilities, and the highest of its candidates; 0 where it has none.

    boxes: int32 (N, 4). line: int32 (N,), of each of them, in order.
    """
    heights = boxes[:, 3] - boxes[:, 1]
    starts = np.flatnonzero(np.diff(line, prepend=-1))
    tall = are_tall(heights, line)  # so that figures are as high as one of these
    result = np.zeros((2, lines), np.int32)
    result[0, line[starts]] = np.minimum.reduceat(
        np.where(tall, heights, heights.max(initial=0)), starts
    )
    result[1, line[starts]] = np.maximum.reduceat(heights, starts)
    return result[0], result[1]
