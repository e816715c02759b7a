"""Stages 1 to 6 for some pages of a document: what a worker process does.

A worker classifies and assembles where it was brought what it takes; else that is left to its
owner. Nothing here loads torch. What goes wrong with a page or a document comes back as a
sentence, so that one bad page never costs another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitocr.assemble import grammar_for
from digitocr.clean import clean
from digitocr.errors import DocumentError, place
from digitocr.ingest import OpenDocument, Source, open_document
from digitocr.lift import writings
from digitocr.looks import looked_at
from digitocr.mnist import SIDE
from digitocr.normalize import normalize
from digitocr.reader import Reader
from digitocr.recipe import Recipe, ValueOptions
from digitocr.risk import Bars
from digitocr.segment import segment
from digitocr.strips import HEIGHT
from digitocr.types import (
    Glyphs,
    Ink,
    ModelId,
    Page,
    PageReading,
    ReadError,
    Segments,
    Strip,
)

if TYPE_CHECKING:
    from digitocr.classify import Classifier
    from digitocr.transcribe import Transcriber

__all__ = ["FAULT", "Part", "bring", "failed_page", "prepare", "prepare_page"]

FAULT = "this failed through a fault in digitocr; please report it"
_MEMORY = "reading it takes more memory than the pipeline allows"
_CV_MEMORY = -4  # how OpenCV says that there is none left
_NO_CROPS = np.zeros((0, SIDE, SIDE), np.uint8)

_brought: list[tuple[Classifier, Reader]] = []  # to this process, if it is to read


@dataclass(frozen=True, slots=True)
class Part:
    """Some pages of a document: read, or prepared to be.

    sha256: of the file, "" where it could not be read. page_count: of the whole document.
    pages: to be classified and assembled. read: those that are, or why they are not.
    error: why the document cannot be read, "" where it can. transient: that may pass.
    faults: where in our own code something went wrong, for each time.
    """

    sha256: str = ""
    page_count: int = 0
    pages: tuple[Glyphs, ...] = ()
    read: tuple[PageReading | ReadError, ...] = ()
    error: str = ""
    faults: tuple[str, ...] = ()
    transient: bool = False


def bring(
    id: ModelId,
    data: bytes,
    transcriber: Transcriber | None,
    bars: Bars,
    value: ValueOptions,
    expected: Sequence[str] | None,
) -> None:
    """Let this process read what it prepares, on the processor.

    data: of the model's file. The others are what a pipeline has; a grammar cannot travel, so
    it is made here. Raises ModelError.
    """
    from digitocr.classify import arrived  # loads the runtime

    classifier = arrived(id, data, "cpu")
    classifier.probabilities(np.zeros((1, SIDE, SIDE), np.uint8), threads=1)  # all it loads
    if transcriber is not None:  # now, not at the page that needs it: memory does not grow later
        transcriber.transcribe([Strip(np.zeros((HEIGHT, HEIGHT), np.uint8), 1.0, 0.0)])
    _brought[:] = [(classifier, Reader(bars, grammar_for(value, expected), transcriber))]


def prepare(source: Source, first: int, count: int, recipe: Recipe) -> Part:
    """Prepare up to ``count`` pages of a file, beginning with page index ``first`` (from 0),
    and read them where this process was brought what it takes.

    Never raises: what goes wrong stands in the part.
    """
    faults: list[str] = []
    try:
        with open_document(source.path, recipe.ingest) as document:
            indices = range(first, min(first + count, document.page_count))
            pages: tuple[Glyphs, ...] = ()
            read: tuple[PageReading | ReadError, ...] = ()
            if _brought:
                read = tuple(_try_read(document, at, source.file, recipe, faults) for at in indices)
            else:
                pages = tuple(_try_page(document, at, recipe, faults) for at in indices)
            return Part(document.sha256, document.page_count, pages, read, faults=tuple(faults))
    except Exception as error:
        message = _sentence(error, faults)
        return Part(error=message, faults=tuple(faults), transient=_may_pass(error))


def prepare_page(page: Page, recipe: Recipe) -> Glyphs:
    """Clean, segment and normalize one page."""
    ink = clean(page, recipe.clean)
    segments = segment(ink, recipe.segment)
    return _glyphs(page, ink, segments, normalize(ink, segments), recipe)


def _read_page(
    page: Page, file: str, recipe: Recipe, classifier: Classifier, reader: Reader
) -> PageReading:
    """The numbers of one page."""
    ink = clean(page, recipe.clean)
    segments = segment(ink, recipe.segment)
    probabilities = _classified(ink, segments, classifier)
    return reader.page(file, _glyphs(page, ink, segments, _NO_CROPS, recipe), probabilities)


def _glyphs(
    page: Page, ink: Ink, segments: Segments, crops: NDArray[np.uint8], recipe: Recipe
) -> Glyphs:
    """What assembly takes of a page. crops: uint8 (N, 28, 28), or none where none are needed."""
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
        crops=crops,
        writing=writings(ink, segments) if recipe.model.numbers else (),
    )


def _classified(ink: Ink, segments: Segments, classifier: Classifier) -> NDArray[np.float32]:
    """float32 (N, 11) of a page's candidates; only those that are looked at are normalized."""

    def classify(looks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float32]:
        (look,) = looks
        return classifier.probabilities(normalize(ink, segments, look), threads=1)

    (probabilities,) = looked_at([segments], classify)
    return probabilities


def _try_page(document: OpenDocument, index: int, recipe: Recipe, faults: list[str]) -> Glyphs:
    """One page, or what stands for it where it cannot be read."""
    try:
        return prepare_page(document.page(index, grey=True), recipe)
    except Exception as error:
        return failed_page(index + 1, _sentence(error, faults), transient=_may_pass(error))


def _try_read(
    document: OpenDocument, index: int, file: str, recipe: Recipe, faults: list[str]
) -> PageReading | ReadError:
    """The numbers of one page, or why there are none."""
    try:
        return _read_page(document.page(index, grey=True), file, recipe, *_brought[0])
    except Exception as error:
        return ReadError(index + 1, _sentence(error, faults), _may_pass(error))


def _sentence(error: Exception, faults: list[str]) -> str:
    """What to tell of an error; one that nobody foresaw is added to ``faults``."""
    if isinstance(error, DocumentError):
        return str(error)
    if isinstance(error, MemoryError) or getattr(error, "code", None) == _CV_MEMORY:
        return _MEMORY
    faults.append(place(error))
    return FAULT


def _may_pass(error: Exception) -> bool:
    """Whether the cause lies outside the document: too little memory, a fault of ours."""
    return error.transient if isinstance(error, DocumentError) else True


def failed_page(number: int, message: str, *, transient: bool) -> Glyphs:
    """A page without glyphs that says why. transient: that may pass."""
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
        crops=_NO_CROPS,
        error=message,
        transient=transient,
    )
