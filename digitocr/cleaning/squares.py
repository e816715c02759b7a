"""Ink at half scale: its components there are found four times as fast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.morphology import over, reduced
from digitocr.components import Components, find_components, packed

__all__ = ["squares_of"]


def squares_of(mask: NDArray[np.uint8]) -> Components:
    """The components of the squares of two by two pixels that hold any ink.

    mask: uint8 (h, w), 255 is ink. Its last row and column may fill half a square.
    """
    height, width = mask.shape
    share = np.zeros((-(-height // 2), -(-width // 2)), np.uint8)
    if height > 1 and width > 1:
        share[: height // 2, : width // 2] = reduced(mask, 2)
    share[-1] |= np.maximum.reduceat(mask[-1], np.arange(0, width, 2))
    share[:, -1] |= np.maximum.reduceat(mask[:, -1], np.arange(0, height, 2))
    return find_components(packed(over(share, 0.0)))
