"""Where the signs of a text stand in a strip that was read column by column.

The most probable way to say the text (Viterbi over the states of connectionist temporal
classification, Graves et al. 2006) tells at which columns each sign is said.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitocr.assembling.lattice import Edges, Token
from digitocr.strips import SIGNS
from digitocr.types import CLASSES, NOT_A_DIGIT, Box, StripReading

__all__ = ["tokens_of"]


def tokens_of(text: str, strip: StripReading, edges: Edges) -> list[Token]:
    """The signs of a text, at least one, with their places in the ink picture.

    strip: that the text was read from. edges: of the same field: they tell how high its ink
    stands. Each sign reaches half-way to its neighbours, whose ink may touch its own.
    """
    peaks = _peaks(text, strip.shares)
    middles = strip.left + (np.array(peaks) + 0.5) * strip.step
    between = (middles[1:] + middles[:-1]) / 2
    low = np.append(edges.boxes[:, 0].min(), between)
    high = np.append(between, edges.boxes[:, 2].max())
    return [
        Token.of(sign, _box(float(left), float(right), edges), _shares(strip.shares[:, at]))
        for sign, at, left, right in zip(text, peaks, low, high, strict=True)
    ]


def _peaks(text: str, shares: NDArray[np.float32]) -> list[int]:
    """The column at which each sign is said most surely, on the most probable way."""
    outputs = np.full(2 * len(text) + 1, len(SIGNS))  # nothing before, between and after
    outputs[1::2] = [SIGNS.index(sign) for sign in text]
    skips = np.zeros(len(outputs), bool)  # from a sign at once to the next, unless they are equal
    skips[3::2] = outputs[3::2] != outputs[1:-2:2]
    score = np.full(len(outputs), -np.inf)
    score[:2] = shares[outputs[:2], 0]
    ways = np.full((3, len(outputs)), -np.inf)  # to stay, to go on, to go on past nothing
    came = np.zeros((shares.shape[1], len(outputs)), np.int8)
    for column in range(1, shares.shape[1]):
        ways[0], ways[1, 1:] = score, score[:-1]
        ways[2, skips] = score[:-2][skips[2:]]
        came[column] = ways.argmax(axis=0)
        score = ways.max(axis=0) + shares[outputs, column]
    state = len(outputs) - 1 if score[-1] >= score[-2] else len(outputs) - 2
    states = np.zeros(shares.shape[1], int)
    for column in range(shares.shape[1] - 1, -1, -1):
        states[column] = state
        state -= int(came[column, state])
    said = np.where(states % 2 == 1, shares[outputs[states], np.arange(len(states))], -np.inf)
    return [int(np.where(states == 2 * at + 1, said, -np.inf).argmax()) for at in range(len(text))]


def _box(left: float, right: float, edges: Edges) -> Box:
    """From one column to another, as high as the ink between them."""
    boxes = edges.boxes
    single = edges.span[:, 1] - edges.span[:, 0] == 1
    inside = single & (boxes[:, 2] > left) & (boxes[:, 0] < right)
    rows = boxes[inside if inside.any() else single]
    low, high = round(left), max(round(right), round(left) + 1)
    return low, int(rows[:, 1].min()), high, int(rows[:, 3].max())


def _shares(column: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (11,): the shares of the digits in a column; all that is none together."""
    digits = np.exp(column[: len(CLASSES)])
    rest = np.maximum(1 - digits.sum(keepdims=True), 0)
    assert len(digits) == NOT_A_DIGIT
    return np.asarray(np.append(digits, rest), np.float32)
