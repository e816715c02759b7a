"""Masks of 64 pixels a word: what is on or off needs no byte, and morphology no pixel by pixel.

A window that joins n neighbours takes about log2(n) passes over the words, each of which
joins twice as many as the one before (Pecht 1985, "Speeding-up successive Minkowski operations
with bit-plane computers").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitocr.cleaning.morphology import transposed

__all__ = [
    "Bitplane",
    "bitplane_of",
    "bitplane_of_transposed",
    "counts_of",
    "picture_of",
    "runs_along",
]

Words = NDArray[np.uint64]
Mask = NDArray[np.uint8]

_WORD = 64
_ALL = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Bitplane:
    """A mask.

    words: uint64 (n, w), each of 64 rows of a column, the lowest bit its topmost pixel; bits
    beyond the height are 0. So the next pixel along a row is the same bit of the next word, and
    long windows along the rows, as rules ask for, cost no shift of bits. height: pixels.
    """

    words: Words
    height: int

    def __or__(self, other: Bitplane) -> Bitplane:
        return Bitplane(self.words | other.words, self.height)

    def __and__(self, other: Bitplane) -> Bitplane:
        return Bitplane(self.words & other.words, self.height)

    def __sub__(self, other: Bitplane) -> Bitplane:
        return Bitplane(self.words & ~other.words, self.height)

    def place(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], Words]:
        """Of each row where its words begin, with all of them in a row, and its bit of them."""
        word, bit = np.divmod(rows, _WORD)
        return word * self.words.shape[1], np.uint64(1) << bit.astype(np.uint64)

    def any(self) -> bool:
        """Whether a pixel is set."""
        return bool(self.words.any())

    def dilated(self, width: int, height: int) -> Bitplane:
        """Set where any pixel of a window is. Of an even one the middle is behind its centre."""
        return _joined(self, np.bitwise_or, (width, height), (width // 2, height // 2))

    def eroded(self, width: int, height: int) -> Bitplane:
        """Set where all pixels of a window are. Of an even one the middle is behind its centre."""
        return _joined(self, np.bitwise_and, (width, height), (width // 2, height // 2))

    def opened(self, width: int, height: int) -> Bitplane:
        """Without what is set and smaller than the window."""
        return _there_and_back(self, np.bitwise_and, np.bitwise_or, (width, height))

    def closed(self, width: int, height: int) -> Bitplane:
        """Without what is not set and smaller than the window."""
        return _there_and_back(self, np.bitwise_or, np.bitwise_and, (width, height))

    def parted(self, count: int) -> list[Bitplane]:
        """The first, the second and so on of each ``count`` pixels along the rows.

        What is left over at the end of the rows is left off.
        """
        rows, width = self.words.shape
        whole = self.words[:, : width // count * count].reshape(rows, -1, count)
        return [Bitplane(np.ascontiguousarray(whole[..., i]), self.height) for i in range(count)]

    def repeated(self, count: int, width: int) -> Bitplane:
        """Each pixel ``count`` times along its row, and none from there to the width."""
        words = np.zeros((len(self.words), width), np.uint64)
        words[:, : count * self.words.shape[1]] = np.repeat(self.words, count, axis=1)
        return Bitplane(words, self.height)


def bitplane_of(mask: Mask) -> Bitplane:
    """A mask (h, w), set where it is not 0."""
    return bitplane_of_transposed(transposed(mask))


def bitplane_of_transposed(mask: Mask) -> Bitplane:
    """The mask (h, w) that a mask (w, h), set where it is not 0, is the transpose of."""
    width, height = mask.shape
    octets = np.zeros((width, -(-height // _WORD) * 8), np.uint8)
    own = np.packbits(mask, axis=1, bitorder="little")
    octets[:, : own.shape[1]] = own
    return Bitplane(np.ascontiguousarray(octets.view("<u8").T), height)


def picture_of(bits: Bitplane) -> Mask:
    """uint8 (h, w), 255 where set, else 0."""
    mask = transposed(_ones(bits))
    return np.negative(mask, out=mask)


def counts_of(parts: Sequence[Bitplane]) -> Mask:
    """uint8 (h, w), in how many of some masks each pixel is set."""
    counts = _ones(parts[0])
    for part in parts[1:]:
        counts += _ones(part)
    return transposed(counts)


def _ones(bits: Bitplane) -> Mask:
    """uint8 (w, h), 1 where set, else 0."""
    octets = np.ascontiguousarray(bits.words.T).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=bits.height, bitorder="little")


def runs_along(bits: Bitplane) -> NDArray[np.intp]:
    """intp (N, 3): row, start and end (half-open) of every run along the rows, row by row."""
    rows, width = bits.words.shape
    wide = np.zeros((rows, width + 2), np.uint64)
    wide[:, 1:-1] = bits.words
    turns = (wide[:, 1:] ^ wide[:, :-1]).ravel()
    at = np.flatnonzero(turns != 0)
    ones = np.unpackbits(turns[at].view(np.uint8), bitorder="little")
    one = np.flatnonzero(ones.view(bool))
    word, x = np.divmod(at[one >> 6], width + 1)
    place = ((word << 6) | (one & 63)) * (width + 1) + x
    turn = np.sort(place.astype(np.int32)).reshape(-1, 2)  # short numbers, as they sort faster
    row = turn[:, :1] // np.int32(width + 1)
    return np.concatenate([row, turn - row * np.int32(width + 1)], axis=1).astype(np.intp)


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
    words = _along_rows(bits.words, join, window[0], before[0])
    words = _across_rows(words, join, window[1], before[1], bits.height)
    return Bitplane(words, bits.height)


def _beyond(join: np.ufunc) -> np.uint64:
    """What beyond the picture changes nothing of what it is joined with."""
    return _ALL if join is np.bitwise_and else np.uint64(0)


def _along_rows(words: Words, join: np.ufunc, count: int, before: int) -> Words:
    """Each pixel joined with those from ``before`` left of it on, ``count`` in all."""
    if count == 1:
        return words
    rows, width = words.shape
    wide = np.full((rows, width + count - 1), _beyond(join))
    wide[:, before : before + width] = words
    # In one row, as numpy is quick along long rows alone: what comes from the next one is cut off.
    flat, free = wide.ravel(), np.empty(wide.size, np.uint64)
    joined = 1
    while joined < count:
        step = min(joined, count - joined)  # twice as many each time
        join(flat[:-step], flat[step:], out=free[:-step])
        flat, free = free, flat
        joined += step
    return flat.reshape(wide.shape)[:, :width]


def _across_rows(words: Words, join: np.ufunc, count: int, before: int, height: int) -> Words:
    """Each pixel joined with those from ``before`` above it on, ``count`` in all.

    First with those below it, and then that once with the same of a pixel above, which is
    enough, as the window's middle is at most one pixel behind its centre.
    """
    if count == 1:
        return words
    after, beyond = count - 1 - before, _beyond(join)
    above, below = -(-before // _WORD), -(-after // _WORD)
    own = slice(above, above + len(words))
    high = np.full((above + len(words) + below, words.shape[1]), beyond)
    high[own] = words
    inside = np.uint64(2 ** ((height - 1) % _WORD + 1) - 1)  # of the last row of words
    high[own][-1] |= beyond & ~inside
    joined = 1
    while joined <= after:
        step = min(joined, after + 1 - joined)  # twice as many each time
        high = join(high, _from_below(high, step, beyond))
        joined += step
    joined_above = _from_below(high, above * _WORD - before, beyond)[: len(words)]
    rows = np.asarray(join(high[own], joined_above), np.uint64)
    rows[-1] &= inside
    return rows


def _from_below(words: Words, step: int, beyond: np.uint64) -> Words:
    """At each pixel the one that lies ``step`` below it."""
    whole, part = divmod(step, _WORD)
    there = len(words) - whole
    moved = np.empty_like(words)
    moved[there:] = beyond
    if not part:
        moved[:there] = words[whole:]
        return moved
    np.right_shift(words[whole:], np.uint64(part), out=moved[:there])
    moved[: there - 1] |= words[whole + 1 :] << np.uint64(_WORD - part)
    moved[there - 1] |= beyond << np.uint64(_WORD - part)
    return moved
