"""What masks of bits promise: the same as OpenCV's morphology on bytes, and no pixel moved."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.bits import Bits, closed, dilated, opened, packed, shares_of_four, unpacked

Mask = NDArray[np.uint8]

SHAPES = [(1, 1), (1, 64), (3, 63), (40, 65), (7, 128), (64, 200), (90, 3)]
WINDOWS = [(1, 1), (3, 1), (1, 9), (5, 3), (65, 1), (161, 1), (1, 101)]


def drawn(shape: tuple[int, int], share: float = 0.5) -> Mask:
    dice = np.random.default_rng(shape)
    return ((dice.random(shape) < share) * 255).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_packed_comes_out_again(shape: tuple[int, int]) -> None:
    mask = drawn(shape)
    assert (unpacked(packed(mask)) == mask).all()
    assert (unpacked(packed(mask > 0)) == mask).all()
    assert not packed(np.zeros(shape, np.uint8)).any()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("share", [0.03, 0.5, 0.97])
def test_morphology_is_that_of_bytes(
    shape: tuple[int, int], window: tuple[int, int], share: float
) -> None:
    mask = drawn(shape, share)
    bits, kernel = packed(mask), np.ones(window[::-1], np.uint8)
    kinds = {dilated: cv2.MORPH_DILATE, opened: cv2.MORPH_OPEN, closed: cv2.MORPH_CLOSE}
    for ours, kind in kinds.items():
        expected = cv2.morphologyEx(mask, kind, kernel)
        assert (unpacked(ours(bits, *window)) == expected).all()
    assert (unpacked(bits) == mask).all()


@pytest.mark.parametrize("length", [2, 20, 64, 130])
def test_an_opening_of_even_length_leaves_runs_where_they_are(length: int) -> None:
    mask = np.zeros((2, 400), np.uint8)
    mask[0, 50 : 50 + length] = 255
    mask[1, 50 : 50 + length - 1] = 255
    found = unpacked(opened(packed(mask), length, 1))
    assert (found[0] == mask[0]).all()
    assert not found[1].any()


def test_masks_are_joined_and_taken_off() -> None:
    one, other = drawn((20, 100)), drawn((20, 100), 0.3)
    pairs: list[tuple[Bits, Mask]] = [
        (packed(one) | packed(other), one | other),
        (packed(one) & packed(other), one & other),
        (packed(one) - packed(other), one & ~other),
    ]
    for bits, expected in pairs:
        assert (unpacked(bits) == expected).all()


@pytest.mark.parametrize("width", [4, 7, 64, 131])
def test_shares_tell_how_many_of_four_are_set(width: int) -> None:
    mask = drawn((9, width))
    four = (mask[:, : width // 4 * 4] > 0).reshape(9, -1, 4).sum(axis=2)
    assert (shares_of_four(packed(mask)) == np.rint(four * 255 / 4)).all()
