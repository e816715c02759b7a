"""Stage 3: ink -> fields, and the pieces of ink in them that may be digits.

Fields are rows of cells, boxes around a number, and lines of writing on open paper that
are no prose. The pieces are connected components, cut where several digits may touch.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from digitocr.components import Components, Hole, find_components, packed
from digitocr.recipe import SegmentOptions
from digitocr.segmenting.atoms import MOST_ATOMS, candidates, leans, marks
from digitocr.segmenting.combs import Comb, find_combs
from digitocr.segmenting.cuts import CURSIVE, Seams, find_seams, may_touch
from digitocr.segmenting.fields import Content, find_fields
from digitocr.segmenting.pieces import Pieces, cut_apart
from digitocr.types import Box, Field, Ink, Segments

__all__ = ["segment"]

_ABOVE_FIGURES = 1.3  # times their height: what is so high is no figure nor part of one
_SPECK = 0.1  # of the figures' height; dots are larger
_ONLY_SLASH = 1.35  # of the figures' height, which ones seldom reach
_TALL = 0.6  # of the figures' height: what is so high may be one
_REMNANT = 0.4  # of the largest piece in a cell; smaller ones at its rim are of its frame
_RIM = 0.15  # of a cell's width


def segment(ink: Ink, options: SegmentOptions) -> Segments:
    """Find the fields of a page and the candidates for their digits.

    A page without any gives empty arrays of the right dtypes.
    """
    mask, lines, page = packed(ink.mask), packed(ink.lines), _page_size(ink)
    combs = find_combs(mask, lines, page[1]) if options.cells else []
    parts = find_components(mask, [_bars(comb, mask.shape) for comb in combs])
    return _lattice(parts, find_fields(parts, lines, combs, page, options))


def _page_size(ink: Ink) -> tuple[int, int]:
    """Width and height of a picture that would hold all of the page as the ink lies."""
    width, height = abs(np.linalg.inv(ink.to_page[:, :2])) @ ink.page_size
    return ceil(width - 1e-6), ceil(height - 1e-6)


def _bars(comb: Comb, shape: tuple[int, int]) -> Hole:
    """Where the bars of a comb are, which stand between characters as ones do."""
    columns = np.zeros(shape[1], bool)
    for left, _, right, _ in comb.bars.tolist():
        columns[max(0, left) : right + 1] = True
    return max(0, int(comb.bars[0, 1]) - 1), int(comb.bars[0, 3]) + 1, columns


def _lattice(parts: Components, contents: list[Content]) -> Segments:
    """Pieces and candidates of all fields, as one structure of arrays."""
    pieces, field = _pieces(parts, contents)
    order, cells = _in_cells(pieces, field, contents)
    pieces, field = pieces.take(order), field[order]
    height = np.array([content.height for content in contents])[field]
    marks = _marks(pieces, field, height, contents)
    in_cells = np.array([bool(content.field.cells) for content in contents], bool)[field]
    runs = candidates(pieces.boxes, pieces.component, field, height)
    runs = np.concatenate([runs[~in_cells[runs[:, 0]]], cells])
    span = runs[np.lexsort((runs[:, 1], runs[:, 0]))]
    return Segments(
        fields=tuple(content.field for content in contents),
        labels=_painted(pieces, parts.shape),
        atom_boxes=pieces.boxes,
        field=field[span[:, 0]].astype(np.int32),
        span=span.astype(np.int32),
        boxes=_span_boxes(pieces.boxes, span),
        cuts=_cuts(pieces.component, span),
        mark=_run_marks(pieces.boxes, marks, span),
    )


def _span_boxes(atom_boxes: NDArray[np.int32], span: NDArray[np.intp]) -> NDArray[np.int32]:
    """int32 (N, 4): the box around the atoms of each span."""
    if not len(span):
        return atom_boxes[:0]
    padded = np.concatenate([atom_boxes, atom_boxes[:1]])  # for the last stop
    low = np.minimum.reduceat(padded[:, :2], span.ravel())[::2]
    high = np.maximum.reduceat(padded[:, 2:], span.ravel())[::2]
    return np.concatenate([low, high], axis=1)


def _pieces(parts: Components, contents: list[Content]) -> tuple[Pieces, NDArray[np.intp]]:
    """The pieces of all fields, from left to right in each, and the field of each.

    Specks are left out.
    """
    counts = [len(content.members) for content in contents]
    field = np.repeat(np.arange(len(contents)), counts)
    members = np.concatenate([np.zeros(0, np.intp), *(content.members for content in contents)])
    height = np.repeat([content.height for content in contents], counts)
    large = np.maximum(parts.widths, parts.heights)[members] >= _SPECK * height
    parts, field, height = parts.take(members[large]), field[large], height[large]
    seams = _seams_in_cells(parts, field, contents)
    seams |= _seams_between_digits(parts, field, height, contents)
    pieces = cut_apart(parts, seams)
    field = field[pieces.component]
    order = np.lexsort((pieces.boxes[:, 0], field))
    return pieces.take(order), field[order]


def _seams_between_digits(
    parts: Components,
    field: NDArray[np.intp],
    height: NDArray[np.float64],
    contents: list[Content],
) -> Seams:
    """Where components may be several digits that touch, and are no straight strokes."""
    longest = np.array([inf if one.field.kind == "given" else CURSIVE for one in contents])
    in_cells = np.array([bool(content.field.cells) for content in contents], bool)
    touch = may_touch(parts.widths, parts.heights, height, longest[field])
    wide = np.flatnonzero(touch & ~in_cells[field])
    some = parts.take(wide)
    wide = wide[~leans(some.runs, some.boxes)[1]]
    return find_seams(parts, wide, height[wide])


def _seams_in_cells(parts: Components, field: NDArray[np.intp], contents: list[Content]) -> Seams:
    """Straight seams between cells, through components that reach well into several."""
    seams = {}
    for number, content in enumerate(contents):
        cells = content.field.cells
        if not cells:
            continue
        least = 0.25 * min(cell[2] - cell[0] for cell in cells)
        edges = np.array([(a[2] + b[0]) // 2 for a, b in pairwise(cells)])
        own = np.flatnonzero(field == number)
        for part, (left, top, right, bottom) in zip(
            own.tolist(), parts.boxes[own].tolist(), strict=True
        ):
            columns = edges[(left + least < edges) & (edges < right - least)] - left
            if len(columns):
                seams[part] = np.repeat(columns[:, None], bottom - top, axis=1)
    return seams


def _in_cells(
    pieces: Pieces, field: NDArray[np.intp], contents: list[Content]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order of the pieces in which those of one cell stand side by side.

    Without what is left of the cells' frames. Returns the pieces' indices and intp (N, 2), in
    that order the half-open run of pieces of each cell with ink, which is one candidate.
    """
    boxes = pieces.boxes.tolist()
    bounds = np.searchsorted(field, np.arange(len(contents) + 1)).tolist()
    order: list[int] = []
    runs: list[tuple[int, int]] = []
    for content, (start, stop) in zip(contents, pairwise(bounds), strict=True):
        if not content.field.cells:
            order += range(start, stop)
            continue
        for own in _by_cell(content.field, boxes, range(start, stop)):
            if own:
                runs.append((len(order), len(order) + len(own)))
                order += own
    return np.array(order, np.intp), np.array(runs, np.intp).reshape(-1, 2)


