"""Components at half scale, and the specks that are found by them."""

from __future__ import annotations

import numpy as np
import pytest

from digitocr.cleaning.squares import squares_of
from digitocr.cleaning.threshold import drop_specks
from digitocr.components import find_components, packed


@pytest.mark.parametrize("shape", [(60, 80), (61, 80), (60, 81), (61, 81), (1, 1), (1, 7), (7, 1)])
def test_a_square_holds_ink_where_any_of_its_pixels_is(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    mask = (random.random(shape) < 0.05).astype(np.uint8) * np.uint8(255)
    mask[-1, -1] = 255
    even = np.pad(mask, [(0, side % 2) for side in shape])
    any_ink = even.reshape(len(even) // 2, 2, -1, 2).max(axis=(1, 3))
    squares, expected = squares_of(mask), find_components(packed(any_ink))
    assert squares.shape == expected.shape
    assert np.array_equal(squares.runs, expected.runs)


def test_specks_are_measured_in_pixels_and_not_in_squares() -> None:
    mask = np.zeros((41, 41), np.uint8)
    mask[16:19, 5:8] = 255
    mask[5, 6:8] = 255  # two pixels in two squares
    mask[39:, 39:] = 255  # and four in the last four
    mask[25, 25] = mask[26, 26] = mask[25, 26] = 255
    clean = drop_specks(mask, squares_of(mask))
    expected = mask.copy()
    expected[5] = expected[25:27] = 0
    assert np.array_equal(clean, expected)
