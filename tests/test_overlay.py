"""The overlay shows every number without hiding what it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from digitocr.overlay import COLOURS, draw
from digitocr.types import Box, Number, PageReading, Status


def number(box: Box | None, status: Status = "ok") -> Number:
    return Number("a.png", 1, "n1", "1234", "1234", 0.97, status, box)


def reading(*numbers: Number, size: tuple[int, int] = (400, 300)) -> PageReading:
    return PageReading(1, *size, None, 0, 0.0, numbers)


def page(*inked: Box) -> np.ndarray:
    pixels = np.full((300, 400), 255, np.uint8)
    for left, top, right, bottom in inked:
        pixels[top:bottom, left:right] = 0
    return pixels


@pytest.mark.parametrize("shape", [(300, 400), (300, 400, 3), (1, 1), (5, 900, 3)])
def test_any_page_comes_back_in_colour_and_size(shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 255, np.uint8)
    before = pixels.copy()
    drawn = draw(pixels, reading(number((0, 0, 1, 1)), number(None, "missing")))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (*shape[:2], 3)
    assert np.array_equal(pixels, before)


def test_a_page_without_numbers_stays_as_it_is() -> None:
    pixels = page((100, 100, 150, 120))
    assert np.array_equal(draw(pixels, reading()), np.repeat(pixels[..., None], 3, axis=2))


@pytest.mark.parametrize("place", [(150, 140), (0, 0), (340, 0), (0, 280), (340, 280), (150, 0)])
def test_the_ink_of_a_number_is_not_covered(place: tuple[int, int]) -> None:
    box = (place[0], place[1], place[0] + 60, place[1] + 20)
    pixels = page((box[0] + 4, box[1] + 4, box[2] - 4, box[3] - 4))
    drawn = draw(pixels, reading(number(box)))
    assert (drawn[pixels == 0] == 0).all()


def test_numbers_close_together_keep_their_ink() -> None:
    boxes = [(100, y, 160, y + 20) for y in range(40, 260, 24)]
    pixels = page(*boxes)
    drawn = draw(pixels, reading(*map(number, boxes)))
    assert (drawn[pixels == 0] == 0).all(axis=-1).mean() > 0.95


@pytest.mark.parametrize("status", COLOURS)
def test_each_status_has_its_colour(status: Status) -> None:
    box = None if status == "missing" else (150, 140, 210, 160)
    drawn = draw(page(), reading(number(box, status)))
    assert (drawn == COLOURS[status]).all(axis=-1).sum() > 50


def test_a_label_is_larger_on_a_larger_page() -> None:
    def written(scale: int) -> int:
        pixels = np.full((300 * scale, 400 * scale), 255, np.uint8)
        drawn = draw(pixels, reading(number((150, 140, 210, 160))))
        rows = np.flatnonzero((drawn != 255).any(axis=(1, 2)))
        return int(np.ptp(rows)) - 20

    assert written(8) > 2 * written(1)
