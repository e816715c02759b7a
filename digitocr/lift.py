"""Stage 4, beside ``normalize``: a number is lifted off the page as one strip.

Where digits touch, no crop holds one alone; a strip holds them all, as they were written. Which
ink to lift is known late, when the digits that stand apart are read, so that until then each
field's writing is kept.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.strips import FIGURE, HEIGHT
from digitocr.types import Field, Ink, Segments, Strip, Writing

__all__ = ["lift", "writings"]

_MARGIN = 5  # pixels of a strip, at either end
_SMALL = 0.4  # of the highest piece: what is lower tells nothing of the figures' height
_HIGHEST = 0.75  # of the highest piece's height are the figures at least
_MUCH_HIGHER = 1.5  # times the usual figure: a stroke that reaches out further is none
_FLOOR, _SOLID = 0.15, 0.85  # of the strokes' mean ink: halo below, full ink above
_WIDEST = 64  # times its height; a longer strip is no number

_SQUARE = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))

Bytes = NDArray[Any]  # uint8; OpenCV's types say less


def writings(ink: Ink, segments: Segments) -> tuple[Writing | None, ...]:
    """The writing in each field, None in one that has cells or holds no ink."""
    starts = np.searchsorted(segments.field, np.arange(len(segments.fields) + 1)).tolist()
    return tuple(
        None if field.cells or start == stop else _writing(ink, segments, field, start, stop)
        for field, start, stop in zip(segments.fields, starts, starts[1:], strict=False)
    )


def lift(writing: Writing, start: int = 0, stop: int | None = None) -> Strip | None:
    """The strip of a field's atoms from one to another, None where it is too long for a number.

    start, stop: counted within the field; all of them by default.
    """
    boxes = writing.boxes[start:stop]
    height, middle = _figures(boxes)
    scale = FIGURE / height
    left, right = int(boxes[:, 0].min()), int(boxes[:, 2].max())
    width = round((right - left) * scale) + 2 * _MARGIN
    if width > _WIDEST * HEIGHT:
        return None
    window = slice(max(0, left - writing.left - 2), right - writing.left + 2)
    dark = _even(_own_ink(writing, slice(start, start + len(boxes)), window))
    if scale < 1:  # linear interpolation alone would miss rows
        dark = cv2.GaussianBlur(dark, (0, 0), 0.4 / scale)
    onto = np.array(
        [
            [scale, 0, _MARGIN - (left - writing.left - window.start) * scale],
            [0, scale, HEIGHT / 2 - scale * (middle - writing.top)],
        ]
    )
    pixels = cv2.warpAffine(dark, onto, (width, HEIGHT), flags=cv2.INTER_LINEAR)
    return Strip(np.asarray(pixels, np.uint8), scale, left - _MARGIN / scale)


def _writing(ink: Ink, segments: Segments, field: Field, start: int, stop: int) -> Writing:
    """The writing of a field whose candidates are those from ``start`` to ``stop``."""
    first, last = int(segments.span[start, 0]), int(segments.span[stop - 1, 1])
    boxes = segments.atom_boxes[first:last]
    lefts, tops, rights, bottoms = zip(field.box, *boxes.tolist(), strict=True)
    left, top = max(0, min(lefts) - 2), max(0, min(tops) - 2)
    right, bottom = max(rights) + 2, max(bottoms) + 2
    window = slice(top, bottom), slice(left, right)
    return Writing(ink.grey[window], segments.labels[window], left, top, first, boxes)


def _figures(boxes: NDArray[np.int32]) -> tuple[float, float]:
    """The height of a number's figures and the row of their middle.

    boxes: int32 (A, 4), of its pieces; wide ones hold more figures. Where zeros are written
    small, or joined, the higher figures must have their place too.
    """
    heights = (boxes[:, 3] - boxes[:, 1]).astype(np.float64)
    high = heights >= _SMALL * heights.max()
    widths = (boxes[:, 2] - boxes[:, 0])[high]
    usual = _median(heights[high], widths)
    height = float(np.clip(_HIGHEST * heights.max(), usual, _MUCH_HIGHER * usual))
    middle = _median((boxes[:, 1] + boxes[:, 3])[high] / 2, widths)
    room = height * HEIGHT / FIGURE / 2
    bounds = sorted((boxes[high, 3].max() - room, boxes[high, 1].min() + room))
    return height, float(np.clip(middle, *bounds))


def _median(values: NDArray[np.float64], weights: NDArray[np.int32]) -> float:
    """The weighted median."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _own_ink(writing: Writing, atoms: slice, window: slice) -> Bytes:
    """The grey ink of some atoms and of one pixel around them, 255 is ink."""
    labels = np.ascontiguousarray(writing.labels[:, window])
    mine = cv2.inRange(labels, writing.first + atoms.start + 1, writing.first + atoms.stop)
    dark = cv2.bitwise_not(np.ascontiguousarray(writing.grey[:, window]))
    return np.asarray(cv2.bitwise_and(dark, cv2.dilate(mine, _SQUARE)))


def _even(dark: Bytes) -> Bytes:
    """Halo to 0, the body of the strokes to 255."""
    half = float(dark.max(initial=0)) / 2
    _level, body = cv2.threshold(dark, half, 255, cv2.THRESH_BINARY)
    solid = cv2.mean(dark, body)[0]
    if solid < 1:
        return dark
    gain = 255 / (solid * (_SOLID - _FLOOR))
    return np.asarray(cv2.addWeighted(dark, gain, dark, 0, -gain * _FLOOR * solid))
