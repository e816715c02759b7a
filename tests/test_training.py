"""A training ends in a model, its card and its pictures, and the same again for a seed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from digitocr.classify import Classifier
from digitocr.errors import InputMissing, PipelineError, UsageError
from digitocr.training.augment import AugmentOptions, augment
from digitocr.training.calibrate import calibration_error, fit_temperature, softmax
from digitocr.training.data import read_folder, read_idx, read_mnist, read_path
from digitocr.training.draw import draw_negatives, draw_printed, spoil
from digitocr.training.options import load_train_recipe
from digitocr.training.order import Order
from digitocr.training.report import draw_curves
from digitocr.training.train import recipe_of, run_training

ROOT = Path(__file__).resolve().parents[1]

RECIPE = """
mnist_validation = 0.1
[network]
layers = ["block 4 5", "residual 3", "pool 4", "dropout 0.1", "flatten"]
[schedule]
epochs = 2
batch = 32
rate = 0.01
bfloat16 = false
[drawn]
letters = 60
shapes = 20
pairs = 20
halves = 10
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums in one order: what is compared bit by bit must not depend on the machine's load."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Path:
    """A folder with a small MNIST of printed digits, and a recipe."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "mnist").symlink_to(mnist)
    (folder / "train-small.toml").write_text(RECIPE)
    return folder


def ordered(small: Path, **more: object) -> Order:
    return Order(small / "train-small.toml", mnist=small / "mnist", **more)  # type: ignore[arg-type]


def train(small: Path, output: Path, **more: object) -> Path:
    run_training(ordered(small, **more), output)
    return output


@pytest.fixture(scope="module")
def model(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return train(small, tmp_path_factory.mktemp("model") / "small.safetensors")


def test_a_training_leaves_a_model_a_card_and_pictures(model: Path) -> None:
    left = {str(file.relative_to(model.parent)) for file in model.parent.rglob("*.*")}
    names = ("curves", "confusion", "reliability", "reject", "mistakes")
    pictures = {f"small-report/{name}.png" for name in names}
    assert left == {"small.safetensors", "small.md"} | pictures
    card = model.with_suffix(".md").read_text()
    assert "mnist" in card and "CC BY-SA" in card and "residual 3" in card
    assert Classifier.load(model, "cpu").id.sha256 in card


def drawn_curves(folder: Path, history: list[dict[str, float]]) -> np.ndarray:
    draw_curves(history, folder / "curves.png")
    return cv2.imread(str(folder / "curves.png"))


def test_loss_and_accuracies_are_drawn_apart(tmp_path: Path) -> None:
    history = [{"loss": 1 / k, "training": 1 - 0.1 / k, "mnist": 1 - 0.2 / k} for k in (1, 2, 4)]
    before = drawn_curves(tmp_path, history)
    middle = before.shape[1] * 4 // 10
    loss = drawn_curves(tmp_path, [one | {"loss": 3.0} for one in history])
    assert (loss[:, :middle] != before[:, :middle]).any()
    assert np.array_equal(loss[:, middle:], before[:, middle:])
    for source in ("training", "mnist"):
        other = drawn_curves(tmp_path, [one | {source: 0.85} for one in history])
        assert np.array_equal(other[:, :middle], before[:, :middle])
        assert (other[:, middle:] != before[:, middle:]).any()


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"loss": 2.0, "training": 0.0}],
        [{"loss": float("nan"), "training": 1.0, "_$own$": 1.0}] * 2,
        [{"loss": 2.0, "mnist": 0.0}, {"loss": 1.0, "training": 0.5, "mnist": 0.99999}],
        [{"loss": 1.0, "training": 0.9} | {f"source {k}": 0.97 for k in range(30)}],
    ],
    ids=["no epoch", "all wrong", "all right", "not looked at before", "many"],
)
def test_curves_are_drawn_of_any_training(tmp_path: Path, history: list[dict[str, float]]) -> None:
    assert (drawn_curves(tmp_path, history) < 255).any()


def test_a_seed_gives_the_same_model_again(small: Path, model: Path, tmp_path: Path) -> None:
    again = train(small, tmp_path / "small.safetensors")
    other = train(small, tmp_path / "other.safetensors", seed=1)
    assert again.read_bytes() == model.read_bytes()
    assert other.read_bytes() != model.read_bytes()


def test_an_interrupted_training_goes_on_to_the_same_model(
    small: Path, model: Path, tmp_path: Path
) -> None:
    lines: list[str] = []

    def pull_the_plug(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    output = tmp_path / "small.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run_training(ordered(small), output, report=pull_the_plug)
    assert not output.exists()
    run_training(ordered(small), output, report=lines.append)
    assert "going on after epoch 1" in lines
    assert output.read_bytes() == model.read_bytes()
    assert not output.with_name("small.safetensors.checkpoint").exists()


def test_a_checkpoint_of_another_training_is_not_taken_up(small: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    output = tmp_path / "small.safetensors"
    output.with_name("small.safetensors.checkpoint").write_bytes(b"something else")
    run_training(ordered(small, epochs=1), output, report=lines.append)
    assert not any("going on" in line for line in lines)
    kept = list(tmp_path.glob("small.safetensors.checkpoint.*"))
    assert [path.read_bytes() for path in kept] == [b"something else"]


def test_a_users_own_folders_join_in(small: Path, tmp_path: Path) -> None:
    for label, one in enumerate(draw_printed(20, seed=3).pictures):
        folder = tmp_path / "own" / str(label % 10)
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{label}.png"), 255 - one)
    (tmp_path / "dirt").mkdir()
    for place, one in enumerate(draw_negatives(10, 0, seed=3).pictures):
        cv2.imwrite(str(tmp_path / "dirt" / f"{place}.png"), one)
    order = ordered(small, data=(tmp_path / "own",), negatives=(tmp_path / "dirt",), epochs=1)
    trained = run_training(order, tmp_path / "m.safetensors")
    names = {str(one["source"]): one for one in trained.corpus.listing}
    assert names["own"]["trained"] == 18 and names["own"]["validated"] == 2
    assert names["dirt"]["trained"] == 9 and names["dirt"]["validated"] == 1


def test_no_writer_is_on_both_sides(
    small: Path, tmp_path: Path, write_mnist: Callable[..., None]
) -> None:
    write_mnist(tmp_path / "mnist", draw_printed(200, seed=1))
    rows = ["split,index,label,hsf_series,writer"]
    rows += [f"train,{k},0,0,w{k // 10}" for k in range(200)]
    listing = gzip.compress("\n".join(rows).encode())
    (tmp_path / "mnist" / "writers.csv.gz").write_bytes(listing)
    order = Order(small / "train-small.toml", mnist=tmp_path / "mnist", epochs=0)
    trained = run_training(order, tmp_path / "m.safetensors")
    held_back = set(trained.corpus.validation["mnist"].writers)
    assert len(held_back) == 2
    assert held_back.isdisjoint(trained.corpus.training.writers)


def test_the_last_training_holds_nothing_back(small: Path, tmp_path: Path) -> None:
    (tmp_path / "train-x.toml").write_text("hold_back = false\ntemperature = 1.3\n" + RECIPE)
    order = Order(tmp_path / "train-x.toml", mnist=small / "mnist", epochs=0)
    trained = run_training(order, tmp_path / "m.safetensors")
    assert not trained.corpus.validation
    assert (trained.corpus.training.labels < 10).sum() == 400
    assert trained.header.temperature == 1.3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sped = 1", "unknown key 'sped'"),
        ("[schedule]\nepochs = 'many'", "epochs must be a whole number"),
        ("[network]\nlayers = 3", "layers must be"),
        ("[[source]]\nkind = 'digits'", "folder"),
        ("[schedule", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "train-x.toml").write_text(text)
    with pytest.raises(PipelineError, match=complaint):
        load_train_recipe(tmp_path / "train-x.toml")


def test_an_unknown_network_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "train-x.toml").write_text("[network]\nlayers = ['magic']")
    with pytest.raises(PipelineError, match="no layer 'magic'"):
        run_training(Order(tmp_path / "train-x.toml", mnist=small / "mnist"), tmp_path / "m")


def test_shipped_recipes_are_valid() -> None:
    recipes = sorted((ROOT / "pipelines").glob("train-*.toml"))
    assert recipes
    for recipe in recipes:
        load_train_recipe(recipe)


def test_an_order_that_names_no_recipe_is_of_the_shipped_one() -> None:
    shipped = load_train_recipe(ROOT / "pipelines" / "train-digits.toml")
    assert recipe_of(Order()) == shipped
    short = recipe_of(Order(epochs=3))
    assert short.schedule.epochs == 3
    assert replace(short, schedule=shipped.schedule) == shipped


def test_missing_and_damaged_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        read_path(tmp_path / "nothing")
    with pytest.raises(InputMissing):
        read_mnist(tmp_path, "train")
    with pytest.raises(UsageError):
        read_folder(tmp_path)
    (tmp_path / "x-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    with pytest.raises(UsageError):
        read_idx(tmp_path / "x-images-idx3-ubyte")


@pytest.mark.parametrize("split", ["digits", "mnist"])
def test_digits_of_emnist_are_turned_upright(
    tmp_path: Path, write_mnist: Callable[..., None], split: str
) -> None:
    digits = draw_printed(30, seed=1)
    turned = replace(digits, pictures=digits.pictures.transpose(0, 2, 1))
    write_mnist(tmp_path, turned, f"emnist-{split}-train")
    found = read_path(tmp_path / f"emnist-{split}-train-images-idx3-ubyte.gz")
    assert np.array_equal(found.pictures, digits.pictures)
    assert np.array_equal(found.labels, digits.labels)


def test_emnist_is_trained_and_scored_on_different_files(
    small: Path, tmp_path: Path, write_mnist: Callable[..., None]
) -> None:
    write_mnist(tmp_path / "own", draw_printed(40, seed=1), "emnist-digits-train")
    write_mnist(tmp_path / "own", draw_printed(30, seed=2), "emnist-digits-test")
    assert len(read_path(tmp_path / "own")) == 30
    trained = run_training(ordered(small, data=(tmp_path / "own",), epochs=0), tmp_path / "m")
    (own,) = (one for one in trained.corpus.listing if one["source"] == "own")
    assert (own["trained"], own["validated"]) == (36, 4)


def test_letters_of_emnist_are_refused(tmp_path: Path, write_mnist: Callable[..., None]) -> None:
    digits = draw_printed(30, seed=1)
    letters = replace(digits, labels=np.arange(30) % 26 + 1)
    write_mnist(tmp_path, letters, "emnist-letters-train")
    with pytest.raises(UsageError, match="not of digits alone"):
        read_path(tmp_path)


def test_drawn_digits_and_dirt_are_pictures_with_labels() -> None:
    printed = draw_printed(30, seed=0)
    assert np.array_equal(np.bincount(printed.labels), [3] * 10)
    for made in (draw_negatives(20, 20, seed=0), spoil(printed, 5, 5, seed=0)):
        assert set(made.labels) == {10}
        assert made.pictures.shape == (len(made), 28, 28)
        assert (made.pictures.max(axis=(1, 2)) == 255).mean() > 0.9


def test_augmenting_keeps_shape_range_and_argument() -> None:
    before = torch.tensor(draw_printed(64, seed=0).pictures).float().div(255).unsqueeze(1)
    given = before.clone()
    one = augment(given, AugmentOptions(), torch.Generator().manual_seed(7))
    two = augment(given, AugmentOptions(), torch.Generator().manual_seed(7))
    assert torch.equal(given, before) and torch.equal(one, two)
    assert one.shape == given.shape and one.min() >= 0 and one.max() <= 1
    assert not torch.equal(one, given)


def test_nothing_is_ever_mirrored() -> None:
    """A picture of ink on the left stays one, whatever is done to it."""
    left = torch.zeros(256, 1, 28, 28)
    left[:, :, 6:22, 5:9] = 1
    calm = AugmentOptions(p_rules=0, p_neighbour=0)
    after = augment(left, calm, torch.Generator().manual_seed(0))
    assert (after[..., :14].sum((1, 2, 3)) > after[..., 14:].sum((1, 2, 3))).all()


def test_the_temperature_mends_overconfidence() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(0, 1, (4000, 11))
    labels = np.array([random.choice(11, p=share) for share in softmax(scores)])
    assert fit_temperature(scores * 3, labels) == pytest.approx(3, rel=0.15)
    wrong, mended = softmax(scores * 3), softmax(scores)
    right = scores.argmax(axis=1) == labels
    assert calibration_error(mended.max(axis=1), right) < 0.03
    assert calibration_error(wrong.max(axis=1), right) > 0.2
    assert fit_temperature(scores[:0], labels[:0]) == 1
