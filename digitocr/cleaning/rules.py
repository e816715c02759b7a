"""Where ruled lines run on a straight page.

A rule is a thin dark ridge that goes on for longer than any stroke, with paper on both
sides of it but for what crosses. It is looked for on the grey picture at half scale, and
along its direction in cells of four such pixels: what matters of a cell is how much of it
the ridge covers, so that faint, dotted, broken and slightly wavy rules are still seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.bitplane import (
    Bitplane,
    bitplane_of,
    bitplane_of_transposed,
    counts_of,
    picture_of,
)
from digitocr.cleaning.morphology import (
    both,
    dilated,
    inverse,
    over,
    reduced,
    tophat,
    transposed,
)
from digitocr.cleaning.sides import find_sides
from digitocr.components import find_components, packed, spread

__all__ = ["HALF", "Rules", "find_rules"]

Mask = NDArray[np.uint8]

HALF = 2  # rules are looked for on a picture this many times smaller; pixels below are its
_CELL = 4  # pixels along a rule that are looked at as one
_BROAD = 9  # what is broader than this does not stand out as a ridge
_THICKEST = 4  # a rule's thickness at most
_FAINT = 14.0  # grey levels by which a rule stands out at least
_FAINT_SHARE = 0.16  # and by which share of the ink's depth
_SOLID = 0.75  # mean share of its cells that a solid rule covers
_SHARES = np.rint(np.arange(_CELL + 1) * (255.0 / _CELL))  # of a cell, in 255ths, by its pixels
_TOUCHED = 0.3  # share of a rule's length along which ink may touch it on one side
_SLOPE = 0.02  # by which a rule may leave the level, for what the deskew left
_SPREAD = 3.0  # deviation of a rule's pixels from the line through them


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules at half scale, one picture a direction, 255 where a rule runs.

    vertical is transposed: its rules run along its rows as those of horizontal do.
    """

    horizontal: Mask
    vertical: Mask


@dataclass(frozen=True, slots=True)
class _View:
    """The page along one direction. ridges: where it stands out of its column by the level."""

    ridges: Bitplane
    ink: Bitplane


def find_rules(grey: Mask, mask: Mask, height: float, noise: float) -> Rules:
    """Where ruled lines run.

    grey: uint8 (h, w), flattened, straight. mask: uint8 (h, w), its ink. height: of the
    page's characters, in pixels. noise: grey levels.
    """
    dark = inverse(reduced(grey, HALF))
    if min(dark.shape) < _CELL or min(grey.shape) < HALF:
        return Rules(np.zeros_like(dark), np.zeros_like(dark.T))
    ink = _every_other(mask)
    level = max(_FAINT, 3 * noise, _FAINT_SHARE * _depth(dark, ink))
    along = _View(_ridges(dark, level), bitplane_of(ink))
    across = _View(_ridges(transposed(dark), level), bitplane_of_transposed(ink))
    long = max(36, round(3 * height / HALF))
    horizontal = _long_rules(along, long)
    vertical = _long_rules(across, 2 * long)
    # The sides of a cell are short, as strokes are: they count where they meet a rule.
    short = max(12, round(1.2 * height / HALF))
    aside = bitplane_of_transposed(picture_of(horizontal))
    vertical |= find_sides(across.ridges, across.ink, short, aside)
    upright = picture_of(vertical)
    horizontal |= find_sides(along.ridges, along.ink, short, bitplane_of_transposed(upright))
    return Rules(picture_of(horizontal), upright)


