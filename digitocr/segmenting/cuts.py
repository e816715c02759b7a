"""Touching digits cut apart.

A component wider than a digit may be several that touch. It is cut along seams, paths from
top to bottom that cross as little ink as they can, as in seam carving (Avidan and Shamir
2007), near the columns where its outline has a waist. Whether a cut was right is for the
lattice to find out; the uncut component stays a candidate.
"""

from __future__ import annotations

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
    seams: Seams = {}
    for member, height in zip(members.tolist(), figure.tolist(), strict=True):
        ink = parts.ink(member)
        found = _seams(ink, _waists(ink, height), height)
        if len(found):
            seams[member] = found
    return seams


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


def _seams(ink: NDArray[np.bool_], columns: list[int], height: float) -> NDArray[np.intp]:
    """intp (K, h): for each column the path from top to bottom that crosses the least ink.

    A path that saves little is put straight. Left out are seams that cross more ink than a
    stroke or two. To go through a loop costs too: a digit is not cut through its middle.
    """
    if not columns:
        return np.zeros((0, len(ink)), np.intp)
    reach = max(1, round(_REACH * height))
    window = np.arange(-reach, reach + 1)
    x = np.clip(np.array(columns)[:, None] + window, 0, ink.shape[1] - 1)  # (K, W)
    astray = np.asarray(_ASTRAY * abs(window) / height, np.float64)
    price = ink + _LOOP * _loops(ink)
    at = _cheapest(price[:, x], astray)
    seams = np.take_along_axis(x, at, axis=1)
    crossed = price[np.arange(len(ink)), seams][:, ::-1].cumsum(axis=1)[:, -1]
    straight = np.repeat(np.array(columns)[:, None], len(ink), axis=1)
    through = price.sum(axis=0)[columns]
    worth = crossed <= _SAVES * through
    seams[~worth] = straight[~worth]
    return seams[np.where(worth, crossed, through) <= _MOST_INK * max(height, len(ink))]


def _cheapest(price: NDArray[np.float64], astray: NDArray[np.float64]) -> NDArray[np.intp]:
    """intp (K, h): the columns of the cheapest path from top to bottom through each picture.

    price: float64 (h, K, W), of each pixel. astray: float64 (W,), what a column costs more.
    """
    height, count, width = price.shape
    cost = np.full((height + 1, count, width + 2), np.inf)  # with a wall on either side
    cost[0, :, 1:-1] = 0.0
    left, here, right = cost[:, :, :-2], cost[:, :, 1:-1], cost[:, :, 2:]
    for row in range(height):
        best = np.minimum(np.minimum(left[row], right[row]) + _BEND, here[row])
        here[row + 1] = best + price[row] + astray
    return np.array([_way_up(rows) for rows in cost.transpose(1, 0, 2).tolist()], np.intp)


def _way_up(cost: list[list[float]]) -> list[int]:
    """The column in each row of the path that ends the cheapest, walls not counted.

    cost: of the best path to each pixel, a row above the picture first.
    """
    at = min(range(len(cost[-1])), key=cost[-1].__getitem__)
    path = []
    for before in cost[-2::-1]:  # lists are quicker
        path.append(at - 1)
        left, here, right = before[at - 1] + _BEND, before[at], before[at + 1] + _BEND
        if left <= here and left <= right:
            at -= 1
        elif right < here:
            at += 1
    return path[::-1]


def _loops(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (h, w): paper that ink closes in."""
    outside = np.pad(ink, 1).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] == 0)
