"""Check digits as automata: they read a number from left to right, of any length.

Each needs a digit besides the check digits: a bare check digit confirms nothing. A check
sign X, which the rules modulo 11 may yield, is no digit, and a number that ends in one is
not accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CHECKS", "Check"]

_ABA = (3, 7, 1) * 3


@dataclass(frozen=True, slots=True)
class Check:
    """A rule for check digits as a machine over digits.

    step: the state after one more digit, None where there may be none.
    passes: whether a number that ends in a state is right.
    """

    start: Hashable
    step: Callable[[Any, int], Hashable | None]
    passes: Callable[[Any], bool]


def _luhn(state: tuple[int, int, int], digit: int) -> tuple[int, int, int]:
    """Luhn's formula, ISO/IEC 7812-1: from the right, every second digit is doubled.

    state: how many digits there were, up to 2; their sum if the last one stays as it is, and
    if it is doubled. Which of the two it is, is known only at the end.
    """
    count, single, doubled = state
    twice = digit * 2 - 9 * (digit > 4)
    return min(count + 1, 2), (doubled + digit) % 10, (single + twice) % 10


def _aba(state: tuple[int, int], digit: int) -> tuple[int, int] | None:
    """Routing numbers of the American Bankers Association: weights 3, 7, 1, nine digits.

    state: how many digits there were, and their weighted sum modulo 10.
    """
    count, total = state
    if count == len(_ABA):
        return None
    return count + 1, (total + _ABA[count] * digit) % 10


def _mod_97_10(state: tuple[int, int], digit: int) -> tuple[int, int]:
    """ISO/IEC 7064, MOD 97-10: the whole number, two check digits included, leaves 1.

    state: how many digits there were, up to 3, and the number modulo 97.
    """
    count, number = state
    return min(count + 1, 3), (10 * number + digit) % 97


def _mod_11_10(state: tuple[int, int], digit: int) -> tuple[int, int]:
    """ISO/IEC 7064, MOD 11,10, the hybrid system.

    state: how many digits there were, up to 2, and the product carried on, 10 at first. The
    last digit must make the sum 1 modulo 10, which is where the product is then 2.
    """
    count, carried = state
    total = (carried + digit) % 10 or 10
    return min(count + 1, 2), 2 * total % 11


def _mod_11_2(state: tuple[int, int], digit: int) -> tuple[int, int]:
    """ISO/IEC 7064, MOD 11-2: digits weighted by powers of 2, check digit included, leave 1.

    state: how many digits there were, up to 2, and their weighted sum modulo 11.
    """
    count, total = state
    return min(count + 1, 2), (2 * total + digit) % 11


CHECKS: Mapping[str, Check] = {
    "luhn": Check((0, 0, 0), _luhn, lambda state: state[0] == 2 and state[1] == 0),
    "aba": Check((0, 0), _aba, lambda state: state == (len(_ABA), 0)),
    "iso7064-97-10": Check((0, 0), _mod_97_10, lambda state: state == (3, 1)),
    "iso7064-11-10": Check((0, 10), _mod_11_10, lambda state: state == (2, 2)),
    "iso7064-11-2": Check((0, 0), _mod_11_2, lambda state: state == (2, 1)),
}
