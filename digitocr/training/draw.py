"""Drawn digits and drawn things that are none: free fonts, strokes, and spoilt digits.

Fonts are those that come with matplotlib (DejaVu, STIX, Computer Modern; all free) and
OpenCV's Hershey strokes. What a font draws like a digit (O, o, l, I, |, /) is no example
of anything and is left out.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitocr.mnist import SIDE
from digitocr.normalize import glyph
from digitocr.training.data import Samples, samples
from digitocr.types import NOT_A_DIGIT

__all__ = ["draw_negatives", "draw_printed", "font_files", "printed_word", "spoil"]

_FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr", "cmb", "cmss", "cmtt", "cmti")
_HERSHEY = (0, 1, 2, 3, 4, 16, 17, 18, 19, 20)  # cv2.FONT_HERSHEY_*, upright and italic
_LETTERS = [letter for letter in string.ascii_letters if letter not in "OoIlQ"]
_RARER = "CcGgLqSsZz"  # hands write sixes, nines, fives and twos like them
_SIGNS = list('#$%&?*+=@(){}<>;:"~^')
_CURRENCIES = list("$€£¥₹")  # stand right before amounts, where they must not be read along
_CLEAR = "AaCcDdEeFfGHhJKkLMmNnPpRrTtUuVvWwXxYy"  # no figure looks like any of them
_BESIDE = ["Rs", "Rs.", "Fr.", "kr", "No.", "US$", "R$", "DM", "*", "**", "#", "kg", "km", "cm"]
_SHAPES = 9

Bytes = NDArray[Any]  # uint8; OpenCV's types say less


def draw_printed(count: int, seed: int) -> Samples:
    """``count`` printed digits 0 to 9 in all fonts, as scanners spoil them."""
    random = np.random.default_rng([seed, 1])
    labels = np.arange(count) % 10
    pictures = [glyph(_scanned(_text(str(label), random), random)) for label in labels]
    return samples(pictures, labels, source="drawn-printed")


def draw_negatives(letters: int, shapes: int, seed: int) -> Samples:
    """Printed letters and signs, alone or in twos and threes, and pieces of forms."""
    random = np.random.default_rng([seed, 2])
    texts = [_letters(random) for _ in range(letters)]
    inks = [_text(text, random) for text in texts] + [_shape(random) for _ in range(shapes)]
    pictures = [glyph(_scanned(ink, random)) for ink in inks]
    return samples(pictures, [NOT_A_DIGIT] * len(pictures), source="drawn-negatives")


def printed_word(random: np.random.Generator) -> Bytes:
    """uint8 (h, w), 255 is ink: what is printed beside numbers and is none of their digits: a
    currency, an abbreviation, a few letters."""
    kind = random.random()
    if kind < 0.35:
        return _text(str(random.choice(_CURRENCIES)), random)
    if kind < 0.65:
        return _text(str(random.choice(_BESIDE)), random)
    letters = random.choice(list(_CLEAR), int(random.integers(1, 9)))
    return _text("".join(letters), random)


def spoil(digits: Samples, pairs: int, halves: int, seed: int) -> Samples:
    """Things made of real digits that are no digits: two or three side by side or
    touching, and halves of those whose halves look like no other digit."""
    random = np.random.default_rng([seed, 3])
    neighbours = [glyph(_side_by_side(digits, random)) for _ in range(pairs)]
    cut = np.flatnonzero(np.isin(digits.labels, [2, 3, 5]))
    pieces = [glyph(_half(digits, int(place), random)) for place in random.choice(cut, halves)]
    pictures = neighbours + pieces
    return samples(pictures, [NOT_A_DIGIT] * len(pictures), source="drawn-spoilt")


def _letters(random: np.random.Generator) -> str:
    """A letter, sometimes a sign, sometimes two or three letters that were not parted."""
    kind = random.random()
    if kind < 0.15:
        return str(random.choice(_SIGNS))
    if kind < 0.25:
        return str(random.choice(_CURRENCIES))
    length = int(random.choice([1, 2, 3], p=[0.75, 0.18, 0.07]))
    letters = str(random.choice(_LETTERS))
    if letters in _RARER and random.random() < 0.6:
        letters = str(random.choice(_LETTERS))
    return letters + "".join(random.choice(_LETTERS, length - 1))


def _text(text: str, random: np.random.Generator) -> Bytes:
    """uint8 (h, w), 255 ink: the text in a random font, 40 to 90 pixels high."""
    if text.isascii() and random.random() < 0.2:
        face = int(random.choice(_HERSHEY))
        field = np.zeros((110, 60 + 70 * len(text)), np.uint8)
        thickness = int(random.integers(2, 9))
        cv2.putText(field, text, (20, 85), face, 2.5, 255, thickness, cv2.LINE_AA)
        return field
    files = font_files() if text.isascii() else _wide_font_files()
    font = ImageFont.truetype(str(random.choice(files)), int(random.integers(40, 90)))
    drawn = Image.new("L", (60 + 90 * len(text), 140), 0)
    ImageDraw.Draw(drawn).text((30, 15), text, fill=255, font=font)
    return np.asarray(drawn)


@lru_cache(maxsize=1)
def font_files() -> list[str]:
    """The upright and slanted text fonts that come with matplotlib."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = [file for file in sorted(folder.glob("*.ttf")) if file.stem.startswith(_FONTS)]
    return [str(file) for file in files if "Display" not in file.stem]


