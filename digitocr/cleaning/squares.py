"""Ink at half scale: its components there are found four times as fast."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.morphology import over, reduced
from digitocr.components import Components, find_components, packed

__all__ = ["Squares", "squares_of"]


@dataclass(frozen=True, slots=True)
class Squares:
    """A mask by squares of four pixels, those at its right and lower edge filled up with paper.

    share: uint8 (H, W), how much of each is ink, 255 for all.
    parts: the components of the squares that hold any ink.
    """

    share: NDArray[np.uint8]
    parts: Components


def squares_of(mask: NDArray[np.uint8]) -> Squares:
    """The squares of a mask, uint8 (h, w), 255 is ink."""
    down, right = (side % 2 for side in mask.shape)
    if down or right:
        even = cv2.copyMakeBorder(mask, 0, down, 0, right, cv2.BORDER_CONSTANT, value=0)
        mask = np.asarray(even, np.uint8)
    share = reduced(mask, 2)
    return Squares(share, find_components(packed(over(share, 0.0))))
