"""The fields of a page: rows of cells, boxes around a number, lines of writing but no prose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitocr.boxes import Regions, enclosed, rows_of_cells
from digitocr.combs import Comb, rules_along
from digitocr.components import Components, groups
from digitocr.recipe import SegmentOptions
from digitocr.textlines import find_lines, prose
from digitocr.types import Box, Field

__all__ = ["Content", "find_fields"]

_LEAST_FIGURE = 9  # pixels at working scale; lower writing cannot be read
_MOST_FIGURE = 0.15  # of the page's height; higher shapes are no figures
_LEAST_IN_CELL = 0.1  # of the cell's height; less is a speck
_LEAST_FIGURE_IN_CELL = 0.3  # of the cell's height
_OPEN_CELL = 1.15  # widths of a cell: where the frame is wider or not seen at one end
_INSET = 3  # pixels from a region's edge to the middle of the rule around it
_RULED_OPEN = 1.4  # share of such a cell with a rule above, and with one below, in all
_MOST_IN_BOX = 24  # components; a box with more holds text
_LEAST_IN_BOX = 0.22  # of the box's height: lower writing is a caption, not its number


@dataclass(frozen=True, slots=True)
class Content:
    """A field with its components, and the height of its figures in pixels."""

    field: Field
    members: NDArray[np.int64]
    height: float


def find_fields(
    parts: Components, lines: NDArray[np.uint8], combs: list[Comb], options: SegmentOptions
) -> list[Content]:
    """All fields of a page with their components, in reading order.

    lines: uint8 (h, w), 255 where a ruled line runs. A component belongs to one field at
    most; what is prose or too large or too small to be read belongs to none.
    """
    regions = enclosed(lines)
    free = _may_be_writing(parts)
    contents: list[Content] = []
    rows = rows_of_cells(regions.boxes) if options.cells else []
    rows = _longest([*rows, *(list(comb.cells) for comb in combs)])
    for row in rows:
        contents += _cells_content(parts, _with_open_cells(parts, row, lines, free), free)
    if options.boxes:
        for box in (_ints(edges) for edges in regions.boxes):
            if not any(_overlap([box], row) for row in rows):
                contents += _box_content(parts, box, free)
    if options.free:
        contents += _free_contents(parts, regions, free)
    return _in_reading_order(contents)


def _longest(rows: list[list[Box]]) -> list[list[Box]]:
    """Of rows of cells that were found twice, the ones with the most cells."""
    kept: list[list[Box]] = []
    for row in sorted(rows, key=len, reverse=True):
        if not any(_overlap(row, other) for other in kept):
            kept.append(row)
    return kept


def _overlap(row: list[Box], other: list[Box]) -> bool:
    """Whether two rows of cells share paper."""
    apart_x = row[0][0] >= other[-1][2] or other[0][0] >= row[-1][2]
    apart_y = row[0][1] >= other[0][3] or other[0][1] >= row[0][3]
    return not (apart_x or apart_y)


def _may_be_writing(parts: Components) -> NDArray[np.bool_]:
    """bool (C,): what is neither a remnant of a rule nor a bar nor larger than any number."""
    width, height = parts.widths, parts.heights
    page_height, page_width = parts.labels.shape
    rule = (width > 8 * height) | (height > 16 * width)
    solid = (parts.areas > 0.8 * width * height) & (np.minimum(width, height) > 0.03 * page_height)
    huge = (height > _MOST_FIGURE * page_height) | (width > 0.5 * page_width)
    result: NDArray[np.bool_] = ~(rule | solid | huge)
    return result


def _in_reading_order(contents: list[Content]) -> list[Content]:
    """Rows from the top, each from left to right.

    A field stands in the row of those above it where it shares half its height, or half of
    theirs, with the first of them.
    """
    rows: list[list[Content]] = []
    for content in sorted(contents, key=lambda one: one.field.box[1] + one.field.box[3]):
        if rows and _level(content.field.box, rows[-1][0].field.box):
            rows[-1].append(content)
        else:
            rows.append([content])
    return [one for row in rows for one in sorted(row, key=lambda one: one.field.box[0])]


def _level(box: Box, other: Box) -> bool:
    """Whether two boxes stand on one level."""
    shared = min(box[3], other[3]) - max(box[1], other[1])
    return 2 * shared >= min(box[3] - box[1], other[3] - other[1])


def _inside(parts: Components, box: Box, free: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The unclaimed components whose middle lies in a box."""
    x, y = parts.centres.T
    left, top, right, bottom = box
    return np.flatnonzero((x >= left) & (x < right) & (y >= top) & (y < bottom) & free)


