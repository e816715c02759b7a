"""Stage 6: probabilities -> numbers, each with the confidence that it is right.

Within a field the best path through the lattice of candidates says what stands there:
digits, separators and other writing. In a row of cells every cell holds one character. In
a box the digits make one number. On open paper a number is a run of digits that stands
apart: not glued to letters, not followed by a word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitocr.recipe import AssembleOptions
from digitocr.types import CLASSES, NOT_A_DIGIT, Box, Digit, Field, Glyphs, Number, PageReading

__all__ = ["assemble"]

_LEAST_DIGIT = 0.5  # of the figures' height: what is lower is hardly a digit
_WORD_GAP = 0.3  # of the figures' height: the space between words
_NUMBER_GAP = 1.1  # of the figures' height: a wider gap parts two numbers
_GIVE_UP = 0.5  # the log score lost for each atom that is read as no digit
_CUT = 0.7  # the log score lost for each cut through ink
_ALTERNATIVES = 3


@dataclass(frozen=True, slots=True)
class _Token:
    """One glyph on the best path of a field.

    kind: "digit", "mark" or "other". text: the digit or the separator, "" for other.
    """

    kind: str
    text: str
    box: tuple[int, int, int, int]
    probabilities: NDArray[np.float32]

    @property
    def confidence(self) -> float:
        """That this token is what ``text`` says."""
        if self.kind == "digit":
            return float(self.probabilities[CLASSES.index(self.text)])
        return float(self.probabilities[NOT_A_DIGIT])


def assemble(
    file: str, glyphs: Glyphs, probabilities: NDArray[np.float32], options: AssembleOptions
) -> PageReading:
    """Read the numbers of one page.

    probabilities: float32 (N, 11), of each candidate in ``glyphs``.
    """
    bounds = np.searchsorted(glyphs.field, np.arange(len(glyphs.fields) + 1))
    numbers: list[Number] = []
    for index, field in enumerate(glyphs.fields):
        own = slice(int(bounds[index]), int(bounds[index + 1]))
        for tokens in _read_field(field, glyphs, probabilities, own):
            name = field.name or f"n{len(numbers) + 1}"
            numbers.append(_number(file, glyphs, name, tokens, options))
    width, height = glyphs.page_size
    return PageReading(
        page=glyphs.number,
        width=width,
        height=height,
        dpi=glyphs.dpi,
        rotation=glyphs.rotation,
        skew=glyphs.skew,
        numbers=tuple(numbers),
    )


def _read_field(
    field: Field, glyphs: Glyphs, probabilities: NDArray[np.float32], own: slice
) -> list[list[_Token]]:
    """The numbers of one field, each as its tokens from left to right."""
    if own.start == own.stop:
        return []
    if field.kind == "cells":
        return _read_cells(glyphs.boxes[own], probabilities[own])
    height = _figure_height(glyphs.boxes[own], probabilities[own])
    tokens = _best_path(glyphs, probabilities[own], own, height)
    if field.kind == "free":
        return _free_numbers(tokens, height)
    return _box_number(tokens, height)


def _read_cells(boxes: NDArray[np.int32], probabilities: NDArray[np.float32]) -> list[list[_Token]]:
    """A row of cells: each candidate is one cell's digit, or a cross or dash that is none."""
    tokens = [
        _token(box, row, digit=bool(row[:NOT_A_DIGIT].max() > row[NOT_A_DIGIT]))
        for box, row in zip(boxes, probabilities, strict=True)
    ]
    digits = [token for token in tokens if token.kind == "digit"]
    return [digits] if 2 * len(digits) >= len(tokens) else []


def _token(box: NDArray[np.int32], row: NDArray[np.float32], digit: bool, mark: int = 0) -> _Token:
    left, top, right, bottom = (int(edge) for edge in box)
    if digit:
        text = CLASSES[int(row[:NOT_A_DIGIT].argmax())]
        return _Token("digit", text, (left, top, right, bottom), row)
    kind = "mark" if mark else "other"
    return _Token(kind, chr(mark) if mark else "", (left, top, right, bottom), row)


def _figure_height(boxes: NDArray[np.int32], probabilities: NDArray[np.float32]) -> float:
    """The height of a line's digits: of its likely ones, else of all that is no dot or dash."""
    heights = boxes[:, 3] - boxes[:, 1]
    tall = 2 * heights >= np.sort(heights)[int(0.6 * len(heights))]
    likely = tall & (probabilities[:, :NOT_A_DIGIT].max(axis=1) > 0.5)
    return float(np.median(heights[likely if likely.any() else tall]))


def _best_path(
    glyphs: Glyphs, probabilities: NDArray[np.float32], own: slice, height: float
) -> list[_Token]:
    """The most probable way to read all atoms of a field, each exactly once (Viterbi)."""
    span, boxes, mark = glyphs.span[own], glyphs.boxes[own], glyphs.mark[own]
    digit, other = _digit_or_other(boxes, mark, probabilities, height)
    score = _score(span, glyphs.cuts[own], digit, other)
    first, last = int(span[:, 0].min()), int(span[:, 1].max())
    best = np.full(last - first + 1, -np.inf)
    best[0] = 0.0
    chosen = np.zeros(last - first + 1, np.int64)
    for index in np.argsort(span[:, 1], kind="stable"):
        start, stop = span[index] - first
        if best[start] + score[index] > best[stop]:
            best[stop] = best[start] + score[index]
            chosen[stop] = index
    path = []
    stop = last - first
    while stop > 0:
        index = chosen[stop]
        path.append(index)
        stop = int(span[index, 0]) - first
    return [
        _token(
            boxes[index], probabilities[index], bool(digit[index] > other[index]), int(mark[index])
        )
        for index in reversed(path)
    ]


