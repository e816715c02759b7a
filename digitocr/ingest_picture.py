"""Bytes of a picture file -> its upright pages, right pixels or an error.

Decoders differ in what they forgive: Pillow loads a PNG with a wrong checksum unless it is
verified first; libjpeg and libtiff fill up what they cannot decode and say so on the
standard error of the process alone. What they say there is caught and taken seriously.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from digitocr.errors import DamagedFile, DocumentError, EmptyFile, TooLarge, UnsupportedFile
from digitocr.ingest_resolution import credible_dpi, square_pixels
from digitocr.ingest_stderr import caught_stderr
from digitocr.recipe import IngestOptions

__all__ = ["Picture", "decode_jpeg", "decode_picture", "grey_if_grey"]

Pixels = NDArray[np.uint8]

# The classes themselves, for Image.open would add its own limit on pixels and more formats.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_ORIENTATION = 0x0112
_NEW_SUBFILE_TYPE = 254
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_COMPLAINTS = re.compile(rb"Corrupt JPEG|Premature end|(Decode|Fax|JPEG|LZW|Read|TIFF|ZIP)\w*: ")
_DAMAGED = "the picture is damaged or cut short; scan or copy it again"


class Picture:
    """The pages of one picture file.

    page_count: frames of a TIFF that are no thumbnails or masks, else 1.
    """

    def __init__(self, data: bytes, kind: str, options: IngestOptions) -> None:
        """Read the headers. kind: a name that ``sniff`` gives.

        Raises DamagedFile, TooLarge.
        """
        self._data = data
        self._kind = kind
        self._options = options
        self._frames = [0]
        self._next = 0
        with _translated():
            self._image = _open(data, kind)
            if kind == "TIFF":
                self._frames = _tiff_frames(self._image, options.max_pages)
        self.page_count = len(self._frames)

    def page(self, index: int) -> tuple[Pixels, float | None]:
        """Pixels, uint8 (H, W) grey or (H, W, 3) RGB, upright, and dots per inch.

        Pages cost least in their order. Raises DamagedFile, UnsupportedFile, TooLarge.
        """
        with _translated():
            if index < self._next:  # a frame that was loaded is no more what the file says
                self._image = _open(self._data, self._kind)
            self._next = index + 1
            if self._kind == "TIFF":
                self._image.seek(self._frames[index])
            return _upright(self._image, self._data, self._options)

    def close(self) -> None:
        """Let go of the bytes."""
        self._image.close()
        self._data = b""


def decode_picture(data: bytes, kind: str, options: IngestOptions) -> Pixels:
    """The pixels of a one-page picture as stored, its orientation not applied."""
    with _translated():
        image = _open(data, kind)
        _check_size(image.size, options)
        return _pixels(image, data)


def _open(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Read a picture's header."""
    image = _PLUGINS[kind](io.BytesIO(data))
    if min(image.size) < 1:
        raise EmptyFile("the picture has no pixels")
    return image


def _tiff_frames(image: ImageFile.ImageFile, max_pages: int) -> list[int]:
    """The frames that are pages. A frame whose header is broken ends the chain, as a page."""
    frames: list[int] = []
    others = 0
    while True:
        frame = len(frames) + others
        try:
            image.seek(frame)
        except EOFError:
            break
        except Exception:
            frames.append(frame)
            break
        if int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & 0b101:  # type: ignore[attr-defined]
            others += 1
        else:
            frames.append(frame)
        if len(frames) > max_pages:
            raise TooLarge(
                f"the document has more than {max_pages} pages; "
                "split it, or raise max_pages in the pipeline file"
            )
    return frames or [0]


def _upright(
    image: ImageFile.ImageFile, data: bytes, options: IngestOptions
) -> tuple[Pixels, float | None]:
    """Decode, and apply orientation and the shape of the pixels."""
    _check_size(image.size, options)
    orientation = _orientation(image)
    across, down = _resolution(image)
    pixels = _pixels(image, data)
    if image.format != "TIFF":  # Pillow turns TIFF pictures itself
        pixels = _oriented(pixels, orientation)
    if orientation >= 5:
        across, down = down, across
    pixels = square_pixels(pixels, across, down)
    return pixels, credible_dpi(max(across, down), max(pixels.shape[:2]))


def _check_size(size: tuple[int, int], options: IngestOptions) -> None:
    if size[0] * size[1] > options.max_megapixels * 1e6:
        raise TooLarge(
            f"the picture has {size[0]} x {size[1]} pixels, more than the limit of "
            f"{options.max_megapixels:g} megapixels; scan it at a lower resolution, "
            "or raise max_megapixels in the pipeline file"
        )


def _orientation(image: ImageFile.ImageFile) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none to make sense of."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken metadata is no reason to refuse good pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _oriented(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _resolution(image: ImageFile.ImageFile) -> tuple[float, float]:
    """Pixels per inch across and down as the file says, 0 where it does not."""
    try:
        across, down = (float(value) for value in image.info.get("dpi", (0, 0)))
    except (TypeError, ValueError, ZeroDivisionError, ArithmeticError):
        return 0.0, 0.0
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else (0.0, 0.0)


