"""What a recipe trains and validates on, with no writer on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitocr.errors import InputMissing
from digitocr.training.data import Samples, joined, read_folder, read_lines, read_mnist, read_path
from digitocr.training.draw import draw_negatives, draw_printed, spoil
from digitocr.training.options import DrawnOptions, Source, TrainRecipe
from digitocr.training.pages import take_from_pages
from digitocr.types import NOT_A_DIGIT

__all__ = ["Corpus", "download_mnist", "gather"]

_OWN_LICENCE = "drawn by digitocr, Apache-2.0"
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Corpus:
    """A recipe's data.

    training: everything that is trained on.
    turns: int64 (M,), the places in ``training`` that one epoch visits, repeats included.
    validation: by source, written by people of whom nothing is in ``training``.
    listing: what the card says of each source: name, licence, trained, validated.
    """

    training: Samples
    turns: NDArray[np.int64]
    validation: dict[str, Samples]
    listing: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One source, already parted by writer."""

    training: Samples
    validation: Samples
    licence: str
    times: int = 1


def gather(
    recipe: TrainRecipe,
    data: Sequence[Path],
    negatives: Sequence[Path],
    mnist: Path | None,
    seed: int,
    report: Report,
) -> Corpus:
    """Read, draw and part all that the recipe names, and the folders given besides.

    A source of the recipe that is not there is left out, and ``report`` says so. Raises
    InputMissing where MNIST or a given folder is not there, UsageError where one holds
    nothing of use.
    """
    root = Path(recipe.root)
    handwritten = _mnist(mnist or _mnist_folder(recipe, root, report), recipe)
    parts = [handwritten]
    for source in recipe.source:
        if (root / source.folder).is_dir():
            report(f"reading {source.folder}")
            parts.append(_source(source, root / source.folder))
        else:  # MNIST and what we draw are enough for a model; the card tells the rest
            report(f"leaving out {source.folder}: there is no folder {root / source.folder}")
    for folder in data:
        report(f"reading {folder}")
        parts.append(_every_tenth(read_path(folder), seed))
    for folder in negatives:
        report(f"reading {folder}")
        parts.append(_every_tenth(read_folder(folder, NOT_A_DIGIT), seed))
    report("drawing")
    parts += _drawn(recipe.drawn, handwritten.training, seed)
    parts = parts if recipe.hold_back else [_all_of(part) for part in parts]
    return _corpus([part for part in parts if len(part.training) or len(part.validation)])


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


def _mnist_folder(recipe: TrainRecipe, root: Path, report: Report) -> Path:
    """Where the recipe has MNIST, or a download."""
    if recipe.mnist and (root / recipe.mnist).is_dir():
        return root / recipe.mnist
    report("downloading MNIST")
    return download_mnist(Path.home() / ".cache" / "digitocr")


def _mnist(folder: Path, recipe: TrainRecipe) -> _Part:
    """MNIST's training digits, a share of their writers kept back.

    Where the writers are not known, a share of the digits is, from the end: MNIST is
    ordered by writer for the most part.
    """
    digits = read_mnist(folder, "train")
    if not digits.writers[0]:
        keep = np.arange(len(digits)) < round(len(digits) * (1 - recipe.mnist_validation))
    else:
        writers = np.unique(digits.writers)
        kept_back = round(len(writers) * recipe.mnist_validation)
        chosen = np.random.default_rng([0, 4]).permutation(writers)[:kept_back]
        keep = ~np.isin(digits.writers, chosen)
    return _named(_Part(digits.where(keep), digits.where(~keep), "CC BY-SA 3.0"), "mnist")


def _source(source: Source, folder: Path) -> _Part:
    """One source of the recipe."""
    if source.kind == "lines":
        lines = read_lines(folder, slice(0, None, source.step))
        return _named(
            _Part(lines, lines.where(lines.labels < 0), source.licence, source.times), source.folder
        )
    label = NOT_A_DIGIT if source.kind == "negatives" else None
    found = read_folder(folder, label, source.leave_out)
    # A blank picture teaches nothing that its emptiness does not say.
    found = found.where(np.any(found.pictures, axis=(1, 2)))
    back = np.isin(found.writers, np.array(source.validation, np.str_))
    back |= np.random.default_rng([0, 7]).random(len(found)) < source.validation_share
    return _named(
        _Part(found.where(~back), found.where(back), source.licence, source.times), source.folder
    )


def _every_tenth(found: Samples, seed: int) -> _Part:
    """A user's folder: every tenth sample, or every tenth writer, is kept back."""
    known = bool(len(found)) and bool(found.writers[0])
    groups = found.writers if known else np.arange(len(found)).astype(np.str_)
    order = np.random.default_rng([seed, 5]).permutation(np.unique(groups))
    back = np.isin(groups, order[: max(1, len(order) // 10)])
    return _named(_Part(found.where(~back), found.where(back), "the user's own"), found.source)


def _drawn(options: DrawnOptions, digits: Samples, seed: int) -> list[_Part]:
    """What we draw ourselves."""
    drawn = [
        draw_printed(options.printed, seed),
        draw_negatives(options.letters, options.shapes, seed),
        spoil(digits, options.pairs, options.halves, seed),
        take_from_pages(options.pages, seed),
    ]
    empty = digits.where(digits.labels < 0)
    return [
        _named(_Part(one.where(np.any(one.pictures, axis=(1, 2))), empty, _OWN_LICENCE), one.source)
        for one in drawn
    ]


def _all_of(part: _Part) -> _Part:
    """The part with nothing kept back."""
    everything = joined([part.training, part.validation], part.training.source)
    return _Part(everything, everything.where(everything.labels < 0), part.licence, part.times)


def _named(part: _Part, name: str) -> _Part:
    """The part with its source's name on both sides."""

    def named(some: Samples) -> Samples:
        return replace(some, source=name)

    return _Part(named(part.training), named(part.validation), part.licence, part.times)


def _corpus(parts: Sequence[_Part]) -> Corpus:
    """The parts as one."""
    starts = np.cumsum([0, *(len(part.training) for part in parts)])
    turns = [
        np.tile(np.arange(start, start + len(part.training)), part.times)
        for start, part in zip(starts, parts, strict=False)
    ]
    listing = [
        {
            "source": part.training.source,
            "licence": part.licence,
            "trained": len(part.training),
            "times": part.times,
            "validated": len(part.validation),
        }
        for part in parts
    ]
    return Corpus(
        joined(part.training for part in parts),
        np.concatenate(turns),
        {part.validation.source: part.validation for part in parts if len(part.validation)},
        tuple(listing),
    )
