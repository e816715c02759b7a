"""Grey pages and their paper: one channel, dark ink on a background brought to 255."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.morphology import closed, inverse, reduced

__all__ = ["flatten", "noise", "to_grey"]

_COARSE = 8  # the background is estimated on a picture this many times smaller
_BLACK = 24.0  # a page whose paper is darker than this holds nothing to read
_LIGHT = 128  # grey level above which a pixel of a flattened page may be paper
_QUANTILE = 0.75  # of the differences; a normal distribution's lies at
_QUANTILE_SIGMAS = 1.15
_DARKEST_PAPER = 0.35  # of the page's bright level: anything darker is no paper


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One channel in which ink of any colour is dark.

    pixels: uint8 (H, W) or (H, W, 3) RGB. Returns uint8 (H, W).
    """
    if pixels.ndim == 2:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def flatten(grey: NDArray[np.uint8], reach: int, cell: int = _COARSE) -> NDArray[np.uint8]:
    """The page with its paper brought to 255 by division through the background.

    The background is a grey closing, cell by cell, so that ink of up to
    ``reach`` pixels is bridged; larger dark areas count as paper unless they are far
    darker than the brightest paper. Pages with light ink on dark paper are inverted, and
    one that is black all over is a blank one.

    grey: uint8 (h, w). reach, cell: pixels, the latter the side of a cell. Returns uint8
    (h, w), 255 is paper.
    """
    height, width = grey.shape
    coarse = reduced(grey, cell)
    if _is_inverted(coarse):
        grey, coarse = inverse(grey), inverse(coarse)
    side = 2 * max(1, reach // (2 * cell)) + 1
    paper = closed(coarse, side, side)
    bright = float(np.percentile(paper, 90))
    if bright < _BLACK:
        return np.full_like(grey, 255)
    even = cv2.blur(np.maximum(paper, np.uint8(_DARKEST_PAPER * bright)), (3, 3))
    if int(np.min(even)) == 255:  # as of all pages in black and white
        return grey
    whole = cv2.resize(even, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.divide(grey, whole, scale=255), dtype=np.uint8)


def noise(grey: NDArray[np.uint8]) -> float:
    """The standard deviation of the paper's grain, in grey levels.

    From the differences of light pixels two apart on every fourth row: ink and its edges
    are left out, and a page whose grain is cut off at white still shows it.

    grey: uint8 (h, w), flattened.
    """
    rows = grey[::4]
    if rows.shape[1] < 3:
        return 0.0
    left, right = rows[:, 2:], rows[:, :-2]
    light = np.asarray(np.minimum(left, right) > _LIGHT, np.uint8)
    counts = cv2.calcHist([cv2.absdiff(left, right)], [0], light, [256], [0, 256]).ravel()
    total = np.cumsum(counts, dtype=np.float64)
    if not total[-1]:
        return 0.0
    level = int(np.searchsorted(total, _QUANTILE * total[-1]))
    # Within the quantile's level, so that the answer is no whole number.
    below = float(total[level - 1]) if level else 0.0
    part = (_QUANTILE * float(total[-1]) - below) / float(counts[level])
    return max(0.0, level - 0.5 + part) / (_QUANTILE_SIGMAS * 2**0.5)


def _is_inverted(coarse: NDArray[np.uint8]) -> bool:
    """Whether most of the page is dark and what is light on it is thin, as ink is.

    A white sheet on a dark desk is mostly dark too, but its light part is one thick block.
    """
    cut, light = cv2.threshold(coarse, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if cut > 160 or np.count_nonzero(light) > 0.35 * light.size:
        return False
    thick = cv2.erode(light, np.ones((3, 3), np.uint8))
    return bool(np.count_nonzero(thick) < 0.2 * np.count_nonzero(light))
