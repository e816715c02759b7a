"""Stage 3: ink -> fields, and the pieces of ink in them that may be digits.

Fields are rows of cells, boxes around a number, and lines of writing on open paper that
are no prose. The pieces are connected components, cut where several digits may touch.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from digitocr.components import Components, find_components
from digitocr.recipe import SegmentOptions
from digitocr.segmenting.atoms import candidates, lean, marks
from digitocr.segmenting.combs import Comb, find_combs
from digitocr.segmenting.cuts import CURSIVE, Piece, cut_along, cut_touching, may_touch
from digitocr.segmenting.fields import Content, find_fields
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
    combs = find_combs(ink.mask, ink.lines) if options.cells else []
    parts = find_components(_without_bars(ink.mask, combs))
    return _lattice(parts, find_fields(parts, ink.lines, combs, options))


def _without_bars(mask: NDArray[np.uint8], combs: list[Comb]) -> NDArray[np.uint8]:
    """The ink without the bars of combs, which stand between characters as ones do."""
    if not combs:
        return mask
    bare = mask.copy()
    for left, top, right, bottom in np.concatenate([comb.bars for comb in combs]):
        bare[max(0, top - 1) : bottom + 1, max(0, left) : right + 1] = 0
    return bare


def _lattice(parts: Components, contents: list[Content]) -> Segments:
    """Pieces and candidates of all fields, as one structure of arrays."""
    labels = np.zeros(parts.labels.shape, np.int32)
    atoms: list[Piece] = []
    field: list[int] = []
    spans: list[tuple[int, int]] = []
    cuts: list[int] = []
    mark: list[np.uint8] = []
    for number, content in enumerate(contents):
        pieces = _pieces(parts, content)
        runs = (
            _cell_runs(content.field, pieces)
            if content.field.cells
            else candidates(pieces, content.height)
        )
        pieces_mark = _marks(parts, pieces, content)
        for offset, piece in enumerate(pieces):
            _paint(labels, parts, piece, len(atoms) + offset + 1)
        spans += [(start + len(atoms), stop + len(atoms)) for start, stop in runs]
        cuts += [_cuts(pieces, *run) for run in runs]
        mark += [_run_mark(pieces, pieces_mark, *run) for run in runs]
        field += [number] * len(runs)
        atoms += pieces
    atom_boxes = np.array([piece.box for piece in atoms], np.int32).reshape(-1, 4)
    span = np.array(spans, np.int32).reshape(-1, 2)
    return Segments(
        fields=tuple(content.field for content in contents),
        labels=labels,
        atom_boxes=atom_boxes,
        field=np.array(field, np.int32),
        span=span,
        boxes=_span_boxes(atom_boxes, span),
        cuts=np.array(cuts, np.uint8),
        mark=np.array(mark, np.uint8),
    )


def _span_boxes(atom_boxes: NDArray[np.int32], span: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 (N, 4): the box around the atoms of each span."""
    if not len(span):
        return atom_boxes[:0]
    padded = np.concatenate([atom_boxes, atom_boxes[:1]])  # for the last stop
    low = np.minimum.reduceat(padded[:, :2], span.ravel())[::2]
    high = np.maximum.reduceat(padded[:, 2:], span.ravel())[::2]
    return np.concatenate([low, high], axis=1)


def _pieces(parts: Components, content: Content) -> list[Piece]:
    """The pieces of a field's components, from left to right; specks are left out."""
    pieces: list[Piece] = []
    size = np.maximum(parts.widths, parts.heights)[content.members]
    for member in content.members[size >= _SPECK * content.height].tolist():
        left, top, right, bottom = box = parts.box(member)
        if content.field.cells:
            ink = parts.labels[top:bottom, left:right] == member + 1
            pieces += _cut_at_cells(member, box, ink, content.field.cells)
        else:
            pieces += _cut_apart(parts, member, box, content)
    return sorted(pieces, key=lambda piece: piece.box[0])


def _cut_apart(parts: Components, member: int, box: Box, content: Content) -> list[Piece]:
    """The component itself, or its parts where several digits may touch in it."""
    longest = inf if content.field.kind == "given" else CURSIVE
    if not may_touch(box, content.height, longest):
        return [Piece(member, box)]
    left, top, right, bottom = box
    ink = parts.labels[top:bottom, left:right] == member + 1
    cut = cut_touching(member, box, ink, content.height)
    return [Piece(member, box)] if not cut[0].whole and lean(ink)[1] else cut


