"""Whole numbers as people write them, composed of single digits, as strips.

Amounts, dates and codes, with their separators and strokes, in one hand each: real digits of
one writer, or digits drawn stroke by stroke (``hands``). They stand apart, touch, overlap or
are joined, and are then worn as pens, forms and scanners do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitocr.strips import FIGURE, HEIGHT
from digitocr.training.data import Samples
from digitocr.training.hands import any_hand, draw
from digitocr.types import NOT_A_DIGIT

__all__ = ["Hands", "any_number", "any_strip", "any_text"]

_FINE = 2  # times the size of a strip, at which numbers are composed
_TALL = _FINE * FIGURE
_ROWS = _FINE * HEIGHT + _TALL  # of the field they are composed in
_MIDDLE = _ROWS // 2
_INK = 100  # grey levels; more is ink that may touch
_EVEN = 0.5  # of the real hands have their digits brought to one height
_LIGATURES = 0.2  # of the numbers have strokes from digit to digit
_SPACINGS = ("apart", "close", "touching", "over")

Bytes = NDArray[Any]  # uint8; OpenCV's types say less
Extent = tuple[int, int, int, int]  # left, right, top, bottom


class Hands:
    """Where digits come from: real writers, and hands drawn stroke by stroke."""

    def __init__(self, sources: Sequence[Samples], drawn: float = 0.5) -> None:
        """sources: digits in MNIST format, all ten in each; each source is as likely, whatever
        its size. drawn: the share of numbers that are drawn stroke by stroke.
        Raises ValueError for a source that lacks a digit."""
        for source in sources:
            missing = set(range(NOT_A_DIGIT)) - set(source.labels.tolist())
            if missing:
                raise ValueError(f"{source.source} has no digit {min(missing)}")
        self._drawn_share = drawn if sources else 1.0
        self._sources = [(one.pictures, list(_by_writer(one))) for one in sources]

    def digits(self, text: str, random: Generator) -> list[Bytes]:
        """A picture of each of the digits in one hand: uint8 (h, w), 255 is ink, cut close."""
        if random.random() < self._drawn_share:
            return self._drawn(text, random)
        return self._real(text, random)

    def _drawn(self, text: str, random: Generator) -> list[Bytes]:
        hand = any_hand(random)
        return [
            draw(
                int(sign),
                hand if random.random() < 0.85 else any_hand(random),
                _TALL * random.uniform(0.9, 1.1),
                random,
            )
            for sign in text
        ]

    def _real(self, text: str, random: Generator) -> list[Bytes]:
        pictures, writers = self._sources[int(random.integers(len(self._sources)))]
        own = writers[int(random.integers(len(writers)))]
        found = []
        for sign in text:
            places = own[int(sign)]
            while not len(places):  # another lends what this one never wrote
                places = writers[int(random.integers(len(writers)))][int(sign)]
            found.append(_enlarged(_trim(pictures[int(random.choice(places))])))
        return [_evened(one, random) for one in found] if random.random() < _EVEN else found


def any_text(random: Generator) -> str:
    """What may stand in a field: a date, or digits with separators and strokes."""
    if random.random() < 0.12:
        return _date(random)
    digits = _digits(random)
    grouped = _grouped(digits, random) if len(digits) > 3 and random.random() < 0.4 else digits
    if random.random() < 0.1:
        grouped += str(random.choice(list(".,-"))) + f"{int(random.integers(100)):02}"
    ends = random.choice(["", "-", "=", ".-", "/-", "."], p=[0.68, 0.12, 0.05, 0.06, 0.03, 0.06])
    begins = str(random.choice(list("-="))) if random.random() < 0.03 else ""
    return begins + grouped + str(ends)


def any_number(hands: Hands, random: Generator) -> tuple[Bytes, str]:
    """A number as it was written, and its text: uint8 (h, w), 255 is ink, cut close; figures
    are about 40 pixels high."""
    text = any_text(random)
    digits = hands.digits("".join(filter(str.isdigit, text)), random)
    ink = _composed(text, digits, random)
    rows = np.flatnonzero(ink.any(axis=1))
    return ink[rows[0] : rows[-1] + 1], text


def any_strip(hands: Hands, random: Generator) -> tuple[Bytes, str]:
    """A number as a strip, uint8 (32, w), 255 is ink, worn, and its text."""
    text = any_text(random)
    digits = hands.digits("".join(filter(str.isdigit, text)), random)
    return _worn(_composed(text, digits, random), random), text


def _date(random: Generator) -> str:
    separator = str(random.choice(list("/.-"), p=[0.2, 0.4, 0.4]))
    zeros = "02" if random.random() < 0.5 else ""
    year = str(random.integers(1950, 2040))[2 * int(random.random() < 0.5) :]
    parts = [f"{int(random.integers(1, most)):{zeros}}" for most in (32, 13)]
    parts.append(year)
    return separator.join(parts[::-1] if random.random() < 0.2 else parts)


def _digits(random: Generator) -> str:
    """Up to nine digits; zeros often stand at the end, and digits are often doubled."""
    odds = [0.02, 0.05, 0.15, 0.22, 0.23, 0.17, 0.1, 0.04, 0.02]
    count = int(random.choice(np.arange(1, 10), p=odds))
    text = "".join(map(str, random.integers(0, 10, count)))
    if count > 2 and random.random() < 0.3:
        zeros = int(random.integers(1, count))
        text = text[:-zeros] + "0" * zeros
    if count > 2 and random.random() < 0.1:
        at = int(random.integers(1, count))
        text = text[:at] + text[at - 1] + text[at + 1 :]
    return text


def _grouped(digits: str, random: Generator) -> str:
    """With a separator before every three digits from the end."""
    separator = str(random.choice(list(".,'"), p=[0.5, 0.4, 0.1]))
    first = (len(digits) - 1) % 3 + 1
    groups = [digits[at : at + 3] for at in range(first, len(digits), 3)]
    return separator.join([digits[:first], *groups])


@dataclass(slots=True)
class _Page:
    """A number being written: the ink so far, where it ends, and where its digits stand."""

    ink: Bytes
    right: int
    digits: list[Extent]
    pen: int


def _composed(text: str, digits: Sequence[Bytes], random: Generator) -> Bytes:
    """The signs one after the other: uint8 (h, w), about 20 rows of figures twice as large."""
    width = sum(one.shape[1] for one in digits) + 80 * len(text) + 200
    page = _Page(np.zeros((_ROWS, width), np.uint8), 80, [], int(random.integers(2, 7)))
    spacing = str(random.choice([*_SPACINGS, "mixed"], p=[0.25, 0.2, 0.25, 0.12, 0.18]))
    drift = float(random.normal(0, 0.8))
    left = iter(digits)
    for at, sign in enumerate(text):
        if not sign.isdigit():
            _write_mark(page, sign, at == len(text) - 1, random)
            continue
        how = str(random.choice(_SPACINGS)) if spacing == "mixed" else spacing
        if at and not text[at - 1].isdigit():
            how = "apart"
        _write_digit(page, next(left), how if at else "", drift * at, random)
    if random.random() < _LIGATURES:
        _join(page, random)
    columns = np.flatnonzero(page.ink.any(axis=0))
    return page.ink[:, max(0, columns[0] - 10) : columns[-1] + 11]


def _write_digit(page: _Page, digit: Bytes, how: str, drift: float, random: Generator) -> None:
    """A digit after what stands there."""
    height, width = digit.shape
    top = int(np.clip(_MIDDLE - height / 2 + drift + random.normal(0, 1.5), 0, _ROWS - height))
    left = page.right
    if how == "apart":
        left += int(random.uniform(3, 16))
    elif how == "close":
        left += int(random.uniform(-2, 6))
    elif how:
        left = _touching(page, digit, top) - (int(random.uniform(0, 6)) if how == "over" else 0)
    if page.digits:
        left = max(left, page.digits[-1][0] + 4)
    room = page.ink[top : top + height, left : left + width]
    np.maximum(room, digit, out=room)
    page.right = left + width
    page.digits.append((left, left + width, top, top + height))


def _touching(page: _Page, digit: Bytes, top: int) -> int:
    """The column at which a digit, pushed to the left, first touches the ink."""
    before = page.ink[top : top + len(digit)] > _INK
    there = digit > _INK
    ends = np.where(before.any(axis=1), before.shape[1] - before[:, ::-1].argmax(axis=1), -9999)
    begins = np.where(there.any(axis=1), there.argmax(axis=1), 9999)
    padded = np.pad(ends, 2, constant_values=-9999)  # ink two rows above or below touches too
    near = np.maximum.reduce([padded[:-4], ends, padded[4:]])
    reached = int((near - begins).max())
    return reached if reached > 0 else page.right


def _write_mark(page: _Page, sign: str, last: bool, random: Generator) -> None:
    """A separator or a stroke after what stands there."""
    x = page.right + int(random.uniform(2, 14))
    if sign in ".,":
        radius = int(random.integers(2, 5))
        y = int(_MIDDLE + _TALL * random.uniform(0.3, 0.55))
        cv2.circle(page.ink, (x + radius, y), radius, 255, -1, cv2.LINE_AA)
        if sign == ",":
            tail = x + radius - int(random.uniform(2, 7)), y + int(random.uniform(8, 18))
            _stroke(page, (x + radius, y), tail, max(2, radius))
        width = 2 * radius
    elif sign == "'":
        y = int(_MIDDLE - _TALL * random.uniform(0.35, 0.6))
        tail = x - int(random.uniform(-1, 5)), y + int(random.uniform(6, 12))
        _stroke(page, (x, y), tail, page.pen)
        width = 3
    elif sign == "/":
        height, lean = _TALL * random.uniform(0.9, 1.4), random.uniform(0.25, 0.6)
        foot = x, int(_MIDDLE + height / 2)
        _stroke(page, foot, (int(x + lean * height), int(_MIDDLE - height / 2)), page.pen)
        width = int(lean * height - random.uniform(0, 8))
    else:
        width = int(random.uniform(12, 60) if last else random.uniform(10, 24))
        middle = _MIDDLE + random.normal(0, 4)
        for level in (middle - 5, middle + 5) if sign == "=" else (middle,):
            begin = x + int(random.normal(0, 2)), int(level + random.normal(0, 2))
            _stroke(page, begin, (x + width, int(level + random.normal(0, 4))), page.pen)
    page.right = x + width + int(random.uniform(0, 5))


def _stroke(page: _Page, begin: tuple[int, int], end: tuple[int, int], pen: int) -> None:
    cv2.line(page.ink, begin, end, 255, pen, cv2.LINE_AA)


def _join(page: _Page, random: Generator) -> None:
    """Strokes from some of the digits to the next, high or at the foot."""
    pen = int(random.integers(2, 6))
    for one, other in zip(page.digits, page.digits[1:], strict=False):
        if other[0] - one[1] > 16 or random.random() < 0.4:
            continue
        height = one[3] - one[2]
        y = one[2] + height * (random.uniform(0, 0.4) if random.random() < 0.6 else 0.9)
        begin = int(one[1] - random.uniform(1, 8)), int(y)
        _stroke(
            page, begin, (int(other[0] + random.uniform(1, 8)), int(y + random.normal(0, 3))), pen
        )


def _worn(ink: Bytes, random: Generator) -> Bytes:
    """A composed number as a strip: leaning, thick or thin, with dirt, soft or pale."""
    if random.random() < 0.3:
        pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, [int(random.integers(2, 4))] * 2)
        ink = (cv2.dilate if random.random() < 0.6 else cv2.erode)(ink, pen)
    strip = _reduced(cv2.GaussianBlur(ink, (0, 0), 0.7), random)
    for share, change in ((0.15, _ruled), (0.2, _specked), (0.08, _scratched), (0.25, _soft)):
        if random.random() < share:
            strip = change(strip, random)
    gain = random.uniform(0.9, 1.6)
    return np.asarray(np.clip(strip.astype(np.float32) * gain, 0, 255), np.uint8)


def _reduced(ink: Bytes, random: Generator) -> Bytes:
    """Brought to a strip's height, sheared, and not quite as high or wide as meant."""
    high = random.uniform(0.72, 1.25) / _FINE
    wide = high * random.uniform(0.85, 1.2)
    lean = random.normal(0, 0.12) / _FINE
    room = abs(lean) * len(ink)
    down = HEIGHT / 2 + random.normal(0, 1) - high * _MIDDLE
    onto = np.array([[wide, -lean, max(0.0, lean) * len(ink) + 2], [0, high, down]])
    size = int(ink.shape[1] * wide + room) + 4, HEIGHT
    return np.asarray(cv2.warpAffine(ink, onto, size, flags=cv2.INTER_LINEAR))


