"""Pieces of ink and the runs of them that may be one glyph: the lattice of a field.

A component much wider than a digit may be several that touch; it is cut where its ink is
thin. Pieces that stand over each other, or that were one component, may be one digit that
fell apart; every such run is a candidate. Which candidates are digits is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["Piece", "candidates", "cut_touching", "marks", "straight_lean"]

_WIDE = 0.85  # of the line's height: wider components may hold several digits
_CURSIVE = 4.5  # of the line's height: wider components are words or signatures
_WAIST = 0.62  # of the figures' height: digits that touch share no more than this
_LEAST_PIECE = 0.15  # of the line's height: no piece of a cut is narrower, as a 1 is
_MOST_ATOMS = 4  # in one candidate
_STRAIGHT = 0.004  # of the height squared: the variance across a straight stroke
_SLASH_LEAN = 17.0  # degrees, of a slash no higher than the figures
_SLASH_REACH = 0.5  # of the line's height above it, of a slash that hardly leans
_SMALL = 0.45  # of the line's height: lower glyphs are separators or specks


@dataclass(frozen=True, slots=True)
class Piece:
    """A component, or the part of it between two columns.

    component: index of the component. box: of the piece, in pixels. whole: not cut.
    """

    component: int
    box: tuple[int, int, int, int]
    whole: bool = True


def cut_touching(
    component: int, box: NDArray[np.int32], ink: NDArray[np.bool_], height: float
) -> list[Piece]:
    """The pieces of a component: itself, or its parts where it may hold several digits.

    box: int32 (4,). ink: bool (h, w), the component's pixels within its box.
    height: of the line's figures, pixels.
    """
    left, top, right, bottom = (int(edge) for edge in box)
    whole = [Piece(component, (left, top, right, bottom))]
    width = right - left
    if not _WIDE * height < width < _CURSIVE * height or bottom - top < 0.5 * height:
        return whole
    columns = _cut_columns(ink, height)
    if not columns:
        return whole
    edges = [0, *columns, width]
    pieces = []
    for start, stop in pairwise(edges):
        rows = np.flatnonzero(ink[:, start:stop].any(axis=1))
        if len(rows):
            bounds = (left + start, top + int(rows[0]), left + stop, top + int(rows[-1]) + 1)
            pieces.append(Piece(component, bounds, whole=False))
    return pieces


def _cut_columns(ink: NDArray[np.bool_], height: float) -> list[int]:
    """Columns where digits may touch, apart by at least a narrow digit.

    Where two digits touch, their outlines come together from above and below, also where
    the strokes that meet are upright and the column is full of ink, as between two zeros.
    """
    least = max(2, round(_LEAST_PIECE * height))
    top = ink.argmax(axis=0)
    bottom = ink.shape[0] - ink[::-1].argmax(axis=0)
    extent = np.where(ink.any(axis=0), bottom - top, 0)
    order = np.lexsort((ink.sum(axis=0), extent))
    columns: list[int] = []
    for column in order[extent[order] <= _WAIST * max(height, len(ink))]:
        inside = least <= column <= len(extent) - least
        if inside and all(abs(column - other) >= least for other in columns):
            columns.append(int(column))
    return sorted(columns)


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


def straight_lean(ink: NDArray[np.bool_]) -> float:
    """Degrees by which a straight upright stroke leans to the right; 0 for any other shape.

    ink: bool (h, w).
    """
    height, width = ink.shape
    if height < 1.2 * width or ink.sum() < 5:
        return 0.0
    y, x = np.nonzero(ink)
    (across, shared), (_, along) = np.cov(x, y)
    thick = across - shared**2 / max(along, 1e-9)  # variance of x about the stroke's axis
    if thick > _STRAIGHT * height**2:
        return 0.0
    return float(np.degrees(np.arctan2(-shared, along)))


def marks(boxes: NDArray[np.int32], leans: NDArray[np.float64], height: float) -> NDArray[np.uint8]:
    """uint8 (N,): the separator that each glyph of one line may be, ASCII, 0 for none.

    boxes: int32 (N, 4), from left to right. leans: float64 (N,), degrees from the upright
    to the right of straight thin strokes, 0 for other shapes. height: of the line's figures.
    """
    result = np.zeros(len(boxes), np.uint8)
    heights = boxes[:, 3] - boxes[:, 1]
    tall = heights >= 0.6 * height
    for index in np.flatnonzero(heights < _SMALL * height):
        top, bottom = _level(boxes, tall, int(index))
        result[index] = _small_mark(boxes[index], top, bottom)
    # A slash leans, and reaches above and below the figures; the more of one, the less of
    # the other it takes.
    reach = heights / height
    slash = (leans > 0) & (leans / _SLASH_LEAN + (reach - 1) / _SLASH_REACH >= 1) & (reach > 0.85)
    result[slash] = ord("/")
    return result


def _level(boxes: NDArray[np.int32], tall: NDArray[np.bool_], index: int) -> tuple[float, float]:
    """Top and bottom of the figures next to a small glyph."""
    others = np.flatnonzero(tall)
    if not len(others):
        return float(boxes[:, 1].min()), float(boxes[:, 3].max())
    nearest = others[np.argsort(abs(boxes[others, 0] - boxes[index, 0]), kind="stable")[:2]]
    return float(boxes[nearest, 1].mean()), float(boxes[nearest, 3].mean())


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
