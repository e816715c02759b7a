"""How a page is read: one frozen options class per stage, filled from a pipeline file.

A pipeline file is TOML with one table per stage; every key has a default, so an empty
file is a valid pipeline. An unknown key or a value of the wrong type is an error that
names the valid ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from digitocr.options import load_options

__all__ = [
    "AssembleOptions",
    "CleanOptions",
    "IngestOptions",
    "ModelOptions",
    "Recipe",
    "SegmentOptions",
    "load_recipe",
]


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How files become pages."""

    renderer: Literal["pdfium", "poppler"] = "pdfium"  # draws PDF pages that are no one scan
    render_dpi: int = 300  # of drawn PDF pages
    render_megapixels: float = 16.0  # a drawn page is made smaller to fit
    max_megapixels: float = 64.0  # of one picture, checked before it is decoded
    max_pages: int = 2000  # of one document
    max_megabytes: float = 512.0  # of one file


@dataclass(frozen=True, slots=True)
class CleanOptions:
    """How a page becomes ink."""

    turn: bool = True  # find out which way is up (0, 90, 180, 270)
    deskew: bool = True
    max_skew: float = 10.0  # degrees to either side
    remove_lines: bool = True
    cut_out: bool = False  # a picture is one field: one pen, on paper that may be patterned
    working_dpi: int = 200  # pages of known, finer resolution are read at this one
    min_side: int = 1400  # pixels; where the resolution is unknown, the longer side of the
    max_side: int = 2400  # page is brought between these two


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """What counts as a field."""

    cells: bool = True  # rows of cells
    boxes: bool = True  # one box around a number
    free: bool = True  # numbers on open paper
    whole: bool = False  # each picture is one number, cut out; nothing else is looked for


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model reads the digits."""

    name: str = "digits"  # a file under models/, or a path
    batch: int = 256  # crops


@dataclass(frozen=True, slots=True)
class AssembleOptions:
    """When a number is sure enough."""

    min_confidence: float = 0.9  # below it a number is marked for review


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What one document may cost before it is given up."""

    page_seconds: float = 60.0
    worker_megabytes: int = 3000


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole pipeline. name: what the outputs call it."""

    name: str = "default"
    ingest: IngestOptions = field(default_factory=IngestOptions)
    clean: CleanOptions = field(default_factory=CleanOptions)
    segment: SegmentOptions = field(default_factory=SegmentOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    assemble: AssembleOptions = field(default_factory=AssembleOptions)
    limits: LimitOptions = field(default_factory=LimitOptions)


def load_recipe(path: Path) -> Recipe:
    """Read a pipeline file.

    Raises PipelineError where the file is missing, is no TOML, or has a key or a value
    that no stage knows.
    """
    return load_options(Recipe, path, "pipeline file", name=path.stem)
