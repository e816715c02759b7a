"""2  page -> ink: background, noise, turn, skew, ink or paper, ruled lines."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.cutouts import pen_ink, without_level_rules
from digitocr.cleaning.erase import erase_rules
from digitocr.cleaning.frames import erase_turned_frames
from digitocr.cleaning.morphology import blurred, dilated, reduced, without
from digitocr.cleaning.paper import flatten, noise, to_grey
from digitocr.cleaning.rules import find_rules
from digitocr.cleaning.skew import measure_skew
from digitocr.cleaning.squares import squares_of
from digitocr.cleaning.straighten import Pose, straighten
from digitocr.cleaning.threshold import binarise, drop_specks, stroke_width
from digitocr.cleaning.trim import trimmed
from digitocr.cleaning.turn import measure_turn
from digitocr.components import boxes_and_areas, runs_of
from digitocr.recipe import CleanOptions
from digitocr.types import Ink, Page

__all__ = ["clean"]

Mask = NDArray[np.uint8]

_MOST_ENLARGED = 2.5
_REACH = 120  # pixels at working scale; the broadest ink that is no part of the paper
_OF_FIELD = 0.35  # of the height of a cut-out field; no stroke is as broad
_FINE_CELL = 3  # pixels; of a cut-out field's paper
_BROAD_STROKE = 6.0  # pixels; a stroke need not be broader
_SKETCH_SIDE = 1000  # pixels, about; of the small picture that turn and skew are measured on
_COARSE_GRAIN = 3.5  # grey levels; JPEG and paper stay below it


def clean(page: Page, options: CleanOptions) -> Ink:
    """Reduce a page to its ink: upright, straight, at working scale, rules apart.

    page: as loaded; not modified. Returns the ink with its map back to the page. A blank
    page gives an empty mask. Raises nothing of its own.
    """
    scale = _working_scale(page, options)
    grey, reduction = _reduce(to_grey(page.pixels), scale)
    if options.cut_out:  # small, and shades that are broader than any stroke are paper
        flat = flatten(grey, round(_OF_FIELD * len(grey)), _FINE_CELL)
    else:
        flat = flatten(grey, round(_REACH * max(1.0, reduction[0] / scale)))
    corner = (0, 0)
    if not options.cut_out:
        flat, corner = trimmed(flat)
    sketch = _sketch(flat, reduction[0])
    if page.dpi is None:
        least = options.min_side / max(page.pixels.shape[:2])
        scale = _scale_of_strokes(scale, sketch.strokes, least)
    pose = _pose(page, sketch, scale, options)
    straight, to_page = straighten(flat, reduction, corner, pose)
    straight, grain = _smooth(straight)
    mask = pen_ink(straight) if options.cut_out else binarise(straight, grain)
    lines = np.zeros_like(mask)
    if options.remove_lines and mask.any() and options.cut_out:
        mask, lines = without_level_rules(mask)
    elif options.remove_lines and mask.any():
        rules = find_rules(straight, mask, sketch.characters * scale, grain)
        mask, lines = erase_rules(mask, straight, rules)
    squares, ruled = squares_of(mask), mask
    if options.remove_lines and not options.cut_out:
        mask, lines = erase_turned_frames(mask, straight, lines, squares)
    mask = drop_specks(mask, squares if mask is ruled else squares_of(mask))
    bare = _bleach(straight, mask, lines)
    return Ink(bare, mask, lines, to_page, pose.upright_size, pose.rotation, pose.skew)


def _working_scale(page: Page, options: CleanOptions) -> float:
    """By how much the page is reduced (below 1) or enlarged (above 1)."""
    longer = max(page.pixels.shape[:2])
    if page.dpi is not None:
        # Never below the least side: a resolution may be claimed wrongly.
        return float(min(1.0, max(options.working_dpi / page.dpi, options.min_side / longer)))
    if longer > options.max_side:
        return float(options.max_side / longer)
    return float(min(_MOST_ENLARGED, max(1.0, options.min_side / longer)))


def _scale_of_strokes(scale: float, strokes: float, least: float) -> float:
    """The scale, less where the page's strokes are far broader than reading takes.

    Of a picture of unknown resolution only its strokes tell how fine it is. strokes: their
    width in pixels of the page. least: the least scale wanted.
    """
    if strokes == 0:
        return scale
    return min(scale, max(least, _BROAD_STROKE / strokes))


def _reduce(grey: Mask, scale: float) -> tuple[Mask, tuple[float, float]]:
    """The page at no more than ``scale`` needs, and its scale along x and y.

    By a whole number first, which takes all pixels into account; what is left is less than
    two, so that linear interpolation misses none.
    """
    by = max(1, int(1 / scale))
    small = reduced(grey, by)
    rest = scale * by
    if rest > 0.95:
        return small, (1 / by, 1 / by)
    height, width = small.shape
    size = max(1, round(width * rest)), max(1, round(height * rest))
    resized = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8), (size[0] / width / by, size[1] / height / by)


@dataclass(frozen=True, slots=True)
class _Sketch:
    """A small mask of the page, and what it tells in pixels of the page as loaded.

    scale: pixels of the mask for one of the page. strokes: the width of the pen's strokes.
    characters: the size of characters, whichever way is up. 0.0 where there are none.
    """

    mask: Mask
    scale: float
    strokes: float
    characters: float


def _sketch(flat: Mask, reduction: float) -> _Sketch:
    """The flattened page without its grain, at a scale that is enough for its lines."""
    by = 1
    while max(flat.shape) > 2**0.5 * by * _SKETCH_SIDE:
        by *= 2  # halves are the cheapest to take
    small = reduced(flat, by)
    grain = noise(small)
    if grain > _COARSE_GRAIN:
        small = blurred(small, 0.8)
        grain = noise(small)
    mask = binarise(small, grain)
    scale = reduction / by
    return _Sketch(mask, scale, stroke_width(mask) / scale, _character_size(mask) / scale)


def _character_size(mask: Mask) -> float:
    """The median of the longer sides of components, 0.0 if there are none."""
    boxes, _ = boxes_and_areas(runs_of(mask))
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    sides = sides[(sides >= 4) & (sides < max(mask.shape) / 10)]
    return float(np.median(sides)) if len(sides) else 0.0


def _pose(page: Page, sketch: _Sketch, scale: float, options: CleanOptions) -> Pose:
    """How the page lies."""
    skew = measure_skew(sketch.mask, options.max_skew) if options.deskew else 0.0
    rotation = 0
    if options.turn:
        rotation = measure_turn(_level(sketch.mask, skew), sketch.characters * sketch.scale)
    height, width = page.pixels.shape[:2]
    return Pose((width, height), rotation, skew, scale)


def _level(sketch: Mask, skew: float) -> Mask:
    """The sketch turned straight about its centre; its corners may be lost."""
    if skew == 0.0:
        return sketch
    height, width = sketch.shape
    about = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0)
    level = cv2.warpAffine(sketch, about, (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(level, dtype=np.uint8)


def _smooth(grey: Mask) -> tuple[Mask, float]:
    """The page without coarse grain, and the grain that is left.

    The blur is as wide as the strokes stand: a halftone under broad strokes goes, thin
    pens keep their loops. A stroke's width is seen once the grain is blurred away.
    """
    grain = noise(grey)
    if grain < _COARSE_GRAIN:
        return grey, grain
    for sigma in (1.5, 2.5):
        even = blurred(grey, sigma)
        if noise(even) < _COARSE_GRAIN:
            break
    left = noise(even)
    sigma = stroke_width(binarise(even, left)) / 6
    if sigma == 0:
        return even, left
    smooth = grey
    for share in (0.5, 0.75, 1.0):
        if grain >= _COARSE_GRAIN and share * sigma >= 0.4:
            smooth = blurred(grey, share * sigma)
            grain = noise(smooth)
    return smooth, grain


def _bleach(grey: Mask, mask: Mask, lines: Mask) -> Mask:
    """The grey page with paper wherever there is no ink, nor the soft edge of any."""
    edge = without(dilated(mask, 3, 3), lines)
    cv2.bitwise_or(edge, mask, edge)
    cv2.bitwise_not(edge, edge)
    cv2.bitwise_or(grey, edge, edge)
    return edge
