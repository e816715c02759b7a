"""Grey pages and their paper: one channel, dark ink on a background brought to 255."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["flatten", "noise", "reduce", "to_grey"]

_COARSE = 8  # the background is estimated on a picture this many times smaller
_DARKEST_PAPER = 0.35  # of the page's bright level: anything darker is no paper


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One channel in which ink of any colour is dark.

    pixels: uint8 (H, W) or (H, W, 3) RGB. Returns uint8 (H, W).
    """
    if pixels.ndim == 2:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def reduce(grey: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """The page a whole number of times smaller, each pixel the mean of those it stands for.

    A last row or column that fills no pixel is left off; a page smaller than one pixel
    becomes one.
    """
    if by == 1:
        return grey
    height, width = max(1, grey.shape[0] // by), max(1, grey.shape[1] // by)
    whole = grey[: height * by, : width * by]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))


def flatten(grey: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    """The page with its paper brought to 255 by division through the background.

    The background is a grey closing at an eighth of the scale, so that ink of up to
    ``reach`` pixels is bridged; larger dark areas count as paper unless they are far
    darker than the brightest paper. Pages with light ink on dark paper are inverted.

    grey: uint8 (h, w). reach: pixels. Returns uint8 (h, w), 255 is paper.
    """
    height, width = grey.shape
    coarse = reduce(grey, _COARSE)
    if _is_inverted(coarse):
        grey, coarse = cv2.bitwise_not(grey), cv2.bitwise_not(coarse)
    side = 2 * max(1, reach // (2 * _COARSE)) + 1
    closed = cv2.morphologyEx(coarse, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    darkest = max(1.0, _DARKEST_PAPER * float(np.percentile(closed, 90)))
    paper = cv2.blur(np.maximum(closed, np.uint8(darkest)), (3, 3))
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.divide(grey, paper, scale=255), dtype=np.uint8)


def noise(grey: NDArray[np.uint8]) -> float:
    """The standard deviation of the paper's grain, in grey levels.

    Median of absolute differences two pixels apart on every fourth row: ink edges are few
    enough not to move it.
    """
    rows = grey[::4]
    if rows.shape[1] < 3:
        return 0.0
    counts = np.bincount(cv2.absdiff(rows[:, 2:], rows[:, :-2]).ravel(), minlength=256)
    total = np.cumsum(counts)
    level = int(np.searchsorted(total, total[-1] / 2))
    # Within the median's level, so that the answer is no whole number.
    below = float(total[level - 1]) if level else 0.0
    median = max(0.0, level - 0.5 + (total[-1] / 2 - below) / float(counts[level]))
    return median / (0.6745 * 2**0.5)


def _is_inverted(coarse: NDArray[np.uint8]) -> bool:
    """Whether most of the page is dark and what is light on it is thin, as ink is.

    A white sheet on a dark desk is mostly dark too, but its light part is one thick block.
    """
    cut, light = cv2.threshold(coarse, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if cut > 160 or np.count_nonzero(light) > 0.35 * light.size:
        return False
    thick = cv2.erode(light, np.ones((3, 3), np.uint8))
    return np.count_nonzero(thick) < 0.2 * np.count_nonzero(light)
