"""A model goes on with a user's digits, and one that reads worse for it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from digitocr.classify import Classifier
from digitocr.cli import digitocr_command
from digitocr.errors import ModelError, UsageError
from digitocr.training import material
from digitocr.training.data import Samples
from digitocr.training.draw import draw_printed
from digitocr.training.finetune import Compared, run_finetuning, sign_test, worse_on
from digitocr.training.order import Order
from digitocr.training.train import Trained, run_training
from digitocr.weights import read_model, write_model

RECIPE = """
[network]
layers = ["block 8 5", "pool 4", "flatten"]
[schedule]
epochs = 4
batch = 20
rate = 0.02
bfloat16 = false
[drawn]
letters = 60
pairs = 20
halves = 10
[finetune]
epochs = 3
batch = 10
rate = 0.01
rehearsal = 0.5
"""
RUINOUS = RECIPE.replace("rate = 0.01", "rate = 50")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pictures are none of what is promised here; no download of a developer's is at hand."""
    for name in ("draw_curves", "draw_report"):
        monkeypatch.setattr(f"digitocr.training.train.{name}", lambda *_: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    torch.set_num_threads(1)


def write_recipe(folder: Path, text: str) -> Path:
    file = folder / "train-mine.toml"
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Path:
    """A model of upright printed digits."""
    folder = tmp_path_factory.mktemp("parent")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_curves", "draw_report"):
            patch.setattr(f"digitocr.training.train.{name}", lambda *_: None)
        torch.set_num_threads(1)
        recipe = write_recipe(folder, RECIPE)
        return run_training(Order(recipe, mnist=mnist), folder / "old.safetensors").model


def write_digits(folder: Path, digits: Samples, writers: int = 0) -> Path:
    """Digits of one who turns them on their side, as folders of classes, or of writers."""
    for place, (one, label) in enumerate(zip(digits.pictures, digits.labels, strict=True)):
        writer = [f"w{place % writers}"] if writers else []
        below = folder.joinpath(*writer, str(label))
        below.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(below / f"{place}.png"), 255 - np.rot90(one))
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits") / "own", draw_printed(150, seed=8))


def tuned(
    parent: Path,
    own: Path,
    mnist: Path,
    folder: Path,
    recipe: Path | None = None,
    epochs: int | None = None,
    **more: object,
) -> Trained:
    order = Order(recipe, (own,), epochs=epochs, mnist=mnist)
    return run_finetuning(order, folder / "new.safetensors", parent, **more)  # type: ignore[arg-type]


