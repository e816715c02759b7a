"""What a training sees and what is kept back from it, with no writer on both sides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitocr.errors import UsageError
from digitocr.training.data import Samples, joined
from digitocr.training.draw import draw_negatives, draw_printed, spoil
from digitocr.training.material import Material
from digitocr.training.options import Source, TrainRecipe
from digitocr.training.pages import take_from_pages
from digitocr.training.strings import take_from_strings
from digitocr.types import NOT_A_DIGIT

__all__ = ["Corpus", "Fold", "Part", "corpus_of", "parted"]

_OWN_LICENCE = "drawn by digitocr, Apache-2.0"
_TAKEN = ("loss", "training")  # a history's own columns, which no source may be called
Report = Callable[[str], None]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Corpus:
    """A training's data.

    training: everything that is trained on.
    turns: int64 (M,), the places in ``training`` that one epoch visits, repeats included.
    validation: by source, written by people of whom nothing is in ``training``.
    own: the names of the sources that are the user's.
    listing: what the card says of each source: name, licence, trained, times, validated.
    """

    training: Samples
    turns: NDArray[np.int64]
    validation: dict[str, Samples]
    own: tuple[str, ...]
    listing: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One source, parted into what is trained on and what is kept back.

    times: how often an epoch visits it. own: whether it is the user's. drawn: whether we
    drew it.
    """

    training: Samples
    validation: Samples
    licence: str
    times: int = 1
    own: bool = False
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold of a cross-validation: ``number`` of ``count``, from 1, is kept back."""

    number: int
    count: int


def parted(
    material: Material,
    recipe: TrainRecipe,
    seed: int,
    report: Report,
    *,
    fold: Fold | None = None,
    own_share: float = 0.1,
) -> list[Part]:
    """The material and what is drawn besides, each source parted.

    fold: what of MNIST and of the user's digits is kept back; else the recipe says it of
        MNIST, and ``own_share`` of the user's.
    Raises UsageError where there are fewer writers (or digits) than folds.
    """
    parts = []
    if material.mnist is not None:
        back = _of_mnist(material.mnist, recipe, fold)
        parts.append(_part(material.mnist, back, "CC BY-SA 3.0", "mnist"))
    parts += [_of_source(source, found) for source, found in material.sources]
    for found in material.own:
        back = _folded(found, recipe, fold) if fold else _kept_share(found, own_share)
        part = _part(found, back, "the user's own", found.source)
        parts.append(replace(part, own=True))
    report("drawing")
    parts += _drawn(recipe, parts[0].training if material.mnist else None, seed)
    if not recipe.hold_back:
        parts = [part if fold and _crossed(part) else _all_of(part) for part in parts]
    return [part for part in parts if len(part.training) or len(part.validation)]


def corpus_of(parts: Sequence[Part]) -> Corpus:
    """The parts as one. Raises UsageError where nothing is left to train on."""
    if not any(len(part.training) for part in parts):
        raise UsageError("there is nothing to train on")
    parts = _told_apart(parts)
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
        tuple(part.training.source for part in parts if part.own),
        tuple(listing),
    )


def _of_mnist(digits: Samples, recipe: TrainRecipe, fold: Fold | None) -> Mask:
    """bool (N,): what of MNIST's training digits is kept back.

    A share of its writers; where they are not known, a share of the digits, from the end:
    MNIST is ordered by writer for the most part.
    """
    share, random = recipe.mnist_validation, np.random.default_rng([0, 4])
    if fold:
        return _folded(digits, recipe, fold)
    if recipe.split == "digit":
        chosen = random.permutation(len(digits))[: round(len(digits) * share)]
        return np.isin(np.arange(len(digits)), chosen)
    if not _signed(digits):
        return np.arange(len(digits)) >= round(len(digits) * (1 - share))
    writers = np.unique(digits.writers)
    chosen_writers = random.permutation(writers)[: round(len(writers) * share)]
    return np.isin(digits.writers, chosen_writers)


def _of_source(source: Source, found: Samples) -> Part:
    """One source of the recipe. Of magnetic lines, half are never read: none is kept back."""
    back = np.zeros(len(found), bool)
    if source.kind != "lines":
        back |= np.isin(found.writers, np.array(source.validation, np.str_))
        back |= np.random.default_rng([0, 7]).random(len(found)) < source.validation_share
    return replace(_part(found, back, source.licence, source.folder), times=source.times)


def _folded(found: Samples, recipe: TrainRecipe, fold: Fold) -> Mask:
    """bool (N,): the fold, of whole writers where the recipe parts by them and they are known."""
    by_writer = recipe.split == "writer" and _signed(found)
    groups: NDArray[Any] = found.writers if by_writer else np.arange(len(found))
    names = np.unique(groups)
    if len(names) < fold.count:
        what = "writers" if by_writer else "digits"
        raise UsageError(f"{found.source} has {len(names)} {what}, too few for {fold.count} folds")
    chunks = np.array_split(np.random.default_rng([0, 8]).permutation(names), fold.count)
    return np.isin(groups, chunks[fold.number - 1])


def _kept_share(found: Samples, share: float) -> Mask:
    """bool (N,): a share of a user's writers, or where they are unknown of the samples.

    By a digest of the name or the picture, so that what is kept back once stays so when the
    folder grows: a later training scores no earlier model on what that one was trained on.
    """
    signed = len(set(found.writers) - {""}) > 1
    groups = [
        str(writer).encode() if signed and writer else bytes(one)
        for writer, one in zip(found.writers, found.pictures, strict=True)
    ]
    digests = np.array([hashlib.sha256(group).hexdigest() for group in groups], np.str_)
    order = np.unique(digests)
    count = min(max(1, round(len(order) * share)), len(order) - 1)  # something to train on
    return np.isin(digests, order[: max(0, count)])


def _signed(found: Samples) -> bool:
    """Whether the writers are known."""
    return bool(len(found) and found.writers[0])


def _drawn(recipe: TrainRecipe, digits: Samples | None, seed: int) -> list[Part]:
    """What we draw ourselves, some of it out of real digits where there are any."""
    options = recipe.drawn
    drawn = [draw_printed(options.printed, seed)]
    if recipe.network.outputs > NOT_A_DIGIT:
        drawn.append(draw_negatives(options.letters, options.shapes, seed))
        drawn += [spoil(digits, options.pairs, options.halves, seed)] if digits else []
        drawn.append(take_from_pages(options.pages, seed))
        drawn += [take_from_strings(digits, options.strings, seed)] if digits else []
    filled = [one.where(np.any(one.pictures, axis=(1, 2))) for one in drawn]
    return [Part(one, one.where(np.arange(0)), _OWN_LICENCE, drawn=True) for one in filled]


def _part(found: Samples, back: Mask, licence: str, name: str) -> Part:
    """A source parted, by its name on both sides."""
    named = replace(found, source=name)
    return Part(named.where(~back), named.where(back), licence)


def _all_of(part: Part) -> Part:
    """The part with nothing kept back."""
    everything = joined([part.training, part.validation], part.training.source)
    return replace(part, training=everything, validation=everything.where(np.arange(0)))


def _crossed(part: Part) -> bool:
    """Whether a cross-validation goes over it."""
    return part.own or part.training.source == "mnist"


def _told_apart(parts: Sequence[Part]) -> list[Part]:
    """The parts with no two sources of one name."""
    count: Counter[str] = Counter(_TAKEN)
    result = []
    for part in parts:
        name = part.training.source
        count[name] += 1
        if count[name] > 1:
            name = f"{name} ({count[name]})"
        named = (replace(one, source=name) for one in (part.training, part.validation))
        result.append(replace(part, training=next(named), validation=next(named)))
    return result
