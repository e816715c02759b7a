"""Several trainings as one: with several seeds, or of the folds of a cross-validation.

One training's figure holds the luck of its seed and of what was kept back; the spread over
several tells how much of it is luck.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digitocr.training.card import scores_table, write_text
from digitocr.training.corpus import Fold, corpus_of, parted
from digitocr.training.loop import Clock
from digitocr.training.material import Material, files_of, find_mnist, read_material
from digitocr.training.options import TrainRecipe
from digitocr.training.train import recipe_of, train_model

__all__ = ["Rounds", "run_folds", "run_seeds"]

Report = Callable[[str], None]
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What several trainings leave.

    models: their files. summary: what the JSON file says. table: mean and standard
    deviation of each score on each source that was kept back, as Markdown.
    """

    models: tuple[Path, ...]
    summary: dict[str, Any]
    table: str


@dataclass(frozen=True, slots=True)
class _Round:
    """One of the trainings. name: what its files are called by."""

    name: str
    seed: int
    fold: Fold | None = None


@dataclass(frozen=True, slots=True)
class _Order:
    """What all of the trainings have in common."""

    recipe: TrainRecipe
    data: tuple[Path, ...]
    negatives: tuple[Path, ...]
    mnist: Path
    device: str


def run_seeds(
    recipe_path: Path,
    output: Path,
    count: int,
    data: Sequence[Path] = (),
    negatives: Sequence[Path] = (),
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    mnist: Path | None = None,
    report: Report = lambda line: None,
) -> Rounds:
    """Train ``count`` times, with the seeds from ``seed`` on, on the same data.

    Of ``mine.safetensors`` as output, the models are ``mine-seed0.safetensors`` and so on,
    each with its card and pictures, and ``mine-seeds.json`` and ``mine-seeds.md`` hold the
    scores of all. A training that is finished is not done again while its model and the
    data are as they were. For the rest see ``train.run_training``.
    """
    rounds = [_Round(f"seed{one}", one) for one in range(seed, seed + count)]
    order = _order(recipe_path, data, negatives, epochs, device, mnist, report)
    return _run(rounds, "seeds", order, output, report)


def run_folds(
    recipe_path: Path,
    output: Path,
    count: int,
    data: Sequence[Path] = (),
    negatives: Sequence[Path] = (),
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    mnist: Path | None = None,
    report: Report = lambda line: None,
) -> Rounds:
    """Cross-validate: train ``count`` times, each time with another fold kept back.

    MNIST's training digits and the user's are cut into folds, by writer where the recipe
    parts by writers and they are known, else by digit; the recipe's other sources are
    parted as ever. The models are ``mine-fold1.safetensors`` and so on, the scores are in
    ``mine-folds.json`` and ``mine-folds.md``; else as ``run_seeds``. Raises UsageError
    where there are fewer writers, or digits, than folds.
    """
    rounds = [_Round(f"fold{one}", seed, Fold(one, count)) for one in range(1, count + 1)]
    order = _order(recipe_path, data, negatives, epochs, device, mnist, report)
    return _run(rounds, "folds", order, output, report)


def _order(
    recipe_path: Path,
    data: Sequence[Path],
    negatives: Sequence[Path],
    epochs: int | None,
    device: str,
    mnist: Path | None,
    report: Report,
) -> _Order:
    """What is trained, on what."""
    recipe = recipe_of(recipe_path, epochs)
    place = mnist or find_mnist(recipe, report)
    return _Order(recipe, tuple(data), tuple(negatives), place, device)


def _run(
    rounds: Sequence[_Round], kind: str, order: _Order, output: Path, report: Report
) -> Rounds:
    """Train one after the other what is not trained yet, and keep the scores after each."""
    file = output.with_name(f"{output.stem}-{kind}.json")
    models = [output.with_name(f"{output.stem}-{one.name}{output.suffix}") for one in rounds]
    files = files_of(order.recipe, order.data, order.negatives, order.mnist)
    marks = [_mark(one, order, files) for one in rounds]
    entries = _finished(file, dict(zip(marks, models, strict=True)))
    epochs = order.recipe.schedule.epochs
    clock = Clock(report, epochs * (len(rounds) - len(entries)))
    material: Material | None = None
    for number, (one, mark, model) in enumerate(zip(rounds, marks, models, strict=True), 1):
        if mark in entries:
            report(f"{one.name} is trained already")
            continue
        clock.title = f"{one.name} ({number} of {len(rounds)}), "
        material = material or _read(order, report)
        entries[mark] = _train(one, order, material, model, clock, report) | {"order": mark}
        _write(_summed_up([entries[one] for one in marks if one in entries], kind, order), file)
    summary = _summed_up([entries[mark] for mark in marks], kind, order)
    _write(summary, file)
    return Rounds(tuple(models), summary, _table(summary))


