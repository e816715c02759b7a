"""From a recipe and its data to a model file: one loop, resumable after every epoch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from digitocr.errors import OutputError, PipelineError
from digitocr.mnist import NORMALIZATION
from digitocr.network import OUTPUTS, Net, build
from digitocr.training.augment import augment
from digitocr.training.calibrate import fit_temperature, softmax
from digitocr.training.card import write_card
from digitocr.training.corpus import Corpus, gather
from digitocr.training.data import Samples, joined
from digitocr.training.options import TrainRecipe, load_train_recipe
from digitocr.training.report import draw_curves, draw_report
from digitocr.types import NOT_A_DIGIT
from digitocr.weights import Header, write_model

__all__ = ["Trained", "run_training"]

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves.

    model: the file. header: what it says of itself.
    history: one entry per epoch: loss, and accuracy on each validation source.
    corpus: the data.
    """

    model: Path
    header: Header
    history: tuple[dict[str, float], ...]
    corpus: Corpus


@dataclass(slots=True)
class _Run:
    """A training under way: everything a checkpoint holds."""

    recipe: TrainRecipe
    seed: int
    net: Net
    optimizer: torch.optim.Optimizer
    device: str
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def run_training(
    recipe_path: Path,
    output: Path,
    data: Sequence[Path] = (),
    negatives: Sequence[Path] = (),
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    mnist: Path | None = None,
    report: Report = lambda line: None,
) -> Trained:
    """Train the recipe's network; write the model, its card and its pictures.

    output: the model file to write. Beside it come its card (``.md``) and a folder
        ``<stem>-report`` of pictures. While the training runs, ``<output>.checkpoint``
        stands there, from which an interrupted training goes on with the same result.
    data: folders of digits besides the recipe's (IDX files, or a folder per class);
        every tenth sample or writer of each is kept back to validate on.
    negatives: folders of pictures that are no digits.
    epochs: in place of the recipe's.
    mnist: a folder of MNIST's IDX files; else the recipe's, else a download.
    report: gets a line of progress now and then.

    Raises PipelineError for a mistake in the recipe, InputMissing and UsageError for data
    that is not there or of no use, OutputError where the model cannot be written.
    """
    recipe = load_train_recipe(recipe_path)
    if epochs is not None:
        schedule = dataclasses.replace(recipe.schedule, epochs=epochs)
        recipe = dataclasses.replace(recipe, schedule=schedule)
    corpus = gather(recipe, data, negatives, mnist, seed, report)
    run = _start(recipe, seed, device)
    checkpoint = output.with_name(output.name + ".checkpoint")
    mark = _mark(recipe, corpus, seed)
    if _resume(run, checkpoint, mark):
        report(f"going on after epoch {run.epoch}")
    elif checkpoint.exists():
        kept = _set_aside(checkpoint)
        report(f"the checkpoint is of another training, or damaged: kept as {kept.name}")
    while run.epoch < recipe.schedule.epochs:
        _epoch(run, corpus, report)
        _save(run, checkpoint, mark)
    trained = _finish(run, corpus, output)
    checkpoint.unlink(missing_ok=True)
    return trained


def _finish(run: _Run, corpus: Corpus, output: Path) -> Trained:
    """Calibrate, and write all that a training leaves. Raises OutputError."""
    held_back = joined(corpus.validation.values())
    scores = _scores(run, held_back)
    header = _header(run, corpus)
    write_model(output, header, {k: v.cpu().numpy() for k, v in run.net.state_dict().items()})
    write_card(output, header, corpus.listing, run.history)
    pictures = output.with_name(f"{output.stem}-report")
    draw_curves(run.history, pictures / "curves.png")
    if len(held_back):
        shares = softmax(scores, header.temperature)
        draw_report(held_back, shares, pictures)
    return Trained(output, header, tuple(run.history), corpus)


def _start(recipe: TrainRecipe, seed: int, device: str) -> _Run:
    """A fresh network with its optimiser. Raises PipelineError for an unknown layer."""
    torch.manual_seed(seed)
    try:
        net = build(recipe.network.layers)
    except ValueError as error:
        raise PipelineError(f"the recipe '{recipe.name}': {error}") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    net = net.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=recipe.schedule.weight_decay)
    return _Run(recipe, seed, net, optimizer, device)


