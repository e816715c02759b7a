"""A picture that holds one number, cut out: one row, whatever is printed behind it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digitocr import Pipeline
from digitocr.cleaning.cutouts import pen_ink, without_level_rules
from digitocr.training.draw import draw_printed
from digitocr.training.hands import Hand, draw
from digitocr.training.strings import compose, take_from_strings

Pixels = NDArray[np.uint8]
VALUES = ("590276", "48120663", "07351", "104")


def number(paper: ModuleType, value: str, seed: int = 3) -> Pixels:
    """A cut-out field with a written number on plain paper: uint8 (h, w, 3)."""
    shapes = dict.fromkeys("0123456789.,-/", 0) | {"1": 2, "4": 1}
    sheet = paper.Sheet(8 + 5.5 * len(value), 12, 200, np.random.default_rng(seed))
    sheet.hand_of = paper.Hand(slant=0.06, width=0.62, wobble=0.01, unrest=0.02, shapes=shapes)
    sheet.hand(4, 9, "n", value, height=6)
    picture: Pixels = sheet.picture()
    return picture


def on_security_paper(paper: ModuleType, picture: Pixels) -> Pixels:
    """The same ink on a guilloche."""
    pattern = paper.guilloche(picture.shape[:2], (70, 110, 90), seed=5)
    return np.minimum(picture, pattern)


def ruled(picture: Pixels) -> Pixels:
    """With a rule from side to side, as high as the figures' feet."""
    crossed = picture.copy()
    row = round(0.76 * len(picture))
    crossed[row : row + 2] = 60
    return crossed


@pytest.fixture(scope="module")
def reader() -> Pipeline:
    return Pipeline.load("number", device="cpu")


def values(reader: Pipeline, folder: Path) -> list[str]:
    return [one.value for document in reader.read_all(folder, jobs=1) for one in document.numbers]


