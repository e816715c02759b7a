"""Masks of 64 pixels a word: what is on or off needs no byte, and morphology no pixel by pixel.

A window that joins n neighbours takes about log2(n) passes over the words, each of which
joins twice as many as the one before (Pecht 1985, "Speeding-up successive Minkowski operations
with bit-plane computers").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bitplane", "bitplane_of", "picture_of", "shares_of_four"]

Words = NDArray[np.uint64]

_WORD = 64
_ALL = np.uint64(2**64 - 1)

# For each byte of bits, the shares that are set of its first and its last four.
_SET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_SHARES = np.rint(_SET.reshape(256, 2, 4).sum(axis=2) * (255 / 4)).astype(np.uint8)
_SHARES_OF_BYTE = _SHARES.view(np.uint16).ravel()


@dataclass(frozen=True, slots=True)
class Bitplane:
    """A mask.

    words: uint64 (n, h), one column of words after the other, so that neighbours of either
    direction lie in long stretches of memory. A word's lowest bit is its leftmost pixel; bits
    beyond the width are 0. width: pixels.
    """

    words: Words
    width: int

    def __or__(self, other: Bitplane) -> Bitplane:
        return Bitplane(self.words | other.words, self.width)

    def __and__(self, other: Bitplane) -> Bitplane:
        return Bitplane(self.words & other.words, self.width)

    def __sub__(self, other: Bitplane) -> Bitplane:
        return Bitplane(self.words & ~other.words, self.width)

    def any(self) -> bool:
        """Whether a pixel is set."""
        return bool(self.words.any())

    def dilated(self, width: int, height: int) -> Bitplane:
        """Set where any pixel of a window is, of odd width and height, in pixels."""
        return _joined(self, np.bitwise_or, (width, height), (width // 2, height // 2))

    def opened(self, width: int, height: int) -> Bitplane:
        """Without what is set and smaller than the window."""
        return _there_and_back(self, np.bitwise_and, np.bitwise_or, (width, height))

    def closed(self, width: int, height: int) -> Bitplane:
        """Without what is not set and smaller than the window."""
        return _there_and_back(self, np.bitwise_or, np.bitwise_and, (width, height))


def bitplane_of(mask: NDArray[np.uint8] | NDArray[np.bool_]) -> Bitplane:
    """A mask (h, w), set where it is not 0."""
    height, width = mask.shape
    octets = np.zeros((height, -(-width // _WORD) * 8), np.uint8)
    own = np.packbits(mask, axis=1, bitorder="little")
    octets[:, : own.shape[1]] = own
    return Bitplane(np.ascontiguousarray(octets.view("<u8").T), width)


def picture_of(bits: Bitplane) -> NDArray[np.uint8]:
    """uint8 (h, w), 255 where set, else 0."""
    mask = np.unpackbits(_octets(bits), axis=1, count=bits.width, bitorder="little")
    return np.negative(mask, out=mask)


def _octets(bits: Bitplane) -> NDArray[np.uint8]:
    """uint8 (h, 8 n), eight pixels each, row by row."""
    return np.ascontiguousarray(bits.words.T).view(np.uint8)


def shares_of_four(bits: Bitplane) -> NDArray[np.uint8]:
    """Of each four pixels along a row how many are set, uint8 (h, w // 4), 255 for all.

    A picture narrower than four is filled up, to one column.
    """
    shares = _SHARES_OF_BYTE[_octets(bits)].view(np.uint8)
    return np.ascontiguousarray(shares[:, : max(1, bits.width // 4)])


def _there_and_back(
    bits: Bitplane, first: np.ufunc, then: np.ufunc, window: tuple[int, int]
) -> Bitplane:
    """Joined by a window, and by the mirrored one, which brings what is left to its place."""
    width, height = window
    there = _joined(bits, first, window, (width // 2, height // 2))
    return _joined(there, then, window, ((width - 1) // 2, (height - 1) // 2))


def _joined(
    bits: Bitplane, join: np.ufunc, window: tuple[int, int], before: tuple[int, int]
) -> Bitplane:
    """Each pixel joined with those of its window; beyond the picture there are none.

    before: how many of the window's columns and rows lie before the pixel.
    """
    beyond = _ALL if join is np.bitwise_and else np.uint64(0)
    words = bits.words
    inside = _inside(bits)
    if join is np.bitwise_and:
        words = words | ~inside
    words = _along_rows(words, join, window[0], before[0], beyond)
    words = _across_rows(words, join, window[1], before[1], beyond)
    return Bitplane(words & inside, bits.width)


def _inside(bits: Bitplane) -> Words:
    """uint64 (n, 1): the bits of a row that are pixels."""
    inside = np.full((len(bits.words), 1), _ALL)
    if bits.width % _WORD:
        inside[-1] = np.uint64(2 ** (bits.width % _WORD) - 1)
    return inside


def _across_rows(words: Words, join: np.ufunc, count: int, before: int, beyond: np.uint64) -> Words:
    """Each pixel joined with those from ``before`` above it on, ``count`` in all."""
    if count == 1:
        return words
    columns, height = words.shape
    rows = np.full((columns, height + count - 1), beyond)
    rows[:, before : before + height] = words
    joined = 1
    while joined < count:
        step = min(joined, count - joined)  # twice as many each time
        rows = join(rows[:, :-step], rows[:, step:])
        joined += step
    return np.asarray(rows, np.uint64)


def _along_rows(words: Words, join: np.ufunc, count: int, before: int, beyond: np.uint64) -> Words:
    """Each pixel joined with those from ``before`` left of it on, ``count`` in all."""
    if count == 1:
        return words
    left, right = -(-before // _WORD), -(-count // _WORD)
    wide = np.full((left + len(words) + right, words.shape[1]), beyond)
    wide[left : left + len(words)] = words
    joined = 1
    while joined < count:
        step = min(joined, count - joined)
        wide = join(wide, _from_right(wide, step, beyond))
        joined += step
    return _from_right(wide, left * _WORD - before, beyond)[: len(words)]


def _from_right(words: Words, step: int, beyond: np.uint64) -> Words:
    """At each pixel the one that lies ``step`` to its right."""
    whole, part = divmod(step, _WORD)
    moved = np.full_like(words, beyond)
    there = len(words) - whole
    if not part:
        moved[:there] = words[whole:]
        return moved
    np.right_shift(words[whole:], np.uint64(part), out=moved[:there])
    moved[: there - 1] |= words[whole + 1 :] << np.uint64(_WORD - part)
    moved[there - 1] |= beyond << np.uint64(_WORD - part)
    return moved
