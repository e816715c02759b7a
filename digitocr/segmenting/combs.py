"""Combs: rows of cells known by their bars, where the boxes around them are broken.

On worn, faint or coarsely scanned forms the frame of a row of cells has gaps, and its bars
look like ones. What tells them is that they are equally high, stand on one level and come
at one pitch, with a rule along their tops or their feet.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.types import Box

__all__ = ["Comb", "find_combs", "rules_along"]

Mask = NDArray[np.uint8]

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


def find_combs(mask: Mask, lines: Mask) -> list[Comb]:
    """The combs of a page. mask, lines: uint8 (h, w), 255 for ink and for ruled lines."""
    ink = np.asarray(cv2.bitwise_or(mask, lines), np.uint8)
    seeds = _bars(ink)
    rows = [_best_row(seeds, level) for level in _on_one_level(seeds)]
    combs: list[Comb] = []
    taken = np.zeros(len(seeds), bool)
    for row in sorted(rows, key=len, reverse=True):
        if len(row) >= _LEAST_SEEDS and not taken[row].any():
            for bars in _ruled_runs(lines, _completed(ink, lines, seeds[row])):
                if len(bars) > _LEAST_CELLS and len(row) >= _SEEN * len(bars):
                    taken |= _covered(seeds, bars)
                    combs.append(Comb(_cells(bars), bars))
    return combs


def _bars(ink: Mask) -> NDArray[np.int32]:
    """int32 (N, 4): boxes of thin upright strokes, from left to right."""
    upright = _upright(ink)
    # Few and simple as they are, outlines find them ten times as fast as labels.
    outlines, nesting = cv2.findContours(upright, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    holes = np.zeros(0) if nesting is None else nesting[0, :, 3] >= 0
    outer = [cv2.boundingRect(one) for one, hole in zip(outlines, holes, strict=True) if not hole]
    left, top, width, height = np.array(outer, np.int32).reshape(-1, 4).T
    bar = (width <= _THIN * height) & (height <= _MOST_BAR * len(ink))
    boxes = np.stack([left, top, left + width, top + height], axis=1)[bar]
    ordered: NDArray[np.int32] = boxes[np.argsort(boxes[:, 0] + boxes[:, 2], kind="stable")]
    return ordered


def _upright(ink: Mask) -> Mask:
    """Strokes at least as high as a bar, after breaks in them are closed.

    A closing and an opening by columns, of eight pixels a byte: rows are taken as they are.
    """
    bits = np.packbits(ink, axis=1)
    high, (margin, width) = len(ink), (_BREAK // 2, bits.shape[1])
    paper, solid = np.zeros((margin, width), np.uint8), np.full((margin, width), 255, np.uint8)
    closed = _over_rows(np.bitwise_or, np.concatenate([paper, bits, paper]), _BREAK)
    closed = _over_rows(np.bitwise_and, np.concatenate([solid, closed, solid]), _BREAK)
    if high < _LEAST_BAR:
        return np.zeros_like(ink)
    long = _over_rows(np.bitwise_and, closed, _LEAST_BAR)
    ends = np.zeros((_LEAST_BAR - 1, width), np.uint8)
    opened = _over_rows(np.bitwise_or, np.concatenate([ends, long, ends]), _LEAST_BAR)
    return np.unpackbits(opened, axis=1, count=ink.shape[1])


def _over_rows(join: np.ufunc, bits: Mask, count: int) -> Mask:
    """Each row joined with those below it, ``count`` in all; the last ones are no rows any more."""
    joined = 1
    while joined < count:
        step = min(joined, count - joined)  # twice as many each time
        bits = join(bits[:-step], bits[step:])
        joined += step
    return bits


def _on_one_level(seeds: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """For each bar from which on enough others stand about level to make a comb, all of those."""
    found: list[NDArray[np.intp]] = []
    for start in range(0, len(seeds), _BLOCK):
        _, top, _, bottom = (edge[:, None] for edge in seeds[start : start + _BLOCK].T)
        most = _LEVEL * (bottom - top)
        level = (abs(seeds[:, 1] - top) <= most) & (abs(seeds[:, 3] - bottom) <= most)
        level &= np.arange(len(seeds)) >= np.arange(start, start + len(level))[:, None]
        crowded = level[level.sum(axis=1) >= _LEAST_SEEDS]
        found += [np.flatnonzero(row) for row in crowded]
    return found


def _best_row(seeds: NDArray[np.int32], level: NDArray[np.intp]) -> NDArray[np.intp]:
    """The most bars that stand at one pitch, of those that stand on one level with the first."""
    _, top, _, bottom = seeds[level[0]].tolist()
    middle = ((seeds[level, 0] + seeds[level, 2]) / 2).tolist()
    least, most = (middle[0] + share * (bottom - top) for share in (_NARROWEST, _WIDEST))
    pitches = [x - middle[0] for x in middle[1:] if least <= x <= most]
    best = max((_on_pitch(middle, pitch) for pitch in pitches), key=len, default=[])
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
        after = bisect_left(middle, expected)
        beside = range(max(after - 1, 0), min(after + 1, len(middle)))
        nearest = min(beside, key=lambda at: abs(middle[at] - expected))
        if abs(middle[nearest] - expected) <= _OFF_PITCH * pitch:
            members.append(nearest)
            pitch = (middle[nearest] - middle[0]) / place
            missing = 0
        else:
            missing += 1
    return members


def _completed(ink: Mask, lines: Mask, seeds: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 (B, 4): every bar of a comb, with those between and beyond the seeds."""
    top, bottom = int(np.median(seeds[:, 1])), int(np.median(seeds[:, 3]))
    middle = (seeds[:, 0] + seeds[:, 2]) / 2
    pitch = float(np.median(np.diff(middle)))
    places = np.round((middle - middle[0]) / pitch)
    x = list(np.interp(np.arange(places[-1] + 1), places, middle))
    for end, step in ((0, -pitch), (-1, pitch)):
        while (found := _faint_bar(ink, x[end] + step, pitch, top, bottom)) is not None:
            if rules_along(lines, min(found, x[end]), max(found, x[end]), top, bottom) < _RULED:
                break
            x.insert(0 if end == 0 else len(x), found)
    # The last cell may lack its bar where the rules still go on.
    for end, step in ((0, -pitch), (-1, pitch)):
        beyond = x[end] + step
        if rules_along(lines, min(beyond, x[end]), max(beyond, x[end]), top, bottom) >= _GOES_ON:
            x.insert(0 if end == 0 else len(x), beyond)
    half = max(1, round(float(np.median(seeds[:, 2] - seeds[:, 0])) / 2))
    return np.array([(round(c) - half, top, round(c) + half, bottom) for c in x], np.int32)