def _wide_font_files() -> list[str]:
    """Those of them that have the signs of all currencies."""
    return [file for file in font_files() if "DejaVu" in file]


def _shape(random: np.random.Generator) -> Bytes:
    """A piece of a form or of dirt: corners, crossings, rules, boxes, specks, commas."""
    field = np.zeros((100, 100), np.uint8)
    thick = int(random.integers(2, 10))
    x, y = (int(v) for v in random.integers(25, 75, 2))
    draw: list[Callable[[], object]] = [
        lambda: cv2.polylines(field, [_corner(random)], False, 255, thick),
        lambda: cv2.line(field, (5, y), (95, y + int(random.integers(-8, 9))), 255, thick),
        lambda: _crossing(field, x, y, thick),
        lambda: cv2.rectangle(field, (10, 15), (90, 50 + y // 3), 255, thick),
        lambda: cv2.ellipse(field, (50, 50), (9 + x // 8, 8 + y // 9), x * 7, 0, 360, 255, -1),
        lambda: _comma(field, random),
        lambda: _cross(field, random, thick),
        lambda: _dots(field, random),
        lambda: cv2.polylines(field, [_scrawl(random)], False, 255, max(2, thick // 2)),
    ]
    draw[int(random.integers(_SHAPES))]()
    return field


def _corner(random: np.random.Generator) -> NDArray[np.int32]:
    """Three points of a box's upper left or lower right corner: the others are written as
    sevens, and as hasty twos and sixes, are."""
    leg = random.integers(35, 90, 2)
    points = np.array([[0, leg[1]], [0, 0], [leg[0], 0]])
    return np.asarray(points + 5 if random.random() < 0.5 else 95 - points, np.int32)


def _crossing(field: Bytes, x: int, y: int, thick: int) -> None:
    """Two rules that cross or meet, as between the cells of a form."""
    cv2.line(field, (5, y), (95, y), 255, thick)
    cv2.line(field, (x, 5 if x % 2 else y), (x, 95), 255, thick)


def _comma(field: Bytes, random: np.random.Generator) -> None:
    """A comma or apostrophe: a blob with a tail."""
    radius, reach = int(random.integers(10, 22)), int(random.integers(25, 55))
    cv2.circle(field, (55, 35), radius, 255, -1)
    lean = int(random.integers(0, 25))
    tail = np.array([[55 - radius // 2, 35], [55 + radius, 35], [55 - lean, 35 + reach]])
    cv2.fillPoly(field, [tail.astype(np.int32)], 255)


def _cross(field: Bytes, random: np.random.Generator, thick: int) -> None:
    """An X or a tick as people mark cells with."""
    ends = random.integers(5, 30, 8)
    corners = [(ends[0], ends[1]), (95 - ends[2], 95 - ends[3])]
    others = [(95 - ends[4], ends[5]), (ends[6], 95 - ends[7])]
    for a, b in (corners, others):
        cv2.line(field, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), 255, thick)


def _dots(field: Bytes, random: np.random.Generator) -> None:
    """Two to six specks apart from one another: dust, a colon, an ellipsis, a dotted rule."""
    for centre in random.integers(10, 90, (int(random.integers(2, 7)), 2)):
        cv2.circle(field, (int(centre[0]), int(centre[1])), int(random.integers(2, 9)), 255, -1)


def _scrawl(random: np.random.Generator) -> NDArray[np.int32]:
    """A pen's wandering: a piece of a signature."""
    steps = np.arange(40)[:, None] / 39
    waves = random.normal(0, 14, (3, 2)) @ np.ones((2, 2))
    phases = random.uniform(0, 6.3, (3, 2))
    path = np.stack([steps[:, 0] * 90, np.zeros(40)], axis=1) + 50 * random.random(2)
    for k in range(3):
        path += waves[k] * np.sin(6.3 * (k + 2) * steps + phases[k])
    return np.asarray(np.rint(path - path.min(axis=0) + 2).clip(0, 98), np.int32)


def _scanned(ink: Bytes, random: np.random.Generator) -> Bytes:
    """The ink as a scanner may leave it: leaning, blurred, gnawed by a threshold."""
    height, width = ink.shape
    lean, turn = random.normal(0, 0.06), random.normal(0, 0.04)
    matrix = np.array([[1, lean + turn, 0], [-turn, 1, 0]], np.float32)
    shrink = float(random.uniform(0.35, 1.0))
    size = int(width * shrink) + 8, int(height * shrink) + 8
    ink = cv2.warpAffine(ink, matrix * np.float32(shrink), size, flags=cv2.INTER_AREA)
    if random.random() < 0.5:
        ink = cv2.GaussianBlur(ink, (0, 0), float(random.uniform(0.4, 1.4)))
        noise = random.normal(0, random.uniform(0, 40), ink.shape) * (ink > 8)
        gnawed = ((ink + noise) > random.uniform(70, 150)).astype(np.uint8) * np.uint8(255)
        ink = cv2.medianBlur(gnawed, 3) if shrink > 0.6 else gnawed
    return ink


def _side_by_side(digits: Samples, random: np.random.Generator) -> Bytes:
    """Two or three digits in a row, near, touching or overlapping."""
    count = 2 if random.random() < 0.85 else 3
    places = random.integers(0, len(digits), count)
    cut = [_trim(digits.pictures[place]) for place in places]
    field = np.zeros((40, SIDE * 4), np.uint8)
    left = 4
    for one in cut:
        top = int(random.integers(4, 10)) + (20 - one.shape[0]) // 2
        room = field[top : top + one.shape[0], left : left + one.shape[1]]
        np.maximum(room, one, out=room)
        left += max(3, one.shape[1] + int(random.integers(-3, 4)))
    return field


def _half(digits: Samples, place: int, random: np.random.Generator) -> Bytes:
    """The left or right part of a 2, the lower part of a 3, any of a 5."""
    trimmed = _trim(digits.pictures[place])
    rows, columns = trimmed.shape
    row, column = round(rows * random.uniform(0.4, 0.6)), round(columns * random.uniform(0.4, 0.6))
    parts = trimmed[:, :column], trimmed[:, column:], trimmed[row:], trimmed[:row]
    choices = {2: [0, 1], 3: [2], 5: [0, 1, 2, 3]}[int(digits.labels[place])]
    return parts[int(random.choice(choices))]


def _trim(picture: Bytes) -> Bytes:
    """The picture without its empty margin."""
    _level, ink = cv2.threshold(picture, 40, 255, cv2.THRESH_BINARY)
    left, top, width, height = cv2.boundingRect(ink)
    return picture[top : top + max(height, 1), left : left + max(width, 1)]
