"""The recipe of a training: everything that makes a model what it is, from a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from digitocr.errors import PipelineError
from digitocr.options import filled, load_options
from digitocr.training.augment import AugmentOptions

__all__ = [
    "DrawnOptions",
    "FinetuneOptions",
    "NetworkOptions",
    "ScheduleOptions",
    "Source",
    "TrainRecipe",
    "TrustOptions",
    "load_train_recipe",
    "recipe_from",
]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Which network: its layers, as ``network.build`` takes them, and its first weights."""

    layers: tuple[str, ...] = ("conv 8 5", "relu", "pool 2", "flatten")
    outputs: Literal[11, 10] = 11  # 10 knows no "not a digit", and is shown none
    weights: Literal["torch", "he"] = "torch"  # torch's own, or uniform as in He et al. 2015


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """How long, how fast, and by which rule."""

    epochs: int = 20
    batch: int = 128
    optimizer: Literal["adamw", "adam", "sgd", "adadelta"] = "adamw"
    momentum: float = 0.0  # of sgd
    rate: float = 2.5e-3  # at its peak
    course: Literal["one-cycle", "constant"] = "one-cycle"  # of the rate: one warm-up, then a
    # cosine down to nothing
    warm_up: float = 0.1  # of all steps
    weight_decay: float = 0.01
    label_smoothing: float = 0.01
    none_weight: float = 0.4  # of the loss on what is no digit: drawn dirt is cheap, and so
    # there is more of it than a page has
    plain_epochs: int = 2  # the last ones change only where the ink lies, not the ink
    bfloat16: bool = True  # where the processor has it: twice as fast


@dataclass(frozen=True, slots=True)
class DrawnOptions:
    """How many samples are drawn by ourselves."""

    printed: int = 0
    letters: int = 0
    shapes: int = 0
    pairs: int = 0
    halves: int = 0
    strings: int = 0  # numbers composed of digits, of which segmentation's candidates are taken
    pages: int = 0  # pieces that segmentation takes out of drawn pages without a digit


@dataclass(frozen=True, slots=True)
class Source:
    """One folder of data besides MNIST."""

    folder: str  # below the recipe's root
    kind: Literal["digits", "negatives", "lines"] = "digits"
    licence: str = "unknown"
    times: int = 1  # seen in each epoch
    step: int = 1  # every how manieth line is used
    leave_out: tuple[str, ...] = ()  # class folders that are not used
    validation: tuple[str, ...] = ()  # writers kept back to validate on
    validation_share: float = 0.0  # of the samples, where writers are unknown


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """How a trained model goes on with a user's digits."""

    epochs: int = 5
    batch: int = 64
    rate: float = 5e-4  # of AdamW, at its peak
    rehearsal: float = 0.1  # of what the recipe trains on, mixed in: else it is forgotten
    times: int = 8  # at most, that each of the user's samples is seen in an epoch
    kept_back: float = 0.2  # of the user's writers, or samples, to compare both models on
    price: float = 0.33  # points that any other source may lose for a point gained on theirs


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """Of a model for whole numbers: how it is weighed against the digits beside it."""

    beside: str = "digits"  # the model that reads them
    digits: str = ""  # below the root: digits that neither was trained on; those that the recipe
    # keeps back where empty, which the other must not have seen either
    fitted: int = 1200  # numbers, composed of those digits, that the weights are fitted to
    counted: int = 4000  # others, of which is counted how many are read rightly


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """A whole training. name: what cards and headers call it."""

    name: str = "digits"
    reads: Literal["digits", "numbers"] = "digits"  # one at a time, or whole numbers from strips
    root: str = ""  # the folder of the sources, from where the command runs; those that
    # are not there are left out
    mnist: str = ""  # below the root; downloaded where empty
    mnist_validation: float = 0.1  # of the writers, kept back to validate on
    split: Literal["writer", "digit"] = "writer"  # what is kept back or left out together: all
    # digits of a writer, where writers are known, or single digits, as publications have it
    hold_back: bool = True  # False trains on the validation writers too: the last training,
    # once all is decided
    temperature: float = 0.0  # of the model; fitted on the validation writers where 0
    told_by: str = ""  # of what is trained on all writers: the file of a model, trained with
    # writers kept back, that tells how often numbers are right
    strips: int = 16384  # of numbers: composed for each epoch
    begin: str = ""  # of numbers: a model of the same layers, whose weights are the first ones
    network: NetworkOptions = field(default_factory=NetworkOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    augmented: bool = True  # False trains on the digits as they are
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    drawn: DrawnOptions = field(default_factory=DrawnOptions)
    finetune: FinetuneOptions = field(default_factory=FinetuneOptions)
    trust: TrustOptions = field(default_factory=TrustOptions)
    source: tuple[Source, ...] = ()


def load_train_recipe(path: Path) -> TrainRecipe:
    """Read a training recipe. Raises PipelineError where it is missing or has a mistake."""
    name = path.stem.removeprefix("train-")
    recipe = load_options(TrainRecipe, path, "recipe", name=name)
    return _checked(recipe, str(path))


def recipe_from(table: Mapping[str, Any], where: str) -> TrainRecipe:
    """The recipe that a model's header holds. Raises PipelineError where it is none."""
    return _checked(filled(TrainRecipe, dict(table), where), where)


def _checked(recipe: TrainRecipe, where: str) -> TrainRecipe:
    """The recipe, if its numbers make sense. Raises PipelineError."""
    schedule, finetune = recipe.schedule, recipe.finetune
    demands = {
        "epochs must be 0 or more": schedule.epochs >= 0,
        "batch must be 1 or more": schedule.batch >= 1,
        "rate must be above 0": schedule.rate > 0,
        "momentum must be from 0 to below 1": 0 <= schedule.momentum < 1,
        "warm_up must be from 0 to below 1": 0 <= schedule.warm_up < 1,
        "label_smoothing must be from 0 to below 1": 0 <= schedule.label_smoothing < 1,
        "mnist_validation must be from 0 to below 1": 0 <= recipe.mnist_validation < 1,
        "temperature must be 0 or more": recipe.temperature >= 0,
        "finetune: epochs must be 0 or more": finetune.epochs >= 0,
        "finetune: batch and times must be 1 or more": min(finetune.batch, finetune.times) >= 1,
        "finetune: rate must be above 0": finetune.rate > 0,
        "finetune: rehearsal must be from 0 to 1": 0 <= finetune.rehearsal <= 1,
        "finetune: kept_back must be from 0 to below 1": 0 <= finetune.kept_back < 1,
        "finetune: price must be 0 or more": finetune.price >= 0,
    }
    for demand, met in demands.items():
        if not met:
            raise PipelineError(f"{where}: {demand}")
    return recipe
