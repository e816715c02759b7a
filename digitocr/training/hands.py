"""Digits drawn stroke by stroke, in the shapes that hands of many countries give them.

Data sets hold the hands of one country and one school: a crossed seven, a one with a foot, a
nine like a P, a five like a root sign are rare in them, and common elsewhere. Here a shape is
a list of strokes, a stroke a list of points that a Catmull-Rom spline runs through; a hand
is a choice of one shape for each digit with a slant, a width and a pen, and no two digits of
it are quite alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SHAPES", "Hand", "any_hand", "draw"]

_FINE = 16  # parts of a pixel that strokes are placed by
_FINE_BITS = 4
_STEPS = 10  # of the spline between two points
_MARGIN = 3  # pixels around a drawn digit

Point = tuple[float, float]
Stroke = tuple[Point, ...]
Shape = tuple[Stroke, ...]
Bytes = NDArray[Any]  # uint8; OpenCV's types say less
Points = NDArray[np.float64]


def _arc(x: float, y: float, rx: float, ry: float, start: float, stop: float) -> Stroke:
    """Points of an ellipse, from an angle to another; 0 is right, 90 down, degrees."""
    angles = np.radians(np.linspace(start, stop, 12))
    return tuple((float(x + rx * np.cos(a)), float(y + ry * np.sin(a))) for a in angles)


# On a field from 0 to 1, x to the right and y down; strokes may reach out of it.
SHAPES: tuple[tuple[Shape, ...], ...] = (
    (  # 0: closed, with a stroke that leaves or comes at the top, open, with an inner loop
        (_arc(0.5, 0.5, 0.4, 0.5, -60, 300),),
        ((*_arc(0.5, 0.5, 0.4, 0.5, -80, 300), (0.9, 0.05), (1.1, 0.1)),),
        (((0.2, 0.0), *_arc(0.5, 0.5, 0.4, 0.48, -100, 270), (0.75, 0.0), (1.05, 0.05)),),
        (_arc(0.5, 0.5, 0.4, 0.5, -70, 340),),
        (_arc(0.5, 0.5, 0.38, 0.5, -120, 230),),
        (((0.05, 0.15), *_arc(0.5, 0.5, 0.4, 0.5, -110, 260)),),
        ((*_arc(0.5, 0.5, 0.42, 0.48, -60, 270), (0.45, 0.15), (0.6, 0.25), (0.95, 0.12)),),
    ),
    (  # 1: bare, with flags from short to as long as the stem, with a foot, like an l
        (((0.5, 0.0), (0.5, 1.0)),),
        (((0.25, 0.22), (0.5, 0.0), (0.5, 1.0)),),
        (((0.0, 0.45), (0.5, 0.0), (0.5, 1.0)),),
        (((-0.1, 0.65), (0.5, 0.0), (0.45, 1.0)),),
        (((0.2, 0.25), (0.5, 0.0), (0.5, 1.0)), ((0.15, 1.0), (0.85, 1.0))),
        (((0.05, 0.4), (0.5, 0.0), (0.5, 1.0)), ((0.1, 1.0), (0.95, 0.97))),
        (((0.5, 0.0), (0.5, 1.0)), ((0.2, 1.0), (0.8, 1.0))),
        (
            (
                *((0.15, 0.75), (0.5, 0.4), (0.62, 0.1), (0.5, 0.0)),
                *((0.4, 0.15), (0.4, 0.7), (0.5, 1.0), (0.7, 0.95)),
            ),
        ),
        (((0.1, 0.6), (0.45, 0.35), (0.6, 0.08), (0.5, 0.0), (0.42, 0.2), (0.42, 1.0)),),
        (((0.1, 0.12), (0.3, 0.05), (0.5, 0.0), (0.45, 1.0)),),
        (((0.35, 0.2), (0.55, 0.0), (0.5, 0.6), (0.55, 1.0)),),
        (
            (
                *((0.0, 0.7), (0.45, 0.45), (0.75, 0.12), (0.6, 0.0), (0.4, 0.2)),
                *((0.38, 0.7), (0.5, 1.0), (0.8, 0.9)),
            ),
        ),
        (((0.8, 0.12), (0.58, 0.0), (0.42, 0.3), (0.4, 1.0)),),
    ),
    (  # 2: round, with a loop at its foot, like a Z
        (
            (
                *((0.1, 0.25), (0.25, 0.05), (0.55, 0.0), (0.8, 0.15), (0.75, 0.4)),
                *((0.4, 0.75), (0.1, 1.0), (0.5, 0.98), (0.95, 1.0)),
            ),
        ),
        (
            (
                *((0.1, 0.2), (0.45, 0.0), (0.8, 0.2), (0.65, 0.5), (0.3, 0.85), (0.1, 0.95)),
                *((0.12, 0.78), (0.3, 0.8), (0.55, 1.0), (0.95, 0.9)),
            ),
        ),
        (
            ((0.1, 0.05), (0.5, 0.03), (0.85, 0.03)),
            ((0.85, 0.03), (0.45, 0.5), (0.08, 1.0)),
            ((0.08, 1.0), (0.5, 0.98), (0.95, 0.98)),
        ),
        (
            (
                *((0.15, 0.3), (0.2, 0.08), (0.5, 0.0), (0.75, 0.15), (0.7, 0.45), (0.35, 0.9)),
                *((0.2, 1.0), (0.1, 0.9), (0.25, 0.82), (0.6, 0.98), (1.0, 1.0)),
            ),
        ),
        (((0.15, 0.15), (0.5, 0.0), (0.85, 0.2), (0.6, 0.55), (0.1, 1.0), (0.9, 1.0)),),
        (
            (
                *((0.3, 0.3), (0.15, 0.15), (0.4, 0.0), (0.75, 0.15), (0.6, 0.5), (0.15, 0.95)),
                *((0.05, 0.8), (0.3, 0.8), (0.7, 1.0), (1.05, 0.85)),
            ),
        ),
    ),
    (  # 3: round, flat at the top, with a loop in the middle
        (
            (
                *((0.1, 0.1), (0.5, 0.0), (0.85, 0.2), (0.7, 0.42), (0.4, 0.47)),
                *((0.75, 0.52), (0.9, 0.75), (0.6, 1.0), (0.1, 0.92)),
            ),
        ),
        (
            (
                *((0.1, 0.03), (0.85, 0.03), (0.4, 0.42), (0.75, 0.5), (0.9, 0.75)),
                *((0.55, 1.0), (0.1, 0.9)),
            ),
        ),
        (
            (
                *((0.1, 0.15), (0.5, 0.0), (0.8, 0.2), (0.6, 0.42), (0.35, 0.5), (0.4, 0.4)),
                *((0.75, 0.55), (0.85, 0.8), (0.5, 1.0), (0.05, 0.9)),
            ),
        ),
    ),
    (  # 4: of two strokes, closed, open, in one stroke, like a flash, like a y, like an h
        (((0.35, 0.0), (0.1, 0.6), (0.9, 0.6)), ((0.7, 0.3), (0.65, 1.0))),
        (((0.65, 0.0), (0.05, 0.65), (0.95, 0.65)), ((0.65, 0.0), (0.65, 1.0))),
        (
            ((0.2, 0.0), (0.15, 0.5), (0.4, 0.55), (0.75, 0.5)),
            ((0.8, 0.0), (0.75, 0.5), (0.7, 1.0)),
        ),
        (
            ((0.5, 0.0), (0.3, 0.3), (0.05, 0.62), (0.4, 0.62), (0.9, 0.58)),
            ((0.65, 0.4), (0.5, 1.0)),
        ),
        (
            ((0.55, 0.0), (0.25, 0.4), (0.05, 0.7)),
            ((0.05, 0.7), (0.5, 0.62), (0.95, 0.6)),
            ((0.7, 0.35), (0.45, 1.0)),
        ),
        (
            (
                *((0.25, 0.05), (0.2, 0.4), (0.35, 0.5), (0.6, 0.45)),
                *((0.8, 0.05), (0.7, 0.55), (0.55, 1.0)),
            ),
        ),
        (
            ((0.5, 0.0), (0.1, 0.62), (0.3, 0.68), (0.6, 0.6), (0.8, 0.45)),
            ((0.75, 0.4), (0.6, 1.0)),
        ),
        (((0.3, 0.0), (0.12, 0.55), (0.45, 0.5), (0.7, 0.55), (0.62, 1.0)),),
        (((0.2, 0.0), (0.15, 0.45), (0.45, 0.55), (0.85, 0.4)), ((0.9, 0.05), (0.75, 1.0))),
    ),
    (  # 5: with a bar, like an S, like a root sign, like a J with a bar
        (
            ((0.25, 0.05), (0.2, 0.45), (0.55, 0.4), (0.85, 0.65), (0.65, 0.95), (0.1, 0.95)),
            ((0.25, 0.05), (0.85, 0.03)),
        ),
        (
            (
                *((0.85, 0.05), (0.4, 0.05), (0.2, 0.3), (0.55, 0.45)),
                *((0.8, 0.7), (0.55, 1.0), (0.1, 0.92)),
            ),
        ),
        (
            ((0.3, 0.1), (0.2, 0.5), (0.6, 0.45), (0.8, 0.7), (0.5, 1.0), (0.05, 0.9)),
            ((0.35, 0.08), (1.0, 0.0)),
        ),
        (
            ((0.1, 0.45), (0.25, 0.6), (0.3, 1.0)),
            ((0.3, 1.0), (0.5, 0.4), (0.6, 0.02)),
            ((0.6, 0.02), (1.1, 0.0)),
        ),
        (
            ((0.45, 0.1), (0.5, 0.5), (0.48, 0.85), (0.25, 1.0), (0.05, 0.85)),
            ((0.45, 0.08), (1.0, 0.03)),
        ),
        (
            ((0.35, 0.1), (0.25, 0.45), (0.5, 0.5), (0.65, 0.75), (0.4, 1.0), (0.1, 0.95)),
            ((0.4, 0.05), (0.95, 0.08)),
        ),
    ),
    (  # 6: bowed, with a straight stem, like a b, closed late
        (
            (
                *((0.75, 0.0), (0.35, 0.25), (0.15, 0.65), (0.3, 0.97)),
                *((0.7, 0.95), (0.85, 0.7), (0.6, 0.52), (0.2, 0.65)),
            ),
        ),
        (
            (
                (0.55, 0.0),
                (0.25, 0.45),
                (0.2, 0.8),
                (0.5, 1.0),
                (0.8, 0.8),
                (0.6, 0.58),
                (0.25, 0.7),
            ),
        ),
        (
            (
                (0.3, 0.0),
                (0.2, 0.5),
                (0.25, 0.9),
                (0.55, 1.0),
                (0.85, 0.75),
                (0.6, 0.5),
                (0.22, 0.65),
            ),
        ),
        (
            (
                *((0.8, 0.05), (0.4, 0.15), (0.12, 0.6), (0.35, 1.0)),
                *((0.75, 0.9), (0.8, 0.6), (0.45, 0.5), (0.15, 0.7)),
            ),
        ),
    ),
    (  # 7: bare, with a hook, crossed, like a t
        (((0.05, 0.03), (0.9, 0.03), (0.4, 1.0)),),
        (((0.1, 0.15), (0.15, 0.03), (0.85, 0.05), (0.6, 0.45), (0.45, 1.0)),),
        (((0.05, 0.03), (0.85, 0.03), (0.45, 1.0)), ((0.25, 0.5), (0.9, 0.48))),
        (
            ((0.1, 0.12), (0.4, 0.02), (0.85, 0.05), (0.55, 0.5), (0.4, 1.0)),
            ((0.2, 0.5), (0.95, 0.5)),
        ),
        (((0.3, 0.1), (0.75, 0.02), (0.55, 0.5), (0.45, 1.0)), ((0.15, 0.5), (1.0, 0.45))),
        (
            ((0.55, 0.0), (0.5, 1.0)),
            ((0.1, 0.45), (1.0, 0.42)),
            ((0.3, 0.05), (0.58, 0.0)),
        ),
        (((0.05, 0.2), (0.2, 0.05), (0.45, 0.12), (0.85, 0.03), (0.55, 0.5), (0.45, 1.0)),),
        (
            ((0.05, 0.2), (0.2, 0.05), (0.45, 0.12), (0.85, 0.03), (0.55, 0.5), (0.45, 1.0)),
            ((0.2, 0.55), (0.9, 0.45)),
        ),
        (((0.1, 0.1), (0.8, 0.05), (0.8, 0.3), (0.6, 1.0)),),
        (((0.35, 0.02), (0.52, 0.05), (0.45, 1.0)), ((0.05, 0.5), (0.95, 0.47))),
    ),
    (  # 8: in one stroke, of two rings, open at the top, begun on the left, in the middle
        (
            (
                *((0.8, 0.15), (0.5, 0.0), (0.2, 0.2), (0.5, 0.45), (0.85, 0.75)),
                *((0.5, 1.0), (0.15, 0.78), (0.5, 0.47), (0.8, 0.2), (0.75, 0.08)),
            ),
        ),
        (_arc(0.5, 0.25, 0.28, 0.25, -90, 270), _arc(0.5, 0.74, 0.36, 0.26, -90, 270)),
        (
            (
                *((0.9, 0.05), (0.55, 0.0), (0.2, 0.18), (0.45, 0.45), (0.8, 0.75)),
                *((0.5, 1.0), (0.2, 0.78), (0.5, 0.5), (0.95, 0.0)),
            ),
        ),
        (
            (
                *((0.15, 0.05), (0.5, 0.5), (0.8, 0.8), (0.5, 1.0)),
                *((0.2, 0.8), (0.5, 0.45), (0.85, 0.0)),
            ),
        ),
        (
            (
                *((0.5, 0.45), (0.2, 0.2), (0.5, 0.0), (0.8, 0.2), (0.5, 0.45)),
                *((0.15, 0.75), (0.5, 1.0), (0.85, 0.75), (0.5, 0.45)),
            ),
        ),
    ),
    (  # 9: straight, like a g, like a P, leaning, like a q, like an e, in one stroke
        ((*_arc(0.45, 0.28, 0.35, 0.28, -20, -380), (0.78, 0.5), (0.7, 1.0)),),
        ((*_arc(0.45, 0.28, 0.35, 0.28, -20, -380), (0.8, 0.6), (0.6, 0.95), (0.2, 0.92)),),
        (
            ((0.3, 1.0), (0.32, 0.5), (0.3, 0.02)),
            ((0.3, 0.05), (0.6, 0.0), (0.85, 0.2), (0.65, 0.45), (0.3, 0.48)),
        ),
        (
            (
                *((0.35, 1.0), (0.35, 0.3), (0.4, 0.05), (0.7, 0.02)),
                *((0.85, 0.22), (0.7, 0.45), (0.35, 0.5)),
            ),
        ),
        ((*_arc(0.5, 0.25, 0.32, 0.25, 20, -340), (0.75, 0.4), (0.45, 1.0)),),
        ((*_arc(0.5, 0.27, 0.33, 0.27, -60, -400), (0.5, 0.75), (0.35, 1.0)),),
        (
            (
                *_arc(0.45, 0.28, 0.33, 0.28, -10, -370),
                *((0.8, 0.55), (0.78, 0.85), (0.9, 1.0), (1.05, 0.85)),
            ),
        ),
        (
            (
                *((0.75, 0.1), (0.45, 0.0), (0.15, 0.25), (0.4, 0.5)),
                *((0.75, 0.3), (0.8, 0.05), (0.75, 0.5), (0.7, 1.0)),
            ),
        ),
        (
            (
                *((0.25, 0.3), (0.6, 0.28), (0.8, 0.12), (0.5, 0.0), (0.2, 0.18)),
                *((0.35, 0.42), (0.7, 0.35), (0.6, 0.7), (0.35, 1.0)),
            ),
        ),
        (
            (
                *_arc(0.45, 0.25, 0.33, 0.25, -20, -380),
                *((0.78, 0.6), (0.6, 1.0), (0.2, 0.9), (0.5, 0.75)),
            ),
        ),
        (
            (
                *((0.75, 0.08), (0.45, 0.02), (0.2, 0.2), (0.45, 0.38), (0.75, 0.2)),
                *((0.7, 0.05), (0.6, 0.5), (0.35, 1.0)),
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Hand:
    """How a person writes digits.

    shapes: which of its ``SHAPES`` each digit has. slant: columns to the right for each row
    up. width: of a digit, by its height. pen: the stroke's width, by the height. unrest:
    standard deviation of a stroke's points, by the height.
    """

    shapes: tuple[int, ...]
    slant: float
    width: float
    pen: float
    unrest: float


def any_hand(random: np.random.Generator) -> Hand:
    """A hand by chance."""
    return Hand(
        shapes=tuple(int(random.integers(len(shapes))) for shapes in SHAPES),
        slant=float(random.normal(0.15, 0.2)),
        width=float(random.uniform(0.45, 0.85)),
        pen=float(random.uniform(0.05, 0.16)),
        unrest=float(random.uniform(0.01, 0.045)),
    )


def draw(digit: int, hand: Hand, height: float, random: np.random.Generator) -> Bytes:
    """A digit in a hand, not quite like the last one.

    height: of the digit, in pixels, about. Returns uint8 (h, w), 255 is ink, cut close.
    """
    width = hand.width * float(random.uniform(0.9, 1.1)) * (0.7 if digit == 1 else 1.0)
    turn = float(random.normal(0, 0.05))
    onto = height * np.array(
        [[width * np.cos(turn), width * np.sin(turn)], [-hand.slant - np.sin(turn), np.cos(turn)]]
    )
    strokes = []
    for stroke in SHAPES[digit][hand.shapes[digit]]:
        unrest = random.normal(0, hand.unrest, (len(stroke), 2))
        strokes.append(_spline(np.array(stroke) + unrest) @ onto)
    pen = max(1, round(hand.pen * height * float(random.uniform(0.9, 1.1))))
    return _inked(strokes, pen)


def _spline(points: Points) -> Points:
    """The points of a Catmull-Rom spline through some points; a straight line through two.

    points: float64 (N, 2), N at least 2.
    """
    ends = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    padded = np.vstack([ends[0], points, ends[1]])
    t = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    parts = [
        (
            (2 * b)
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        / 2
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.vstack([*parts, points[-1:]])


def _inked(strokes: list[Points], pen: int) -> Bytes:
    """The strokes of a round pen: uint8 (h, w), cut close."""
    points = np.vstack(strokes)
    low = points.min(axis=0) - pen / 2 - _MARGIN
    width, height = np.ceil(points.max(axis=0) + pen / 2 + _MARGIN - low).astype(int)
    field = np.zeros((height, width), np.uint8)
    for stroke in strokes:
        fine = np.round((stroke - low) * _FINE).astype(np.int32)
        cv2.polylines(field, [fine], False, 255, pen, cv2.LINE_AA, _FINE_BITS)
    left, top, wide, high = cv2.boundingRect(field)
    return field[top : top + high, left : left + wide]