def _by_cell(field: Field, boxes: list[Box], own: range) -> list[list[int]]:
    """Of the pieces of a row of cells, those whose middle lies in each, without remnants."""
    by_cell: list[list[int]] = [[] for _ in field.cells]
    edges = [(a[2] + b[0]) / 2 for a, b in pairwise(field.cells)]
    for at in own:
        by_cell[bisect_left(edges, (boxes[at][0] + boxes[at][2]) / 2)].append(at)
    return [
        _without_remnants(cell, pieces, boxes)
        for cell, pieces in zip(field.cells, by_cell, strict=True)
    ]


def _without_remnants(cell: Box, pieces: list[int], boxes: list[Box]) -> list[int]:
    """The pieces in a cell but for small ones at its rim, beside a larger one."""
    sizes = [
        (right - left) * (bottom - top)
        for left, top, right, bottom in map(boxes.__getitem__, pieces)
    ]
    return [
        piece
        for piece, size in zip(pieces, sizes, strict=True)
        if size >= _REMNANT * max(sizes) or not _at_rim(cell, boxes[piece])
    ]


def _at_rim(cell: Box, box: Box) -> bool:
    """Whether an upright piece stands at the left or right edge of a cell."""
    place = ((box[0] + box[2]) / 2 - cell[0]) / (cell[2] - cell[0])
    return min(place, 1 - place) < _RIM and box[3] - box[1] > box[2] - box[0]


