"""What a person asks of a training, whichever of the ways of training it then is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Order"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to train, on what, and how.

    recipe_path: the file of the recipe; else the shipped ``train-digits``, or where a model
        goes on, the recipe in its header.
    data: digits besides the recipe's: IDX files, or folders with one folder for each class.
    negatives: folders of pictures that are no digits.
    seed: makes a training repeatable; of several trainings by seed, the first one's.
    epochs: 0 or more, in place of the recipe's.
    device: ``cpu``, ``cuda``, or ``auto`` for CUDA where it is there.
    mnist: a folder of MNIST's IDX files; else the recipe's, else an earlier download, else a
        new one; where a model goes on, none is fetched.
    """

    recipe_path: Path | None = None
    data: tuple[Path, ...] = ()
    negatives: tuple[Path, ...] = ()
    seed: int = 0
    epochs: int | None = None
    device: str = "auto"
    mnist: Path | None = None
