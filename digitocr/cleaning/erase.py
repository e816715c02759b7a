"""Ink without ruled lines: they go, the strokes that cross them stay whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    deep, long = bare.shape if steps[1] == 1 else bare.shape[::-1]
    columns = _columns(runs, long)
    if not len(columns.x):
        return
    pad = _MARGIN + _LOOK
    # A row for each step across the rules, as numpy is quick along rows alone.
    reach = np.arange(int(columns.height.max()) + 2 * pad)[:, None]
    at = np.clip(columns.top - pad + reach, 0, deep - 1) * steps[0] + columns.x * steps[1]
    ink = bare.ravel()[at] > 0
    end = _LOOK + columns.height + 2 * _MARGIN
    band = (reach >= _LOOK) & (reach < end)
    above = ink[:_LOOK].any(axis=0)
    below = (ink & ~band & (reach < end + _LOOK))[_LOOK:].any(axis=0)
    kept = (above & _near(below, columns.x)) | (below & _near(above, columns.x))
    darkness = 255 - np.where(band, grey.ravel()[at], 255).min(axis=0)
    kept |= _near(above | below, columns.x) & _stands_out(darkness, columns.x)
    bare.ravel()[at[band & ~kept]] = 0


def _stands_out(darkness: NDArray[np.uint8], x: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Where a rule is darker than it is on the mean of its length."""
    rule = np.cumsum(np.diff(x, prepend=x[:1]) != 1) - (len(x) > 0)
    rule -= rule.min()
    mean = np.bincount(rule, darkness) / np.bincount(rule)
    return np.asarray(darkness > 1.15 * mean[rule] + _DARKER)


def _columns(runs: Mask, width: int) -> _Columns:
    """Every column's stretch of every rule, scaled to full size."""
    tall = runs.shape[0] + 1
    padded = np.zeros((runs.shape[1], tall), bool)
    padded[:, :-1] = transposed(runs) > 0
    flat = padded.ravel()
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if len(flat) and flat[0]:
        turns = np.concatenate([[0], turns])
    x, top = np.divmod(turns[0::2], tall)
    height = turns[1::2] - turns[0::2]
    order = np.lexsort((x, top // 4))
    x, top, height = x[order], top[order], height[order]
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
