"""Ink without ruled lines: they go, the strokes that cross them stay whole."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.rules import HALF, Rules

__all__ = ["erase_rules"]

Mask = NDArray[np.uint8]

_MARGIN = 1  # pixels to either side of a rule, for its soft edge
_LOOK = 2  # pixels beyond the margin in which a stroke shows that it goes on
_SLANT = 3  # columns by which a stroke may move while it crosses


def erase_rules(mask: Mask, rules: Rules) -> tuple[Mask, Mask]:
    """Ink without rules, and the rules as a picture of the mask's size.

    mask: uint8 (h, w), 255 is ink. Returns two uint8 (h, w) pictures, 0 or 255.
    """
    bare = _erase(mask, rules.horizontal)
    if rules.vertical.any():
        bare = cv2.transpose(_erase(cv2.transpose(bare), rules.vertical))
    size = (mask.shape[1], mask.shape[0])
    half = rules.horizontal | cv2.transpose(rules.vertical)
    lines = cv2.resize(half, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(bare, dtype=np.uint8), np.asarray(lines, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where rules lie at full scale, column by column, each rule's from left to right."""

    x: NDArray[np.intp]
    top: NDArray[np.intp]
    height: NDArray[np.intp]


def _erase(mask: Mask, runs: Mask) -> Mask:
    """The mask without the ink of rules along its rows.

    In a column where ink goes on to both sides of the rule, or to one side here and to the
    other side a few columns on, a stroke crosses, and the ink is left.
    """
    columns = _columns(runs, mask.shape[1])
    if not len(columns.x):
        return mask
    pad = _MARGIN + _LOOK
    reach = np.arange(int(columns.height.max()) + 2 * pad)[None, :]
    rows = columns.top[:, None] - pad + reach
    at = np.clip(rows, 0, mask.shape[0] - 1) * mask.shape[1] + columns.x[:, None]
    ink = mask.ravel()[at] > 0
    end = _LOOK + columns.height[:, None] + 2 * _MARGIN
    above = ink[:, :_LOOK].any(axis=1)
    below = (ink & (reach >= end) & (reach < end + _LOOK)).any(axis=1)
    crossed = (above & _near(below, columns.x)) | (below & _near(above, columns.x))
    gone = (reach >= _LOOK) & (reach < end) & ~crossed[:, None]
    bare = mask.copy()
    bare.ravel()[at[gone]] = 0
    return bare


def _columns(runs: Mask, width: int) -> _Columns:
    """Every column's stretch of every rule, scaled to full size."""
    tall = runs.shape[0] + 1
    padded = np.zeros((runs.shape[1], tall), bool)
    padded[:, :-1] = cv2.transpose(runs) > 0
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
