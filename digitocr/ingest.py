"""Stage 1: files and folders -> upright pages.

``find_documents`` lists what there is, ``open_document`` reads one of it. Files are typed by
their bytes, never by their names. The decoders are loaded by who reads the first file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from digitocr.errors import UnsupportedFile
from digitocr.formats.files import (
    Found,
    Source,
    content_hash,
    find_documents,
    open_regular,
    read_bytes,
    sniff,
)
from digitocr.recipe import IngestOptions
from digitocr.types import Page

if TYPE_CHECKING:
    from digitocr.formats.pdf import Pdf
    from digitocr.formats.picture import Picture
    from digitocr.formats.poppler import Poppler

__all__ = [
    "Found",
    "OpenDocument",
    "Source",
    "content_hash",
    "find_documents",
    "open_document",
    "open_regular",
]


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """A document whose pages can be read, in any order, cheapest in their own.

    page_count: at least 1. sha256: of the file's bytes, in hex.
    """

    page_count: int
    sha256: str
    _reader: Pdf | Poppler | Picture

    def page(self, index: int, *, grey: bool = False) -> Page:
        """Decode a page, from 0; ``Page.number`` counts from 1.

        grey: colour may be left out, where to look whether there is any would cost more.
        Raises DocumentError (DamagedFile, TooLarge, UnsupportedFile) for this page alone,
        IndexError where there is no such page.
        """
        if not 0 <= index < self.page_count:
            raise IndexError(f"page index {index} of {self.page_count}")
        pixels, dpi = self._reader.page(index, grey)
        return Page(number=index + 1, pixels=pixels, dpi=dpi)


@contextmanager
def open_document(path: Path, options: IngestOptions) -> Iterator[OpenDocument]:
    """Open a PDF or picture for as long as the block runs.

    Raises DocumentError with a sentence for the person at the desk: UnreadableFile,
    EmptyFile, UnsupportedFile, DamagedFile, EncryptedFile, TooLarge.
    """
    data = read_bytes(path, options.max_megabytes)
    with closing(_reader(data, options)) as reader:
        yield OpenDocument(reader.page_count, hashlib.sha256(data).hexdigest(), reader)


def _reader(data: bytes, options: IngestOptions) -> Pdf | Poppler | Picture:
    kind = sniff(data)
    if kind is None:
        raise UnsupportedFile(
            "this is no PDF and no picture of a kind that is read here "
            "(TIFF, PNG, JPEG, JPEG 2000, BMP, WebP, GIF, PNM); save it as one of them"
        )
    if kind == "PDF":
        from digitocr.formats.pdf import open_pdf

        return open_pdf(data, options)
    from digitocr.formats.picture import Picture

    return Picture(data, kind, options)
