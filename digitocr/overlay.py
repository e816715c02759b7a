"""A page with what was read on it drawn over it, for a person to check at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitocr.types import Box, Number, PageReading, Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

__all__ = ["COLOURS", "draw"]

# Okabe and Ito's palette, which colour-blind people tell apart; green goes without a word,
# the others carry theirs.
COLOURS: dict[Status, tuple[int, int, int]] = {
    "ok": (0, 128, 96),
    "review": (213, 94, 0),
    "blank": (0, 114, 178),
    "missing": (190, 0, 60),
    "error": (190, 0, 60),
}
_DARK = 0.65  # of the page's median: ink, for the purpose of not writing over it
_INK_UNDER_LABEL = 1.0  # what a label that is wholly on ink costs, to compare with
_PER_RANK = 0.01  # a place further off; the pattern of cheque paper must not send it there
_BOX_UNDER_LABEL = 4.0  # one that is wholly on another number's box or label


def draw(pixels: NDArray[np.uint8], reading: PageReading) -> NDArray[np.uint8]:
    """The page with each number's box and, beside it, its value and its confidence.

    pixels: uint8 (H, W) or (H, W, 3), the upright page. Returns uint8 (H, W, 3).
    A number is drawn in the colour of its status (``COLOURS``), its digits' boxes thin.
    Numbers without a place are listed in the upper left corner.
    """
    picture = Image.fromarray(np.asarray(pixels)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    room = _Room(pixels, [n.box for n in reading.numbers if n.box])
    for number in reading.numbers:
        if number.box:
            _frame(pen, number, number.box, picture.size)
    for number in reading.numbers:
        _label(pen, number, room, picture.size)
    return np.array(picture)


def _frame(pen: ImageDraw.ImageDraw, number: Number, box: Box, size: tuple[int, int]) -> None:
    """The number's box, standing off the ink, and those of its digits."""
    thick = max(1, round(max(size) / 800))
    colour = COLOURS[number.status]
    for digit in number.digits:
        left, top, right, bottom = digit.box
        if right > left and bottom > top:
            pen.rectangle((left, top, right - 1, bottom - 1), outline=colour)
    left, top, right, bottom = _grown(box, 2 * thick)
    if right > left and bottom > top:
        pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=thick)


def _label(pen: ImageDraw.ImageDraw, number: Number, room: _Room, size: tuple[int, int]) -> None:
    """The number's value where it covers least, and its confidence smaller behind it."""
    height = _letter_height(number.box, max(size))
    large, small = ImageFont.load_default(height), ImageFont.load_default(0.6 * height)
    value, confidence = _words(number)
    gap = round(0.3 * height)
    middle = round(pen.textlength(value, large) + 1.6 * gap)
    width = middle + round(pen.textlength(confidence, small)) + (gap if confidence else 0)
    left, top, right, bottom = room.take(number.box, width, round(1.15 * height), gap)
    colour = COLOURS[number.status]
    pen.rectangle((left, top, right - 1, bottom - 1), fill=(255, 255, 255), outline=colour)
    base = bottom - round(0.25 * height)
    pen.text((left + gap / 2, base), value, colour, large, anchor="ls")
    pen.text((left + middle, base), confidence, colour, small, anchor="ls")


def _letter_height(box: Box | None, page: int) -> int:
    """Of a label: as the number's own, but such that it can be read on the whole page."""
    least, most = max(10, round(page / 90)), max(14, round(page / 45))
    own = 0.7 * (box[3] - box[1]) if box else least
    return round(min(max(own, least), most))


def _words(number: Number) -> tuple[str, str]:
    """What is written large, and small."""
    said = number.text or number.value
    if number.status in ("blank", "missing", "error"):
        name = "" if number.box else f"{number.field} "
        return f"{name}{number.status}", ""
    mark = " ?" if number.status == "review" else ""
    return f"{said}{mark}", f"{100 * number.confidence:.0f}%"


def _grown(box: Box, margin: int) -> Box:
    return (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)


class _Room:
    """What of a page is taken, by ink, by boxes and by the labels written so far."""

    def __init__(self, pixels: NDArray[np.uint8], boxes: list[Box]) -> None:
        self._pixels = pixels
        self._height, self._width = pixels.shape[:2]
        self._dark = _DARK * float(np.median(pixels[::8, ::8]))
        self._boxes = boxes

    def take(self, box: Box | None, width: int, height: int, gap: int) -> Box:
        """The best place for a label of this size beside ``box``, or in the upper left."""
        places = enumerate(self._places(box, width, height, gap))
        _, place = min(places, key=lambda ranked: self._cost(ranked[1]) + _PER_RANK * ranked[0])
        self._boxes = [*self._boxes, place]
        return place

    def _places(self, box: Box | None, width: int, height: int, gap: int) -> Iterator[Box]:
        """Places around the box, the likeliest first."""
        left, top, right, bottom = box or (gap, gap, gap, gap)
        above, below = top - gap - height, bottom + gap
        middle = (top + bottom - height) // 2
        corners = [
            (left, above),
            (right + gap, middle),
            (left, below),
            (left - gap - width, middle),
        ]
        # Further right, past the rule of a cell.
        corners += [(right + gap + height // 2, middle), (right + 2 * height, middle)]
        corners += [(right - width, above), (right - width, below), (right + gap, above)]
        corners += [(left, above - height), (left, below + height)]
        if box is None:
            corners = [(gap, gap + row * height) for row in range(max(1, self._height // height))]
        for x, y in corners:
            x = max(0, min(x, self._width - width))
            y = max(0, min(y, self._height - height))
            yield (x, y, x + width, y + height)

    def _cost(self, place: Box) -> float:
        left, top, right, bottom = place
        under = self._pixels[top:bottom, left:right] < self._dark
        ink = float(under.mean()) if under.size else 0.0
        covered = sum(_common(place, box) for box in self._boxes)
        area = max(1, (right - left) * (bottom - top))
        return _INK_UNDER_LABEL * ink + _BOX_UNDER_LABEL * covered / area


def _common(one: Box, other: Box) -> int:
    """The area, in pixels, that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)
