"""Stages 1 to 4 for some pages of a document: what a worker process does.

Nothing here loads torch. What goes wrong with a page or a document comes back as a
sentence, so that one bad page never costs another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digitocr.clean import clean
from digitocr.errors import DocumentError
from digitocr.ingest import OpenDocument, open_document
from digitocr.normalize import normalize
from digitocr.recipe import Recipe
from digitocr.segment import segment
from digitocr.types import Glyphs, Page

__all__ = ["Part", "failed_page", "prepare", "prepare_page"]


@dataclass(frozen=True, slots=True)
class Part:
    """Some pages of a document, ready to be classified.

    sha256: of the file, "" where it could not be read. page_count: of the whole document.
    error: why the document cannot be read, "" where it can.
    """

    sha256: str = ""
    page_count: int = 0
    pages: tuple[Glyphs, ...] = ()
    error: str = ""


def prepare(path: Path, first: int, count: int, recipe: Recipe) -> Part:
    """Prepare up to ``count`` pages of a file, beginning with page index ``first`` (from 0)."""
    try:
        with open_document(path, recipe.ingest) as document:
            stop = min(first + count, document.page_count)
            pages = tuple(_try_page(document, index, recipe) for index in range(first, stop))
            return Part(document.sha256, document.page_count, pages)
    except DocumentError as error:
        return Part(error=str(error))
    except MemoryError:
        return Part(error="reading it takes more memory than the pipeline allows")


def prepare_page(page: Page, recipe: Recipe) -> Glyphs:
    """Clean, segment and normalize one page."""
    ink = clean(page, recipe.clean)
    segments = segment(ink, recipe.segment)
    return Glyphs(
        number=page.number,
        page_size=ink.page_size,
        dpi=page.dpi,
        rotation=ink.rotation,
        skew=ink.skew,
        to_page=ink.to_page,
        fields=segments.fields,
        field=segments.field,
        span=segments.span,
        boxes=segments.boxes,
        cuts=segments.cuts,
        mark=segments.mark,
        crops=normalize(ink, segments),
    )


def _try_page(document: OpenDocument, index: int, recipe: Recipe) -> Glyphs:
    """One page, or what stands for it where it cannot be read."""
    try:
        return prepare_page(document.page(index), recipe)
    except DocumentError as error:
        return failed_page(index + 1, str(error))
    except MemoryError:
        return failed_page(index + 1, "the page takes more memory than the pipeline allows")


def failed_page(number: int, message: str) -> Glyphs:
    """A page without glyphs that says why."""
    return Glyphs(
        number=number,
        page_size=(0, 0),
        dpi=None,
        rotation=0,
        skew=0.0,
        to_page=np.eye(2, 3),
        fields=(),
        field=np.zeros(0, np.int32),
        span=np.zeros((0, 2), np.int32),
        boxes=np.zeros((0, 4), np.int32),
        cuts=np.zeros(0, np.uint8),
        mark=np.zeros(0, np.uint8),
        crops=np.zeros((0, 28, 28), np.uint8),
        error=message,
    )
