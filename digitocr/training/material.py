"""All that a training may use, read once: several trainings part it in different ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digitocr.errors import InputMissing, UsageError
from digitocr.training.data import (
    Samples,
    is_test,
    joined,
    read_folder,
    read_idx,
    read_lines,
    read_mnist,
    read_path,
)
from digitocr.training.options import Source, TrainRecipe
from digitocr.types import NOT_A_DIGIT

__all__ = ["Material", "download_mnist", "files_of", "find_mnist", "read_material"]

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Material:
    """What was read, nothing kept back yet.

    mnist: its training digits; None where a training can do without and it is not there.
    sources: those of the recipe that are there. own: of each folder of the user's.
    """

    mnist: Samples | None
    sources: tuple[tuple[Source, Samples], ...]
    own: tuple[Samples, ...]


def read_material(
    recipe: TrainRecipe,
    data: Sequence[Path],
    negatives: Sequence[Path],
    mnist: Path | None,
    report: Report,
    *,
    at_hand: bool = False,
) -> Material:
    """Read what the recipe names, and the folders of digits and negatives given besides.

    mnist: a folder of its IDX files; else what ``find_mnist`` finds; with ``at_hand`` what
        is there without a download, or none.
    A source of the recipe that is not there is left out, and ``report`` says so. Raises
    InputMissing where MNIST or a given folder is not there, UsageError where one holds
    nothing of use.
    """
    if negatives and recipe.network.outputs <= NOT_A_DIGIT:
        raise UsageError(f"the recipe '{recipe.name}' knows digits alone: leave out --negatives")
    place = mnist or (_at_hand(recipe) if at_hand else find_mnist(recipe, report))
    if place is None:
        report("leaving out MNIST: it is not here")
    digits = read_mnist(place, "train") if place else None
    own = []
    for folder in data:
        report(f"reading {folder}")
        own.append(_own(folder))
    for folder in negatives:
        report(f"reading {folder}")
        own.append(read_folder(folder, NOT_A_DIGIT))
    sources = []
    for source in recipe.source:
        folder = Path(recipe.root) / source.folder
        if folder.is_dir():
            report(f"reading {source.folder}")
            sources.append((source, _source(source, folder)))
        else:  # MNIST and what we draw are enough for a model; the card tells the rest
            report(f"leaving out {source.folder}: there is no folder {folder}")
    sources = [(source, _fitting(found, recipe)) for source, found in sources]
    return Material(digits, tuple(sources), tuple(_fitting(found, recipe) for found in own))


def find_mnist(recipe: TrainRecipe, report: Report) -> Path:
    """The folder of MNIST's files: the recipe's, else an earlier download, else a new one.

    Raises InputMissing where it cannot be fetched.
    """
    folder = _at_hand(recipe)
    if folder is None:
        report("downloading MNIST")
        folder = download_mnist(_cache())
    return folder


def files_of(
    recipe: TrainRecipe, data: Sequence[Path], negatives: Sequence[Path], mnist: Path
) -> list[tuple[str, int, int]]:
    """Name, size and time of change of each file that is read: whether data is still the same
    is told by them without reading it."""
    sources = [Path(recipe.root) / source.folder for source in recipe.source]
    found = []
    for place in [mnist, *sources, *data, *negatives]:
        for file in [place] if place.is_file() else sorted(place.rglob("*")):
            state = file.stat()
            found.append((str(file), state.st_size, state.st_mtime_ns))
    return found


def download_mnist(folder: Path) -> Path:
    """MNIST's IDX files, through torchvision, where they are not there yet.

    Raises InputMissing where they are not and cannot be fetched.
    """
    from torchvision import datasets  # slow to import, and needed here alone

    try:
        datasets.MNIST(str(folder), train=True, download=True)
    except (OSError, RuntimeError) as error:
        raise InputMissing(
            f"MNIST cannot be downloaded into {folder}; give a folder of its IDX files"
        ) from error
    return folder / "MNIST" / "raw"


def _at_hand(recipe: TrainRecipe) -> Path | None:
    """Where the recipe has MNIST, or an earlier download; None where it is not here."""
    folders = [Path(recipe.root) / recipe.mnist] if recipe.mnist else []
    folders.append(_cache() / "MNIST" / "raw")
    return next((folder for folder in folders if any(folder.glob("train-images*idx3*"))), None)


def _cache() -> Path:
    """Where downloads are kept."""
    return Path.home() / ".cache" / "digitocr"


def _fitting(found: Samples, recipe: TrainRecipe) -> Samples:
    """Without what is no digit, where the recipe's network knows digits alone."""
    return found.where(found.labels < recipe.network.outputs)


def _own(path: Path) -> Samples:
    """A user's digits; of IDX files never those of a test set, which is there to score on.

    Raises InputMissing, and UsageError where there is nothing else.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*images*idx3*"))
    if not files:
        return read_path(path)
    once = {file.name.removesuffix(".gz"): file for file in files if not is_test(file)}
    if not once:
        raise UsageError(f"{path} holds a test set alone, which is never trained on")
    return joined([read_idx(file) for file in once.values()], path.name)


def _source(source: Source, folder: Path) -> Samples:
    """One source of the recipe."""
    if source.kind == "lines":
        return read_lines(folder, slice(0, None, source.step))
    label = NOT_A_DIGIT if source.kind == "negatives" else None
    found = read_folder(folder, label, source.leave_out)
    # A blank picture teaches nothing that its emptiness does not say.
    return found.where(np.any(found.pictures, axis=(1, 2)))
