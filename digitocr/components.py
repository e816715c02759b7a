"""Connected components of the ink as arrays, and the links between neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Components",
    "boxes_of",
    "chains",
    "find_components",
    "groups",
    "label_components",
    "neighbours",
    "pixels_of",
    "runs_of",
]


@dataclass(frozen=True, slots=True)
class Components:
    """The connected components of a mask, background left out.

    labels: int32 (h, w), 0 for background, k + 1 for component k.
    boxes: int32 (C, 4), left, top, right, bottom, half-open.
    areas: int32 (C,), pixels of ink.
    runs: intp (4, N), row, start, end (half-open) and component of every run along the rows.
    """

    labels: NDArray[np.int32]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]
    runs: NDArray[np.intp]

    def ink(self, at: int) -> NDArray[np.bool_]:
        """bool (h, w): one component's pixels within its box."""
        left, top, right, bottom = self.boxes[at].tolist()
        own: NDArray[np.bool_] = self.labels[top:bottom, left:right] == at + 1
        return own

    @property
    def widths(self) -> NDArray[np.int32]:
        """int32 (C,), pixels."""
        return self.boxes[:, 2] - self.boxes[:, 0]

    @property
    def heights(self) -> NDArray[np.int32]:
        """int32 (C,), pixels."""
        return self.boxes[:, 3] - self.boxes[:, 1]

    @property
    def centres(self) -> NDArray[np.int32]:
        """int32 (C, 2), x and y of the middle of each box."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) // 2


def find_components(mask: NDArray[np.uint8]) -> Components:
    """Label the 8-connected components of a uint8 (h, w) mask, 255 where there is ink."""
    count, labels = _labelled(mask, 8)
    runs = _runs(labels, mask)
    own = runs - np.array([[0], [0], [0], [1]])
    areas = np.bincount(own[3], runs[2] - runs[1], count - 1).astype(np.int32)
    return Components(labels, boxes_of(own, count - 1), areas, own)


def label_components(
    mask: NDArray[np.uint8], connectivity: Literal[4, 8] = 8
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Label the connected components of a mask.

    mask: uint8 (h, w), 0 where there is none of them. Returns labels int32 (h, w), 0 for
    background, and int32 (N + 1, 5) left, top, width, height, area, whose row 0 is the
    background.
    """
    count, labels = _labelled(mask, connectivity)
    runs = _runs(labels, mask)
    stats = np.zeros((count, 5), np.int32)
    stats[:, :4] = boxes_of(runs, count)
    stats[:, 4] = np.bincount(runs[3], runs[2] - runs[1], count)
    stats[0, :2], stats[0, 2:4] = 0, mask.shape[::-1]
    stats[0, 4] = mask.size - stats[1:, 4].sum()
    stats[:, 2:4] -= stats[:, :2]
    return labels, stats


def _labelled(mask: NDArray[np.uint8], connectivity: int) -> tuple[int, NDArray[np.int32]]:
    """How many labels there are, 0 among them, and where, int32 (h, w)."""
    count, found = cv2.connectedComponents(mask, connectivity=connectivity, ltype=cv2.CV_32S)
    return count, np.asarray(found, dtype=np.int32)


def _runs(labels: NDArray[np.int32], mask: NDArray[np.uint8]) -> NDArray[np.intp]:
    """intp (4, N): row, start, end and label of every run along the rows, row by row.

    There are far fewer runs than pixels: OpenCV, which goes through all of them, takes
    three times as long to measure labels.
    """
    runs = runs_of(mask)
    return np.concatenate([runs, labels[runs[0], runs[1]][None]])


def boxes_of(runs: NDArray[np.intp], count: int) -> NDArray[np.int32]:
    """int32 (count, 4): left, top, right and bottom of what runs along the rows make up.

    runs: intp (4, N), row, start, end and number of what each is part of. Of what has no run
    the box is of no sense.
    """
    row, start, end, part = runs
    boxes = np.zeros((4, count), np.intp)
    boxes[:2] = np.iinfo(np.int32).max
    for at, least in ((0, start), (1, row)):
        np.minimum.at(boxes[at], part, least)
    for at, most in ((2, end), (3, row + 1)):
        np.maximum.at(boxes[at], part, most)
    return np.ascontiguousarray(boxes.T, np.int32)


def runs_of(mask: NDArray[np.uint8]) -> NDArray[np.intp]:
    """intp (3, N): row, start and end (half-open) of every run along the rows, row by row."""
    ink, width = mask > 0, mask.shape[1]
    if ink[:, 0].any() or ink[-1, -1]:
        # A column of background parts the rows, and ends the last.
        ink, width = np.pad(ink, ((0, 1), (1, 0))), width + 1
    flat = ink.ravel()
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    row, start = np.divmod(turns[0::2], width)
    start -= width - mask.shape[1]
    return np.stack([row, start, start + turns[1::2] - turns[0::2]])


def pixels_of(runs: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """intp (M,) each: the run that each pixel of some runs is of, and its column.

    runs: intp (K, N), row, start, end and whatever else there is of each.
    """
    lengths = runs[2] - runs[1]
    run = np.repeat(np.arange(len(lengths)), lengths)
    before = np.cumsum(lengths) - lengths
    return run, np.arange(len(run)) + (runs[1] - before)[run]


def neighbours(
    boxes: NDArray[np.int32], reach: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of boxes that stand beside each other on one line of writing.

    boxes: int32 (C, 4). reach: float (C,), pixels to the right of each box in which its
    neighbour must begin. Returns two int64 (P,) arrays of indices, the first box of each
    pair beginning left of the second. Two boxes share a line where they overlap in height
    by half of the smaller one.
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    left, top, right, bottom = boxes[order].T
    # For each box, the run of boxes in left-to-right order that begin within its reach.
    last = np.searchsorted(left, right + reach[order], side="right")
    counts = np.maximum(last - np.arange(len(order)) - 1, 0)
    first = np.repeat(np.arange(len(order)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    second = first + 1 + offsets
    shared = np.minimum(bottom[first], bottom[second]) - np.maximum(top[first], top[second])
    least = np.minimum((bottom - top)[first], (bottom - top)[second])
    level = shared * 2 >= least
    return order[first[level]], order[second[level]]


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
            return np.asarray(np.unique(leader, return_inverse=True)[1], np.int32)
        np.minimum.at(leader, np.maximum(one, other), np.minimum(one, other))
        leader = _led_by_first(leader)


def _led_by_first(leader: NDArray[np.intp]) -> NDArray[np.intp]:
    """The leader of each thing's leader, and so on, up to one that leads itself."""
    above = leader[leader]
    while not np.array_equal(above, leader):
        leader, above = above, above[above]
    return leader


def groups(group: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """The members of each group, in order: the inverse of an array of group numbers from 0."""
    if not len(group):
        return []
    return np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