def _ruled(strip: Bytes, random: Generator) -> Bytes:
    """With a remnant of a rule above or below."""
    y = int(random.uniform(1, 8) if random.random() < 0.5 else random.uniform(24, 31))
    begin = int(random.uniform(0, strip.shape[1]))
    end = int(random.uniform(begin, strip.shape[1])), y + int(random.integers(-1, 2))
    thick = int(random.integers(1, 3))
    return np.asarray(cv2.line(strip, (begin, y), end, int(random.uniform(120, 255)), thick))


def _specked(strip: Bytes, random: Generator) -> Bytes:
    for _speck in range(int(random.integers(1, 5))):
        at = int(random.uniform(0, strip.shape[1])), int(random.uniform(0, HEIGHT))
        cv2.circle(strip, at, int(random.integers(0, 2)), int(random.uniform(100, 255)), -1)
    return strip


def _scratched(strip: Bytes, random: Generator) -> Bytes:
    """With fine gaps in the strokes."""
    for _scratch in range(int(random.integers(1, 4))):
        x = random.uniform(0, strip.shape[1])
        cv2.line(strip, (int(x), 0), (int(x + random.normal(0, 30)), HEIGHT), 0, 1)
    return strip


def _soft(strip: Bytes, random: Generator) -> Bytes:
    return np.asarray(cv2.GaussianBlur(strip, (0, 0), random.uniform(0.3, 0.9)))