def _cut_at_cells(
    member: int, box: Box, ink: NDArray[np.bool_], cells: tuple[Box, ...]
) -> list[Piece]:
    """The component itself, or its parts where it reaches well into several cells."""
    left, top, right, _ = box
    edges = [(a[2] + b[0]) // 2 for a, b in pairwise(cells)]
    least = 0.25 * min(cell[2] - cell[0] for cell in cells)
    columns = [edge - left for edge in edges if left + least < edge < right - least]
    straight = np.repeat(np.array(columns, np.intp)[:, None], len(ink), axis=1)
    return cut_along(member, left, top, ink, straight)


def _cell_runs(field: Field, pieces: list[Piece]) -> list[tuple[int, int]]:
    """One candidate for each cell with ink: all the pieces whose middle lies in it.

    ``pieces`` is put in the order of the cells, without what is left of their frames.
    """
    by_cell: list[list[Piece]] = [[] for _ in field.cells]
    edges = [(a[2] + b[0]) / 2 for a, b in pairwise(field.cells)]
    for piece in pieces:
        by_cell[int(np.searchsorted(edges, (piece.box[0] + piece.box[2]) / 2))].append(piece)
    kept = [_without_remnants(cell, own) for cell, own in zip(field.cells, by_cell, strict=True)]
    pieces[:] = [piece for own in kept for piece in own]
    bounds = np.cumsum([0, *(len(own) for own in kept)])
    return [(int(start), int(stop)) for start, stop in pairwise(bounds) if stop > start]


def _without_remnants(cell: Box, pieces: list[Piece]) -> list[Piece]:
    """The pieces in a cell but for small ones at its rim, beside a larger one."""
    sizes = [(p.box[2] - p.box[0]) * (p.box[3] - p.box[1]) for p in pieces]
    return [
        piece
        for piece, size in zip(pieces, sizes, strict=True)
        if size >= _REMNANT * max(sizes) or not _at_rim(cell, piece.box)
    ]


def _at_rim(cell: Box, box: Box) -> bool:
    """Whether an upright piece stands at the left or right edge of a cell."""
    place = ((box[0] + box[2]) / 2 - cell[0]) / (cell[2] - cell[0])
    return min(place, 1 - place) < _RIM and box[3] - box[1] > box[2] - box[0]


def _paint(labels: NDArray[np.int32], parts: Components, piece: Piece, label: int) -> None:
    """Write a piece's label on its pixels."""
    left, top, right, bottom = piece.box
    labels[top:bottom, left:right][_mask(parts, piece)] = label


def _mask(parts: Components, piece: Piece) -> NDArray[np.bool_]:
    """bool (h, w): a piece's pixels within its box."""
    if piece.mask is not None:
        return piece.mask
    left, top, right, bottom = piece.box
    own: NDArray[np.bool_] = parts.labels[top:bottom, left:right] == piece.component + 1
    return own


def _marks(parts: Components, pieces: list[Piece], content: Content) -> NDArray[np.uint8]:
    """The separator each piece may be; none in cells, where only digits stand."""
    if content.field.cells or not pieces:
        return np.zeros(len(pieces), np.uint8)
    boxes = np.array([piece.box for piece in pieces], np.int32)
    leans, straight = zip(*(lean(_mask(parts, piece)) for piece in pieces), strict=True)
    # Parts of digits that were cut are straight too, but no higher than digits.
    high = boxes[:, 3] - boxes[:, 1] > _ABOVE_FIGURES * content.height
    whole = np.array([piece.whole for piece in pieces]) | high
    found = marks(boxes, np.array(leans), np.array(straight) & whole, content.height)
    if (
        content.field.kind == "given"
    ):  # no word that a slash may stand in: leaning ones are likelier
        heights = boxes[:, 3] - boxes[:, 1]
        one = (found == ord("/")) & (heights < _ONLY_SLASH * content.height)
        one[np.flatnonzero(heights >= _TALL * content.height)[:1]] = True  # none begins a number
        found[one] = 0
    return found


def _cuts(pieces: list[Piece], start: int, stop: int) -> int:
    """How many of the two sides of a run of pieces are cut through a component."""
    left = start > 0 and pieces[start - 1].component == pieces[start].component
    right = stop < len(pieces) and pieces[stop].component == pieces[stop - 1].component
    return int(left) + int(right)


def _run_mark(
    pieces: list[Piece], pieces_mark: NDArray[np.uint8], start: int, stop: int
) -> np.uint8:
    """The separator a run of pieces may be: its only piece's, or that of a slash with specks."""
    highest = max(range(start, stop), key=lambda at: pieces[at].box[3] - pieces[at].box[1])
    mark: np.uint8 = pieces_mark[highest]
    return mark if stop - start == 1 or mark == ord("/") else np.uint8(0)
