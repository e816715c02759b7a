"""How many pixels an inch has, where a file can be believed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.errors import DamagedFile
from digitocr.recipe import IngestOptions

__all__ = ["HIGHEST", "LOWEST", "credible_dpi", "drawing_scale", "square_pixels"]

LOWEST, HIGHEST = 72.0, 1200.0  # pixels per inch that scanners give
_MEANINGLESS = (72.0, 96.0)  # what programs write where they know nothing
_CARD, _SHEET = 4.0, 24.0  # inches: no sheet that is scanned is longer than A2
_POINTS = 72.0  # per inch
_LONGEST = 20_000  # pixels of a drawn page's side
_MOST_OBLONG = 4.0  # down to across; fax has 2, or 2/3


def credible_dpi(dpi: float, long_side: int) -> float | None:
    """The resolution if it may be true of a scanned sheet, else None.

    Cameras and programs write 72 or 96 where they know nothing, so those must give the sheet
    (its longer side in pixels) a size that cheques and forms have.
    """
    if not LOWEST <= dpi <= HIGHEST:
        return None
    inches = long_side / dpi
    usual = any(abs(dpi - value) < 0.5 for value in _MEANINGLESS)
    return None if inches > _SHEET or (usual and inches < _CARD) else round(dpi, 2)


def drawing_scale(width: float, height: float, options: IngestOptions) -> float:
    """Pixels per point at which to draw a page of that size, in points.

    Less than ``render_dpi`` where the page would have more than ``render_megapixels``.
    Raises DamagedFile for a page without an area.
    """
    if not (0 < width < 1e7 and 0 < height < 1e7):
        raise DamagedFile("the page has no size; print the PDF to a new one from a viewer")
    most = options.render_megapixels * 1e6
    fine = options.render_dpi / _POINTS
    return float(min(fine, (most / (width * height)) ** 0.5, _LONGEST / max(width, height)))


def square_pixels(pixels: NDArray[np.uint8], across: float, down: float) -> NDArray[np.uint8]:
    """Stretch a picture of oblong pixels (fax: 204 by 98 an inch) along its coarser side.

    Left as it is where both agree within 2 %, or differ more than any scanner's do.
    """
    ratio = across / down if across > 0 and down > 0 else 1.0
    if 0.98 < ratio < 1.02 or not 1 / _MOST_OBLONG < ratio < _MOST_OBLONG:
        return pixels
    height, width = pixels.shape[:2]
    size = (width, round(height * ratio)) if ratio > 1 else (round(width / ratio), height)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
