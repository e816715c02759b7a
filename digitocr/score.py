"""Documents against a truth table: how many fields are read exactly, and at what risk."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from digitocr.errors import UsageError
from digitocr.types import Document, Number

__all__ = ["Truth", "edits", "read_truth", "score_documents"]

_COLUMNS = ("file", "page", "field", "value")
_ERRORS = (0.0, 0.001, 0.01)
_BINS = 15  # of the calibration error, as in Guo et al. 2017
_UNNAMED = re.compile(r"n\d+|")  # the names that fields have where there is no template
_NOT_DIGITS = re.compile(r"[^0-9]")


@dataclass(frozen=True, slots=True)
class Truth:
    """What stands in one field: the digits as written, empty where it is blank."""

    file: str
    page: int
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was read for one truth row. confidence: None where nothing was."""

    field: str
    exact: bool
    confidence: float | None


def score_documents(documents: Iterable[Document], truth: Path) -> dict[str, Any]:
    """Score documents against a CSV table of ``file,page,field,value``.

    A truth row is compared with the digits of ``text``; an empty value means that the
    field is there and blank. Where the run has a template, the row of that name is
    compared. Where it has none, or the truth no field name, a truth row is read exactly
    when some row of its page bears its digits; else the row most like it, if any is like
    it at all and answers no other truth, is taken for its misreading.

    Returns ``fields`` (a count) and ``exact`` (the share read so), ``read_rate_at_error``
    (for each error, the largest share of fields that a confidence cut accepts with no more
    than that share of them wrong), ``calibration_error`` (expected, over 15 equal bins; Guo
    et al. 2017), ``per_field`` (both by name) and ``extra_rows`` (rows ok, for review or
    blank, on any page, that answer no truth row). Shares are 0 to 1, None without data.

    Raises UsageError where the truth cannot be read, or names no file that was.
    """
    wanted = read_truth(truth)
    pages: dict[tuple[str, int | None], _Page] = defaultdict(_Page)
    for row in wanted:
        pages[row.file, row.page].asked.append(row)
    files, names = set(), set()
    for document in documents:
        files.add(document.file)
        for number in document.numbers:
            names.add(number.field)
            if number.status not in ("missing", "error"):
                pages[number.file, number.page].read.append(number)
    if not files & {row.file for row in wanted}:
        raise UsageError(f"{truth} names none of the files that were read")
    templated = any(not _UNNAMED.fullmatch(name) for name in names)
    scored = [_answer(page, templated) for page in pages.values()]
    answers = [answer for found, _ in scored for answer in found]
    return _summary(answers, extra=sum(left for _, left in scored))


@dataclass(slots=True)
class _Page:
    """What should be read on a page, and what is there to read."""

    asked: list[Truth] = field(default_factory=list)
    read: list[Number] = field(default_factory=list)


def read_truth(path: Path) -> list[Truth]:
    """The rows of a truth table. Raises UsageError with what is wrong, and where."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            absent = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if absent:
                raise UsageError(
                    f"{path} has no column {absent[0]}; it needs {', '.join(_COLUMNS)}"
                )
            return [_truth(row, f"{path}, line {table.line_num}") for row in table]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no table in UTF-8: {error}") from error


def _truth(row: dict[str, str | None], where: str) -> Truth:
    file, page, name, value = ((row[column] or "").strip() for column in _COLUMNS)
    if not re.fullmatch("[1-9][0-9]*", page):
        raise UsageError(f"{where}: the page must be a number from 1")
    if _NOT_DIGITS.search(value):
        raise UsageError(f"{where}: the value must be the digits alone, or empty for blank")
    return Truth(file, int(page), name, value)


def _answer(page: _Page, templated: bool) -> tuple[list[_Answer], int]:
    """What was read for each truth row of a page, and how many rows answer none."""
    answers: list[_Answer] = []
    unread: list[Truth] = []
    others = dict(enumerate(page.read))
    for row in page.asked:
        named = templated and row.field != ""
        mine = {
            index: number
            for index, number in enumerate(page.read)
            if (number.field == row.field if named else _digits(number) == row.value)
        }
        for index in mine:
            others.pop(index, None)
        if mine:
            best = max(mine.values(), key=lambda n: (_digits(n) == row.value, n.confidence))
            answers.append(_Answer(row.field, _digits(best) == row.value, best.confidence))
        elif named:
            answers.append(_Answer(row.field, False, None))
        else:
            unread.append(row)
    return answers + _misread(unread, list(others.values())), len(others)


def _misread(unread: Sequence[Truth], others: list[Number]) -> list[_Answer]:
    """The row that each unread truth was most likely read as; a row serves once."""
    answers = []
    for row in unread:
        likest = min(others, key=lambda n: edits(_digits(n), row.value), default=None)
        if likest is not None and 2 * edits(_digits(likest), row.value) < len(row.value):
            others.remove(likest)
            answers.append(_Answer(row.field, False, likest.confidence))
        else:
            answers.append(_Answer(row.field, False, None))
    return answers


def _digits(number: Number) -> str:
    return _NOT_DIGITS.sub("", number.text)


def edits(one: str, other: str) -> int:
    """How many digits to change, add or drop (Levenshtein 1966)."""
    before = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        now = [i]
        for j, b in enumerate(other, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (a != b)))
        before = now
    return before[-1]


def _summary(answers: Sequence[_Answer], extra: int) -> dict[str, Any]:
    by_name: dict[str, list[_Answer]] = {}
    for answer in answers:
        by_name.setdefault(answer.field, []).append(answer)
    per_field = {
        name: {"fields": len(own), "exact": _exact_share(own)} for name, own in by_name.items()
    }
    return {
        "fields": len(answers),
        "exact": _exact_share(answers),
        "read_rate_at_error": {f"{error:g}": _read_rate(answers, error) for error in _ERRORS},
        "calibration_error": _calibration_error(answers),
        "per_field": per_field,
        "extra_rows": extra,
    }


def _exact_share(answers: Sequence[_Answer]) -> float | None:
    """The share of fields that were read exactly."""
    return sum(answer.exact for answer in answers) / len(answers) if answers else None


def _read_rate(answers: Sequence[_Answer], error: float) -> float | None:
    """The largest share accepted by a cut that leaves ``error`` among the accepted."""
    if not answers:
        return None
    best = accepted = wrong = 0
    read = [
        (answer.confidence, answer.exact) for answer in answers if answer.confidence is not None
    ]
    for _, group in groupby(sorted(read, reverse=True), key=itemgetter(0)):
        exact = [exact for _, exact in group]  # a cut takes or leaves equals together
        accepted += len(exact)
        wrong += len(exact) - sum(exact)
        if wrong <= error * accepted:
            best = accepted
    return best / len(answers)


def _calibration_error(answers: Sequence[_Answer]) -> float | None:
    """By how much confidence and exactness differ, over bins of equal width."""
    gaps: dict[int, float] = defaultdict(float)
    read = [
        (answer.confidence, answer.exact) for answer in answers if answer.confidence is not None
    ]
    for confidence, exact in read:
        gaps[min(int(confidence * _BINS), _BINS - 1)] += confidence - exact
    return sum(map(abs, gaps.values())) / len(read) if read else None
