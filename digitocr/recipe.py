"""How a page is read: one frozen options class per stage, filled from a pipeline file.

A pipeline file is TOML with one table per stage; every key has a default, so an empty
file is a valid pipeline. An unknown key or a value of the wrong type is an error that
names the valid ones.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from digitocr.errors import PipelineError
from digitocr.options import filled, load_options

__all__ = [
    "AssembleOptions",
    "CleanOptions",
    "IngestOptions",
    "ModelOptions",
    "Recipe",
    "SegmentOptions",
    "ValueOptions",
    "checked_value",
    "load_recipe",
    "range_of",
]

_CHECKABLE = ("number", "digits", "pattern")
_MOST_DIGITS = 64  # of one number; the longest in use, of bank accounts, have 34 signs


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
    """Which models read."""

    name: str = "digits"  # the digits: a file under models/, or a path
    numbers: str = ""  # beside it, given fields as a whole, likewise; "" for none
    batch: int = 256  # crops


@dataclass(frozen=True, slots=True)
class AssembleOptions:
    """When a number is sure enough."""

    min_confidence: float = 0.9  # below it a number is marked for review
    max_error: float = 0.0  # instead: the share of accepted numbers that may be wrong, by the
    # tables of the models; 0 for min_confidence


@dataclass(frozen=True, slots=True)
class ValueOptions:
    """What may stand in a field: separators are ``. , - / '`` as read on the paper."""

    kind: Literal["number", "digits", "amount", "date", "time", "pattern"] = "number"
    # number: any digits. The other kinds:
    digits: str = ""  # of digits: how many, "9" or "5-8"
    pattern: str = ""  # of a pattern: the regular expression that the whole text matches
    decimals: int = 2  # of an amount, 0 to 4: how many digits follow its point, if one is written
    point: Literal["written", "implied"] = "written"  # implied: the last ``decimals`` digits are
    # decimals where no separator is written, as in boxes with a printed point
    order: Literal["dmy", "mdy", "ymd"] = "dmy"  # of a date's day, month and year
    years: str = ""  # of a date: only these, "1990-2035" or "2024"
    hours: Literal[12, 24] = 24  # of a time: 01 to 12, or 00 to 23
    # of a number, of digits and of a pattern: the rule of its check digits
    check: Literal["", "luhn", "aba", "iso7064-97-10", "iso7064-11-10", "iso7064-11-2"] = ""


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What one document may cost before it is given up."""

    page_seconds: float = 60.0
    worker_megabytes: int = 1600  # of address space; a picture of 64 megapixels may need 1400


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole pipeline. name: what the outputs call it."""

    name: str = "default"
    ingest: IngestOptions = field(default_factory=IngestOptions)
    clean: CleanOptions = field(default_factory=CleanOptions)
    segment: SegmentOptions = field(default_factory=SegmentOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    assemble: AssembleOptions = field(default_factory=AssembleOptions)
    value: ValueOptions = field(default_factory=ValueOptions)
    limits: LimitOptions = field(default_factory=LimitOptions)


def load_recipe(path: Path) -> Recipe:
    """Read a pipeline file.

    Raises PipelineError where the file is missing, is no TOML, or has a key or a value
    that no stage knows.
    """
    recipe = load_options(Recipe, path, "pipeline file", name=path.stem)
    checked_value(recipe.value, f"{path}: value")
    if not 0 <= recipe.assemble.max_error < 1:
        raise PipelineError(f"{path}: assemble: max_error must be from 0 to 1, as in 0.01")
    return recipe


def checked_value(options: ValueOptions, where: str) -> ValueOptions:
    """The options, if they make sense; a pattern is only tried where the grammar is made.

    where: what messages name as their place. Raises PipelineError.
    """
    filled(ValueOptions, asdict(options), where)  # types and choices, if no file was read
    kind = options.kind
    demands = {
        f"digits must say how many from 1 to {_MOST_DIGITS}, as in '9' or '5-8'": (
            kind != "digits" or _within(options.digits, 1, _MOST_DIGITS)
        ),
        "digits needs kind = 'digits'": kind == "digits" or not options.digits,
        "pattern must be a regular expression, as in '[0-9]{3}-[0-9]{4}'": (
            kind != "pattern" or options.pattern != ""
        ),
        "pattern needs kind = 'pattern'": kind == "pattern" or not options.pattern,
        "decimals must be from 0 to 4": 0 <= options.decimals <= 4,
        "point = 'implied' needs kind = 'amount'": kind == "amount" or options.point == "written",
        "years needs kind = 'date'": kind == "date" or not options.years,
        "years must be from 1000 to 9999, as in '1990-2035' or '2024'": (
            not options.years or _within(options.years, 1000, 9999)
        ),
        f"check needs kind = {', '.join(map(repr, _CHECKABLE))}": (
            kind in _CHECKABLE or not options.check
        ),
    }
    for demand, met in demands.items():
        if not met:
            raise PipelineError(f"{where}: {demand}")
    return options


def range_of(text: str) -> tuple[int, int] | None:
    """The least and the most of a range as ``digits`` and ``years`` say it, None for no range."""
    found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", text)
    return (int(found[1]), int(found[2] or found[1])) if found else None


def _within(text: str, least: int, most: int) -> bool:
    span = range_of(text)
    return span is not None and least <= span[0] <= span[1] <= most
