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
    flat, shades, x = bare.ravel(), grey.ravel(), columns.x
    top, bottom = columns.top - _MARGIN, columns.top + columns.height + _MARGIN

    def at(row: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.clip(row, 0, deep - 1) * steps[0] + x * steps[1]

    above, below = (
        np.any([flat.take(at(row + away * step)) > 0 for step in range(_LOOK)], axis=0)
        for row, away in ((top - 1, -1), (bottom, 1))
    )
    top, bottom = np.maximum(top, 0), np.minimum(bottom, deep)
    bands = _bands(bottom - top, at(top), steps[0])
    darkness = np.empty(len(x), np.uint8)
    for own, band in bands:
        darkness[own] = 255 - shades.take(band).min(axis=0)
    beside = [x[step:] - x[:-step] == step for step in range(1, _SLANT + 1)]
    kept = (above & _near(below, beside)) | (below & _near(above, beside))
    kept |= _near(above | below, beside) & _stands_out(darkness, beside[0])
    for own, band in bands:
        flat[band.compress(~kept[own], axis=1)] = 0


def _bands(
    height: NDArray[np.intp], first: NDArray[np.intp], step: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The pixels of rules and their margins, together for all columns of one height.

    first: of each column, in the flat mask. step: from one to the next. Returns the columns,
    intp (N,), and their pixels, intp (M, N), with a row for each step across the rules, as numpy
    is quick along rows alone.
    """
    bands = []
    for each in np.flatnonzero(np.bincount(height)).tolist():
        own = np.flatnonzero(height == each)
        bands.append((own, first[own] + np.arange(0, each * step, step)[:, None]))
    return bands


def _stands_out(darkness: NDArray[np.uint8], goes_on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a rule is darker than it is on the mean of its length.

    darkness: uint8 (N,). goes_on: bool (N - 1,), whether the next column is of the same rule.
    """
    begins = np.concatenate([[0], np.flatnonzero(~goes_on) + 1])
    lengths = np.diff(begins, append=len(darkness))
    mean = np.add.reduceat(darkness, begins, dtype=np.intp) / lengths
    return np.asarray(darkness > np.repeat(1.15 * mean + _DARKER, lengths))


def _columns(runs: Mask) -> _Columns:
    """Every column's stretch of every rule, scaled to full size."""
    x, top, end = runs_along(bitplane_of_transposed(runs)).T
    # They come from left to right. Of short numbers numpy's stable sort is ten times as quick.
    order = np.argsort((top // 4).astype(np.uint16), kind="stable")
    x, top, height = x[order], top[order], (end - top)[order]
    x = np.repeat(x * HALF, HALF) + np.tile(np.arange(HALF), len(x))
    return _Columns(x, np.repeat(top * HALF, HALF), np.repeat(height * HALF, HALF))


def _near(flags: NDArray[np.bool_], beside: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Where a flag is set within a few columns to either side on the same rule.

    beside: bool (N - 1,), (N - 2,), ..., whether two columns are one, two, ... apart on a rule.
    """
    wide = flags.copy()
    for step, same in enumerate(beside, 1):
        wide[step:] |= flags[:-step] & same
        wide[:-step] |= flags[step:] & same
    return wide
