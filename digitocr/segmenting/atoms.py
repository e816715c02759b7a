"""Runs of pieces of ink that may be one glyph: the lattice of a field.

Pieces that stand over each other, or that were one component, may be one digit that fell
apart; every such run is a candidate. What may be a separator is told by size, place and
shape. Which candidates are digits is not decided here.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.segmenting.cuts import Piece

__all__ = ["candidates", "lean", "marks"]

_MOST_ATOMS = 4  # in one candidate
_STRAIGHT = 0.004  # of the height squared: the variance across a straight stroke
_SLASH_LEAN = 13.0  # degrees, of a slash no higher than the figures
_SLASH_REACH = 0.5  # of the line's height above it, of a slash that hardly leans
_LARGE_COMMA = 1.1  # of the line's height: commas may be as high as small figures
_HANGS = 0.45  # of the figures' height: a comma begins lower
_SMALL = 0.45  # of the line's height: lower glyphs are separators or specks


def candidates(pieces: list[Piece], height: float) -> list[tuple[int, int]]:
    """Half-open runs of pieces, in reading order, that may be one glyph each.

    pieces: from left to right. height: of the line's figures, pixels.
    """
    runs = []
    for start in range(len(pieces)):
        runs.append((start, start + 1))
        bounds = pieces[start].box
        for stop in range(start + 2, min(start + _MOST_ATOMS, len(pieces)) + 1):
            piece, before = pieces[stop - 1], pieces[stop - 2]
            joined = _union(bounds, piece.box)
            if joined[2] - joined[0] > 1.25 * height or joined[3] - joined[1] > 1.7 * height:
                break
            same = piece.component == before.component
            if not (same or _belong(bounds, piece.box, height)):
                break
            bounds = joined
            runs.append((start, stop))
    return runs


def _belong(
    box: tuple[int, int, int, int], other: tuple[int, int, int, int], height: float
) -> bool:
    """Whether two pieces stand over each other or nearly touch, as parts of one digit do."""
    shared = min(box[2], other[2]) - max(box[0], other[0])
    least = min(box[2] - box[0], other[2] - other[0])
    apart = max(other[1] - box[3], box[1] - other[3], 0)
    return (
        shared > -0.08 * height and shared >= 0.35 * least - 0.08 * height and apart < 0.5 * height
    )


def _union(
    box: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    return (
        min(box[0], other[0]),
        min(box[1], other[1]),
        max(box[2], other[2]),
        max(box[3], other[3]),
    )


def lean(ink: NDArray[np.bool_]) -> tuple[float, bool]:
    """How a glyph leans, in degrees to the right, and whether it is one straight upright stroke.

    ink: bool (h, w). The lean is that of the regression of its pixels' columns on their rows.
    """
    height, width = ink.shape
    moments = cv2.moments(ink.view(np.uint8), binaryImage=True)
    if moments["m00"] < 5 or height < 3:
        return 0.0, False
    across, shared, along = (
        moments[name] / (moments["m00"] - 1) for name in ("mu20", "mu11", "mu02")
    )
    thick = across - shared**2 / max(along, 1e-9)  # variance of x about the stroke's axis
    straight = height >= 1.2 * width and thick <= _STRAIGHT * height**2
    return math.degrees(math.atan2(-shared, along)), straight


def marks(
    boxes: NDArray[np.int32],
    leans: NDArray[np.float64],
    straight: NDArray[np.bool_],
    height: float,
) -> NDArray[np.uint8]:
    """uint8 (N,): the separator that each glyph of one line may be, ASCII, 0 for none.

    boxes: int32 (N, 4), from left to right. leans, straight: float64 and bool (N,), as of
    ``lean``. height: of the line's figures.
    """
    result = np.zeros(len(boxes), np.uint8)
    if not len(boxes):
        return result
    heights = boxes[:, 3] - boxes[:, 1]
    tall = heights >= 0.6 * height
    top, bottom = _levels(boxes, tall)
    result[(heights < _LARGE_COMMA * height) & _hang(boxes, top, bottom)] = ord(",")
    for index in np.flatnonzero(heights < _SMALL * height):
        result[index] = _small_mark(boxes[index], top[index], bottom[index])
    # A slash leans more than the writing, and reaches above and below the figures beside it;
    # the more of one, the less of the other it takes.
    hand = float(np.median(leans[tall])) if tall.any() else 0.0
    reach = heights / _heights_beside(heights, tall, height)
    slash = (leans - max(0.0, hand)) / _SLASH_LEAN + (reach - 1) / _SLASH_REACH >= 1
    result[slash & straight & (reach > 0.85)] = ord("/")
    return result


def _heights_beside(
    heights: NDArray[np.int32], tall: NDArray[np.bool_], height: float
) -> NDArray[np.float64]:
    """float64 (N,): the height of the figures next to each glyph, two on either side.

    Within one amount figures may halve in size. ``height`` where there is none.
    """
    at = np.asarray(np.cumsum(tall) - tall, np.intp)  # figures before each glyph
    figures = np.concatenate([[np.nan] * 2, heights[tall], [np.nan] * 2])
    near = np.sort(figures[at[:, None] + [0, 1, 2, 3] + np.outer(tall, [0, 0, 1, 1])], axis=1)
    count = np.isfinite(near).sum(axis=1)
    each = np.arange(len(heights))
    median = (near[each, np.maximum(count - 1, 0) // 2] + near[each, count // 2]) / 2
    return np.where(count > 0, median, height)


def _levels(
    boxes: NDArray[np.int32], tall: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (N,) each: top and bottom of the two figures nearest to each glyph.

    Those of all glyphs where there is no figure.
    """
    distance = abs(np.subtract.outer(boxes[:, 0], boxes[:, 0])).astype(np.float64)
    distance[:, ~tall] = np.inf
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :2]
    there = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    count = there.sum(axis=1)
    top, bottom = (
        (boxes[nearest, side] * there).sum(axis=1) / np.maximum(count, 1) for side in (1, 3)
    )
    none = count == 0
    return np.where(none, boxes[:, 1].min(), top), np.where(none, boxes[:, 3].max(), bottom)


def _hang(
    boxes: NDArray[np.int32], top: NDArray[np.float64], bottom: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which glyphs begin in the lower half of the figures next to them and end below them."""
    return np.asarray((boxes[:, 1] > top + _HANGS * (bottom - top)) & (boxes[:, 3] > bottom))


def _small_mark(box: NDArray[np.int32], top: float, bottom: float) -> int:
    """Which separator a glyph lower than a digit may be, by its place and shape."""
    left, upper, right, lower = (int(edge) for edge in box)
    width, tall, line = right - left, lower - upper, max(bottom - top, 1.0)
    place = ((upper + lower) / 2 - top) / line
    if 0.2 < place < 0.8 and width >= 1.5 * tall:
        return ord("-")
    if place <= 0.3:
        return ord("'") if place > -0.3 else 0
    if place >= 0.6:
        low = lower > bottom + 0.12 * line or tall > 1.4 * width
        return (ord(",") if low else ord(".")) if place < 1.45 else 0
    return 0
