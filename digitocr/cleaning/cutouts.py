"""Ink on a cut-out field: a few strokes of one pen on paper that may be patterned all over.

What a page tells by its many characters, a small picture does not; but it has one pen, and
what is printed below the pen is paler. The rules it may hold run from side to side.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.morphology import blurred, both, dilated, inverse, opened, over, without

__all__ = ["pen_ink", "without_level_rules"]

Mask = NDArray[np.uint8]

_SOFTEN = 1.5  # pixels at working scale; a pattern's lines are finer than strokes
_FAINTEST = 30.0  # grey levels below paper that ink must have at the very least
_ACROSS = 0.6  # of the picture's width that a rule runs at least
_LONGER = 0.9  # of its height, which no stroke of a digit runs level
_THICKEST = 0.12  # of its height; a rule is no thicker
_CROSSED = 1.6  # times its thickness: where the ink is higher, a stroke crosses the rule


def pen_ink(grey: Mask) -> Mask:
    """Ink by one threshold for the whole picture (Otsu 1979), softened first.

    grey: uint8 (h, w), flattened to 255. Returns uint8 (h, w), 0 or 255.
    """
    soft = blurred(grey, _SOFTEN)
    level, _ink = cv2.threshold(soft, 0, 255, cv2.THRESH_OTSU)
    return inverse(over(soft, float(int(min(level, 255 - _FAINTEST)))))


def without_level_rules(mask: Mask) -> tuple[Mask, Mask]:
    """The ink without rules that run level from side to side or most of the way, and those.

    Where a stroke crosses a rule it is left whole.
    """
    height, width = mask.shape
    least = round(max(_ACROSS * width, _LONGER * height))
    if least > width:
        return mask, np.zeros_like(mask)
    # A rule may climb a little: a run may step aside by a pixel.
    long = both(opened(dilated(mask, 1, 3), least, 1), mask)
    if not long.any():
        return mask, long
    extent = _upright_runs(mask)
    thickness = float(np.median(extent[long > 0]))
    if thickness > _THICKEST * height:
        return mask, np.zeros_like(mask)
    # All of the ink above and below the rule's run goes with it, so that no fringe stays.
    fringe = both(dilated(long, 1, 2 * round(thickness / 2) + 1), mask)
    rules = np.where((fringe > 0) & (extent <= _CROSSED * thickness + 1), 255, 0).astype(np.uint8)
    return without(mask, rules), rules


def _upright_runs(mask: Mask) -> NDArray[np.int32]:
    """int32 (h, w): for each pixel of ink the length of the upright run that it is in."""
    ink = np.pad(mask > 0, ((1, 1), (0, 0))).T  # columns as rows, with paper at both ends
    edges = np.flatnonzero(np.diff(ink.ravel().astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    lengths = np.zeros(ink.size, np.int32)
    lengths[1:][_within(starts, stops)] = np.repeat(stops - starts, stops - starts)
    return np.ascontiguousarray(lengths.reshape(ink.shape)[:, 1:-1].T)


def _within(starts: NDArray[np.intp], stops: NDArray[np.intp]) -> NDArray[np.intp]:
    """All the places from each start to its stop."""
    counts = stops - starts
    first = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return np.asarray(first + np.arange(counts.sum()))
