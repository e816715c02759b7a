"""Connected components of the ink as arrays, and the links between neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bits",
    "Components",
    "Hole",
    "boxes_and_areas",
    "boxes_of",
    "chains",
    "closed_runs",
    "find_components",
    "groups",
    "linked",
    "neighbours",
    "ones_of",
    "packed",
    "runs_of",
    "spread",
]

Hole = tuple[int, int, NDArray[np.bool_]]  # rows from and to, and bool (w,), at which columns

_BAND = 64  # rows, in which neighbours are looked for at once: higher than most writing


@dataclass(frozen=True, slots=True)
class Bits:
    """A mask, eight pixels a byte.

    rows: uint8 (h, b), with a bit of paper and more at the end of each row.
    shape: (h, w) of the mask.
    """

    rows: NDArray[np.uint8]
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Components:
    """The connected components of a mask, background left out.

    shape: (h, w) of the mask.
    boxes: int32 (C, 4), left, top, right, bottom, half-open.
    areas: int32 (C,), pixels of ink.
    centres: int32 (C, 2), x and y of the middle of each box.
    runs: int32 (4, N), row, start, end (half-open) and component of every run along the rows.
    """

    shape: tuple[int, int]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]
    centres: NDArray[np.int32]
    runs: NDArray[np.int32]

    @property
    def widths(self) -> NDArray[np.int32]:
        """int32 (C,), pixels."""
        return self.boxes[:, 2] - self.boxes[:, 0]

    @property
    def heights(self) -> NDArray[np.int32]:
        """int32 (C,), pixels."""
        return self.boxes[:, 3] - self.boxes[:, 1]

    def take(self, chosen: NDArray[np.intp]) -> Components:
        """Some of them, in another order."""
        number = np.full(len(self.boxes), -1, np.int32)
        number[chosen] = np.arange(len(chosen))
        own = number[self.runs[3]]
        runs = np.concatenate([self.runs[:3], own[None]]).compress(own >= 0, axis=1)
        taken = self.boxes[chosen], self.areas[chosen], self.centres[chosen]
        return Components(self.shape, *taken, runs)


def packed(mask: NDArray[np.uint8]) -> Bits:
    """A mask, uint8 (h, w), 0 for paper, with eight pixels a byte."""
    rows = np.packbits(mask, axis=1)
    if mask.shape[1] % 8 == 0:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return Bits(rows, mask.shape)


def find_components(ink: Bits, holes: Sequence[Hole] = ()) -> Components:
    """The 8-connected components of the ink.

    holes: where it is taken for paper. They are numbered by the squares of two by two pixels,
    row by row, in which they begin, as OpenCV does. There are far fewer runs than pixels: to
    link them takes a fifth of the time.
    """
    rows = ink.rows.copy()
    for top, bottom, columns in holes:
        hole = np.packbits(columns)
        rows[top:bottom, : len(hole)] &= ~hole
    runs = _runs(rows)
    part, count = linked(runs)
    square = (runs[0] >> 1) * np.int32(ink.shape[1]) + (runs[1] >> 1)
    begins = np.full(count, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(begins, part, square)
    number = np.empty(count, np.int32)
    number[np.argsort(begins)] = np.arange(count)
    runs = np.concatenate([runs, number.take(part)[None]])
    boxes, areas = boxes_of(runs, count), _areas_of(runs, count)
    return Components(ink.shape, boxes, areas, (boxes[:, :2] + boxes[:, 2:]) // 2, runs)


def boxes_and_areas(runs: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The boxes and the areas of the 8-connected components of runs, in the order they begin.

    runs: int32 (3, N), row, start and end, row by row. It is all that some ask, and takes less.
    """
    part, count = linked(runs)
    runs = np.concatenate([runs, part[None].astype(np.int32)])
    return boxes_of(runs, count), _areas_of(runs, count)


