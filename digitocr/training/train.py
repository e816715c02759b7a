"""From a recipe and its data to a model file, its card and its pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from digitocr.errors import PipelineError
from digitocr.mnist import NORMALIZATION
from digitocr.resources import find_pipeline
from digitocr.training.calibrate import fit_temperature, softmax
from digitocr.training.card import write_card
from digitocr.training.corpus import Corpus, corpus_of, parted
from digitocr.training.data import Samples, joined
from digitocr.training.digit_risk import risk_of_numbers
from digitocr.training.evaluate import scores_of
from digitocr.training.loop import Clock, Loop, mark_of, raw_scores, start, train_on
from digitocr.training.material import read_material
from digitocr.training.options import TrainRecipe, load_train_recipe
from digitocr.training.order import Order
from digitocr.training.report import draw_curves, draw_report
from digitocr.types import NOT_A_DIGIT
from digitocr.weights import Header, read_model, write_model

__all__ = [
    "Trained",
    "checkpoint_of",
    "header_of",
    "recipe_of",
    "run_training",
    "train_model",
    "write_all",
]

_USUAL = "train-digits"  # the recipe where none is named
_ENOUGH = 200  # samples to fit a temperature to

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves.

    model: the file. header: what it says of itself.
    history: one entry per epoch: loss, and accuracy on some of what was trained on
        (``training``) and on each validation source.
    corpus: the data.
    """

    model: Path
    header: Header
    history: tuple[dict[str, float], ...]
    corpus: Corpus


def run_training(order: Order, output: Path, *, report: Report = lambda line: None) -> Trained:
    """Train the recipe's network; write the model, its card and its pictures.

    order: of each folder of its data, every tenth writer, or sample where writers are
        unknown, is kept back to validate on.
    output: the model file to write. Beside it come its card (``.md``) and a folder
        ``<stem>-report`` of pictures. While the training runs, ``<output>.checkpoint``
        stands there, from which an interrupted training goes on with the same result.
    report: gets a line of progress now and then.

    Raises PipelineError for a mistake in the recipe, InputMissing and UsageError for data
    that is not there or of no use, ModelError where there is no such device, OutputError
    where the model cannot be written.
    """
    recipe = recipe_of(order)
    material = read_material(recipe, order.data, order.negatives, order.mnist, report)
    corpus = corpus_of(parted(material, recipe, order.seed, report))
    clock = Clock(report, recipe.schedule.epochs)
    return train_model(recipe, corpus, output, order.seed, order.device, clock, report)


def recipe_of(order: Order, reads: Literal["digits", "numbers"] = "digits") -> TrainRecipe:
    """The recipe that is ordered, or the usual one, with the epochs that are.

    reads: what its network must read.
    Raises PipelineError where it is missing or has a mistake, or its network reads another
    thing.
    """
    recipe = load_train_recipe(order.recipe_path or find_pipeline(_USUAL))
    if recipe.reads != reads:
        raise PipelineError(f"the recipe '{recipe.name}' is for {recipe.reads}, not for {reads}")
    if order.epochs is None:
        return recipe
    schedule = dataclasses.replace(recipe.schedule, epochs=order.epochs)
    return dataclasses.replace(recipe, schedule=schedule)


def train_model(
    recipe: TrainRecipe,
    corpus: Corpus,
    output: Path,
    seed: int,
    device: str,
    clock: Clock,
    report: Report,
) -> Trained:
    """Train on a corpus and write all that a training leaves; see ``run_training``."""
    loop = start(recipe, seed, device)
    checkpoint = checkpoint_of(output)
    train_on(loop, corpus, checkpoint, mark_of(recipe, corpus, seed), clock, report)
    trained = write_all(loop, corpus, header_of(loop, corpus), output)
    checkpoint.unlink(missing_ok=True)
    return trained


def checkpoint_of(output: Path) -> Path:
    """Where a training of that output keeps what it has."""
    return output.with_name(output.name + ".checkpoint")


