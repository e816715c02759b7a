"""A document as bytes, and back: exactly, to the last bit of every number.

The file's name is left out, for it is the content that is kept and files are renamed.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from digitocr.types import Box, Digit, Document, ModelId, Number, PageReading, ReadError

__all__ = ["packed", "unpacked"]

_LEVEL = 1  # of compression: an eighth larger than by default, in less than half the time


def packed(document: Document) -> bytes:
    """The document without its file's name: JSON, compressed."""
    said = json.dumps(document, default=_entries, separators=(",", ":"))
    return zlib.compress(said.encode(), _LEVEL)


def _entries(one: Document | PageReading | Number | Digit | ReadError | ModelId) -> dict[str, Any]:
    """What to write for one. Not by ``asdict``, which copies each number and text it meets."""
    return {name: getattr(one, name) for name in one.__slots__ if name != "file"}


def unpacked(data: bytes, file: str) -> Document:
    """The document, under the name of a file. Raises ValueError where the bytes are damaged."""
    try:
        content = json.loads(zlib.decompress(data))
        return _document(content, file)
    except (zlib.error, LookupError, TypeError) as error:
        raise ValueError("no document") from error


def _document(content: dict[str, Any], file: str) -> Document:
    parts = {
        "model": ModelId(**content["model"]),
        "pages": tuple(_page(page, file) for page in content["pages"]),
        "errors": tuple(ReadError(**error) for error in content["errors"]),
    }
    return Document(**content | parts, file=file)


def _page(content: dict[str, Any], file: str) -> PageReading:
    numbers = tuple(_number(number, file) for number in content["numbers"])
    return PageReading(**content | {"numbers": numbers})


def _number(content: dict[str, Any], file: str) -> Number:
    digits = tuple(_digit(digit) for digit in content["digits"])
    return Number(**content | {"box": _box(content["box"]), "digits": digits}, file=file)


def _digit(content: dict[str, Any]) -> Digit:
    alternatives = tuple((value, share) for value, share in content["alternatives"])
    return Digit(**content | {"box": _box(content["box"]), "alternatives": alternatives})


def _box(edges: list[int] | None) -> Box | None:
    if edges is None:
        return None
    left, top, right, bottom = edges
    return left, top, right, bottom
