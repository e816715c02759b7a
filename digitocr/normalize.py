"""Stage 4: candidate glyphs become 28x28 pictures in MNIST format.

MNIST's own recipe (LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied
to document recognition", section III.A): the digit is fitted, with its aspect kept, into a
20x20 box by an antialiasing filter, and its centre of mass is put at the centre of a 28x28
field. NIST's pens at 300 dpi come out two to three pixels wide. Finer strokes of other
pens and scanners would fade away in the reduction, so they are first made that wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.mnist import BOX, SIDE
from digitocr.types import Ink, Segments

__all__ = ["glyph", "normalize", "picture"]

_WORK = 3 * BOX  # strokes are widened at three times the final resolution
_STROKE = 6.6  # pixels at that resolution: 2.2 of the final ones
_MARGIN = 5  # pixels; the widest pen's reach
_FRAME = _WORK + 2 * _MARGIN
_ROOM = 2  # pixels around a candidate; its ink reaches one, and one stays clear
_TOGETHER = 150_000  # pixels; so many are still near the processor when they are needed again
_FLOOR = 0.15  # of full ink; fainter than that is halo
_SOLID = 0.85  # of the mean ink of the stroke; darker than that is full ink
_LARGEST = 160  # pixels; larger single pictures are reduced first
_DRY = 0.6  # of Otsu's threshold; a pen that runs dry still leaves that much
_FAINTEST = 14.0  # grey levels between ink and paper; less is an empty picture
_ASIDE = 0.6  # of the way from the middle to a side; what comes in from there is a neighbour
_TALL_ASIDE = 0.4  # the same of what is as high as a digit, which a five's flag is not
# Rules in single pictures, as shares of its side. Stems of letters that fill their picture
# lean more and are wider; a rule in the middle may be a one.
_RULE_WIDTH = 0.1
_RULE_LEANS = 0.03
_RULE_ASIDE = 0.2
_RULE_INKED = 0.9
_DIGIT_HEIGHT = 0.5  # at least, of what is left beside a rule
_DIGIT_MARGIN = 0.03  # from the borders that the rule runs to

_LEVELS = np.arange(256, dtype=np.uint8)[None]
_SQUARE = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
_MOMENTS = np.stack([np.ones((BOX, BOX)), *np.mgrid[:BOX, :BOX]]).reshape(3, -1).T  # of mass
_PENS = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (k, k)) for k in range(1, 9)]

Grey = NDArray[Any]  # uint8; OpenCV's types say less
Mask = NDArray[np.bool_]
Bounds = NDArray[np.intp]  # (n + 1,): between which columns each of some pictures stands


def normalize(ink: Ink, segments: Segments, chosen: Mask | None = None) -> Grey:
    """The candidates of one page as MNIST pictures.

    A candidate keeps the grey ink of its own atoms and of one pixel around them, where
    neither another atom nor a ruled line runs. chosen: bool (N,), which of them; None for all.

    Returns uint8 (n, 28, 28), 255 is ink, one for each chosen candidate of ``segments``.
    """
    which = slice(None) if chosen is None else chosen
    boxes, spans = segments.boxes[which], segments.span[which]
    crops = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    for some in _alike(boxes):
        crops[some] = _glyphs(*_own_ink(ink, segments.labels, boxes[some], spans[some]))
    return crops


def glyph(ink: Grey) -> Grey:
    """One digit's ink in MNIST format.

    ink: uint8 (h, w) of any size, 255 is ink, 0 is paper; any margin around the digit.
    Returns uint8 (28, 28): the longer side of the ink is 20 pixels, its centre of mass at
    the centre, strokes about two pixels wide or as wide as they were, and 255 the
    strongest ink. All zeros where there is no ink.
    """
    if not ink.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    return np.asarray(_glyphs(ink, np.array([0, ink.shape[1]]))[0])


def picture(pixels: Grey) -> Grey:
    """The one digit of a picture, in MNIST format.

    pixels: uint8 (H, W), (H, W, 3) or (H, W, 4) of any size, ink darker, lighter or of
        another colour than the paper, a plain or evenly shaded paper, or transparency.
    Returns uint8 (28, 28) as ``glyph``; specks, what enters from the border beside the
    digit, and ruled lines are left out. All zeros where there is nothing on the paper.
    """
    if min(pixels.shape[:2]) == 0:
        return np.zeros((SIDE, SIDE), np.uint8)
    return glyph(_main_ink(_distance_from_paper(_opaque(_at_most(pixels, _LARGEST)))))


def _alike(boxes: NDArray[np.int32]) -> Iterator[NDArray[np.intp]]:
    """The places of boxes, those of like height together, as many as fit a small picture."""
    sizes = boxes[:, 2:] - boxes[:, :2] + 2 * _ROOM
    order = np.argsort(sizes[:, 1], kind="stable")
    width, height = sizes[order].T
    group = height * np.cumsum(width) // _TOGETHER  # as the heights rise, none is larger
    groups = np.split(order, np.flatnonzero(group[1:] > group[:-1]) + 1)
    yield from groups if len(order) else []


def _own_ink(
    ink: Ink, labels: NDArray[np.integer], boxes: NDArray[np.int32], spans: NDArray[np.int32]
) -> tuple[Grey, Bounds]:
    """The ink of some candidates, at least one, side by side as ``_glyphs`` takes it.

    labels, boxes, spans: as of ``Segments``.
    """
    left, top = np.maximum(boxes[:, :2] - _ROOM, 0).T
    right, bottom = np.minimum(boxes[:, 2:] + _ROOM, labels.shape[::-1]).T
    widths = right - left + 1  # an empty column parts each from the next
    bounds = np.zeros(len(boxes) + 1, np.intp)
    np.cumsum(widths, out=bounds[1:])
    shape = int((bottom - top).max()), int(bounds[-1])
    own, lines = np.zeros(shape, labels.dtype), np.zeros(shape, np.uint8)
    grey = np.full(shape, 255, np.uint8)
    pages = ((own, labels), (lines, ink.lines), (grey, ink.grey))
    windows = np.stack([top, bottom, left, right, bounds[:-1]], axis=1).tolist()
    for first_row, row, first_column, column, start in windows:
        window = slice(first_row, row), slice(first_column, column)
        place = slice(row - first_row), slice(start, start + column - first_column)
        for some, page in pages:
            some[place] = page[window]
    first, last = np.repeat(spans.T.astype(labels.dtype), widths, axis=1)
    mine = (own > first) & (own <= last)
    nobodys = (own == 0) & (lines == 0)
    kept = cv2.dilate(mine.view(np.uint8), _SQUARE) & (mine | nobodys)
    return ~grey * kept, bounds


def _glyphs(row: Grey, bounds: Bounds) -> Grey:
    """uint8 (n, 28, 28): some digits in MNIST format, as ``glyph`` has it.

    row: uint8 (h, W), their ink side by side: what is done to all at once takes fewer calls.
    """
    framed = np.zeros((_FRAME, len(bounds) - 1, _FRAME), np.uint8)
    for at, ink in enumerate(_contrasts(row, bounds)):
        _fit(_trimmed(ink), _WORK, framed[_MARGIN:-_MARGIN, at, _MARGIN:-_MARGIN])
    fields = np.zeros((len(bounds) - 1, BOX, BOX), np.uint8)
    widened = zip(_widened(framed), fields, strict=True)
    sizes = [_fit(_trimmed(ink), BOX, field) for ink, field in widened]
    return _centred(fields, np.array(sizes))


def _contrasts(row: Grey, bounds: Bounds) -> Iterator[Grey]:
    """The ink of each: halo to 0, the body of the stroke to 255, its antialiased edge between."""
    strongest = np.maximum.reduceat(row.max(axis=0), bounds[:-1])
    body = row > np.repeat(strongest // 2, bounds[1:] - bounds[:-1])
    inked = np.maximum(_sums(body.view(np.uint8), bounds), 1)
    solid = _SOLID * (_sums(row * body, bounds) * (1 / inked))
    for (start, stop), level in zip(pairwise(bounds.tolist()), solid.tolist(), strict=True):
        ink = row[:, start:stop]
        if level < 1:
            yield np.zeros_like(ink)
            continue
        gain = 255 / (level * (1 - _FLOOR))
        yield cv2.LUT(ink, cv2.addWeighted(_LEVELS, gain, _LEVELS, 0, -gain * _FLOOR * level))


def _sums(row: Grey, bounds: Bounds) -> NDArray[np.int64]:
    """int64 (n,): the sum over each one's pixels."""
    columns = cv2.reduce(row, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
    return np.add.reduceat(columns, bounds[:-1], dtype=np.int64)


def _trimmed(ink: Grey) -> Grey:
    """The ink without the margins around it."""
    left, top, width, height = cv2.boundingRect(ink)
    return ink[top : top + height, left : left + width]


def _fit(ink: Grey, side: int, field: Grey) -> tuple[int, int]:
    """Lay a picture into the corner of an empty field, resized so that its longer side is
    ``side`` pixels. Returns its height and width there, 0 where there is nothing."""
    height, width = ink.shape
    if not ink.size:
        return 0, 0
    scale = side / max(height, width)
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cv2.resize(ink, (width, height), field[:height, :width], interpolation=way)
    return height, width


def _widened(framed: Grey) -> list[Grey]:
    """The pictures, strokes finer than MNIST's made as wide.

    framed: uint8 (h, n, w), the pictures side by side, the widest pen's reach around each.
    """
    finer = np.rint(_STROKE - _stroke_widths(framed)).astype(int)
    pens = np.minimum(finer, len(_PENS) - 1)
    pictures = [framed[:, at] for at in range(framed.shape[1])]
    for pen in set(pens[pens > 0].tolist()):
        which = np.flatnonzero(pens == pen)
        fine = framed.take(which, axis=1)
        dilated = cv2.dilate(fine.reshape(len(fine), -1), _PENS[pen]).reshape(fine.shape)
        for place, at in enumerate(which.tolist()):
            pictures[at] = dilated[:, place]
    return pictures


def _stroke_widths(framed: Grey) -> NDArray[np.float64]:
    """float64 (n,): the mean width of each one's strokes in pixels: area over half the length of
    the outline. There must be a margin around the ink."""
    height, count, width = framed.shape
    _half, mask = cv2.threshold(framed.reshape(height, -1), 127, 1, cv2.THRESH_BINARY)
    bounds = np.arange(count + 1) * width
    area = _sums(mask, bounds)
    outline = area - _sums(cv2.erode(mask, _SQUARE), bounds)
    return np.asarray(2 * area / np.maximum(outline, 1))


def _centred(fields: Grey, sizes: NDArray[np.int64]) -> Grey:
    """uint8 (n, 28, 28): pictures with their centres of mass at the centre.

    fields: uint8 (n, 20, 20), each picture in its corner. sizes: int64 (n, 2), their heights
    and widths.
    """
    moments = fields.reshape(-1, BOX * BOX) @ _MOMENTS
    middles = moments[:, 1:] / np.maximum(moments[:, :1], 1)
    corners = np.minimum(np.maximum(np.rint(SIDE / 2 - middles).astype(int), 0), SIDE - sizes)
    strongest = np.maximum(fields.max(axis=(1, 2), keepdims=True), 1)
    gain = (255 / strongest).astype(np.float32)  # MinMax: paper is 0
    full = np.rint(fields * gain).astype(np.uint8)
    crops = np.zeros((len(fields), SIDE, SIDE), np.uint8)
    places = np.concatenate([corners, sizes], axis=1).tolist()
    for crop, picture, (top, left, height, width) in zip(crops, full, places, strict=True):
        crop[top : top + height, left : left + width] = picture[:height, :width]
    return crops


def _at_most(pixels: Grey, side: int) -> Grey:
    """The picture, reduced where its longer side is more than ``side`` pixels."""
    scale = side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _opaque(pixels: Grey) -> Grey:
    """uint8 (h, w, C), C 1 or 3: transparency laid on white, or taken as the ink itself
    where the colour below it says nothing."""
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.shape[2] != 4:
        return pixels
    colour, alpha = pixels[:, :, :3].astype(np.float32), pixels[:, :, 3:].astype(np.float32) / 255
    laid = colour * alpha + 255 * (1 - alpha)
    if np.ptp(laid) < _FAINTEST <= np.ptp(pixels[:, :, 3]):  # white ink on nothing
        laid = 255 * (1 - alpha)
    return np.rint(laid).astype(np.uint8)


def _distance_from_paper(pixels: Grey) -> Grey:
    """uint8 (h, w): how far each pixel's colour is from the paper's, in grey levels.

    The paper's colour is a plane over the picture, fitted to the pixels that lie near it,
    starting from the median of all: of any crop with a margin, most is paper.
    """
    height, width, _channels = pixels.shape
    rows, columns = -(-height // 32), -(-width // 32)  # a thousand pixels are enough to fit
    few = pixels[rows // 2 :: rows, columns // 2 :: columns]
    values = few.reshape(-1, few.shape[2]).astype(np.float32)
    basis = _plane(height, width)[rows // 2 :: rows, columns // 2 :: columns].reshape(-1, 3)
    paper: NDArray[np.float32] = np.broadcast_to(np.median(values, axis=0), values.shape)
    for _ in range(3):
        distance = np.abs(values - paper).max(axis=1)
        level, _mask = cv2.threshold(_bytes(distance), 0, 255, cv2.THRESH_OTSU)
        near = distance <= max(level, _FAINTEST / 2)
        slopes = np.linalg.lstsq(basis[near], values[near], rcond=None)[0]
        paper = basis @ slopes
    return _bytes(np.abs(pixels - _plane(height, width) @ slopes).max(axis=2))


def _plane(height: int, width: int) -> NDArray[np.float32]:
    """float32 (h, w, 3): 1, x and y of each pixel, x and y from -1 to 1."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.stack([np.ones_like(x), x, y], axis=2).astype(np.float32)


def _bytes(values: NDArray[np.float32]) -> Grey:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _main_ink(ink: Grey) -> Grey:
    """The ink without paper grain, specks, rules, and neighbours that come in from the border."""
    level, strong = cv2.threshold(ink, 0, 255, cv2.THRESH_OTSU)
    if cv2.mean(ink, strong)[0] < _FAINTEST:
        return np.zeros_like(ink)
    _level, mask = cv2.threshold(ink, max(_DRY * level, _FAINTEST), 255, cv2.THRESH_BINARY)
    return cv2.bitwise_and(ink, _without_rules(mask, _own(mask)))


def _own(mask: Grey) -> Grey:
    """255 where the digit is, and one pixel around it."""
    # A dry or pencilled stroke is a row of grains: what lies this near belongs together.
    near = 2 * (max(mask.shape) // 75) + 1
    grouped = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (near, near)))
    count, labels, stats, centres = cv2.connectedComponentsWithStats(grouped, connectivity=8)
    keep = np.zeros(count, np.uint8)
    keep[1:] = 255 * _belongs(labels, stats, centres)[1:]
    own = cv2.dilate(keep[labels], _SQUARE)
    own[(labels > 0) & (keep[labels] == 0)] = 0
    return own


def _belongs(labels: NDArray[Any], stats: NDArray[Any], centres: NDArray[Any]) -> Mask:
    """Which components make up the digit: those that reach into the middle of the picture,
    and what lies around them, unless it is a speck or comes in from the border."""
    height, width = labels.shape
    left, top, w, h, area = stats.T
    middle = labels[height // 4 : -(-3 * height // 4), width // 4 : -(-3 * width // 4)]
    reaches = np.isin(np.arange(len(stats)), middle) & (np.arange(len(stats)) > 0)
    at_side = (left == 0) | (left + w == width)
    at_border = at_side | (top == 0) | (top + h == height)
    # Neighbours of a line of writing come in from the left and the right.
    central = _most_central(labels)
    tall = (h >= w) & (2 * h >= h[central])
    aside = np.abs(2 * centres[:, 0] / width - 1)
    neighbour = at_side & (aside > np.where(tall, _TALL_ASIDE, _ASIDE))
    neighbour[central] = False
    main = area[reaches & ~neighbour].max(initial=0)
    large = area >= 0.04 * max(main, 1)
    return np.asarray(large & ~neighbour & (reaches | ~at_border) & bool(main))


def _most_central(labels: NDArray[Any]) -> int:
    """The component with most ink near the middle of the picture, most of all between its
    sides; 0 where there is none."""
    _one, x, y = _plane(*labels.shape).transpose(2, 0, 1)
    ink = np.bincount(labels.ravel(), np.exp(-2 * y**2 - 5.5 * x**2).ravel())
    ink[0] = 0
    return int(ink.argmax())


def _without_rules(mask: Grey, own: Grey) -> Grey:
    """The digit without the ruled lines that it touches, where what is left can be a digit.

    mask: 255 is ink. own: 255 where the digit is, as far as components tell.
    """
    upright, lying = _bands(mask), _bands(_turned(mask)).T
    if not (upright.any() or lying.any()):
        return own
    rules = (upright & _narrow(mask)) | (lying & _narrow(_turned(mask)).T) | (upright & lying)
    rules &= (mask > 0) & (own > 0)
    if not rules.any():
        return own
    rest = np.where(rules, np.uint8(0), cv2.bitwise_and(mask, own))
    if not _stands_free(rest, upright=bool(upright.any()), lying=bool(lying.any())):
        return own  # a letter's stem, or a one's
    own = cv2.bitwise_and(own, _own(rest))
    own[rules] = 0
    return own


def _bands(mask: Grey) -> Mask:
    """Where straight lines run from the top of the picture to its bottom, beside its middle."""
    height, width = mask.shape
    near = cv2.dilate(mask, np.ones((1, 3), np.uint8)) > 0
    bands = np.zeros(mask.shape, np.bool_)
    for first, first_width in _runs(mask[:2]):
        for last, last_width in _runs(mask[-2:]):
            thick = max(first_width, last_width)
            leans = abs(first - last) > _RULE_LEANS * height
            aside = abs((first + last + 1) / width - 1) >= _RULE_ASIDE
            if thick > _widest(width) or leans or not aside:
                continue
            line = np.linspace(first, last, height)
            if near[np.arange(height), np.rint(line).astype(int)].mean() >= _RULE_INKED:
                bands |= np.abs(np.arange(width) - line[:, None]) <= thick / 2 + 0.6
    return bands


def _runs(rows: Grey) -> list[tuple[float, int]]:
    """The centre and the width of each run of ink in a few rows, laid on each other."""
    edges = np.flatnonzero(np.diff(np.r_[0, rows.max(axis=0) > 0, 0]))
    return [((start + stop - 1) / 2, int(stop - start)) for start, stop in edges.reshape(-1, 2)]


def _narrow(mask: Grey) -> Mask:
    """Where the ink is no wider than a rule; where a stroke crosses a rule, it is."""
    length = int(_widest(mask.shape[1])) + 2
    framed = cv2.copyMakeBorder(mask, 0, 0, length, length, cv2.BORDER_CONSTANT, value=0)
    wide = cv2.morphologyEx(framed, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    return np.asarray(wide[:, length:-length] == 0)


def _widest(side: int) -> float:
    """How wide a rule may be, in pixels, in a picture so wide."""
    return max(_RULE_WIDTH * side, 4.0)


def _stands_free(rest: Grey, upright: bool, lying: bool) -> bool:
    """Whether what is left beside rules can be a digit: it is high enough, and does not run
    from border to border as they do, which parts of a letter that fills its picture do."""
    height, width = rest.shape
    _count, labels, stats, _centres = cv2.connectedComponentsWithStats(rest, connectivity=8)
    left, top, w, h, _area = stats[_most_central(labels)]
    inside_x = _DIGIT_MARGIN * width <= left and left + w <= (1 - _DIGIT_MARGIN) * width
    inside_y = _DIGIT_MARGIN * height <= top and top + h <= (1 - _DIGIT_MARGIN) * height
    high = h >= _DIGIT_HEIGHT * height
    return bool(high and (inside_y or not upright) and (inside_x or not lying))


def _turned(mask: Grey) -> Grey:
    """The picture with rows for columns."""
    return np.ascontiguousarray(mask.T)