def _by_writer(digits: Samples) -> Iterator[list[NDArray[np.intp]]]:
    """For each writer the places of each of the ten digits."""
    known = np.flatnonzero(digits.labels < NOT_A_DIGIT)
    _names, writer = np.unique(digits.writers[known], return_inverse=True)
    for number in range(int(writer.max()) + 1):
        own = known[writer == number]
        yield [own[digits.labels[own] == digit] for digit in range(NOT_A_DIGIT)]


def _trim(picture: Bytes) -> Bytes:
    """The picture without its empty margin."""
    _level, ink = cv2.threshold(picture, 40, 255, cv2.THRESH_BINARY)
    left, top, width, height = cv2.boundingRect(ink)
    return picture[top : top + max(height, 1), left : left + max(width, 1)]


def _enlarged(digit: Bytes) -> Bytes:
    return np.asarray(cv2.resize(digit, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_CUBIC))


def _evened(digit: Bytes, random: Generator) -> Bytes:
    """A wide digit as high as the others: MNIST's box makes it low."""
    height, width = digit.shape
    if height <= 0.35 * _TALL or width >= 1.5 * _TALL:
        return digit
    by = _TALL * random.uniform(0.85, 1.05) / height
    size = max(3, int(width * by)), max(8, int(height * by))
    return np.asarray(cv2.resize(digit, size, interpolation=cv2.INTER_LINEAR))
