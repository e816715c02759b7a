"""What a field holds is searched within its grammar, and what proves nothing is said to."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from digitocr.assembling.decode import Meaning, decode
from digitocr.assembling.grammar import grammar_of
from digitocr.assembling.lattice import Edges, Token, row_of
from digitocr.cli import digitocr_command
from digitocr.errors import UsageError
from digitocr.expected import read_expected
from digitocr.recipe import ValueOptions

NUMBER = ValueOptions()
DATE = ValueOptions(kind="date", order="dmy")
AMOUNT = ValueOptions(kind="amount")
LUHN = ValueOptions(check="luhn")


def token(sign: str, **shares: float) -> Token:
    """A sign as read: ``token("7", d1=0.3)`` is a 7 that may be a 1."""
    probabilities = np.full(11, 1e-4, np.float32)
    for name, share in shares.items():
        probabilities[int(name[1:])] = share
    rest = 1 - probabilities.sum()
    probabilities[int(sign) if sign.isdigit() else 10] += rest
    return Token.of(sign, (0, 0, 10, 20), probabilities)


def row(text: str, **doubts: dict[str, float]) -> Edges:
    """A text as read, each sign apart; ``p2={"d7": 0.3}`` says what the third may be."""
    return row_of([token(sign, **doubts.get(f"p{at}", {})) for at, sign in enumerate(text)])


def meant(edges: Edges, options: ValueOptions, expected: list[str] | None = None) -> Meaning:
    meaning = decode(edges, grammar_of(options, expected))
    assert meaning is not None
    return meaning


def text_of(meaning: Meaning) -> str:
    return "".join(one.text for one in meaning.tokens)


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("0042", NUMBER, "0042"),
        ("1,234.50", AMOUNT, "1234.50"),
        ("500/-", AMOUNT, "500.00"),
        ("24/12/2020", DATE, "2020-12-24"),
        ("09.30", ValueOptions(kind="time"), "09:30"),
        ("12345", ValueOptions(kind="digits", digits="5"), "12345"),
    ],
)
def test_what_is_read_surely_keeps_its_meaning(
    text: str, options: ValueOptions, value: str
) -> None:
    meaning = meant(row(text), options)
    assert (meaning.value, text_of(meaning), meaning.changed) == (value, text, ())
    assert 0.95 < meaning.share <= 1


def test_a_month_that_there_is_not_is_read_as_the_next_best() -> None:
    edges = row("24/72/2020", p3={"d1": 0.3})
    meaning = meant(edges, DATE)
    assert meaning.value == "2020-12-24" and text_of(meaning) == "24/12/2020"
    assert meaning.share > 0.7  # a date is what stands there: 72 would be against all custom


def test_where_nothing_in_it_can_be_valid_there_is_no_meaning() -> None:
    assert decode(row("123"), grammar_of(ValueOptions(kind="digits", digits="5"))) is None


def test_what_the_grammar_has_to_force_is_hardly_believed() -> None:
    sure, forced = meant(row("24/12/2020"), DATE), decode(row("24/92/2020"), grammar_of(DATE))
    assert sure.share > 0.9 and (forced is None or forced.share < 0.2)


def test_a_comma_may_be_a_point_and_a_speck_nothing() -> None:
    assert meant(row("12,50"), AMOUNT).value == "12.50"
    assert meant(row("1.234,50"), AMOUNT).value == "1234.50"
    speck = meant(row("12.345"), ValueOptions(kind="pattern", pattern="[0-9]{5}"))
    assert speck.value == "12345" and text_of(speck) == "12345"


def test_a_list_draws_doubtful_digits_to_its_entries_but_not_sure_ones() -> None:
    doubtful = row("4711", p1={"d1": 0.4})
    assert meant(doubtful, NUMBER).value == "4711"
    listed = meant(doubtful, NUMBER, ["4111", "9999"])
    assert listed.value == "4111" and listed.share > 0.7
    assert decode(row("4711"), grammar_of(NUMBER, ["4112", "9999"])) is None


def test_check_digits_confirm_what_is_read() -> None:
    meaning = meant(row("79927398713", p3={"d1": 0.4}), LUHN)
    assert meaning.value == "79927398713" and meaning.changed == ()
    assert meaning.share > meant(row("79927398713", p3={"d1": 0.4}), NUMBER).share


def test_a_digit_changed_for_its_check_digit_is_told_and_not_proved_by_it() -> None:
    edges = row("79917398713", p3={"d2": 0.3})
    meaning = meant(edges, LUHN)
    assert meaning.value == "79927398713"
    assert [meaning.tokens[at].text for at in meaning.changed] == ["2"]
    assert meaning.share < 0.4  # what it had before anything was checked


def test_the_lattice_is_left_as_it_was() -> None:
    edges = row("24/12/2020")
    before = [np.copy(edges.boxes), np.copy(edges.probabilities), np.copy(edges.scores)]
    meant(edges, DATE)
    assert np.array_equal(before[0], edges.boxes)
    assert np.array_equal(before[1], edges.probabilities)
    assert np.array_equal(before[2], edges.scores)


def test_of_two_ways_to_cut_the_one_that_the_grammar_allows_is_read() -> None:
    cut = Edges(  # one wide candidate that looks like an 8, or two halves: 1 and 3
        boxes=np.array([[0, 0, 20, 20], [0, 0, 10, 20], [10, 0, 20, 20]], np.int32),
        span=np.array([[0, 2], [0, 1], [1, 2]], np.int32),
        cuts=np.zeros(3, np.uint8),
        mark=np.zeros(3, np.uint8),
        probabilities=np.stack(
            [token("8").probabilities, token("1", d7=0.4).probabilities, token("3").probabilities]
        ),
        scores=np.log(np.array([[0.99, 0.001, 1e-9], [0.6, 0.01, 1e-9], [0.9, 0.01, 1e-9]])),
    )
    assert meant(cut, NUMBER).value == "8"
    assert meant(cut, ValueOptions(kind="digits", digits="2")).value == "13"


# Through the whole program


@pytest.fixture
def dates(paper: ModuleType, tmp_path: Path) -> Path:
    """A folder with one written date."""
    sheet = paper.Sheet(60, 12, 200, np.random.default_rng(5))
    shapes = dict.fromkeys("0123456789.,-/", 0) | {"1": 2, "4": 1}
    sheet.hand_of = paper.Hand(slant=0.06, width=0.62, wobble=0.01, unrest=0.02, shapes=shapes)
    sheet.hand(4, 9, "n", "24-08-2019", height=6)
    Image.fromarray(sheet.picture()).save(tmp_path / "date.png")
    return tmp_path


def extracted(*arguments: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(
        digitocr_command, ["extract", *arguments, "-o", "-", "--jobs", "1"], prog_name="digitocr"
    )
    assert result.exit_code == 0, result.output
    table = result.stdout.splitlines()
    names = table[0].split(",")
    return [dict(zip(names, line.split(","), strict=False)) for line in table[1:]]


def test_a_pipeline_file_says_what_its_fields_hold(dates: Path, tmp_path: Path) -> None:
    pipeline = tmp_path / "dates.toml"
    pipeline.write_text(
        "[clean]\nturn = false\ndeskew = false\ncut_out = true\n[segment]\nwhole = true\n"
        '[value]\nkind = "date"\norder = "dmy"\n'
    )
    (found,) = extracted(str(dates / "date.png"), "--pipeline", str(pipeline))
    assert (found["value"], found["text"]) == ("2019-08-24", "24-08-2019")


def test_ink_left_unread_beside_a_value_is_not_passed_over(dates: Path, tmp_path: Path) -> None:
    date = np.asarray(Image.open(dates / "date.png").convert("RGB"))
    letters = np.full((len(date), 120, 3), 250, np.uint8)
    cv2.putText(letters, "W", (20, 62), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 20, 20), 4, cv2.LINE_AA)
    Image.fromarray(np.hstack([date, letters])).save(tmp_path / "beside.png")
    pipeline = tmp_path / "dates.toml"
    pipeline.write_text(
        "[clean]\nturn = false\ndeskew = false\ncut_out = true\n[segment]\nwhole = true\n"
        '[value]\nkind = "date"\norder = "dmy"\n'
    )
    (found,) = extracted(str(tmp_path / "beside.png"), "--pipeline", str(pipeline))
    assert (found["value"], found["status"]) == ("2019-08-24", "review")
    assert "not read" in str(found["message"]) and float(str(found["confidence"])) < 0.1


def test_what_can_be_no_value_is_kept_for_a_person(dates: Path, tmp_path: Path) -> None:
    pipeline = tmp_path / "time.toml"
    pipeline.write_text(
        '[clean]\ncut_out = true\n[segment]\nwhole = true\n[value]\nkind = "time"\n'
    )
    (found,) = extracted(str(dates / "date.png"), "--pipeline", str(pipeline))
    assert (found["value"], found["status"]) == ("", "review")
    assert "nothing that the field may hold" in str(found["message"]) and found["text"]


def test_expected_values_come_from_a_table(dates: Path, tmp_path: Path) -> None:
    expected = tmp_path / "values.csv"
    expected.write_text("name,value\nAda,31122018\nBob,24082019\n")
    (found,) = extracted(str(dates / "date.png"), "--pipeline", "number", "--expect", str(expected))
    assert found["value"] == "24082019"


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("value\n12\n\n34\n", ["12", "34"]),
        ("12\n34\n", ["12", "34"]),
        ("amount,of\n12,a\n34,b\n", ["12", "34"]),
        ("﻿name,value\na, 1.50 \n", ["1.50"]),
        ("", []),
    ],
)
def test_a_list_of_expected_values_has_a_column_of_that_name_or_one(
    table: str, values: list[str], tmp_path: Path
) -> None:
    (tmp_path / "v.csv").write_text(table, encoding="utf-8")
    assert read_expected(tmp_path / "v.csv") == values


def test_a_list_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_bytes(b"value\n\xff\xfe\n")
    for path in (tmp_path / "v.csv", tmp_path / "none.csv"):
        with pytest.raises(UsageError, match=path.name):
            read_expected(path)


def test_an_empty_list_ends_the_run_before_it_reads(dates: Path, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("value\n")
    arguments = ["extract", str(dates), "-o", "-", "--expect", str(tmp_path / "v.csv")]
    result = CliRunner().invoke(digitocr_command, [*arguments, "--log-json"])
    assert result.exit_code == 6
    assert "empty" in json.loads(result.stderr.splitlines()[-1])["message"]
