"""Combs: rows of cells known by their bars, where the boxes around them are broken.

On worn, faint or coarsely scanned forms the frame of a row of cells has gaps, and its bars
look like ones. What tells them is that they are equally high, stand on one level and come
at one pitch, with a rule along their tops or their feet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitocr.components import Bits, boxes_of, linked, ones_of, spread
from digitocr.segmenting.middle import median
from digitocr.types import Box

__all__ = ["Comb", "find_combs", "rules_along"]

_LEAST_BAR = 22  # pixels at working scale: a bar's height
_MOST_BAR = 0.12  # of the page's height
_THIN = 0.22  # of a bar's height: its width at most
_BREAK = 3  # pixels: a gap in a bar
_LEVEL = 0.15  # of a bar's height, by which tops and feet of one comb differ at most
_NARROWEST, _WIDEST = 0.45, 1.7  # of a bar's height: the pitch
_OFF_PITCH = 0.08  # of the pitch, by which a bar may stand off its place
_MOST_STROKES = 2.2  # upright strokes in a comb, for each of its bars
_LEAST_SEEDS = 4  # bars that stand out by themselves
_SEEN = 0.5  # of a comb's bars that stand out by themselves
_LEAST_CELLS = 3
_BLOCK = 512  # bars that are compared with all others at once
_FAINT = 0.55  # of its height that must be seen of a bar where the comb expects one
_TOUCH = 10  # parts of a bar's height: so far from its end a rule may run, or it is none of it
_GOES_ON = 1.2  # the same, of a cell whose outer bar is not seen
_RULED = 0.8  # share of a comb's length with a rule along the tops, and along the feet, in all


@dataclass(frozen=True, slots=True)
class Comb:
    """A row of cells.

    cells: from left to right. bars: int32 (B, 4), the boxes of the bars between them, from
    the first to the last, also of those that were not seen.
    """

    cells: tuple[Box, ...]
    bars: NDArray[np.int32]


def find_combs(mask: Bits, lines: Bits, page_height: int) -> list[Comb]:
    """The combs of a page. mask, lines: its ink and its ruled lines."""
    ink = Bits(mask.rows | lines.rows, mask.shape)
    seeds = _bars(ink, _MOST_BAR * page_height)
    middle = (seeds[:, 0] + seeds[:, 2]) / 2
    rows = [_best_row(seeds, middle, level) for level in _on_one_level(seeds, lines)]
    combs: list[Comb] = []
    taken = np.zeros(len(seeds), bool)
    for row in sorted(rows, key=len, reverse=True):
        if len(row) >= _LEAST_SEEDS and not taken[row].any():
            for bars in _ruled_runs(ink, lines, seeds[row]):
                if len(bars) > _LEAST_CELLS and len(row) >= _SEEN * len(bars):
                    taken |= _covered(seeds, bars)
                    combs.append(Comb(_cells(bars), bars))
    return combs


def _bars(ink: Bits, highest: float) -> NDArray[np.int32]:
    """int32 (N, 4): boxes of thin upright strokes, from left to right."""
    runs = _upright(ink.rows)
    part, count = linked(runs)
    # The runs are those of columns: their boxes lie on their side.
    boxes = boxes_of(np.concatenate([runs, part[None].astype(np.int32)]), count)[:, [1, 0, 3, 2]]
    left, top, right, bottom = boxes.T
    height = bottom - top
    boxes = boxes[(right - left <= _THIN * height) & (height <= highest)]
    ordered: NDArray[np.int32] = boxes[np.argsort(boxes[:, 0] + boxes[:, 2], kind="stable")]
    return ordered


def _upright(rows: NDArray[np.uint8]) -> NDArray[np.int32]:
    """int32 (3, N): column, top and bottom of strokes as high as a bar, their breaks closed.

    rows: as of ``Bits``. A closing and an opening by columns: rows are taken as they are. The
    runs along the columns are in order, column by column.
    """
    margin, width = _BREAK // 2, rows.shape[1]
    paper, solid = np.zeros((margin, width), np.uint8), np.full((margin, width), 255, np.uint8)
    closed = _over_rows(np.bitwise_or, np.concatenate([paper, rows, paper]), _BREAK)
    closed = _over_rows(np.bitwise_and, np.concatenate([solid, closed, solid]), _BREAK)
    if len(rows) < _LEAST_BAR:
        return np.zeros((3, 0), np.int32)
    long = _over_rows(np.bitwise_and, closed, _LEAST_BAR)
    ends = np.zeros((_LEAST_BAR, width), np.uint8)
    opened = _over_rows(np.bitwise_or, np.concatenate([ends, long, ends]), _LEAST_BAR)
    row, column = np.divmod(ones_of((opened[1:] ^ opened[:-1]).ravel()), np.int32(8 * width))
    order = np.argsort(column, kind="stable")
    row = row[order]
    return np.stack([column[order[::2]], row[::2], row[1::2]])


def _over_rows(join: np.ufunc, rows: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Each row joined with those below it, ``count`` in all; the last ones are no rows any more."""
    joined = 1
    while joined < count:
        step = min(joined, count - joined)  # twice as many each time
        rows = join(rows[:-step], rows[step:])
        joined += step
    return rows


