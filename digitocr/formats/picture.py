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

from digitocr.errors import DamagedFile, DocumentError, EmptyFile, TooLarge
from digitocr.formats.complaints import caught_stderr, tells_of_damage
from digitocr.formats.jpeg import DAMAGED, decode_jpeg
from digitocr.formats.modes import to_uint8
from digitocr.formats.resolution import HIGHEST, LOWEST, credible_dpi, square_pixels
from digitocr.recipe import IngestOptions

__all__ = ["Picture", "decode_picture"]

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
_CUT = re.compile(r"Truncated|Corrupt EXIF|Skipping tag (282|283)$")  # tags lie behind the end
_BROKEN = -1


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
        with _translated(), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            self._image: ImageFile.ImageFile | None = _open(data, kind)
            if kind == "TIFF":
                self._frames = _tiff_frames(self._image, options.max_pages, said)
        self.page_count = len(self._frames)

    def page(self, index: int, grey: bool = False) -> tuple[Pixels, float | None]:
        """Pixels, uint8 (H, W) grey or (H, W, 3) RGB, upright, and dots per inch.

        grey: colour may be left out. Pages cost least in their order.
        Raises DamagedFile, UnsupportedFile, TooLarge.
        """
        with _translated():
            if self._image is None or index < self._next:  # once loaded, no more what the file says
                self._image = _open(self._data, self._kind)
            image, self._next = self._image, index + 1
            if self._kind == "TIFF":
                if self._frames[index] == _BROKEN:
                    raise DamagedFile(DAMAGED)
                image.seek(self._frames[index])
            else:
                self._image = None  # its memory is needed for what comes next
            return _upright(image, self._data, self._options, grey)

    def close(self) -> None:
        """Let go of the bytes."""
        self._image = None
        self._data = b""


def decode_picture(data: bytes, kind: str, options: IngestOptions, grey: bool = False) -> Pixels:
    """The pixels of a one-page picture as stored, its orientation not applied.

    grey: colour may be left out.
    """
    with _translated():
        image = _open(data, kind)
        _check_size(image.size, options)
        return _pixels(image, data, grey)


def _open(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Read a picture's header."""
    image = _PLUGINS[kind](io.BytesIO(data))
    if min(image.size) < 1:
        raise EmptyFile("the picture has no pixels")
    return image


def _tiff_frames(
    image: ImageFile.ImageFile, max_pages: int, said: list[warnings.WarningMessage]
) -> list[int]:
    """The frames that are pages, _BROKEN for one whose header is cut off.

    A frame whose header makes no sense ends the chain, as a page. said: what Pillow warns of;
    that a file ends before the resolution it points to is no error to it.
    """
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
        if _is_preview(image):
            others += 1
        elif any(_CUT.search(str(warning.message)) for warning in said):
            frames.append(_BROKEN)
        else:
            frames.append(frame)
        said.clear()
        if len(frames) > max_pages:
            raise TooLarge(
                f"the document has more than {max_pages} pages; "
                "split it, or raise max_pages in the pipeline file"
            )
    return frames or [0]


def _is_preview(image: ImageFile.ImageFile) -> bool:
    """Whether a TIFF frame says that it is a smaller copy or a mask of another."""
    kind = image.tag_v2.get(_NEW_SUBFILE_TYPE)  # type: ignore[attr-defined]
    return isinstance(kind, int) and kind & 0b101 != 0


def _upright(
    image: ImageFile.ImageFile, data: bytes, options: IngestOptions, grey: bool
) -> tuple[Pixels, float | None]:
    """Decode, and apply orientation and the shape of the pixels."""
    _check_size(image.size, options)
    orientation = _orientation(image)
    across, down = _resolution(image)
    pixels = _pixels(image, data, grey)
    if image.format != "TIFF":  # Pillow turns TIFF pictures itself
        pixels = _oriented(pixels, orientation)
    if orientation >= 5:
        across, down = down, across
    if min(across, down) >= LOWEST and max(across, down) <= HIGHEST:
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


def _pixels(image: ImageFile.ImageFile, data: bytes, grey: bool) -> Pixels:
    """Decode a frame to uint8 (H, W) or (H, W, 3), as stored."""
    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        return decode_jpeg(data, image.mode, grey)
    if image.format == "PNG":
        _open(data, "PNG").verify()
    with caught_stderr() as complaints:
        image.load()
    if tells_of_damage(complaints()):
        raise DamagedFile(DAMAGED)
    return to_uint8(image)


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
        raise DamagedFile(DAMAGED) from error
