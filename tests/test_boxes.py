"""Boxes and rows of cells are found by their rules alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.components import packed
from digitocr.segmenting.boxes import enclosed, rows_of_cells


def _page(height: int = 600, width: int = 800) -> NDArray[np.uint8]:
    return np.zeros((height, width), np.uint8)


def _comb(
    lines: NDArray[np.uint8], left: int, top: int, cells: int, width: int, height: int
) -> None:
    for index in range(cells):
        corner = (left + index * width, top)
        cv2.rectangle(lines, corner, (corner[0] + width, top + height), 255, 2)


def test_a_row_of_nine_cells_is_one_row() -> None:
    lines = _page()
    _comb(lines, 100, 200, 9, 40, 50)
    rows = rows_of_cells(enclosed(packed(lines), len(lines)).boxes)
    assert [len(row) for row in rows] == [9]
    assert all(abs(cell[2] - cell[0] - 38) <= 6 for cell in rows[0])


def test_two_rows_of_cells_above_each_other_are_two() -> None:
    lines = _page()
    _comb(lines, 100, 100, 4, 40, 50)
    _comb(lines, 100, 200, 6, 40, 50)
    assert sorted(len(row) for row in rows_of_cells(enclosed(packed(lines), len(lines)).boxes)) == [
        4,
        6,
    ]


def test_cells_with_gaps_between_them_are_a_row() -> None:
    lines = _page()
    for index in range(5):
        cv2.rectangle(lines, (100 + 50 * index, 100), (138 + 50 * index, 150), 255, 2)
    assert [len(row) for row in rows_of_cells(enclosed(packed(lines), len(lines)).boxes)] == [5]


def test_cells_far_apart_are_no_row() -> None:
    lines = _page()
    cv2.rectangle(lines, (100, 100), (140, 150), 255, 2)
    cv2.rectangle(lines, (300, 100), (340, 150), 255, 2)
    assert rows_of_cells(enclosed(packed(lines), len(lines)).boxes) == []


def test_a_wide_box_is_a_box_but_no_cell() -> None:
    lines = _page()
    cv2.rectangle(lines, (100, 100), (400, 150), 255, 2)
    regions = enclosed(packed(lines), len(lines))
    assert len(regions.boxes) == 1
    assert rows_of_cells(regions.boxes) == []


def test_an_open_shape_encloses_nothing() -> None:
    lines = _page()
    cv2.line(lines, (100, 100), (400, 100), 255, 2)
    cv2.line(lines, (100, 100), (100, 200), 255, 2)
    assert len(enclosed(packed(lines), len(lines)).boxes) == 0


def test_points_on_either_side_of_a_rule_lie_in_two_regions() -> None:
    lines = _page()
    cv2.line(lines, (400, 0), (400, 599), 255, 2)
    left, right, again = enclosed(packed(lines), len(lines)).at(
        np.array([[100, 50], [500, 50], [120, 500]], np.int32)
    )
    assert left != right
    assert left == again


def test_boxes_are_found_where_they_are_on_pages_of_any_size() -> None:
    for height, width in ((600, 800), (601, 801), (602, 803)):
        lines = _page(height, width)
        for left, top in ((51, 51), (250, 120), (240, 400)):
            cv2.rectangle(lines, (left, top), (left + 200, top + 60), 255, 2)
        assert enclosed(packed(lines), len(lines)).boxes.tolist() == [
            [54, 54, 248, 108],
            [254, 124, 448, 178],
            [244, 404, 438, 458],
        ]


def test_a_page_without_rules_has_no_boxes_of_the_right_type() -> None:
    boxes = enclosed(packed(_page()), 600).boxes
    assert boxes.shape == (0, 4)
    assert boxes.dtype == np.int32
    assert rows_of_cells(boxes) == []


def test_the_line_map_is_not_written_to() -> None:
    lines = _page()
    _comb(lines, 100, 200, 3, 40, 50)
    bits = packed(lines)
    before = bits.rows.copy()
    enclosed(bits, 600)
    assert np.array_equal(bits.rows, before)
