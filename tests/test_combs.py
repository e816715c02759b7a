"""Rows of cells whose frames are broken are known by the pitch of their bars."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.components import packed
from digitocr.segmenting.combs import Comb, find_combs


def _blank() -> NDArray[np.uint8]:
    return np.zeros((600, 1000), np.uint8)


def _rules(cells: int, *, top: bool = True, foot: bool = True) -> NDArray[np.uint8]:
    lines = _blank()
    for wanted, y in ((top, 200), (foot, 245)):
        if wanted:
            cv2.line(lines, (100, y), (100 + 36 * cells, y), 255, 2)
    return lines


def _bars(cells: int) -> NDArray[np.uint8]:
    mask = _blank()
    for index in range(cells + 1):
        cv2.line(mask, (100 + 36 * index, 200), (100 + 36 * index, 245), 255, 2)
    return mask


def _digits(text: str) -> NDArray[np.uint8]:
    mask = _blank()
    for index, digit in enumerate(text):
        corner = (108 + 36 * index, 238)
        cv2.putText(mask, digit, corner, cv2.FONT_HERSHEY_SIMPLEX, 1.1, 255, 3)
    return mask


def _combs(mask: NDArray[np.uint8], lines: NDArray[np.uint8]) -> list[Comb]:
    return find_combs(packed(mask), packed(lines), len(mask))


def _count(mask: NDArray[np.uint8], lines: NDArray[np.uint8]) -> list[int]:
    return [len(comb.cells) for comb in _combs(mask, lines)]


def test_bars_between_rules_are_a_comb() -> None:
    assert _count(_bars(8) | _digits("25012016"), _rules(8)) == [8]


def test_the_ones_of_a_date_are_no_bars() -> None:
    (comb,) = _combs(_bars(8) | _digits("11112011"), _rules(8))
    assert len(comb.cells) == 8
    assert abs(comb.bars[:, 0] - np.arange(100, 400, 36)).max() <= 3


def test_a_bar_that_is_missing_between_others_is_filled_in() -> None:
    mask = _bars(8)
    mask[:, 200:215] = 0
    assert _count(mask, _rules(8)) == [8]


def test_a_bar_with_a_gap_is_a_bar() -> None:
    mask = _bars(8)
    mask[220:224] = 0
    assert _count(mask, _rules(8)) == [8]


def test_a_last_cell_without_its_bar_counts_where_the_rules_go_on() -> None:
    mask = _bars(8)
    mask[:, 380:] = 0
    assert _count(mask, _rules(8)) == [8]


def test_boxes_apart_are_combs_of_their_own() -> None:
    lines = _rules(9)
    lines[:, 212:240] = 0  # one cell's width of paper between cells 3 and 5
    assert sorted(_count(_bars(9), lines)) == [3, 5]


def test_bars_without_rules_are_no_comb() -> None:
    assert _count(_bars(8), _blank()) == []


def test_the_bars_of_a_barcode_are_no_comb() -> None:
    mask = _blank()
    mask[200:245, 100:400:6] = 255
    mask[200:245, 101:400:6] = 255
    assert _count(mask, _rules(8)) == []


def test_a_blank_page_has_no_combs() -> None:
    assert _combs(_blank(), _blank()) == []


def test_the_pictures_are_not_written_to() -> None:
    mask, lines = packed(_bars(8)), packed(_rules(8))
    before = mask.rows.copy(), lines.rows.copy()
    find_combs(mask, lines, 600)
    assert np.array_equal(mask.rows, before[0])
    assert np.array_equal(lines.rows, before[1])
