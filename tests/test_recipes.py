"""A recipe says by which network, rule and data a model is made, as publications differ in it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from digitocr.classify import Classifier
from digitocr.errors import ModelError, PipelineError, UsageError
from digitocr.mnist import NORMALIZATION
from digitocr.network import build
from digitocr.training import loop
from digitocr.training.corpus import Corpus, corpus_of, parted
from digitocr.training.data import Samples
from digitocr.training.draw import draw_negatives, draw_printed
from digitocr.training.material import Material, read_material
from digitocr.training.options import (
    NetworkOptions,
    ScheduleOptions,
    TrainRecipe,
    load_train_recipe,
    recipe_from,
)
from digitocr.training.order import Order
from digitocr.training.rules import rate_at, start_as_he
from digitocr.training.train import Trained, run_training
from digitocr.weights import Header, read_model, write_model

DIGITS_ALONE = """
split = "digit"
augmented = false
[network]
outputs = 10
layers = ["conv 4 5", "relu", "pool 4", "flatten"]
[schedule]
epochs = 1
batch = 32
bfloat16 = false
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums in one order, whatever else the machine does."""
    torch.set_num_threads(1)


def trained(
    mnist: Path,
    folder: Path,
    recipe: str = DIGITS_ALONE,
    report: Callable[[str], None] = lambda line: None,
    **more: object,
) -> Trained:
    (folder / "train-mine.toml").write_text(recipe)
    order = Order(folder / "train-mine.toml", mnist=mnist, **more)  # type: ignore[arg-type]
    return run_training(order, folder / "mine.safetensors", report=report)


def corpus(recipe: TrainRecipe, digits: Samples, *own: Samples, seed: int = 0) -> Corpus:
    return corpus_of(parted(Material(digits, (), own), recipe, seed, lambda line: None))


def write_folder(folder: Path, found: Samples) -> Path:
    """Each picture as a file in the folder of its class."""
    for place, (one, label) in enumerate(zip(found.pictures, found.labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / str(label) / f"{place}.png"), 255 - one)
    return folder


def test_a_model_of_digits_alone_takes_nothing_for_none(mnist: Path, tmp_path: Path) -> None:
    model = trained(mnist, tmp_path).model
    shares = Classifier.load(model, "cpu").probabilities(draw_negatives(20, 20, 0).pictures)
    assert shares.shape == (40, 11)
    assert not shares[:, 10].any()
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)


def test_a_model_of_digits_alone_is_shown_no_others(mnist: Path, tmp_path: Path) -> None:
    own = write_folder(tmp_path / "own", draw_printed(20, seed=3))
    write_folder(own / "none", draw_negatives(20, 0, seed=3))
    told = trained(mnist, tmp_path, data=(own,))
    assert (told.corpus.training.labels < 10).all()
    assert {one["source"]: one["trained"] for one in told.corpus.listing} == {
        "mnist": 360,
        "own": 18,
    }
    with pytest.raises(UsageError, match="--negatives"):
        trained(mnist, tmp_path, negatives=(own,))


@pytest.mark.parametrize("outputs", [5, 12])
def test_a_model_of_other_outputs_is_refused(tmp_path: Path, outputs: int) -> None:
    layers = ("conv 4 5", "flatten")
    weights = build(layers, outputs).state_dict()
    header = Header(layers, NORMALIZATION, outputs=outputs)
    path = tmp_path / "other.safetensors"
    write_model(path, header, {name: value.numpy() for name, value in weights.items()})
    with pytest.raises(ModelError, match="other classes"):
        Classifier.load(path, "cpu")


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("adamw", 0.01), ("adam", 0.01), ("sgd", 0.05), ("adadelta", 1.0)]
)
@pytest.mark.parametrize("course", ["constant", "one-cycle"])
def test_every_rule_learns(mnist: Path, optimizer: str, course: str, rate: float) -> None:
    schedule = ScheduleOptions(
        epochs=3, batch=20, optimizer=optimizer, rate=rate, course=course, momentum=0.9  # type: ignore[arg-type]
    )  # fmt: skip
    recipe = TrainRecipe(schedule=schedule, augmented=False)
    data = corpus(recipe, draw_printed(300, seed=0))
    run = loop.start(recipe, 0, "cpu")
    loop.train_on(run, data, mnist / f"{optimizer}-{course}", "", silent_clock(), lambda line: None)
    losses = [one["loss"] for one in run.history]
    assert losses[-1] < 0.7 * losses[0]


def silent_clock() -> loop.Clock:
    return loop.Clock(lambda line: None, 1)


def test_a_rate_stays_or_rises_once_and_falls_to_almost_nothing() -> None:
    shares = np.linspace(0, 1, 101)
    still = ScheduleOptions(rate=0.01, course="constant")
    assert {rate_at(still, share) for share in shares} == {0.01}
    rates = np.array([rate_at(ScheduleOptions(rate=0.01, warm_up=0.3), one) for one in shares])
    assert rates.argmax() == 30 and rates.max() == pytest.approx(0.01)
    assert (np.diff(rates[:31]) > 0).all() and (np.diff(rates[30:]) <= 0).all()
    assert rates[-1] < 0.0001


def test_first_weights_are_as_he_has_them() -> None:
    net = build(["conv 16 3", "norm", "relu", "flatten", "dense 40"], 10)
    start_as_he(net)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            inputs = module.weight[0].numel()
            largest = float(module.weight.detach().abs().max())
            assert 0.9 * (6 / inputs) ** 0.5 < largest <= (6 / inputs) ** 0.5
            assert not module.bias.any()


def test_digits_are_parted_at_random_and_always_alike() -> None:
    recipe = TrainRecipe(split="digit", mnist_validation=0.25)
    digits = numbered(400)
    one, other = (corpus(recipe, digits, seed=seed) for seed in (0, 1))
    back = set(one.validation["mnist"].writers)
    assert len(back) == 100 and back.isdisjoint(one.training.writers)
    assert back == set(other.validation["mnist"].writers)
    assert 0 < len(back & set(digits.writers[:200])) < 100


def numbered(count: int) -> Samples:
    """Digits, each by its own writer."""
    found = draw_printed(count, seed=0)
    return replace(found, writers=np.array([f"w{place}" for place in range(count)]))


def test_what_is_not_augmented_is_left_as_it_is(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotage(*_: object, **__: object) -> None:
        raise AssertionError("it was changed")

    monkeypatch.setattr(loop, "augment", sabotage)
    trained(mnist, tmp_path)
    with pytest.raises(AssertionError, match="it was changed"):
        trained(mnist, tmp_path, DIGITS_ALONE.replace("augmented = false", ""))


def test_a_test_set_is_never_trained_on(
    mnist: Path, tmp_path: Path, write_mnist: Callable[..., None]
) -> None:
    recipe = TrainRecipe()
    both = read_material(recipe, [mnist], [], mnist, lambda line: None).own
    assert [len(found) for found in both] == [400]
    write_mnist(tmp_path / "alone", draw_printed(10, seed=0), "t10k")
    for path in (tmp_path / "alone", tmp_path / "alone" / "t10k-images-idx3-ubyte.gz"):
        with pytest.raises(UsageError, match="test set"):
            read_material(recipe, [path], [], mnist, lambda line: None)


def test_what_of_a_users_digits_is_kept_back_stays_so_when_there_are_more() -> None:
    recipe, mnist = TrainRecipe(), draw_printed(20, seed=1)
    digits = numbered(400)
    signed = [corpus(recipe, mnist, digits.where(np.arange(count))) for count in (350, 400)]
    few, many = (set(one.validation["drawn-printed"].writers) for one in signed)
    assert (len(few), len(many)) == (35, 40)
    assert len(few & many) >= 32


def test_one_writer_is_not_kept_back_whole() -> None:
    digits = replace(draw_printed(40, seed=0), writers=np.array(["me"] * 40), source="own")
    found = corpus(TrainRecipe(), draw_printed(20, seed=1), digits)
    assert len(found.validation["own"]) == 4


def test_two_sources_of_one_name_are_told_apart() -> None:
    own = [replace(draw_printed(20, seed=seed), source="loss") for seed in (2, 3)]
    found = corpus(TrainRecipe(), draw_printed(20, seed=1), *own)
    assert list(found.validation) == ["mnist", "loss (2)", "loss (3)"]
    assert found.own == ("loss (2)", "loss (3)")


def test_nothing_to_train_on_is_told() -> None:
    none = draw_printed(0, seed=0)
    with pytest.raises(UsageError, match="nothing to train on"):
        corpus(TrainRecipe(), none)


def test_a_recipe_comes_back_from_a_models_header(mnist: Path, tmp_path: Path) -> None:
    header, _tensors, _sha256 = read_model(trained(mnist, tmp_path).model)
    assert recipe_from(header.recipe, "here") == load_train_recipe(tmp_path / "train-mine.toml")
    with pytest.raises(PipelineError, match="here: unknown key 'later'"):
        recipe_from(header.recipe | {"later": 1}, "here")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[schedule]\nbatch = 0", "batch must be 1 or more"),
        ("[schedule]\nrate = -1", "rate must be above 0"),
        ("[schedule]\nwarm_up = 1.0", "warm_up must be"),
        ("[schedule]\noptimizer = 'magic'", "optimizer must be one of"),
        ("[network]\noutputs = 7", "outputs must be one of 11, 10"),
        ("split = 'page'", "split must be one of"),
        ("mnist_validation = 1.5", "mnist_validation must be"),
    ],
)
def test_a_number_that_makes_no_sense_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "train-x.toml").write_text(text)
    with pytest.raises(PipelineError, match=complaint):
        load_train_recipe(tmp_path / "train-x.toml")


@pytest.mark.parametrize("layer", ["conv 4 3", "pool 2", "mean", "flatten", "residual 3"])
def test_a_layer_out_of_its_place_is_named(layer: str) -> None:
    with pytest.raises(ValueError, match=f"layer '{layer}'"):
        build(["flatten", "dense 8", layer])
    with pytest.raises(ValueError, match="layer 'dense 8'"):
        build(["conv 4 3", "dense 8"])


def test_a_network_that_would_eat_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="parameters, more than"):
        build(["conv 4096 28 same", "conv 4096 28 same"])
    with pytest.raises(ValueError, match="layer 'conv 4 999999999'"):
        build(["conv 4 999999999"])


def test_a_progress_line_tells_loss_accuracy_and_time(mnist: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    trained(mnist, tmp_path, report=lines.append)
    (line,) = (line for line in lines if line.startswith("epoch 1/1"))
    assert "loss" in line and "training" in line and "mnist" in line and "minutes left" in line


def test_the_header_tells_data_scores_and_the_way_there(mnist: Path, tmp_path: Path) -> None:
    header = trained(mnist, tmp_path).header
    assert header.outputs == 10
    (listed,) = header.training["data"]
    assert (listed["source"], listed["trained"], listed["validated"]) == ("mnist", 360, 40)
    assert set(header.training["scores"]) == {"mnist"}
    assert 0 <= header.training["scores"]["mnist"]["accuracy"] <= 1
    (epoch,) = header.training["history"]
    assert set(epoch) == {"loss", "training", "mnist"}


def test_a_zipped_listing_of_writers_is_used(
    tmp_path: Path, write_mnist: Callable[..., None]
) -> None:
    """By writer, all digits of one hand stay together; by digit they do not."""
    write_mnist(tmp_path, draw_printed(200, seed=1))
    rows = ["split,index,label,hsf_series,writer"]
    rows += [f"train,{place},0,0,w{place // 20}" for place in range(200)]
    (tmp_path / "writers.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    together = {}
    for split in ("writer", "digit"):
        recipe = TrainRecipe(split=split, network=NetworkOptions())  # type: ignore[arg-type]
        material = read_material(recipe, [], [], tmp_path, lambda line: None)
        found = corpus_of(parted(material, recipe, 0, lambda line: None))
        shared = set(found.validation["mnist"].writers) & set(found.training.writers)
        together[split] = not shared
    assert together == {"writer": True, "digit": False}
