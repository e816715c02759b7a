"""Touching digits cut apart.

A component wider than a digit may be several that touch. It is cut along seams, paths from
top to bottom that cross as little ink as they can, as in seam carving (Avidan and Shamir
2007), near the columns where its outline has a waist. Whether a cut was right is for the
lattice to find out; the uncut component stays a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.components import Components, spread

__all__ = ["CURSIVE", "Seams", "find_seams", "may_touch"]

_WIDE = 0.85  # of the figures' height: wider components may hold several digits
CURSIVE = 4.5  # of the figures' height: wider components are words or signatures
_LOW = 0.5  # of the figures' height: lower components are no digits
_WAIST = 0.75  # of the figures' height: the outline at a place to cut is no higher
_PARTS = 1.15  # by how much the outline is higher on both sides of a waist
_APART = 0.25  # of the figures' height: from one cut to the next
_MOST_CUTS = 6  # of one component
_CUTS_A_HEIGHT = 1.6  # and in a long one for each height of its width
_REACH = 0.15  # of the figures' height: how far a seam may wander from its column
_BEND = 0.35  # the cost of a step to the side, in pixels of ink
_ASTRAY = 0.4  # the cost for each row of a column's distance, by the figures' height
_LOOP = 0.6  # the cost of a pixel of paper inside a loop, in pixels of ink
_SAVES = 0.6  # of the ink in its column that a seam must not exceed to be worth its bends
_MOST_INK = 0.62  # of the figures' height: the ink that a seam may cross
_BLOCK = 1 << 19  # pixels of components that are looked at at once


# In pixels of ink, what it costs to go through paper in loops, ink, and paper outside.
_OUTSIDE = 2
_PRICES = np.zeros(256)
_PRICES[:2] = _LOOP, 1.0

# Of each component that is cut, by its index: intp (K, h), the columns, counted from its left
# edge, where each of its seams passes each of its rows, from left to right.
Seams = dict[int, NDArray[np.intp]]


def may_touch(
    widths: NDArray[np.int32],
    heights: NDArray[np.int32],
    figure: NDArray[np.float64],
    longest: NDArray[np.float64] | float = CURSIVE,
) -> NDArray[np.bool_]:
    """bool (N,): whether components, by their size, may be several digits that touch.

    widths, heights: int32 (N,). figure: float64 (N,), the height of the line's figures, pixels.
    longest: a component that is wider, in heights, is no row of digits.
    """
    wide = (_WIDE * figure < widths) & (widths < longest * figure)
    return np.asarray(wide & (heights >= _LOW * figure))


def find_seams(parts: Components, members: NDArray[np.intp], figure: NDArray[np.float64]) -> Seams:
    """Where components that may be several digits may be cut.

    members: intp (M,), their indices. figure: float64 (M,), the height of their lines' figures.
    Those that are one digit have no seams.
    """
    # All at once, as there are many and each is small; but by the block, for memory. As high
    # ones stand together, little of a block is empty.
    order = np.argsort(-parts.heights[members], kind="stable")
    members, figure = members[order], figure[order]
    seams: Seams = {}
    while len(members):
        ends = np.cumsum(parts.widths[members])
        count = max(1, int(np.searchsorted(ends * parts.heights[members[0]], _BLOCK)))
        seams |= _seams(_side_by_side(parts, members[:count], figure[:count]))
        members, figure = members[count:], figure[count:]
    return seams


@dataclass(frozen=True, slots=True)
class _Row:
    """Components side by side, the highest first, with a row or column of paper around each.

    members: intp (M,). figure: float64 (M,), the height of their lines' figures, pixels.
    first, widths, heights: int32 (M,), the column where each begins, and its box's size.
    ink: uint8 (h + 2, w), 1 for ink; all begin in its second row.
    extent: int32 (w,), how high the outline is in each column, 0 between components.
    """

    members: NDArray[np.intp]
    figure: NDArray[np.float64]
    first: NDArray[np.int32]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    ink: NDArray[np.uint8]
    extent: NDArray[np.int32]


def _side_by_side(
    parts: Components, members: NDArray[np.intp], figure: NDArray[np.float64]
) -> _Row:
    """Some components, the highest first, in one picture. members, figure: as of ``find_seams``."""
    widths, heights = parts.widths[members], parts.heights[members]
    ends = np.cumsum(widths + 1, dtype=np.int32)
    first = ends - widths
    place = np.full(len(parts.boxes), -1, np.int32)
    place[members] = np.arange(len(members))
    own = place[parts.runs[3]]
    runs, own = parts.runs[:3].compress(own >= 0, axis=1), own[own >= 0]
    left, top = parts.boxes[members, :2].T
    run, column = spread(*runs[1:3])
    row, column = (runs[0] - top[own] + 1)[run], column + (first - left)[own][run]
    ink = np.zeros((heights[0] + 2, ends[-1] + 1), np.uint8)
    ink.ravel()[row * ink.shape[1] + column] = 1
    highest, lowest = np.full(ink.shape[1], len(ink), np.int32), np.zeros(ink.shape[1], np.int32)
    np.minimum.at(highest, column, row)
    np.maximum.at(lowest, column, row + 1)
    extent = np.maximum(lowest - highest, 0)
    return _Row(members, figure, first, widths, heights, ink, extent)


def _waists(row: _Row) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Columns where digits may touch, apart by at least a narrow digit, and the place of each.

    Where two digits touch, their outlines come together from above and below and part
    again, also where the strokes that meet are upright and the column is full of ink, as
    between two zeros.
    """
    each = np.repeat(np.arange(len(row.members)), row.widths)
    extent = row.extent[row.extent > 0]  # in every column of a component there is ink
    # Each component is moved up from the one before: one pass goes over all.
    away = each * np.int32(len(row.ink))
    before = np.maximum.accumulate(extent + away) - away
    after = np.maximum.accumulate((extent - away)[::-1])[::-1] + away
    widest = _WAIST * np.maximum(row.figure, row.heights)
    waist = (extent <= widest[each]) & (np.minimum(before, after) >= _PARTS * extent)
    apart = np.maximum(2, _APART * row.figure)
    most = np.maximum(_MOST_CUTS, np.round(_CUTS_A_HEIGHT * row.widths / row.figure))
    columns = [np.zeros(0, np.intp)]
    open_ = np.flatnonzero(waist)
    while len(open_ := open_[most[each[open_]] >= len(columns)]):
        chosen = _narrowest(open_, extent, each)
        columns.append(chosen)
        nearest = np.zeros(len(row.members), np.intp)
        nearest[each[chosen]] = chosen
        open_ = open_[abs(open_ - nearest[each[open_]]) >= apart[each[open_]]]
    found = np.sort(np.concatenate(columns))
    place = each[found]
    return found - (np.cumsum(row.widths) - row.widths)[place], place


