"""Whole numbers as strips: composed for training, cut out of pages, read column by column."""

from __future__ import annotations

import itertools
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digitocr.assembling.prefixes import texts_of
from digitocr.lift import lift
from digitocr.network import build_for_strips
from digitocr.prepare import prepare_page
from digitocr.recipe import CleanOptions, ModelOptions, Recipe, SegmentOptions
from digitocr.strips import FIGURE, HEIGHT, SIGNS, STEP
from digitocr.training.draw import draw_printed
from digitocr.training.hands import SHAPES, any_hand, draw
from digitocr.training.numbers import Hands, any_strip, strip_without_number
from digitocr.training.texts import any_text
from digitocr.training.wear import bent
from digitocr.types import Page

LAYERS = (
    "conv 4 5 same",
    "relu",
    "pool 2",
    "block 6 3 same",
    "pool 2 1",
    "residual 3",
    "columns 8 3",
)
PAGES = Recipe(model=ModelOptions(numbers="numbers"))
CUT_OUT = Recipe(
    clean=CleanOptions(turn=False, deskew=False, cut_out=True),
    segment=SegmentOptions(whole=True),
    model=ModelOptions(numbers="numbers"),
)


@pytest.fixture
def chances() -> np.random.Generator:
    return np.random.default_rng(4)


def test_every_shape_of_every_digit_can_be_drawn(chances: np.random.Generator) -> None:
    for digit, shapes in enumerate(SHAPES):
        for place in range(len(shapes)):
            hand = any_hand(chances)
            chosen = (*hand.shapes[:digit], place, *hand.shapes[digit + 1 :])
            ink = draw(digit, type(hand)(chosen, *_rest(hand)), 40, chances)
            assert ink.dtype == np.uint8 and ink.max() == 255
            assert 30 <= ink.shape[0] <= 70 and ink[0].any() and ink[:, 0].any()


def _rest(hand: object) -> tuple[float, ...]:
    return tuple(getattr(hand, name) for name in ("slant", "width", "pen", "unrest"))


def test_no_two_digits_of_a_hand_are_quite_alike(chances: np.random.Generator) -> None:
    hand = any_hand(chances)
    one, other = (draw(5, hand, 40, chances) for _ in range(2))
    assert one.shape != other.shape or (one != other).any()


def test_texts_are_made_of_signs_and_hold_a_digit(chances: np.random.Generator) -> None:
    texts = [any_text(chances) for _ in range(500)]
    assert all(set(text) <= set(SIGNS) and any(map(str.isdigit, text)) for text in texts)
    assert {sign for text in texts for sign in text} == set(SIGNS)


def test_strips_have_their_format_and_come_again_from_the_same_seed() -> None:
    hands = Hands([draw_printed(60, seed=1)])
    first, again = (
        [any_strip(hands, np.random.default_rng([3, at])) for at in range(40)] for _ in range(2)
    )
    for (one, text), (other, same) in zip(first, again, strict=True):
        assert one.dtype == np.uint8 and one.shape[0] == HEIGHT and one.max() > 128
        assert np.array_equal(one, other) and text == same


def test_there_is_room_for_each_sign_of_a_strip() -> None:
    hands = Hands([])
    for at in range(200):
        strip, text = any_strip(hands, np.random.default_rng([5, at]))
        repeated = sum(one == other for one, other in itertools.pairwise(text))
        assert strip.shape[1] // STEP >= len(text) + repeated, text


def test_a_bent_digit_is_another_of_the_same_size_and_ink(chances: np.random.Generator) -> None:
    digit = draw(5, any_hand(chances), 40, chances)
    before = digit.copy()
    one, other = (bent(digit, 0.0, 1.3, chances) for _ in range(2))
    assert np.array_equal(digit, before) and (one != other).any()
    assert one.dtype == np.uint8 and one.shape == (digit.shape[0] + 8, digit.shape[1] + 8)
    assert 0.8 < one.sum() / digit.sum() < 1.2
    same = bent(digit, 0.0, 0.0, chances)[4:-4, 4:-4]
    assert np.array_equal(same, digit)


def test_letters_stand_beside_numbers_and_are_no_part_of_their_text() -> None:
    letters = draw_printed(60, seed=1)  # whatever it holds: it is to be no digit
    plain, beside = Hands([]), Hands([], letters=letters)
    pairs = [
        (any_strip(hands, np.random.default_rng([6, at]))[1] for hands in (plain, beside))
        for at in range(60)
    ]
    assert all(set(text) <= set(SIGNS) for pair in pairs for text in pair)
    words = [beside.word(np.random.default_rng([6, at])) for at in range(60)]
    assert all(one.dtype == np.uint8 and one.any() and len(one) <= 60 for one in words)


def test_words_alone_are_a_strip_without_a_text() -> None:
    for at in range(30):
        strip, text = strip_without_number(Hands([]), np.random.default_rng([8, at]))
        assert strip.dtype == np.uint8 and strip.shape[0] == HEIGHT and strip.any() and not text


