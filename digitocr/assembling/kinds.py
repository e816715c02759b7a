"""Kinds of values: which texts a field of each kind may hold, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from digitocr.assembling.automaton import ANY_SEPARATOR
from digitocr.types import CLASSES

__all__ = ["Kind", "digit_of", "digits_of", "number", "of_digits", "of_pattern"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Of a text, its essence is what its value depends on: without the separators where they
    mean nothing, all of them made alike where they only part, and without leading zeros
    where those count for nothing.

    patterns: regular expressions of valid texts, each by its name; no text matches two.
    essential: of one sign, what of it belongs to the essence.
    padded: whether leading zeros count for nothing.
    read: the canonical value of an essence, by the name of the pattern that its text matches.
    listed: the canonical value of a text of somebody's list, None where it is none.
    writings: the essences of the texts that may stand for a canonical value.
    """

    patterns: Mapping[str, str]
    essential: Callable[[str], str]
    padded: bool
    read: Callable[[str, str], str]
    listed: Callable[[str], str | None]
    writings: Callable[[str], Iterable[str]]

    def adds(self, sign: str, begun: bool) -> str:
        """What a sign adds to the essence of a text; begun: whether any of it is there yet."""
        return "" if self.padded and not begun and sign == "0" else self.essential(sign)

    def essence(self, text: str) -> str:
        """What the value of a text depends on."""
        if not self.padded:
            return "".join(map(self.essential, text))
        essence = ""
        for sign in text:
            essence += self.adds(sign, begun=essence != "")
        return essence


def digits_of(text: str) -> str:
    """The digits of a text, in order."""
    return "".join(filter(CLASSES.__contains__, text))


def digit_of(sign: str) -> str:
    """One sign if it is a digit, else nothing: as ``digits_of``, but quicker."""
    return sign if sign in CLASSES else ""


def number() -> Kind:
    """Any digits, with separators anywhere; the value is the digits."""
    return of_pattern(f"{ANY_SEPARATOR}*[0-9](?:[0-9]|{ANY_SEPARATOR})*")


def of_digits(least: int, most: int) -> Kind:
    """So many digits, with separators anywhere between them; the value is the digits."""
    return of_pattern(f"[0-9](?:{ANY_SEPARATOR}*[0-9]){{{least - 1},{most - 1}}}")


def of_pattern(pattern: str) -> Kind:
    """What a regular expression matches; the value is the digits."""
    return Kind(
        patterns={"digits": pattern},
        essential=digit_of,
        padded=False,
        read=lambda essence, pattern: essence,
        listed=lambda entry: digits_of(entry) or None,
        writings=lambda value: (value,),
    )
