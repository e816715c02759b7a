"""The published designs are trained by recipes that say what the publications say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from digitocr.network import build
from digitocr.training.corpus import corpus_of, parted
from digitocr.training.data import samples
from digitocr.training.material import Material
from digitocr.training.options import DrawnOptions, load_train_recipe

RECIPES = Path(__file__).resolve().parents[1] / "pipelines"
PUBLISHED = sorted(RECIPES.glob("train-published-*.toml"))


def test_there_are_five_published_recipes() -> None:
    names = {load_train_recipe(path).name for path in PUBLISHED}
    assert names == {
        f"published-{one}" for one in ("simple", "421k", "augmented", "adadelta", "kfold")
    }


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_recipe_knows_mnists_digits_and_nothing_else(path: Path) -> None:
    recipe = load_train_recipe(path)
    assert recipe.network.outputs == 10 and recipe.split == "digit"
    assert not recipe.source and recipe.drawn == DrawnOptions()
    net = build(recipe.network.layers, recipe.network.outputs)
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "digits"), [("simple", 49_000), ("421k", 55_000), ("augmented", 55_000)]
)
def test_a_published_recipe_trains_on_as_many_as_published(name: str, digits: int) -> None:
    recipe = load_train_recipe(RECIPES / f"train-published-{name}.toml")
    mnist = samples(np.zeros((60_000, 28, 28), np.uint8), np.arange(60_000) % 10)
    parts = parted(Material(mnist, (), ()), recipe, 0, lambda line: None)
    assert len(corpus_of(parts).training) == digits


def test_the_design_of_421_642_parameters_has_them() -> None:
    network = load_train_recipe(RECIPES / "train-published-421k.toml").network
    net = build(network.layers, network.outputs)
    assert sum(one.numel() for one in net.parameters()) == 421_642
