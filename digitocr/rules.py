"""Ruled lines: where they run on a straight page, and ink without them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["find_rules", "remove_rules"]


def find_rules(
    mask: NDArray[np.uint8], height: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Horizontal and vertical rules. height: of typical characters, in pixels."""
    long = max(60, round(2.5 * height))
    horizontal = _runs(mask, long, (1, 0))
    vertical = _runs(mask, long, (0, 1))
    # The sides of a cell are short; they count where both ends meet a rule.
    short = _runs(mask, max(20, round(1.1 * height)), (0, 1))
    vertical |= _touching(short, horizontal)
    return horizontal, vertical


def _runs(mask: NDArray[np.uint8], length: int, along: tuple[int, int]) -> NDArray[np.uint8]:
    dx, dy = along

    run = np.ones((1 + (length - 1) * dy, 1 + (length - 1) * dx), np.uint8)

    runs = cv2.morphologyEx(mask, cv2.MORPH_OPEN, run)
    # solid areas are no rules
    thick = np.ones((1 + 12 * dx, 1 + 12 * dy), np.uint8)
    return np.asarray(runs & ~cv2.morphologyEx(runs, cv2.MORPH_OPEN, thick), dtype=np.uint8)


def _touching(short: NDArray[np.uint8], horizontal: NDArray[np.uint8]) -> NDArray[np.uint8]:
    reach = cv2.dilate(horizontal, np.ones((9, 3), np.uint8))
    n, labels, stats, _ = cv2.connectedComponentsWithStats(short, connectivity=8)
    keep = np.zeros(n, np.uint8)
    for k in range(1, n):
        x, y, w, h = stats[k, :4]
        ends = (
            reach[y : y + max(3, h // 5), x : x + w],
            reach[y + h - max(3, h // 5) : y + h, x : x + w],
        )
        keep[k] = 255 if all(end.any() for end in ends) else 0
    return np.asarray(keep[labels], dtype=np.uint8)


def remove_rules(
    mask: NDArray[np.uint8], horizontal: NDArray[np.uint8], vertical: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The mask without the rules, whole where strokes cross them."""
    band_h = cv2.dilate(horizontal, np.ones((3, 1), np.uint8))
    band_v = cv2.dilate(vertical, np.ones((1, 3), np.uint8))
    bare = mask & ~band_h & ~band_v
    bridged = cv2.morphologyEx(bare, cv2.MORPH_CLOSE, np.ones((9, 1), np.uint8)) & band_h
    bridged |= cv2.morphologyEx(bare, cv2.MORPH_CLOSE, np.ones((1, 9), np.uint8)) & band_v
    return np.asarray(bare | (bridged & mask), dtype=np.uint8)
