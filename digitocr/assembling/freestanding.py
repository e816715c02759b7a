"""Numbers on open paper: runs of digits that stand apart from words.

A number is neither glued to letters nor followed by a word, and few words stand before it
on its line: a label, no sentence.
"""

from __future__ import annotations

import math

from digitocr.assembling.lattice import Token

__all__ = [
    "FEWEST",
    "LABEL_WORDS",
    "NUMBER_GAP",
    "SURE",
    "free_numbers",
    "only_strokes",
    "trimmed",
    "words_of",
]

_WORD_GAP = 0.3  # of the figures' height: the space between words
NUMBER_GAP = 1.1  # of the figures' height: a wider gap parts two numbers
LABEL_WORDS = 3  # before a number on its line; more make a sentence
FEWEST = 2  # digits of a number
SURE = 0.7  # the probability of a digit that is hardly anything else
_MOSTLY = 0.7  # of a number's digits on open paper are sure; what is less so is no number
_LEAST_MEAN = 0.6  # the geometric mean of their probabilities, likewise
_STROKES = "/-"  # may end an amount; other separators at an end are dirt


def free_numbers(tokens: list[Token], height: float) -> list[list[Token]]:
    """The numbers of a line on open paper that stand apart from its words."""
    numbers = []
    start = 0
    while start < len(tokens):
        stop = start
        while stop < len(tokens) and _continues(tokens, start, stop, height):
            stop += 1
        if _credible(tokens[start:stop]) and _stands_apart(tokens, start, stop, height):
            numbers.append(trimmed(tokens[start:stop]))
        start = max(stop, start + 1)
    return numbers


def only_strokes(run: list[Token]) -> str:
    """A doubt where a number on open paper is of ones alone, as brackets and bars look."""
    ones = {token.text for token in run if token.kind == "digit"} == {"1"}
    return "its ones may be brackets or bars" if ones else ""


def _continues(tokens: list[Token], start: int, at: int, height: float) -> bool:
    """Whether a token goes on with the number that begins at ``start``."""
    if at == start:
        return tokens[at].kind == "digit"
    gap = tokens[at].box[0] - tokens[at - 1].box[2]
    return tokens[at].kind != "other" and gap <= NUMBER_GAP * height


def _credible(run: list[Token]) -> bool:
    """Whether a run on open paper is a number: a lone or doubtful sign is more likely not."""
    shares = [token.confidence for token in run if token.kind == "digit"]
    if len(shares) < FEWEST or sum(one >= SURE for one in shares) / len(shares) < _MOSTLY:
        return False
    mean = math.exp(sum(math.log(max(one, 1e-6)) for one in shares) / len(shares))
    return mean >= _LEAST_MEAN


def _stands_apart(tokens: list[Token], start: int, stop: int, height: float) -> bool:
    """Whether a run of digits is neither glued to letters nor part of a sentence."""
    if start > 0:
        words = words_of(tokens[:start], height)
        gap = tokens[start].box[0] - tokens[start - 1].box[2]
        glued = gap < _WORD_GAP * height and len(words[-1]) > 1
        if glued or len(words) > LABEL_WORDS:
            return False
    return (
        stop == len(tokens) or tokens[stop].box[0] - tokens[stop - 1].box[2] >= NUMBER_GAP * height
    )


def words_of(tokens: list[Token], height: float) -> list[list[Token]]:
    """Tokens parted at the gaps between words."""
    words: list[list[Token]] = []
    for one in tokens:
        if words and one.box[0] - words[-1][-1].box[2] <= _WORD_GAP * height:
            words[-1].append(one)
        else:
            words.append([one])
    return words


def trimmed(tokens: list[Token]) -> list[Token]:
    """Tokens from the first digit to the last, and a stroke that ends an amount, as in 500/-."""
    digits = [at for at, one in enumerate(tokens) if one.kind == "digit"]
    stop = digits[-1] + 1
    while stop < len(tokens) and tokens[stop].text in _STROKES:
        stop += 1
    return tokens[digits[0] : stop]
