"""`digitocr train` makes models for whole numbers, too, and weighs them against the digits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from digitocr.classify import Classifier
from digitocr.cli import digitocr_command
from digitocr.errors import ModelError, PipelineError
from digitocr.training.number_train import run_number_training
from digitocr.training.number_trust import Case, cases_of, fitted, risk_of
from digitocr.training.numbers import Hands
from digitocr.training.order import Order
from digitocr.training.train import run_training
from digitocr.transcribe import Transcriber
from digitocr.trust import Evidence
from digitocr.types import Trust
from digitocr.weights import read_model

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "digits.safetensors"
RECIPE = f"""
reads = "numbers"
strips = 64
mnist_validation = 0.3
[network]
layers = ["conv 4 5 same", "relu", "pool 2", "block 6 3 same", "pool 2 1", "columns 8 5", "relu"]
[schedule]
epochs = 2
batch = 16
bfloat16 = false
[trust]
beside = "{SHIPPED}"
fitted = 12
counted = 30
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums in one order, whatever else the machine does."""
    torch.set_num_threads(1)


@pytest.fixture
def order(mnist: Path, tmp_path: Path) -> Order:
    recipe = tmp_path / "train-few.toml"
    recipe.write_text(RECIPE)
    return Order(recipe_path=recipe, mnist=mnist)


def test_a_training_leaves_a_model_that_reads_and_its_card(order: Order, tmp_path: Path) -> None:
    lines: list[str] = []
    loop = run_number_training(order, tmp_path / "few.safetensors", report=lines.append)
    transcriber = Transcriber.load(tmp_path / "few.safetensors")
    training = transcriber.header.training
    assert loop.epoch == training["epochs"] == 2 and len(training["history"]) == 2
    assert set(training["trust"]) == {"strip", "lattice", "cut", "least"}
    assert transcriber.risk.rows[-1][1] == 30
    assert training["beside"] == Classifier.load(SHIPPED, "cpu").id.sha256
    assert training["weighed_by"] == ["mnist"]
    card = (tmp_path / "few.md").read_text()
    assert "## Risk" in card and "strips of 32 rows" in card
    assert (tmp_path / "few-report" / "curves.png").is_file()
    assert any("epoch 2/2" in line for line in lines)
    assert not (tmp_path / "few.safetensors.checkpoint").exists()


def test_an_interrupted_training_goes_on_to_the_same_weights(order: Order, tmp_path: Path) -> None:
    run_number_training(order, tmp_path / "whole.safetensors")

    class Enough(Exception):
        pass

    def stop_after_one(line: str) -> None:
        if "epoch 1/2" in line and "mnist" in line:
            raise Enough

    with pytest.raises(Enough):
        run_number_training(order, tmp_path / "again.safetensors", report=stop_after_one)
    lines: list[str] = []
    run_number_training(order, tmp_path / "again.safetensors", report=lines.append)
    weights, others = (
        read_model(tmp_path / f"{name}.safetensors")[1] for name in ("whole", "again")
    )
    assert weights.keys() == others.keys()
    assert all(np.array_equal(weights[name], others[name]) for name in weights)


def test_a_training_goes_on_with_a_models_weights(order: Order, tmp_path: Path) -> None:
    first = tmp_path / "first.safetensors"
    run_number_training(order, first)
    assert order.recipe_path is not None
    order.recipe_path.write_text(f'begin = "{first}"' + RECIPE)
    again = tmp_path / "again.safetensors"
    run_number_training(replace(order, epochs=0), again)
    began, went_on = read_model(first), read_model(again)
    assert all(np.array_equal(began[1][name], went_on[1][name]) for name in began[1])
    assert went_on[0].training["began"] == began[2]
    assert began[2] in again.with_suffix(".md").read_text()
    order.recipe_path.write_text(f'begin = "{first}"' + RECIPE.replace("conv 4 5", "conv 5 5"))
    with pytest.raises(PipelineError, match="other layers"):
        run_number_training(order, again)


def test_other_digits_than_those_kept_back_may_tell_how_far_to_trust(
    order: Order, tmp_path: Path
) -> None:
    assert order.recipe_path is not None and order.mnist is not None
    (tmp_path / "unseen").symlink_to(order.mnist)
    named = RECIPE.replace("[trust]", '[trust]\ndigits = "unseen"')
    order.recipe_path.write_text(f'root = "{tmp_path}"' + named)
    model = tmp_path / "few.safetensors"
    run_number_training(replace(order, epochs=1), model)
    assert Transcriber.load(model).header.training["weighed_by"] == ["unseen"]
    assert "digits of unseen" in model.with_suffix(".md").read_text()
    (tmp_path / "unseen").unlink()
    lines: list[str] = []
    run_number_training(replace(order, epochs=1), model, report=lines.append)
    assert any("no folder" in line for line in lines)
    assert Transcriber.load(model).header.training["weighed_by"] == ["mnist"]


def test_letters_are_no_source_of_numbers(order: Order, tmp_path: Path) -> None:
    letters = tmp_path / "letters" / "A"
    letters.mkdir(parents=True)
    for at in range(3):
        picture = np.full((40, 40), 255, np.uint8)
        picture[5:35, 10 + at : 14 + at] = 0
        Image.fromarray(picture).save(letters / f"{at}.png")
    lines: list[str] = []
    with_letters = replace(order, negatives=(tmp_path / "letters",), epochs=1)
    run_number_training(with_letters, tmp_path / "few.safetensors", report=lines.append)
    assert not any("leaving out letters" in line for line in lines)


def test_a_mistake_is_told_before_anything_long(order: Order, tmp_path: Path) -> None:
    assert order.recipe_path is not None
    order.recipe_path.write_text(RECIPE.replace(str(SHIPPED), "nowhere.safetensors"))
    with pytest.raises(ModelError, match="nowhere"):
        run_number_training(order, tmp_path / "m.safetensors")
    order.recipe_path.write_text(RECIPE.replace('"columns 8 5", ', ""))
    with pytest.raises(PipelineError, match="columns"):
        run_number_training(order, tmp_path / "m.safetensors")


def test_a_recipe_is_for_one_thing(order: Order, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="numbers, not for digits"):
        run_training(order, tmp_path / "m.safetensors")


def test_the_command_knows_by_the_recipe_what_is_trained(order: Order, tmp_path: Path) -> None:
    arguments = ["train", "-o", str(tmp_path / "m.safetensors"), "--epochs", "1"]
    arguments += ["--recipe", str(order.recipe_path), "--mnist", str(order.mnist)]
    result = CliRunner().invoke(digitocr_command, arguments)
    assert result.exit_code == 0, result.output
    assert Transcriber.load(tmp_path / "m.safetensors").header.training["epochs"] == 1


# How both readers are weighed


def sure(value: str, other: str, share: float) -> dict[str, float]:
    return {value: float(np.log(share)), other: float(np.log(1 - share))}


@pytest.mark.parametrize(
    ("right", "wrong"), [("strip", "lattice"), ("lattice", "strip")], ids=lambda name: name
)
def test_the_reader_that_is_right_more_often_is_trusted_more(right: str, wrong: str) -> None:
    def case(at: int) -> Case:
        good, bad = sure("17", "11", 0.9), sure("11", "17", 0.9 if at % 5 else 0.2)
        read, found = (good, bad) if right == "strip" else (bad, good)
        return Case("17", Evidence(read, found))

    trust = fitted([case(at) for at in range(40)])
    assert getattr(trust, right) > 2 * getattr(trust, wrong)


def test_values_are_counted_as_they_are_told() -> None:
    always = [Case("17", Evidence(sure("17", "11", 0.99), sure("17", "11", 0.99)))] * 30
    never = [Case("71", Evidence(sure("17", "11", 0.6), sure("17", "11", 0.6)))] * 10
    rows = risk_of([*always, *never], Trust()).rows
    assert rows[-1][1:] == (40, 10) and rows[0][2] == 0


def test_cases_are_the_same_for_a_seed(tmp_path: Path, order: Order) -> None:
    run_number_training(order, tmp_path / "few.safetensors")
    classifier = Classifier.load(SHIPPED, "cpu")
    transcriber = Transcriber.load(tmp_path / "few.safetensors")
    one, other = (cases_of(Hands([]), 5, classifier, transcriber, seed=3) for _ in range(2))
    assert one == other and all(case.truth.isdigit() for case in one)
