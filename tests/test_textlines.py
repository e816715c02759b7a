"""Lines of writing, and which of them are prose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitocr.segmenting.textlines import find_lines, prose


def _word(left: int, top: int, letters: int, height: int = 20) -> list[tuple[int, int, int, int]]:
    """Letters half as wide as high with a tenth of their height between them."""
    step = int(0.6 * height)
    return [
        (left + k * step, top, left + k * step + height // 2, top + height) for k in range(letters)
    ]


def _sentence(left: int, top: int, words: int, height: int = 20) -> list[tuple[int, int, int, int]]:
    return [box for k in range(words) for box in _word(left + k * 4 * height, top, 5, height)]


def _array(boxes: list[tuple[int, int, int, int]]) -> NDArray[np.int32]:
    return np.array(boxes, np.int32).reshape(-1, 4)


def _lines(boxes: list[tuple[int, int, int, int]]) -> tuple[list[int], list[bool]]:
    found = find_lines(_array(boxes), np.zeros(len(boxes), np.int32))
    return found.line.tolist(), prose(found).tolist()


def test_letters_beside_each_other_are_a_line() -> None:
    line, _ = _lines(_word(0, 0, 4) + _word(60, 0, 3))
    assert len(set(line)) == 1


def test_a_wide_gap_parts_what_stands_on_one_level() -> None:
    line, _ = _lines(_word(0, 0, 4) + _word(200, 0, 4))
    assert len(set(line)) == 2


def test_lines_above_each_other_are_apart() -> None:
    line, _ = _lines(_word(0, 0, 6) + _word(0, 26, 6))
    assert len(set(line)) == 2


def test_a_rule_between_two_letters_parts_them() -> None:
    boxes = _array(_word(0, 0, 2))
    assert len(set(find_lines(boxes, np.array([1, 1], np.int32)).line)) == 1
    assert len(set(find_lines(boxes, np.array([1, 2], np.int32)).line)) == 2


def test_dots_and_commas_join_the_line_they_stand_at() -> None:
    comma, dot = (34, 17, 37, 24), (5, -6, 8, -3)
    line, _ = _lines([*_word(0, 0, 3), comma, dot, *_word(40, 0, 3)])
    assert len(set(line)) == 1


def test_a_line_of_many_words_is_prose_and_a_short_one_is_not() -> None:
    _, sentence = _lines(_sentence(0, 0, 9))
    _, label = _lines(_sentence(0, 0, 2))
    assert sentence == [True]
    assert label == [False]


def test_the_short_last_line_of_a_paragraph_is_prose() -> None:
    line, is_prose = _lines(_sentence(0, 0, 9) + _sentence(0, 30, 2))
    assert len(set(line)) == 2
    assert is_prose == [True, True]


def test_a_number_far_below_prose_is_none() -> None:
    _, is_prose = _lines(_sentence(0, 0, 9) + _word(0, 150, 6))
    assert sorted(is_prose) == [False, True]


def test_no_components_make_no_lines() -> None:
    found = find_lines(np.zeros((0, 4), np.int32), np.zeros(0, np.int32))
    assert found.boxes.shape == (0, 4)
    assert prose(found).dtype == bool
