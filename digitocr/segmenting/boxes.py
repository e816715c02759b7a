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

from digitocr.components import label_components
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

    labels: int32 (h / 2, w / 2), rounded up, the region of each square of four pixels; 0
        on the lines.
    boxes: int32 (B, 4), of the regions that are boxes of a size to write a number in.
    """

    labels: NDArray[np.int32]
    boxes: NDArray[np.int32]

    def at(self, points: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32 (C,): the region of each point, int32 (C, 2), x and y in pixels."""
        x, y = points.T // 2
        found: NDArray[np.int32] = self.labels[
            np.minimum(y, self.labels.shape[0] - 1), np.minimum(x, self.labels.shape[1] - 1)
        ]
        return found


def enclosed(lines: NDArray[np.uint8]) -> Regions:
    """Find the boxes in a line map, uint8 (h, w), 255 where a ruled line runs.

    Works at half scale, where a line keeps every square of four pixels it touches.
    """
    # The lightest of each square and of the pixels around it: gaps of two pixels close.
    spread = cv2.dilate(lines, np.ones((4, 4), np.uint8), anchor=(1, 1))
    half = spread[::2, ::2]
    labels, stats = label_components((half == 0).astype(np.uint8), connectivity=4)
    return Regions(labels, 2 * _usable(stats, half.shape))


def _usable(stats: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """int32 (B, 4): the boxes of those regions that a number may be written in."""
    left, top, width, height, area = stats.T
    inside = (left > 0) & (top > 0) & (left + width < shape[1]) & (top + height < shape[0])
    fits = (
        (width >= _LEAST_WIDTH / 2)
        & (height >= _LEAST_HEIGHT / 2)
        & (height <= _MOST_HEIGHT * shape[0])
    )
    full = area >= _LEAST_FILL * width * height
    keep = inside & fits & full
    keep[0] = False
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    return np.asarray(boxes[keep], np.int32)


def rows_of_cells(boxes: NDArray[np.int32]) -> list[list[Box]]:
    """Group boxes, int32 (B, 4), into rows of two or more equal cells, each from left to right."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    cells = boxes[width <= _CELL_ASPECT * height]
    cells = cells[np.lexsort((cells[:, 0], cells[:, 1]))]
    rows: list[list[Box]] = []
    taken = np.zeros(len(cells), bool)
    for start in np.argsort(cells[:, 0], kind="stable"):
        if not taken[start]:
            row = _extend(cells, int(start), taken)
            if len(row) > 1:
                rows.append(row)
    return rows


def _extend(cells: NDArray[np.int32], start: int, taken: NDArray[np.bool_]) -> list[Box]:
    """The row that begins with one cell: the next equal cell to the right, as long as there is."""
    taken[start] = True
    row = [start]
    while True:
        left, top, right, bottom = cells[row[-1]]
        width, height = right - left, bottom - top
        gap = cells[:, 0] - right
        level = (abs(cells[:, 1] - top) <= 0.2 * height) & (
            abs(cells[:, 3] - bottom) <= 0.2 * height
        )
        widths = cells[:, 2] - cells[:, 0]
        alike = (widths <= 1.5 * width) & (width <= 1.5 * widths)
        beside = (gap >= -0.2 * width) & (gap <= 0.45 * width + 4)
        found = np.flatnonzero(level & alike & beside & ~taken)
        if not len(found):
            return [_box(cells[index]) for index in row]
        nearest = int(found[np.argmin(gap[found])])
        taken[nearest] = True
        row.append(nearest)


def _box(row: NDArray[np.int32]) -> Box:
    left, top, right, bottom = (int(edge) for edge in row)
    return left, top, right, bottom
