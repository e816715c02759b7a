"""Ruled lines: where they run on a straight page, and ink without them.

A rule is a thin dark ridge that goes on for longer than any stroke, with paper on both
sides of it but for what crosses. It is looked for on the grey picture at half scale, where
faint, dotted, broken and slightly wavy lines are still seen, and taken out of the mask at
full scale. Columns in which a stroke passes through a line keep their ink.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Rules", "find_rules", "remove_rules"]

Mask = NDArray[np.uint8]

_HALF = 2  # rules are looked for on a picture this many times smaller; pixels below are its
_BROAD = 9  # what is broader than this does not stand out as a ridge
_THICKEST = 4  # a rule's thickness at most
_GAP = 5  # shorter breaks are part of a dotted, broken or crossed rule
_FAINT = 14.0  # grey levels by which a faint rule stands out at least
_PLAIN = 0.16  # share of the ink's depth by which a plain one does
_SOLID = 0.75  # share of a rule's length that is there and that nothing crosses
_DOTTED = 0.4  # the same for dotted rules, which nothing at all may cross
_TOUCHED = 0.3  # share of a rule's length along which strokes may touch it on one side


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules at half scale, one picture a direction, 255 where a rule runs.

    vertical is transposed: its rules run along its rows as those of horizontal do.
    """

    horizontal: Mask
    vertical: Mask


