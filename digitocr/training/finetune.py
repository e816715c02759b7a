"""A trained model goes on with a user's own digits, and is taken only if it reads no worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from digitocr.classify import Classifier
from digitocr.errors import ModelError, UsageError
from digitocr.training.corpus import Corpus, Part, corpus_of, parted
from digitocr.training.loop import Clock, Loop, mark_of, raw_scores, start, train_on
from digitocr.training.material import read_material
from digitocr.training.options import (
    DrawnOptions,
    TrainRecipe,
    load_train_recipe,
    recipe_from,
)
from digitocr.training.order import Order
from digitocr.training.train import Trained, checkpoint_of, header_of, write_all
from digitocr.weights import Header, read_model

__all__ = ["Compared", "run_finetuning", "sign_test", "worse_on"]

_BY_CHANCE = 0.05  # a source not the user's counts as read worse where luck is less likely

Report = Callable[[str], None]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two models on the same source, of which neither was trained on what is compared.

    before, after: mistakes of the old and of the new one among so many samples; to refuse
        a digit is one.
    chance: how likely luck alone makes that many new mistakes (a one-sided sign test over
        the samples that one of the two reads rightly).
    own: whether the source is the user's.
    """

    source: str
    samples: int
    before: int
    after: int
    chance: float
    own: bool


def run_finetuning(
    order: Order,
    output: Path,
    parent: Path,
    *,
    force: bool = False,
    report: Report = lambda line: None,
) -> Trained:
    """Go on with a model's weights on a user's digits; see ``train.run_training``.

    order: its data and negatives are the user's; at least one folder. A part is kept back,
        by writer where writers are known, and both models are compared on it. Of the
        recipe's data, what is at hand is mixed in, so that it is not forgotten, and what
        it keeps back is compared on. Nothing is downloaded.
    output: the new model's file. parent: that of the one to go on from.
    force: take the new model even where it reads worse.
    report: gets a line of progress now and then.

    Raises ModelError where the parent cannot be used, and where the new model reads worse
    by ``worse_on``: then none is written as ``output``, but beside it as ``.refused``. Else
    as ``run_training``.
    """
    if not order.data and not order.negatives:
        raise UsageError("there is nothing to go on with: give digits by --data")
    Classifier.load(parent, "cpu")  # refuses what cannot be used
    old, weights, sha256 = read_model(parent)
    whole = _whole_recipe(old, parent, order)
    recipe = _gentle(whole)
    corpus = _corpus(order, recipe, report)
    loop = start(recipe, order.seed, order.device)
    loop.net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    before = _right(loop, corpus)
    checkpoint, mark = checkpoint_of(output), mark_of(recipe, corpus, order.seed, sha256)
    train_on(loop, corpus, checkpoint, mark, Clock(report, recipe.schedule.epochs), report)
    compared = _compare(corpus, before, _right(loop, corpus))
    worse = worse_on(compared, recipe.finetune.price)
    said = _said(parent, old, sha256, compared, worse, force)
    seen = [one.source for one in compared if said["saw_them"] and not one.own]
    header = header_of(loop, corpus, {"parent": said}, old.temperature, seen)
    # What goes on from the new model rehearses all that its parent did, not a tenth of a tenth.
    header = replace(header, recipe=asdict(whole))
    trained = _written(loop, corpus, header, output, refused=said["refused"])
    checkpoint.unlink(missing_ok=True)
    if said["refused"]:
        raise ModelError(
            f"the new model reads worse than {parent.name}: {worse}; it is kept as "
            f"{trained.model.name}, and --force takes it all the same"
        )
    report(str(said["verdict"]))
    return trained


def _written(loop: Loop, corpus: Corpus, header: Header, output: Path, *, refused: bool) -> Trained:
    """The new model in its place, or where it is in nobody's way."""
    aside = output.with_name(f"{output.stem}.refused{output.suffix}")
    return write_all(loop, corpus, header, aside if refused else output)


def _whole_recipe(old: Header, parent: Path, order: Order) -> TrainRecipe:
    """The recipe of the model, or another, for its network."""
    given, epochs = order.recipe_path, order.epochs
    recipe = load_train_recipe(given) if given else recipe_from(old.recipe, str(parent))
    outputs: Literal[11, 10] = 11 if old.outputs == 11 else 10
    network = replace(recipe.network, layers=old.layers, outputs=outputs)
    how = recipe.finetune
    how = replace(how, epochs=how.epochs if epochs is None else epochs)
    return replace(recipe, network=network, finetune=how)


def _gentle(recipe: TrainRecipe) -> TrainRecipe:
    """The recipe to go on by: not fast, not for long, less drawn, and some kept back."""
    how = recipe.finetune
    schedule = replace(
        recipe.schedule,
        epochs=how.epochs,
        batch=how.batch,
        optimizer="adamw",
        rate=how.rate,
        course="one-cycle",
    )
    counts = {one.name: getattr(recipe.drawn, one.name) for one in fields(DrawnOptions)}
    drawn = {name: round(count * how.rehearsal) for name, count in counts.items()}
    return replace(
        recipe,
        hold_back=True,
        temperature=0.0,
        schedule=schedule,
        drawn=DrawnOptions(**drawn),
    )


