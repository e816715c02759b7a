"""Training of the network that reads whole numbers from strips.

Connectionist temporal classification (Graves et al. 2006): each column says a sign or
"nothing new"; the loss is that of all ways to say the text. What is trained on is composed
anew in every epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from digitocr.network import StripNet, build_for_strips, fast_bfloat16
from digitocr.strips import HEIGHT, SIGNS, STEP
from digitocr.training.loop import Clock
from digitocr.training.numbers import Hands, any_strip
from digitocr.training.options import ScheduleOptions
from digitocr.training.rules import make_optimizer, rate_at

__all__ = ["NumberLoop", "run_epoch"]

_NOTHING = len(SIGNS)  # the output for "nothing new"
_POOL = 16  # batches that are sorted by width together, so that little is filled up
_STEEPEST = 2.0  # the norm that gradients are cut to
_AVERAGED = 0.999  # of the weights' running mean, once it has run for long

Bytes = NDArray[Any]  # uint8
Strip = tuple[Bytes, str]


@dataclass(slots=True)
class NumberLoop:
    """A training under way: everything a checkpoint holds.

    mean: the running mean of the weights (Polyak), which is what is kept in the end.
    """

    schedule: ScheduleOptions
    count: int  # strips an epoch
    seed: int
    net: StripNet
    mean: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def start_numbers(layers: Sequence[str], schedule: ScheduleOptions, count: int, seed: int) -> NumberLoop:
    torch.manual_seed(seed)
    net = build_for_strips(layers, len(SIGNS) + 1).to(memory_format=torch.channels_last)
    mean = {name: value.clone() for name, value in net.state_dict().items()}
    return NumberLoop(schedule, count, seed, net, mean, make_optimizer(schedule, net.parameters()))


def run_epoch(loop: NumberLoop, hands: Hands, clock: Clock) -> None:
    """Compose an epoch's strips and train on them."""
    torch.manual_seed(loop.seed * 1009 + loop.epoch)
    random = np.random.default_rng([loop.seed, 12, loop.epoch])
    batch, epochs = loop.schedule.batch, loop.schedule.epochs
    loop.net.train()
    losses: list[float] = []
    batches = max(1, loop.count // batch)
    pool: list[list[Strip]] = []
    for number in range(batches):
        if not pool:
            pool = _pool(hands, random, batch)
        done = (loop.epoch + number / batches) / epochs
        for group in loop.optimizer.param_groups:
            group["lr"] = rate_at(loop.schedule, done)
        losses.append(_step(loop, pool.pop()))
        clock.done(1 / batches)
        if clock.has_been_silent():
            clock.tell(f"epoch {loop.epoch + 1}/{epochs}  {number / batches:.0%}  loss {np.mean(losses[-200:]):.4f}")
    loop.epoch += 1
    loop.history.append({"loss": float(np.mean(losses))})
    clock.tell(f"epoch {loop.epoch}/{epochs}  loss {np.mean(losses):.4f}")


def _pool(hands: Hands, random: np.random.Generator, batch: int) -> list[list[Strip]]:
    """Some batches of strips of like widths, in a random order."""
    strips = sorted(
        (any_strip(hands, random) for _ in range(_POOL * batch)), key=lambda one: one[0].shape[1]
    )
    batches = [strips[at : at + batch] for at in range(0, len(strips), batch)]
    return [batches[at] for at in random.permutation(len(batches))]


def _step(loop: NumberLoop, strips: Sequence[Strip]) -> float:
    pictures = _stacked([picture for picture, _ in strips])
    texts = [torch.tensor([SIGNS.index(sign) for sign in text]) for _, text in strips]
    with torch.autocast("cpu", torch.bfloat16, enabled=loop.schedule.bfloat16 and fast_bfloat16()):
        scores = loop.net(pictures.contiguous(memory_format=torch.channels_last))
    columns = torch.tensor([picture.shape[1] // STEP for picture, _ in strips])
    loss = F.ctc_loss(
        F.log_softmax(scores.float(), 1).permute(2, 0, 1),
        torch.cat(texts),
        columns,
        torch.tensor([len(text) for text in texts]),
        blank=_NOTHING,
        zero_infinity=True,
    )
    loop.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(loop.net.parameters(), _STEEPEST)
    loop.optimizer.step()
    loop.step += 1
    _average(loop)
    return float(loss.detach())


def _average(loop: NumberLoop) -> None:
    keep = min(_AVERAGED, loop.step / (loop.step + 20))
    for name, value in loop.net.state_dict().items():
        if value.dtype.is_floating_point:
            loop.mean[name].lerp_(value, 1 - keep)
        else:
            loop.mean[name].copy_(value)


def _stacked(pictures: Sequence[Bytes]) -> Tensor:
    width = max(one.shape[1] for one in pictures)
    width += -width % 8
    field = np.zeros((len(pictures), 1, HEIGHT, width), np.uint8)
    for row, one in zip(field, pictures, strict=True):
        row[0, :, : one.shape[1]] = one
    return torch.from_numpy(field).float() / 255
