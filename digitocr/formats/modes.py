"""Every way that Pillow holds pixels -> uint8, grey or RGB, 255 is paper."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitocr.errors import UnsupportedFile

__all__ = ["grey_if_grey", "one_channel", "to_uint8"]

Pixels = NDArray[np.uint8]

_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_STRIP = 1 << 22  # pixels that are converted at once
_ROWS = 32  # that are looked at at once, so few that they stay in the processor's cache


def grey_if_grey(pixels: Pixels) -> Pixels:
    """One channel of an RGB picture whose channels are all alike, else the picture."""
    look = pixels[::16, ::16]  # nearly all colour shows in this
    if (look != look[:, :, 1:2]).any():
        return pixels
    grey = np.empty(pixels.shape[:2], np.uint8)
    for top in range(0, len(pixels), _ROWS):
        strip = pixels[top : top + _ROWS]
        channel = cv2.extractChannel(strip, 1)
        if cv2.norm(cv2.merge([channel] * 3), strip, cv2.NORM_INF):
            return pixels
        grey[top : top + _ROWS] = channel
    return grey


def one_channel(pixels: Pixels) -> Pixels:
    """An RGB picture without its colour: of one that has none, any of its channels."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def to_uint8(image: Image.Image) -> Pixels:
    """Any mode of Pillow's as uint8: 16 bits scaled, alpha on white paper, palettes looked up."""
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _from_deep(image)
    width, height = image.size
    if image.mode == "1" and "transparency" not in image.info:
        # All at once, as Pillow holds them: no bits are packed, and no rows are cut out first.
        return np.frombuffer(image.tobytes("raw", "L"), np.uint8).reshape(height, width)
    rows = max(1, _STRIP // width)  # a copy of a few rows at a time, for pages are large
    strips = (
        _plain(image.crop((0, top, width, min(top + rows, height))), image.format)
        for top in range(0, height, rows)
    )
    first = next(strips)
    pixels = np.empty((height, *first.shape[1:]), np.uint8)
    pixels[: len(first)] = first
    for number, strip in enumerate(strips, 1):
        pixels[number * rows : number * rows + len(strip)] = strip
    return pixels if pixels.ndim == 2 else grey_if_grey(pixels)


def _plain(image: Image.Image, kind: str | None) -> Pixels:
    """Some rows of a picture file as (h, w) or (h, w, 3); kind: the file's format."""
    if "transparency" in image.info and image.mode in ("1", "L", "RGB", "P"):
        image = image.convert("RGBA")
    elif image.mode in ("PA", "La", "RGBa"):
        image = image.convert({"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.mode in ("LA", "RGBA"):
        return _on_paper(np.asarray(image))
    if image.mode == "CMYK":
        return _from_cmyk(image, kind)
    if image.mode == "LAB":
        return np.asarray(image.getchannel(0))
    if image.mode == "L":
        return np.asarray(image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _from_deep(image: Image.Image) -> Pixels:
    """16 bits, the 12 of some scanners, or floating point from 0 to 1 or to 255, scaled to 8."""
    values = np.asarray(image)
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    white = _white(image.mode, float(values.max()), tags.get(_BITS_PER_SAMPLE, (16,))[0])
    if not (values.min() >= 0 and values.max() <= white):  # so put, NaN fails, too
        raise UnsupportedFile(
            "the picture holds measured values and no shades of grey; save it with 8 or 16 bits"
        )
    if image.mode == "F":
        return np.rint(values * (255 / white)).astype(np.uint8)
    shades = np.rint(np.arange(white + 1) * (255 / white)).astype(np.uint8)
    # Pillow inverts a picture where 0 is white itself, but not one of 16 bits.
    shades = 255 - shades if tags.get(_PHOTOMETRIC) == 0 else shades
    return np.asarray(shades[values], np.uint8)


def _white(mode: str, brightest: float, bits: int) -> int:
    """The value that stands for white paper."""
    if mode == "F":
        return 1 if brightest <= 1 else 255
    return 4095 if bits == 12 else 65535


def _from_cmyk(image: Image.Image, kind: str | None) -> Pixels:
    """CMYK by the plain formula; Pillow takes every CMYK JPEG for an inverted one of Adobe's."""
    inks = np.asarray(image)
    if kind != "JPEG" or "adobe" in image.info:
        inks = 255 - inks
    colour, key = inks[:, :, :3], inks[:, :, 3].astype(np.uint16)
    planes = [(colour[:, :, channel] * key + 127) // 255 for channel in range(3)]
    return np.stack(planes, axis=2).astype(np.uint8)


def _on_paper(pixels: Pixels) -> Pixels:
    """Lay (H, W, 2) grey or (H, W, 4) RGB with alpha on white."""
    colour, alpha = pixels[:, :, :-1], pixels[:, :, -1].astype(np.uint16)
    if (alpha < 255).any():
        ground = 255 * (255 - alpha) + 127  # at most 65152, so 16 bits hold the sum below
        planes = [
            ((colour[:, :, channel] * alpha + ground) // 255).astype(np.uint8)
            for channel in range(colour.shape[2])
        ]
        colour = np.stack(planes, axis=2)
    return colour[:, :, 0] if colour.shape[2] == 1 else colour
