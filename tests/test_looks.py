"""Few glyphs of a page are classified, and its numbers are those that all of them would give."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.assemble import assemble
from digitocr.looks import probabilities_of
from digitocr.risk import Bars
from digitocr.types import Field, Glyphs

Shares = NDArray[np.float32]


def written(
    random: np.random.Generator, lines: list[str], kind: str = "free", clear: float = 0.95
) -> Glyphs:
    """A page of lines: ``9`` for a digit, ``a`` for a letter, ``-`` for a mark, and spaces.

    Pictures are empty but for their first pixels, which tell what they show. Neighbours within
    a word are candidates together, too. clear: the share of glyphs that are.
    """
    boxes, spans, fields, marks, crops = [], [], [], [], []
    first = 0
    for number, line in enumerate(lines):
        x, top, atoms = 50, 100 + 80 * number, []
        for sign in line:
            if sign == " ":
                x += int(random.integers(6, 60))
                continue
            height = 6 if sign == "-" else int(random.integers(26, 44))
            atoms.append((x, top + 44 - height, x + int(random.integers(10, 30)), top + 44))
            x = atoms[-1][2] + int(random.integers(-2, 8))
        signs = [sign for sign in line if sign != " "]
        for start, box in enumerate(atoms):
            for stop in range(start + 1, min(start + 3, len(atoms)) + 1):
                joined = np.array(atoms[start:stop])
                boxes.append((*joined[:, :2].min(axis=0), *joined[:, 2:].max(axis=0)))
                spans.append((first + start, first + stop))
                fields.append(number)
                alone = stop == start + 1
                marks.append(ord("-") if signs[start] == "-" and alone else 0)
                digit = signs[start] == "9" if alone else random.random() < 0.1
                crops.append(_picture(random, digit, clear))
                if box[2] + 20 < joined[-1, 0]:
                    break
        first += len(atoms)
    return Glyphs(
        number=1,
        page_size=(4000, 4000),
        dpi=200.0,
        rotation=0,
        skew=0.0,
        to_page=np.eye(2, 3),
        fields=tuple(Field(kind, (0, 0, 10, 10)) for _ in lines),  # type: ignore[arg-type]
        field=np.array(fields, np.int32),
        span=np.array(spans, np.int32).reshape(-1, 2),
        boxes=np.array(boxes, np.int32).reshape(-1, 4),
        cuts=np.zeros(len(boxes), np.uint8),
        mark=np.array(marks, np.uint8),
        crops=np.array(crops, np.uint8).reshape(-1, 28, 28),
    )


def _picture(random: np.random.Generator, digit: bool, clear: float) -> NDArray[np.uint8]:
    """28x28, its first eleven pixels weights of the classes: mostly clear, sometimes not."""
    picture = np.zeros((28, 28), np.uint8)
    picture[0, :11] = random.integers(0, 2, 11)
    sure = random.choice([2, 20, 250], p=[(1 - clear) / 2, (1 - clear) / 2, clear])
    picture[0, int(random.integers(10)) if digit else 10] = sure
    return picture


class Shown:
    """Tells the classes of such pictures. count: how many it was asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, crops: NDArray[np.uint8]) -> Shares:
        self.count += len(crops)
        weights = crops[:, 0, :11].astype(np.float32) + 1e-3
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def lines_by_chance(random: np.random.Generator) -> list[str]:
    kinds = ["a" * 9, "9" * 9, "a9 ", "9999-99 aa", "a " * 4, "  9"]
    return [
        "".join(
            random.choice(list(str(random.choice(kinds)))) for _ in range(random.integers(1, 14))
        )
        for _ in range(random.integers(1, 6))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_what_is_not_looked_at_changes_no_number(seed: int) -> None:
    random = np.random.default_rng(seed)
    pages = [written(random, lines_by_chance(random)) for _ in range(5)]
    for page, few in zip(pages, probabilities_of(pages, Shown()), strict=True):
        assert assemble("a", page, few, Bars()) == assemble("a", page, Shown()(page.crops), Bars())


def test_the_glyphs_of_words_are_hardly_looked_at() -> None:
    page = written(np.random.default_rng(2), ["aaaaaaaaaaaaaaaaaaaa"] * 5, clear=1.0)
    looked_at = Shown()
    probabilities_of([page], looked_at)
    assert 0 < looked_at.count < len(page.crops) / 3


def test_words_that_end_like_digits_are_hardly_looked_at_either() -> None:
    page = written(np.random.default_rng(2), ["aaaaaaaaaaaaaaaaaaa9"] * 5, clear=1.0)
    looked_at = Shown()
    probabilities_of([page], looked_at)
    assert 0 < looked_at.count < len(page.crops) / 3


@pytest.mark.parametrize("how", ["wide", "cut"])
def test_digits_that_touch_before_the_last_tell_nothing_and_all_is_looked_at(how: str) -> None:
    page = written(np.random.default_rng(4), ["9999a9"], clear=1.0)
    touching = (page.span == (4, 5)).all(axis=1)
    if how == "wide":
        page.boxes[touching, 0] = page.boxes[touching, 2] - 44
    else:
        page.cuts[touching] = 1
    looked_at = Shown()
    probabilities_of([page], looked_at)
    assert looked_at.count == len(page.crops)


def test_words_far_beside_a_number_are_hardly_looked_at() -> None:
    page = written(
        np.random.default_rng(2), ["aaaaaaaaaaaaaaaaaaa" + " " * 9 + "999"] * 5, clear=1.0
    )
    looked_at = Shown()
    few = probabilities_of([page], looked_at)
    assert looked_at.count < len(page.crops) / 2
    numbers = assemble("a", page, few[0], Bars()).numbers
    assert {len(number.value) for number in numbers} == {3}


@pytest.mark.parametrize("kind", ["box", "given", "cells"])
def test_in_a_field_everything_is_looked_at(kind: str) -> None:
    page = written(np.random.default_rng(3), ["aaaaaaaaaaaa"], kind)
    looked_at = Shown()
    probabilities_of([page], looked_at)
    assert looked_at.count == len(page.crops)


@pytest.mark.parametrize("lines", [[], [""], ["", "999", ""]])
def test_pages_and_fields_may_be_empty(lines: list[str]) -> None:
    page = written(np.random.default_rng(4), lines)
    (few,) = probabilities_of([page], Shown())
    assert few.shape == (len(page.crops), 11)
    assert few.dtype == np.float32


def test_no_pages_give_no_probabilities() -> None:
    assert probabilities_of([], Shown()) == []
