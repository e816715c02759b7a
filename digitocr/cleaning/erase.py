"""Ink without ruled lines: they go, the strokes that cross them stay whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.bitplane import bitplane_of_transposed, runs_along
from digitocr.cleaning.morphology import repeated, transposed
from digitocr.cleaning.rules import HALF, Rules

__all__ = ["erase_rules"]

Mask = NDArray[np.uint8]

_MARGIN = 1  # pixels to either side of a rule, for its soft edge
_LOOK = 2  # pixels beyond the margin in which a stroke shows that it goes on
_SLANT = 3  # columns by which a stroke may move while it crosses
_DARKER = 25.0  # grey levels by which a stroke on top of a rule stands out of it


def erase_rules(mask: Mask, grey: Mask, rules: Rules) -> tuple[Mask, Mask]:
    """Ink without rules, and the rules as a picture of the mask's size.

    mask: uint8 (h, w), 255 is ink. grey: uint8 (h, w), the page it was taken from.
    Returns two uint8 (h, w) pictures, 0 or 255.
    """
    width = mask.shape[1]
    bare = mask.copy()
    _erase(bare, grey, rules.horizontal, (width, 1))
    _erase(bare, grey, rules.vertical, (1, width))
    half = rules.horizontal | transposed(rules.vertical)
    return bare, repeated(half, HALF, mask.shape)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where rules lie at full scale, column by column, each rule's from left to right."""

    x: NDArray[np.intp]
    top: NDArray[np.intp]
    height: NDArray[np.intp]


def _erase(bare: Mask, grey: Mask, runs: Mask, steps: tuple[int, int]) -> None:
    """Take the ink of rules of one direction out of ``bare``.

    steps: in the flat mask, from one pixel to the next across the rules and along them.

    In a column where ink goes on to both sides of the rule, or to one side here and to the
    other side a few columns on, a stroke crosses, and the ink is left. So it is where a
    stroke comes from one side and runs along the rule, darker than it.
    """
    deep = bare.shape[0] if steps[1] == 1 else bare.shape[1]
    columns = _columns(runs)
    if not len(columns.x):
        return
    flat, x = bare.ravel(), columns.x
    top, bottom = columns.top - _MARGIN, columns.top + columns.height + _MARGIN

    def at(row: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.clip(row, 0, deep - 1) * steps[0] + x * steps[1]

    above, below = flat.take(at(top - 1)) > 0, flat.take(at(bottom)) > 0
    for step in range(1, _LOOK):
        above |= flat.take(at(top - 1 - step)) > 0
        below |= flat.take(at(bottom + step)) > 0
    bands = _bands(columns.height, at(top), at(bottom - 1), steps[0])
    darkness = np.empty(len(x), np.uint8)
    for own, band in bands:
        darkness[own] = 255 - grey.ravel().take(band).min(axis=0)
    kept = (above & _near(below, x)) | (below & _near(above, x))
    kept |= _near(above | below, x) & _stands_out(darkness, x)
    for own, band in bands:
        flat[band.compress(~kept[own], axis=1)] = 0


def _bands(
    height: NDArray[np.intp], first: NDArray[np.intp], last: NDArray[np.intp], step: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The pixels of rules and their margins, together for all columns of one height.

    first, last: of each column, in the flat mask. step: from one to the next. Returns the columns,
    intp (N,), and their pixels, intp (M, N), with a row for each step across the rules, as numpy
    is quick along rows alone. At the picture's border a column has its last pixel twice.
    """
    bands = []
    for each in np.flatnonzero(np.bincount(height)).tolist():
        own = np.flatnonzero(height == each)
        reach = np.arange(0, (each + 2 * _MARGIN) * step, step)[:, None]
        bands.append((own, np.minimum(first[own] + reach, last[own])))
    return bands


def _stands_out(darkness: NDArray[np.uint8], x: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Where a rule is darker than it is on the mean of its length."""
    rule = np.cumsum(np.diff(x, prepend=x[:1]) != 1) - (len(x) > 0)
    rule -= rule.min()
    mean = np.bincount(rule, darkness) / np.bincount(rule)
    return np.asarray(darkness > 1.15 * mean[rule] + _DARKER)


def _columns(runs: Mask) -> _Columns:
    """Every column's stretch of every rule, scaled to full size."""
    x, top, end = runs_along(bitplane_of_transposed(runs)).T
    order = np.lexsort((x, top // 4))
    x, top, height = x[order], top[order], (end - top)[order]
    x = np.repeat(x * HALF, HALF) + np.tile(np.arange(HALF), len(x))
    return _Columns(x, np.repeat(top * HALF, HALF), np.repeat(height * HALF, HALF))


def _near(flags: NDArray[np.bool_], x: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Where a flag is set within a few columns to either side on the same rule."""
    wide = flags.copy()
    for step in range(1, _SLANT + 1):
        same = x[step:] - x[:-step] == step
        wide[step:] |= flags[:-step] & same
        wide[:-step] |= flags[step:] & same
    return wide
