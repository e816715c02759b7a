"""A share of wrong numbers is accepted only where enough were counted to promise it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from digitocr.cli import digitocr_command
from digitocr.risk import Bar, RiskTable
from digitocr.training.digit_risk import risk_of_numbers
from digitocr.training.draw import draw_printed
from digitocr.weights import read_model, write_model

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "digits.safetensors"
PAGE = ROOT / "sample_docs"


def told(values: int, wrong_below: float) -> RiskTable:
    """Values told with confidences from 0 to 1, of which those below a confidence are wrong."""
    confidences = [at / values for at in range(values)]
    return RiskTable.of(confidences, [confidence >= wrong_below for confidence in confidences])


def test_a_smaller_risk_accepts_less() -> None:
    table = told(5000, 0.2)
    accepted = [table.accepted(risk) for risk in (0.05, 0.02, 0.005, 0.001)]
    confidences = [one.confidence for one in accepted if one is not None]
    assert len(confidences) == 4 and confidences == sorted(confidences)
    assert all(one is not None and one.wrong / one.values <= 0.05 for one in accepted)


def test_no_more_is_promised_than_the_table_can_tell() -> None:
    assert told(100, 0.0).accepted(0.001) is None  # a hundred right ones prove no such thing
    assert told(100, 0.0).accepted(0.05) is not None
    assert RiskTable().accepted(0.5) is None


def test_what_is_accepted_is_wrong_no_more_often_than_the_table_says() -> None:
    accepted = told(1000, 0.5).accepted(0.1)
    assert accepted is not None
    assert accepted.wrong / accepted.values < accepted.most <= 0.1
    assert 0.4 < accepted.confidence <= 0.5


def test_values_of_one_confidence_are_accepted_together_or_not_at_all() -> None:
    table = RiskTable.of([0.9] * 1000, [at % 2 == 0 for at in range(1000)])
    assert table.rows == ((0.9, 1000, 500),)


def test_the_table_lies_in_a_header_and_comes_back() -> None:
    table = told(1000, 0.3)
    again = RiskTable.from_header(table.header)
    assert len(again.rows) == len(table.rows) == 200
    assert again.accepted(0.05) == pytest.approx(table.accepted(0.05))


@pytest.mark.parametrize("rows", [[[0.5, 3, 4]], [[0.5, 3]], [["much", 3, 1]], 7, [[0.5, 0, 0]]])
def test_a_table_of_nonsense_is_none(rows: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        RiskTable.from_header({"rows": rows})  # type: ignore[dict-item]


def test_numbers_of_sure_digits_are_right_as_often_as_they_say() -> None:
    digits = draw_printed(3000, seed=0)
    random = np.random.default_rng(1)
    shares = np.full((len(digits), 11), 0.002)
    right = random.random(len(digits)) < 0.98
    said = np.where(right, digits.labels, (digits.labels + 1) % 10)
    shares[np.arange(len(digits)), said] = 0.98
    table = risk_of_numbers([shares], [digits], seed=0)
    _confidence, values, wrong = table.rows[-1]
    assert values == 5000 and wrong / values == pytest.approx(1 - 0.98**4, abs=0.03)
    surest = table.rows[0]
    assert surest[2] / surest[1] < wrong / values  # of one digit
    assert risk_of_numbers([shares], [digits], seed=0) == table


@pytest.mark.parametrize(
    ("accepted", "values", "unlike"),
    [(9, 10, False), (5, 10, True), (0, 1, False), (0, 3, True), (0, 0, False), (600, 1000, True)],
)
def test_where_far_less_is_accepted_than_usual_it_is_unlike(
    accepted: int, values: int, unlike: bool
) -> None:
    assert Bar(0.9, usual=0.92).is_unlike(accepted, values) is unlike


def test_a_bar_that_promises_nothing_finds_nothing_unlike() -> None:
    assert not Bar(0.9).is_unlike(0, 1000)


# Through the whole program


def model_with(table: RiskTable, path: Path) -> Path:
    """The shipped model with another table."""
    header, tensors, _sha256 = read_model(SHIPPED)
    training = header.training | {"risk": table.header}
    write_model(path, replace(header, training=training), tensors)
    return path


def extracted(model: Path, *arguments: str) -> Result:
    command = ["extract", str(PAGE), "-o", "-", "--model", str(model), "--jobs", "1", "--log-json"]
    return CliRunner().invoke(digitocr_command, [*command, *arguments])


def accepted(result: Result) -> int:
    return sum(row["status"] == "ok" for row in csv.DictReader(io.StringIO(result.stdout)))


def test_the_accepted_risk_decides_what_is_for_review(tmp_path: Path) -> None:
    trusted = model_with(told(5000, 0.2), tmp_path / "trusted.safetensors")
    doubted = model_with(told(20_000, 0.99), tmp_path / "doubted.safetensors")
    bold, shy = (accepted(extracted(model, "--max-error", "0.1")) for model in (trusted, doubted))
    assert 0 < shy < bold


def test_on_a_page_unlike_what_was_measured_nothing_is_promised(tmp_path: Path) -> None:
    sure = RiskTable(((0.97, 20_000, 0),))  # all that were measured
    result = extracted(model_with(sure, tmp_path / "m.safetensors"), "--max-error", "0.1")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    pages = {(row["file"], row["page"]) for row in rows if "unlike" in row["message"]}
    assert pages
    for row in rows:
        assert row["status"] != "ok" or (row["file"], row["page"]) not in pages


def test_what_the_promise_stands_on_is_told(tmp_path: Path) -> None:
    model = model_with(told(5000, 0.9), tmp_path / "m.safetensors")
    result = extracted(model, "--max-error", "0.01")
    notes = [json.loads(line).get("message", "") for line in result.stderr.splitlines()]
    assert any("measured" in note and "wrong" in note for note in notes)


def test_without_enough_measured_nothing_is_accepted_and_that_is_said(tmp_path: Path) -> None:
    model = model_with(RiskTable(), tmp_path / "m.safetensors")
    result = extracted(model, "--max-error", "0.01")
    assert accepted(result) == 0 and "too few" in result.stderr


def test_a_model_with_a_table_of_nonsense_is_refused(tmp_path: Path) -> None:
    model = model_with(RiskTable(((0.5, 3, 4),)), tmp_path / "m.safetensors")
    assert extracted(model).exit_code == 6


@pytest.mark.parametrize("share", ["0", "1", "-0.1", "much"])
def test_a_risk_is_a_share_between_none_and_all(share: str) -> None:
    assert extracted(SHIPPED, "--max-error", share).exit_code == 2