def _corpus(order: Order, recipe: TrainRecipe, report: Report) -> Corpus:
    """The user's digits and what is at hand of the recipe's."""
    material = read_material(recipe, order.data, order.negatives, order.mnist, report, at_hand=True)
    kept_back = recipe.finetune.kept_back
    parts = parted(material, recipe, order.seed, report, own_share=kept_back)
    return corpus_of(_mixed(parts, recipe, order.seed))


def _mixed(parts: Sequence[Part], recipe: TrainRecipe, seed: int) -> list[Part]:
    """The user's parts, seen several times an epoch, with some of the recipe's."""
    how, random = recipe.finetune, np.random.default_rng([seed, 10])
    others = [_some_of(part, how.rehearsal, random) for part in parts if not part.own]
    own = [part for part in parts if part.own]
    count = sum(len(part.training) for part in own)
    # Half as many turns of theirs as of all else, if that takes no endless repeating.
    wanted = sum(len(part.training) for part in others) // (2 * max(count, 1))
    times = min(max(1, wanted), how.times)
    return [*others, *(replace(part, times=times) for part in own)]


def _some_of(part: Part, share: float, random: np.random.Generator) -> Part:
    """A share of a part's turns, each sample at most once; what is drawn is drawn that small."""
    if part.drawn:
        return part
    count = min(round(len(part.training) * part.times * share), len(part.training))
    chosen = np.sort(random.permutation(len(part.training))[:count])
    return replace(part, training=part.training.where(chosen), times=1)


def _right(loop: Loop, corpus: Corpus) -> dict[str, Mask]:
    """bool (N,) for each source that is kept back: what the network reads rightly."""
    return {
        name: raw_scores(loop, part).argmax(axis=1) == part.labels
        for name, part in corpus.validation.items()
    }


def _compare(
    corpus: Corpus, before: Mapping[str, Mask], after: Mapping[str, Mask]
) -> list[Compared]:
    """Both models on each source."""
    return [
        Compared(
            name,
            len(after[name]),
            int((~before[name]).sum()),
            int((~after[name]).sum()),
            sign_test(
                int((before[name] & ~after[name]).sum()), int((after[name] & ~before[name]).sum())
            ),
            name in corpus.own,
        )
        for name in after
    ]


def sign_test(lost: int, won: int) -> float:
    """How likely a fair coin falls to one side ``lost`` times or more, of ``lost + won``."""
    both = lost + won
    ways = sum(math.comb(both, one) for one in range(lost, both + 1))
    return float(ways / 2**both)


def worse_on(compared: Sequence[Compared], price: float) -> str:
    """Where the new model reads worse, in words; empty where it does not.

    Of the user's sources together, one more mistake is worse. Another source is read worse
    where luck does not explain it, and where more is lost than ``price`` times the share
    of the user's that is gained: what they bring is unlike the rest, or they would not
    bring it, and a model that learns it may pay a little for it elsewhere.
    """
    own = [one for one in compared if one.own]
    gained = sum(one.before - one.after for one in own)
    allowed = price * max(gained, 0) / max(sum(one.samples for one in own), 1)
    worse = [
        one
        for one in compared
        if not one.own
        and one.chance < _BY_CHANCE
        and one.after - one.before > allowed * one.samples
    ]
    if gained < 0:
        worse = [one for one in own if one.after > one.before] + worse
    return " and ".join(
        f"{one.after} mistakes among {one.samples} of {one.source}, where that one makes "
        f"{one.before}"
        for one in worse
    )


def _verdict(compared: Sequence[Compared], worse: str, force: bool) -> str:
    """One or two sentences for the card."""
    if worse:
        end = "It was taken by --force." if force else "It was refused."
        return f"The new model reads worse: {worse}. {end}"
    if not compared:
        return "Nothing was kept back to compare the two models on."
    return "The new model reads no worse than the one it was made from, all in all."


def _said(
    path: Path,
    old: Header,
    sha256: str,
    compared: Sequence[Compared],
    worse: str,
    force: bool,
) -> dict[str, Any]:
    """What the new model's header says of the old one."""
    return {
        "name": path.stem,
        "sha256": sha256,
        "compared": [asdict(one) for one in compared],
        "verdict": _verdict(compared, worse, force),
        "refused": bool(worse) and not force,
        "saw_them": not old.recipe.get("hold_back", True),
        "data": _inherited(old),
    }


def _inherited(old: Header) -> list[dict[str, object]]:
    """All data that the old model was made of, its own parents' too: licences stay."""
    earlier = old.training.get("parent", {}).get("data", [])
    return [*old.training.get("data", []), *earlier]
