"""The short sides of cells and boxes: rules no longer than strokes are.

What tells them from strokes is where they are: they lead from one rule of the other
direction to the next, and in a row of cells they stand at even distances.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.bitplane import Bitplane, runs_along

__all__ = ["find_sides"]

Runs = NDArray[np.intp]  # (N, 3) row, start, end

_FLANK = 4  # pixels from a side's middle to what is beside it
_LEANT_ON = 0.45  # share of a side's length along which strokes may lean on it
_FREE = 0.12  # the same for a side that has lost one of its rules
_FEWEST_LINES = 4  # of a row of cells
_BEND = 8  # pixels near a rule in which a side does not stand out as a ridge


def find_sides(ridge: Bitplane, ink: Bitplane, length: int, across: Bitplane) -> Bitplane:
    """Ridges of at least ``length`` that meet rules of the other direction, as a cell's do.

    With both ends, or with one where others beside it begin and end with it: of a faded row
    of cells one long rule may be lost. All masks have the sides running along their rows.

    ridge: set where the picture is darker than what is beside. ink: its ink.
    across: rules of the other direction. length: the least, in pixels.
    """
    if not across.any():
        return across
    # A side at the end of a rule may stand a little outside of it.
    wide = across.dilated(1, 2 * _FLANK + 1)
    reach = ridge & wide.dilated(8 * length + 1, 1)
    # Where a rule passes, a side does not stand out of what is beside it.
    reach |= ink & wide.dilated(2 * _BEND + 1, 1)
    # Breaks are closed but for the ends: a digit may end close to a rule.
    joined = reach | (reach.closed(3, 1) - wide.dilated(_BEND + 1, 1))
    runs = runs_along(joined.dilated(1, 3).opened(length, 1))
    found = _meeting(runs, wide.dilated(3, 1), ink, length)
    return _drawn(found[~_intruding(found)], ink).dilated(1, 3) & joined.dilated(3, 1)


def _drawn(runs: Runs, like: Bitplane) -> Bitplane:
    """Runs as a mask of the size of another."""
    words = np.zeros_like(like.words, order="C")
    flat = words.ravel()
    first, bit = like.place(runs[:, 0])
    spans = (first[:, None] + runs[:, 1:]).tolist()
    for (start, end), own in zip(spans, bit, strict=True):
        flat[start:end] |= own
    return Bitplane(words, like.height)


def _meeting(runs: Runs, near: Bitplane, ink: Bitplane, length: int) -> Runs:
    """The runs that are sides, from rule to rule; what goes on beyond is a stroke's."""
    met, bounds = _set_along(runs, near)
    meeting = np.diff(bounds) > 0
    runs, begins, stops = runs[meeting], bounds[:-1][meeting], bounds[1:][meeting]
    row, start, end = runs.T
    first, last = met[begins], met[stops - 1] + 1
    flanks = (np.clip(row + off, 0, ink.height - 1) for off in (-_FLANK, _FLANK))
    beside = (_set_along(np.stack([flank, start, end], axis=1), ink) for flank in flanks)
    leant_on = np.maximum(*(np.diff(bounds) for _, bounds in beside)) / (end - start)
    whole = (last - first >= length) & (leant_on < _LEANT_ON)
    half = ~whole & (leant_on < _FREE)
    half &= (first - start < 3) | (end - last < 3)
    single = runs[half]
    return np.concatenate([np.stack([row, first, last], axis=1)[whole], single[_in_step(single)]])


def _set_along(runs: Runs, bits: Bitplane) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The columns at which a mask is set along each run.

    Returns intp (K,), one run's after the other, and intp (N + 1,), where each run's begin.
    """
    row, start, end = runs.T
    bounds = np.concatenate([[0], np.cumsum(end - start)])
    run = np.repeat(np.arange(len(runs)), end - start)
    word, bit = bits.place(row)
    to_x = start - bounds[:-1]
    there = bits.words.ravel().take(np.arange(len(run)) + (word + to_x)[run]) & bit[run]
    at = np.flatnonzero(there != 0)
    return at + to_x[run[at]], np.searchsorted(at, bounds)


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
    start, end = np.ascontiguousarray(runs.T[1:])
    left = np.arange(len(runs))
    while len(left):
        first = left[0]
        of_row = np.abs(start[left] - start[first]) <= 4
        of_row &= np.abs(end[left] - end[first]) <= 4
        row_of_cells, left = left[of_row], left[~of_row]
        if len(row_of_cells) >= _FEWEST_LINES:
            intruding[row_of_cells] = _inside_cells(runs[row_of_cells, 0])
    return intruding


def _inside_cells(rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(N,) whether the lines before and after a run are no farther apart than cells are."""
    order = sorted(rows.tolist())
    lines = order[:1] + [row for before, row in pairwise(order) if row - before > 3]
    if len(lines) < _FEWEST_LINES:
        return np.zeros(len(rows), bool)
    gaps = sorted(after - before for before, after in pairwise(lines))
    whole, part = divmod(0.75 * (len(gaps) - 1), 1)
    pitch = gaps[int(whole)] + part * (gaps[int(whole) + 1] - gaps[int(whole)])
    inner = [after - before < 1.3 * pitch for before, after in zip(lines, lines[2:], strict=False)]
    return np.array([False, *inner, False])[np.searchsorted(lines, rows, side="right") - 1]
