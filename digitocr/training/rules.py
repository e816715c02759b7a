"""First weights, optimisers and rates: what a recipe chooses among, by name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from digitocr.training.options import ScheduleOptions

__all__ = ["make_optimizer", "rate_at", "start_as_he"]


def make_optimizer(schedule: ScheduleOptions, weights: Iterable[Tensor]) -> torch.optim.Optimizer:
    """The schedule's optimiser; its rate is set before each step."""
    decay = schedule.weight_decay
    match schedule.optimizer:
        case "adamw":
            return torch.optim.AdamW(weights, weight_decay=decay)
        case "adam":
            return torch.optim.Adam(weights, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(weights, momentum=schedule.momentum, weight_decay=decay)
        case "adadelta":  # with Keras's constants, which publications mean
            return torch.optim.Adadelta(weights, rho=0.95, eps=1e-7, weight_decay=decay)


def rate_at(schedule: ScheduleOptions, done: float) -> float:
    """The rate when a share of all steps is done, 0 to 1."""
    if schedule.course == "constant":
        return schedule.rate
    if done < schedule.warm_up:
        share = done / schedule.warm_up
    else:
        share = (1 + np.cos(np.pi * (done - schedule.warm_up) / (1 - schedule.warm_up))) / 2
    return schedule.rate * max(float(share), 1e-3)


def start_as_he(net: nn.Module) -> None:
    """Draw the first weights uniformly as in He et al. 2015, "Delving deep into rectifiers";
    biases begin at 0. The norms stay as they are."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
