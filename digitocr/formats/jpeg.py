"""JPEG, strictly: missing or broken data are an error and no grey area."""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.errors import DamagedFile
from digitocr.formats.complaints import caught_stderr, tells_of_damage
from digitocr.formats.modes import grey_if_grey, one_channel

__all__ = ["DAMAGED", "decode_jpeg"]

Pixels = NDArray[np.uint8]

_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
DAMAGED = "the picture is damaged or cut short; scan or copy it again"


def decode_jpeg(data: bytes, mode: str, grey: bool = False) -> Pixels:
    """Decode a JPEG of mode "L" or "RGB"; missing or broken data are errors.

    grey: colour may be left out.
    Raises DamagedFile, UnsupportedFile.
    """
    if not _ends_well(data):
        raise DamagedFile(DAMAGED)
    # The end mark makes libjpeg complain where data are missing, in place of waiting for more.
    buffer = np.frombuffer(data + b"\xff\xd9", np.uint8)
    flags = cv2.IMREAD_GRAYSCALE if mode == "L" else cv2.IMREAD_COLOR_RGB
    with caught_stderr() as complaints:
        pixels = cv2.imdecode(buffer, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    said = complaints()
    if pixels is None or (tells_of_damage(said) and not _is_padding(said, data)):
        raise DamagedFile(DAMAGED)
    decoded = np.asarray(pixels, np.uint8)
    if mode == "L":
        return decoded
    return one_channel(decoded) if grey else grey_if_grey(decoded)


def _ends_well(data: bytes) -> bool:
    """Whether a JPEG of several scans has its end mark; of a single one, libjpeg can tell.

    Looked for behind the scans and not from the back, for phones append films and depth maps.
    """
    if data.endswith(b"\xff\xd9"):
        return True
    position, scans = 2, 0
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == 0xD9:
            return True
        position += int.from_bytes(data[position : position + 2], "big")
        scans += marker == 0xDA
    return scans == 1


def _is_padding(said: bytes, data: bytes) -> bool:
    """Whether all that libjpeg complains of are filling bytes before the end mark."""
    match = re.fullmatch(
        rb"\s*Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9\s*", said
    )
    if match is None:
        return False
    end = data.rfind(b"\xff\xd9")
    return not data[end - int(match[1]) : end].strip(b"\0\xff")
