"""Numbers in boxes and on open paper that the lattice does not read whole.

Where zeros touch, or a slash crosses them, some digits of a number are read and others are not.
A run of ink with several sure digits and not much else is a number all the same, and worth
reading as one strip. Words hold shapes like digits, too, but more that are like none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from digitocr.assembling.freestanding import LABEL_WORDS, NUMBER_GAP, SURE, words_of
from digitocr.assembling.lattice import Token

__all__ = ["FEWEST", "Run", "plain_run", "stretches"]

FEWEST = 3  # sure digits of a number that is not read whole
_TALL = 0.6  # of the figures' height: what is so high is no separator


@dataclass(frozen=True, slots=True)
class Run:
    """The tokens of a field from ``first`` to ``last`` that are a number's digits, and what
    parts them; up to ``end`` strokes that close an amount may follow, and dirt.

    read: how many digits are read in it. unread: how much else is as high as digits.
    """

    first: int
    last: int
    end: int
    read: int
    unread: int


def stretches(tokens: list[Token], height: float) -> list[tuple[int, int]]:
    """The stretches of a line's tokens between wide gaps. height: of its figures."""
    gaps = [
        at
        for at in range(1, len(tokens))
        if tokens[at].box[0] - tokens[at - 1].box[2] > NUMBER_GAP * height
    ]
    return list(pairwise([0, *gaps, len(tokens)]))


def plain_run(
    tokens: list[Token], begin: int, end: int, first: int | None, height: float
) -> Run | None:
    """The number in a stretch of a field's tokens, None where none is plainly there.

    first: with which token it begins, where that is known. height: of the field's figures.
    """
    if sum(one.kind == "digit" for one in tokens[begin:end]) < FEWEST:
        return None
    start = _first(tokens[begin:end], height) if first is None else first - begin
    if start is None:
        return None
    last = end
    while not _may_be_digit(tokens[last - 1], height):
        last -= 1
    run = tokens[begin + start : last]
    sure = sum(map(_sure, run))
    read = sum(one.kind == "digit" for one in run)
    unread = sum(_may_be_digit(one, height) for one in run) - read
    if sure < FEWEST or 2 * sure < read + unread:
        return None
    return Run(begin + start, last, end, read, unread)


def _is_tall(token: Token, height: float) -> bool:
    """Whether a token is as high as digits. height: of the figures."""
    return token.box[3] - token.box[1] >= _TALL * height


def _first(tokens: list[Token], height: float) -> int | None:
    """With which token a number begins: the first digit of the first word with a sure one.

    None where there is none, or too many words before it, or letters that it is glued to.
    """
    before = 0
    for labels, word in enumerate(words_of(tokens, height)):
        if any(map(_sure, word)):
            digit = next(at for at, one in enumerate(word) if one.kind == "digit")
            glued = sum(_may_be_digit(one, height) for one in word[:digit])
            return before + digit if labels <= LABEL_WORDS and glued <= 1 else None
        before += len(word)
    return None


def _may_be_digit(token: Token, height: float) -> bool:
    """Whether a token is a digit, or something as high that is not read."""
    return token.kind == "digit" or (token.kind == "other" and _is_tall(token, height))


def _sure(token: Token) -> bool:
    return token.kind == "digit" and token.confidence >= SURE
