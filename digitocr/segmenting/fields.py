"""The fields of a page: rows of cells, boxes around a number, lines of writing but no prose."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digitocr.components import Bits, Components, groups
from digitocr.recipe import SegmentOptions
from digitocr.segmenting.boxes import Regions, enclosed, rows_of_cells
from digitocr.segmenting.combs import Comb, rules_along
from digitocr.segmenting.middle import median
from digitocr.segmenting.textlines import find_lines, prose
from digitocr.types import Box, Field

__all__ = ["Content", "find_fields"]

_LEAST_FIGURE = 9  # pixels at working scale; lower writing cannot be read
_MOST_FIGURE = 0.15  # of the page's height; higher shapes are no figures
_LEAST_IN_CELL = 0.1  # of the cell's height; less is a speck
_LEAST_FIGURE_IN_CELL = 0.3  # of the cell's height
_OPEN_CELL = 1.15  # widths of a cell: where the frame is wider or not seen at one end
_MOST_CELLS = 30  # of one row
_BAR = 0.2  # of a cell's width: upright strokes this near to its edge are bars
_OFF_MIDDLE = 0.28  # of a place's width, by which a character may stand off its middle
_NEAR = 0.45  # of the way from one cell to the next: what is so near may be of the row
_UNSEEN = "its frame is not seen whole"
_INSET = 3  # pixels from a region's edge to the middle of the rule around it
_RULED_OPEN = 1.4  # share of such a cell with a rule above, and with one below, in all
_RULE = 8  # times its height: what is wider is no figure
_LEAST_AT_RIM = 0.4  # of the figures' height: lower ink at the picture's rim is a neighbour's
_MOST_IN_BOX = 24  # components; a box with more holds text
_LEAST_IN_BOX = 0.22  # of the box's height: lower writing is a caption, not its number


@dataclass(frozen=True, slots=True)
class Content:
    """A field with its components, and the height of its figures in pixels."""

    field: Field
    members: NDArray[np.intp]
    height: float


def find_fields(
    parts: Components,
    lines: Bits,
    combs: list[Comb],
    page: tuple[int, int],
    options: SegmentOptions,
) -> list[Content]:
    """All fields of a page with their components, in reading order.

    lines: where ruled lines run. page: its width and height. A component belongs to one field at
    most; what is prose or too large or too small to be read belongs to none.
    """
    if options.whole:
        return [_whole_content(parts)]
    regions = enclosed(lines, page[1])
    loose = _loose(parts, *page)
    contents: list[Content] = []
    rows = rows_of_cells(regions.boxes) if options.cells else []
    rows = _longest([*rows, *(list(comb.cells) for comb in combs)])
    for row in rows:
        contents += _cells_content(loose, *_with_open_cells(loose, row, lines))
    if options.boxes:
        for box in regions.boxes.tolist():
            if not any(_overlap([box], row) for row in rows):
                contents += _box_content(loose, tuple(box))
    if options.free:
        ends = [content.field for content in contents if content.field.doubt]
        contents += [_beside(content, ends) for content in _free_contents(loose, regions)]
    return _in_reading_order(contents)


def _beside(content: Content, rows: list[Field]) -> Content:
    """The content, doubtful where it may be the rest of a row of cells."""
    for row in rows:
        left, _, right, _ = content.field.box
        pitch = (row.box[2] - row.box[0]) / len(row.cells)
        near = row.box[0] - pitch < right and left < row.box[2] + pitch
        if near and _level(content.field.box, row.box):
            return replace(content, field=replace(content.field, doubt=row.doubt))
    return content


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


@dataclass(frozen=True, slots=True)
class _Loose:
    """The components of a page that may be writing and are of no field yet.

    parts: all components. free: bool (C,), which are loose; fields claim them one by one.
    order: intp (C,), all of them from the top down by their middles. x, y: int32 (C,), of those.
    """

    parts: Components
    free: NDArray[np.bool_]
    order: NDArray[np.intp]
    x: NDArray[np.int32]
    y: NDArray[np.int32]

    def inside(self, boxes: list[Box]) -> NDArray[np.intp]:
        """Those whose middle lies in one of some boxes, by their indices."""
        highest, lowest = min(box[1] for box in boxes), max(box[3] for box in boxes)
        start, stop = self.y.searchsorted(np.array([highest, lowest], np.int32)).tolist()
        members = self.order[start:stop]
        x, y = self.x[start:stop], self.y[start:stop]
        own = np.zeros(len(members), bool)
        for left, top, right, bottom in boxes:
            own |= (x >= left) & (x < right) & (y >= top) & (y < bottom)
        return np.sort(members[own & self.free[members]])

    def claim(self, members: NDArray[np.intp]) -> None:
        """Some are of a field now."""
        self.free[members] = False


def _loose(parts: Components, page_width: int, page_height: int) -> _Loose:
    """What is neither a remnant of a rule nor a bar nor larger than any number."""
    width, height = parts.widths, parts.heights
    rule = (width > 8 * height) | (height > 16 * width)
    solid = (parts.areas > 0.8 * width * height) & (np.minimum(width, height) > 0.03 * page_height)
    huge = (height > _MOST_FIGURE * page_height) | (width > 0.5 * page_width)
    order = np.argsort(parts.centres[:, 1])
    x, y = parts.centres[order].T.copy()
    return _Loose(parts, ~(rule | solid | huge), order, x, y)


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


def _with_open_cells(loose: _Loose, row: list[Box], lines: Bits) -> tuple[list[Box], str]:
    """The row with the cells at its ends whose frame is not seen, and what is odd about them.

    Where the rules go on around one more character, it is of the number: the frame of a
    table may be the outer side of a row. Where characters go on without rules, each in its
    place and as high as those in the row, the rest of the frame is too faint to be seen;
    but they may be something else.
    """
    cells, doubt = list(row), ""
    pitch = median(np.diff([cell[0] for cell in row]))
    height = _median_figure(loose, row)
    for after in (False, True):
        while len(cells) < _MOST_CELLS:
            box = _next_cell(cells, pitch, after, lines.shape[1])
            character = _one_character(loose, box, pitch)
            if character is None:
                break
            rules = rules_along(lines, box[1] - _INSET, box[3] + _INSET)
            if rules.share(box[0], box[2]) < _RULED_OPEN:
                if not _as_high(character, height):
                    break
                if not _in_the_middle(character, box):
                    gap = character[0] - box[0] if after else box[2] - character[2]
                    doubt = _UNSEEN if gap <= _NEAR * pitch else doubt
                    break
                doubt = _UNSEEN
            cells.insert(len(cells) if after else 0, box)
    return cells, doubt


def _next_cell(cells: list[Box], pitch: float, after: bool, picture_width: int) -> Box:
    """The place beside the first or the last cell, a little wider than a cell."""
    reach = round(_OPEN_CELL * pitch)
    left, top, right, bottom = cells[-1 if after else 0]
    if after:
        return right, top, min(picture_width, right + reach), bottom
    return max(0, left - reach), top, left, bottom


def _median_figure(loose: _Loose, row: list[Box]) -> float:
    """The height of the characters in a row of cells, 0 where there are too few to tell."""
    heights = _heights(loose.parts.boxes[loose.inside(row)])
    heights = heights[heights >= _LEAST_FIGURE_IN_CELL * (row[0][3] - row[0][1])]
    return median(heights) if len(heights) >= 2 else 0.0


def _one_character(loose: _Loose, box: Box, width: float) -> Box | None:
    """The box around what stands in a place, if that may be one character; bars do not count."""
    left, top, right, bottom = box
    own = loose.parts.boxes[loose.inside([box])]
    own = own[_heights(own) >= _LEAST_IN_CELL * (bottom - top)]
    rim = np.minimum(own[:, 2] - left, right - own[:, 0]) < _BAR * width
    own = own[~(rim & (own[:, 3] - own[:, 1] > 3 * (own[:, 2] - own[:, 0])))]
    if not len(own):
        return None
    (x0, y0), (x1, y1) = own[:, :2].min(axis=0).tolist(), own[:, 2:].max(axis=0).tolist()
    high = y1 - y0 >= _LEAST_FIGURE_IN_CELL * (bottom - top)
    return (x0, y0, x1, y1) if high and x1 - x0 <= width and x0 > left else None


def _as_high(character: Box, height: float) -> bool:
    """Whether a character is about as high as those of a row."""
    return 0.7 * height <= character[3] - character[1] <= 1.4 * height


def _in_the_middle(character: Box, cell: Box) -> bool:
    """Whether a character stands where it would in a cell."""
    off = abs(character[0] + character[2] - cell[0] - cell[2]) / 2
    return off <= _OFF_MIDDLE * (cell[2] - cell[0])


def _cells_content(loose: _Loose, row: list[Box], doubt: str) -> list[Content]:
    """A row of cells with what is written in it; a box each where cells hold whole numbers."""
    bounds = (row[0][0], min(c[1] for c in row), row[-1][2], max(c[3] for c in row))
    members = loose.inside(row)
    height = median(np.array([bottom - top for _, top, _, bottom in row]))
    members = members[_heights(loose.parts.boxes[members]) >= _LEAST_IN_CELL * height]
    if _one_character_each(loose.parts, row, members, height):
        loose.claim(members)
        return [Content(Field("cells", bounds, tuple(row), doubt=doubt), members, height)]
    return [content for box in row for content in _box_content(loose, box)]


def _one_character_each(
    parts: Components, row: list[Box], members: NDArray[np.intp], height: float
) -> bool:
    """Whether most written-in cells hold one character, not several side by side."""
    tall = members[parts.heights[members] >= _LEAST_FIGURE_IN_CELL * height]
    middle = parts.centres[tall, 0]
    left, _, right, _ = np.array(row).T[..., None]
    counts = np.count_nonzero((middle >= left) & (middle < right), axis=1)
    return int(np.count_nonzero(counts > 1)) <= int(np.count_nonzero(counts == 1))


def _whole_content(parts: Components) -> Content:
    """The picture as one number.

    What is left at its rim of rules, and of the lines above and below, is not of it.
    """
    picture_height, picture_width = parts.shape
    whole = Field("given", (0, 0, picture_width, picture_height))
    long = parts.widths >= _RULE * parts.heights  # a dash may end an amount
    if long.all():
        return Content(whole, np.zeros(0, np.intp), float(picture_height))
    height = _figure_height(parts.heights[~long])
    rim = (parts.boxes[:, 1] <= 1) | (parts.boxes[:, 3] >= picture_height - 1)
    low = parts.heights < _LEAST_AT_RIM * height
    return Content(whole, np.flatnonzero(~(rim & (low | long))), height)


def _box_content(loose: _Loose, box: Box) -> list[Content]:
    """A box with the one line written in it, or nothing where it holds text or is empty."""
    members = loose.inside([box])
    if not 0 < len(members) <= _MOST_IN_BOX:
        return []
    height = _figure_height(_heights(loose.parts.boxes[members]))
    if height < _LEAST_IN_BOX * (box[3] - box[1]):
        return []
    loose.claim(members)
    return [Content(Field("box", box), members, height)]


def _free_contents(loose: _Loose, regions: Regions) -> list[Content]:
    """The lines on open paper that are no prose."""
    members = np.flatnonzero(loose.free)
    boxes = loose.parts.boxes[members]
    lines = find_lines(boxes, regions.at(loose.parts.centres[members]))
    kept = ~prose(lines) & (lines.height >= _LEAST_FIGURE)
    own = kept[lines.line]
    members, heights = members[own], _heights(boxes[own])
    number = (np.cumsum(kept) - 1)[lines.line[own]]
    return [
        Content(Field("free", tuple(box)), members[some], _figure_height(heights[some]))
        for box, some in zip(lines.boxes[kept].tolist(), groups(number), strict=True)
    ]


def _heights(boxes: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 (N,), of boxes, int32 (N, 4)."""
    return boxes[:, 3] - boxes[:, 1]


def _figure_height(heights: NDArray[np.int32]) -> float:
    """The height of a line's figures: the median of all that is no dot or dash."""
    ordered = sorted(heights.tolist())
    figures = ordered[bisect_left(ordered, ordered[int(0.6 * len(ordered))] / 2) :]
    return float(figures[(len(figures) - 1) // 2] + figures[len(figures) // 2]) / 2
