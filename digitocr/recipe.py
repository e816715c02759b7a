"""How a page is read: one frozen options class per stage, filled from a pipeline file.

A pipeline file is TOML with one table per stage; every key has a default, so an empty
file is a valid pipeline. An unknown key or a value of the wrong type is an error that
names the valid ones.
"""

from __future__ import annotations

import sys
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from digitocr.errors import PipelineError

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser, from PyPI, until 3.10 is gone
    import tomli as tomllib

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
    working_dpi: int = 200  # pages of known, finer resolution are read at this one
    min_side: int = 1400  # pixels; where the resolution is unknown, the longer side of the
    max_side: int = 2400  # page is brought between these two


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """What counts as a field."""

    cells: bool = True  # rows of cells
    boxes: bool = True  # one box around a number
    free: bool = True  # numbers on open paper


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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineError(f"the pipeline file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"the pipeline file {path} is not valid TOML: {error}") from error
    table.setdefault("name", path.stem)
    recipe: Recipe = _fill(Recipe, table, where=str(path))
    return recipe


def _fill(options: type, table: dict[str, Any], where: str) -> Any:
    """An options object from a TOML table; nested tables fill nested options."""
    types = typing.get_type_hints(options)
    valid = [f.name for f in fields(options)]
    unknown = sorted(set(table) - set(valid))
    if unknown:
        raise PipelineError(
            f"{where}: unknown key '{unknown[0]}'; the valid ones are {', '.join(valid)}"
        )
    return options(**{key: _value(types[key], table[key], f"{where}: {key}") for key in table})


def _value(kind: Any, value: Any, where: str) -> Any:
    """The value, if it is of the kind that the option's annotation asks for."""
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise PipelineError(f"{where} must be a table")
        return _fill(kind, value, where)
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise PipelineError(
                f"{where} must be one of {', '.join(map(repr, typing.get_args(kind)))}, not {value!r}"
            )
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise PipelineError(f"{where} must be a {kind.__name__}, not {value!r}")
    return value