def test_a_users_digits_are_read_better_and_the_others_no_worse(
    parent: Path, own: Path, mnist: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    header = tuned(parent, own, mnist, tmp_path, report=lines.append).header
    compared = {one["source"]: one for one in header.training["parent"]["compared"]}
    assert compared["own"]["samples"] == 30 and compared["own"]["own"]
    assert compared["own"]["after"] < 0.7 * compared["own"]["before"]
    assert compared["mnist"]["samples"] == 40
    assert "no worse" in lines[-1]


def test_the_comparison_is_of_the_two_models(
    parent: Path, own: Path, mnist: Path, tmp_path: Path
) -> None:
    done = tuned(parent, own, mnist, tmp_path)
    compared = {one["source"]: one for one in done.header.training["parent"]["compared"]}
    for source, kept_back in done.corpus.validation.items():
        for when, model in (("before", parent), ("after", done.model)):
            said = Classifier.load(model, "cpu").probabilities(kept_back.pictures).argmax(axis=1)
            wrong = int((said != kept_back.labels).sum())
            assert abs(compared[source][when] - wrong) <= 1  # bfloat16


def test_the_card_says_what_it_was_made_from(
    parent: Path, own: Path, mnist: Path, tmp_path: Path
) -> None:
    card = tuned(parent, own, mnist, tmp_path).model.with_suffix(".md").read_text()
    assert read_model(parent)[2] in card
    assert "before | after" in card and "no worse" in card
    made_from = card[card.index("## Made from") : card.index("## Data")]
    assert "CC BY-SA" in made_from
    assert "the user's own" in card[card.index("## Data") :]


def test_nobody_kept_back_is_trained_on(parent: Path, mnist: Path, tmp_path: Path) -> None:
    own = write_digits(tmp_path / "own", draw_printed(60, seed=8), writers=6)
    corpus = tuned(parent, own, mnist, tmp_path, force=True).corpus
    (listed,) = (one for one in corpus.listing if one["source"] == "own")
    assert (listed["trained"], listed["validated"]) == (50, 10)
    assert len(set(corpus.validation["own"].writers)) == 1
    assert set(corpus.validation["own"].writers).isdisjoint(corpus.training.writers)


def test_what_goes_on_twice_rehearses_as_much_as_what_goes_on_once(
    parent: Path, own: Path, mnist: Path, tmp_path: Path
) -> None:
    once = tuned(parent, own, mnist, tmp_path, epochs=0)
    (tmp_path / "again").mkdir()
    twice = tuned(once.model, own, mnist, tmp_path / "again", epochs=0)
    assert twice.corpus.listing == once.corpus.listing
    assert twice.header.training["parent"]["data"][0]["source"] == "mnist"


def test_a_model_that_reads_worse_is_refused(
    parent: Path, own: Path, mnist: Path, tmp_path: Path
) -> None:
    (tmp_path / "new.safetensors").write_bytes(b"an earlier one")
    ruinous = write_recipe(tmp_path, RUINOUS)
    with pytest.raises(ModelError, match=r"worse than old.safetensors: .* mnist") as caught:
        tuned(parent, own, mnist, tmp_path, recipe=ruinous)
    assert "\n" not in str(caught.value) and "--force" in str(caught.value)
    assert (tmp_path / "new.safetensors").read_bytes() == b"an earlier one"
    kept = tmp_path / "new.refused.safetensors"
    assert Classifier.load(kept, "cpu").id.sha256 in kept.with_suffix(".md").read_text()
    assert "It was refused" in kept.with_suffix(".md").read_text()
    assert not (tmp_path / "new.safetensors.checkpoint").exists()


def test_force_takes_it_all_the_same(parent: Path, own: Path, mnist: Path, tmp_path: Path) -> None:
    ruinous = write_recipe(tmp_path, RUINOUS)
    done = tuned(parent, own, mnist, tmp_path, recipe=ruinous, force=True)
    assert done.model == tmp_path / "new.safetensors"
    assert "taken by --force" in done.model.with_suffix(".md").read_text()
    assert not (tmp_path / "new.refused.safetensors").exists()


def test_without_mnist_it_goes_on_with_what_is_there(
    parent: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotage(*_: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(material, "download_mnist", sabotage)
    lines: list[str] = []
    output = tmp_path / "new.safetensors"
    done = run_finetuning(Order(data=(own,)), output, parent, report=lines.append)
    assert any("leaving out MNIST" in line for line in lines)
    assert {one["source"] for one in done.corpus.listing} == {"own", "drawn-negatives"}
    (compared,) = done.header.training["parent"]["compared"]
    assert compared["after"] < compared["before"]


def test_a_digits_only_model_goes_on_as_one(own: Path, mnist: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, RECIPE.replace("[network]", "[network]\noutputs = 10"))
    order = Order(recipe, mnist=mnist, epochs=1)
    old = run_training(order, tmp_path / "old.safetensors").model
    new = tuned(old, own, mnist, tmp_path, epochs=1, force=True)
    assert new.header.outputs == 10
    assert (
        not Classifier.load(new.model, "cpu")
        .probabilities(draw_printed(9, 0).pictures)[:, 10]
        .any()
    )


@pytest.mark.parametrize(("count", "kept"), [(150, True), (1100, False)])
def test_the_temperature_is_kept_where_little_is_kept_back(
    parent: Path, tmp_path: Path, count: int, kept: bool
) -> None:
    header, weights, _sha256 = read_model(parent)
    write_model(tmp_path / "old.safetensors", replace(header, temperature=4.5), weights)
    own = write_digits(tmp_path / "own", draw_printed(count, seed=8))
    output = tmp_path / "new.safetensors"
    order = Order(data=(own,), epochs=1)
    done = run_finetuning(order, output, tmp_path / "old.safetensors", force=True)
    assert (done.header.temperature == 4.5) == kept


@pytest.mark.parametrize("hold_back", [True, False])
def test_no_temperature_is_fitted_to_what_the_old_model_has_seen(
    own: Path, tmp_path: Path, write_mnist: Callable[..., None], hold_back: bool
) -> None:
    write_mnist(tmp_path / "mnist", draw_printed(2000, seed=1))
    text = f"hold_back = {str(hold_back).lower()}\ntemperature = 4.5\n" + RECIPE
    recipe = write_recipe(tmp_path, text)
    mnist = tmp_path / "mnist"
    order = Order(recipe, mnist=mnist, epochs=0)
    old = run_training(order, tmp_path / "old.safetensors").model
    header = tuned(old, own, mnist, tmp_path, epochs=0).header
    assert (header.temperature == 4.5) == (not hold_back)
    card = (tmp_path / "new.md").read_text()
    assert ("has seen these very samples" in card) == (not hold_back)


def test_an_interrupted_one_goes_on_to_the_same_model(
    parent: Path, own: Path, mnist: Path, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    whole = tuned(parent, own, mnist, tmp_path / "whole")

    def pull_the_plug(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        tuned(parent, own, mnist, tmp_path, report=pull_the_plug)
    again = tuned(parent, own, mnist, tmp_path, report=lines.append)
    assert "going on after epoch 1" in lines
    assert again.model.read_bytes() == whole.model.read_bytes()


def test_nothing_to_go_on_with_and_nothing_to_go_on_from_are_told(
    parent: Path, own: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--data"):
        run_finetuning(Order(), tmp_path / "new.safetensors", parent)
    broken = tmp_path / "old.safetensors"
    broken.write_bytes(parent.read_bytes()[:-5])
    with pytest.raises(ModelError, match="cut short"):
        run_finetuning(Order(data=(own,)), tmp_path / "new.safetensors", broken)


def test_the_sign_test_is_that_of_a_coin() -> None:
    assert sign_test(5, 0) == 1 / 32
    assert sign_test(0, 5) == 1
    assert sign_test(2, 1) == 0.5
    assert sign_test(60, 40) == pytest.approx(0.0284, abs=1e-4)
    assert 0 < sign_test(900, 700) < 1e-6


OWN = Compared("own", 100, 20, 20, 0.5, own=True)  # and as many mistakes as before
OTHER = Compared("other", 1000, 10, 10, 0.5, own=False)


def test_of_ones_own_one_more_mistake_is_worse() -> None:
    assert not worse_on([OWN, OTHER], 0.3)
    more = worse_on([replace(OWN, after=21), OTHER], 0.3)
    assert more == "21 mistakes among 100 of own, where that one makes 20"


def test_two_folders_of_ones_own_count_together() -> None:
    lost, won = replace(OWN, after=21), replace(OWN, source="too", after=18)
    assert not worse_on([lost, won], 0.3)
    assert "of own" in worse_on([lost, replace(won, after=20)], 0.3)


@pytest.mark.parametrize(
    ("after", "chance", "gained", "worse"),
    [
        (11, 0.5, 0, False),  # luck
        (20, 0.01, 0, True),
        (20, 0.01, 2, True),  # 1 point lost here, 2 gained there
        (20, 0.01, 5, False),
        (5, 1.0, 0, False),
    ],
)
def test_elsewhere_luck_is_forgiven_and_a_little_for_what_is_gained(
    after: int, chance: float, gained: int, worse: bool
) -> None:
    both = [replace(OWN, after=20 - gained), replace(OTHER, after=after, chance=chance)]
    assert bool(worse_on(both, price=0.3)) == worse


def test_the_command_refuses_with_6_and_one_sentence(
    parent: Path, own: Path, mnist: Path, tmp_path: Path
) -> None:
    ruinous = write_recipe(tmp_path, RUINOUS)
    asked = ["train", "-o", str(tmp_path / "new.safetensors"), "--from", str(parent)]
    asked += ["--data", str(own), "--mnist", str(mnist), "--recipe", str(ruinous), "-q"]
    done = CliRunner().invoke(digitocr_command, asked)
    assert done.exit_code == 6
    assert done.stderr.count("\n") == 1 and "reads worse" in done.stderr
    assert not (tmp_path / "new.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--from", "digits", "--seeds", "2"], "choose one of"),
        (["--from", "digits", "--folds", "2"], "choose one of"),
        (["--force"], "--force goes with --from"),
    ],
)
def test_what_does_not_go_together_ends_with_2(tmp_path: Path, more: list[str], told: str) -> None:
    asked = ["train", "-o", str(tmp_path / "new.safetensors"), *more]
    done = CliRunner().invoke(digitocr_command, asked)
    assert done.exit_code == 2 and told in done.stderr