def _painted(pieces: Pieces, shape: tuple[int, int]) -> NDArray[np.integer]:
    """(h, w): the number of the piece on each pixel, from 1; 0 for none."""
    few = len(pieces.boxes) <= np.iinfo(np.int16).max
    labels = np.zeros(shape, np.int16 if few else np.int32)
    row, start, end, piece = pieces.runs
    lengths = end - start
    before = np.cumsum(lengths, dtype=np.int32) - lengths
    at = np.repeat(row * np.int32(shape[1]) + start - before, lengths)
    at += np.arange(len(at), dtype=np.int32)
    labels.ravel()[at] = np.repeat((piece + 1).astype(labels.dtype), lengths)
    return labels


def _marks(
    pieces: Pieces, field: NDArray[np.intp], height: NDArray[np.float64], contents: list[Content]
) -> NDArray[np.uint8]:
    """The separator each piece may be; none in cells, where only digits stand."""
    boxes = pieces.boxes
    lean, straight = leans(pieces.runs, boxes)
    heights = boxes[:, 3] - boxes[:, 1]
    # Parts of digits that were cut are straight too, but no higher than digits.
    whole = pieces.whole | (heights > _ABOVE_FIGURES * height)
    found = marks(boxes, lean, straight & whole, field, height)
    for number, content in enumerate(contents):
        if content.field.cells:
            found[field == number] = 0
        elif content.field.kind == "given":
            own = field == number
            # No word that a slash may stand in: leaning ones are likelier.
            one = own & (found == ord("/")) & (heights < _ONLY_SLASH * height)
            one[np.flatnonzero(own & (heights >= _TALL * height))[:1]] = (
                True  # none begins a number
            )
            found[one] = 0
    return found


def _cuts(component: NDArray[np.intp], span: NDArray[np.intp]) -> NDArray[np.uint8]:
    """How many of the two sides of each run of pieces are cut through a component."""
    same = np.zeros(len(component) + 1, np.uint8)  # as the piece before
    same[1:-1] = component[1:] == component[:-1]
    return same[span[:, 0]] + same[span[:, 1]]


def _run_marks(
    boxes: NDArray[np.int32], marks: NDArray[np.uint8], span: NDArray[np.intp]
) -> NDArray[np.uint8]:
    """The separator each run of pieces may be: its only piece's, or that of a slash with specks."""
    if not len(span):
        return marks[:0]
    at = np.minimum(span[:, :1] + np.arange(MOST_ATOMS), span[:, 1:] - 1)  # of cells none is any
    highest = (boxes[at, 3] - boxes[at, 1]).argmax(axis=1)
    found = marks[at[np.arange(len(at)), highest]]
    alone = span[:, 1] - span[:, 0] == 1
    return np.where(alone | (found == ord("/")), found, np.uint8(0))
