"""Runs of pieces of ink that may be one glyph: the lattice of a field.

Pieces that stand over each other, or that were one component, may be one digit that fell
apart; every such run is a candidate. What may be a separator is told by size, place and
shape. Which candidates are digits is not decided here. All lines of a page are looked at at
once, for most are short.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_ATOMS", "candidates", "leans", "marks"]

MOST_ATOMS = 4  # in one candidate
_STRAIGHT = 0.004  # of the height squared: the variance across a straight stroke
_SLASH_LEAN = 13.0  # degrees, of a slash no higher than the figures
_SLASH_REACH = 0.5  # of the line's height above it, of a slash that hardly leans
_LARGE_COMMA = 1.1  # of the line's height: commas may be as high as small figures
_HANGS = 0.45  # of the figures' height: a comma begins lower
_SMALL = 0.45  # of the line's height: lower glyphs are separators or specks


def candidates(
    boxes: NDArray[np.int32],
    component: NDArray[np.intp],
    line: NDArray[np.intp],
    height: NDArray[np.float64],
) -> NDArray[np.intp]:
    """intp (N, 2): half-open runs of pieces of one line that may be one glyph each, in order.

    boxes: int32 (P, 4), line by line, from left to right. component: intp (P,), of which each
    is a part. line: intp (P,). height: float64 (P,), of its figures, pixels.
    """
    count = len(boxes)
    runs = np.ones((count, MOST_ATOMS), bool)  # from each piece on, of one piece and more
    each, joined = np.arange(count), boxes
    for more in range(1, MOST_ATOMS):
        last = np.minimum(each + more, count - 1)
        piece, before = boxes[last], joined
        joined = np.concatenate(
            [np.minimum(joined[:, :2], piece[:, :2]), np.maximum(joined[:, 2:], piece[:, 2:])],
            axis=1,
        )
        width, tall = (joined[:, 2:] - joined[:, :2]).T
        one = (component[last] == component[last - 1]) | _belong(before, piece, height)
        one &= (width <= 1.25 * height) & (tall <= 1.7 * height)
        one &= (line[last] == line) & (each + more < count)
        runs[:, more] = runs[:, more - 1] & one
    start, others = np.nonzero(runs)
    return np.stack([start, start + others + 1], axis=1)


def _belong(
    box: NDArray[np.int32], other: NDArray[np.int32], height: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether two pieces stand over each other or nearly touch, as parts of one digit do."""
    left, top, right, bottom = box.T
    left_of, top_of, right_of, bottom_of = other.T
    shared = np.minimum(right, right_of) - np.maximum(left, left_of)
    least = np.minimum(right - left, right_of - left_of)
    apart = np.maximum(np.maximum(top_of - bottom, top - bottom_of), 0)
    beside = (shared > -0.08 * height) & (shared >= 0.35 * least - 0.08 * height)
    return np.asarray(beside & (apart < 0.5 * height))


