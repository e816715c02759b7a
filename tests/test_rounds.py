"""Several seeds, or folds, give a mean and a spread; what is trained is not trained again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from digitocr.cli import digitocr_command
from digitocr.errors import UsageError
from digitocr.training import rounds
from digitocr.training.draw import draw_printed
from digitocr.training.order import Order
from digitocr.training.rounds import Rounds, run_folds, run_seeds
from digitocr.training.train import run_training
from digitocr.weights import read_model

Report = Callable[[str], None]

RECIPE = """
augmented = false
[network]
outputs = 10
layers = ["pool 4", "flatten"]
[schedule]
epochs = 1
batch = 32
bfloat16 = false
"""


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are none of what is promised here, and slow."""
    for name in ("draw_curves", "draw_report"):
        monkeypatch.setattr(f"digitocr.training.train.{name}", lambda *_: None)
    torch.set_num_threads(1)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "train-mine.toml"
    file.write_text(RECIPE)
    return file


def quiet(line: str) -> None:
    """A report that nobody reads."""


def seeds(
    recipe: Path, mnist: Path, count: int = 3, seed: int = 0, report: Report = quiet
) -> Rounds:
    order = Order(recipe, mnist=mnist, seed=seed)
    return run_seeds(order, recipe.parent / "m.safetensors", count, report=report)


def folds(recipe: Path, mnist: Path, count: int = 4) -> Rounds:
    return run_folds(Order(recipe, mnist=mnist), recipe.parent / "m.safetensors", count)


def test_seeds_leave_models_a_table_and_a_summary(recipe: Path, mnist: Path) -> None:
    done = seeds(recipe, mnist, seed=7)
    folder = recipe.parent
    assert [model.name for model in done.models] == [f"m-seed{k}.safetensors" for k in (7, 8, 9)]
    assert [read_model(model)[0].training["seed"] for model in done.models] == [7, 8, 9]
    assert json.loads((folder / "m-seeds.json").read_text()) == done.summary
    card = (folder / "m-seeds.md").read_text()
    assert done.table in card and all(one["sha256"] in card for one in done.summary["models"])
    assert "mnist" in done.table and "±" in done.table


def test_mean_and_deviation_are_those_of_the_models(recipe: Path, mnist: Path) -> None:
    done = seeds(recipe, mnist)
    scores = [read_model(model)[0].training["scores"]["mnist"]["accuracy"] for model in done.models]
    assert done.summary["mean"]["mnist"]["accuracy"] == pytest.approx(np.mean(scores))
    assert done.summary["deviation"]["mnist"]["accuracy"] == pytest.approx(np.std(scores, ddof=1))


def test_one_of_several_is_the_model_it_would_be_alone(
    recipe: Path, mnist: Path, tmp_path: Path
) -> None:
    done = seeds(recipe, mnist)
    alone = run_training(Order(recipe, seed=1, mnist=mnist), tmp_path / "alone.safetensors")
    assert alone.model.read_bytes() == done.models[1].read_bytes()


def test_folds_are_disjoint_and_together_all_digits(recipe: Path, mnist: Path) -> None:
    done = folds(recipe, mnist)
    kept_back = [one["scores"]["mnist"]["samples"] for one in done.summary["models"]]
    assert kept_back == [100] * 4
    trained = [read_model(model)[0].training["data"][0]["trained"] for model in done.models]
    assert trained == [300] * 4


@pytest.mark.parametrize("split", ["writer", "digit"])
def test_folds_part_writers_where_the_recipe_does(
    recipe: Path, tmp_path: Path, write_mnist: Callable[..., None], split: str
) -> None:
    recipe.write_text(f"split = '{split}'\n" + RECIPE)
    write_mnist(tmp_path / "signed", draw_printed(90, seed=1))
    rows = ["split,index,label,hsf_series,writer"]
    rows += [f"train,{place},0,0,w{place // 30}" for place in range(90)]
    listing = gzip.compress("\n".join(rows).encode())
    (tmp_path / "signed" / "writers.csv.gz").write_bytes(listing)
    done = folds(recipe, tmp_path / "signed", 2)
    kept_back = sorted(one["scores"]["mnist"]["samples"] for one in done.summary["models"])
    assert kept_back == ([30, 60] if split == "writer" else [45, 45])
    if split == "writer":
        with pytest.raises(UsageError, match="3 writers, too few for 4 folds"):
            folds(recipe, tmp_path / "signed", 4)


def test_what_is_trained_is_not_trained_again(
    recipe: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = seeds(recipe, mnist, 2)
    assert seeds(recipe, mnist, 3).summary["models"][:2] == first.summary["models"]
    monkeypatch.setattr(rounds, "train_model", sabotaged)
    again = seeds(recipe, mnist, 3)
    assert len(again.summary["models"]) == 3


def sabotaged(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_round_goes_on_with_what_is_left(
    recipe: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def pull_the_plug(line: str) -> None:
        if line.startswith("seed1 (2 of 3), epoch 1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seeds(recipe, mnist, report=pull_the_plug)
    seeds(recipe, mnist, report=lines.append)
    assert "seed0 is trained already" in lines
    assert not any("seed0 (1 of 3), epoch" in line for line in lines)
    assert any("seed2 (3 of 3), epoch 1/1" in line for line in lines)


@pytest.mark.parametrize("change", ["recipe", "data", "model"])
def test_what_has_changed_is_trained_again(
    recipe: Path,
    tmp_path: Path,
    write_mnist: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    write_mnist(tmp_path / "mnist", draw_printed(60, seed=1))
    done = seeds(recipe, tmp_path / "mnist", 2)
    if change == "recipe":
        recipe.write_text(RECIPE.replace("batch = 32", "batch = 16"))
    elif change == "data":
        write_mnist(tmp_path / "mnist", draw_printed(70, seed=1))
    else:
        done.models[0].write_bytes(b"something else")
    monkeypatch.setattr(rounds, "train_model", sabotaged)
    with pytest.raises(KeyboardInterrupt):
        seeds(recipe, tmp_path / "mnist", 2)


def test_a_broken_summary_is_none(recipe: Path, mnist: Path) -> None:
    (recipe.parent / "m-seeds.json").write_text('{"models": [3]}')
    assert len(seeds(recipe, mnist, 2).summary["models"]) == 2


def test_the_command_ends_with_the_table(recipe: Path, mnist: Path) -> None:
    output = str(recipe.parent / "m.safetensors")
    asked = ["train", "-o", output, "--recipe", str(recipe), "--mnist", str(mnist), "-q"]
    done = CliRunner().invoke(digitocr_command, [*asked, "--folds", "2"])
    assert done.exit_code == 0, done.output
    assert done.stdout == (recipe.parent / "m-folds.md").read_text().split("\n\n")[2] + "\n"
    both = CliRunner().invoke(digitocr_command, [*asked, "--folds", "2", "--seeds", "2"])
    assert both.exit_code == 2 and "choose one of --seeds" in both.output
