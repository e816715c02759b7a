"""What flows between the stages.

Conventions, everywhere:

* Arrays are indexed row, column. Boxes are ``(left, top, right, bottom)``, half-open, int.
* 255 is paper in pages, 255 is ink in masks and crops.
* A picture that is not the page as loaded carries ``to_page``, a float64 (2, 3) affine
  matrix that takes its (x, y, 1) pixel *corner* coordinates to those of the upright page.
* N may be 0, with the right dtype. Values are text, never int.
* A stage never writes into its argument.

The way through::

    file -> Page -> Ink -> Segments -> Glyphs -> probabilities -> Number -> Document
       ingest   clean  segment  normalize  classify       assemble   pipeline
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "CLASSES",
    "NOT_A_DIGIT",
    "Box",
    "Digit",
    "Document",
    "Field",
    "Glyphs",
    "Grammar",
    "Ink",
    "ModelId",
    "Number",
    "Page",
    "PageReading",
    "ReadError",
    "Segments",
    "Status",
    "Strip",
    "StripReading",
    "Trust",
    "Writing",
]

Box = tuple[int, int, int, int]
Status = Literal["ok", "review", "blank", "missing", "error"]

CLASSES = "0123456789"
NOT_A_DIGIT = 10  # the eleventh output of every model


@dataclass(frozen=True, slots=True)
class Page:
    """One page as loaded: EXIF and PDF rotation applied, nothing else.

    number: from 1.
    pixels: uint8 (H, W) grey or (H, W, 3) RGB, 255 is paper.
    dpi: pixels per inch, None where the file says nothing credible.
    """

    number: int
    pixels: NDArray[np.uint8]
    dpi: float | None = None


@dataclass(frozen=True, slots=True)
class Ink:
    """A page reduced to its ink: upright, straight, at working scale.

    grey: uint8 (h, w), background flattened to 255 (paper), ink dark.
    mask: uint8 (h, w), 255 where there is ink that is no ruled line, else 0.
    lines: uint8 (h, w), 255 where a ruled line (of a box, a table, a rule to write on) runs.
    to_page: float64 (2, 3), from pixels of this picture to those of the upright page.
    page_size: (width, height) of the upright page in pixels.
    rotation: 0, 90, 180 or 270, degrees clockwise by which the page as loaded was turned.
    skew: degrees; positive where the text of the upright page runs downhill to the right.
    """

    grey: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    lines: NDArray[np.uint8]
    to_page: NDArray[np.float64]
    page_size: tuple[int, int]
    rotation: int
    skew: float


@dataclass(frozen=True, slots=True)
class Field:
    """A place on the page where one number stands.

    kind: "cells" for a row of cells, "box" for one box around a number, "free" for a
        number on open paper, "given" for a field named by a template.
    box: in pixels of the ink picture.
    cells: the cells' boxes from left to right; empty for the other kinds.
    name: the template's name; empty where there is no template.
    doubt: what is odd about the place, a reason for a person to look; empty where nothing is.
    """

    kind: Literal["cells", "box", "free", "given"]
    box: Box
    cells: tuple[Box, ...] = ()
    name: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Segments:
    """Fields and the pieces of ink in them: what may be a digit, before any is read.

    A piece (atom) is a connected component, or a part of one where it may hold several
    digits. A candidate is a run of neighbouring atoms of one field that may be one glyph:
    the edges of the field's lattice.

    fields: in reading order.
    labels: int16 (h, w), 0 for background, k + 1 for atom k; int32 where there are more atoms
        than those can tell.
    atom_boxes: int32 (A, 4), atoms sorted by field, then from left to right.
    field: int32 (N,), the index of each candidate's field.
    span: int32 (N, 2), the half-open range of atoms that make up each candidate.
    boxes: int32 (N, 4), in pixels of the ink picture.
    cuts: uint8 (N,), how many of the candidate's two sides are cut through ink.
    mark: uint8 (N,), the ASCII code of the separator (one of ``.,-/'``) that the
        candidate's size, place and shape allow it to be, 0 where none.
    """

    fields: tuple[Field, ...]
    labels: NDArray[np.integer]
    atom_boxes: NDArray[np.int32]
    field: NDArray[np.int32]
    span: NDArray[np.int32]
    boxes: NDArray[np.int32]
    cuts: NDArray[np.uint8]
    mark: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Writing:
    """The ink of one field as it was written: what strips are lifted of.

    grey: uint8 (h, w), as of ``Ink``. labels: (h, w), as of ``Segments``.
    left, top: the pixel of the ink picture where they begin.
    first: the field's first atom. boxes: int32 (A, 4), of its atoms, in pixels of the ink
        picture.
    """

    grey: NDArray[np.uint8]
    labels: NDArray[np.integer]
    left: int
    top: int
    first: int
    boxes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Strip:
    """A number as a picture in the format of ``strips``.

    pixels: uint8 (32, w), 255 is ink. scale: its pixels for one of the ink picture.
    left: the column of the ink picture where it begins.
    """

    pixels: NDArray[np.uint8]
    scale: float
    left: float


@dataclass(frozen=True, slots=True)
class Trust:
    """How much the logarithms of two readers' shares count.

    strip, lattice, cut: weights, 0 and more; the last is the lattice's where its best reading
    is cut through ink. least: what a share of the lattice is at least taken for; a value it has
    none for may only have no cuts to part its digits.
    """

    strip: float = 0.7
    lattice: float = 0.5
    cut: float = 0.3
    least: float = -9.0


@dataclass(frozen=True, slots=True)
class StripReading:
    """What a strip says.

    shares: float32 (signs + 1, T), the logarithms of the shares of each sign and of "nothing
        new" in each of its columns.
    left, step: the column of the ink picture where the first begins, and their width there.
    trust: in this reader and in the lattice beside it.
    """

    shares: NDArray[np.float32]
    left: float
    step: float
    trust: Trust


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The candidates of one page as one batch: what crosses from a worker to the parent, where
    the worker does not read them itself.

    number, page_size, dpi, rotation, skew, to_page: of the page, as in ``Page`` and ``Ink``.
    fields: as in ``Segments``.
    field, span, boxes, cuts, mark: as in ``Segments``; boxes in pixels of the ink picture.
    crops: uint8 (N, 28, 28), in MNIST format, 255 is ink; (0, 28, 28) once classified.
    writing: of each field, where numbers are read as a whole, too; else empty. None where a field
        has cells or no ink.
    error: a sentence where the page could not be read, else empty; then N is 0.
    transient: whether that may pass, as in ``ReadError``.
    """

    number: int
    page_size: tuple[int, int]
    dpi: float | None
    rotation: int
    skew: float
    to_page: NDArray[np.float64]
    fields: tuple[Field, ...]
    field: NDArray[np.int32]
    span: NDArray[np.int32]
    boxes: NDArray[np.int32]
    cuts: NDArray[np.uint8]
    mark: NDArray[np.uint8]
    crops: NDArray[np.uint8]
    writing: tuple[Writing | None, ...] = ()
    error: str = ""
    transient: bool = False


class Grammar(Protocol):
    """Texts of digits and the separators ``. , - / '`` that may stand in a field."""

    @property
    def start(self) -> Hashable:
        """The state of the empty text."""

    def step(self, state: Any, sign: str) -> Hashable | None:
        """The state of a text with one more sign, None where nothing valid begins so."""

    def value(self, text: str, state: Any) -> str | None:
        """The canonical value of a whole text in its state, None where it is not valid."""


@dataclass(frozen=True, slots=True)
class Digit:
    """One digit as read. box in pixels of the upright page; alternatives best first."""

    value: str
    confidence: float
    box: Box
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """One number, or the row that stands for one that could not be read.

    page: from 1. None where the whole document could not be read.
    field: the template's name, or n1, n2, ... in reading order.
    value: the digits, or the canonical form of a typed field.
    text: what stands on the paper, with separators as written.
    confidence: 0 to 1, the probability that the whole value is right.
    box: in pixels of the upright page, None where there is no place.
    message: why, for review, missing and error.
    """

    file: str
    page: int | None
    field: str
    value: str
    text: str
    confidence: float
    status: Status
    box: Box | None = None
    message: str = ""
    digits: tuple[Digit, ...] = ()


@dataclass(frozen=True, slots=True)
class PageReading:
    """One page with the numbers read on it; rotation and skew in degrees as in ``Ink``."""

    page: int
    width: int
    height: int
    dpi: float | None
    rotation: int
    skew: float
    numbers: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class ReadError:
    """Why a document (page None) or one of its pages could not be read.

    transient: the cause lies outside the document and may pass: another run may read it.
    """

    page: int | None
    message: str
    transient: bool = False


@dataclass(frozen=True, slots=True)
class ModelId:
    """The model a document was read with: its name and the SHA-256 of its file, in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Document:
    """One file and all that was read in it.

    file: relative to the input it was found under, "/" between parts.
    sha256: of the file's bytes, in hex; empty where they could not be read.
    pipeline: the pipeline's name.
    """

    file: str
    sha256: str
    pipeline: str
    model: ModelId
    pages: tuple[PageReading, ...] = ()
    errors: tuple[ReadError, ...] = field(default=())

    @property
    def numbers(self) -> Iterator[Number]:
        """The document's rows by page and reading order, what failed as a whole last."""
        rows = [number for page in self.pages for number in page.numbers]
        rows += [self._failed(error) for error in self.errors]
        yield from sorted(rows, key=lambda row: (row.page is None, row.page or 0))

    def _failed(self, error: ReadError) -> Number:
        """The row that stands for what could not be read."""
        return Number(
            file=self.file,
            page=error.page,
            field="",
            value="",
            text="",
            confidence=0.0,
            status="error",
            message=error.message,
        )
