"""Pages are cut into fields, and fields into pieces that may be digits."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.recipe import SegmentOptions
from digitocr.segment import segment
from digitocr.types import Ink, Segments


def _ink(mask: NDArray[np.uint8], lines: NDArray[np.uint8] | None = None) -> Ink:
    lines = np.zeros_like(mask) if lines is None else lines
    height, width = mask.shape
    return Ink(255 - mask, mask, lines, np.eye(2, 3), (width, height), rotation=0, skew=0.0)


def _write(mask: NDArray[np.uint8], text: str, left: int, base: int, scale: float = 1.5) -> None:
    cv2.putText(mask, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 4)


def _page() -> NDArray[np.uint8]:
    return np.zeros((1000, 1400), np.uint8)


def _segment(mask: NDArray[np.uint8], lines: NDArray[np.uint8] | None = None) -> Segments:
    return segment(_ink(mask, lines), SegmentOptions())


def _comb(left: int, top: int, cells: int) -> NDArray[np.uint8]:
    lines = _page()
    for index in range(cells):
        cv2.rectangle(lines, (left + 50 * index, top), (left + 50 * (index + 1), top + 60), 255, 2)
    return lines


def test_a_row_of_cells_gives_one_candidate_for_each_digit() -> None:
    mask = _page()
    for index, digit in enumerate("781528989"):
        _write(mask, digit, 112 + 50 * index, 348)
    found = _segment(mask, _comb(100, 300, 9))
    assert [field.kind for field in found.fields] == ["cells"]
    assert len(found.fields[0].cells) == 9
    assert len(found.boxes) == 9
    assert not found.mark.any()


def test_a_digit_of_two_parts_in_a_cell_is_one_candidate() -> None:
    mask = _page()
    _write(mask, "5", 112, 348)
    mask[325:327] = 0  # the pen lifted
    found = _segment(mask, _comb(100, 300, 3))
    assert len(found.boxes) == 1
    assert found.span.tolist() == [[0, len(found.atom_boxes)]]


def test_a_stroke_that_reaches_into_the_next_cell_is_cut_between_them() -> None:
    mask = _page()
    cv2.line(mask, (110, 345), (190, 315), 255, 4)
    found = _segment(mask, _comb(100, 300, 3))
    assert len(found.boxes) == 2


def test_an_empty_row_of_cells_is_a_field_without_candidates() -> None:
    found = _segment(_page(), _comb(100, 300, 4))
    assert [field.kind for field in found.fields] == ["cells"]
    assert len(found.boxes) == 0


def test_a_digit_between_rules_that_go_on_beyond_the_cells_is_of_the_number() -> None:
    mask, lines = _page(), _comb(100, 300, 4)
    for index, digit in enumerate("25012"):
        _write(mask, digit, 112 + 50 * index, 348)
    cv2.line(lines, (300, 300), (370, 300), 255, 2)
    cv2.line(lines, (300, 360), (370, 360), 255, 2)
    (field,) = _segment(mask, lines).fields
    assert (len(field.cells), field.doubt) == (5, "")


def test_digits_in_step_beyond_the_cells_are_of_the_number_but_doubtful() -> None:
    mask = _page()
    for index, digit in enumerate("250123"):
        _write(mask, digit, 112 + 50 * index, 348)
    (field,) = _segment(mask, _comb(100, 300, 4)).fields
    assert len(field.cells) == 6
    assert field.doubt


def test_text_a_cell_away_casts_no_doubt_on_a_row() -> None:
    mask = _page()
    for index, digit in enumerate("2501"):
        _write(mask, digit, 112 + 50 * index, 348)
    _write(mask, "L", 332, 340, scale=1.3)
    rows = [field for field in _segment(mask, _comb(100, 300, 4)).fields if field.kind == "cells"]
    assert [(len(row.cells), row.doubt) for row in rows] == [(4, "")]


def test_a_word_beside_the_cells_is_not_of_the_number() -> None:
    mask = _page()
    for index, digit in enumerate("2501"):
        _write(mask, digit, 112 + 50 * index, 348)
    _write(mask, "Date", 20, 340, scale=1.0)
    found = _segment(mask, _comb(100, 300, 4))
    assert {len(field.cells) for field in found.fields if field.kind == "cells"} == {4}


def test_cells_that_hold_whole_numbers_are_a_box_each() -> None:
    mask = _page()
    for index in range(3):
        _write(mask, "12", 102 + 50 * index, 340, scale=1.1)
    found = _segment(mask, _comb(100, 300, 3))
    assert [field.kind for field in found.fields] == ["box"] * 3


def test_a_box_around_a_number_is_one_field() -> None:
    mask, lines = _page(), _page()
    cv2.rectangle(lines, (100, 300), (500, 380), 255, 2)
    _write(mask, "48120663", 120, 360)
    found = _segment(mask, lines)
    assert [field.kind for field in found.fields] == ["box"]
    assert (found.cuts == 0).sum() == 8


def test_a_number_on_open_paper_is_a_field() -> None:
    mask = _page()
    _write(mask, "1025", 900, 100)
    found = _segment(mask)
    assert [field.kind for field in found.fields] == ["free"]
    assert len(found.atom_boxes) == 4


def test_fields_come_in_reading_order() -> None:
    mask = _page()
    _write(mask, "33", 100, 600)
    _write(mask, "22", 900, 100)
    _write(mask, "11", 100, 104)
    lefts = [field.box[0] for field in _segment(mask).fields]
    assert [left > 500 for left in lefts] == [False, True, False]


def test_prose_is_no_field() -> None:
    mask = _page()
    for line in range(8):
        _write(mask, "In 1984 we sold 12 hens and 7 geese to the mill for 350 crowns each year",
               40, 100 + 34 * line, scale=0.9)  # fmt: skip
    assert _segment(mask).fields == ()


def test_touching_digits_have_a_candidate_each() -> None:
    mask = _page()
    cv2.ellipse(mask, (200, 300), (20, 30), 0, 0, 360, 255, 4)
    cv2.ellipse(mask, (240, 300), (20, 30), 0, 0, 360, 255, 4)
    _write(mask, "12", 300, 330, scale=2.2)
    found = _segment(mask)
    left = (found.boxes[:, 0] == found.boxes[0, 0]) & (abs(found.boxes[:, 2] - 220) <= 5)
    right = (abs(found.boxes[:, 0] - 220) <= 5) & (found.boxes[:, 2] > 255)
    assert (left & (found.cuts == 1)).any()
    assert (right & (found.cuts == 1)).any()


def test_a_picture_cut_to_its_ink_has_the_fields_of_the_whole() -> None:
    mask, lines = _page(), _comb(100, 300, 3)
    for index, digit in enumerate("781"):
        _write(mask, digit, 112 + 50 * index, 348)
    _write(mask, "1997", 800, 348)
    whole = segment(_ink(mask, lines), SegmentOptions())
    top, bottom, left, right = 280, 380, 80, 1000
    ink = Ink(
        255 - mask[top:bottom, left:right],
        mask[top:bottom, left:right],
        lines[top:bottom, left:right],
        np.array([[2.0, 0.0, 2.0 * left], [0.0, 2.0, 2.0 * top]]),
        (2800, 2000),
        rotation=0,
        skew=0.0,
    )
    part = segment(ink, SegmentOptions())
    assert [field.kind for field in part.fields] == ["cells", "free"]
    assert np.array_equal(part.boxes + np.array([left, top] * 2), whole.boxes)


def test_labels_hold_each_atom_within_its_box() -> None:
    mask = _page()
    _write(mask, "1025", 900, 100)
    found = _segment(mask)
    for index, (left, top, right, bottom) in enumerate(found.atom_boxes):
        y, x = np.nonzero(found.labels == index + 1)
        assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == (left, top, right, bottom)
    assert set(np.unique(found.labels)) == {0, 1, 2, 3, 4}


def test_a_blank_page_gives_nothing_of_the_right_types() -> None:
    found = _segment(_page())
    assert found.fields == ()
    assert (found.boxes.shape, found.boxes.dtype) == ((0, 4), np.int32)
    assert (found.span.shape, found.span.dtype) == ((0, 2), np.int32)
    assert (found.field.shape, found.mark.dtype) == ((0,), np.uint8)


def test_a_page_of_one_pixel_gives_nothing() -> None:
    assert _segment(np.full((1, 1), 255, np.uint8)).fields == ()


def test_what_an_option_turns_off_is_not_looked_for() -> None:
    mask = _page()
    _write(mask, "1025", 900, 100)
    ink = _ink(mask, _comb(100, 300, 4))
    only_free = segment(ink, SegmentOptions(cells=False, boxes=False))
    only_cells = segment(ink, SegmentOptions(free=False))
    assert [field.kind for field in only_free.fields] == ["free"]
    assert [field.kind for field in only_cells.fields] == ["cells"]


def test_the_ink_is_not_written_to() -> None:
    mask = _page()
    _write(mask, "1025", 900, 100)
    ink = _ink(mask)
    before = (ink.mask.copy(), ink.grey.copy(), ink.lines.copy())
    segment(ink, SegmentOptions())
    assert all(map(np.array_equal, before, (ink.mask, ink.grey, ink.lines)))


def test_labels_have_room_for_all_atoms() -> None:
    dots = np.kron(np.ones((200, 200), np.uint8), np.diag([255, 0, 0]).astype(np.uint8))
    for mask, dtype in ((dots[:90], np.int16), (dots, np.int32)):
        found = segment(_ink(mask), SegmentOptions(whole=True))
        assert found.labels.dtype == dtype
        assert found.labels.max() == len(found.atom_boxes) > 2000
