"""Scores say how much is read, and at what risk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from digitocr.errors import UsageError
from digitocr.score import score_documents
from digitocr.types import Document, ModelId, Number, PageReading, ReadError, Status

Row = tuple[str, str, float]


def document(
    rows: Sequence[Row], file: str = "a.png", page: int = 1, status: Status = "ok"
) -> Document:
    numbers = tuple(Number(file, page, field, text, text, p, status) for field, text, p in rows)
    reading = PageReading(page, 600, 800, None, 0, 0.0, numbers)
    return Document(file, "", "default", ModelId("digits", ""), (reading,))


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return tmp_path / "truth.csv"


def score(truth: Path, rows: str, *documents: Document) -> dict:
    truth.write_text("file,page,field,value\n" + rows)
    return score_documents(documents, truth)


def test_all_read_exactly(truth: Path) -> None:
    read = document([("n1", "0042", 1.0), ("n2", "7", 1.0)])
    assert score(truth, "a.png,1,id,0042\na.png,1,page,7\n", read) == {
        "fields": 2,
        "exact": 1.0,
        "read_rate_at_error": {"0": 1.0, "0.001": 1.0, "0.01": 1.0},
        "calibration_error": 0.0,
        "per_field": {"id": {"fields": 1, "exact": 1}, "page": {"fields": 1, "exact": 1}},
        "extra_rows": 0,
    }


def test_separators_as_written_do_not_count(truth: Path) -> None:
    assert score(truth, "a.png,1,,123450\n", document([("n1", "1,234.50", 1.0)]))["exact"] == 1


@pytest.mark.parametrize("read", ["42", "00042", "0043", ""])
def test_leading_zeros_are_data(truth: Path, read: str) -> None:
    assert score(truth, "a.png,1,,0042\n", document([("n1", read, 1.0)]))["exact"] == 0


def test_pages_and_files_are_kept_apart(truth: Path) -> None:
    read = [document([("n1", "42", 1.0)], file, page) for file, page in (("a", 2), ("b", 1))]
    found = score(truth, "a,1,,42\n", *read)
    assert (found["exact"], found["extra_rows"]) == (0, 2)


def test_a_field_of_a_template_must_bear_its_own_value(truth: Path) -> None:
    rows = "a.png,1,amount,12\na.png,1,date,34\n"
    swapped = document([("amount", "34", 1.0), ("date", "12", 1.0)])
    assert score(truth, rows, swapped)["exact"] == 0
    unnamed = document([("n1", "34", 1.0), ("n2", "12", 1.0)])
    assert score(truth, rows, unnamed)["exact"] == 1


def test_a_truth_without_names_is_found_anywhere_on_its_page(truth: Path) -> None:
    assert score(truth, "a.png,1,,34\n", document([("amount", "34", 1.0)]))["exact"] == 1


@pytest.mark.parametrize("name", ["amount", "n1"])
def test_blank_is_read_when_the_field_is_there_and_empty(truth: Path, name: str) -> None:
    blank = document([(name, "", 0.9)], status="blank")
    missing = document([(name, "", 0.0)], status="missing")
    assert score(truth, "a.png,1,amount,\n", blank)["exact"] == 1
    assert score(truth, "a.png,1,amount,\n", missing)["exact"] == 0
    assert score(truth, "a.png,1,amount,5\n", blank)["exact"] == 0


def test_rows_that_answer_no_truth_are_extra_wherever_they_are(truth: Path) -> None:
    a = document([("n1", "42", 1.0), ("n2", "1", 1.0), ("n3", "2", 1.0)])
    b = document([("n1", "3", 1.0)], file="not-in-truth.png")
    assert score(truth, "a.png,1,,42\n", a, b)["extra_rows"] == 3


def test_what_could_not_be_read_is_unread_and_not_extra(truth: Path) -> None:
    failed = Document(
        "a.png", "", "default", ModelId("digits", ""), errors=(ReadError(None, "damaged"),)
    )
    found = score(truth, "a.png,1,,42\n", failed)
    assert (found["fields"], found["exact"], found["extra_rows"]) == (1, 0, 0)
    assert found["read_rate_at_error"]["0.01"] == 0.0
    assert found["calibration_error"] is None


def test_a_misreading_costs_the_read_rate_from_its_confidence_down(truth: Path) -> None:
    rows = "".join(f"a.png,1,,{n}\n" for n in ("11111", "22222", "33333", "44444"))
    read = [("n1", "11111", 0.9), ("n2", "22222", 0.8), ("n3", "33933", 0.7), ("n4", "44444", 0.6)]
    found = score(truth, rows, document(read))
    assert found["read_rate_at_error"] == {"0": 0.5, "0.001": 0.5, "0.01": 0.5}
    assert found["calibration_error"] == pytest.approx((0.1 + 0.2 + 0.7 + 0.4) / 4)
    assert found["extra_rows"] == 1


def test_a_cut_cannot_part_equal_confidences(truth: Path) -> None:
    read = document([("a", "1", 0.9), ("b", "2", 0.9), ("c", "3", 0.9)])
    rows = "a.png,1,a,1\na.png,1,b,2\na.png,1,c,5\n"
    assert score(truth, rows, read)["read_rate_at_error"]["0.01"] == 0.0


def test_a_looser_error_reads_more(truth: Path) -> None:
    rows = "".join(f"a.png,1,f{i},{i}\n" for i in range(200))
    read = [(f"f{i}", str(i if i != 100 else 5), 1 - i / 1000) for i in range(200)]
    rates = score(truth, rows, document(read))["read_rate_at_error"]
    assert rates == {"0": 0.5, "0.001": 0.5, "0.01": 1.0}


def test_without_truth_rows_there_is_no_rate(truth: Path) -> None:
    with pytest.raises(UsageError, match="none of the files"):
        score(truth, "", document([("n1", "42", 1.0)]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,one,id,5\n", "line 2: the page"),
        ("a.png,0,id,5\n", "line 2: the page"),
        ("a.png,1,id,5\na.png,1,id,1.50\n", "line 3: the value"),
        ("a.png,1\n", None),
        ("b.png,1,id,5\n", "none of the files"),
    ],
)
def test_a_truth_with_a_mistake_is_refused(truth: Path, rows: str, message: str | None) -> None:
    if message is None:  # a short row: its value is empty, its field blank
        assert score(truth, rows, document([]))["fields"] == 1
        return
    with pytest.raises(UsageError, match=message):
        score(truth, rows, document([]))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"file,page,value\n", "no column field"), (b"", "no column file"), (b"\xff\xfe", "UTF-8")],
)
def test_what_is_no_truth_table_is_refused(truth: Path, content: bytes, message: str) -> None:
    truth.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        score_documents([], truth)


def test_a_truth_that_is_not_there_is_refused(truth: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        score_documents([], truth)


def test_a_byte_order_mark_is_no_part_of_a_column(truth: Path) -> None:
    truth.write_text("file,page,field,value\na.png,1,id,42\n", encoding="utf-8-sig")
    assert score_documents([document([("n1", "42", 1.0)])], truth)["exact"] == 1
