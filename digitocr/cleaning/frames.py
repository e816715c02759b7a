"""Ruled frames that lie turned on a straight page, as on a slip that was stuck or printed askew.

The rules of such a frame are slanted, so that a search along rows and columns misses them.
A frame is one component, large and nearly empty; turned level by itself its rules are found,
and taken back to where they lie.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.erase import erase_rules
from digitocr.cleaning.morphology import repeated
from digitocr.cleaning.rules import HALF, Rules
from digitocr.components import Components, spread

__all__ = ["erase_turned_frames"]

Mask = NDArray[np.uint8]

_LEAST_WIDTH = 60  # pixels at working scale
_LEAST_HEIGHT = 24
_MOST_FILL = 0.4  # of its box that a frame's ink covers at half scale
_LEAST_TURN = 0.7  # degrees; frames that lie straighter are found along rows and columns
_MOST_TURN = 12.0
_SQUARE = 0.87  # of the narrowest box around it that a frame's hull takes in
_LEAST_RULED = 0.5  # of a frame's ink that is rules; what crosses them is the rest


def erase_turned_frames(
    mask: Mask, grey: Mask, lines: Mask, squares: Components
) -> tuple[Mask, Mask]:
    """Move the rules of turned frames from the ink to the lines.

    mask, lines: uint8 (h, w), 255 for ink and for ruled lines. grey: uint8 (h, w), the page
    they were taken from. squares: as of ``squares_of`` the mask, whose scale is enough to see
    frames. None is modified. Returns mask and lines, the same ones where there are no such frames.
    """
    for part in _frame_like(squares).tolist():
        left, top, right, bottom = squares.boxes[part].tolist()
        small = _painted(squares, part)
        turn, squareness = _lie(small)
        if _LEAST_TURN <= abs(turn) <= _MOST_TURN and squareness >= _SQUARE:
            rows = slice(HALF * top, min(HALF * bottom, len(mask)))
            window = (rows, slice(HALF * left, min(HALF * right, mask.shape[1])))
            ink = mask[window]
            own = repeated(small.astype(np.uint8), HALF, ink.shape).astype(bool) & (ink > 0)
            found = _rules_of(ink, grey[window], own, turn)
            if found is not None:
                mask, lines = mask.copy(), lines.copy()
                mask[window] &= ~found[0]
                lines[window] |= found[1]
    return mask, lines


def _frame_like(parts: Components) -> NDArray[np.intp]:
    """The components, at half scale, that are as large and as empty as a frame."""
    large = (parts.widths >= _LEAST_WIDTH // HALF) & (parts.heights >= _LEAST_HEIGHT // HALF)
    return np.flatnonzero(large & (parts.areas <= _MOST_FILL * parts.widths * parts.heights))


def _painted(parts: Components, part: int) -> NDArray[np.bool_]:
    """bool (h, w): the pixels of one component within its box."""
    left, top, right, bottom = parts.boxes[part].tolist()
    row, start, end, _ = parts.runs[:, parts.runs[3] == part]
    run, x = spread(start, end)
    painted = np.zeros((bottom - top, right - left), bool)
    painted[row[run] - top, x - left] = True
    return painted


def _lie(own: NDArray[np.bool_]) -> tuple[float, float]:
    """How a component lies: the turn of the narrowest box around it, and how full that is.

    The turn is in degrees by which it runs downhill to the right; the fullness is the share
    of the box that its convex hull takes in, 1 for a frame, less for writing.
    """
    y, x = np.nonzero(own)
    hull = cv2.convexHull(np.column_stack([x, y]).astype(np.int32))
    _, (width, height), angle = cv2.minAreaRect(hull)
    turn = (angle + 45.0) % 90.0 - 45.0
    return turn, cv2.contourArea(hull) / max(1.0, width * height)


def _rules_of(
    ink: Mask, grey: Mask, own: NDArray[np.bool_], turn: float
) -> tuple[Mask, Mask] | None:
    """The ink of a turned frame's rules, and where they run; None where it is no frame.

    ink, grey: uint8 (h, w), of the frame's window. own: bool (h, w), the frame's component.
    """
    height, width = ink.shape
    side = int(np.hypot(height, width)) + 4
    level = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1.0), np.float64)
    level[:, 2] += (side - width) / 2, (side - height) / 2
    turned = _warped(ink, level, side, paper=0)
    frame = _warped(own.astype(np.uint8) * np.uint8(255), level, side, paper=0)
    bare, runs = erase_rules(turned, _warped(grey, level, side, paper=255), _level_rules(frame))
    gone = cv2.subtract(turned, bare)
    if cv2.countNonZero(gone) < _LEAST_RULED * np.count_nonzero(own):
        return None
    # The dilation takes what fell between pixels on the way, but no stroke that crosses.
    erased = _back(cv2.dilate(gone, np.ones((3, 3), np.uint8)), level, ink.shape)
    kept = _back(bare, level, ink.shape)
    return erased & ~kept, _back(runs, level, ink.shape)


def _warped(picture: Mask, matrix: NDArray[np.float64], side: int, paper: int) -> Mask:
    """The picture taken into a square by an affine matrix."""
    flags = cv2.INTER_NEAREST
    warped = cv2.warpAffine(picture, matrix, (side, side), flags=flags, borderValue=paper)
    return np.asarray(warped, np.uint8)


def _back(picture: NDArray[Any], matrix: NDArray[np.float64], shape: tuple[int, ...]) -> Mask:
    """The picture taken back by the inverse of the matrix, into one of a shape."""
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
    return np.asarray(cv2.warpAffine(picture, matrix, shape[::-1], flags=flags), np.uint8)


def _level_rules(frame: Mask) -> Rules:
    """The long runs of a frame that lies level, at half scale as ``erase_rules`` takes them."""
    _, _, width, height = cv2.boundingRect(frame)
    half = cv2.resize(frame[: len(frame) // HALF * HALF, : len(frame) // HALF * HALF], None,
                      fx=1 / HALF, fy=1 / HALF, interpolation=cv2.INTER_AREA)  # fmt: skip
    ink = np.asarray(half > 0, np.uint8) * np.uint8(255)
    across = _runs(ink, max(8, width // HALF // 3))
    down = _runs(np.asarray(cv2.transpose(ink), np.uint8), max(6, int(0.7 * height / HALF)))
    return Rules(across, down)


def _runs(ink: Mask, length: int) -> Mask:
    """Runs of ink along the rows of at least ``length`` pixels, if wavy by one."""
    wavy = cv2.dilate(ink, np.ones((3, 1), np.uint8))
    long = cv2.morphologyEx(wavy, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    return np.asarray(cv2.bitwise_and(long, ink), np.uint8)