def test_a_source_that_lacks_a_digit_is_refused() -> None:
    digits = draw_printed(60, seed=1)
    with pytest.raises(ValueError, match="7"):
        Hands([digits.where(digits.labels != 7)])


def test_a_field_cut_out_of_a_page_gives_a_strip_with_its_figures_in_the_middle(
    paper: ModuleType,
) -> None:
    sheet = paper.Sheet(40, 12, 200, np.random.default_rng(3))
    sheet.hand(4, 9, "n", "59027", height=6)
    glyphs = prepare_page(Page(1, sheet.picture()), CUT_OUT)
    (writing,) = glyphs.writing
    strip = lift(writing)
    assert strip.pixels.dtype == np.uint8
    rows = np.flatnonzero((strip.pixels > 128).any(axis=1))
    assert strip.pixels.shape[0] == HEIGHT
    assert abs(rows[0] + rows[-1] + 1 - HEIGHT) <= 4
    assert 0.8 * FIGURE <= rows[-1] + 1 - rows[0] <= 1.3 * FIGURE


def test_an_empty_field_has_no_writing() -> None:
    glyphs = prepare_page(Page(1, np.full((60, 200), 250, np.uint8)), CUT_OUT)
    assert glyphs.writing == (None,)


def test_a_part_of_a_line_is_lifted_without_the_rest(paper: ModuleType) -> None:
    sheet = paper.Sheet(120, 60, 200, np.random.default_rng(3))
    sheet.box(15, 20, 60, 14)
    sheet.hand(20, 30, "n", "59027", height=6)
    (writing,) = prepare_page(Page(1, sheet.picture()), PAGES).writing
    assert len(writing.boxes) == 5
    whole, part = lift(writing), lift(writing, 1, 4)
    assert part.left + 1 / part.scale >= writing.boxes[1, 0] - 5 / part.scale > whole.left
    gaps = np.diff(np.flatnonzero((part.pixels > 128).any(axis=0)))
    assert (gaps > 1).sum() == 2  # three digits
    height = (part.pixels > 128).any(axis=1).sum()
    assert 0.8 * FIGURE <= height <= 1.3 * FIGURE


def test_cells_have_no_writing_and_pipelines_without_a_model_keep_none(paper: ModuleType) -> None:
    sheet = paper.Sheet(120, 60, 200, np.random.default_rng(3))
    sheet.cells(20, 20, "n", "59027")
    assert prepare_page(Page(1, sheet.picture()), PAGES).writing == (None,)
    assert prepare_page(Page(1, sheet.picture()), Recipe()).writing == ()


@pytest.mark.parametrize("width", [8, 33, 120])
def test_a_strip_network_says_something_at_every_other_column(width: int) -> None:
    net = build_for_strips(LAYERS, len(SIGNS) + 1)
    assert net(torch.zeros(2, 1, HEIGHT, width)).shape == (2, len(SIGNS) + 1, width // STEP)


def test_layers_that_leave_rows_cannot_read_strips() -> None:
    with pytest.raises(ValueError, match="columns"):
        build_for_strips(["conv 4 5 same", "pool 2"], 17)


class Anything:
    """A grammar of all texts."""

    start = 0

    def step(self, state: int, sign: str) -> int:
        return 0

    def value(self, text: str, state: int) -> str:
        return text


def log_shares(columns: int, seed: int) -> NDArray[np.float32]:
    scores = np.random.default_rng(seed).normal(0, 2, (len(SIGNS) + 1, columns))
    scores[3:-1] = -30.0  # few signs, so that all ways can be counted
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=0), np.float32)


def said(way: tuple[int, ...]) -> str:
    """What the columns of one way say together."""
    return "".join(
        SIGNS[one]
        for at, one in enumerate(way)
        if one < len(SIGNS) and (at == 0 or way[at - 1] != one)
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_texts_probability_is_the_sum_over_all_ways_to_say_it(seed: int) -> None:
    shares = log_shares(4, seed)
    sums: dict[str, float] = {}
    for way in itertools.product((0, 1, 2, len(SIGNS)), repeat=4):
        whole = float(sum(shares[one, at] for at, one in enumerate(way)))
        sums[said(way)] = float(np.logaddexp(sums.get(said(way), -np.inf), whole))
    best = sorted(sums, key=lambda text: -sums[text])[:5]
    found = {text: share for text, _, share in texts_of(shares, Anything())}
    for text in best:
        assert found[text] == pytest.approx(sums[text], abs=0.01)


def test_equal_signs_are_parted_by_columns_that_say_nothing() -> None:
    sure = np.full((len(SIGNS) + 1, 7), -20.0, np.float32)
    for at, sign in enumerate((1, -1, -1, 1, 1, -1, -1)):
        sure[sign, at] = 0.0
    found = {text: share for text, _, share in texts_of(sure, Anything())}
    assert max(found, key=lambda text: found[text]) == "11"
