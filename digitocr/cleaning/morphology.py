"""OpenCV's operations on 8-bit pictures, with the types and the few forms used here.

All take and return uint8 (h, w) and leave their argument as it is. Windows are given as
width and height in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Picture",
    "blurred",
    "both",
    "closed",
    "dilated",
    "inverse",
    "opened",
    "over",
    "reduced",
    "repeated",
    "tophat",
    "transposed",
    "without",
]

Picture = NDArray[np.uint8]


def opened(picture: Picture, width: int, height: int) -> Picture:
    """Without what is light and smaller than the window."""
    return _morphology(picture, cv2.MORPH_OPEN, width, height)


def closed(picture: Picture, width: int, height: int) -> Picture:
    """Without what is dark and smaller than the window."""
    return _morphology(picture, cv2.MORPH_CLOSE, width, height)


def dilated(picture: Picture, width: int, height: int) -> Picture:
    """The lightest pixel of the window."""
    return _morphology(picture, cv2.MORPH_DILATE, width, height)


def tophat(picture: Picture, width: int, height: int) -> Picture:
    """By how much a pixel is lighter than the picture opened by the window."""
    return _morphology(picture, cv2.MORPH_TOPHAT, width, height)


def _morphology(picture: Picture, kind: int, width: int, height: int) -> Picture:
    window = np.ones((height, width), np.uint8)
    return np.asarray(cv2.morphologyEx(picture, kind, window), dtype=np.uint8)


def blurred(picture: Picture, sigma: float) -> Picture:
    """Smoothed by a Gaussian of ``sigma`` pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)


def over(picture: Picture, level: Picture | float) -> Picture:
    """255 where the picture is lighter than ``level``, else 0."""
    if isinstance(level, float):
        return np.asarray(cv2.threshold(picture, level, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)
    return np.asarray(cv2.compare(picture, level, cv2.CMP_GT), dtype=np.uint8)


def both(mask: Picture, other: Picture) -> Picture:
    """Set where both masks are."""
    return np.asarray(cv2.bitwise_and(mask, other), dtype=np.uint8)


def without(mask: Picture, other: Picture) -> Picture:
    """Set where the mask is and the other is not, both 0 or 255."""
    return np.asarray(cv2.subtract(mask, other), dtype=np.uint8)


def inverse(picture: Picture) -> Picture:
    """Light for dark."""
    return np.asarray(cv2.bitwise_not(picture), dtype=np.uint8)


def transposed(picture: Picture) -> Picture:
    """Rows for columns, laid out anew in memory."""
    return np.asarray(cv2.transpose(picture), dtype=np.uint8)


def reduced(picture: Picture, times: int) -> Picture:
    """A whole number of times smaller, each pixel the mean of those it stands for.

    A last row or column that fills no pixel is left off; what is smaller than one pixel
    becomes one.
    """
    if times == 1:
        return picture
    height, width = (max(1, side // times) for side in picture.shape)
    whole = picture[: height * times, : width * times]
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def repeated(picture: Picture, times: int, shape: tuple[int, ...]) -> Picture:
    """Each pixel ``times`` times along both axes, on 0 to the (h, w) of ``shape``."""
    whole = np.zeros(shape[:2], np.uint8)
    wide = cv2.merge([picture] * times).reshape(len(picture), -1)[:, : shape[1]]
    for row in range(min(times, shape[0])):
        every = whole[row::times, : wide.shape[1]]
        every[: len(wide)] = wide[: len(every)]
    return whole
