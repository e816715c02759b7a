"""Turn, deskew and scale a page in one warp, and keep the map back to it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.trim import GRID, Corner
from digitocr.types import Box

__all__ = ["Pose", "straighten"]

Affine = NDArray[np.float64]  # (3, 3), of pixel corner coordinates

_PAPER = 255


@dataclass(frozen=True, slots=True)
class Pose:
    """How a page lies, and how large it is to be.

    size: (width, height) of the page as loaded, in pixels.
    rotation: 0, 90, 180 or 270, degrees clockwise that bring it upright.
    skew: degrees by which the upright page's lines run downhill to the right.
    scale: pixels of the straight page for one of the page as loaded.
    """

    size: tuple[int, int]
    rotation: int
    skew: float
    scale: float

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the upright page in pixels."""
        width, height = self.size
        return (height, width) if self.rotation in (90, 270) else (width, height)


def straighten(
    picture: NDArray[np.uint8], reduction: tuple[float, float], corner: Corner, pose: Pose
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A page, or a part of it, upright and straight, on a canvas that holds all of it.

    picture: uint8 (h, w), the part, at a scale of its own; paper is 255.
    reduction: pixels of ``picture`` for one of the page as loaded, along x and y.
    corner: where its upper left one lies on the page, in pixels of ``picture``.
    Returns uint8 (H, W) and the float64 (2, 3) map from its pixel corners to those of the
    upright page.
    """
    to_picture = _shift(-corner[0], -corner[1]) @ np.diag([*reduction, 1.0]) @ _to_loaded(pose)
    page, to_ink = _canvas(pose)
    (left, top, right, bottom) = _window(page, to_ink @ np.linalg.inv(to_picture), picture.shape)
    columns, rows = right - left, bottom - top
    to_page = np.asarray(np.linalg.inv(to_ink) @ _shift(left, top), dtype=np.float64)
    # From the centres of the canvas's pixels to those of the picture's.
    back = _shift(-0.5, -0.5) @ to_picture @ to_page @ _shift(0.5, 0.5)
    if (rows, columns) == picture.shape and np.allclose(back, np.eye(3)):
        return picture, to_page[:2]
    enlarged = pose.scale > 1.2 * max(reduction)
    straight = cv2.warpAffine(
        picture,
        back[:2],
        (columns, rows),
        flags=(cv2.INTER_CUBIC if enlarged else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_PAPER,
    )
    return np.asarray(straight, dtype=np.uint8), to_page[:2]


def _shift(x: float, y: float) -> Affine:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def _window(page: tuple[int, int], to_ink: Affine, shape: tuple[int, ...]) -> Box:
    """The part of the page's canvas that a picture of (h, w) needs, on the grid."""
    height, width = shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ to_ink.T
    low = np.floor(corners.min(axis=0) + 1e-6).astype(int) // GRID * GRID
    high = np.ceil(corners.max(axis=0) - 1e-6).astype(int)
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    return left, top, min(page[0], int(high[0])), min(page[1], int(high[1]))


def _canvas(pose: Pose) -> tuple[tuple[int, int], Affine]:
    """The (width, height) that hold the straight page, and the map onto it."""
    width, height = pose.upright_size
    angle = np.deg2rad(pose.skew)
    cosine, sine = pose.scale * np.cos(angle), pose.scale * np.sin(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ turn.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    canvas = np.maximum(1, np.ceil(high - low - 1e-6)).astype(int)
    shift = (canvas - (high - low)) / 2 - low
    to_ink = np.eye(3, dtype=np.float64)
    to_ink[:2] = np.column_stack([turn, shift])
    return (int(canvas[0]), int(canvas[1])), to_ink


def _to_loaded(pose: Pose) -> Affine:
    """From the upright page to the page as loaded."""
    width, height = pose.size
    rows = {
        0: [[1, 0, 0], [0, 1, 0]],
        90: [[0, 1, 0], [-1, 0, height]],
        180: [[-1, 0, width], [0, -1, height]],
        270: [[0, -1, width], [1, 0, 0]],
    }
    return np.array([*rows[pose.rotation], [0, 0, 1]], dtype=np.float64)
