"""Stage 6: probabilities -> numbers, each with the confidence that it is right.

In a row of cells every cell holds one character. In a box the digits make one number. On
open paper a number is a run of digits that stands apart: not glued to letters, not
followed by a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitocr.assembling.endings import Endings, endings_of
from digitocr.assembling.freestanding import (
    free_numbers,
    only_strokes,
    trimmed,
)
from digitocr.assembling.lattice import (
    Edges,
    Token,
    best_path,
    edges_of,
    figure_heights,
    number_between,
    read_as,
    row_of,
    where_given,
)
from digitocr.assembling.runs import FEWEST, Run, plain_run, stretches
from digitocr.recipe import ValueOptions
from digitocr.risk import Bar, Bars
from digitocr.trust import Evidence
from digitocr.types import (
    CLASSES,
    NOT_A_DIGIT,
    Box,
    Digit,
    Field,
    Glyphs,
    Grammar,
    Number,
    PageReading,
    Status,
    StripReading,
)

if TYPE_CHECKING:
    from digitocr.assembling.decode import Meaning

__all__ = ["Endings", "Strips", "assemble", "endings_of", "evidence", "grammar_for"]

_SAME_NUMBER = 0.8  # of the figures' height: numbers with a narrower gap may be one
_LEAST_CELLS = 3  # an empty row of fewer cells may be anything
_MAYBE = 0.1  # the probability of a digit in a cell after others that is not ruled out
_SHORT_ROW = 4  # cells: most of them may be crossed out before a small number
_ODD = re.compile(r"[.,'/-]{2}(?<!/-$)")  # two separators side by side; "500/-" is none
_STROKE = re.compile("1-+$")  # so amounts seldom end, and often by a stroke: 500/-
_ALTERNATIVES = 3
_ODD_SIGNS = "its separators are odd"
_IS_UNLIKE = "so much is doubtful here that it is unlike what the accepted error was measured on"
_SURELY = 0.9  # a number read digit by digit with this needs no second reader
_PLAINLY = 0.5  # what is less surely a number by both readers is left as it was
_UNREAD = 0.05  # that high ink in a place where a number is known to stand is none of its digits

_NO_DIGIT = np.eye(NOT_A_DIGIT + 1, dtype=np.float32)[NOT_A_DIGIT]

Strips = Callable[[int, int, int], StripReading | None]
_Said = Callable[[int, int], StripReading | None]  # the same, of one field


@dataclass(frozen=True, slots=True)
class _Reading:
    """What stands in a field: its tokens from left to right, and what is odd about them.

    edges, height: all the ways to read it, and the height of its figures, where a number is
    known to stand. meaning: what it holds within the field's grammar.
    unread: how many glyphs as high as digits stand there besides. read_whole: whether its strip
    was read as well.
    """

    tokens: list[Token]
    doubt: str = ""
    edges: Edges | None = None
    height: float = 0.0
    meaning: Meaning | None = None
    unread: int = 0
    read_whole: bool = False


def assemble(
    file: str,
    glyphs: Glyphs,
    probabilities: NDArray[np.float32],
    bars: Bars,
    grammar: Grammar | None = None,
    strips: Strips | None = None,
) -> PageReading:
    """Read the numbers of one page.

    probabilities: float32 (N, 11), of each candidate in ``glyphs``. bars: that a number's
    confidence must reach. grammar: of what its fields hold; None for any number. strips: what
    the strip of some atoms of a field says: given its index, and the first atom and the end of
    them, counted within the field. It is asked where digits alone do not suffice. None where
    nothing reads strips.
    """
    hopeful = endings_of(glyphs).hopeful(probabilities)
    probabilities = np.where(hopeful[:, None], probabilities, _NO_DIGIT)
    promising = set(glyphs.field[hopeful].tolist())
    heights = figure_heights(glyphs, probabilities)
    lattices = zip(edges_of(glyphs, probabilities, heights), heights.tolist(), strict=True)
    readings: list[tuple[Field, _Reading]] = []
    for index, (field, (edges, height)) in enumerate(zip(glyphs.fields, lattices, strict=True)):
        if field.kind == "free" and index not in promising:
            continue
        said = None if strips is None else partial(strips, index)
        read = _read_field(field, edges, height, grammar, said)
        readings += [(field, reading) for reading in read]
    readings = _doubt_neighbours(readings)
    sheet = _Sheet(file, glyphs.number, glyphs.page_size, glyphs.to_page.tolist())
    numbers = [
        _number(sheet, field, field.name or f"n{at}", reading, bars)
        for at, (field, reading) in enumerate(readings, start=1)
    ]
    for whole, bar in ((False, bars.apart), (True, bars.whole)):
        these = [at for at, (_, reading) in enumerate(readings) if reading.read_whole == whole]
        _doubt_unlike(numbers, these, bar)
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


def evidence(glyphs: Glyphs, probabilities: NDArray[np.float32], strip: StripReading) -> Evidence:
    """What the strip and the lattice of a page's only field, a given one, each say.

    probabilities: float32 (N, 11), N at least 1.
    """
    from digitocr.assembling.decode import by_lattice, by_strip  # loads what makes automata
    from digitocr.assembling.search import search

    heights = figure_heights(glyphs, probabilities)
    (edges,) = edges_of(glyphs, probabilities, heights)
    assert edges is not None, "there are candidates"
    edges = where_given(edges, float(heights[0]))
    grammar = _any_number()
    texts = by_strip(strip, grammar)
    lattice = search(edges, grammar)
    read = {value: share for value, (_, share) in texts.items()}
    return Evidence(read, by_lattice(lattice, grammar), lattice.cuts_ink)


def grammar_for(options: ValueOptions, expected: Sequence[str] | None) -> Grammar | None:
    """What fields may hold, None for any number.

    expected: values of which each field holds one, None for any.
    Raises PipelineError where the options or the values make no sense.
    """
    if options == ValueOptions() and expected is None:
        return None
    from digitocr.assembling.grammar import grammar_of  # loads what makes automata

    return grammar_of(options, expected)


def _any_number() -> Grammar:
    """That of a field of which nothing is known."""
    from digitocr.assembling.grammar import grammar_of  # loads what makes automata

    return grammar_of(ValueOptions())


def _doubt_neighbours(readings: list[tuple[Field, _Reading]]) -> list[tuple[Field, _Reading]]:
    """The readings; those that stand so close that they may be one number are doubtful.

    A fold, a stain or a rule that is none may part a number in two.
    """
    written = [at for at, (_, reading) in enumerate(readings) if reading.tokens]
    boxes = np.array([_bounds(readings[at][1].tokens) for at in written]).reshape(-1, 4)
    left, top, right, bottom = (edge[:, None] for edge in boxes.T)
    height = np.minimum(bottom - top, (bottom - top).T)
    level = 2 * (np.minimum(bottom, bottom.T) - np.maximum(top, top.T)) >= height
    gap = np.maximum(left - right.T, left.T - right)
    close = level & (gap <= _SAME_NUMBER * height)
    np.fill_diagonal(close, False)
    result = list(readings)
    for at in np.array(written, int)[close.any(axis=1)]:
        field, reading = readings[at]
        doubt = reading.doubt or "another number stands so close that the two may be one"
        result[at] = (field, replace(reading, doubt=doubt))
    return result


def _doubt_unlike(numbers: list[Number], own: Sequence[int], bar: Bar) -> None:
    """Mark all of a page's accepted numbers for review where the bar promises too much.

    own: the places of the numbers that the bar is for.
    """
    accepted = [at for at in own if numbers[at].status == "ok"]
    read = [at for at in own if numbers[at].digits]
    if bar.is_unlike(len(accepted), len(read)):
        for at in accepted:
            numbers[at] = replace(numbers[at], status="review", message=_IS_UNLIKE)


def _read_field(
    field: Field, edges: Edges | None, height: float, grammar: Grammar | None, said: _Said | None
) -> list[_Reading]:
    """The numbers of one field. edges: None where it is empty. height: of its figures."""
    if field.kind == "cells":
        readings = _read_cells(field, edges)
    elif edges is None:
        readings = [_Reading([])] if field.kind == "given" else []
    elif field.kind == "given":
        return [_read_given(edges, height, grammar, said)]
    else:
        readings = _read_open(field, edges, height, grammar, said)
    if grammar is None:
        return readings
    return [one if one.meaning else _meant(one, grammar, None) for one in readings]


def _read_given(
    edges: Edges, height: float, grammar: Grammar | None, said: _Said | None
) -> _Reading:
    """The number in a place where one is known to stand; there is ink."""
    edges = where_given(edges, height)
    tokens, places = best_path(edges, height)
    reading = replace(_given_number(tokens, height), edges=edges, height=height)
    strip = said(0, places[-1]) if said is not None else None
    if grammar is None and strip is None:
        return reading
    return _meant(reading, grammar or _any_number(), strip)


def _read_open(
    field: Field, edges: Edges, height: float, grammar: Grammar | None, said: _Said | None
) -> list[_Reading]:
    """The numbers in a box or on open paper, where there is ink."""
    tokens, places = best_path(edges, height)
    if field.kind == "box":
        readings = _box_number(tokens, height, field.doubt)
    else:
        numbers = free_numbers(tokens, height)
        readings = [_Reading(run, field.doubt or only_strokes(run)) for run in numbers]
    if said is None:
        return readings
    line = _Line(field, edges, height, tokens, places)
    return _read_again(line, readings, grammar, said)


@dataclass(frozen=True, slots=True)
class _Line:
    """A box or a line on open paper as its lattice reads it.

    height: of its figures. places: between which of its atoms each of the tokens stands.
    """

    field: Field
    edges: Edges
    height: float
    tokens: list[Token]
    places: list[int]


def _read_again(
    line: _Line, readings: list[_Reading], grammar: Grammar | None, said: _Said
) -> list[_Reading]:
    """The numbers of a line, those that its lattice does not surely read whole by their strips.

    readings: as the lattice reads them, at most one in each stretch between wide gaps.
    """
    tokens, height = line.tokens, line.height
    boxed = line.field.kind == "box"
    result = []
    for begin, end in [(0, len(tokens))] if boxed else stretches(tokens, height):
        places = {id(tokens[place]): place for place in range(begin, end)}
        known = next((one for one in readings if id(one.tokens[0]) in places), None)
        first = None if known is None else places[id(known.tokens[0])]
        run = plain_run(tokens, begin, end, first, height)
        whole = None
        if run is not None and not _is_sure(known, run):
            whole = _read_whole(line, run, known, grammar, said)
        result += [one for one in (whole or known,) if one is not None]
    return result


def _is_sure(known: _Reading | None, run: Run) -> bool:
    """Whether the lattice surely reads a run whole. known: as what it reads it."""
    if known is None or run.unread or _is_odd(known.tokens):
        return False
    return math.prod(one.confidence for one in known.tokens if one.kind == "digit") >= _SURELY


def _read_whole(
    line: _Line, run: Run, known: _Reading | None, grammar: Grammar | None, said: _Said
) -> _Reading | None:
    """The number of a run by its strip and its lattice, None where these do not agree on one.

    known: as what the lattice alone reads it, None where that takes it for no number. Then the
    strip must say more than the lattice, if that leaves anything unread: else it is a word.
    """
    from digitocr.assembling.decode import decode  # loads what makes automata

    start, stop = line.places[run.first], line.places[run.last]
    strip = said(start, stop)
    if strip is None:
        return None
    edges = number_between(line.edges, start, stop, line.height)
    meaning = decode(edges, grammar or _any_number(), strip)
    if meaning is None or not meaning.agreed or meaning.share < _PLAINLY:
        return None
    least = run.read + 1 if known is None and run.unread else FEWEST
    if sum(one.kind == "digit" for one in meaning.tokens) < least:
        return None
    signs = [*meaning.tokens, *line.tokens[run.last : run.end]]
    tokens = trimmed([one for one in signs if one.kind != "other"])
    doubt = _doubt(line, tokens, known)
    if not meaning.found:
        doubt = doubt or "digit by digit it is read otherwise"
    return _Reading(tokens, doubt, meaning=meaning, read_whole=True)


def _doubt(line: _Line, tokens: list[Token], known: _Reading | None) -> str:
    """What is doubtful about a number that was read as a whole, too."""
    if line.field.doubt:
        return line.field.doubt
    if known is None:
        return "its digits alone do not tell that it is a number"
    if _is_odd(known.tokens):  # who knows what the specks are
        return _ODD_SIGNS
    if _STROKE.search("".join(one.text for one in tokens)):
        return "its last one may be a stroke"
    return only_strokes(tokens) if line.field.kind == "free" else ""


def _is_odd(tokens: list[Token]) -> bool:
    """Whether two separators stand side by side, as no number has them."""
    return _ODD.search("".join(one.text for one in tokens)) is not None


def _read_cells(field: Field, edges: Edges | None) -> list[_Reading]:
    """A row of cells: a digit each, or a cross or dash where the number is shorter."""
    if edges is None:
        return [_Reading([])] if len(field.cells) >= _LEAST_CELLS else []
    boxes, probabilities = edges.boxes, edges.probabilities
    digit = probabilities[:, :NOT_A_DIGIT].max(axis=1) > probabilities[:, NOT_A_DIGIT]
    crossed = 2 * digit.sum() < len(digit)  # out, or letters, which words have more of
    if not digit.any() or (crossed and len(digit) > _SHORT_ROW):
        return []
    # Between two digits stands another, however badly written, and after them most likely.
    first = int(digit.argmax())
    digit[first:] |= probabilities[first:, :NOT_A_DIGIT].max(axis=1) > _MAYBE
    last = int(np.flatnonzero(digit)[-1])
    digit[first : last + 1] = True
    tokens = read_as(boxes, probabilities, digit.tolist(), [0] * len(digit))
    middle = (boxes[first : last + 1, 0] + boxes[first : last + 1, 2]) / 2
    cells = np.searchsorted([cell[0] for cell in field.cells], middle, side="right")
    doubt = "most of its cells hold no digit" if crossed else field.doubt
    if (np.diff(cells) > 1).any():
        doubt = "a cell between the digits is empty"
    return [_Reading(tokens, doubt)]


def _box_number(tokens: list[Token], height: float, doubt: str) -> list[_Reading]:
    """The number in a box: all its digits, where it holds little else."""
    digits = [at for at, one in enumerate(tokens) if one.kind == "digit"]
    others = [at for at, one in enumerate(tokens) if one.kind == "other" and _tall(one, height)]
    if not digits or len(others) > max(1, len(digits) // 2):
        return []
    # A currency sign or a label stands before the digits; what stands among or behind them
    # may be digits that could not be read.
    if others and others[-1] > digits[0]:
        doubt = "something that is not read stands beside the digits"
    return [_Reading(trimmed([one for one in tokens if one.kind != "other"]), doubt)]


def _given_number(tokens: list[Token], height: float) -> _Reading:
    """The number in a place where one is known to stand, whatever else stands there."""
    digits = [at for at, one in enumerate(tokens) if one.kind == "digit"]
    if not digits:
        return _Reading([], "there is ink, but no digit is read")
    unread = sum(one.kind == "other" and _tall(one, height) for one in tokens)
    doubt = "something that is not read stands among or beside the digits" if unread else ""
    read = trimmed([one for one in tokens if one.kind != "other"])
    return _Reading(read, doubt, unread=unread)


def _meant(reading: _Reading, grammar: Grammar, strip: StripReading | None) -> _Reading:
    """The reading within a grammar: another one may be likelier there.

    Where a number is known to stand, all ways to cut it are open; else its signs are known.
    """
    from digitocr.assembling.decode import Meaning, decode  # loads what makes automata

    if not any(one.kind == "digit" for one in reading.tokens) and reading.edges is None:
        return reading  # an empty field
    meaning = decode(reading.edges or row_of(reading.tokens), grammar, strip)
    if meaning is None:
        doubt = "what stands there is nothing that the field may hold"
        return replace(reading, doubt=reading.doubt or doubt, meaning=Meaning([], "", 0.0))
    if reading.edges is not None:  # other ink may be left unread than before
        read = _given_number(meaning.tokens, reading.height)
        if meaning.agreed:  # the strip holds all the ink
            read = replace(read, unread=0)
        return replace(read, meaning=meaning, read_whole=strip is not None)
    tokens = trimmed([one for one in meaning.tokens if one.kind != "other"])
    return replace(reading, tokens=tokens, meaning=meaning)


def _tall(token: Token, height: float) -> bool:
    return token.box[3] - token.box[1] >= 0.6 * height


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A page: its file, number and size, and as lists, which are quicker, what takes there."""

    file: str
    page: int
    size: tuple[int, int]
    to_page: list[list[float]]

    def box(self, box: Box) -> Box:
        """A box of the ink picture as the upright box around it on the page."""
        left, top, right, bottom = box
        (a, b, c), (d, e, f) = self.to_page
        x, to_x = _limits(a * left, a * right, b * top, b * bottom, c, self.size[0])
        y, to_y = _limits(d * left, d * right, e * top, e * bottom, f, self.size[1])
        return x, y, to_x, to_y