def header_of(
    loop: Loop,
    corpus: Corpus,
    more: Mapping[str, Any] | None = None,
    temperature: float = 1.0,
    seen: Collection[str] = (),
) -> Header:
    """What the model file says.

    more: of the training. temperature: where the recipe gives none and too little is kept
        back to fit one. seen: the sources that do not count for that, since the weights
        were trained on them before.
    """
    raw = {name: raw_scores(loop, part) for name, part in corpus.validation.items()}
    unseen = {name: part for name, part in corpus.validation.items() if name not in seen}
    temperature = loop.recipe.temperature or _temperature(raw, unseen, temperature)
    training = {
        "seed": loop.seed,
        "epochs": loop.epoch,
        "data": [dict(one) for one in corpus.listing],
        "scores": {
            name: _scores(softmax(raw[name], temperature), part)
            for name, part in corpus.validation.items()
        },
        "history": [{name: round(v, 5) for name, v in one.items()} for one in loop.history],
        "risk": _risk(loop, raw, unseen, temperature),
    }
    return Header(
        layers=loop.recipe.network.layers,
        normalization=NORMALIZATION,
        outputs=loop.recipe.network.outputs,
        temperature=temperature,
        recipe=dataclasses.asdict(loop.recipe),
        training=training | dict(more or {}),
    )


def write_all(loop: Loop, corpus: Corpus, header: Header, output: Path) -> Trained:
    """Write the model, its card and its pictures. Raises OutputError."""
    weights = {name: value.cpu().numpy() for name, value in loop.net.state_dict().items()}
    write_model(output, header, weights)
    write_card(output, header)
    pictures = output.with_name(f"{output.stem}-report")
    draw_curves(loop.history, pictures / "curves.png")
    held_back = joined(corpus.validation.values())
    if len(held_back):
        shares = softmax(raw_scores(loop, held_back), header.temperature)
        draw_report(held_back, shares, pictures)
    return Trained(output, header, tuple(loop.history), corpus)


def _temperature(
    raw: Mapping[str, NDArray[np.float32]], parts: Mapping[str, Samples], otherwise: float
) -> float:
    """The temperature that fits what is kept back, all sources of some size weighed alike."""
    fitted = [
        fit_temperature(raw[name], part.labels)
        for name, part in parts.items()
        if len(part) >= _ENOUGH
    ]
    if fitted:
        return float(np.exp(np.mean(np.log(fitted))))
    together = joined(parts.values())
    if len(together) >= _ENOUGH:
        return fit_temperature(np.concatenate([raw[name] for name in parts]), together.labels)
    return otherwise


def _risk(
    loop: Loop,
    raw: Mapping[str, NDArray[np.float32]],
    parts: Mapping[str, Samples],
    temperature: float,
) -> dict[str, Any]:
    """The table of how often numbers are right, for the header; empty where none can be made.

    A recipe may name a model of the same kind, trained with writers kept back, that tells it,
    if it is there.
    """
    if told_by := loop.recipe.told_by:
        told = Path(told_by)
        return dict(read_model(told)[0].training.get("risk", {})) if told.is_file() else {}
    named = [name for name, part in parts.items() if (part.labels < NOT_A_DIGIT).sum() >= _ENOUGH]
    if not named:
        return {}
    shares = [softmax(raw[name], temperature) for name in named]
    return risk_of_numbers(shares, [parts[name] for name in named], loop.seed).header


def _scores(shares: NDArray[np.float64], part: Samples) -> dict[str, float]:
    """What is told of one source that was kept back, by the definitions of ``evaluate``."""
    digit, count = part.labels < NOT_A_DIGIT, len(part)
    scores: dict[str, float] = {"samples": count}
    if digit.any():
        found = scores_of(shares, part.labels, part.writers)
        scores |= {name: found[name] for name in ("accuracy", "accuracy_refusals_wrong")}
        scores["error_at_1_percent_rejected"] = found["error_at_reject"]["0.01"]
        scores["calibration_error"] = found["calibration_error"]
    if not digit.all():
        scores["not_digits_refused"] = float((shares[~digit].argmax(axis=1) == NOT_A_DIGIT).mean())
    return scores
