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

from digitocr.components import label_components

__all__ = ["HALF", "Rules", "find_rules"]

Mask = NDArray[np.uint8]

HALF = 2  # rules are looked for on a picture this many times smaller; pixels below are its
_CELL = 4  # pixels along a rule that are looked at as one
_BROAD = 9  # what is broader than this does not stand out as a ridge
_THICKEST = 4  # a rule's thickness at most
_FAINT = 14.0  # grey levels by which a rule stands out at least
_FAINT_SHARE = 0.16  # and by which share of the ink's depth
_COVERED = 0.4  # share of a cell that a rule, if dotted, covers
_SOLID = 0.75  # mean share that a solid one covers
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
    """The page along one direction. ridge: how far each pixel stands out of its column."""

    ridge: Mask
    ink: Mask


def find_rules(grey: Mask, mask: Mask, height: float, noise: float) -> Rules:
    """Where ruled lines run.

    grey: uint8 (h, w), flattened, straight. mask: uint8 (h, w), its ink. height: of the
    page's characters, in pixels. noise: grey levels.
    """
    rows, columns = (side // HALF * HALF for side in grey.shape)
    size = (columns // HALF, rows // HALF)
    if min(size) < _CELL:
        return Rules(np.zeros(size[::-1], np.uint8), np.zeros(size, np.uint8))
    dark = cv2.resize(grey[:rows, :columns], size, interpolation=cv2.INTER_AREA)
    dark, ink = cv2.bitwise_not(dark), mask[:rows:HALF, :columns:HALF].copy()
    level = max(_FAINT, 3 * noise, _FAINT_SHARE * float(cv2.mean(dark, mask=ink)[0]))
    along, across = _view(dark, ink), _view(cv2.transpose(dark), cv2.transpose(ink))
    long = max(36, round(3 * height / HALF))
    horizontal = _long_rules(along, level, long)
    vertical = _long_rules(across, level, 2 * long)
    # The sides of a cell are short, as strokes are: they count where both ends meet a rule.
    short = max(12, round(1.2 * height / HALF))
    vertical |= _sides(across, level, short, cv2.transpose(horizontal))
    horizontal |= _sides(along, level, short, cv2.transpose(vertical))
    return Rules(horizontal, vertical)


def _view(dark: Mask, ink: Mask) -> _View:
    """Ridges by a top-hat across the rows."""
    return _View(cv2.morphologyEx(dark, cv2.MORPH_TOPHAT, np.ones((_BROAD, 1), np.uint8)), ink)


def _over(ridge: Mask, level: float) -> Mask:
    return np.asarray(cv2.compare(ridge, level, cv2.CMP_GT), dtype=np.uint8)


def _cells(picture: Mask) -> Mask:
    """The mean of every cell: (h, w) to (h, w // 4)."""
    width = picture.shape[1] // _CELL
    whole = picture[:, : width * _CELL]
    size = (width, picture.shape[0])
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _long_rules(view: _View, level: float, length: int) -> Mask:
    """Rules of at least ``length`` that stand out by ``level`` at each pixel."""
    ridges = _over(view.ridge, level)
    # A stem of a letter is high where it crosses a line, the line itself is not.
    stems = cv2.morphologyEx(ridges, cv2.MORPH_OPEN, np.ones((_THICKEST + 1, 1), np.uint8))
    cover = _cells(cv2.subtract(ridges, stems))
    rules = _rules(cover, _cells(stems), _cells(view.ink), length // _CELL)
    return _pixels(rules, ridges)


def _pixels(cells: Mask, ridges: Mask) -> Mask:
    """Cells spread to pixels again, and cut to where the ridge begins and ends."""
    wide = np.zeros_like(ridges)
    ends = cv2.dilate(cells, np.ones((1, 3), np.uint8))
    wide[:, : cells.shape[1] * _CELL] = np.repeat(ends, _CELL, axis=1)
    whole = cv2.morphologyEx(ridges, cv2.MORPH_CLOSE, np.ones((1, 2 * _CELL + 1), np.uint8))
    return cv2.bitwise_and(wide, whole)


def _rules(cover: Mask, stems: Mask, ink: Mask, length: int) -> Mask:
    """Rules among the covered cells. length: in cells."""
    there = _over(cover, 255 * _COVERED)
    wavy = cv2.dilate(there, np.ones((3, 1), np.uint8))
    runs = cv2.morphologyEx(wavy, cv2.MORPH_OPEN, np.ones((1, max(2, length)), np.uint8))
    if not runs.any():
        return runs
    rules = _alone(runs, cv2.dilate(cover, np.ones((3, 1), np.uint8)), stems, ink)
    # A rule under words is found in pieces: what is solid and in line with it is of it.
    solid = cv2.dilate(_over(cover, 255 * _SOLID), np.ones((3, 1), np.uint8))
    pieces = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((1, max(2, length // 3)), np.uint8))
    bridges = cv2.morphologyEx(rules, cv2.MORPH_CLOSE, np.ones((1, 8 * length), np.uint8))
    bridges = cv2.dilate(bridges, np.ones((1, 2 * length + 1), np.uint8))
    rules |= pieces & bridges
    return rules & cv2.morphologyEx(there, cv2.MORPH_CLOSE, np.ones((1, 3), np.uint8))


def _alone(runs: Mask, cover: Mask, stems: Mask, ink: Mask) -> Mask:
    """The thin straight runs that few strokes cross or touch on either side.

    A line of text has strokes on one side of it at least, for most of its length. All are
    in cells, runs a row thicker to both sides than the rule.
    """
    labels, stats = label_components(runs)
    count = len(stats)
    width, area = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_AREA]
    at = np.flatnonzero(runs)
    label = labels.ravel()[at]
    covered = np.bincount(label, cover.ravel()[at], count) / (255.0 * area)
    crossed = np.bincount(label, stems.ravel()[at], count) / (255.0 * area)
    alone = (covered >= _SOLID) | (crossed < 0.05)
    alone &= area / width - 2 <= _THICKEST
    alone &= _straight(at, label, runs.shape[1], count)
    padded = np.pad(ink, ((1, 1), (0, 0))).ravel()
    for step in (runs.shape[1], -runs.shape[1]):
        beyond = np.clip(at + step, 0, runs.size - 1)
        edge = runs.ravel()[beyond] == 0
        touching = padded[at + runs.shape[1] + step][edge]
        touched = np.bincount(label[edge], touching, count) / 255.0
        alone &= touched <= _TOUCHED * width
    alone[0] = False
    return (alone[labels] * np.uint8(255)).astype(np.uint8)


def _straight(
    at: NDArray[np.intp], label: NDArray[np.int32], columns: int, count: int
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


def _sides(view: _View, level: float, length: int, across: Mask) -> Mask:
    """Ridges of at least ``length`` both of whose ends meet a rule of the other direction.

    Strokes may lean on them for longer than on a long rule. Both pictures have the sides
    running along their rows.
    """
    if not across.any():
        return np.zeros_like(across)
    near = cv2.dilate(across, np.ones((3, 5), np.uint8))
    between = cv2.morphologyEx(near, cv2.MORPH_CLOSE, np.ones((1, 8 * length), np.uint8))
    ridges = _over(view.ridge, level) & between
    joined = cv2.morphologyEx(ridges, cv2.MORPH_CLOSE, np.ones((1, 3), np.uint8))
    wavy = cv2.dilate(joined, np.ones((3, 1), np.uint8))
    wavy = cv2.morphologyEx(wavy, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    sides = np.zeros_like(across)
    for row, start, end in _stretches(wavy):
        meets = near[row, start : start + 3].any() and near[row, end - 3 : end].any()
        if meets and _stands_off(view.ink, row, start, end):
            sides[row, start:end] = 255
    return cv2.bitwise_and(sides, cv2.dilate(joined, np.ones((1, 3), np.uint8)))


def _stretches(runs: Mask) -> list[tuple[int, int, int]]:
    """Row, start and end of every run along the rows."""
    padded = np.zeros((runs.shape[0], runs.shape[1] + 2), bool)
    padded[:, 1:-1] = runs > 0
    turns = np.flatnonzero(padded.ravel()[1:] != padded.ravel()[:-1])
    rows, starts = np.divmod(turns[0::2], padded.shape[1])
    ends = turns[1::2] % padded.shape[1]
    return list(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True))


def _stands_off(ink: Mask, row: int, start: int, end: int) -> bool:
    """Whether ink lies on neither flank of a run for half of its length."""
    flanks = (max(0, row - _THICKEST), min(ink.shape[0] - 1, row + _THICKEST))
    most = max(int(np.count_nonzero(ink[flank, start:end])) for flank in flanks)
    return most < 1.5 * _TOUCHED * (end - start)
