"""The pieces of ink of all fields of a page, as one structure of arrays.

A piece is a component, or the part of one between two seams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitocr.components import Components, boxes_of, spread
from digitocr.segmenting.cuts import Seams

__all__ = ["Pieces", "cut_apart"]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of ink.

    component: intp (P,), the index of the one that each is, or is a part of.
    boxes: int32 (P, 4), in pixels.
    whole: bool (P,), which are uncut components.
    runs: int32 (4, N), row, start, end and piece of each run of their ink along the rows.
    """

    component: NDArray[np.intp]
    boxes: NDArray[np.int32]
    whole: NDArray[np.bool_]
    runs: NDArray[np.int32]

    def take(self, order: NDArray[np.intp]) -> Pieces:
        """Some of them, in another order."""
        number = np.full(len(self.boxes), -1, np.int32)
        number[order] = np.arange(len(order))
        piece = number[self.runs[3]]
        kept = np.flatnonzero(piece >= 0)
        runs = self.runs.take(kept, axis=1)
        runs[3] = piece[kept]
        return Pieces(self.component[order], self.boxes[order], self.whole[order], runs)


def cut_apart(parts: Components, seams: Seams) -> Pieces:
    """The pieces of components, of each from left to right.

    seams: of those that are cut, each by its index, with columns that count from its left edge.
    """
    cut = np.zeros(len(parts.boxes), bool)
    cut[list(seams)] = True
    through = cut[parts.runs[3]]
    pixels = _by_pixels(parts.runs.compress(through, axis=1))
    runs = np.concatenate([parts.runs.compress(~through, axis=1), pixels], axis=1)
    beyond = np.zeros(runs.shape[1], np.int32)  # how many seams are left of it
    beyond[-pixels.shape[1] or len(beyond) :] = _seams_passed(parts, pixels, seams)
    sides = beyond.max(initial=0) + np.int32(1)
    key = runs[3] * sides + beyond
    there = np.bincount(key, minlength=sides * len(cut)) > 0
    runs[3] = (np.cumsum(there, dtype=np.int32) - 1)[key]
    part = np.flatnonzero(there) // sides
    return Pieces(part, boxes_of(runs, len(part)), ~cut[part], runs)


def _by_pixels(runs: NDArray[np.int32]) -> NDArray[np.int32]:
    """The runs cut into runs of one pixel each."""
    run, column = spread(*runs[1:3])
    return np.stack([runs[0][run], column, column + 1, runs[3][run]]).astype(np.int32)


def _seams_passed(parts: Components, pixels: NDArray[np.int32], seams: Seams) -> NDArray[np.int32]:
    """int32 (N,): how many of its component's seams each pixel lies right of, or on.

    pixels: int32 (4, N), as runs of one pixel.
    """
    first = np.zeros(len(parts.boxes), np.intp)  # row of the table below, of each component
    most = max(map(len, seams.values()), default=0)
    table = np.full(
        (most, sum(own.shape[1] for own in seams.values())), np.iinfo(np.int32).max, np.int32
    )
    stop = 0
    for member, own in seams.items():
        left, top, _, _ = parts.boxes[member].tolist()
        first[member] = stop - top
        table[: len(own), stop : stop + own.shape[1]] = own + left
        stop += own.shape[1]
    row, column, _, component = pixels
    at = first[component] + row
    passed = np.zeros(len(at), np.int32)
    for seam in table:
        passed += column >= seam[at]
    return passed