def _with_open_cells(
    parts: Components, row: list[Box], lines: NDArray[np.uint8], free: NDArray[np.bool_]
) -> list[Box]:
    """The row, with a cell more on a side where its rules go on around one more character.

    Where the frame of a table is the outer side of a row, the first or last cell is often
    wider than the others, or its side is not seen: its digit must not be lost.
    """
    width = round(float(np.median([right - left for left, _, right, _ in row])))
    reach = round(_OPEN_CELL * width)
    (left, top, _, bottom), (_, _, right, _) = row[0], row[-1]
    before = (max(0, left - reach), top, left, bottom)
    after = (right, top, min(lines.shape[1], right + reach), bottom)
    extended = list(row)
    if _holds_one_character(parts, before, width, lines, free):
        extended.insert(0, before)
    if _holds_one_character(parts, after, width, lines, free):
        extended.append(after)
    return extended


def _holds_one_character(
    parts: Components, box: Box, width: int, lines: NDArray[np.uint8], free: NDArray[np.bool_]
) -> bool:
    """Whether rules run above and below a box, and one character stands in it."""
    left, top, right, bottom = box
    # The rules run just outside of what they close in.
    if rules_along(lines, left, right, top - _INSET, bottom + _INSET) < _RULED_OPEN:
        return False
    members = _inside(parts, box, free)
    own = parts.boxes[members[parts.heights[members] >= _LEAST_IN_CELL * (bottom - top)]]
    if not len(own):
        return False
    (x0, y0), (x1, y1) = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
    high = y1 - y0 >= _LEAST_FIGURE_IN_CELL * (bottom - top)
    return bool(high and x1 - x0 <= width and x0 > left)


def _cells_content(parts: Components, row: list[Box], free: NDArray[np.bool_]) -> list[Content]:
    """A row of cells with what is written in it; a box each where cells hold whole numbers."""
    bounds = (row[0][0], min(c[1] for c in row), row[-1][2], max(c[3] for c in row))
    members = np.unique(np.concatenate([_inside(parts, cell, free) for cell in row]))
    height = float(np.median([bottom - top for _, top, _, bottom in row]))
    members = members[parts.heights[members] >= _LEAST_IN_CELL * height]
    if _one_character_each(parts, row, members, height):
        free[members] = False
        return [Content(Field("cells", bounds, tuple(row)), members, height)]
    return [content for box in row for content in _box_content(parts, box, free)]


def _one_character_each(
    parts: Components, row: list[Box], members: NDArray[np.int64], height: float
) -> bool:
    """Whether most written-in cells hold one character, not several side by side."""
    tall = members[parts.heights[members] >= _LEAST_FIGURE_IN_CELL * height]
    middle = parts.centres[tall, 0]
    counts = np.array([((middle >= cell[0]) & (middle < cell[2])).sum() for cell in row])
    return int((counts > 1).sum()) <= int((counts == 1).sum())


def _box_content(parts: Components, box: Box, free: NDArray[np.bool_]) -> list[Content]:
    """A box with the one line written in it, or nothing where it holds text or is empty."""
    members = _inside(parts, box, free)
    if not 0 < len(members) <= _MOST_IN_BOX:
        return []
    height = _figure_height(parts.heights[members])
    if height < _LEAST_IN_BOX * (box[3] - box[1]):
        return []
    free[members] = False
    return [Content(Field("box", box), members, height)]


def _free_contents(parts: Components, regions: Regions, free: NDArray[np.bool_]) -> list[Content]:
    """The lines on open paper that are no prose."""
    loose = np.flatnonzero(free)
    lines = find_lines(parts.boxes[loose], regions.at(parts.centres[loose]))
    is_prose = prose(lines)
    return [
        Content(
            Field("free", _ints(lines.boxes[number])),
            loose[members],
            _figure_height(parts.heights[loose[members]]),
        )
        for number, members in enumerate(groups(lines.line))
        if not is_prose[number] and lines.height[number] >= _LEAST_FIGURE
    ]


def _figure_height(heights: NDArray[np.int32]) -> float:
    """The height of a line's figures: the median of all that is no dot or dash."""
    common = np.sort(heights)[int(0.6 * len(heights))]
    return float(np.median(heights[2 * heights >= common]))


def _ints(box: NDArray[np.int32]) -> Box:
    left, top, right, bottom = (int(edge) for edge in box)
    return left, top, right, bottom