def _digit_or_other(
    boxes: NDArray[np.int32],
    mark: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    height: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (N,) each: that a candidate is some digit, and that it is none.

    What is much lower than the figures, or leans and reaches like a slash, is no digit
    whatever its shape.
    """
    heights = boxes[:, 3] - boxes[:, 1]
    size = np.clip((heights / height - 0.3) / (_LEAST_DIGIT - 0.3), 0.01, 1.0)
    size[mark == ord("/")] = 0.01
    digit = probabilities[:, :NOT_A_DIGIT].max(axis=1) * size
    other = np.maximum(probabilities[:, NOT_A_DIGIT], 1 - size)
    return digit, other


def _score(
    span: NDArray[np.int32],
    cuts: NDArray[np.uint8],
    digit: NDArray[np.float64],
    other: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64 (N,): the log score of each candidate on a path.

    A candidate of k atoms weighs k times, so that paths of few and of many are compared
    fairly. A cut through ink must be worth it, and so must giving up on a glyph.
    """
    atoms = span[:, 1] - span[:, 0]
    read = np.log(np.maximum(digit, 1e-6))
    given_up = np.log(np.maximum(other, 1e-6)) - _GIVE_UP
    return np.asarray(np.maximum(read, given_up) * atoms - _CUT / 2 * cuts)


def _box_number(tokens: list[_Token], height: float) -> list[list[_Token]]:
    """The number in a box: all its digits, where it holds little else."""
    kept = [token for token in tokens if token.kind != "other"]
    digits = [token for token in kept if token.kind == "digit"]
    others = [token for token in tokens if token.kind == "other" and _tall(token, height)]
    if not digits or len(others) > max(1, len(digits) // 2):
        return []
    return [kept]


def _tall(token: _Token, height: float) -> bool:
    return token.box[3] - token.box[1] >= 0.6 * height


def _free_numbers(tokens: list[_Token], height: float) -> list[list[_Token]]:
    """The numbers of a line on open paper that stand apart from its words."""
    runs: list[tuple[int, int]] = []
    start = 0
    while start < len(tokens):
        stop = start
        while stop < len(tokens) and _continues(tokens, start, stop, height):
            stop += 1
        if stop > start:
            runs.append((start, stop))
        start = max(stop, start + 1)
    return [
        tokens[a:b] for a, b in runs if _stands_apart(tokens, a, b, height) and _enough(tokens[a:b])
    ]


def _continues(tokens: list[_Token], start: int, at: int, height: float) -> bool:
    """Whether a token goes on with the number that begins at ``start``."""
    token = tokens[at]
    if at == start:
        return token.kind == "digit"
    gap = token.box[0] - tokens[at - 1].box[2]
    return token.kind != "other" and gap <= _NUMBER_GAP * height


def _enough(run: list[_Token]) -> bool:
    """A lone sign on open paper is too easily something else."""
    return sum(token.kind == "digit" for token in run) >= 2


def _stands_apart(tokens: list[_Token], start: int, stop: int, height: float) -> bool:
    """Whether a run of digits is neither glued to letters nor part of a sentence."""
    run = tokens[start:stop]
    if start > 0:
        before = tokens[:start]
        gap = run[0].box[0] - before[-1].box[2]
        words = _words(before, height)
        if words and gap < _WORD_GAP * height and len(words[-1]) > 1:
            return False
        if len(words) > 3:
            return False
    if stop < len(tokens):
        gap = tokens[stop].box[0] - run[-1].box[2]
        if gap < _NUMBER_GAP * height:
            return False
    return True


def _words(tokens: list[_Token], height: float) -> list[list[_Token]]:
    """Tokens parted at the gaps between words."""
    words: list[list[_Token]] = []
    for token in tokens:
        if words and token.box[0] - words[-1][-1].box[2] <= _WORD_GAP * height:
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _number(
    file: str, glyphs: Glyphs, name: str, tokens: list[_Token], options: AssembleOptions
) -> Number:
    """A row of the table from the tokens of one number."""
    digits = [token for token in tokens if token.kind == "digit"]
    confidence = float(np.prod([token.confidence for token in digits]))
    sure = confidence >= options.min_confidence
    bounds = np.array([token.box for token in tokens])
    box = (*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0))
    return Number(
        file=file,
        page=glyphs.number,
        field=name,
        value="".join(token.text for token in digits),
        text="".join(token.text for token in tokens),
        confidence=confidence,
        status="ok" if sure else "review",
        box=_on_page(box, glyphs),
        message="" if sure else "the reading is not sure enough",
        digits=tuple(_digit(token, glyphs) for token in digits),
    )


def _digit(token: _Token, glyphs: Glyphs) -> Digit:
    """A digit with its next best readings."""
    order = np.argsort(-token.probabilities[:NOT_A_DIGIT], kind="stable")
    others = tuple(
        (CLASSES[index], float(token.probabilities[index]))
        for index in order[1 : 1 + _ALTERNATIVES]
    )
    return Digit(token.text, token.confidence, _on_page(token.box, glyphs), others)


def _on_page(box: tuple[int, ...], glyphs: Glyphs) -> Box:
    """A box of the ink picture as the upright box around it on the page."""
    left, top, right, bottom = box
    corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]])
    on_page = corners @ glyphs.to_page.T
    width, height = glyphs.page_size
    low = np.clip(np.floor(on_page.min(axis=0) + 1e-6), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(on_page.max(axis=0) - 1e-6), 0, [width, height]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