def _pixels(image: ImageFile.ImageFile, data: bytes) -> Pixels:
    """Decode a frame to uint8 (H, W) or (H, W, 3), as stored."""
    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        return decode_jpeg(data, image.mode)
    if image.format == "PNG":
        _open(data, "PNG").verify()
    with caught_stderr() as complaints:
        image.load()
    if _COMPLAINTS.search(complaints()):
        raise DamagedFile(_DAMAGED)
    return _to_uint8(image)


def decode_jpeg(data: bytes, mode: str) -> Pixels:
    """Decode a JPEG of mode "L" or "RGB"; missing or broken data are errors.

    Raises DamagedFile, UnsupportedFile.
    """
    if not _ends_well(data):
        raise DamagedFile(_DAMAGED)
    # The end mark makes libjpeg complain where data are missing, in place of waiting for more.
    buffer = np.frombuffer(data + b"\xff\xd9", np.uint8)
    flags = cv2.IMREAD_GRAYSCALE if mode == "L" else cv2.IMREAD_COLOR_RGB
    with caught_stderr() as complaints:
        pixels = cv2.imdecode(buffer, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    said = complaints()
    if pixels is None or (_COMPLAINTS.search(said) and not _is_padding(said, data)):
        raise DamagedFile(_DAMAGED)
    decoded = np.asarray(pixels, np.uint8)
    return decoded if mode == "L" else grey_if_grey(decoded)


def _ends_well(data: bytes) -> bool:
    """Whether a JPEG of several scans has its end mark; of a single one, libjpeg can tell."""
    start = data.rfind(b"\xff\xda")
    return data.rfind(b"\xff\xd9") > start or data.find(b"\xff\xda") == start


def _is_padding(said: bytes, data: bytes) -> bool:
    """Whether all that libjpeg complains of are filling bytes before the end mark."""
    match = re.fullmatch(
        rb"\s*Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9\s*", said
    )
    if match is None:
        return False
    end = data.rfind(b"\xff\xd9")
    return not data[end - int(match[1]) : end].strip(b"\0\xff")


def grey_if_grey(pixels: Pixels) -> Pixels:
    """One channel of an RGB picture whose channels are all alike, else the picture."""
    for look in (pixels[::16, ::16], pixels):  # nearly all colour shows in the first, cheap look
        red, green, blue = (look[:, :, channel] for channel in range(3))
        if not (np.array_equal(red, green) and np.array_equal(green, blue)):
            return pixels
    return np.ascontiguousarray(pixels[:, :, 1])


def _to_uint8(image: Image.Image) -> Pixels:
    """Any mode of Pillow's as uint8: 16 bits scaled, alpha on white paper, palettes looked up."""
    mode = image.mode
    if mode in ("F", "I") or mode.startswith("I;16"):
        return _from_deep(image)
    if "transparency" in image.info and mode in ("1", "L", "RGB", "P"):
        image = image.convert("RGBA")
    elif mode in ("PA", "La", "RGBa"):
        image = image.convert({"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}[mode])
    if image.mode in ("LA", "RGBA"):
        return _on_paper(np.asarray(image))
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.mode == "LAB":
        return np.array(image.getchannel(0))
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    return grey_if_grey(np.array(image.convert("RGB")))


def _from_deep(image: Image.Image) -> Pixels:
    """16 bits (or the 12 of some scanners) scaled to 8."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    bits = int(tags.get(_BITS_PER_SAMPLE, (16,))[0])
    if image.mode == "F" or (
        image.mode == "I" and values.size and (values.min() < 0 or values.max() > 65535)
    ):
        raise UnsupportedFile(
            "the picture holds measured values and no shades of grey; save it with 8 or 16 bits"
        )
    white = 4095 if bits == 12 else 65535
    scaled = (values.astype(np.uint32) * 255 + white // 2) // white
    grey = scaled.astype(np.uint8)
    return 255 - grey if tags.get(_PHOTOMETRIC) == 0 else grey


def _from_cmyk(image: Image.Image) -> Pixels:
    """CMYK by the plain formula; Pillow takes every CMYK JPEG for an inverted one of Adobe's."""
    inks = np.asarray(image)
    if image.format == "JPEG" and "adobe" not in image.info:
        inks = 255 - inks
    paper = 255 - inks.astype(np.uint16)
    return grey_if_grey(((paper[:, :, :3] * paper[:, :, 3:] + 127) // 255).astype(np.uint8))


def _on_paper(pixels: Pixels) -> Pixels:
    """Lay (H, W, 2) grey or (H, W, 4) RGB with alpha on white."""
    colour, alpha = pixels[:, :, :-1].astype(np.uint16), pixels[:, :, -1:].astype(np.uint16)
    laid = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return laid[:, :, 0] if laid.shape[2] == 1 else grey_if_grey(laid)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn whatever a decoder raises over bad bytes into a DocumentError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata and sizes; limits are our own
            yield
    except DocumentError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise TooLarge("the picture needs more memory than it may take; scan it smaller") from error
    except Exception as error:
        raise DamagedFile(_DAMAGED) from error
