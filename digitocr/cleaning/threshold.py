"""Grey to ink: which pixels of a flattened page are ink, and which of those are specks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.components import Components, spread

__all__ = ["binarise", "drop_specks", "stroke_width"]

_STRIDE = 2  # the threshold's statistics are taken from every second pixel
_WINDOW = 41  # pixels, about a character with its surroundings
_WEIGHT = 0.3  # how far the threshold drops below the mean on even ground
_SURELY = 0.25  # share of the ink's depth above its level that is ink everywhere
_FAINTEST = 30.0  # grey levels below paper that ink must have at the very least
_SPECK = 0.35  # of the square of the stroke's width
_DEEPEST = 160.0  # and that it always has, however coarse the paper
_FAINTEST_SHARE = 0.22  # of the page's own ink, which leaves watermarks behind
_SHALLOWEST = 60.0  # the least depth that ink is thought to have


def binarise(grey: NDArray[np.uint8], noise: float) -> NDArray[np.uint8]:
    """Ink by a local threshold on mean and deviation.

    Sauvola & Pietikainen (2000) in the form of Wolf & Jolion (2004), which reads faint ink
    as well: the range of grey levels is that of the page's own ink. The statistics come
    from every second pixel, which leaves them unbiased. Ink must stand out of the paper's
    noise, and what is nearly as dark as the page's ink is ink wherever it lies.

    grey: uint8 (h, w), 255 is paper. noise: grey levels. Returns uint8 (h, w), 0 or 255.
    """
    sparse = np.ascontiguousarray(grey[::_STRIDE, ::_STRIDE])
    side = (_WINDOW // _STRIDE) | 1
    mean = np.asarray(cv2.boxFilter(sparse, cv2.CV_32F, (side, side)), np.float32)
    # Arrays are large and few: most is worked out in the place of what is needed no more.
    below = np.square(mean)
    squares = cv2.sqrBoxFilter(sparse, cv2.CV_32F, (side, side))
    deviation = np.asarray(squares, np.float32)
    deviation -= below
    np.clip(deviation, 0.0, 255.0**2, out=deviation)
    cv2.sqrt(deviation, deviation)
    faintest = min(max(_FAINTEST, 6.0 * noise), _DEEPEST)
    depth = _ink_depth(sparse, faintest)
    faintest = max(faintest, _FAINTEST_SHARE * depth)
    darkest = 255.0 - depth
    # Half the depth is the greatest deviation that paper and ink can have together:
    # cut = mean - _WEIGHT * (1.0 - deviation / (depth / 2)) * (mean - darkest)
    deviation /= depth / 2
    np.subtract(1.0, deviation, out=deviation)
    deviation *= _WEIGHT
    np.subtract(mean, darkest, out=below)
    deviation *= below
    mean -= deviation
    np.clip(mean, darkest + _SURELY * depth, 255.0 - faintest, out=mean)
    cut = cv2.resize(mean.astype(np.uint8), grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.compare(grey, cut, cv2.CMP_LT), dtype=np.uint8)


def _ink_depth(grey: NDArray[np.uint8], faintest: float) -> float:
    """Grey levels that the page's ink lies below paper."""
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    total = np.cumsum(counts[: int(255 - faintest)], dtype=np.float64)
    if not total[-1]:
        return max(_SHALLOWEST, 2.0 * faintest)
    # Three quarters of the ink are paler than this, its blurred edges among them.
    typical = 255.0 - float(np.searchsorted(total, total[-1] / 4))
    return max(typical, _SHALLOWEST, 2.0 * faintest)


def stroke_width(mask: NDArray[np.uint8]) -> float:
    """The median length of the ink's runs on every sixteenth row, in pixels; 0 without ink."""
    rows = np.pad(mask[::16] > 0, ((0, 0), (1, 1))).ravel()
    turns = np.flatnonzero(rows[1:] != rows[:-1])
    runs = turns[1::2] - turns[0::2]
    runs = runs[runs > 1]
    return float(np.median(runs)) if len(runs) else 0.0


def drop_specks(mask: NDArray[np.uint8], squares: Components) -> NDArray[np.uint8]:
    """The mask without components much smaller than a dot of the page's pen.

    squares: as of ``squares_of`` the mask; they are taken for the mask's components.
    """
    smallest = max(4.0, _SPECK * stroke_width(mask) ** 2)
    small = squares.areas < smallest
    if not small.any():
        return mask
    row, start, end, part = squares.runs[:, small[squares.runs[3]]]
    run, x = spread(start, end)
    y = (2 * row[run, None] + (0, 0, 1, 1)).ravel()
    x = (2 * x[:, None] + (0, 1, 0, 1)).ravel()
    part = np.repeat(part[run], 4)
    within = (y < mask.shape[0]) & (x < mask.shape[1])
    y, x, part = y[within], x[within], part[within]
    areas = np.bincount(part, mask[y, x] > 0, len(small))
    speck = areas[part] < smallest
    clean = mask.copy()
    clean[y[speck], x[speck]] = 0
    return clean
