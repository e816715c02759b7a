"""Pieces of ink, their candidates and their marks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.segmenting.atoms import candidates, lean, marks
from digitocr.segmenting.cuts import Piece, cut_touching, may_touch


def _ring(picture: NDArray[np.uint8], x: int) -> None:
    cv2.ellipse(picture, (x, 25), (14, 22), 0, 0, 360, 255, 4)


def _cut(picture: NDArray[np.uint8], height: float) -> list[Piece]:
    bottom, right = picture.shape
    box = (10, 20, 10 + right, 20 + bottom)
    if not may_touch(box, height):
        return [Piece(7, box)]
    return cut_touching(7, box, picture > 0, height)


def test_a_single_digit_is_one_whole_piece() -> None:
    picture = np.zeros((50, 32), np.uint8)
    _ring(picture, 16)
    assert _cut(picture, 50.0) == [Piece(7, (10, 20, 42, 70))]


def test_two_touching_zeros_are_cut_where_they_touch() -> None:
    picture = np.zeros((50, 61), np.uint8)
    _ring(picture, 16)
    _ring(picture, 44)
    pieces = _cut(picture, 50.0)
    assert len(pieces) == 2
    assert abs(pieces[0].box[2] - 10 - 30) <= 4
    assert pieces[0].box[0] == 10
    assert pieces[-1].box[2] == 71
    assert not any(piece.whole for piece in pieces)


def test_a_long_stroke_such_as_a_signature_is_not_cut() -> None:
    picture = np.full((50, 400), 255, np.uint8)
    assert len(_cut(picture, 50.0)) == 1


def test_every_piece_is_a_candidate_and_apart_ones_are_never_joined() -> None:
    pieces = [Piece(k, (40 * k, 0, 40 * k + 25, 50)) for k in range(4)]
    assert candidates(pieces, 50.0) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_digit_that_fell_apart_has_a_candidate_of_its_parts() -> None:
    bar, hook = Piece(0, (0, 0, 28, 8)), Piece(1, (2, 12, 26, 50))
    assert (0, 2) in candidates([bar, hook], 50.0)


def test_pieces_of_one_component_may_be_one_digit() -> None:
    parts = [Piece(3, (0, 0, 15, 50)), Piece(3, (15, 0, 30, 50))]
    assert (0, 2) in candidates(parts, 50.0)


@pytest.mark.parametrize(
    ("box", "mark"),
    [
        ((32, 44, 37, 50), "."),
        ((32, 44, 37, 58), ","),
        ((32, 30, 44, 68), ","),
        ((32, 22, 46, 27), "-"),
        ((32, -2, 36, 8), "'"),
    ],
)
def test_a_small_glyph_between_digits_is_the_mark_of_its_place(
    box: tuple[int, int, int, int], mark: str
) -> None:
    boxes = np.array([(0, 0, 28, 50), box, (50, 0, 78, 50)], np.int32)
    found = marks(boxes, np.zeros(3), np.zeros(3, bool), 50.0)
    assert [chr(code) if code else "" for code in found] == ["", mark, ""]


def test_a_straight_stroke_that_leans_may_be_a_slash() -> None:
    boxes = np.array([(0, 0, 28, 50), (32, -5, 55, 55), (60, 0, 64, 50)], np.int32)
    straight = np.array([False, True, True])
    found = marks(boxes, np.array([0.0, 22.0, 2.0]), straight, 50.0)
    assert found.tolist() == [0, ord("/"), 0]


def test_a_one_that_leans_as_the_whole_line_does_is_no_slash() -> None:
    boxes = np.array([(0, 0, 28, 50), (32, 0, 55, 50), (60, 0, 80, 50)], np.int32)
    straight = np.array([False, True, False])
    found = marks(boxes, np.array([19.0, 20.0, 18.0]), straight, 50.0)
    assert not found.any()


@pytest.mark.parametrize("degrees", [-20.0, 0.0, 12.0, 30.0])
def test_the_lean_of_a_straight_stroke_is_measured(degrees: float) -> None:
    ink = np.zeros((80, 160), np.uint8)
    shift = round(60 * np.tan(np.radians(degrees)))
    cv2.line(ink, (80 - shift // 2, 70), (80 + shift - shift // 2, 10), 255, 4)
    x, y, width, height = cv2.boundingRect(ink)
    measured, straight = lean(ink[y : y + height, x : x + width] > 0)
    assert abs(measured - degrees) < 2.5
    assert straight


def test_a_ring_is_not_straight() -> None:
    ink = np.zeros((50, 32), np.uint8)
    _ring(ink, 16)
    assert not lean(ink > 0)[1]


def test_no_glyphs_have_no_marks() -> None:
    found = marks(np.zeros((0, 4), np.int32), np.zeros(0), np.zeros(0, bool), 10.0)
    assert found.shape == (0,)
    assert found.dtype == np.uint8
