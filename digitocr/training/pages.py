"""What our own segmentation takes out of pages that hold no number: more things that are no digit.

Pages are drawn (lines of words, tables, boxes, signatures), spoilt as a scanner does, and sent
through the stages that real pages go through. What comes out has the joins, the pieces and
the remnants that only segmentation makes.
"""

from __future__ import annotations

import string
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitocr.prepare import prepare_page
from digitocr.recipe import Recipe
from digitocr.training.data import Samples, samples
from digitocr.training.draw import font_files
from digitocr.types import NOT_A_DIGIT, Page

__all__ = ["draw_page", "take_from_pages"]

# Without those that look like a digit, whole or, as an i without its dot, in part.
_LETTERS = [letter for letter in string.ascii_letters if letter not in "OoIlQijBSsZzgqb"]
_SIZE = 900, 1300  # height and width in pixels at 200 dpi
_NARROW = 0.45  # of the height; below it a broken letter's stem looks like a one
_PAGES_AT_MOST = 200

Bytes = NDArray[Any]  # uint8; OpenCV's types say less


def take_from_pages(count: int, seed: int) -> Samples:
    """``count`` pieces that segmentation takes for candidates on pages without a digit.

    Candidates with a side cut through ink are left out, and narrow ones: half an H is a
    fair one.
    """
    random = np.random.default_rng([seed, 8])
    taken: list[Bytes] = []
    for _page in range(_PAGES_AT_MOST):
        if len(taken) >= count:
            break
        glyphs = prepare_page(Page(1, draw_page(random), 200.0), Recipe())
        wide, high = (glyphs.boxes[:, 2:] - glyphs.boxes[:, :2]).T
        whole = glyphs.crops[(glyphs.cuts == 0) & (wide > _NARROW * high)]
        taken += list(whole[random.permutation(len(whole))[: max(50, count // 20)]])
    return samples(taken[:count], [NOT_A_DIGIT] * len(taken[:count]), source="drawn-pages")


def draw_page(random: np.random.Generator) -> Bytes:
    """uint8 (900, 1300), 255 paper: words, rules, boxes and a signature, but no digit."""
    picture = Image.new("L", (_SIZE[1], _SIZE[0]), 255)
    pen = ImageDraw.Draw(picture)
    top = 30
    while top < _SIZE[0] - 60:
        top += _line_of_words(pen, top, random)
    field = np.array(picture)
    if random.random() < 0.6:
        _table(field, random)
    for _signature in range(int(random.integers(1, 4))):
        _signature_on(field, random)
    return _scanned(field, random)


def _line_of_words(pen: ImageDraw.ImageDraw, top: int, random: np.random.Generator) -> int:
    """Words from left to right in one font; returns the line's height in pixels."""
    size = int(random.integers(18, 48))
    font = ImageFont.truetype(str(random.choice(font_files())), size)
    left = int(random.integers(20, 300))
    end = _SIZE[1] - int(random.integers(20, 500))
    while left < end:
        word = "".join(random.choice(_LETTERS, int(random.integers(1, 9))))
        word = word.lower() if random.random() < 0.6 else word.upper()
        word = "".join(letter for letter in word if letter in _LETTERS)
        pen.text((left, top), word, fill=int(random.integers(0, 70)), font=font)
        left += int(pen.textlength(word, font=font)) + size // 2
    return int(size * random.uniform(1.3, 2.2))


def _table(field: Bytes, random: np.random.Generator) -> None:
    """Empty cells, drawn over whatever stands there."""
    left, top = (int(v) for v in random.integers(30, 500, 2))
    wide, high = (int(v) for v in random.integers(30, 110, 2))
    thick, grey = int(random.integers(1, 5)), int(random.integers(0, 120))
    for row in range(int(random.integers(1, 6))):
        for column in range(int(random.integers(1, 10))):
            corner = left + column * wide, top + row * high
            cv2.rectangle(field, corner, (corner[0] + wide, corner[1] + high), grey, thick)


def _signature_on(field: Bytes, random: np.random.Generator) -> None:
    """A pen's wandering from left to right, in loops of several heights."""
    steps = np.linspace(0, 1, 150)
    across = steps * random.uniform(150, 400)
    down = np.zeros_like(steps)
    for _wave in range(4):
        turns, phase = random.uniform(2, 14), random.uniform(0, 6.3)
        across = across + random.normal(0, 9) * np.cos(6.3 * turns * steps + phase)
        down = down + random.normal(0, 16) * np.sin(6.3 * turns * steps + phase)
    begin = random.uniform((50, 80), (_SIZE[1] - 450, _SIZE[0] - 80))
    path = np.stack([across + begin[0], down + begin[1]], axis=1)
    colour, thick = int(random.integers(0, 110)), int(random.integers(2, 6))
    cv2.polylines(field, [np.rint(path).astype(np.int32)], False, colour, thick, cv2.LINE_AA)


def _scanned(field: Bytes, random: np.random.Generator) -> Bytes:
    """The page as a scanner leaves it: a little turned, blurred, grained."""
    turn = cv2.getRotationMatrix2D((_SIZE[1] / 2, _SIZE[0] / 2), float(random.normal(0, 1)), 1)
    field = cv2.warpAffine(field, turn, (_SIZE[1], _SIZE[0]), borderValue=255)
    field = cv2.GaussianBlur(field, (0, 0), float(random.uniform(0.4, 1.3)))
    noise = random.normal(0, random.uniform(0, 14), field.shape)
    return np.asarray((field + noise).clip(0, 255), np.uint8)