def _areas_of(runs: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """int32 (count,): the pixels of what runs make up, as of ``boxes_of``."""
    return np.bincount(runs[3], runs[2] - runs[1], count).astype(np.int32)


def boxes_of(runs: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """int32 (count, 4): left, top, right and bottom of what runs along the rows make up.

    runs: int32 (4, N), row, start, end and number of what each is part of. Of what has no run
    the box is of no sense.
    """
    row, start, end, part = runs
    part = part.astype(np.intp)  # once for all
    boxes = np.zeros((4, count), np.int32)
    boxes[:2] = np.iinfo(np.int32).max
    for at, least in ((0, start), (1, row)):
        np.minimum.at(boxes[at], part, least)
    for at, most in ((2, end), (3, row + 1)):
        np.maximum.at(boxes[at], part, most)
    return np.ascontiguousarray(boxes.T)


def runs_of(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """int32 (3, N): row, start and end (half-open) of every run along the rows, row by row."""
    return _runs(packed(mask).rows)


def closed_runs(runs: NDArray[np.int32], reach: int, width: int) -> NDArray[np.int32]:
    """The runs that a closing along the rows leaves whose window is 2 ``reach`` + 1 pixels wide.

    runs: int32 (3, N), row, start and end, row by row. width: of the mask, whose sides close
    what is within reach of them.
    """
    row, start, end = runs
    start, end = start * (start > reach), np.where(end < width - reach, end, np.int32(width))
    apart = np.ones(len(row) + 1, bool)
    apart[1:-1] = (row[1:] != row[:-1]) | (start[1:] - end[:-1] > 2 * reach)
    at = np.flatnonzero(apart)
    return np.stack([row.take(at[:-1]), start.take(at[:-1]), end.take(at[1:] - 1)])


def _runs(rows: NDArray[np.uint8]) -> NDArray[np.int32]:
    """int32 (3, N): the runs of a mask, as of ``runs_of``. rows: as of ``Bits``."""
    flat = rows.ravel()
    before = flat >> 1
    before[1:] |= flat[:-1] * np.uint8(128)  # no shift: numpy is quicker at products of bytes
    turns = ones_of(np.bitwise_xor(flat, before))
    start, end = turns[0::2], turns[1::2]
    row = start // np.int32(8 * rows.shape[1])
    before_row = row * np.int32(8 * rows.shape[1])
    return np.stack([row, start - before_row, end - before_row])


def ones_of(bits: NDArray[np.uint8]) -> NDArray[np.int32]:
    """int32 (N,): which bits of bytes, in a row, are set."""
    at = np.flatnonzero(bits != 0)
    bit = np.flatnonzero(np.unpackbits(bits[at]).view(bool))
    left_out = (at - np.arange(len(at))) << 3  # bits, before each byte
    return (left_out.take(bit >> 3) + bit).astype(np.int32)


def linked(runs: NDArray[np.int32]) -> tuple[NDArray[np.intp], int]:
    """intp (N,) and how many: the 8-connected component of each run, in the order they begin.

    runs: int32 (3, N), row, start and end, row by row.
    """
    count = runs.shape[1]
    each = np.arange(count)
    row, start, end = runs
    apart = np.int32(end.max(initial=0) + 2)  # from a pixel to the one below, so that rows part
    first, last = row * apart + start, row * apart + end
    # Of the runs above, the first that ends where each begins, or behind it: a merge of what
    # is in order twice, which numpy's stable sort is quick at.
    order = np.argsort(np.concatenate([first - apart, last]), kind="stable")
    above = np.flatnonzero(order < count) - each
    touched = first.take(above) <= last - apart
    leader = _led_by_first(np.where(touched, above, each))
    one, other = _links_beside(first, last - apart, above, np.flatnonzero(touched))
    roots = np.flatnonzero(leader == each)
    number = np.empty(count, np.intp)
    number[roots] = np.arange(len(roots))
    group = chains(len(roots), number[leader[one]], number[leader[other]]).astype(np.intp)
    number[roots] = group
    return number.take(leader), int(group.max(initial=-1)) + 1


def _links_beside(
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    above: NDArray[np.intp],
    run: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The runs that some touch above them, but for the first, and those that touch them.

    first: where each begins. last: where it ends, on the row above. above: the first that each
    touches. run: which touch any.
    """
    found = [(run[:0], run[:0])]
    beside = above[run] + 1
    while len(run):
        touched = first[beside] <= last[run]
        run, beside = run[touched], beside[touched]
        found.append((beside, run))
        beside = beside + 1
    one, other = (np.concatenate(side) for side in zip(*found, strict=True))
    return one, other


def spread(
    start: NDArray[np.integer], stop: NDArray[np.integer]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All whole numbers of some half-open ranges, one range after the other.

    start, stop: integers (N,). Returns intp (M,) each: which range a number is of, and the number.
    """
    lengths = np.maximum(stop - start, 0)
    of = np.repeat(np.arange(len(lengths)), lengths)
    before = np.cumsum(lengths) - lengths
    return of, np.arange(len(of)) + (start - before)[of]


def neighbours(
    boxes: NDArray[np.int32], reach: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of boxes that stand beside each other on one line of writing.

    boxes: int32 (C, 4). reach: float (C,), pixels to the right of each box in which its
    neighbour must begin. Returns two intp (P,) arrays of indices, the first box of each
    pair beginning left of the second. Two boxes share a line where they overlap in height
    by half of the smaller one.
    """
    # Boxes are compared within bands of rows, for most of a page is above or below a line. Both
    # of a pair lie in the band where the lower one begins.
    box, band = spread(boxes[:, 1] // _BAND, (boxes[:, 3] - 1) // _BAND + 1)
    ends = boxes[:, 2] + reach
    away = band * (ends.max(initial=0.0) + 1)  # one band is moved to the right of the one above
    order = np.argsort(boxes[box, 0] + away, kind="stable")
    box, band, away = box[order], band[order], away[order]
    last = np.searchsorted(boxes[box, 0] + away, ends[box] + away, side="right")
    one, other = spread(np.arange(len(box)) + 1, last)
    band, first, second = band[one], box[one], box[other]
    top, bottom = boxes[:, 1], boxes[:, 3]
    highest = np.maximum(top[first], top[second])
    shared = np.minimum(bottom[first], bottom[second]) - highest
    height = bottom - top
    level = 2 * shared >= np.minimum(height[first], height[second])
    level &= highest // _BAND == band
    return first[level], second[level]


def chains(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int32]:
    """int32 (count,): the number of the group that each of ``count`` things belongs to.

    first, second: int64 (P,), the linked pairs.
    """
    # Each thing is led by the first of its group: SciPy finds it too, but takes longer to load
    # than a page to read.
    leader = np.arange(count)
    while True:
        one, other = leader[first], leader[second]
        if np.array_equal(one, other):
            return np.asarray(np.cumsum(leader == np.arange(count))[leader] - 1, np.int32)
        np.minimum.at(leader, np.maximum(one, other), np.minimum(one, other))
        leader = _led_by_first(leader)


def _led_by_first(leader: NDArray[np.intp]) -> NDArray[np.intp]:
    """The leader of each thing's leader, and so on, up to one that leads itself."""
    above = leader.take(leader)
    while not np.array_equal(above, leader):
        leader, above = above, above.take(above)
    return leader


def groups(group: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """The members of each group, in order: the inverse of an array of group numbers from 0."""
    if not len(group):
        return []
    order = np.argsort(group, kind="stable")
    stops = np.cumsum(np.bincount(group)).tolist()
    return [order[start:stop] for start, stop in pairwise([0, *stops])]
