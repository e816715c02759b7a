"""Whole numbers as people write them, composed of single digits, as strips.

Amounts, dates and codes, with their separators and strokes, in one hand each: real digits of
one writer, or digits drawn stroke by stroke (``hands``). They stand apart, touch, overlap or
are joined, some have a word beside them that is not read, and they are then worn as pens, forms
and scanners do.
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
from digitocr.training.draw import printed_word
from digitocr.training.hands import any_hand, draw
from digitocr.training.texts import any_text
from digitocr.training.wear import bent, worn
from digitocr.types import NOT_A_DIGIT

__all__ = ["Hands", "any_number", "any_strip", "strip_without_number"]

_FINE = 2  # times the size of a strip, at which numbers are composed
_TALL = _FINE * FIGURE
_ROWS = _FINE * HEIGHT + _TALL  # of the field they are composed in
_MIDDLE = _ROWS // 2
_INK = 100  # grey levels; more is ink that may touch
_EVEN = 0.5  # of the real hands have their digits brought to one height
_BENT = 1.3  # pixels, standard deviation at the knots of a real digit
_TURNED = 4.0  # degrees, of a real hand, and half of it of each digit
_LIGATURES = 0.2  # of the numbers have strokes from digit to digit
_SMALL_ZEROS, _RAISED = 0.1, 0.05  # of the numbers have small zeros, or small and raised cents
_WORDS = 0.1  # of the numbers have a word beside them
_SPACINGS = ("apart", "close", "touching", "over")

Bytes = NDArray[Any]  # uint8; OpenCV's types say less
Extent = tuple[int, int, int, int]  # left, right, top, bottom


class Hands:
    """Where digits come from: real writers, and hands drawn stroke by stroke."""

    def __init__(
        self,
        sources: Sequence[Samples],
        drawn: float = 0.5,
        letters: Samples | None = None,
    ) -> None:
        """sources: digits in MNIST format, all ten in each; a source is taken as often as the
        square root of its size tells: large ones hold more hands, but of one school. drawn: the
        share of numbers that are drawn stroke by stroke. letters: in MNIST format too; without
        them the words beside numbers are all printed.
        Raises ValueError for a source that lacks a digit."""
        for source in sources:
            missing = set(range(NOT_A_DIGIT)) - set(source.labels.tolist())
            if missing:
                raise ValueError(f"{source.source} has no digit {min(missing)}")
        self._drawn_share = drawn if sources else 1.0
        self._sources = [(one.pictures, list(_by_writer(one))) for one in sources]
        sizes = np.sqrt([len(one) for one in sources])
        self._odds = sizes / sizes.sum()
        self._letters = letters.pictures if letters is not None else np.zeros((0, 28, 28), np.uint8)

    def digits(self, text: str, random: Generator) -> list[Bytes]:
        """A picture of each of the digits in one hand: uint8 (h, w), 255 is ink, cut close."""
        if random.random() < self._drawn_share:
            return self._drawn(text, random)
        return self._real(text, random)

    def word(self, random: Generator) -> Bytes:
        """A few letters, or a sign, about as high as digits: uint8 (h, w), 255 is ink."""
        if not len(self._letters) or random.random() < 0.5:
            word = _trim(printed_word(random))
            by = _TALL * random.uniform(0.5, 1.1) / len(word)
            size = max(3, round(word.shape[1] * by)), max(3, round(len(word) * by))
            return np.asarray(cv2.resize(word, size, interpolation=cv2.INTER_AREA))
        count = int(random.integers(1, 4))
        letters = self._letters[random.integers(0, len(self._letters), count)]
        gap = int(random.integers(2, 12))
        return np.hstack([np.pad(_middle(_trim(one)), ((0, 0), (0, gap))) for one in letters])

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
        pictures, writers = self._sources[int(random.choice(len(self._sources), p=self._odds))]
        own = writers[int(random.integers(len(writers)))]
        turn = random.normal(0, _TURNED)
        found = []
        for sign in text:
            places = own[int(sign)]
            while not len(places):  # another lends what this one never wrote
                places = writers[int(random.integers(len(writers)))][int(sign)]
            digit = _enlarged(_trim(pictures[int(random.choice(places))]))
            own_turn = turn + random.normal(0, _TURNED / 2)
            found.append(_trim(bent(digit, own_turn, _BENT, random)))
        return [_evened(one, random) for one in found] if random.random() < _EVEN else found


def any_number(hands: Hands, random: Generator) -> tuple[Bytes, str]:
    """A number as it was written, and its text: uint8 (h, w), 255 is ink, cut close; figures
    are about 40 pixels high."""
    text = any_text(random)
    ink = _composed(text, hands, random)
    rows = np.flatnonzero(ink.any(axis=1))
    return ink[rows[0] : rows[-1] + 1], text


def any_strip(hands: Hands, random: Generator) -> tuple[Bytes, str]:
    """A number as a strip, uint8 (32, w), 255 is ink, worn, and its text."""
    text = any_text(random)
    return worn(_composed(text, hands, random), _MIDDLE, _FINE, random), text


def strip_without_number(hands: Hands, random: Generator) -> tuple[Bytes, str]:
    """A strip of words alone, as ``any_strip`` gives one of a number, and its text: none."""
    words = [hands.word(random) for _ in range(int(random.integers(1, 4)))]
    width = sum(word.shape[1] + 60 for word in words) + 100
    page = _Page(np.zeros((_ROWS, width), np.uint8), 20, [], 1)
    for word in words:
        _write_word(page, word, random)
    return worn(page.ink, _MIDDLE, _FINE, random), ""


@dataclass(slots=True)
class _Page:
    """A number being written: the ink so far, where it ends, and where its digits stand."""

    ink: Bytes
    right: int
    digits: list[Extent]
    pen: int


@dataclass(frozen=True, slots=True)
class _Figure:
    """A digit to be written. lower: pixels that its middle lies below that of others."""

    ink: Bytes
    lower: float = 0.0


def _composed(text: str, hands: Hands, random: Generator) -> Bytes:
    """The signs one after the other: uint8 (h, w), about 20 rows of figures twice as large."""
    signs = "".join(filter(str.isdigit, text))
    figures = _sized(signs, hands.digits(signs, random), random)
    word = hands.word(random) if random.random() < _WORDS else None
    before = random.random() < 0.6
    width = sum(one.ink.shape[1] for one in figures) + 80 * len(text) + 200
    width += word.shape[1] + 40 if word is not None else 0
    page = _Page(np.zeros((_ROWS, width), np.uint8), 80, [], int(random.integers(2, 7)))
    if word is not None and before:
        _write_word(page, word, random)
    _write(page, text, figures, random)
    if random.random() < _LIGATURES:
        _join(page, random)
    if word is not None and not before:
        _write_word(page, word, random)
    columns = np.flatnonzero(page.ink.any(axis=0))
    return page.ink[:, max(0, columns[0] - 10) : columns[-1] + 11]


def _sized(signs: str, digits: Sequence[Bytes], random: Generator) -> list[_Figure]:
    """The digits as figures: some people write zeros small, or cents small and high."""
    chance, by = random.random(), random.uniform(0.5, 0.85)
    if chance < _SMALL_ZEROS:
        smaller, rises = [sign == "0" for sign in signs], -1
    elif chance < _SMALL_ZEROS + _RAISED and len(signs) > 3:
        smaller, rises = [at >= len(signs) - 2 for at in range(len(signs))], 1
    else:
        return [_Figure(one) for one in digits]
    lower = -rises * random.uniform(0.5, 1.1) * (1 - by) * _TALL / 2
    return [
        _Figure(_scaled(one, by), lower) if small else _Figure(one)
        for one, small in zip(digits, smaller, strict=True)
    ]


def _write(page: _Page, text: str, figures: Sequence[_Figure], random: Generator) -> None:
    """The signs of a number after what stands there."""
    spacing = str(random.choice([*_SPACINGS, "mixed"], p=[0.22, 0.18, 0.3, 0.12, 0.18]))
    drift = float(random.normal(0, 0.8))
    left = iter(figures)
    for at, sign in enumerate(text):
        if not sign.isdigit():
            _write_mark(page, sign, at == len(text) - 1, random)
            continue
        how = str(random.choice(_SPACINGS)) if spacing == "mixed" else spacing
        if at and not text[at - 1].isdigit():
            how = "apart"
        _write_digit(page, next(left), how if at else "", drift * at, random)


def _write_word(page: _Page, word: Bytes, random: Generator) -> None:
    """A word after what stands there, and room behind it."""
    height, width = word.shape
    middle = _MIDDLE + random.normal(0, 4)
    top = int(np.clip(middle - height / 2, 0, _ROWS - height))
    left = page.right + int(random.uniform(6, 24))
    room = page.ink[top : top + height, left : left + width]
    np.maximum(room, word, out=room)
    page.right = left + width + int(random.uniform(6, 24))


def _write_digit(page: _Page, figure: _Figure, how: str, drift: float, random: Generator) -> None:
    """A digit after what stands there."""
    digit = figure.ink
    height, width = digit.shape
    middle = _MIDDLE + figure.lower + drift + random.normal(0, 1.5)
    top = int(np.clip(middle - height / 2, 0, _ROWS - height))
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
        if last and random.random() < 0.3:  # the pen was not lifted
            x = page.right - int(random.uniform(0, 6))
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


def _middle(letter: Bytes) -> Bytes:
    """A letter of MNIST's format, enlarged, in the middle of rows that hold any."""
    large = _enlarged(letter)
    above = (_FINE * 28 - len(large)) // 2
    return np.pad(large, ((above, _FINE * 28 - len(large) - above), (0, 0)))


def _scaled(digit: Bytes, by: float) -> Bytes:
    height, width = digit.shape
    size = max(3, round(width * by)), max(8, round(height * by))
    return np.asarray(cv2.resize(digit, size, interpolation=cv2.INTER_AREA))


def _evened(digit: Bytes, random: Generator) -> Bytes:
    """A wide digit as high as the others: MNIST's box makes it low."""
    height, width = digit.shape
    if height <= 0.35 * _TALL or width >= 1.5 * _TALL:
        return digit
    by = _TALL * random.uniform(0.85, 1.05) / height
    size = max(3, int(width * by)), max(8, int(height * by))
    return np.asarray(cv2.resize(digit, size, interpolation=cv2.INTER_LINEAR))
