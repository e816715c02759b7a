"""Touching digits cut apart.

A component wider than a digit may be several that touch. It is cut along seams, paths from
top to bottom that cross as little ink as they can, as in seam carving (Avidan and Shamir
2007), near the columns where its outline has a waist. Whether a cut was right is for the
lattice to find out; the uncut component stays a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.components import Components

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
_BLOCK = 64  # components that are cut at once


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
    waisted = []
    for member, height in zip(members.tolist(), figure.tolist(), strict=True):
        ink = parts.ink(member)
        columns = _waists(ink, height)
        if columns:
            waisted.append(_Waisted(member, ink, columns, height))
    # All at once, as there are many and each is small; but by the block, for memory.
    waisted.sort(key=lambda one: -len(one.ink))
    seams: Seams = {}
    for start in range(0, len(waisted), _BLOCK):
        seams |= _seams(waisted[start : start + _BLOCK])
    return seams


@dataclass(frozen=True, slots=True)
class _Waisted:
    """A component with waists.

    ink: bool (h, w), its pixels within its box. columns: those of its waists. height: of the
    line's figures, pixels.
    """

    member: int
    ink: NDArray[np.bool_]
    columns: list[int]
    height: float


def _waists(ink: NDArray[np.bool_], height: float) -> list[int]:
    """Columns where digits may touch, apart by at least a narrow digit.

    Where two digits touch, their outlines come together from above and below and part
    again, also where the strokes that meet are upright and the column is full of ink, as
    between two zeros.
    """
    top = ink.argmax(axis=0)
    bottom = ink.shape[0] - ink[::-1].argmax(axis=0)
    extent = np.where(ink.any(axis=0), bottom - top, 0)
    before = np.maximum.accumulate(extent)
    after = np.maximum.accumulate(extent[::-1])[::-1]
    waist = (extent <= _WAIST * max(height, len(ink))) & (
        np.minimum(before, after) >= _PARTS * extent
    )
    open_ = np.flatnonzero(waist)
    columns: list[int] = []
    most = max(_MOST_CUTS, round(_CUTS_A_HEIGHT * ink.shape[1] / height))
    while len(open_) and len(columns) < most:
        least = open_[extent[open_] == extent[open_].min()]
        # The middle of the first stretch that is as narrow, as of a bar between two digits.
        stretch = least[: 1 + int(np.argmax(np.append(np.diff(least) > 1, True)))]
        columns.append(int(stretch[len(stretch) // 2]))
        open_ = open_[abs(open_ - columns[-1]) >= max(2, _APART * height)]
    return sorted(columns)


def _seams(waisted: list[_Waisted]) -> Seams:
    """For each waist the path from top to bottom that crosses the least ink.

    A path that saves little is put straight. Left out are seams that cross more ink than a
    stroke or two. To go through a loop costs too: a digit is not cut through its middle.
    waisted: the highest first.
    """
    heights = np.array([len(one.ink) for one in waisted for _ in one.columns])
    figure = np.array([one.height for one in waisted for _ in one.columns])
    most = max(_reach(one.height) for one in waisted)
    price = np.zeros((heights[0], len(heights), 2 * most + 1))
    stop = 0
    for one in waisted:
        own = slice(stop, stop := stop + len(one.columns))
        cost = one.ink + _LOOP * _loops(one.ink)
        price[: len(cost), own] = cost[:, _window(one, most)]
    window = abs(np.arange(-most, most + 1))
    astray = _ASTRAY * window / figure[:, None]
    astray[window > np.array([_reach(height) for height in figure])[:, None]] = np.inf
    at = _cheapest(price, astray, heights)
    rows, each = np.arange(len(price))[:, None], np.arange(len(heights))
    crossed = price[rows, each, at][::-1].cumsum(axis=0)[-1]
    through = price[:, :, most].sum(axis=0)
    worth = crossed <= _SAVES * through
    at[:, ~worth] = most
    good = np.where(worth, crossed, through) <= _MOST_INK * np.maximum(figure, heights)
    seams: Seams = {}
    stop = 0
    for one in waisted:
        own = slice(stop, stop := stop + len(one.columns))
        columns = np.take_along_axis(_window(one, most), at[: len(one.ink), own].T, axis=1)
        if good[own].any():
            seams[one.member] = columns[good[own]]
    return seams


def _reach(height: float) -> int:
    """How far a seam may wander from its column, in pixels."""
    return max(1, round(_REACH * height))


def _window(one: _Waisted, reach: int) -> NDArray[np.intp]:
    """intp (K, W): the columns within reach of each waist, those at the sides repeated."""
    x = np.array(one.columns)[:, None] + np.arange(-reach, reach + 1)
    return np.clip(x, 0, one.ink.shape[1] - 1)


def _cheapest(
    price: NDArray[np.float64], astray: NDArray[np.float64], heights: NDArray[np.intp]
) -> NDArray[np.intp]:
    """intp (h, K): the columns of the cheapest path from top to bottom through each picture.

    price: float64 (h, K, W), of each pixel. astray: float64 (K, W), what a column costs more.
    heights: intp (K,), the rows of each picture, falling; paths stay in the middle below them.
    """
    height, count, width = price.shape
    left_of = (heights > np.arange(height)[:, None]).sum(axis=1).tolist()  # pictures, by row
    cost = np.full((height + 1, count, width + 2), np.inf)  # with a wall on either side
    cost[0, :, 1:-1] = 0.0
    left, here, right = cost[:, :, :-2], cost[:, :, 1:-1], cost[:, :, 2:]
    for row, some in enumerate(left_of):
        best = np.minimum(left[row, :some], right[row, :some])
        best += _BEND
        np.minimum(best, here[row, :some], out=best)
        best += price[row, :some]
        np.add(best, astray[:some], out=here[row + 1, :some])
    return _ways_up(cost, heights, left_of)


def _ways_up(
    cost: NDArray[np.float64], heights: NDArray[np.intp], left_of: list[int]
) -> NDArray[np.intp]:
    """intp (h, K): the column in each row of the path that ends the cheapest, walls not counted.

    cost: float64 (h + 1, K, W + 2), of the best path to each pixel, a row above the picture
    first. heights: the rows of each picture, falling. left_of: how many reach each row.
    """
    each = np.arange(len(heights))
    at = cost[heights, each].argmin(axis=1)
    path = np.full((len(left_of), len(heights)), cost.shape[2] // 2 - 1)
    for row in range(len(left_of) - 1, -1, -1):
        own = each[: left_of[row]]
        here = at[own]
        path[row, own] = here - 1
        left, right = cost[row, own, here - 1] + _BEND, cost[row, own, here + 1] + _BEND
        level = cost[row, own, here]
        to_left = (left <= level) & (left <= right)
        at[own] += np.where(to_left, -1, (right < level).astype(np.intp))
    return path


def _loops(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (h, w): paper that ink closes in."""
    outside = np.pad(ink, 1).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] == 0)
