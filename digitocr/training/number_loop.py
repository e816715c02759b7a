"""Training of a network that reads whole numbers from strips.

Connectionist temporal classification (Graves et al. 2006): each column says a sign or
"nothing new", and the loss is that of all ways to say the text. What is trained on is
composed anew in every epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from digitocr.errors import PipelineError
from digitocr.network import StripNet, build_for_strips, fast_bfloat16
from digitocr.strips import HEIGHT, SIGNS, STEP
from digitocr.training.loop import Clock
from digitocr.training.numbers import Hands, any_strip, strip_without_number
from digitocr.training.options import TrainRecipe
from digitocr.training.rules import make_optimizer, rate_at

__all__ = ["NumberLoop", "Strip", "exact", "run_epoch", "start_numbers"]

_NOTHING = len(SIGNS)  # the output for "nothing new"
_POOL = 16  # batches that are sorted by width together, so that little is filled up
_STEEPEST = 2.0  # the norm that gradients are cut to
_AVERAGED = 0.999  # of the weights' running mean, once it has run for long
_WORDS = 0.05  # of the strips hold no number
_LOOKED_AT = 64  # strips at once, when they are only read

Bytes = NDArray[Any]  # uint8
Strip = tuple[Bytes, str]  # uint8 (32, w), and its text


@dataclass(slots=True)
class NumberLoop:
    """A training under way: everything a checkpoint holds.

    mean: the running mean of the weights (Polyak and Juditsky 1992), which is what is kept.
    """

    recipe: TrainRecipe
    seed: int
    net: StripNet
    mean: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def start_numbers(
    recipe: TrainRecipe, seed: int, weights: Mapping[str, NDArray[Any]] | None = None
) -> NumberLoop:
    """A network with its optimiser. weights: its first ones, or fresh ones by the seed.

    Raises PipelineError for layers that cannot be, or that the weights are not for.
    """
    torch.manual_seed(seed)
    try:
        net = build_for_strips(recipe.network.layers, len(SIGNS) + 1)
    except ValueError as error:
        raise PipelineError(f"the recipe '{recipe.name}': {error}") from error
    if weights is not None:
        try:
            net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        except RuntimeError as error:
            raise PipelineError(
                f"the recipe '{recipe.name}' has other layers than the model it begins with"
            ) from error
    net = net.to(memory_format=torch.channels_last)
    mean = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = make_optimizer(recipe.schedule, net.parameters())
    return NumberLoop(recipe, seed, net, mean, optimizer)


def run_epoch(loop: NumberLoop, hands: Hands, clock: Clock) -> None:
    """Compose an epoch's strips and train on them.

    What an epoch draws depends on its number alone, not on where a training was interrupted.
    """
    schedule = loop.recipe.schedule
    torch.manual_seed(loop.seed * 1009 + loop.epoch)
    random = np.random.default_rng([loop.seed, 12, loop.epoch])
    batches = max(1, loop.recipe.strips // schedule.batch)
    title = f"epoch {loop.epoch + 1}/{schedule.epochs}"
    pool: list[list[Strip]] = []
    losses: list[float] = []
    loop.net.train()
    for number in range(batches):
        pool = pool or _pool(hands, random, schedule.batch)
        for group in loop.optimizer.param_groups:
            group["lr"] = rate_at(schedule, (loop.epoch + number / batches) / schedule.epochs)
        losses.append(_step(loop, pool.pop()))
        clock.done(1 / batches)
        if clock.has_been_silent():
            clock.tell(f"{title}  {number / batches:.0%}  loss {np.mean(losses):.4f}")
    loop.epoch += 1
    loop.history.append({"loss": float(np.mean(losses))})


def exact(loop: NumberLoop, strips: Sequence[Strip]) -> float:
    """The share of strips whose text is read exactly, by the mean weights."""
    net = build_for_strips(loop.recipe.network.layers, len(SIGNS) + 1).eval()
    net.load_state_dict(loop.mean)
    right = 0
    with torch.inference_mode():
        for start in range(0, len(strips), _LOOKED_AT):
            some = strips[start : start + _LOOKED_AT]
            said = net(_stacked([picture for picture, _ in some])).argmax(1).numpy()
            right += sum(_said(row) == text for row, (_, text) in zip(said, some, strict=True))
    return right / len(strips)


def _pool(hands: Hands, random: np.random.Generator, batch: int) -> list[list[Strip]]:
    """Some batches of strips of like widths, in a random order."""
    strips = sorted(
        (_any(hands, random) for _ in range(_POOL * batch)), key=lambda one: one[0].shape[1]
    )
    batches = [strips[at : at + batch] for at in range(0, len(strips), batch)]
    return [batches[at] for at in random.permutation(len(batches))]


def _any(hands: Hands, random: np.random.Generator) -> Strip:
    """What may stand in a field: most likely a number."""
    without = random.random() < _WORDS
    return strip_without_number(hands, random) if without else any_strip(hands, random)


def _step(loop: NumberLoop, strips: Sequence[Strip]) -> float:
    """One batch forward and back; its loss."""
    pictures = _stacked([picture for picture, _ in strips])
    texts = [torch.tensor([SIGNS.index(sign) for sign in text]) for _, text in strips]
    bfloat16 = loop.recipe.schedule.bfloat16 and fast_bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        scores = loop.net(pictures)
    loss = F.ctc_loss(
        F.log_softmax(scores.float(), 1).permute(2, 0, 1),
        torch.cat(texts),
        torch.tensor([picture.shape[1] // STEP for picture, _ in strips]),
        torch.tensor([len(text) for text in texts]),
        blank=_NOTHING,
        zero_infinity=True,  # a strip that was drawn too narrow for its text
    )
    loop.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(loop.net.parameters(), _STEEPEST)
    loop.optimizer.step()
    loop.step += 1
    _average(loop)
    return float(loss.detach())


def _average(loop: NumberLoop) -> None:
    """Take the weights into their running mean."""
    keep = min(_AVERAGED, loop.step / (loop.step + 20))
    for name, value in loop.net.state_dict().items():
        if value.dtype.is_floating_point:
            loop.mean[name].lerp_(value, 1 - keep)
        else:
            loop.mean[name].copy_(value)


def _stacked(pictures: Sequence[Bytes]) -> Tensor:
    """float (N, 1, 32, W): strips one below the other, filled up with paper on the right."""
    width = max(one.shape[1] for one in pictures)
    field = np.zeros((len(pictures), 1, HEIGHT, width + -width % STEP), np.uint8)
    for row, one in zip(field, pictures, strict=True):
        row[0, :, : one.shape[1]] = one
    tensor = torch.from_numpy(field).float() / 255
    return tensor.contiguous(memory_format=torch.channels_last)


def _said(columns: NDArray[np.int64]) -> str:
    """What the best sign of each column says together."""
    new = np.append(True, columns[1:] != columns[:-1]) & (columns != _NOTHING)
    return "".join(SIGNS[one] for one in columns[new])
