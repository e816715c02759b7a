"""Dates and times, as they stand on cheques and forms.

A separator says only that a part ends: a dot that the pen drew long is read as a comma, and
in the north of Europe 24/12-2020 is a date. So they may differ within a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date as day_of_calendar
from functools import cache, partial
from itertools import product

from digitocr.assembling.automaton import Automaton, of_patterns, one_of
from digitocr.assembling.kinds import Kind
from digitocr.types import CLASSES

__all__ = ["date", "time"]

_YEARS = (1000, 9999)  # of which dates may be where nothing is said
_LONG = (1, 3, 5, 7, 8, 10, 12)  # the months of 31 days
_PART_END = "[./,-]"
# A colon is seen as one mark or, one above the other, as two.
_COLON = "[.,'/-]{1,2}"


def date(order: str, years: tuple[int, int] | None = None) -> Kind:
    """Days that are in the calendar, by digits: 3.5.2024, 03/05/24, 030524.

    A year of two digits is of 1969 to 2068, as in POSIX. Where no separators stand, days and
    months have two digits. The value is YYYY-MM-DD.

    order: "dmy", "mdy" or "ymd". years: the first and the last.
    """
    first, last = years or _YEARS

    def listed(entry: str) -> str | None:
        value = _listed(_days(order, first, last), partial(_read_date, order=order), entry)
        return value or _canonical_day(entry)

    return Kind(
        patterns={"date": _date_pattern(order, first, last)},
        essential=_alike,
        padded=False,
        read=lambda essence, pattern: _read_date(essence, order),
        listed=listed,
        writings=lambda value: _date_writings(value, order),
    )


def time(hours: int) -> Kind:
    """Times of day, by digits: 9.30, 09:30, 0930; without a separator hours have two digits.

    The value is HH:MM. hours: 12, for 01 to 12, or 24, for 00 to 23.
    """
    full = [f"{hour:02d}" for hour in (range(24) if hours == 24 else range(1, 13))]
    minute = "[0-5][0-9]"
    parted = f"{one_of({*full, *map(_bare, full)})}{_COLON}{minute}"
    patterns = {"time": f"{parted}|{one_of(full)}{minute}"}
    return Kind(
        patterns=patterns,
        essential=_alike,
        padded=False,
        read=lambda essence, pattern: _read_time(essence),
        listed=partial(_listed, of_patterns(patterns), _read_time),
        writings=_time_writings,
    )


@cache
def _date_pattern(order: str, first: int, last: int) -> str:
    """All days of some years."""
    years = range(first, last + 1)
    leap = [year for year in years if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)]
    months = range(1, 13)
    of_days = [
        (range(1, 29), months, years),
        ((29, 30), [month for month in months if month != 2], years),
        ((31,), _LONG, years),
        ((29,), (2,), leap),
    ]
    return "|".join(
        _writings_pattern(order, days, of_months, of_years)
        for days, of_months, of_years in of_days
        if of_years
    )


def _writings_pattern(
    order: str, days: Iterable[int], months: Iterable[int], years: Iterable[int]
) -> str:
    """Any of some days in any of some months of any of some years."""
    year = one_of(_year_writings(years))
    choices = []
    for between, bare in ((_PART_END, True), ("", False)):
        day, month = one_of(_two_digits(days, bare)), one_of(_two_digits(months, bare))
        parts = {"d": day, "m": month, "y": year}
        choices.append(between.join(parts[part] for part in order))
    return "|".join(choices)


def _two_digits(numbers: Iterable[int], bare: bool) -> set[str]:
    """Each number by two digits; with ``bare`` also without the leading zero."""
    full = {f"{number:02d}" for number in numbers}
    return full | set(map(_bare, full)) if bare else full


def _bare(two_digits: str) -> str:
    return two_digits.removeprefix("0")


def _year_writings(years: Iterable[int]) -> set[str]:
    """Each year by four digits, and by two where those mean it."""
    full = {str(year) for year in years}
    return full | {year[2:] for year in full if _year(year[2:]) == int(year)}


def _year(digits: str) -> int:
    """The year of four digits or of two; by POSIX 69 to 99 are of the 1900s."""
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (1900 if int(digits) >= 69 else 2000)


def _alike(sign: str) -> str:
    """The sign, if it is a digit: which separator stands between parts means nothing."""
    return sign if sign in CLASSES else "."


def _read_date(essence: str, order: str) -> str:
    """The value of a valid date."""
    if "." in essence:
        parts = dict(zip(order, essence.split("."), strict=True))
    else:
        year = len(essence) - 4
        ends = {"dmy": (2, 4), "mdy": (2, 4), "ymd": (year, year + 2)}[order]
        cut = (essence[: ends[0]], essence[ends[0] : ends[1]], essence[ends[1] :])
        parts = dict(zip(order, cut, strict=True))
    return f"{_year(parts['y'])}-{int(parts['m']):02d}-{int(parts['d']):02d}"


def _read_time(essence: str) -> str:
    """The value of a valid time."""
    return f"{int(essence[:-2].rstrip('.')):02d}:{essence[-2:]}"


def _listed(automaton: Automaton, read: Callable[[str], str], entry: str) -> str | None:
    """The value of a text that might as well stand on the paper, None for any other."""
    if automaton.end(entry) is None:
        return None
    return read("".join(map(_alike, entry)))


def _canonical_day(entry: str) -> str | None:
    """The entry itself, if it is a day of the calendar as YYYY-MM-DD."""
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", entry):
        return None
    try:
        return day_of_calendar.fromisoformat(entry).isoformat()
    except ValueError:
        return None


@cache
def _days(order: str, first: int, last: int) -> Automaton:
    return of_patterns({"date": _date_pattern(order, first, last)})


def _date_writings(value: str, order: str) -> set[str]:
    """The essences of the texts that may stand for a date."""
    year, month, day = value.split("-")
    two = [year[2:]] if _year(year[2:]) == int(year) else []
    choices = {"y": [year, *two], "m": [month, _bare(month)], "d": [day, _bare(day)]}
    parted = {".".join(parts) for parts in product(*(choices[part] for part in order))}
    full = {"m": [month], "d": [day], "y": choices["y"]}
    return parted | {"".join(parts) for parts in product(*(full[part] for part in order))}


def _time_writings(value: str) -> set[str]:
    """The essences of the texts that may stand for a time."""
    hour, minute = value.split(":")
    marks = (".", "..")
    return {f"{hour}{minute}"} | {
        f"{one}{mark}{minute}" for one in (hour, _bare(hour)) for mark in marks
    }
