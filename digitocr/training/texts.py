"""What may stand in a field: numbers with their separators and strokes, and dates."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

__all__ = ["any_text"]


def any_text(random: Generator) -> str:
    """What may stand in a field: a date, or digits with separators and strokes."""
    if random.random() < 0.12:
        return _date(random)
    digits = _digits(random)
    grouped = _grouped(digits, random) if len(digits) > 3 and random.random() < 0.4 else digits
    if random.random() < 0.1:
        grouped += str(random.choice(list(".,-"))) + f"{int(random.integers(100)):02}"
    ends = random.choice(["", "-", "=", ".-", "/-", "."], p=[0.68, 0.12, 0.05, 0.06, 0.03, 0.06])
    begins = str(random.choice(list("-="))) if random.random() < 0.03 else ""
    return begins + grouped + str(ends)


def _date(random: Generator) -> str:
    separator = str(random.choice(list("/.-"), p=[0.2, 0.4, 0.4]))
    zeros = "02" if random.random() < 0.5 else ""
    year = str(random.integers(1950, 2040))[2 * int(random.random() < 0.5) :]
    parts = [f"{int(random.integers(1, most)):{zeros}}" for most in (32, 13)]
    parts.append(year)
    return separator.join(parts[::-1] if random.random() < 0.2 else parts)


def _digits(random: Generator) -> str:
    """Up to nine digits; zeros often stand at the end, and digits are often doubled."""
    odds = [0.02, 0.05, 0.15, 0.22, 0.23, 0.17, 0.1, 0.04, 0.02]
    count = int(random.choice(np.arange(1, 10), p=odds))
    text = "".join(map(str, random.integers(0, 10, count)))
    if count > 2 and random.random() < 0.3:
        zeros = int(random.integers(1, count))
        text = text[:-zeros] + "0" * zeros
    if count > 2 and random.random() < 0.1:
        at = int(random.integers(1, count))
        text = text[:at] + text[at - 1] + text[at + 1 :]
    return text


def _grouped(digits: str, random: Generator) -> str:
    """With a separator before every three digits from the end."""
    separator = str(random.choice(list(".,'"), p=[0.5, 0.4, 0.1]))
    first = (len(digits) - 1) % 3 + 1
    groups = [digits[at : at + 3] for at in range(first, len(digits), 3)]
    return separator.join([digits[:first], *groups])