def _on_one_level(seeds: NDArray[np.int32], lines: Bits) -> list[NDArray[np.intp]]:
    """For each bar that a comb may begin with, all that stand about level from it on.

    They are enough to make a comb, one of them stands where the next bar may, and there are
    rules at their height.
    """
    found: list[NDArray[np.intp]] = []
    begins = _have_next(seeds)
    begins = begins[_may_be_ruled(seeds[begins], lines)]
    for start in range(0, len(begins), _BLOCK):
        some = begins[start : start + _BLOCK, None]
        level = _are_level(seeds[some], seeds) & (np.arange(len(seeds)) >= some)
        crowded = level[np.count_nonzero(level, axis=1) >= _LEAST_SEEDS]
        found += [np.flatnonzero(row) for row in crowded]
    return found


def _have_next(seeds: NDArray[np.int32]) -> NDArray[np.intp]:
    """Which bars have another on their level where the next one of a comb may stand."""
    middle, high = (seeds[:, 0] + seeds[:, 2]) / 2, seeds[:, 3] - seeds[:, 1]
    first = np.searchsorted(middle, middle + _NARROWEST * high)
    last = np.searchsorted(middle, middle + _WIDEST * high, side="right")
    one, other = spread(first, last)
    have = np.zeros(len(seeds), bool)
    have[one[_are_level(seeds[one], seeds[other])]] = True
    return np.flatnonzero(have)


def _may_be_ruled(seeds: NDArray[np.int32], lines: Bits) -> NDArray[np.bool_]:
    """Which bars have a rule anywhere about at the height of their tops or their feet."""
    _, top, _, bottom = seeds.T
    ruled = np.append(0, np.cumsum(np.bitwise_or.reduce(lines.rows, axis=1) > 0))
    # As far as the tops of a comb may lie from that of its first bar, and rules from them.
    reach = ((_LEVEL + (1 + 2 * _LEVEL) / _TOUCH) * (bottom - top)).astype(np.int32) + 3
    first, last = (
        np.clip(np.stack([top, bottom]) + away, 0, lines.shape[0]) for away in (-reach, reach)
    )
    return np.asarray((ruled[last] > ruled[first]).any(axis=0))