def _faint_bar(ink: Mask, x: float, pitch: float, top: int, bottom: int) -> float | None:
    """Where near ``x`` enough of a bar is seen, None if nowhere."""
    reach = max(2, round(_OFF_PITCH * pitch))
    left, right = round(x) - reach, round(x) + reach + 1
    if left < 1 or right >= ink.shape[1]:
        return None
    band = ink[top:bottom, left - 1 : right + 1] > 0
    # A bar that leans a little is in one of three columns on each row.
    cover = (band[:, :-2] | band[:, 1:-1] | band[:, 2:]).mean(axis=0)
    best = int(cover.argmax())
    return float(left + best) if cover[best] >= _FAINT else None


def _ruled_runs(lines: Mask, bars: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """The bars parted where no rules run along the tops and the feet between two of them."""
    parted = [
        at + 1
        for at, (one, other) in enumerate(pairwise(bars))
        if rules_along(lines, one[2], other[0], one[1], one[3]) < _RULED
    ]
    return np.split(bars, parted)


def rules_along(lines: Mask, left: float, right: float, top: int, bottom: int) -> float:
    """The shares of a stretch with a rule at the top and with one at the bottom, in all."""
    margin = max(2, (bottom - top) // _TOUCH)
    columns = slice(round(left) + 1, round(right))
    bands = [lines[max(0, at - margin) : at + margin, columns] for at in (top, bottom)]
    return float(sum((band > 0).any(axis=0).mean() for band in bands if band.size))


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