def find_rules(grey: Mask, mask: Mask, height: float, noise: float) -> Rules:
    """Where ruled lines run.

    grey: uint8 (h, w), flattened, straight. mask: uint8 (h, w), its ink. height: of the
    page's characters, in pixels. noise: grey levels.
    """
    size = (max(1, grey.shape[1] // _HALF), max(1, grey.shape[0] // _HALF))
    dark = cv2.bitwise_not(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    ink = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    faint = max(_FAINT, 3.0 * noise)
    plain = max(faint, _PLAIN * _depth(dark, ink))
    along, across = _view(dark, ink), _view(cv2.transpose(dark), cv2.transpose(ink))
    long = max(24, round(2.2 * height / _HALF))
    horizontal = _runs(along, plain, long, _GAP) | _runs(along, faint, 4 * long, _GAP)
    vertical = _runs(across, plain, 3 * long, _GAP) | _runs(across, faint, 4 * long, _GAP)
    # The sides of a cell are short, as strokes are: they count where both ends meet a rule.
    short = max(12, round(1.2 * height / _HALF))
    vertical |= _meeting(_runs(across, faint, short, 3), cv2.transpose(horizontal))
    horizontal |= _meeting(_runs(along, faint, short, 3), cv2.transpose(vertical))
    return Rules(horizontal, vertical)


def _depth(dark: Mask, ink: Mask) -> float:
    """The mean darkness of the ink."""
    return float(cv2.mean(dark, mask=ink)[0])


@dataclass(frozen=True, slots=True)
class _View:
    """The page along one direction. ridge: how far each pixel stands out of its column."""

    ridge: Mask
    ink: Mask


def _view(dark: Mask, ink: Mask) -> _View:
    """Ridges by a top-hat across the rows."""
    return _View(cv2.morphologyEx(dark, cv2.MORPH_TOPHAT, np.ones((_BROAD, 1), np.uint8)), ink)


def _runs(view: _View, faintest: float, length: int, gap: int) -> Mask:
    """Thin ridges that run along the rows, give or take a row, for at least ``length``."""
    ridges = np.asarray(cv2.compare(view.ridge, faintest, cv2.CMP_GT), dtype=np.uint8)
    # A stem of a letter is high where it crosses a line, the line itself is not.
    stems = cv2.morphologyEx(ridges, cv2.MORPH_OPEN, np.ones((_THICKEST + 1, 1), np.uint8))
    thin = cv2.bitwise_and(ridges, cv2.bitwise_not(stems))
    joined = cv2.morphologyEx(thin, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    wavy = cv2.dilate(joined, np.ones((3, 1), np.uint8))
    wavy = cv2.morphologyEx(wavy, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    runs = cv2.bitwise_and(cv2.erode(wavy, np.ones((3, 1), np.uint8)), joined)
    return _alone(runs, thin, stems | view.ink)


def _alone(runs: Mask, thin: Mask, ink: Mask) -> Mask:
    """The runs that few strokes cross or touch on either side, as no line of text is."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    if count == 1:
        return runs
    area, width = stats[:, 4], stats[:, 2]
    y, x = np.nonzero(runs)
    label = labels[y, x]
    solid = thin[y, x] > 0
    crossed = np.bincount(label[~solid & (ink[y, x] > 0)], minlength=count)
    empty = np.bincount(label[~solid & (ink[y, x] == 0)], minlength=count)
    there = area - crossed - empty
    alone = (there >= _SOLID * area) | ((there >= _DOTTED * area) & (crossed < 0.05 * area))
    alone &= area <= _THICKEST * width
    for step in (1, -1):
        # Just outside the run, a step beyond its blurred edge.
        before = np.clip(y - step, 0, runs.shape[0] - 1)
        beyond = np.clip(y - 2 * step, 0, runs.shape[0] - 1)
        edge = solid & (runs[before, x] == 0)
        touched = np.bincount(label[edge & (ink[beyond, x] > 0)], minlength=count)
        alone &= touched <= _TOUCHED * width
    alone[0] = False
    return (alone[labels] * np.uint8(255)).astype(np.uint8)


def _meeting(sides: Mask, across: Mask) -> Mask:
    """The runs of ``sides`` both of whose ends meet a rule of the other direction.

    Both pictures have the sides running along their rows.
    """
    near = cv2.dilate(across, np.ones((3, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(sides, connectivity=8)
    keep = np.zeros(count, np.uint8)
    for k in range(1, count):
        left, top, width, height = stats[k, :4]
        rows = slice(top, top + height)
        ends = near[rows, left : left + 3], near[rows, left + width - 3 : left + width]
        keep[k] = 255 if all(end.any() for end in ends) else 0
    return np.asarray(keep[labels], dtype=np.uint8)


def remove_rules(mask: Mask, rules: Rules) -> tuple[Mask, Mask]:
    """Ink without rules, and the rules as a picture of the mask's size.

    mask: uint8 (h, w), 255 is ink. Returns two uint8 (h, w) pictures, 0 or 255.
    """
    bare = _erase(mask, rules.horizontal)
    upright = _erase(cv2.transpose(bare), rules.vertical)
    size = (mask.shape[1], mask.shape[0])
    half = rules.horizontal | cv2.transpose(rules.vertical)
    lines = cv2.resize(half, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.transpose(upright)), np.asarray(lines)


def _erase(mask: Mask, runs: Mask) -> Mask:
    """The mask without the ink of rules along its rows."""
    columns = _columns(runs, mask.shape)
    if not len(columns.x):
        return mask
    pad = 4
    tall = int(columns.height.max()) + 2 * pad
    offsets = np.arange(tall)[None, :]
    rows = np.clip(columns.top[:, None] - pad + offsets, 0, mask.shape[0] - 1)
    window = mask[rows, columns.x[:, None]] > 0
    band = (offsets >= pad - 1) & (offsets < pad + 1 + columns.height[:, None])
    above = (window & (offsets < pad - 1) & (offsets >= pad - 3)).any(axis=1)
    low = pad + 1 + columns.height[:, None]
    below = (window & (offsets >= low) & (offsets < low + 2)).any(axis=1)
    reach = 3
    kept = (above & _near(below, columns.x, reach)) | (below & _near(above, columns.x, reach))
    gone = band & ~kept[:, None]
    bare = mask.copy()
    bare[rows[gone], np.broadcast_to(columns.x[:, None], rows.shape)[gone]] = 0
    return bare


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where rules lie at full scale, column by column, each rule's from left to right."""

    x: NDArray[np.intp]
    top: NDArray[np.intp]
    height: NDArray[np.intp]


def _columns(runs: Mask, shape: tuple[int, ...]) -> _Columns:
    """Every column's stretch of every rule, scaled to full size."""
    closed = cv2.copyMakeBorder(runs, 1, 1, 0, 0, cv2.BORDER_CONSTANT, value=0).T
    x, top = np.nonzero((closed[:, 1:] > 0) & (closed[:, :-1] == 0))
    _, bottom = np.nonzero((closed[:, 1:] == 0) & (closed[:, :-1] > 0))
    order = np.lexsort((x, top // 4))
    x, top, bottom = x[order], top[order], bottom[order]
    x = np.repeat(x * _HALF, 2) + np.tile([0, 1], len(x))
    top, bottom = np.repeat(top * _HALF, 2), np.repeat(bottom * _HALF, 2)
    inside = (x < shape[1]) & (top < shape[0])
    return _Columns(x[inside], top[inside], (bottom - top)[inside])


def _near(flags: NDArray[np.bool_], x: NDArray[np.intp], reach: int) -> NDArray[np.bool_]:
    """Where a flag is set within ``reach`` columns to either side."""
    wide = flags.copy()
    for step in range(1, reach + 1):
        same = x[step:] - x[:-step] == step
        wide[step:] |= flags[:-step] & same
        wide[:-step] |= flags[step:] & same
    return wide