def _epoch(run: _Run, corpus: Corpus, report: Report) -> None:
    """One visit of all turns, then a look at the validation writers."""
    schedule = run.recipe.schedule
    began = time.monotonic()
    # Every epoch has its own chances: what a resumed training draws does not depend on
    # where it was interrupted.
    torch.manual_seed(run.seed * 1009 + run.epoch)
    chances = Generator(run.device).manual_seed(run.seed * 1009 + run.epoch)
    order = np.random.default_rng([run.seed, 6, run.epoch]).permutation(corpus.turns)
    batches = np.array_split(order, max(1, len(order) // schedule.batch))
    run.net.train()
    losses = []
    for number, batch in enumerate(batches):
        _set_rate(run, (run.epoch + number / len(batches)) / schedule.epochs)
        losses.append(_step(run, corpus.training, batch, chances))
    run.epoch += 1
    scores = {name: _accuracy(run, part) for name, part in corpus.validation.items()}
    run.history.append({"loss": float(np.mean(losses)), **scores})
    left = (time.monotonic() - began) * (schedule.epochs - run.epoch) / 60
    told = ", ".join(f"{name} {value:.2%}" for name, value in scores.items())
    report(
        f"epoch {run.epoch}/{schedule.epochs}  loss {np.mean(losses):.4f}  "
        f"{told}  {left:.1f} minutes left"
    )


def _step(run: _Run, training: Samples, batch: NDArray[np.int64], chances: Generator) -> float:
    """One batch forward and back; its loss."""
    schedule = run.recipe.schedule
    plain = run.epoch >= schedule.epochs - schedule.plain_epochs
    pictures = _pictures(training.pictures[batch], run.device)
    labels = torch.tensor(training.labels[batch], device=run.device)
    pictures = augment(pictures, run.recipe.augment, chances, ink=not plain)
    with _precision(run):
        scores = run.net(pictures.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(
            scores, labels, _class_weights(run), label_smoothing=schedule.label_smoothing
        )
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    return float(loss.detach())


def _class_weights(run: _Run) -> Tensor:
    """float (11,): what an error on each class counts."""
    weights = torch.ones(OUTPUTS, device=run.device)
    weights[NOT_A_DIGIT] = run.recipe.schedule.none_weight
    return weights


def _set_rate(run: _Run, done: float) -> None:
    """Warm up in a straight line, then down in a cosine; ``done`` is 0 to 1."""
    schedule = run.recipe.schedule
    if done < schedule.warm_up:
        share = done / schedule.warm_up
    else:
        share = (1 + np.cos(np.pi * (done - schedule.warm_up) / (1 - schedule.warm_up))) / 2
    for group in run.optimizer.param_groups:
        group["lr"] = schedule.rate * max(float(share), 1e-3)


def _scores(run: _Run, samples: Samples) -> NDArray[np.float32]:
    """float32 (N, 11): the network's scores."""
    run.net.eval()
    parts = [np.empty((0, OUTPUTS), np.float32)]
    with torch.inference_mode(), _precision(run):
        for start in range(0, len(samples), 512):
            pictures = _pictures(samples.pictures[start : start + 512], run.device)
            parts.append(run.net(pictures).float().cpu().numpy())
    return np.concatenate(parts)


def _accuracy(run: _Run, samples: Samples) -> float:
    """The share of which it says rightly which digit each is, or that each is none."""
    scores = _scores(run, samples)
    said = scores[:, :NOT_A_DIGIT].argmax(axis=1)
    refused = scores.argmax(axis=1) == NOT_A_DIGIT
    digit = samples.labels < NOT_A_DIGIT
    return float(np.where(digit, said == samples.labels, refused).mean())


def _pictures(pictures: NDArray[np.uint8], device: str) -> Tensor:
    """float (N, 1, 28, 28), 1 is ink."""
    return torch.tensor(pictures, device=device).float().div(255).unsqueeze(1)


def _precision(run: _Run) -> torch.autocast:
    """The context in which the network computes."""
    return torch.autocast(run.device, torch.bfloat16, enabled=run.recipe.schedule.bfloat16)


def _header(run: _Run, corpus: Corpus) -> Header:
    """What the model file says; the temperature weighs all validation sources alike."""
    parts = list(corpus.validation.values())
    temperature = run.recipe.temperature
    if not temperature:
        fitted = [fit_temperature(_scores(run, part), part.labels) for part in parts]
        temperature = float(np.exp(np.mean(np.log(fitted)))) if fitted else 1.0
    training = {
        "seed": run.seed,
        "epochs": run.epoch,
        "validation": {k: v for k, v in run.history[-1].items() if k != "loss"}
        if run.history
        else {},
    }
    return Header(
        layers=run.recipe.network.layers,
        normalization=NORMALIZATION,
        temperature=temperature,
        recipe=dataclasses.asdict(run.recipe),
        training=training,
    )


def _mark(recipe: TrainRecipe, corpus: Corpus, seed: int) -> str:
    """A digest of all that a training depends on: a checkpoint of another is not used."""
    settings = json.dumps([dataclasses.asdict(recipe), seed, torch.__version__], sort_keys=True)
    digest = hashlib.sha256(settings.encode())
    digest.update(corpus.training.pictures.tobytes())
    digest.update(corpus.training.labels.tobytes())
    digest.update(corpus.turns.tobytes())
    return digest.hexdigest()


def _save(run: _Run, checkpoint: Path, mark: str) -> None:
    """Write the checkpoint, whole or not at all."""
    state: dict[str, Any] = {
        "mark": mark,
        "epoch": run.epoch,
        "history": run.history,
        "net": run.net.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    unfinished = checkpoint.with_name(checkpoint.name + ".part")
    torch.save(state, unfinished)
    unfinished.replace(checkpoint)


def _set_aside(checkpoint: Path) -> Path:
    """Move a checkpoint out of the way: hours of work are not written over for a mistyped option.

    Raises OutputError where it cannot be moved.
    """
    kept = checkpoint.with_name(f"{checkpoint.name}.{int(checkpoint.stat().st_mtime)}")
    try:
        return checkpoint.replace(kept)
    except OSError as error:
        raise OutputError(f"{checkpoint} cannot be moved: {error.strerror}") from error


def _resume(run: _Run, checkpoint: Path, mark: str) -> bool:
    """Take up a checkpoint of the very same training, if there is one."""
    try:
        state = torch.load(checkpoint, map_location=run.device, weights_only=True)
        if state["mark"] != mark:
            return False
    except Exception:  # a damaged pickle raises anything; the caller keeps the file and says so
        return False
    run.net.load_state_dict(state["net"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.epoch, run.history = state["epoch"], list(state["history"])
    return True