def _read(order: _Order, report: Report) -> Material:
    """What all trainings part, read once."""
    return read_material(order.recipe, order.data, order.negatives, order.mnist, report)


def _train(
    one: _Round, order: _Order, material: Material, model: Path, clock: Clock, report: Report
) -> Entry:
    """One training, and what the summary says of it."""
    corpus = corpus_of(parted(material, order.recipe, one.seed, report, fold=one.fold))
    trained = train_model(order.recipe, corpus, model, one.seed, order.device, clock, report)
    return {
        "name": one.name,
        "model": model.name,
        "sha256": _sha256(model),
        "seed": one.seed,
        "scores": trained.header.training["scores"],
    }


def _summed_up(entries: Sequence[Entry], kind: str, order: _Order) -> dict[str, Any]:
    """The trainings with mean and standard deviation of each score on each source."""
    values: dict[str, dict[str, list[float]]] = {}
    for entry in entries:
        for source, scores in entry["scores"].items():
            for name, value in scores.items():
                values.setdefault(source, {}).setdefault(name, []).append(value)
    mean = {
        source: {name: float(np.mean(found)) for name, found in scores.items()}
        for source, scores in values.items()
    }
    deviation = {
        source: {name: _deviation(found) for name, found in scores.items()}
        for source, scores in values.items()
    }
    return {
        "recipe": order.recipe.name,
        "by": kind,
        "models": list(entries),
        "mean": mean,
        "deviation": deviation,
    }


def _deviation(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample; of one value there is none."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _table(summary: dict[str, Any]) -> str:
    """Mean and standard deviation as Markdown: ``98.97 ± 0.06 %``."""
    mean, deviation = summary["mean"], summary["deviation"]
    if not mean:
        return "Nothing was kept back."

    def cell(source: str, name: str) -> str:
        if name == "samples":
            return f"{mean[source][name]:.0f}"
        spread = deviation[source][name]
        told = "" if spread is None else f" ± {100 * spread:.2f}"
        return f"{100 * mean[source][name]:.2f}{told} %"

    return scores_table({one: {name: cell(one, name) for name in mean[one]} for one in mean})


def _write(summary: dict[str, Any], file: Path) -> None:
    """The summary as JSON, and for a person. Raises OutputError."""
    write_text(file, json.dumps(summary, indent=2) + "\n")
    listed = [
        f"- `{entry['model']}`, seed {entry['seed']}, SHA-256 `{entry['sha256']}`"
        for entry in summary["models"]
    ]
    parts = [
        f"# {file.stem}",
        f"Trained by the recipe `{summary['recipe']}`; each model has its own card. Mean and "
        f"standard deviation over {len(listed)} {summary['by']}, on what was kept back:",
        _table(summary),
        "\n".join(listed),
    ]
    write_text(file.with_suffix(".md"), "\n\n".join(parts) + "\n")


def _finished(file: Path, models: dict[str, Path]) -> dict[str, Entry]:
    """What an earlier run finished of these models, by what was ordered."""
    try:
        entries = json.loads(file.read_text("utf-8"))["models"]
        found = {entry["order"]: entry for entry in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {mark: found[mark] for mark in models if _is_intact(models[mark], found.get(mark))}


def _is_intact(model: Path, entry: Entry | None) -> bool:
    """Whether the model is the one that the training left."""
    return entry is not None and model.is_file() and _sha256(model) == entry.get("sha256")


def _mark(one: _Round, order: _Order, files: Sequence[tuple[str, int, int]]) -> str:
    """A digest of all that one training depends on."""
    fold = dataclasses.asdict(one.fold) if one.fold else None
    folders = [[str(path) for path in paths] for paths in (order.data, order.negatives)]
    recipe = dataclasses.asdict(order.recipe)
    settings = [recipe, one.seed, fold, folders, files, torch.__version__]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    """Of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
