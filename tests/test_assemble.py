"""Probabilities become numbers: what is read, what is left alone, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.assemble import Strips, assemble
from digitocr.risk import Bars
from digitocr.strips import SIGNS
from digitocr.types import CLASSES, NOT_A_DIGIT, Field, Glyphs, Number, StripReading, Trust

_SIZES = {".": (5, 6), ",": (5, 12), "-": (16, 5), "/": (22, 54), "1": (8, 40)}


class Line:
    """A line of writing: each sign a glyph of one atom, a space a wide gap, letters no digits."""

    def __init__(self, text: str, kind: str = "free", sure: float = 0.999) -> None:
        self.boxes: list[tuple[int, int, int, int]] = []
        self.marks: list[int] = []
        self.rows: list[NDArray[np.float32]] = []
        x = 100
        for sign in text:
            if sign == " ":
                x += 16
                continue
            width, height = _SIZES.get(sign, (26, 40))
            top = 210 if sign == "-" else 240 - height
            self.boxes.append((x, top, x + width, top + height))
            self.marks.append(ord(sign) if sign in ".,-/" else 0)
            self.rows.append(_probabilities(sign, sure))
            x += width + 6
        self.kind = kind

    def glyphs(self) -> Glyphs:
        count = len(self.boxes)
        boxes = np.array(self.boxes, np.int32).reshape(-1, 4)
        bounds = (100, 180, 1200, 250)
        cells = tuple(tuple(box) for box in self.boxes) if self.kind == "cells" else ()
        return Glyphs(
            number=3,
            page_size=(2000, 1000),
            dpi=200.0,
            rotation=0,
            skew=0.0,
            to_page=np.array([[1.5, 0, 0], [0, 1.5, 0]]),
            fields=(Field(self.kind, bounds, cells),),  # type: ignore[arg-type]
            field=np.zeros(count, np.int32),
            span=np.array([(k, k + 1) for k in range(count)], np.int32).reshape(-1, 2),
            boxes=boxes,
            cuts=np.zeros(count, np.uint8),
            mark=np.array(self.marks, np.uint8),
            crops=np.zeros((count, 28, 28), np.uint8),
        )

    def read(self, strips: Strips | None = None) -> list[Number]:
        rows = np.array(self.rows, np.float32).reshape(-1, 11)
        return list(assemble("a.png", self.glyphs(), rows, Bars(), None, strips).numbers)


def _probabilities(sign: str, sure: float) -> NDArray[np.float32]:
    """A slash looks like a one to the network; a letter or a mark like no digit."""
    row = np.full(11, (1 - sure) / 10, np.float32)
    row[CLASSES.index(sign) if sign in CLASSES else 1 if sign == "/" else NOT_A_DIGIT] = sure
    return row


@pytest.mark.parametrize(
    "text", ["1025", "11/22/2019", "233.00", "1,250.75", "5-5-2015", "44,20,000/-"]
)
def test_a_number_on_open_paper_keeps_its_separators_in_the_text(text: str) -> None:
    (number,) = Line(text).read()
    assert number.text == text
    assert number.value == "".join(sign for sign in text if sign in CLASSES)
    assert number.status == "ok"


def test_leading_zeros_are_kept() -> None:
    (number,) = Line("007").read()
    assert number.value == "007"


def test_a_number_after_a_label_is_read() -> None:
    assert [number.value for number in Line("Date   1025").read()] == ["1025"]


def test_a_currency_sign_before_a_number_is_left_out() -> None:
    assert [number.text for number in Line("$ 233.00").read()] == ["233.00"]


@pytest.mark.parametrize("text", ["AB1025", "1025AB", "Fall 2019 Data", "A we had in mind 12"])
def test_a_number_in_a_word_or_a_sentence_is_no_row(text: str) -> None:
    assert Line(text).read() == []


def test_letters_are_no_row() -> None:
    assert Line("Account").read() == []


def test_a_wide_gap_parts_two_numbers() -> None:
    assert [number.value for number in Line("12      345").read()] == ["12", "345"]


def test_each_cell_gives_its_digit() -> None:
    (number,) = Line("781528989", kind="cells").read()
    assert number.value == "781528989"
    assert len(number.digits) == 9


def test_crosses_in_the_first_cells_are_not_digits_of_the_number() -> None:
    (number,) = Line("X40", kind="cells").read()
    assert number.value == "40"


def test_the_digits_in_a_box_are_one_number() -> None:
    (number,) = Line("R 44,20,000/-", kind="box").read()
    assert number.value == "4420000"


@pytest.mark.parametrize(("written", "text"), [("01.", "01"), (",120", "120"), ("500/-", "500/-")])
def test_dirt_at_the_ends_of_a_number_is_left_out(written: str, text: str) -> None:
    (number,) = Line(written, kind="box").read()
    assert number.text == text


def test_a_box_of_letters_is_no_row() -> None:
    assert Line("SERATUS", kind="box").read() == []


def test_what_is_not_read_behind_the_digits_in_a_box_is_for_review() -> None:
    (number,) = Line("44,20,X", kind="box").read()
    assert number.status == "review"
    assert number.message
    (number,) = Line("R 44,20", kind="box").read()
    assert number.status == "ok"


def test_ones_alone_on_open_paper_may_be_brackets_and_are_for_review() -> None:
    (number,) = Line("111").read()
    assert (number.value, number.status) == ("111", "review")
    (number,) = Line("111", kind="cells").read()
    assert number.status == "ok"


@pytest.mark.parametrize(
    ("text", "status"), [("329,,000", "review"), ("12-/34", "review"), ("44,20,000/-", "ok")]
)
def test_separators_side_by_side_are_for_review(text: str, status: str) -> None:
    (number,) = Line(text).read()
    assert (number.text, number.status) == (text, status)


def test_two_numbers_so_close_that_they_may_be_one_are_for_review() -> None:
    line = Line("300020 108841").glyphs()
    halves = Glyphs(
        **{name: getattr(line, name) for name in Glyphs.__slots__}
        | {
            "fields": (Field("box", (90, 180, 290, 250)), Field("box", (291, 180, 500, 250))),
            "field": np.repeat([0, 1], 6).astype(np.int32),
        }
    )
    rows = np.array([_probabilities(sign, 0.999) for sign in "300020108841"], np.float32)
    numbers = assemble("a.png", halves, rows, Bars()).numbers
    assert [number.value for number in numbers] == ["300020", "108841"]
    assert {number.status for number in numbers} == {"review"}


def test_a_short_row_of_mostly_crossed_cells_is_kept_for_review() -> None:
    (number,) = Line("XX4", kind="cells").read()
    assert (number.value, number.status) == ("4", "review")


def test_cells_of_letters_are_no_row() -> None:
    assert Line("SMITH", kind="cells").read() == []


def test_an_empty_row_of_cells_is_blank() -> None:
    line = Line("", kind="cells")
    glyphs = line.glyphs()
    cells = tuple((100 + 40 * k, 200, 140 + 40 * k, 250) for k in range(4))
    empty = Glyphs(
        **{name: getattr(glyphs, name) for name in Glyphs.__slots__}
        | {"fields": (Field("cells", (100, 200, 260, 250), cells),)}
    )
    none = np.zeros((0, 11), np.float32)
    (number,) = assemble("a.png", empty, none, Bars()).numbers
    assert (number.value, number.status) == ("", "blank")


def test_a_doubtful_glyph_between_digits_is_read_as_one_and_marked() -> None:
    line = Line("12345")
    line.rows[2] = np.full(11, 0.01, np.float32)
    line.rows[2][[3, NOT_A_DIGIT]] = [0.3, 0.6]
    (number,) = line.read()
    assert (number.value, number.status) == ("12345", "review")


def test_confidence_is_that_every_digit_is_right() -> None:
    (number,) = Line("123", sure=0.9).read()
    assert number.confidence == pytest.approx(0.9**3, abs=1e-5)
    assert [digit.confidence for digit in number.digits] == pytest.approx([0.9] * 3, abs=1e-6)


def test_a_number_that_is_not_sure_is_for_review_and_says_why() -> None:
    (number,) = Line("123", sure=0.9).read()
    assert number.status == "review"
    assert number.message


def test_digits_name_the_next_best_readings_best_first() -> None:
    line = Line("7777")
    line.rows[0][[7, 1, 2]] = [0.6, 0.3, 0.08]
    (number,) = line.read()
    alternatives = number.digits[0].alternatives
    assert [value for value, _ in alternatives[:2]] == ["1", "2"]


def test_boxes_are_in_pixels_of_the_page() -> None:
    (number,) = Line("25").read()
    assert number.box == (150, 300, 237, 360)
    assert number.digits[0].box == (150, 300, 189, 360)
    assert number.page == 3


def test_a_digit_of_two_pieces_is_read_as_one() -> None:
    glyphs = Line("25").glyphs()
    whole = Glyphs(
        **{name: getattr(glyphs, name) for name in Glyphs.__slots__}
        | {
            "field": np.zeros(3, np.int32),
            "span": np.array([(0, 1), (0, 2), (1, 2)], np.int32),
            "boxes": np.array([(0, 0, 14, 40), (0, 0, 28, 40), (14, 0, 28, 40)], np.int32),
            "cuts": np.array([1, 0, 1], np.uint8),
            "mark": np.zeros(3, np.uint8),
        }
    )
    rows = np.stack([_probabilities(sign, 0.9) for sign in "18x"])
    reading = assemble("a.png", whole, rows, Bars())
    assert reading.numbers == ()  # a lone sign on open paper is too easily something else
    in_box = Glyphs(
        **{name: getattr(whole, name) for name in Glyphs.__slots__}
        | {"fields": (Field("box", (0, 0, 50, 50)),)}
    )
    (number,) = assemble("a.png", in_box, rows, Bars()).numbers
    assert number.value == "8"


def test_a_page_without_fields_has_no_numbers() -> None:
    glyphs = Line("").glyphs()
    reading = assemble("a.png", glyphs, np.zeros((0, 11), np.float32), Bars())
    assert reading.numbers == ()
    assert (reading.width, reading.height) == (2000, 1000)


def test_the_probabilities_are_not_written_to() -> None:
    line = Line("11/22/2019")
    rows = np.array(line.rows, np.float32)
    before = rows.copy()
    assemble("a.png", line.glyphs(), rows, Bars())
    assert np.array_equal(rows, before)


class Reader:
    """Says of whatever strip it is shown that it is one text. asked: of which atoms."""

    def __init__(self, text: str, sure: float = 0.99) -> None:
        self.asked: list[tuple[int, int]] = []
        shares = np.full((len(SIGNS) + 1, 2 * len(text) + 1), (1 - sure) / len(SIGNS), np.float32)
        shares[-1, ::2] = sure
        for at, sign in enumerate(text):
            shares[SIGNS.index(sign), 2 * at + 1] = sure
        self._said = StripReading(np.log(shares), 100.0, 10.0, Trust())

    def __call__(self, field: int, start: int, stop: int) -> StripReading:
        assert field == 0
        self.asked.append((start, stop))
        return self._said


@pytest.mark.parametrize("kind", ["box", "free"])
@pytest.mark.parametrize("text", ["1025", "11/22/2019", "44,20,000/-"])
def test_what_the_digits_surely_tell_is_not_read_as_a_strip(kind: str, text: str) -> None:
    reader = Reader("7")
    (number,) = Line(text, kind).read(reader)
    assert number.text == text and reader.asked == []


@pytest.mark.parametrize("kind", ["box", "free"])
def test_touching_digits_between_others_are_read_by_the_strip(kind: str) -> None:
    (number,) = Line("44,2#00/-", kind).read(Reader("44,2000"))
    assert number.text == "44,2000/-"
    assert number.value == "".join(digit.value for digit in number.digits) == "442000"


def test_what_digits_alone_do_not_tell_is_for_review_however_sure_the_strip() -> None:
    line = Line("44,2#00")
    assert line.read() == []
    (number,) = line.read(Reader("44,2000", 0.9999))
    assert number.status == "review" and "alone" in number.message


def test_doubtful_digits_are_surer_where_the_strip_says_them_too() -> None:
    (alone,), (both,) = (Line("4711", sure=0.9).read(one) for one in (None, Reader("4711")))
    assert alone.value == both.value == "4711"
    assert (alone.status, both.status) == ("review", "ok")
    assert both.confidence > alone.confidence


def test_what_the_readers_do_not_agree_on_is_for_review() -> None:
    (number,) = Line("4711", sure=0.9).read(Reader("4771"))
    assert number.status == "review"


def test_the_strip_tells_which_specks_are_separators() -> None:
    (number,) = Line("329,,000").read(Reader("329,000"))
    assert (number.text, number.status) == ("329,000", "review")


@pytest.mark.parametrize("kind", ["box", "free"])
@pytest.mark.parametrize("text", ["Rs 44,2#00/-", "R44,2#00/-"])
def test_a_currency_sign_and_closing_strokes_are_not_on_the_strip(kind: str, text: str) -> None:
    reader = Reader("44,2000")
    Line(text, kind).read(reader)
    first = text.replace(" ", "").index("4")
    assert reader.asked == [(first, first + len("44,2#00"))]


@pytest.mark.parametrize("kind", ["box", "free"])
@pytest.mark.parametrize("text", ["SERATUS", "1#0##1##", "A10", "AB120#0", "A B C D 44,2#00"])
def test_words_are_not_even_shown_to_the_reader_of_strips(kind: str, text: str) -> None:
    reader = Reader("44,2000")
    line = Line(text, kind)
    assert line.read(reader) == line.read()
    assert reader.asked == []


@pytest.mark.parametrize("said", ["", "4", "44,200"])
def test_a_strip_that_says_no_more_than_the_digits_changes_nothing(said: str) -> None:
    for text in ("44,2#00", "Rs 44,2#00/-", "B44,2#00#"):
        assert Line(text).read(Reader(said)) == Line(text).read()


def test_a_one_before_a_last_dash_may_be_a_stroke() -> None:
    (number,) = Line("3,50001-", sure=0.97).read(Reader("3,50001-", 0.9999))
    assert number.status == "review" and "stroke" in number.message
