"""The loop: batches, epochs, scores, and a checkpoint after every epoch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from digitocr.errors import ModelError, PipelineError
from digitocr.network import OUTPUTS, Net, build, fast_bfloat16
from digitocr.training.augment import augment
from digitocr.training.checkpoint import State, kept_state, save_state
from digitocr.training.corpus import Corpus
from digitocr.training.data import Samples
from digitocr.training.options import TrainRecipe
from digitocr.training.rules import make_optimizer, rate_at, start_as_he
from digitocr.types import NOT_A_DIGIT

__all__ = ["Clock", "Loop", "mark_of", "raw_scores", "start", "train_on"]

_LOOKED_AT = 2000  # of what is trained on, to see how well that is known already
_SILENCE = 60.0  # seconds of an epoch without a line of progress

Report = Callable[[str], None]


@dataclass(slots=True)
class Loop:
    """A training under way: everything a checkpoint holds."""

    recipe: TrainRecipe
    seed: int
    net: Net
    optimizer: torch.optim.Optimizer
    device: str
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Clock:
    """Tells progress, with the time that is left of the whole, be it of several trainings.

    epochs: of all trainings together. title: what each line begins with.
    """

    def __init__(self, report: Report, epochs: int) -> None:
        self.title = ""
        self._report = report
        self._left = float(epochs)
        self._done = 0.0
        self._began = self._told = time.monotonic()

    def skip(self, epochs: int) -> None:
        """So many epochs need not be done: they were before this clock began."""
        self._left -= epochs

    def done(self, share: float) -> None:
        """A share of an epoch is done."""
        self._done += share
        self._left -= share

    def has_been_silent(self) -> bool:
        """Whether a person would like to hear again."""
        return time.monotonic() - self._told > _SILENCE

    def tell(self, line: str) -> None:
        """A line of progress."""
        self._told = time.monotonic()
        spent = self._told - self._began
        minutes = spent / max(self._done, 1e-9) * max(self._left, 0) / 60
        left = f"{minutes:.1f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
        self._report(f"{self.title}{line}  {left} left")


def start(recipe: TrainRecipe, seed: int, device: str) -> Loop:
    """A fresh network with its optimiser.

    Raises PipelineError for an unknown layer, ModelError where there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("there is no CUDA device here; use --device cpu")
    torch.manual_seed(seed)
    try:
        net = build(recipe.network.layers, recipe.network.outputs)
    except ValueError as error:
        raise PipelineError(f"the recipe '{recipe.name}': {error}") from error
    if recipe.network.weights == "he":
        start_as_he(net)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    net = net.to(device).to(memory_format=torch.channels_last)
    return Loop(recipe, seed, net, make_optimizer(recipe.schedule, net.parameters()), device)


def train_on(
    loop: Loop, corpus: Corpus, checkpoint: Path, mark: str, clock: Clock, report: Report
) -> None:
    """Train to the last epoch; an interrupted training goes on from its checkpoint.

    mark: of all that the training depends on: a checkpoint of another is set aside.
    Raises OutputError where the checkpoint cannot be written.
    """
    state = kept_state(checkpoint, mark, loop.device, report)
    if state is not None:
        _resume(loop, state)
        report(f"going on after epoch {loop.epoch}")
        clock.skip(loop.epoch)
    _save(loop, checkpoint, mark)  # that it cannot be written is better known before an epoch
    while loop.epoch < loop.recipe.schedule.epochs:
        _epoch(loop, corpus, clock)
        _save(loop, checkpoint, mark)


def mark_of(recipe: TrainRecipe, corpus: Corpus, seed: int, parent: str = "") -> str:
    """A digest of all that a training depends on. parent: of the weights it begins with."""
    settings = [dataclasses.asdict(recipe), seed, torch.__version__, parent]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(corpus.training.pictures.tobytes())
    digest.update(corpus.training.labels.tobytes())
    digest.update(corpus.turns.tobytes())
    return digest.hexdigest()


def raw_scores(loop: Loop, samples: Samples) -> NDArray[np.float32]:
    """float32 (N, 11): the network's scores before the softmax; minus infinity for the
    eleventh where it knows digits alone."""
    loop.net.eval()
    scores = np.full((len(samples), OUTPUTS), -np.inf, np.float32)
    outputs = loop.recipe.network.outputs
    with torch.inference_mode(), _precision(loop):
        for start in range(0, len(samples), 512):
            pictures = _pictures(samples.pictures[start : start + 512], loop.device)
            found = loop.net(pictures).float().cpu().numpy()
            scores[start : start + 512, :outputs] = found
    return scores