def _narrowest(
    open_: NDArray[np.intp], extent: NDArray[np.int32], each: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Of the columns that are open, the one of each component where its outline is lowest.

    The middle of the first stretch that is as narrow, as of a bar between two digits.
    """
    first = np.flatnonzero(_changes(each[open_]))
    least = np.minimum.reduceat(extent[open_], first)
    narrow = open_[extent[open_] == np.repeat(least, np.diff(np.append(first, len(open_))))]
    begins = _changes(each[narrow])
    start = np.flatnonzero(begins | _changes(narrow - np.arange(len(narrow))))
    stop = np.append(start[1:], len(narrow))
    middle = start + (stop - start) // 2
    chosen: NDArray[np.intp] = narrow[middle[begins[start]]]
    return chosen


def _changes(values: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which are not as the one before, as the first."""
    changes = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def _seams(row: _Row) -> Seams:
    """For each waist the path from top to bottom that crosses the least ink.

    A path that saves little is put straight. Left out are seams that cross more ink than a
    stroke or two. To go through a loop costs too: a digit is not cut through its middle.
    """
    waist, place = _waists(row)
    if not len(waist):
        return {}
    heights, figure, width = row.heights[place], row.figure[place], row.widths[place]
    reach = np.maximum(1, np.round(_REACH * figure))
    most = int(reach.max())
    steps = np.arange(-most, most + 1)
    away = abs(steps)[:, None]
    window = np.clip(waist + steps[:, None], 0, width - 1)  # sides are repeated
    price = _prices(row, row.first[place] + window)
    astray = _ASTRAY * away / figure
    astray[away > reach] = np.inf
    at = _cheapest(price, astray, heights)
    rows, each = np.arange(len(price))[:, None], np.arange(len(heights))
    crossed = price[rows, at, each][::-1].cumsum(axis=0)[-1]
    through = price[:, most].sum(axis=0)
    worth = crossed <= _SAVES * through
    at[:, ~worth] = most
    good = np.where(worth, crossed, through) <= _MOST_INK * np.maximum(figure, heights)
    columns, own = np.take_along_axis(window, at, axis=0).T[good], place[good]
    first = np.flatnonzero(_changes(own)).tolist()
    return {
        int(row.members[own[start]]): columns[start:stop, : row.heights[own[start]]]
        for start, stop in pairwise([*first, len(own)])
    }


def _cheapest(
    price: NDArray[np.float64], astray: NDArray[np.float64], heights: NDArray[np.int32]
) -> NDArray[np.intp]:
    """intp (h, K): the columns of the cheapest path from top to bottom through each picture.

    price: float64 (h, W, K), of each pixel. astray: float64 (W, K), what a column costs more.
    heights: int32 (K,), the rows of each picture, falling; paths stay in the middle below them.
    """
    height, width, count = price.shape
    left_of = (heights > np.arange(height)[:, None]).sum(axis=1).tolist()  # pictures, by row
    cost = np.full((height + 1, width + 2, count), np.inf)  # with a wall on either side
    cost[0, 1:-1] = 0.0
    left, here, right = cost[:, :-2], cost[:, 1:-1], cost[:, 2:]
    for row, some in enumerate(left_of):
        best = np.minimum(left[row, :, :some], right[row, :, :some])
        best += _BEND
        np.minimum(best, here[row, :, :some], out=best)
        best += price[row, :, :some]
        np.add(best, astray[:, :some], out=here[row + 1, :, :some])
    return _ways_up(cost, heights, left_of)


def _ways_up(
    cost: NDArray[np.float64], heights: NDArray[np.int32], left_of: list[int]
) -> NDArray[np.intp]:
    """intp (h, K): the column in each row of the path that ends the cheapest, walls not counted.

    cost: float64 (h + 1, W + 2, K), of the best path to each pixel, a row above the picture
    first. heights: the rows of each picture, falling. left_of: how many reach each row.
    """
    height, width, count = cost[1:, 1:-1].shape
    left, level, right = cost[:-1, :-2] + _BEND, cost[:-1, 1:-1], cost[:-1, 2:] + _BEND
    to_left = (left <= level) & (left <= right)
    step = np.where(to_left, -count, np.where(right < level, count, 0)).reshape(height, -1)
    each = np.arange(count)  # of each picture in a column of all
    at = cost[heights, 1:-1, each].argmin(axis=1) * count + each
    path = np.full((height, count), width // 2 * count)
    for row in range(height - 1, -1, -1):
        here = at[: left_of[row]]
        path[row, : len(here)] = here
        here += step[row].take(here)
    path //= count
    return path


def _prices(row: _Row, columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """float64 (h, W, K): what it costs to go through the pixels of some columns, intp (W, K)."""
    outside = row.ink.copy()
    cv2.floodFill(outside, None, (0, 0), _OUTSIDE)
    pixels = outside[1:-1].take(columns.ravel(), axis=1)
    return np.asarray(cv2.LUT(pixels, _PRICES), np.float64).reshape(-1, *columns.shape)
