"""What masks of bits promise: the same as OpenCV's morphology on bytes, and no pixel moved."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.cleaning.bitplane import (
    Bitplane,
    bitplane_of,
    bitplane_of_transposed,
    counts_of,
    picture_of,
    runs_along,
)
from digitocr.components import runs_of

Mask = NDArray[np.uint8]

SHAPES = [(1, 1), (1, 64), (3, 63), (40, 65), (7, 128), (64, 200), (90, 3)]
WINDOWS = [(1, 1), (3, 1), (1, 9), (5, 3), (65, 1), (161, 1), (1, 101), (71, 151)]


def drawn(shape: tuple[int, int], share: float = 0.5) -> Mask:
    dice = np.random.default_rng(shape)
    return ((dice.random(shape) < share) * 255).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_packed_comes_out_again(shape: tuple[int, int]) -> None:
    mask = drawn(shape)
    assert (picture_of(bitplane_of(mask)) == mask).all()
    assert (picture_of(bitplane_of_transposed(np.ascontiguousarray(mask.T))) == mask).all()
    assert not bitplane_of(np.zeros(shape, np.uint8)).any()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("share", [0.03, 0.5, 0.97])
def test_morphology_is_that_of_bytes(
    shape: tuple[int, int], window: tuple[int, int], share: float
) -> None:
    mask = drawn(shape, share)
    bits, kernel = bitplane_of(mask), np.ones(window[::-1], np.uint8)
    kinds = {
        bits.dilated: cv2.MORPH_DILATE,
        bits.eroded: cv2.MORPH_ERODE,
        bits.opened: cv2.MORPH_OPEN,
        bits.closed: cv2.MORPH_CLOSE,
    }
    for ours, kind in kinds.items():
        expected = cv2.morphologyEx(mask, kind, kernel)
        assert (picture_of(ours(*window)) == expected).all()
    assert (picture_of(bits) == mask).all()


@pytest.mark.parametrize("length", [2, 20, 64, 130])
def test_an_opening_of_even_length_leaves_runs_where_they_are(length: int) -> None:
    mask = np.zeros((2, 400), np.uint8)
    mask[0, 50 : 50 + length] = 255
    mask[1, 50 : 50 + length - 1] = 255
    found = picture_of(bitplane_of(mask).opened(length, 1))
    assert (found[0] == mask[0]).all()
    assert not found[1].any()


def test_masks_are_joined_and_taken_off() -> None:
    one, other = drawn((20, 100)), drawn((20, 100), 0.3)
    pairs: list[tuple[Bitplane, Mask]] = [
        (bitplane_of(one) | bitplane_of(other), one | other),
        (bitplane_of(one) & bitplane_of(other), one & other),
        (bitplane_of(one) - bitplane_of(other), one & ~other),
    ]
    for bits, expected in pairs:
        assert (picture_of(bits) == expected).all()


@pytest.mark.parametrize("length", [2, 20, 64, 130])
def test_even_windows_are_those_of_bytes(length: int) -> None:
    mask = drawn((66, 300), 0.5 if length == 2 else 0.02)
    bits = bitplane_of(mask)
    for window in ((length, 1), (1, length)):
        kernel = np.ones(window[::-1], np.uint8)
        assert (picture_of(bits.dilated(*window)) == cv2.dilate(mask, kernel)).all()
        assert (picture_of(bits.eroded(*window)) == cv2.erode(mask, kernel)).all()


@pytest.mark.parametrize("shape", [(9, 4), (66, 7), (64, 64), (5, 131)])
def test_pixels_along_a_row_are_counted_four_by_four(shape: tuple[int, int]) -> None:
    mask = drawn(shape)
    four = (mask[:, : shape[1] // 4 * 4] > 0).reshape(shape[0], -1, 4)
    parts = bitplane_of(mask).parted(4)
    assert (counts_of(parts) == four.sum(axis=2)).all()
    for i, part in enumerate(parts):
        assert (picture_of(part) == four[..., i] * np.uint8(255)).all()


def test_pixels_are_repeated_along_their_row() -> None:
    mask = drawn((70, 5))
    wide = picture_of(bitplane_of(mask).repeated(4, 22))
    assert (wide[:, :20] == np.repeat(mask, 4, axis=1)).all()
    assert not wide[:, 20:].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_runs_are_those_along_the_rows(shape: tuple[int, int]) -> None:
    mask = drawn(shape)
    assert (runs_along(bitplane_of(mask)) == runs_of(mask).T).all()
    assert runs_along(bitplane_of(np.zeros(shape, np.uint8))).shape == (0, 3)


def test_a_row_has_a_place_in_the_words() -> None:
    mask = drawn((130, 9))
    bits = bitplane_of(mask)
    first, own = bits.place(np.arange(130))
    there = bits.words.ravel()[first + 7] & own
    assert ((there > 0) == (mask[:, 7] > 0)).all()
