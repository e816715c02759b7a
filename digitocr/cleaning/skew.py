"""How far a page is turned out of the straight, by projection profiles.

Postl (1986), "Detection of linear oblique structures and skew scan in digitized
documents", on ink edges rather than on all ink and on both axes, so that pages that lie
on their side and pages that hold ruled lines only are measured as well.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["measure_skew"]

_POINTS = 8_000  # enough for a profile; more only cost time
# From coarse to fine: degrees between two angles, pixels of a bin, points that are enough.
_PASSES = ((0.5, 2.0, _POINTS // 4), (0.1, 1.0, _POINTS // 2), (0.025, 1.0, _POINTS))
_FEWEST = 200  # points below which nothing is measured
_STRAIGHT = 0.05  # degrees; less than that is not worth a turn, which blurs


def measure_skew(mask: NDArray[np.uint8], limit: float) -> float:
    """Degrees by which the lines run downhill to the right, 0.0 where nothing tells.

    mask: uint8 (h, w), 255 is ink; a quarter of the page's scale is enough.
    limit: the largest angle looked for, to either side, in degrees.
    """
    aside = np.asarray(cv2.rotate(mask, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8)
    profiles = [_edges(mask), _edges(aside)]
    profiles = [points for points in profiles if points.shape[1] >= _FEWEST]
    if not profiles:
        return 0.0
    angle = 0.0
    span = limit
    for step, bin_size, most in _PASSES:
        angles = np.arange(-span, span + step / 2, step) + angle
        some = [points[:, :: max(1, points.shape[1] // most)] for points in profiles]
        scores = np.sum([_sharpness(points, angles, bin_size) for points in some], axis=0)
        angle = float(angles[np.argmax(scores)])
        span = 3 * step
    angle = _middle_of_peak(angles, scores)
    return 0.0 if abs(angle) < _STRAIGHT else float(np.clip(angle, -limit, limit))


def _middle_of_peak(angles: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """The centre of the peak's upper half, which is flat where lines lie on pixel rows."""
    weights = np.maximum(scores - (scores.max() + scores.min()) / 2, 0.0)
    if not weights.any():
        return float(angles[np.argmax(scores)])
    return float(np.average(angles, weights=weights))


def _edges(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(2, N) x and y, about the centre, of ink pixels with paper right below them."""
    at = np.flatnonzero(mask[:-1] > mask[1:])
    dice = np.random.default_rng(0)
    if len(at) > _POINTS:
        at = at[dice.integers(0, len(at), _POINTS)]
    y, x = np.divmod(at, mask.shape[1])
    # Whole pixels fall into line with the bins at 0 degrees whatever the page holds.
    off = dice.uniform(-0.5, 0.5, (len(at), 2)).T
    points = np.stack([x - mask.shape[1] / 2, y - mask.shape[0] / 2]).astype(np.float32)
    return np.ascontiguousarray(points + off.astype(np.float32))


def _sharpness(
    points: NDArray[np.float32], angles: NDArray[np.float64], bin_size: float
) -> NDArray[np.float64]:
    """(A,) how unevenly the points fall into lines at each angle; 0 is chance."""
    radians = np.deg2rad(angles)[:, None]
    x, y = np.ascontiguousarray(points)
    across = y * (np.cos(radians) / bin_size).astype(np.float32)
    across -= x * (np.sin(radians) / bin_size).astype(np.float32)
    across -= np.floor(across.min())
    count = int(across.max()) + 1
    bins = across.astype(np.int32)  # to which numpy converts eight at a time
    bins += (np.arange(len(angles), dtype=np.int32) * np.int32(count))[:, None]
    profile = np.bincount(bins.ravel(), minlength=count * len(angles)).reshape(-1, count)
    return np.asarray((profile**2).sum(axis=1) / len(x), dtype=np.float64)
