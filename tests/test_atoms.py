"""Pieces of ink, their candidates and their marks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.components import find_components, packed
from digitocr.segmenting.atoms import candidates, leans, marks
from digitocr.segmenting.cuts import find_seams, may_touch
from digitocr.segmenting.pieces import Pieces, cut_apart

Box = tuple[int, int, int, int]


def _ring(picture: NDArray[np.uint8], x: int) -> None:
    cv2.ellipse(picture, (x, 25), (14, 22), 0, 0, 360, 255, 4)


def _cut(picture: NDArray[np.uint8], height: float) -> Pieces:
    """The pieces of the one component of a picture."""
    parts = find_components(packed(np.pad(picture, ((20, 0), (10, 0)))))
    figure = np.array([height])
    wide = np.flatnonzero(may_touch(parts.widths, parts.heights, figure))
    return cut_apart(parts, find_seams(parts, wide, figure[wide]))


def _candidates(boxes: list[Box], component: list[int]) -> list[list[int]]:
    """The candidates among the pieces of one line of 50 pixels' height."""
    count = len(boxes)
    line, height = np.zeros(count, np.intp), np.full(count, 50.0)
    return candidates(np.array(boxes), np.array(component), line, height).tolist()


def _marks(boxes: list[Box], lean: list[float], straight: list[bool]) -> list[str]:
    """The marks of a line of 50 pixels' height, "" for none, with another line behind it."""
    other = [(0, 200, 28, 300), (30, 290, 34, 300)]
    found = marks(
        np.array([*boxes, *other], np.int32),
        np.array([*lean, 0, 0], np.float64),
        np.array([*straight, False, False]),
        np.array([0] * len(boxes) + [1, 1]),
        np.array([50.0] * len(boxes) + [100.0] * 2),
    )
    assert found.dtype == np.uint8
    return [chr(code) if code else "" for code in found[: len(boxes)]]


def test_a_single_digit_is_one_whole_piece() -> None:
    picture = np.zeros((50, 32), np.uint8)
    _ring(picture, 16)
    pieces = _cut(picture, 50.0)
    assert pieces.boxes.tolist() == [[10, 21, 42, 70]]
    assert pieces.whole.all()


def test_two_touching_zeros_are_cut_where_they_touch() -> None:
    picture = np.zeros((50, 61), np.uint8)
    _ring(picture, 16)
    _ring(picture, 44)
    pieces = _cut(picture, 50.0)
    assert len(pieces.boxes) == 2
    assert abs(pieces.boxes[0, 2] - 10 - 30) <= 4
    assert pieces.boxes[0, 0] == 10
    assert pieces.boxes[1, 2] == 71
    assert not pieces.whole.any()


def test_the_pieces_of_a_component_are_all_of_its_ink_once() -> None:
    picture = np.zeros((50, 61), np.uint8)
    _ring(picture, 16)
    _ring(picture, 44)
    row, start, end, piece = _cut(picture, 50.0).runs
    found = np.zeros((70, 71), int)
    for y, left, right in zip(row, start, end, strict=True):
        found[y, left:right] += 1
    assert set(piece.tolist()) == {0, 1}
    assert np.array_equal(found[20:, 10:], picture > 0)


def test_pieces_are_taken_with_their_ink() -> None:
    picture = np.zeros((50, 61), np.uint8)
    _ring(picture, 16)
    _ring(picture, 44)
    pieces = _cut(picture, 50.0)
    last = pieces.take(np.array([1]))
    assert last.boxes.tolist() == pieces.boxes[1:].tolist()
    assert set(last.runs[3].tolist()) == {0}
    assert last.runs[1].min() == last.boxes[0, 0]


def test_components_are_cut_together_as_they_are_alone() -> None:
    picture = np.zeros((300, 200), np.uint8)
    for top, left, overlap in ((0, 0, 4), (70, 20, 3), (150, 90, 2), (220, 10, 5)):
        own = picture[top : top + 50, left : left + 61]
        _ring(own, 16)
        _ring(own, 48 - overlap)
    parts = find_components(packed(picture))
    wide = np.flatnonzero(parts.widths > 20)
    figure = np.array([50.0, 45.0, 48.0, 60.0])
    assert len(wide) == 4
    together = find_seams(parts, wide, figure)
    assert len(together) == 4
    for place, member in enumerate(wide):
        alone = find_seams(parts, wide[[place]], figure[[place]])
        assert np.array_equal(alone[member], together[member])


def test_a_long_stroke_such_as_a_signature_is_not_cut() -> None:
    picture = np.full((50, 400), 255, np.uint8)
    assert len(_cut(picture, 50.0).boxes) == 1


def test_every_piece_is_a_candidate_and_apart_ones_are_never_joined() -> None:
    boxes = [(40 * k, 0, 40 * k + 25, 50) for k in range(4)]
    assert _candidates(boxes, [0, 1, 2, 3]) == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_a_digit_that_fell_apart_has_a_candidate_of_its_parts() -> None:
    assert [0, 2] in _candidates([(0, 0, 28, 8), (2, 12, 26, 50)], [0, 1])


def test_pieces_of_one_component_may_be_one_digit() -> None:
    assert [0, 2] in _candidates([(0, 0, 15, 50), (15, 0, 30, 50)], [3, 3])


def test_pieces_of_two_lines_are_never_joined() -> None:
    boxes = np.array([(0, 0, 28, 8), (2, 12, 26, 50)])
    found = candidates(boxes, np.array([0, 1]), np.array([0, 1]), np.full(2, 50.0))
    assert found.tolist() == [[0, 1], [1, 2]]


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
def test_a_small_glyph_between_digits_is_the_mark_of_its_place(box: Box, mark: str) -> None:
    boxes = [(0, 0, 28, 50), box, (50, 0, 78, 50)]
    assert _marks(boxes, [0.0] * 3, [False] * 3) == ["", mark, ""]


def test_a_straight_stroke_that_leans_may_be_a_slash() -> None:
    boxes = [(0, 0, 28, 50), (32, -5, 55, 55), (60, 0, 64, 50)]
    assert _marks(boxes, [0.0, 22.0, 2.0], [False, True, True]) == ["", "/", ""]


def test_a_one_that_leans_as_the_whole_line_does_is_no_slash() -> None:
    boxes = [(0, 0, 28, 50), (32, 0, 55, 50), (60, 0, 80, 50)]
    assert _marks(boxes, [19.0, 20.0, 18.0], [False, True, False]) == ["", "", ""]


@pytest.mark.parametrize("degrees", [-20.0, 0.0, 12.0, 30.0])
def test_the_lean_of_a_straight_stroke_is_measured(degrees: float) -> None:
    ink = np.zeros((80, 160), np.uint8)
    shift = round(60 * np.tan(np.radians(degrees)))
    cv2.line(ink, (80 - shift // 2, 70), (80 + shift - shift // 2, 10), 255, 4)
    parts = find_components(packed(ink))
    (measured,), (straight,) = leans(parts.runs, parts.boxes)
    assert abs(measured - degrees) < 2.5
    assert straight


def test_a_ring_is_not_straight() -> None:
    ink = np.zeros((50, 32), np.uint8)
    _ring(ink, 16)
    parts = find_components(packed(ink))
    assert not leans(parts.runs, parts.boxes)[1].any()


def test_no_glyphs_have_no_marks() -> None:
    none = np.zeros(0)
    found = marks(np.zeros((0, 4), np.int32), none, none > 0, none.astype(np.intp), none)
    assert found.shape == (0,)
    assert found.dtype == np.uint8