def leans(
    runs: NDArray[np.int32], boxes: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How glyphs lean, in degrees to the right, and whether each is one straight upright stroke.

    runs: int32 (4, N), row, start, end and glyph of each run of their ink. boxes: int32 (P, 4).
    Returns float64 and bool (P,). The lean is that of the regression of the glyph's pixels'
    columns on their rows.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    part = runs[3].astype(np.intp)
    left, top = boxes[:, :2].T.astype(np.float64).take(part, axis=1)
    y = runs[0] - top
    length = (runs[2] - runs[1]).astype(np.float64)
    middle = (runs[1] + runs[2] - 1) / 2 - left
    x = middle * length  # the sums of a run's columns, and of their squares
    xx = x * middle + (length**2 - 1) * length / 12
    area, sum_x, sum_y, sum_xx, sum_xy, sum_yy = (
        np.bincount(part, weights, len(boxes))
        for weights in (length, x, y * length, xx, x * y, y * y * length)
    )
    some = np.maximum(area, 1)
    rest = np.maximum(area - 1, 1)
    across = (sum_xx - sum_x * sum_x / some) / rest
    shared = (sum_xy - sum_x * sum_y / some) / rest
    along = (sum_yy - sum_y * sum_y / some) / rest
    thick = across - shared**2 / np.maximum(along, 1e-9)  # variance of x about the stroke's axis
    told = (area >= 5) & (height >= 3)
    straight = (
        told & (height >= 1.2 * width) & (thick <= _STRAIGHT * height.astype(np.float64) ** 2)
    )
    return np.where(told, np.degrees(np.arctan2(-shared, along)), 0.0), straight


def marks(
    boxes: NDArray[np.int32],
    lean: NDArray[np.float64],
    straight: NDArray[np.bool_],
    line: NDArray[np.intp],
    height: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """uint8 (P,): the separator that each glyph may be, ASCII, 0 for none.

    boxes: int32 (P, 4), line by line, from left to right. lean, straight: float64 and bool
    (P,), as of ``leans``. line: intp (P,). height: float64 (P,), of its figures.
    """
    result = np.zeros(len(boxes), np.uint8)
    if not len(boxes):
        return result
    heights = boxes[:, 3] - boxes[:, 1]
    tall = heights >= 0.6 * height
    near, there = _figures_beside(line, tall)
    top, bottom = _levels(boxes, line, near, there)
    result[(heights < _LARGE_COMMA * height) & _hang(boxes, top, bottom)] = ord(",")
    small = heights < _SMALL * height
    result[small] = _small_marks(boxes, top, bottom)[small]
    # A slash leans more than the writing, and reaches above and below the figures beside it;
    # the more of one, the less of the other it takes.
    reach = heights / _heights_beside(heights, height, near, there)
    own = np.maximum(_median_lean(lean, line, tall), 0.0)
    slash = (lean - own) / _SLASH_LEAN + (reach - 1) / _SLASH_REACH >= 1
    result[slash & straight & (reach > 0.85)] = ord("/")
    return result


def _figures_beside(
    line: NDArray[np.intp], tall: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The figures next to each glyph on its line, two on either side, and which there are.

    Both (P, 4), the first as their indices. line, tall: of each glyph, and whether it is a figure.
    """
    figures = np.flatnonzero(np.concatenate([[True] * 2, tall, [True] * 2])) - 2
    before = np.asarray(np.cumsum(tall) - tall, np.intp)
    near = figures[before[:, None] + [0, 1, 2, 3] + np.outer(tall, [0, 0, 1, 1])]
    inside = np.clip(near, 0, len(line) - 1)
    return inside, (near == inside) & (line[inside] == line[:, None])


def _heights_beside(
    heights: NDArray[np.int32],
    height: NDArray[np.float64],
    near: NDArray[np.intp],
    there: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """float64 (P,): the median height of the figures next to each glyph.

    Within one amount figures may halve in size. The line's ``height`` where there is none.
    """
    beside = np.sort(np.where(there, heights[near], np.inf), axis=1)
    count = there.sum(axis=1)
    each = np.arange(len(heights))
    median = (beside[each, np.maximum(count - 1, 0) // 2] + beside[each, count // 2]) / 2
    return np.where(count > 0, median, height)


def _levels(
    boxes: NDArray[np.int32],
    line: NDArray[np.intp],
    near: NDArray[np.intp],
    there: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (P,) each: top and bottom of the two figures nearest to each glyph.

    Those of all glyphs of its line where there is no figure.
    """
    away = np.where(there, abs(boxes[near, 0] - boxes[:, :1]), np.inf)
    nearest = np.argsort(away, axis=1, kind="stable")[:, :2]
    counts = np.take_along_axis(there, nearest, axis=1)
    figures = np.take_along_axis(near, nearest, axis=1)
    count = counts.sum(axis=1)
    top, bottom = (
        (boxes[figures, side] * counts).sum(axis=1) / np.maximum(count, 1) for side in (1, 3)
    )
    first, own = np.unique(line, return_index=True, return_inverse=True)[1:]
    highest = np.minimum.reduceat(boxes[:, 1], first)[own]
    lowest = np.maximum.reduceat(boxes[:, 3], first)[own]
    return np.where(count > 0, top, highest), np.where(count > 0, bottom, lowest)


def _median_lean(
    lean: NDArray[np.float64], line: NDArray[np.intp], tall: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """float64 (P,): of the figures of each glyph's line, 0 where there are none."""
    figures = np.flatnonzero(tall)
    figures = figures[np.lexsort((lean[figures], line[figures]))]
    count = np.bincount(line[figures], minlength=int(line.max()) + 1)
    padded = np.append(lean[figures], 0.0)
    begin = np.cumsum(count) - count
    middle = (padded[begin + np.maximum(count - 1, 0) // 2] + padded[begin + count // 2]) / 2
    return np.where(count > 0, middle, 0.0)[line]


def _hang(
    boxes: NDArray[np.int32], top: NDArray[np.float64], bottom: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which glyphs begin in the lower half of the figures next to them and end below them."""
    return np.asarray((boxes[:, 1] > top + _HANGS * (bottom - top)) & (boxes[:, 3] > bottom))


def _small_marks(
    boxes: NDArray[np.int32], top: NDArray[np.float64], bottom: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Which separator each glyph may be if it is lower than a digit, by its place and shape."""
    left, upper, right, lower = boxes.T
    width, tall = right - left, lower - upper
    line = np.maximum(bottom - top, 1.0)
    place = ((upper + lower) / 2 - top) / line
    dash = (place > 0.2) & (place < 0.8) & (width >= 1.5 * tall)
    apostrophe = (place > -0.3) & (place <= 0.3)
    low = (place >= 0.6) & (place < 1.45)
    comma = low & ((lower > bottom + 0.12 * line) | (tall > 1.4 * width))
    found = np.select([dash, apostrophe, comma, low], [ord(sign) for sign in "-',."], 0)
    return found.astype(np.uint8)
