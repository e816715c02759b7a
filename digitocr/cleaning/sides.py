"""The short sides of cells and boxes: rules no longer than strokes are.

What tells them from strokes is where they are: they lead from one rule of the other
direction to the next, and in a row of cells they stand at even distances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.morphology import (
    Picture,
    both,
    closed,
    dilated,
    opened,
    stretched,
    without,
)
from digitocr.components import runs_of

__all__ = ["find_sides"]

Runs = NDArray[np.int32]  # (N, 3) row, start, end

_FLANK = 4  # pixels from a side's middle to what is beside it
_LEANT_ON = 0.45  # share of a side's length along which strokes may lean on it
_FREE = 0.12  # the same for a side that has lost one of its rules
_BEND = 8  # pixels near a rule in which a side does not stand out as a ridge


def find_sides(ridge: Picture, ink: Picture, length: int, across: Picture) -> Picture:
    """Ridges of at least ``length`` that meet rules of the other direction, as a cell's do.

    With both ends, or with one where others beside it begin and end with it: of a faded row
    of cells one long rule may be lost. All pictures have the sides running along their rows.

    ridge: 255 where the picture is darker than what is beside. ink: its ink.
    across: rules of the other direction. length: the least, in pixels.
    """
    sides = np.zeros_like(across)
    if not across.any():
        return sides
    # A side at the end of a rule may stand a little outside of it.
    wide = dilated(across, 1, 2 * _FLANK + 1)
    reach = both(ridge, stretched(wide, 8 * length + 1))
    # Where a rule passes, a side does not stand out of what is beside it.
    reach |= both(ink, dilated(wide, 2 * _BEND + 1, 1))
    # Breaks are closed but for the ends: a digit may end close to a rule.
    joined = reach | without(closed(reach, 3, 1), dilated(wide, _BEND + 1, 1))
    runs = runs_of(opened(dilated(joined, 1, 3), length, 1)).T
    found = _meeting(runs, dilated(wide, 3, 1), ink, length)
    for row, start, end in found[~_intruding(found)].tolist():
        sides[row, start:end] = 255
    return both(dilated(sides, 1, 3), dilated(joined, 3, 1))


def _meeting(runs: Runs, near: Picture, ink: Picture, length: int) -> Runs:
    """The runs that are sides, from rule to rule; what goes on beyond is a stroke's."""
    if not len(runs):
        return runs
    row, start, end = runs.T
    begins = np.cumsum(end - start) - (end - start)
    y = np.repeat(row, end - start)  # of all pixels of all runs, one run after the other
    x = np.arange(len(y)) + np.repeat(start - begins, end - start)
    met = near[y, x] > 0
    first = np.minimum.reduceat(np.where(met, x, ink.shape[1]), begins)
    last = np.maximum.reduceat(np.where(met, x + 1, 0), begins)
    flanks = (ink[np.maximum(y - _FLANK, 0), x], ink[np.minimum(y + _FLANK, len(ink) - 1), x])
    touched = np.maximum(*(np.add.reduceat(flank > 0, begins, dtype=np.intp) for flank in flanks))
    leant_on = touched / (end - start)
    whole = (last - first >= length) & (leant_on < _LEANT_ON)
    half = (first < last) & ~whole & (leant_on < _FREE)
    half &= (first - start < 3) | (end - last < 3)
    single = runs[half]
    return np.concatenate([np.stack([row, first, last], axis=1)[whole], single[_in_step(single)]])


def _alike(runs: Runs, most: int) -> NDArray[np.bool_]:
    """(N, N) whether two runs begin and end within ``most`` pixels of each other."""
    _, start, end = runs.T
    same = np.abs(start[:, None] - start) <= most
    return np.asarray(same & (np.abs(end[:, None] - end) <= most))


def _in_step(runs: Runs) -> NDArray[np.bool_]:
    """(N,) whether a run is one of four that begin and end together at even distances."""
    row, start, end = runs.T
    apart = row[None, :] - row[:, None]
    cell = np.maximum(1, end - start)[:, None]
    beside = _alike(runs, 2) & (np.abs(apart) >= 0.5 * cell) & (np.abs(apart) <= 4 * cell)
    at, other = np.nonzero(beside)
    if not len(at):
        return np.zeros(len(runs), bool)
    steps = apart[at, other]
    far = 3 * int(np.abs(steps).max()) + 1
    there = np.zeros((len(runs), 2 * far + 1), bool)  # or a pixel beside
    for off in (-1, 0, 1):
        there[at, far + steps + off] = True
    times = np.array([-3, -2, -1, 1, 2, 3])
    found = there[at[:, None], far + steps[:, None] * times].sum(axis=1)
    return np.bincount(at, found >= 3, len(runs)) > 0


def _intruding(runs: Runs) -> NDArray[np.bool_]:
    """(N,) whether a run stands inside one cell of a row of cells, as a tall 1 does."""
    intruding = np.zeros(len(runs), bool)
    left = np.ones(len(runs), bool)
    while left.any():
        first = runs[np.argmax(left)]
        row_of_cells = left & (np.abs(runs[:, 1:] - first[1:]) <= 4).all(axis=1)
        left &= ~row_of_cells
        intruding[row_of_cells] = _inside_cells(runs[row_of_cells, 0])
    return intruding


def _inside_cells(rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(N,) whether the lines before and after a run are no farther apart than cells are."""
    order = np.sort(rows)
    lines = order[np.diff(order, prepend=order[0] - 9) > 3]
    if len(lines) < 4:
        return np.zeros(len(rows), bool)
    pitch = float(np.percentile(np.diff(lines), 75))
    own = np.searchsorted(lines, rows, side="right") - 1
    inner = (own > 0) & (own < len(lines) - 1)
    before, after = lines[np.maximum(own - 1, 0)], lines[np.minimum(own + 1, len(lines) - 1)]
    return np.asarray(inner & (after - before < 1.3 * pitch))