def _are_level(seeds: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether others' tops and feet are about where those of bars, int32 (..., 4), are."""
    most = (_LEVEL * (seeds[..., 3] - seeds[..., 1])).astype(np.int32)
    level = abs(others[..., 1] - seeds[..., 1]) <= most
    return np.asarray(level & (abs(others[..., 3] - seeds[..., 3]) <= most))


def _best_row(
    seeds: NDArray[np.int32], middle: NDArray[np.float64], level: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The most bars that stand at one pitch, of those that stand on one level with the first.

    middle: float64 (N,), the column of each bar's middle.
    """
    _, top, _, bottom = seeds[level[0]].tolist()
    x = middle[level].tolist()
    least, most = (x[0] + share * (bottom - top) for share in (_NARROWEST, _WIDEST))
    pitches = [other - x[0] for other in x[bisect_left(x, least) : bisect_right(x, most)]]
    best = max((_on_pitch(x, pitch) for pitch in pitches), key=len, default=[])
    # Between the bars stand ones at most, not a crowd of strokes as in a barcode.
    crowd = best and best[-1] - best[0] + 1 > _MOST_STROKES * len(best)
    return level[[] if crowd else best]


def _on_pitch(middle: list[float], pitch: float) -> list[int]:
    """Which bars a comb of a pitch has that begins with the first; one in a row may be missing.

    The pitch is made more exact by every bar that is found. middle: from left to right.
    """
    members = [0]
    place = missing = 0
    while missing < 2:
        place += 1
        expected = middle[0] + pitch * place
        nearest = bisect_left(middle, expected)
        if nearest == len(middle) or middle[nearest] - expected >= expected - middle[nearest - 1]:
            nearest -= 1  # of what is left and right of the place; the first is left of all
        if abs(middle[nearest] - expected) <= _OFF_PITCH * pitch:
            members.append(nearest)
            pitch = (middle[nearest] - middle[0]) / place
            missing = 0
        else:
            missing += 1
    return members


def _ruled_runs(ink: Bits, lines: Bits, seeds: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """int32 (B, 4) each: every bar of the combs, with those between and beyond the seeds.

    Bars are parted where no rules run along the tops and the feet between two of them.
    """
    top, bottom = int(median(seeds[:, 1])), int(median(seeds[:, 3]))
    rules = rules_along(lines, top, bottom)
    if not rules.seen:
        return []
    x = _completed(ink, (seeds[:, 0] + seeds[:, 2]) / 2, rules)
    half = max(1, round(median(seeds[:, 2] - seeds[:, 0]) / 2))
    bars = [(round(c) - half, top, round(c) + half, bottom) for c in x]
    parted = [
        at + 1
        for at, (one, other) in enumerate(pairwise(bars))
        if rules.share(one[2], other[0]) < _RULED
    ]
    ends = pairwise([0, *parted, len(bars)])
    return [np.array(bars[start:stop], np.int32) for start, stop in ends]


def _completed(ink: Bits, middle: NDArray[np.float64], rules: Rules) -> list[float]:
    """Where the bars of a comb stand, with those between and beyond the seeds."""
    pitch = median(np.diff(middle))
    places = np.round((middle - middle[0]) / pitch)
    x: list[float] = np.interp(np.arange(places[-1] + 1), places, middle).tolist()
    for end, step in ((0, -pitch), (-1, pitch)):
        while (found := _faint_bar(ink, x[end] + step, pitch, rules)) is not None:
            if rules.share(min(found, x[end]), max(found, x[end])) < _RULED:
                break
            x.insert(0 if end == 0 else len(x), found)
    # The last cell may lack its bar where the rules still go on.
    for end, step in ((0, -pitch), (-1, pitch)):
        beyond = x[end] + step
        if rules.share(min(beyond, x[end]), max(beyond, x[end])) >= _GOES_ON:
            x.insert(0 if end == 0 else len(x), beyond)
    return x


def _faint_bar(ink: Bits, x: float, pitch: float, rules: Rules) -> float | None:
    """Where near ``x`` enough of a bar is seen, None if nowhere."""
    reach = max(2, round(_OFF_PITCH * pitch))
    left, right = round(x) - reach, round(x) + reach + 1
    if left < 1 or right >= ink.shape[1]:
        return None
    first = (left - 1) // 8
    bits = np.unpackbits(ink.rows[rules.top : rules.bottom, first : right // 8 + 1], axis=1)
    band = bits[:, left - 1 - 8 * first : right + 1 - 8 * first]
    # A bar that leans a little is in one of three columns on each row.
    cover = (band[:, :-2] | band[:, 1:-1] | band[:, 2:]).sum(axis=0, dtype=np.int32).tolist()
    best = max(cover)
    return float(left + cover.index(best)) if best / len(band) >= _FAINT else None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules along the tops and along the feet of a row of cells.

    top, bottom: of the cells. counts: int32 (2, w + 1), in how many columns left of each one
    runs along the tops, and along the feet.
    """

    top: int
    bottom: int
    counts: NDArray[np.int32]

    @property
    def seen(self) -> bool:
        """Whether there is any."""
        return bool(self.counts[:, -1].any())

    def share(self, left: float, right: float) -> float:
        """The shares of a stretch with a rule at the top and with one at the bottom, in all."""
        start, stop = round(left) + 1, min(round(right), self.counts.shape[1] - 1)
        if not 0 <= start < stop:
            return 0.0
        count = self.counts.item
        above, below = (count(row, stop) - count(row, start) for row in (0, 1))
        return float(above / (stop - start) + below / (stop - start))


def rules_along(lines: Bits, top: int, bottom: int) -> Rules:
    """The rules along the tops and the feet of a row of cells. lines: the ruled lines."""
    margin = max(2, (bottom - top) // _TOUCH)
    counts = np.zeros((2, lines.shape[1] + 1), np.int32)
    for at, own in zip((top, bottom), counts, strict=True):
        band = lines.rows[max(0, at - margin) : max(0, at + margin)]
        any_ = np.bitwise_or.reduce(band, axis=0)
        np.cumsum(np.unpackbits(any_, count=lines.shape[1]), dtype=np.int32, out=own[1:])
    return Rules(top, bottom, counts)


def _covered(seeds: NDArray[np.int32], bars: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which seeds lie within a comb, as its bars or as ones between them."""
    left, top, right, bottom = bars[0, 0], bars[0, 1], bars[-1, 2], bars[0, 3]
    middle = (seeds[:, 1] + seeds[:, 3]) / 2
    inside = (seeds[:, 0] >= left) & (seeds[:, 2] <= right) & (middle > top) & (middle < bottom)
    return np.asarray(inside)


def _cells(bars: NDArray[np.int32]) -> tuple[Box, ...]:
    """The cells between the bars."""
    return tuple(
        (int(one[2]), int(one[1]), int(other[0]), int(one[3])) for one, other in pairwise(bars)
    )