def _number(sheet: _Sheet, field: Field, name: str, reading: _Reading, bars: Bars) -> Number:
    """A row of the table."""
    tokens = reading.tokens
    digits = [token for token in tokens if token.kind == "digit"]
    others = [token for token in tokens if token.kind == "other"]
    text = "".join(token.text for token in tokens)
    value = "".join(token.text for token in digits)
    confidence = math.prod((token.confidence for token in digits + others), start=1.0)
    doubt = reading.doubt or (_ODD_SIGNS if _is_odd(tokens) else "")
    if reading.meaning is not None:
        value, confidence = reading.meaning.value, reading.meaning.share
        doubt = reading.doubt or _changed(reading.meaning)
    confidence *= _UNREAD**reading.unread
    if reading.doubt and not digits:
        confidence = 0.0
    bar = bars.whole if reading.read_whole else bars.apart
    status, message = _status(digits, confidence, doubt, bar.confidence)
    return Number(
        file=sheet.file,
        page=sheet.page,
        field=name,
        value=value,
        text=text,
        confidence=confidence,
        status=status,
        box=sheet.box(_bounds(tokens) if digits else field.box),
        message=message,
        digits=tuple(_digit(token, sheet) for token in digits),
    )


def _changed(meaning: Meaning) -> str:
    """A doubt where only its check digits make the value what it is."""
    digits = [at for at, one in enumerate(meaning.tokens) if one.kind == "digit"]
    places = [digits.index(at) + 1 for at in meaning.changed]
    if not places:
        return ""
    which = f"digit {places[0]}" if len(places) == 1 else f"digits {', '.join(map(str, places))}"
    return f"{which} read so that the check digit fits, which proves nothing"


