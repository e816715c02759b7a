"""The recipe of a training: everything that makes a model what it is, from a TOML file."""

from __future__ import annotations

import sys
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from digitocr.errors import PipelineError
from digitocr.training.augment import AugmentOptions

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser, from PyPI, until 3.10 is gone
    import tomli as tomllib

__all__ = [
    "DrawnOptions",
    "NetworkOptions",
    "ScheduleOptions",
    "Source",
    "TrainRecipe",
    "load_train_recipe",
]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Which network."""

    architecture: str = "strided"
    widths: tuple[int, ...] = (16, 64, 128)
    dropout: float = 0.3


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """How long and how fast: AdamW, one warm-up, then a cosine down to nothing."""

    epochs: int = 20
    batch: int = 128
    rate: float = 2.5e-3  # at its peak
    warm_up: float = 0.1  # of all steps
    weight_decay: float = 0.01
    label_smoothing: float = 0.02
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
class TrainRecipe:
    """A whole training. name: what cards and headers call it."""

    name: str = "digits"
    root: str = ""  # the folder of the sources, from where the command runs; those that
    # are not there are left out
    mnist: str = ""  # below the root; downloaded where empty
    mnist_validation: float = 0.1  # of the writers, kept back to validate on
    hold_back: bool = True  # False trains on the validation writers too: the last training,
    # once all is decided
    temperature: float = 0.0  # of the model; fitted on the validation writers where 0
    network: NetworkOptions = field(default_factory=NetworkOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    drawn: DrawnOptions = field(default_factory=DrawnOptions)
    source: tuple[Source, ...] = ()


def load_train_recipe(path: Path) -> TrainRecipe:
    """Read a training recipe. Raises PipelineError where it is missing or has a mistake."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineError(f"the recipe {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"the recipe {path} is not valid TOML: {error}") from error
    table.setdefault("name", path.stem.removeprefix("train-"))
    recipe: TrainRecipe = _fill(TrainRecipe, table, str(path))
    return recipe


def _fill(options: type, table: dict[str, Any], where: str) -> Any:
    """An options object from a TOML table; nested tables fill nested options."""
    kinds = typing.get_type_hints(options)
    valid = [one.name for one in fields(options)]
    unknown = sorted(set(table) - set(valid))
    if unknown:
        raise PipelineError(
            f"{where}: unknown key '{unknown[0]}'; the valid ones are {', '.join(valid)}"
        )
    try:
        return options(**{key: _value(kinds[key], table[key], f"{where}: {key}") for key in table})
    except TypeError as error:  # a key without a default is not there
        raise PipelineError(f"{where}: {error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    """The value, if it is of the kind that the option's annotation asks for."""
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_value(typing.get_args(kind)[0], one, where) for one in value)
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return _fill(kind, value, where)
    if typing.get_origin(kind) is Literal and value in typing.get_args(kind):
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        name = getattr(kind, "__name__", str(kind))
        raise PipelineError(f"{where} must be a {name}, not {value!r}")
    return value
