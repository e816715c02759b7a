"""Rules of frames that lie turned on a straight page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.cleaning.frames import erase_turned_frames
from digitocr.cleaning.squares import squares_of
from digitocr.components import find_components, packed
from digitocr.segmenting.boxes import enclosed, rows_of_cells


def _turned(picture: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    height, width = picture.shape
    about = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    linear = cv2.warpAffine(picture, about, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(linear > 127, np.uint8) * np.uint8(255)


def _comb(cells: int = 9) -> NDArray[np.uint8]:
    picture = np.zeros((1000, 900), np.uint8)
    for index in range(cells):
        left = 150 + 62 * index
        cv2.rectangle(picture, (left, 200), (left + 62, 275), 255, 3)
    return picture


def _digits() -> NDArray[np.uint8]:
    picture = np.zeros((1000, 900), np.uint8)
    for index, digit in enumerate("781528989"):
        corner = (165 + 62 * index, 258)
        cv2.putText(picture, digit, corner, cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, 4)
    return picture


def _erased(
    mask: NDArray[np.uint8], lines: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return erase_turned_frames(mask, 255 - mask, lines, squares_of(mask))


@pytest.mark.parametrize("degrees", [-8.0, -5.0, -2.0, 2.0, 5.0, 8.0])
def test_a_turned_row_of_cells_is_found_and_its_digits_are_left_whole(degrees: float) -> None:
    digits = _turned(_digits(), degrees)
    page = digits | _turned(_comb(), degrees)
    mask, lines = _erased(page, np.zeros_like(page))
    assert [len(row) for row in rows_of_cells(enclosed(packed(lines), len(lines)).boxes)] == [9]
    assert np.count_nonzero(mask & digits) > 0.97 * np.count_nonzero(digits)
    assert (find_components(packed(mask)).heights > 20).sum() == 9


def test_a_digit_that_crosses_a_turned_rule_stays_whole() -> None:
    stroke = np.zeros((1000, 900), np.uint8)
    cv2.line(stroke, (165, 300), (195, 180), 255, 6)
    page = _turned(_comb() | stroke, 5.0)
    mask, _ = _erased(page, np.zeros_like(page))
    assert find_components(packed(mask)).heights.max() > 110


@pytest.mark.parametrize("picture", [_comb(), _digits(), _turned(_digits(), 5.0)])
def test_straight_frames_and_writing_are_left_as_they_are(picture: NDArray[np.uint8]) -> None:
    mask, lines = _erased(picture, np.zeros_like(picture))
    assert np.array_equal(mask, picture)
    assert not lines.any()


def test_a_large_loop_of_a_signature_is_no_frame() -> None:
    page = np.zeros((1000, 900), np.uint8)
    cv2.ellipse(page, (450, 250), (200, 60), 6, 0, 360, 255, 4)
    mask, lines = _erased(page, np.zeros_like(page))
    assert np.array_equal(mask, page)
    assert not lines.any()


def test_the_arguments_are_not_written_to() -> None:
    page, lines = _turned(_comb(), 5.0), np.zeros((1000, 900), np.uint8)
    before = page.copy()
    _erased(page, lines)
    assert np.array_equal(page, before)
    assert not lines.any()


def test_an_empty_page_stays_empty() -> None:
    empty = np.zeros((40, 30), np.uint8)
    mask, lines = _erased(empty, empty)
    assert not mask.any()
    assert not lines.any()
