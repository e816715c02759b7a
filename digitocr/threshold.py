"""Grey to ink: which pixels of a flattened page are ink, and which of those are specks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Components", "binarise", "components", "drop_specks"]

_COARSE = 4  # the local depth of ink is looked at on a picture this many times smaller
_FAINTEST = 24.0  # grey levels below paper that ink must have at the very least
_FAINTEST_SHARE = 0.3  # of the page's own ink


def binarise(grey: NDArray[np.uint8], noise: float) -> NDArray[np.uint8]:
    """Ink where a pixel is darker than half way from paper to the darkest ink around it.

    Half way is where the edge of a blurred stroke lies, whatever its darkness (Bernsen
    1986). Ink must be deeper than the paper's noise and than a share of the page's own
    ink, which leaves watermarks and security patterns behind.

    grey: uint8 (h, w), 255 is paper. noise: grey levels. Returns uint8 (h, w), 0 or 255.
    """
    darkest = cv2.erode(grey, np.ones((_COARSE, _COARSE), np.uint8), anchor=(0, 0))
    darkest = darkest[::_COARSE, ::_COARSE]
    faintest = max(_FAINTEST, 6.0 * noise)
    depth = _ink_depth(darkest, faintest)
    faintest = max(faintest, _FAINTEST_SHARE * depth)
    around = cv2.blur(cv2.erode(darkest, np.ones((9, 9), np.uint8)), (9, 9))
    cut = np.minimum((255.0 + around) / 2, 255.0 - faintest).astype(np.uint8)
    cut = cv2.resize(cut, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.compare(grey, cut, cv2.CMP_LT), dtype=np.uint8)


def _ink_depth(darkest: NDArray[np.uint8], faintest: float) -> float:
    """Grey levels that typical ink lies below paper; 0 where there is none."""
    depths = 255 - darkest[darkest < 255 - faintest].astype(np.int16)
    return float(np.percentile(depths, 75)) if len(depths) else 0.0


class Components:
    """The connected components of a mask.

    labels: uint16 or int32 (h, w), 0 for background.
    boxes: int32 (N, 4) left, top, width, height of label k + 1.
    areas: int32 (N,) pixels.
    """

    __slots__ = ("areas", "boxes", "labels")

    def __init__(self, labels: NDArray[np.integer], stats: NDArray[np.int32]) -> None:
        self.labels = labels
        self.boxes = stats[1:, :4]
        self.areas = stats[1:, 4]


def components(mask: NDArray[np.uint8]) -> Components:
    """Label a mask's eight-connected components."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    return Components(labels, stats)


def drop_specks(mask: NDArray[np.uint8], parts: Components, smallest: int) -> NDArray[np.uint8]:
    """The mask without its components of fewer than ``smallest`` pixels."""
    keep = np.concatenate([[False], parts.areas >= smallest]).astype(np.uint8) * np.uint8(255)
    if keep[1:].all():
        return mask
    return np.asarray(keep[parts.labels], dtype=np.uint8)
