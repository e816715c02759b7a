"""Amounts of money, as they stand on cheques and forms: 1,234.50/- is 1234.50.

A point, a comma or a stroke stands before the decimals. Points, commas or apostrophes stand
between groups of three digits, or of two before the last three, as in India (12,34,567);
those of one amount are alike. A stroke ends an amount, or says that no decimals follow. On
cheques the hundredths are often a fraction, 1234 56/100, of which the space is not seen.

With three decimals a group and the decimals look alike. There 1.234 and 1,234 have decimals,
1,234.567 has both, and 1.234.567 is refused: nothing tells whether a group is its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import cache

from digitocr.assembling.automaton import Automaton, of_patterns
from digitocr.assembling.kinds import Kind, digit_of, digits_of

__all__ = ["amount"]

_CLOSED = "(?:/?--?)?"  # the stroke behind decimals, so that nobody adds to them
_WHOLE = "(?:/?--?|[.,]--?)"  # strokes instead of decimals: 12/-, 12.-, 12,--
_LIKE_A_GROUP = 3  # so many decimals look like a group of digits


def amount(decimals: int, implied: bool) -> Kind:
    """Amounts with so many decimals, or with none written, which are whole units.

    decimals: 0 to 4. implied: the last digits are the decimals where no separator is written.
    """

    def read(essence: str, pattern: str) -> str:
        digits = essence + "0" * decimals if pattern == "whole" else essence
        if pattern == "fraction":
            digits = digits.removesuffix("100")
        return _canonical(digits, decimals)

    def listed(entry: str) -> str | None:
        pattern = _as_written(decimals).end(entry)
        if pattern is not None:
            return read(digits_of(entry), pattern)
        return _plain(entry, decimals)

    return Kind(
        patterns=_patterns(decimals, implied),
        essential=digit_of,
        padded=True,
        read=read,
        listed=listed,
        writings=lambda value: _writings(value, decimals),
    )


@cache
def _as_written(decimals: int) -> Automaton:
    """What lists hold, where nothing is implied."""
    return of_patterns(_patterns(decimals, implied=False))


def _patterns(decimals: int, implied: bool) -> dict[str, str]:
    """The ways to write an amount, by what its digits mean."""
    plain = "[0-9]+"
    end = f"[0-9]{{{decimals}}}"
    grouped = [_western(sign) for sign in ".,'"] + [_indian(sign) for sign in ".,'"]
    if decimals == _LIKE_A_GROUP:
        whole = [plain, _western("'"), *(_indian(sign) for sign in ".,'")]
        parted = [f"(?:{_western(sign)}|{_indian(sign)}){_point(sign)}" for sign in ".,'"]
    else:
        whole = [plain, *grouped]
        parted = [f"{_any(grouped)}[.,-]"]
    patterns = {"whole": f"{_any(whole)}{_WHOLE}?"}
    if decimals:
        patterns["point"] = f"{_any([f'{plain}[.,-]', '[.,]', *parted])}{end}{_CLOSED}"
    if decimals == 2:
        before = _any([f"{plain}[.,-]?", "[.,]", *(f"{one}[.,-]?" for one in grouped)])
        patterns["fraction"] = f"{before}?[0-9][0-9]/100{_CLOSED}"
    if implied and decimals:
        written = _any([f"{plain}{_WHOLE}", f"{_any(whole[1:])}{_WHOLE}?"])
        patterns |= {"whole": written, "point": f"{patterns['point']}|[0-9]*{end}"}
    return patterns


def _western(sign: str) -> str:
    """Digits in groups of three; a group in front of others begins with no zero."""
    return f"[1-9][0-9]?[0-9]?(?:[{sign}][0-9]{{3}})+"


def _indian(sign: str) -> str:
    """Digits in groups of two before the last three."""
    return f"[1-9][0-9]?(?:[{sign}][0-9]{{2}})+[{sign}][0-9]{{3}}"


def _point(sign: str) -> str:
    """The signs before decimals where another sign parts the groups."""
    return f"[{''.join(one for one in '.,-' if one != sign)}]"


def _any(choices: Iterable[str]) -> str:
    return f"(?:{'|'.join(choices)})"


def _canonical(digits: str, decimals: int) -> str:
    """1234.50 for digits of which the last ones are the decimals."""
    digits = digits.lstrip("0").rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def _plain(entry: str, decimals: int) -> str | None:
    """The value of a number as programs write it, 1234.5, None where it has more decimals."""
    if not re.fullmatch("[0-9]+[.][0-9]+", entry):
        return None
    number = Decimal(entry)
    rounded = round(number, decimals)
    return f"{rounded:f}" if rounded == number else None


def _writings(value: str, decimals: int) -> set[str]:
    """The digits, without leading zeros, by which an amount may be written."""
    digits = digits_of(value)
    writings = {digits}
    if int(digits[len(digits) - decimals :] or "0") == 0:
        writings.add(digits[: len(digits) - decimals])
    if decimals == 2:
        writings.add(f"{digits}100")
    return {writing.lstrip("0") for writing in writings}