def test_each_picture_is_one_row_however_it_was_taken(
    reader: Pipeline, paper: ModuleType, tmp_path: Path
) -> None:
    for at, value in enumerate(VALUES):
        plain = number(paper, value)
        for kind, picture in {
            "plain": plain,
            "pattern": on_security_paper(paper, plain),
            "large": cv2.resize(plain, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
            "light": 255 - plain,
        }.items():
            Image.fromarray(picture).save(tmp_path / f"{kind}{at}.png")
    assert values(reader, tmp_path) == list(VALUES) * 4


def pushed_together(digits: list[Pixels]) -> Pixels:
    """Each digit pushed to the left until its ink meets that of the one before.

    digits: uint8 (h, w), 255 is ink. Returns uint8 (h, w), 255 is paper.
    """
    high = max(len(one) for one in digits)
    field = np.zeros((high, sum(one.shape[1] for one in digits)), np.uint8)
    for one in digits:
        ink = np.pad(one, ((high - len(one), 0), (0, 0))) > 127
        left = next(
            at for at in range(field.shape[1]) if not (field[:, at : at + ink.shape[1]] & ink).any()
        )
        while left and not (field[:, left : left + ink.shape[1]] & ink).any():
            left -= 1
        field[:, left : left + ink.shape[1]] |= np.where(ink, np.uint8(255), np.uint8(0))
    columns = np.flatnonzero(field.any(axis=0))
    return 255 - np.pad(field[:, : columns[-1] + 1], 12)


def test_figures_that_touch_are_read_like_those_that_do_not(
    reader: Pipeline, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    hand = Hand((0, 2, 0, 0, 0, 1, 0, 0, 0, 0), slant=0.05, width=0.6, pen=0.08, unrest=0.01)
    texts = ("59027", "4813", "70264", "3195", "86420", "2748")
    for text in texts:
        digits = [draw(int(sign), hand, 60.0, random) for sign in text]
        picture = pushed_together(digits)
        assert cv2.connectedComponents(255 - picture)[0] - 1 < len(text)
        Image.fromarray(picture).save(tmp_path / f"{texts.index(text)}.png")
    (*numbers,) = (one for page in reader.read_all(tmp_path, jobs=1) for one in page.numbers)
    right = [one.value == text for one, text in zip(numbers, texts, strict=True)]
    assert sum(right) >= len(texts) - 1
    for one in numbers:
        boxes = [digit.box for digit in one.digits]
        assert [digit.value for digit in one.digits] == list(one.value)
        assert boxes == sorted(boxes) and all(left < right for left, _, right, _ in boxes)


def test_a_shaded_field_is_read_though_its_margin_is_light(
    reader: Pipeline, paper: ModuleType, tmp_path: Path
) -> None:
    small = cv2.resize(
        number(paper, "48120663"), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    )
    high, wide, _ = small.shape
    framed = np.full((high + 18, wide + 10, 3), 215, np.uint8)
    framed[18:, 10:] = 60 + small // 3
    Image.fromarray(framed).save(tmp_path / "shaded.png")
    (value,) = values(reader, tmp_path)
    assert value.endswith("48120663")  # the margin's edge may look like a one


def test_an_empty_picture_is_a_blank_row(reader: Pipeline, tmp_path: Path) -> None:
    Image.new("L", (200, 60), 250).save(tmp_path / "empty.png")
    (document,) = reader.read_all(tmp_path, jobs=1)
    assert [(one.value, one.status) for one in document.numbers] == [("", "blank")]


def test_a_picture_of_something_else_is_not_called_blank(reader: Pipeline, tmp_path: Path) -> None:
    picture = np.full((80, 200), 250, np.uint8)
    cv2.putText(picture, "XW", (40, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 20, 4, cv2.LINE_AA)
    Image.fromarray(picture).save(tmp_path / "letters.png")
    (document,) = reader.read_all(tmp_path, jobs=1)
    assert [one.status for one in document.numbers] == ["review"]


@pytest.fixture
def with_a_letter(paper: ModuleType, tmp_path: Path) -> Path:
    """A folder with 07351 and a W behind it."""
    figures = number(paper, "07351")
    letters = np.full((len(figures), 120, 3), 250, np.uint8)
    cv2.putText(letters, "W", (20, 62), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 20, 20), 4, cv2.LINE_AA)
    Image.fromarray(np.hstack([figures, letters])).save(tmp_path / "beside.png")
    return tmp_path


def test_a_letter_beside_the_digits_is_not_read(reader: Pipeline, with_a_letter: Path) -> None:
    (document,) = reader.read_all(with_a_letter, jobs=1)
    (found,) = document.numbers
    assert found.value == found.text == "07351" and len(found.digits) == 5


def test_a_rule_under_the_figures_goes_and_the_figures_stay(paper: ModuleType) -> None:
    grey = cv2.cvtColor(number(paper, "48120663"), cv2.COLOR_RGB2GRAY)
    ink = pen_ink(grey)
    with_rule = pen_ink(ruled(grey[..., None])[..., 0])
    left, rules = without_level_rules(with_rule)
    assert rules.any()
    beside = left & ~cv2.dilate(ink, np.ones((5, 5)))
    assert cv2.countNonZero(beside) < 0.01 * cv2.countNonZero(ink)
    assert cv2.countNonZero(left) > 0.9 * cv2.countNonZero(ink)


def test_without_a_rule_nothing_is_taken_away(paper: ModuleType) -> None:
    ink = pen_ink(cv2.cvtColor(number(paper, "07351"), cv2.COLOR_RGB2GRAY))
    left, rules = without_level_rules(ink)
    assert np.array_equal(left, ink) and not rules.any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 3), (20, 20)])
def test_pictures_of_hardly_any_size_have_no_rules(shape: tuple[int, int]) -> None:
    for level in (0, 255):
        left, rules = without_level_rules(np.full(shape, level, np.uint8))
        assert left.shape == rules.shape == shape


def test_a_pattern_behind_the_pen_is_no_ink(paper: ModuleType) -> None:
    plain = number(paper, "590276")
    grey = [
        cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (plain, on_security_paper(paper, plain))
    ]
    one, other = (pen_ink(each) for each in grey)
    assert cv2.countNonZero(one ^ other) < 0.1 * cv2.countNonZero(one)


def test_composed_strings_say_where_each_digit_is() -> None:
    digits = draw_printed(40, seed=0)
    picture, extents = compose(digits.pictures[:4], np.random.default_rng(0), gap=2)
    assert picture.dtype == np.uint8 and extents.shape == (4, 2)
    assert (np.diff(extents, axis=1) > 0).all() and extents.max() < picture.shape[1]
    outside = np.ones(picture.shape[1], bool)
    for left, right in extents:
        outside[left - 2 : right + 2] = False
    assert picture[:, outside].min() > 200


def test_what_is_taken_from_strings_is_a_digit_or_two_of_them() -> None:
    digits = draw_printed(60, seed=0)
    taken = take_from_strings(digits, 20, seed=1)
    again = take_from_strings(digits, 20, seed=1)
    assert len(taken) > 20 and set(taken.labels) <= set(range(11))
    assert np.array_equal(taken.pictures, again.pictures)
    assert not len(take_from_strings(digits, 0, seed=1))
