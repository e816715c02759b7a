"""The sample documents read as the table beside them says, and as they were written."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_docs"
EXACT = ("file", "page", "field", "value", "text", "status")
EDGES = ("left", "top", "right", "bottom")
PIXELS = 4  # another build of OpenCV may move an edge by so much
SHARE = 0.1  # another processor may move a confidence by so much

Row = dict[str, str]


def digitocr(*arguments: str | Path) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "digitocr", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return run.stdout


def table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    out = tmp_path_factory.mktemp("samples") / "out.csv"
    digitocr("extract", SAMPLES, "-o", out)
    return table(out)


@pytest.fixture(scope="module")
def expected() -> list[Row]:
    return table(SAMPLES / "expected.csv")


def test_the_samples_read_as_expected(read: list[Row], expected: list[Row]) -> None:
    assert [[row[name] for name in EXACT] for row in read] == [
        [row[name] for name in EXACT] for row in expected
    ]


def test_the_boxes_are_where_they_were(read: list[Row], expected: list[Row]) -> None:
    for now, then in zip(read, expected, strict=True):
        assert [int(now[edge]) for edge in EDGES] == pytest.approx(
            [int(then[edge]) for edge in EDGES], abs=PIXELS
        )


def test_the_confidences_are_what_they_were(read: list[Row], expected: list[Row]) -> None:
    for now, then in zip(read, expected, strict=True):
        assert float(now["confidence"]) == pytest.approx(float(then["confidence"]), abs=SHARE)


def test_what_is_expected_is_what_was_written(expected: list[Row]) -> None:
    written = Counter(
        (row["file"], row["page"], row["value"]) for row in table(SAMPLES / "truth.csv")
    )
    told = Counter(
        (row["file"], row["page"], "".join(sign for sign in row["text"] if sign.isdigit()))
        for row in expected
    )
    assert told == written


def test_evaluate_finds_every_number() -> None:
    truth = SAMPLES / "truth.csv"
    scores = json.loads(digitocr("evaluate", SAMPLES, "--truth", truth))
    assert (scores["exact"], scores["fields"]) == (1.0, len(table(truth)))
    assert scores["extra_rows"] == 0


def test_a_blank_page_is_no_row_and_no_error(read: list[Row]) -> None:
    assert {row["page"] for row in read if row["file"] == "answer-sheets.pdf"} == {"1", "2"}


def test_every_document_is_named_and_small() -> None:
    truth = {row["file"] for row in table(SAMPLES / "truth.csv")}
    documents = {
        path
        for path in SAMPLES.iterdir()
        if path.suffix not in (".py", ".md", ".csv") and path.is_file()
    }
    assert {path.name for path in documents} == truth
    assert max(path.stat().st_size for path in documents) < 400_000
    assert sum(path.stat().st_size for path in documents) < 2_000_000


def test_the_pen_draws_the_same_again(tmp_path: Path) -> None:
    for source in SAMPLES.glob("*.py"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    subprocess.run([sys.executable, tmp_path / "draw.py"], check=True, cwd=tmp_path)
    assert (tmp_path / "truth.csv").read_bytes() == (SAMPLES / "truth.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} >= {
        row["file"] for row in table(SAMPLES / "truth.csv")
    }
