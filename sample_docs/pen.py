"""Digits as a pen draws them: strokes of our own, bent by each writer's hand.

A shape is a list of strokes, a stroke a list of points (x to the right, y down, both 0 to
1 in the digit's own box) that the pen passes smoothly; a point given twice is a corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Hand", "scribble", "write"]

Box = tuple[int, int, int, int]
_Stroke = Sequence[tuple[float, float]]

# Each digit in the shapes that people were taught, or fell into.
SHAPES: dict[str, tuple[tuple[_Stroke, ...], ...]] = {
    "0": (
        (((0.55, 0.02), (0.2, 0.16), (0.06, 0.55), (0.25, 0.93), (0.55, 0.98), (0.86, 0.75),
          (0.92, 0.38), (0.74, 0.07), (0.48, 0.03)),),
        (((0.4, 0.03), (0.12, 0.3), (0.1, 0.7), (0.4, 0.99), (0.78, 0.85), (0.9, 0.45),
          (0.7, 0.08), (0.42, 0.0), (0.3, 0.08)),),
    ),
    "1": (
        (((0.52, 0.0), (0.5, 0.5), (0.48, 1.0)),),
        (((0.2, 0.26), (0.55, 0.0), (0.55, 0.0), (0.53, 0.5), (0.52, 1.0)),),
        (((0.24, 0.2), (0.55, 0.0), (0.55, 0.0), (0.53, 1.0)), ((0.24, 0.99), (0.8, 0.98))),
    ),
    "2": (
        (((0.12, 0.24), (0.3, 0.04), (0.64, 0.02), (0.84, 0.24), (0.68, 0.52), (0.36, 0.8),
          (0.08, 0.98), (0.08, 0.98), (0.5, 0.95), (0.94, 0.96)),),
        (((0.14, 0.2), (0.42, 0.0), (0.78, 0.12), (0.78, 0.4), (0.45, 0.75), (0.14, 0.95),
          (0.08, 0.86), (0.24, 0.8), (0.55, 0.93), (0.95, 0.9)),),
    ),
    "3": (
        (((0.14, 0.14), (0.4, 0.0), (0.76, 0.1), (0.74, 0.34), (0.4, 0.46), (0.4, 0.46),
          (0.76, 0.54), (0.86, 0.78), (0.55, 1.0), (0.1, 0.88)),),
        (((0.12, 0.03), (0.84, 0.03), (0.84, 0.03), (0.42, 0.4), (0.42, 0.4), (0.8, 0.52),
          (0.84, 0.82), (0.5, 1.0), (0.1, 0.9)),),
    ),
    "4": (
        (((0.3, 0.0), (0.1, 0.58), (0.1, 0.58), (0.92, 0.56)), ((0.7, 0.24), (0.64, 1.0))),
        (((0.7, 0.0), (0.06, 0.66), (0.06, 0.66), (0.95, 0.64)), ((0.7, 0.0), (0.68, 1.0))),
        (((0.64, 1.0), (0.7, 0.0), (0.7, 0.0), (0.05, 0.65), (0.05, 0.65), (0.95, 0.66)),),
    ),
    "5": (
        (((0.25, 0.05), (0.2, 0.44), (0.2, 0.44), (0.55, 0.36), (0.86, 0.6), (0.7, 0.92),
          (0.35, 1.0), (0.07, 0.88)), ((0.24, 0.05), (0.88, 0.03))),
        (((0.86, 0.03), (0.28, 0.05), (0.28, 0.05), (0.2, 0.45), (0.2, 0.45), (0.6, 0.37),
          (0.87, 0.66), (0.6, 0.97), (0.12, 0.93)),),
    ),
    "6": (
        (((0.7, 0.0), (0.34, 0.26), (0.12, 0.66), (0.26, 0.96), (0.62, 0.97), (0.84, 0.74),
          (0.62, 0.52), (0.3, 0.6), (0.14, 0.78)),),
        (((0.55, 0.0), (0.2, 0.4), (0.14, 0.82), (0.45, 1.0), (0.8, 0.84), (0.72, 0.58),
          (0.4, 0.54), (0.17, 0.72)),),
    ),
    "7": (
        (((0.08, 0.05), (0.9, 0.04), (0.9, 0.04), (0.58, 0.48), (0.4, 1.0)),),
        (((0.08, 0.06), (0.88, 0.03), (0.88, 0.03), (0.36, 1.0)), ((0.3, 0.52), (0.82, 0.46))),
        (((0.1, 0.2), (0.12, 0.05), (0.12, 0.05), (0.9, 0.05), (0.9, 0.05), (0.45, 1.0)),),
    ),
    "8": (
        (((0.74, 0.14), (0.48, 0.0), (0.2, 0.16), (0.4, 0.44), (0.76, 0.66), (0.76, 0.92),
          (0.45, 1.0), (0.14, 0.86), (0.28, 0.6), (0.64, 0.38), (0.8, 0.2), (0.68, 0.06)),),
        (((0.5, 0.46), (0.2, 0.28), (0.3, 0.03), (0.68, 0.03), (0.8, 0.26), (0.5, 0.46),
          (0.16, 0.68), (0.26, 0.97), (0.7, 0.98), (0.86, 0.72), (0.5, 0.46)),),
    ),
    "9": (
        (((0.82, 0.16), (0.5, 0.0), (0.14, 0.2), (0.26, 0.48), (0.62, 0.46), (0.83, 0.16),
          (0.83, 0.16), (0.78, 0.55), (0.72, 1.0)),),
        (((0.8, 0.2), (0.52, 0.01), (0.16, 0.18), (0.28, 0.46), (0.66, 0.44), (0.82, 0.16),
          (0.82, 0.5), (0.62, 0.9), (0.2, 0.96)),),
    ),
    ".": ((((0.45, 0.98), (0.55, 1.0)),),),
    ",": ((((0.55, 0.95), (0.55, 1.02), (0.4, 1.18)),),),
    "-": ((((0.1, 0.55), (0.9, 0.53)),),),
    "/": ((((0.9, -0.05), (0.1, 1.08)),),),
}  # fmt: skip
_NARROW = {".": 0.35, ",": 0.4, "-": 0.7, "/": 0.7, "1": 0.7}  # of a digit's width
_FINE = 4  # strokes are drawn so many times finer than the page


@dataclass(frozen=True, slots=True)
class Hand:
    """One writer's way with digits.

    slant: sideways by height. width: of a digit by its height. wobble: how far the points
    of a shape stray, by height. unrest: how much size and place vary between digits.
    shapes: which of the shapes of each digit the writer uses.
    """

    slant: float
    width: float
    wobble: float
    unrest: float
    shapes: dict[str, int]

    @classmethod
    def of(cls, rng: np.random.Generator) -> Hand:
        """A writer drawn by chance."""
        return cls(
            slant=rng.uniform(-0.05, 0.3),
            width=rng.uniform(0.55, 0.72),
            wobble=rng.uniform(0.012, 0.028),
            unrest=rng.uniform(0.02, 0.06),
            shapes={sign: int(rng.integers(len(forms))) for sign, forms in SHAPES.items()},
        )

    def strokes(self, sign: str, rng: np.random.Generator) -> list[NDArray[np.float64]]:
        """One writing of a sign: float64 (N, 2) paths, 1 high, from x = 0 at the left."""
        width = self.width * _NARROW.get(sign, 1.0) * (1 + rng.normal(0, self.unrest))
        tilt = rng.normal(0, 0.03)
        paths = []
        for stroke in SHAPES[sign][self.shapes[sign]]:
            points = np.array(stroke, float)
            # A corner is one point twice and strays as one.
            _, same = np.unique(points, axis=0, return_inverse=True)
            points += rng.normal(0, self.wobble, points.shape)[same.ravel()]
            path = _smooth(points)
            x = path[:, 0] * width + (1 - path[:, 1]) * (self.slant + tilt)
            paths.append(np.column_stack([x, path[:, 1] + path[:, 0] * tilt]))
        return paths


def write(
    ink: NDArray[np.float32],
    text: str,
    hand: Hand,
    rng: np.random.Generator,
    *,
    left: float,
    base: float,
    height: float,
    pen: float,
    pitch: float | None = None,
) -> list[Box]:
    """Write digits and separators onto ``ink``, float32 (H, W), 0 for none to 1 for full.

    left, base: where the writing starts, in pixels. height: of a digit. pen: the width of
    the stroke. pitch: from one digit to the next (as in cells), by default as the hand
    goes. Returns each sign's box.
    """
    boxes = []
    x = left
    drift = rng.normal(0, 0.01)
    for sign in text:
        size = height * (1 + rng.normal(0, hand.unrest))
        y = base - size + height * rng.normal(0, hand.unrest) + (x - left) * drift
        paths = [path * size for path in hand.strokes(sign, rng)]
        own = np.concatenate(paths)
        start = x - own[:, 0].min()
        if pitch is not None:
            start += (pitch - np.ptp(own[:, 0])) / 2 + height * rng.normal(0, hand.unrest)
        boxes.append(_draw(ink, [np.add(path, (start, y)) for path in paths], pen, rng))
        gap = height * max(0.16, rng.normal(0.24, hand.unrest)) + pen / 2
        x += pitch if pitch is not None else np.ptp(own[:, 0]) + gap
    return boxes


def scribble(
    ink: NDArray[np.float32], rng: np.random.Generator, box: Box, pen: float, loops: int = 6
) -> None:
    """A signature: a line that loops through ``box``."""
    left, top, right, bottom = box
    x = np.linspace(left, right, 4 * loops) + rng.normal(0, (right - left) / 40, 4 * loops)
    y = np.tile([0.75, 0.1, 0.3, 0.9], loops) + rng.normal(0, 0.15, 4 * loops)
    points = np.column_stack([x, top + y.clip(0, 1) * (bottom - top)])
    _draw(ink, [_smooth(points)], pen, rng)


def _smooth(points: NDArray[np.float64], steps: int = 12) -> NDArray[np.float64]:
    """A path through the points (Catmull and Rom 1974), with a corner where one is doubled."""
    breaks = np.flatnonzero((np.diff(points, axis=0) == 0).all(axis=1)) + 1
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for run in np.split(points, breaks):
        p = np.concatenate([run[:1] * 2 - run[1:2], run, run[-1:] * 2 - run[-2:-1]])
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
            parts.append(
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                       + (3 * b - a - 3 * c + d) * t**3)
            )  # fmt: skip
        parts.append(run[-1:])
    return np.concatenate(parts)


def _draw(
    ink: NDArray[np.float32],
    paths: Sequence[NDArray[np.float64]],
    pen: float,
    rng: np.random.Generator,
) -> Box:
    """Draw paths, in pixels of the page, with a pen whose pressure varies."""
    every = np.concatenate(paths)
    margin = int(np.ceil(pen)) + 2
    left, top = np.floor(every.min(axis=0)).astype(int) - margin
    right, bottom = np.ceil(every.max(axis=0)).astype(int) + margin
    fine = np.zeros(((bottom - top) * _FINE, (right - left) * _FINE), np.uint8)
    for path in paths:
        phase = rng.uniform(0, 2 * np.pi)
        press = 1 + 0.14 * np.sin(phase + np.linspace(0, rng.uniform(3, 8), len(path)))
        spots = np.round((path - (left, top)) * _FINE).astype(int)
        for a, b, weight in zip(spots, spots[1:], press, strict=False):
            thick = max(1, round(pen * _FINE * weight))
            cv2.line(fine, tuple(map(int, a)), tuple(map(int, b)), 255, thick, cv2.LINE_8)
    ys, xs = np.nonzero(fine)
    patch = cv2.resize(fine, None, fx=1 / _FINE, fy=1 / _FINE, interpolation=cv2.INTER_AREA)
    _lay(ink, patch.astype(np.float32) / 255 * _grain(patch.shape, rng), left, top)
    x0, y0, x1, y1 = xs.min() // _FINE, ys.min() // _FINE, xs.max() // _FINE, ys.max() // _FINE
    return (int(left + x0), int(top + y0), int(left + x1 + 1), int(top + y1 + 1))


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """How much ink the paper takes, from place to place: 0.75 to 1."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 1.5)
    return np.clip(0.93 + 0.25 * noise, 0.75, 1).astype(np.float32)


def _lay(ink: NDArray[np.float32], patch: NDArray[np.float32], left: int, top: int) -> None:
    """Ink over ink stays ink; what falls off the page is lost."""
    height, width = ink.shape
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(height, top + patch.shape[0]), min(width, left + patch.shape[1])
    if y1 > y0 and x1 > x0:
        view = ink[y0:y1, x0:x1]
        np.maximum(view, patch[y0 - top : y1 - top, x0 - left : x1 - left], out=view)
