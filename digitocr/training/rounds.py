"""Several trainings as one: with several seeds, or of the folds of a cross-validation.

One training's figure holds the luck of its seed and of what was kept back; the spread over
several tells how much of it is luck.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digitocr.training.card import scores_table, write_text
from digitocr.training.corpus import Fold, corpus_of, parted
from digitocr.training.loop import Clock
from digitocr.training.material import Material, files_of, find_mnist, read_material
from digitocr.training.options import TrainRecipe
from digitocr.training.order import Order
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
    """One of the trainings. name: what its files are called by. order: with its own seed."""

    name: str
    order: Order
    fold: Fold | None = None


def run_seeds(
    order: Order, output: Path, count: int, *, report: Report = lambda line: None
) -> Rounds:
    """Train ``count`` times, with the seeds from the ordered one on, on the same data.

    Of ``mine.safetensors`` as output, the models are ``mine-seed0.safetensors`` and so on,
    each with its card and pictures, and ``mine-seeds.json`` and ``mine-seeds.md`` hold the
    scores of all. A training that is finished is not done again while its model and the
    data are as they were. For the rest see ``train.run_training``.
    """
    seeds = range(order.seed, order.seed + count)
    rounds = [_Round(f"seed{seed}", replace(order, seed=seed)) for seed in seeds]
    return _run(rounds, "seeds", order, output, report)


def run_folds(
    order: Order, output: Path, count: int, *, report: Report = lambda line: None
) -> Rounds:
    """Cross-validate: train ``count`` times, each time with another fold kept back.

    MNIST's training digits and the user's are cut into folds, by writer where the recipe
    parts by writers and they are known, else by digit; the recipe's other sources are
    parted as ever. The models are ``mine-fold1.safetensors`` and so on, the scores are in
    ``mine-folds.json`` and ``mine-folds.md``; else as ``run_seeds``. Raises UsageError
    where there are fewer writers, or digits, than folds.
    """
    folds = [Fold(number, count) for number in range(1, count + 1)]
    rounds = [_Round(f"fold{fold.number}", order, fold) for fold in folds]
    return _run(rounds, "folds", order, output, report)


def _run(rounds: Sequence[_Round], kind: str, order: Order, output: Path, report: Report) -> Rounds:
    """Train one after the other what is not trained yet, and keep the scores after each."""
    recipe = recipe_of(order)
    mnist = order.mnist or find_mnist(recipe, report)
    file = output.with_name(f"{output.stem}-{kind}.json")
    models = [output.with_name(f"{output.stem}-{one.name}{output.suffix}") for one in rounds]
    files = files_of(recipe, order.data, order.negatives, mnist)
    marks = [_mark(one, recipe, files) for one in rounds]
    entries = _finished(file, dict(zip(marks, models, strict=True)))
    clock = Clock(report, recipe.schedule.epochs * (len(rounds) - len(entries)))
    material: Material | None = None
    for number, (one, mark, model) in enumerate(zip(rounds, marks, models, strict=True), 1):
        if mark in entries:
            report(f"{one.name} is trained already")
            continue
        clock.title = f"{one.name} ({number} of {len(rounds)}), "
        if material is None:
            material = read_material(recipe, order.data, order.negatives, mnist, report)
        entries[mark] = _train(one, recipe, material, model, clock, report) | {"order": mark}
        _write(_summed_up([entries[one] for one in marks if one in entries], kind, recipe), file)
    summary = _summed_up([entries[mark] for mark in marks], kind, recipe)
    _write(summary, file)
    return Rounds(tuple(models), summary, _table(summary))


def _train(
    one: _Round,
    recipe: TrainRecipe,
    material: Material,
    model: Path,
    clock: Clock,
    report: Report,
) -> Entry:
    """One training, and what the summary says of it."""
    seed, device = one.order.seed, one.order.device
    corpus = corpus_of(parted(material, recipe, seed, report, fold=one.fold))
    trained = train_model(recipe, corpus, model, seed, device, clock, report)
    return {
        "name": one.name,
        "model": model.name,
        "sha256": _sha256(model),
        "seed": seed,
        "scores": trained.header.training["scores"],
    }


def _summed_up(entries: Sequence[Entry], kind: str, recipe: TrainRecipe) -> dict[str, Any]:
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
        "recipe": recipe.name,
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


def _mark(one: _Round, recipe: TrainRecipe, files: Sequence[tuple[str, int, int]]) -> str:
    """A digest of all that one training depends on."""
    order, fold = one.order, asdict(one.fold) if one.fold else None
    folders = [[str(path) for path in paths] for paths in (order.data, order.negatives)]
    settings = [asdict(recipe), order.seed, fold, folders, files, torch.__version__]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    """Of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
