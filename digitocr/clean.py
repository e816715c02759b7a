"""2  page -> ink: background, noise, turn, skew, ink or paper, ruled lines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.erase import erase_rules
from digitocr.paper import flatten, noise, reduce, to_grey
from digitocr.recipe import CleanOptions
from digitocr.rules import find_rules
from digitocr.skew import measure_skew
from digitocr.threshold import binarise, character_height, drop_specks, stroke_width
from digitocr.turn import measure_turn, turned
from digitocr.types import Ink, Page

__all__ = ["clean"]

_MOST_ENLARGED = 2.5
_BROAD_STROKE = 6.0  # pixels; a stroke need not be broader
_SKETCH_SIDE = 1100  # pixels; of the small picture that turn and skew are measured on
_REACH = 120  # pixels at working scale; the broadest ink that is no part of the paper
_COARSE_GRAIN = 3.5  # grey levels; JPEG and paper stay below it


def clean(page: Page, options: CleanOptions) -> Ink:
    """Reduce a page to its ink: upright, straight, at working scale, rules apart.

    page: as loaded; not modified. Returns the ink with its map back to the page. A blank
    page gives an empty mask. Raises nothing of its own.
    """
    scale = _working_scale(page, options)
    grey, shrink = _shrink(to_grey(page.pixels), scale)
    flat = flatten(grey, reach=round(_REACH * max(1.0, shrink / scale)))
    sketch, reduction = _sketch(flat)
    if page.dpi is None:
        strokes = stroke_width(sketch) * reduction / shrink
        scale = _scale_of_strokes(scale, strokes, options.min_side / max(page.pixels.shape))
    skew = measure_skew(sketch, options.max_skew) if options.deskew else 0.0
    rotation = measure_turn(_level(sketch, skew)) if options.turn else 0
    height, width = page.pixels.shape[:2]
    if rotation in (90, 270):
        height, width = width, height
    straight, to_page = _straighten(turned(flat, rotation), shrink, scale, skew, (width, height))
    straight, grain = _smooth(straight)
    mask = binarise(straight, grain)
    lines = np.zeros_like(mask)
    if options.remove_lines and mask.any():
        characters = character_height(sketch) * reduction * scale / shrink
        mask, lines = erase_rules(mask, find_rules(straight, mask, characters, grain))
    mask = drop_specks(mask)
    return Ink(
        _bleach(straight, mask, lines), mask, lines, to_page, (width, height), rotation, skew
    )


def _working_scale(page: Page, options: CleanOptions) -> float:
    """By how much the page is reduced (below 1) or enlarged (above 1)."""
    longer = max(page.pixels.shape[:2])
    if page.dpi is not None:
        # Never below the least side: a resolution may be claimed wrongly.
        return min(1.0, max(options.working_dpi / page.dpi, options.min_side / longer))
    if longer > options.max_side:
        return options.max_side / longer
    return min(_MOST_ENLARGED, max(1.0, options.min_side / longer))


def _shrink(grey: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.uint8], float]:
    """Reduce by a whole number of pixels, which is fast and exact; the warp does the rest."""
    by = max(1, int(1 / scale))
    return reduce(grey, by), 1.0 / by


def _scale_of_strokes(scale: float, strokes: float, least: float) -> float:
    """The scale, less where the page's strokes are far broader than reading takes.

    Of a picture of unknown resolution only its strokes tell how fine it is. strokes: their
    width in pixels of the page. least: the least scale wanted.
    """
    if strokes == 0:
        return scale
    return min(scale, max(least, _BROAD_STROKE / strokes))


def _sketch(flat: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """A small mask of the page without its grain, and how many times smaller it is."""
    by = max(1, round(max(flat.shape) / _SKETCH_SIDE))
    small = reduce(flat, by)
    if noise(small) > _COARSE_GRAIN:
        small = cv2.GaussianBlur(small, (0, 0), 1.2)
    return binarise(small, noise(small)), by


def _level(sketch: NDArray[np.uint8], skew: float) -> NDArray[np.uint8]:
    """The sketch turned straight about its centre; its corners may be lost."""
    if skew == 0.0:
        return sketch
    height, width = sketch.shape
    about = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0)
    return np.asarray(cv2.warpAffine(sketch, about, (width, height), flags=cv2.INTER_NEAREST))


def _straighten(
    flat: NDArray[np.uint8], shrink: float, scale: float, skew: float, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Scale and rotate in one warp, on a canvas that holds the whole page.

    Returns the picture and the map from its pixel corners to those of the page.
    """
    width, height = size
    angle = np.deg2rad(skew)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    corners = (
        np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64) @ turn.T
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    canvas = np.maximum(1, np.ceil(high - low - 1e-6)).astype(int)
    shift = (canvas - (high - low)) / 2 - low
    to_ink = np.vstack([np.column_stack([turn, shift]), [0, 0, 1]])
    to_page = np.linalg.inv(to_ink)[:2]
    # From the canvas's pixel centres to those of the shrunk page.
    centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    to_flat = np.diag([shrink, shrink, 1.0]) @ np.vstack([to_page, [0, 0, 1]])
    back = np.linalg.inv(centre) @ to_flat @ centre
    if canvas.tolist() == [flat.shape[1], flat.shape[0]] and np.allclose(back, np.eye(3)):
        return flat, to_page
    enlarged = scale / shrink > 1.2
    picture = cv2.warpAffine(
        flat,
        back[:2],
        (int(canvas[0]), int(canvas[1])),
        flags=(cv2.INTER_CUBIC if enlarged else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=255,
    )
    return np.asarray(picture, dtype=np.uint8), to_page


def _bleach(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8], lines: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The grey page with paper wherever there is no ink, nor the soft edge of any."""
    edge = cv2.bitwise_and(cv2.dilate(mask, np.ones((3, 3), np.uint8)), cv2.bitwise_not(lines))
    return np.asarray(cv2.bitwise_or(grey, cv2.bitwise_not(edge | mask)), dtype=np.uint8)


def _smooth(grey: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The page without coarse grain, and the grain that is left.

    The blur is as wide as the strokes stand: a halftone under broad strokes goes, thin
    pens keep their loops. A stroke's width is seen once the grain is blurred away.
    """
    grain = noise(grey)
    if grain < _COARSE_GRAIN:
        return grey, grain
    for sigma in (1.5, 2.5):
        blurred = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), dtype=np.uint8)
        if noise(blurred) < _COARSE_GRAIN:
            break
    sigma = stroke_width(binarise(blurred, noise(blurred))) / 6
    if sigma < 0.5:
        return grey, grain
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), dtype=np.uint8)
    return smooth, noise(smooth)
