"""What hands, pens, forms and scanners do to a number before it is a strip."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitocr.strips import HEIGHT

__all__ = ["bent", "worn"]

_KNOTS = 4  # along either side of a digit, between which it is bent smoothly
_ROOM = 4  # pixels around a digit, for what is bent outwards
_LARGEST = 3  # rows that are cut off a strip at its top or foot

Bytes = NDArray[Any]  # uint8; OpenCV's types say less
Change = Callable[[Bytes, Generator], Bytes]


def bent(digit: Bytes, turn: float, strength: float, random: Generator) -> Bytes:
    """A digit as the same person might have written it another time.

    Turned, and moved at a few knots (elastic distortions, Simard et al. 2003). digit: uint8
    (h, w), 255 is ink. turn: degrees to the left. strength: of the knots, standard deviation in
    pixels. Returns uint8 (h + 8, w + 8).
    """
    room = np.pad(digit, _ROOM)
    height, width = room.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - width / 2, y - height / 2
    sine, cosine = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    across, down = (
        cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
        for knots in random.normal(0, strength, (2, _KNOTS, _KNOTS)).astype(np.float32)
    )
    to_x = cosine * x - sine * y + width / 2 + across
    to_y = sine * x + cosine * y + height / 2 + down
    return np.asarray(cv2.remap(room, to_x, to_y, cv2.INTER_LINEAR))


def worn(ink: Bytes, middle: float, fine: float, random: Generator) -> Bytes:
    """A composed number as a strip: leaning, thick or thin, with dirt, soft or pale.

    ink: uint8 (h, w), 255 is ink, ``fine`` times the size of a strip. middle: the row in the
    middle of its figures. Returns uint8 (32, w).
    """
    if random.random() < 0.3:
        pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, [int(random.integers(2, 4))] * 2)
        ink = (cv2.dilate if random.random() < 0.6 else cv2.erode)(ink, pen)
    strip = _reduced(cv2.GaussianBlur(ink, (0, 0), 0.7), middle, fine, random)
    changes: tuple[tuple[float, Change], ...] = (
        (0.15, _ruled),
        (0.2, _specked),
        (0.08, _scratched),
        (0.08, _patterned),
        (0.08, _coarse),
        (0.2, _soft),
        (0.06, _hard),
        (0.05, _cut_off),
    )
    for share, change in changes:
        if random.random() < share:
            strip = change(strip, random)
    gain = random.uniform(0.9, 1.6)
    return np.asarray(np.clip(strip.astype(np.float32) * gain, 0, 255), np.uint8)


def _reduced(ink: Bytes, middle: float, fine: float, random: Generator) -> Bytes:
    """Brought to a strip's height, sheared, and not quite as high or wide as meant."""
    high = random.uniform(0.72, 1.25) / fine
    wide = high * random.uniform(0.85, 1.2)
    lean = random.normal(0, 0.12) / fine
    room = abs(lean) * len(ink)
    down = HEIGHT / 2 + random.normal(0, 1) - high * middle
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


def _patterned(strip: Bytes, random: Generator) -> Bytes:
    """With what is left in places of waves that are printed behind it."""
    width = strip.shape[1]
    x = np.arange(0, width + 4, 4)
    lines = np.zeros_like(strip)
    length, height = random.uniform(20, 120), random.uniform(0, 5)
    slope, phase = random.normal(0, 0.2), random.uniform(0, 2 * math.pi)
    for y in np.arange(random.uniform(0, 8) - HEIGHT, 2 * HEIGHT, random.uniform(4, 12)):
        wave = y + slope * x + height * np.sin(2 * math.pi * x / length + phase)
        points = np.stack([x, wave], axis=1).round().astype(np.int32)
        cv2.polylines(lines, [points], False, int(random.uniform(60, 200)), 1, cv2.LINE_AA)
    cells = random.random((4, 2 + width // 16)).astype(np.float32)
    here = cv2.resize(cells, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.maximum(strip, lines * (here > random.uniform(0.6, 0.9))), np.uint8)


def _coarse(strip: Bytes, random: Generator) -> Bytes:
    """As scanned at half a strip's resolution and more."""
    by = random.uniform(0.45, 0.9)
    size = max(2, round(strip.shape[1] * by)), max(2, round(HEIGHT * by))
    small = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, strip.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.uint8)


def _soft(strip: Bytes, random: Generator) -> Bytes:
    return np.asarray(cv2.GaussianBlur(strip, (0, 0), random.uniform(0.3, 0.9)))


def _hard(strip: Bytes, random: Generator) -> Bytes:
    """As scanned in black and white."""
    _level, black = cv2.threshold(strip, random.uniform(80, 150), 255, cv2.THRESH_BINARY)
    return np.asarray(black)


def _cut_off(strip: Bytes, random: Generator) -> Bytes:
    """Without its first or last rows: the field was cut too close."""
    rows = np.flatnonzero((strip > 100).any(axis=1))
    if len(rows):
        count = int(random.integers(1, _LARGEST + 1))
        gone = slice(0, rows[0] + count) if random.random() < 0.5 else slice(rows[-1] - count, None)
        strip[gone] = 0
    return strip
