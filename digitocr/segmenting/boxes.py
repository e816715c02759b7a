"""Boxes ruled on the page: rows of cells, and single boxes around a number.

A box is a stretch of paper that ruled lines close in. Boxes that stand side by side, are
about as high and wide as each other and no wider than one character needs, are the cells
of one number; a wider one may hold a whole number by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.components import Bits, boxes_of, runs_of, spread
from digitocr.types import Box

__all__ = ["Regions", "enclosed", "rows_of_cells"]

_LEAST_WIDTH = 9  # pixels at working scale; a digit in a narrower box cannot be read
_LEAST_HEIGHT = 18  # pixels at working scale, 2.3 mm; forms have higher boxes, letters lower loops
_MOST_HEIGHT = 0.12  # of the page; higher boxes frame something else than one number
_LEAST_FILL = 0.72  # of its bounding box; what is less is no rectangle
_CELL_ASPECT = 1.45  # width to height; wider boxes hold more than one character


@dataclass(frozen=True, slots=True)
class Regions:
    """The stretches of paper between ruled lines.

    labels: int32 (R, w / 2), rounded up, the region of each square of four pixels; 0 on the
        lines. Of rows of squares that are alike and follow each other there is one.
    row: intp (h / 2,), rounded up, which of those each row of squares is.
    boxes: int32 (B, 4), of the regions that are boxes of a size to write a number in.
    """

    labels: NDArray[np.int32]
    row: NDArray[np.intp]
    boxes: NDArray[np.int32]

    def at(self, points: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32 (C,): the region of each point, int32 (C, 2), x and y in pixels."""
        x, y = points.T // 2
        row = self.row[np.minimum(y, len(self.row) - 1)]
        found: NDArray[np.int32] = self.labels[row, np.minimum(x, self.labels.shape[1] - 1)]
        return found


def enclosed(lines: Bits, page_height: int) -> Regions:
    """Find the boxes in a map of the ruled lines of a page.

    Works at half scale, where a line keeps every square of four pixels it touches, and once
    for all rows in which the same lines run: most rows of a page are as the one above.
    """
    paper, row = _squares_of_paper(lines)
    count, found = cv2.connectedComponents(paper, connectivity=4, ltype=cv2.CV_32S)
    labels = np.asarray(found, np.int32)
    runs = runs_of(paper)
    region = labels[runs[0], runs[1]] - 1
    high = np.bincount(row)
    areas = np.bincount(region, (runs[2] - runs[1]) * high[runs[0]], count - 1).astype(np.int32)
    boxes = boxes_of(np.concatenate([runs, region[None]]), count - 1)
    boxes[:, 1::2] = np.append(0, np.cumsum(high))[boxes[:, 1::2]]
    usable = _usable(boxes, areas, (len(row), paper.shape[1]), _MOST_HEIGHT * page_height / 2)
    return Regions(labels, row, 2 * usable)


def _squares_of_paper(lines: Bits) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """The squares of four pixels that no line touches, and for each row of them which it is.

    uint8 (R, w / 2), 1 for paper, without rows that are as the one above, and intp (h / 2,),
    both rounded up.
    """
    # The lightest of each square and of the pixels around it: gaps of two pixels close.
    height, width = lines.rows.shape
    rows = np.zeros((2 * -(-height // 2) + 2, width), np.uint8)
    rows[1 : height + 1] = lines.rows
    pair = rows[0::2] | rows[1::2]
    band = pair[:-1] | pair[1:]
    new = np.append(True, (band[1:] != band[:-1]).any(axis=1))
    some = np.unpackbits(band[new], axis=1, count=lines.shape[1])
    half = cv2.dilate(some, np.ones((1, 4), np.uint8), anchor=(1, 0))[:, ::2]
    return np.asarray(half == 0, np.uint8), np.cumsum(new) - 1


def _usable(
    boxes: NDArray[np.int32], areas: NDArray[np.int32], shape: tuple[int, int], highest: float
) -> NDArray[np.int32]:
    """int32 (B, 4): the boxes of those regions that a number may be written in."""
    left, top, right, bottom = boxes.T
    width, height = right - left, bottom - top
    inside = (left > 0) & (top > 0) & (right < shape[1]) & (bottom < shape[0])
    fits = (width >= _LEAST_WIDTH / 2) & (height >= _LEAST_HEIGHT / 2) & (height <= highest)
    full = areas >= _LEAST_FILL * width * height
    return np.asarray(boxes[inside & fits & full], np.int32)


def rows_of_cells(boxes: NDArray[np.int32]) -> list[list[Box]]:
    """Group boxes, int32 (B, 4), into rows of two or more equal cells, each from left to right."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    cells = boxes[width <= _CELL_ASPECT * height]
    cells = cells[np.lexsort((cells[:, 1], cells[:, 0]))]
    beside = _beside(cells)
    rows: list[list[Box]] = []
    taken = [False] * len(cells)
    every: list[Box] = [tuple(cell) for cell in cells.tolist()]
    for start in range(len(cells)):
        row = []
        at: int | None = start
        while at is not None and not taken[at]:
            taken[at] = True
            row.append(every[at])
            at = next((cell for cell in beside[at] if not taken[cell]), None)
        if len(row) > 1:
            rows.append(row)
    return rows


def _beside(cells: NDArray[np.int32]) -> list[list[int]]:
    """For each cell the equal ones that stand next to its right, the nearest first.

    cells: int32 (C, 4), from left to right.
    """
    width, height = (cells[:, 2:] - cells[:, :2]).T
    left, top, right, bottom = cells.T
    first = np.searchsorted(left, right - 0.2 * width)
    last = np.searchsorted(left, right + 0.45 * width + 4, side="right")
    one, other = spread(first, last)
    near = (abs(top[other] - top[one]) <= 0.2 * height[one]) & (one != other)
    near &= abs(bottom[other] - bottom[one]) <= 0.2 * height[one]
    near &= (width[other] <= 1.5 * width[one]) & (width[one] <= 1.5 * width[other])
    one, other = one[near].tolist(), other[near].tolist()
    beside: list[list[int]] = [[] for _ in cells]
    for cell, found in zip(one, other, strict=True):
        beside[cell].append(found)
    return beside
