"""A page without its margins of bare paper, which take a third of an A4 sheet and tell nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID", "Corner", "trimmed"]

Corner = tuple[int, int]  # x, y

GRID = 16  # pixels; what is looked at by halves, fours or rows falls on the same ones as untrimmed
_FAINTEST = 14  # grey levels below paper; of what is fainter is neither ink nor a rule
_MARGIN = 32  # pixels of paper that are left, more than any window reaches that tells ink


def trimmed(flat: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Corner]:
    """The part of a page that holds all that is darker than paper, with a margin, and its corner.

    flat: uint8 (h, w), the page flattened to 255. Returns a view of it, and where its upper
    left corner lies; all of a page that is blank.
    """
    rows = _held(flat.min(axis=1))
    columns = _held(flat.min(axis=0))
    return flat[rows, columns], (columns.start, rows.start)


def _held(darkest: NDArray[np.uint8]) -> slice:
    """From the first to the last line that is not bare, by the darkest pixel of each."""
    there = np.flatnonzero(darkest < 255 - _FAINTEST)
    if not len(there):
        return slice(0, darkest.size)
    start = max(0, int(there[0]) - _MARGIN) // GRID * GRID
    return slice(start, min(darkest.size, int(there[-1]) + 1 + _MARGIN))
