"""Digits as our own segmentation cuts them out of a number: with stubs, gaps and neighbours' ink.

Digits of one hand are set side by side, often touching, and sent through the stages that a
cut-out field goes through. A candidate that covers one digit is that digit, however its
neighbour's stroke sticks out of it; one that covers two is none.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.mnist import SIDE
from digitocr.prepare import prepare_page
from digitocr.recipe import CleanOptions, Recipe, SegmentOptions
from digitocr.training.data import Samples, samples
from digitocr.types import NOT_A_DIGIT, Glyphs, Page

__all__ = ["compose", "take_from_strings"]

_SCALE = 3  # by which an MNIST digit is enlarged: 60 pixels high, as of a fine scan
_MARGIN = 12
_GAPS = -3, 5  # between two digits, in their pixels
_ONE = 0.8  # shared part of the width of candidate and digit: it is that digit
_OF_ANOTHER = 0.35  # of the width of another digit: with more of it, it is in doubt
_OF_TWO = 0.6  # of the width of each of two digits: a candidate with so much is neither
_CUT_OUT = Recipe(
    clean=CleanOptions(turn=False, deskew=False, cut_out=True),
    segment=SegmentOptions(whole=True),
)

Bytes = NDArray[Any]  # uint8; OpenCV's types say less


def take_from_strings(digits: Samples, count: int, seed: int) -> Samples:
    """The candidates of ``count`` strings of two to six digits that are a digit or two.

    digits: in MNIST format; those of one writer stand together, where writers are known.
    Parts of digits are left out: the right half of a 4 is a fair one.
    """
    random = np.random.default_rng([seed, 9])
    known = digits.where(digits.labels < NOT_A_DIGIT)
    by_writer = _by_writer(known)
    crops: list[Bytes] = []
    labels: list[int] = []
    for _string in range(count):
        own = by_writer[int(random.integers(len(by_writer)))]
        places = random.choice(own, int(random.integers(2, 7)))
        gap = int(random.integers(*_GAPS))  # of this hand
        picture, extents = compose(known.pictures[places], random, gap)
        glyphs = prepare_page(Page(1, picture), _CUT_OUT)
        for crop, label in zip(glyphs.crops, _labels(glyphs, extents), strict=True):
            if label is not None:
                crops.append(crop)
                labels.append(label if label == NOT_A_DIGIT else int(known.labels[places[label]]))
    return samples(np.array(crops), labels, source="drawn-strings")


def compose(
    pictures: NDArray[np.uint8], random: np.random.Generator, gap: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A picture of digits side by side, and from where to where each reaches.

    pictures: uint8 (N, 28, 28), 255 is ink. gap: between two digits, in their pixels, give
    or take one; below 0 they overlap. Returns uint8 (h, w), 255 is paper, and int64 (N, 2),
    columns, half-open.
    """
    trimmed = [_trim(one) for one in pictures]
    width = sum(one.shape[1] + 9 for one in trimmed)
    field = np.zeros((SIDE + 12, width + 8), np.uint8)
    left, extents = 4, []
    for one in trimmed:
        top = (len(field) - len(one)) // 2 + int(random.integers(-2, 3))
        room = field[top : top + len(one), left : left + one.shape[1]]
        np.maximum(room, one, out=room)
        extents.append((left, left + one.shape[1]))
        left += max(3, one.shape[1] + gap + int(random.integers(-1, 2)))
    field = field[:, : extents[-1][1] + 4]
    size = field.shape[1] * _SCALE, field.shape[0] * _SCALE
    large = cv2.resize(field, size, interpolation=cv2.INTER_CUBIC)
    framed = np.pad(np.asarray(large), _MARGIN)
    return np.asarray(255 - framed, np.uint8), np.array(extents) * _SCALE + _MARGIN


def _by_writer(digits: Samples) -> list[NDArray[np.intp]]:
    """The places of each writer's digits; all together where writers are unknown."""
    _names, number = np.unique(digits.writers, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])


def _labels(glyphs: Glyphs, extents: NDArray[np.int64]) -> list[int | None]:
    """For each candidate the index of the digit it covers, 10 for two of them, else None."""
    boxes = glyphs.boxes[:, [0, 2]] * glyphs.to_page[0, 0] + glyphs.to_page[0, 2]
    labels: list[int | None] = []
    for left, right in boxes:
        shared = np.clip(
            np.minimum(right, extents[:, 1]) - np.maximum(left, extents[:, 0]), 0, None
        )
        widths = extents[:, 1] - extents[:, 0]
        alike = shared / (widths + (right - left) - shared)
        best = int(alike.argmax())
        others = np.delete(shared / widths, best)
        if alike[best] >= _ONE and (others <= _OF_ANOTHER).all():
            labels.append(best)
        elif (shared >= _OF_TWO * widths).sum() >= 2:
            labels.append(NOT_A_DIGIT)
        else:
            labels.append(None)
    return labels


def _trim(picture: NDArray[np.uint8]) -> Bytes:
    """The picture without its empty margin."""
    _level, ink = cv2.threshold(picture, 40, 255, cv2.THRESH_BINARY)
    left, top, width, height = cv2.boundingRect(ink)
    return picture[top : top + max(height, 1), left : left + max(width, 1)]
