"""The data of pictures in a PDF, checked.

pdfium shows what it can make of broken data and says nothing, so each kind is decoded once
more by a decoder that does.
"""

from __future__ import annotations

import io
import re
import struct
import zlib

import cv2
import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from digitocr.errors import DamagedFile
from digitocr.formats.complaints import caught_stderr, tells_of_damage
from digitocr.formats.modes import to_uint8
from digitocr.formats.picture import decode_picture
from digitocr.recipe import IngestOptions

__all__ = ["check_streams", "checked_fax", "strict_pixels"]

Pixels = NDArray[np.uint8]

_DAMAGED = "a picture on the page is damaged or cut short; scan the page again"
_DAMAGED_PAGE = "the page is damaged; print the PDF to a new one from a viewer, or scan it again"
_KINDS = {"DCTDecode": "JPEG", "JPXDecode": "JPEG2000"}
_ROWS_TO_TELL = 16  # with ink, on which two decoders of fax data must agree to mean the same


def strict_pixels(
    image: pypdfium2.PdfImage, options: IngestOptions, grey: bool = False
) -> Pixels | None:
    """Check a picture's data; its pixels as stored where they are JPEG or JPEG 2000.

    Colours are those of the data: no /Decode array and no colour space of the PDF applied.
    grey: they may be left out.
    None for kinds whose pixels pdfium has to make. Raises DamagedFile, TooLarge.
    """
    filters = image.get_filters()
    if set(filters) <= set(pypdfium2.PdfImage.SIMPLE_FILTERS):
        _check_complete(image, filters)
        return None
    kind = _KINDS.get(filters[-1])
    if kind is None:
        return None
    data = bytes(image.get_data(decode_simple=True))
    pixels = decode_picture(data, kind, options, grey)
    return pixels if pixels.shape[1::-1] == image.get_px_size() else None


def checked_fax(image: pypdfium2.PdfImage, pixels: Pixels) -> Pixels:
    """A copy of what pdfium made of CCITT group 4 data, compared with what libtiff makes of it.

    Data are damaged where libtiff follows them for some rows with ink to the same pixels, and
    then finds a bad code or an end; pdfium carries on with something. Whatever libtiff does
    not follow from the start is of another group, or packed otherwise, and stays unchecked.
    Raises DamagedFile.
    """
    height, width = pixels.shape[:2]
    picture = TiffImagePlugin.TiffImageFile(_as_tiff(bytes(image.get_data()), width, height))
    with caught_stderr() as complaints:
        try:
            picture.load()
        except OSError:
            return pixels.copy()
    theirs = to_uint8(picture)
    if theirs[0, 0] != pixels[0, 0]:  # the data may mean the negative
        theirs = ~theirs
    whole = cv2.norm(theirs, pixels, cv2.NORM_INF) == 0
    if whole and not tells_of_damage(complaints()):
        return theirs
    alike = height if whole else int((theirs != pixels).any(axis=1).argmax())
    if np.count_nonzero(np.ptp(pixels[:alike], axis=1)) >= _ROWS_TO_TELL:
        raise DamagedFile(_DAMAGED)
    return pixels.copy()


def check_streams(data: bytes) -> None:
    """Unpack all Flate and LZW streams of a PDF but those of pictures. Raises DamagedFile.

    For a page that comes out empty: pdfium ends its content where that cannot be unpacked.
    """
    if b"/Encrypt" in data:
        return
    for start in re.finditer(rb"\bstream\r?\n", data):
        entries = data[data.rfind(b"obj", 0, start.start()) : start.start()]
        packed = data[start.end() : data.find(b"endstream", start.end())]
        if b"/Image" in entries or not packed.strip():
            continue
        kind = re.search(rb"/Filter\s*\[?\s*/(Flate|LZW)Decode", entries)
        if kind and kind[1] == b"Flate" and _inflated_size(packed) is None:
            raise DamagedFile(_DAMAGED_PAGE)
        early = 0 if re.search(rb"/EarlyChange\s+0", entries) else 1
        if kind and kind[1] == b"LZW" and not _is_lzw(packed, early):
            raise DamagedFile(_DAMAGED_PAGE)


def _as_tiff(data: bytes, width: int, height: int) -> io.BytesIO:
    """Fax data in the file format that libtiff reads: one strip of CCITT group 4."""
    tags = (
        *((256, width), (257, height), (258, 1), (259, 4), (262, 0)),
        *((273, 8), (278, height), (279, len(data))),
    )
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    header = b"II*\0" + struct.pack("<I", 8 + len(data))
    return io.BytesIO(header + data + struct.pack("<H", len(tags)) + directory + b"\0\0\0\0")


def _check_complete(image: pypdfium2.PdfImage, filters: list[str]) -> None:
    """See that unpacked data have the picture's rows. Raises DamagedFile."""
    if filters == ["FlateDecode"]:
        size = _inflated_size(bytes(image.get_data()))
    else:
        size = pdfium.FPDFImageObj_GetImageDataDecoded(image, None, 0)
    if size is None:
        raise DamagedFile(_DAMAGED)
    width, height = image.get_px_size()
    bits = image.get_metadata().bits_per_pixel
    if size >= height * -(-width * bits // 8):
        return
    # pdfium gives the bits after it has widened them: the file may hold 2 or 4 a colour.
    for fewer in (1, 2, 3, 4, 6, 8, 12):
        exact = height * -(-width * fewer // 8)
        if fewer < bits and exact <= size <= exact + height + 8:  # predictors add a byte a row
            return
    raise DamagedFile(_DAMAGED)


def _inflated_size(data: bytes) -> int | None:
    """Unpack a bit at a time, so that a bomb fills no memory; None where it cannot be done."""
    unpacker, size = zlib.decompressobj(), 0
    try:
        while data and not unpacker.eof:
            size += len(unpacker.decompress(data, 1 << 20))
            data = unpacker.unconsumed_tail
    except zlib.error:
        return None
    return size if unpacker.eof else None


def _is_lzw(data: bytes, early: int = 1) -> bool:
    """Whether LZW data, as PDF packs them, use no code before it has a meaning.

    early: how many codes too soon their width grows, as /EarlyChange says.
    """
    clear, end, first, last = 256, 257, 258, 4096
    held = bits = 0
    width, free, begun = 9, first, False
    for byte in data:
        held, bits = (held << 8 | byte) & 0xFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & (1 << width) - 1
        if code == end:
            break
        if code == clear:
            width, free, begun = 9, first, False
            continue
        if code > (free if begun else clear):  # the code that is being made has a meaning already
            return False
        free, begun = min(free + begun, last), True
        width = min(max(9, (free + early).bit_length()), 12)
    return True