def _accuracy(loop: Loop, samples: Samples) -> float:
    """The share of which it says rightly which digit each is, or that each is none."""
    scores = raw_scores(loop, samples)
    said = scores[:, :NOT_A_DIGIT].argmax(axis=1)
    refused = scores.argmax(axis=1) == NOT_A_DIGIT
    digit = samples.labels < NOT_A_DIGIT
    return float(np.where(digit, said == samples.labels, refused).mean())


def _epoch(loop: Loop, corpus: Corpus, clock: Clock) -> None:
    """One visit of all turns, then a look at what is kept back."""
    schedule = loop.recipe.schedule
    # Every epoch has its own chances: what a resumed training draws does not depend on
    # where it was interrupted.
    torch.manual_seed(loop.seed * 1009 + loop.epoch)
    chances = Generator(loop.device).manual_seed(loop.seed * 1009 + loop.epoch)
    order = np.random.default_rng([loop.seed, 6, loop.epoch]).permutation(corpus.turns)
    batches = np.array_split(order, max(1, len(order) // schedule.batch))
    loop.net.train()
    losses = []
    title = f"epoch {loop.epoch + 1}/{schedule.epochs}"
    for number, batch in enumerate(batches):
        _set_rate(loop, (loop.epoch + number / len(batches)) / schedule.epochs)
        losses.append(_step(loop, corpus.training, batch, chances))
        clock.done(1 / len(batches))
        if clock.has_been_silent():
            clock.tell(f"{title}  {number / len(batches):.0%}  loss {np.mean(losses):.4f}")
    loop.epoch += 1
    scores = {"training": _known(loop, corpus)}
    scores |= {name: _accuracy(loop, part) for name, part in corpus.validation.items()}
    loop.history.append({"loss": float(np.mean(losses)), **scores})
    told = ", ".join(f"{name} {value:.2%}" for name, value in scores.items())
    clock.tell(f"{title}  loss {np.mean(losses):.4f}  {told}")


def _known(loop: Loop, corpus: Corpus) -> float:
    """The accuracy on some of what was trained on, as it is and not as it was changed."""
    random = np.random.default_rng([loop.seed, 9])
    some = random.permutation(corpus.turns)[:_LOOKED_AT]
    return _accuracy(loop, corpus.training.where(some))


def _step(loop: Loop, training: Samples, batch: NDArray[np.int64], chances: Generator) -> float:
    """One batch forward and back; its loss."""
    recipe, schedule = loop.recipe, loop.recipe.schedule
    pictures = _pictures(training.pictures[batch], loop.device)
    labels = torch.tensor(training.labels[batch], device=loop.device)
    if recipe.augmented:
        plain = loop.epoch >= schedule.epochs - schedule.plain_epochs
        pictures = augment(pictures, recipe.augment, chances, ink=not plain)
    with _precision(loop):
        scores = loop.net(pictures.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(
            scores, labels, _class_weights(loop), label_smoothing=schedule.label_smoothing
        )
    loop.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    loop.optimizer.step()
    return float(loss.detach())


def _class_weights(loop: Loop) -> Tensor:
    """float (outputs,): what an error on each class counts."""
    weights = torch.ones(loop.recipe.network.outputs, device=loop.device)
    weights[NOT_A_DIGIT:] = loop.recipe.schedule.none_weight
    return weights


def _set_rate(loop: Loop, done: float) -> None:
    """The rate of the next step; ``done`` is 0 to 1."""
    for group in loop.optimizer.param_groups:
        group["lr"] = rate_at(loop.recipe.schedule, done)


def _pictures(pictures: NDArray[np.uint8], device: str) -> Tensor:
    """float (N, 1, 28, 28), 1 is ink."""
    return torch.tensor(pictures, device=device).float().div(255).unsqueeze(1)


def _precision(loop: Loop) -> torch.autocast:
    """The context in which the network computes."""
    fast = loop.device == "cuda" or fast_bfloat16()
    enabled = loop.recipe.schedule.bfloat16 and fast
    return torch.autocast(loop.device, torch.bfloat16, enabled=enabled)


def _save(loop: Loop, checkpoint: Path, mark: str) -> None:
    """Write the checkpoint. Raises OutputError."""
    state = {
        "epoch": loop.epoch,
        "history": loop.history,
        "net": loop.net.state_dict(),
        "optimizer": loop.optimizer.state_dict(),
    }
    save_state(checkpoint, mark, state)


def _resume(loop: Loop, state: State) -> None:
    """Take up a training where it was."""
    loop.net.load_state_dict(state["net"])
    loop.optimizer.load_state_dict(state["optimizer"])
    loop.epoch, loop.history = state["epoch"], list(state["history"])