def _status(digits: list[Token], confidence: float, doubt: str, bar: float) -> tuple[Status, str]:
    """Whether a number is accepted, and if not, why."""
    if doubt:
        return "review", doubt
    if not digits:
        return "blank", ""
    if confidence >= bar:
        return "ok", ""
    weakest = min(range(len(digits)), key=lambda at: digits[at].confidence)
    return "review", f"digit {weakest + 1} of {len(digits)} is not sure"


def _bounds(tokens: list[Token]) -> Box:
    """The box around some tokens."""
    left, top, right, bottom = zip(*(token.box for token in tokens), strict=True)
    return min(left), min(top), max(right), max(bottom)


def _digit(token: Token, sheet: _Sheet) -> Digit:
    """A digit with its next best readings."""
    shares = token.probabilities[:NOT_A_DIGIT].tolist()  # a list is quicker than so small arrays
    best = sorted(range(NOT_A_DIGIT), key=shares.__getitem__, reverse=True)[: 1 + _ALTERNATIVES]
    others = tuple((CLASSES[at], shares[at]) for at in best if CLASSES[at] != token.text)
    return Digit(token.text, token.confidence, sheet.box(token.box), others)


def _limits(
    one: float, other: float, above: float, below: float, away: float, size: int
) -> tuple[int, int]:
    """The whole pixels, of ``size`` there are, from the first corner of a box to the last.

    one, other: how far its left and its right side move a corner. above, below: how far its
    top and its bottom do. away: how far all are moved.
    """
    if other < one:
        one, other = other, one
    if below < above:
        above, below = below, above
    low, high = math.floor(one + above + away + 1e-6), math.ceil(other + below + away - 1e-6)
    return min(max(low, 0), size), min(max(high, 0), size)