def _every_other(mask: Mask) -> Mask:
    """The first pixel of each two by two, (h // 2, w // 2)."""
    height, width = mask.shape
    pairs = mask[: height // 2 * 2 : 2, : width // 2 * 2].view("<u2")
    return pairs.astype(np.uint8)  # their low bytes, which is four times as quick as a stride


def _depth(dark: Mask, ink: Mask) -> float:
    """How dark the ink is on the mean. OpenCV's mean of what a mask chooses is slow."""
    return float(cv2.sumElems(both(dark, ink))[0]) / max(1, cv2.countNonZero(ink))


def _ridges(dark: Mask, level: float) -> Bitplane:
    """Ridges by a top-hat across the rows."""
    return bitplane_of(over(tophat(dark, 1, _BROAD), level))


def _long_rules(view: _View, length: int) -> Bitplane:
    """Rules of at least ``length`` that stand out at each pixel."""
    # A stem of a letter is high where it crosses a line, the line itself is not.
    stems = view.ridges.opened(1, _THICKEST + 1)
    cells = _rules(view.ridges - stems, stems, view.ink, length // _CELL)
    # Cells are spread to pixels again, and cut to where the ridge begins and ends.
    pixels = cells.dilated(3, 1).repeated(_CELL, view.ridges.words.shape[1])
    return pixels & view.ridges.closed(2 * _CELL + 1, 1)


def _rules(lines: Bitplane, stems: Bitplane, ink: Bitplane, length: int) -> Bitplane:
    """The cells of rules among those that lines cover. length: in cells."""
    one, two, three, four = parts = lines.parted(_CELL)
    half = (one & two) | (three & four) | ((one | two) & (three | four))  # as dotted rules cover
    runs = _of_length(half.dilated(1, 3), max(2, length))
    if not runs.any():
        return runs
    cover = dilated(counts_of(parts), 1, 3)
    crossing, inked = counts_of(stems.parted(_CELL)), counts_of(ink.parted(_CELL))
    rules = bitplane_of(_alone(picture_of(runs), cover, crossing, inked))
    # A rule under words is found in pieces: what is solid and in line with it is of it.
    whole = one & two & three & four
    pieces = _of_length(whole.dilated(1, 3), max(2, length // 3))
    bridges = rules.dilated(8 * length, 1).eroded(8 * length, 1).dilated(2 * length + 1, 1)
    return (rules | (pieces & bridges)) & half.closed(3, 1)


def _of_length(cells: Bitplane, length: int) -> Bitplane:
    """Those in runs of at least ``length``, an even one moved to the right by a cell."""
    return cells.eroded(length, 1).dilated(length, 1)


def _alone(runs: Mask, cover: Mask, stems: Mask, ink: Mask) -> Mask:
    """The thin straight runs that few strokes cross or touch on either side, 0 or 255.

    A line of text has strokes on one side of it at least, for most of its length. All are
    in cells, runs a row thicker to both sides than the rule, the others by pixels set of four.
    """
    parts = find_components(packed(runs))
    count, width, area = len(parts.areas), parts.widths, parts.areas
    row, start, end, part = parts.runs
    run, x = spread(start, end)
    at, label = row[run] * runs.shape[1] + x, part[run]
    covered = np.bincount(label, _SHARES[cover.ravel()[at]], count) / (255.0 * area)
    crossed = np.bincount(label, _SHARES[stems.ravel()[at]], count) / (255.0 * area)
    alone = (covered >= _SOLID) | (crossed < 0.05)
    alone &= area / width - 2 <= _THICKEST
    alone &= _straight(at, label, runs.shape[1], count)
    margin = np.zeros(runs.shape[1], np.uint8)
    padded = np.concatenate([margin, ink.ravel(), margin])
    for step in (runs.shape[1], -runs.shape[1]):
        beyond = np.clip(at + step, 0, runs.size - 1)
        edge = runs.ravel()[beyond] == 0
        touching = _SHARES[padded[at + runs.shape[1] + step][edge]]
        touched = np.bincount(label[edge], touching, count) / 255.0
        alone &= touched <= _TOUCHED * width
    found = np.zeros_like(runs)
    found.ravel()[at[alone[label]]] = 255
    return found


def _straight(
    at: NDArray[np.intp], label: NDArray[np.integer], columns: int, count: int
) -> NDArray[np.bool_]:
    """(count,) whether the cells of each run lie along one level line, by least squares."""
    y, x = np.divmod(at, columns)
    y, x = y.astype(np.float64), x * float(_CELL)
    area = np.maximum(np.bincount(label, minlength=count), 1)
    y -= (np.bincount(label, y, count) / area)[label]
    x -= (np.bincount(label, x, count) / area)[label]
    run = np.bincount(label, x * x, count)
    slope = np.bincount(label, x * y, count) / np.maximum(run, 1.0)
    rest = np.bincount(label, (y - slope[label] * x) ** 2, count) / area
    return np.asarray((np.abs(slope) <= _SLOPE) & (rest <= _SPREAD**2))
