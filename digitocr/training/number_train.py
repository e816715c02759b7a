"""From a recipe and its digits to a model that reads whole numbers from strips."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from digitocr.classify import Classifier
from digitocr.resources import find_model
from digitocr.strips import SIGNS, STRIP
from digitocr.training.card import write_card
from digitocr.training.checkpoint import State, kept_state, save_state
from digitocr.training.corpus import Part, parted
from digitocr.training.data import Samples, joined, read_path
from digitocr.training.loop import Clock
from digitocr.training.material import read_material
from digitocr.training.number_loop import NumberLoop, Strip, exact, run_epoch, start_numbers
from digitocr.training.number_trust import cases_of, fitted, risk_of
from digitocr.training.numbers import Hands, any_strip
from digitocr.training.options import TrainRecipe, TrustOptions
from digitocr.training.order import Order
from digitocr.training.report import draw_curves
from digitocr.training.train import checkpoint_of, recipe_of
from digitocr.transcribe import Transcriber
from digitocr.types import NOT_A_DIGIT
from digitocr.weights import Header, Tensors, read_model, write_model

__all__ = ["run_number_training", "weigh"]

_VALIDATED = 500  # strips, composed of the digits of each source that are kept back

Report = Callable[[str], None]


def run_number_training(
    order: Order, output: Path, *, report: Report = lambda line: None
) -> NumberLoop:
    """Train the recipe's network on composed strips; write the model, its card and its curves.

    order, output, report: as ``run_training`` takes them; the network runs on the processor.
    What is kept back composes the strips that each epoch is scored on. Raises what
    ``run_training`` does.
    """
    recipe = recipe_of(order, "numbers")
    material = read_material(recipe, order.data, order.negatives, order.mnist, report)
    parts = [part for part in parted(material, recipe, order.seed, report) if not part.drawn]
    hands = Hands(_whole(_digits_of(parts), report), letters=_letters_of(parts))
    validation = {
        part.training.source: _strips(part.validation, order.seed)
        for part in parts
        if _has_all(part.validation)
    }
    told_by = _told_by(recipe, parts, report)
    classifier = Classifier.load(find_model(recipe.trust.beside), "cpu")  # before anything long
    first, began = _first_weights(recipe.begin)
    loop = start_numbers(recipe, order.seed, first)
    _train(loop, hands, validation, checkpoint_of(output), _mark(loop, parts, began), report)
    _write(loop, parts, validation, began, output)
    weigh(output, told_by, recipe.trust, classifier, report)
    checkpoint_of(output).unlink(missing_ok=True)
    return loop


def weigh(
    model: Path,
    unseen: Sequence[Samples],
    options: TrustOptions,
    classifier: Classifier,
    report: Report,
) -> None:
    """Find out how far a model and a classifier beside it are to be trusted; write it down.

    unseen: digits that neither was trained on, letters among them. The model's header gets
    ``trust``, ``risk`` and where they come from, its card what they say.
    """
    sources = [one.source for one in unseen if _has_all(one)]
    report(f"weighing both readers by numbers of {' and '.join(sources)}")
    header, tensors, _ = read_model(model)
    transcriber = Transcriber.load(model)
    hands = Hands([part for part in unseen if _has_all(part)], letters=_letters(unseen))
    fit, counted = (
        cases_of(hands, count, classifier, transcriber, seed)
        for count, seed in ((options.fitted, 1), (options.counted, 2))
    )
    trust = fitted(fit)
    found = {"trust": dataclasses.asdict(trust), "risk": risk_of(counted, trust).header}
    origin = {"beside": classifier.id.sha256, "weighed_by": sources}
    training = header.training | found | origin
    header = dataclasses.replace(header, training=training)
    write_model(model, header, tensors)
    write_card(model, header)


def _train(
    loop: NumberLoop,
    hands: Hands,
    validation: dict[str, list[Strip]],
    checkpoint: Path,
    mark: str,
    report: Report,
) -> None:
    """Train to the last epoch, from the checkpoint if there is one."""
    epochs = loop.recipe.schedule.epochs
    clock = Clock(report, epochs)
    state = kept_state(checkpoint, mark, "cpu", report)
    if state is not None:
        _resume(loop, state)
        report(f"going on after epoch {loop.epoch}")
        clock.skip(loop.epoch)
    save_state(checkpoint, mark, _state(loop))
    while loop.epoch < epochs:
        run_epoch(loop, hands, clock)
        scores = {name: exact(loop, strips) for name, strips in validation.items()}
        loop.history[-1] |= scores
        told = "".join(f", {name} {value:.2%}" for name, value in scores.items())
        clock.tell(f"epoch {loop.epoch}/{epochs}  loss {loop.history[-1]['loss']:.4f}{told}")
        save_state(checkpoint, mark, _state(loop))


def _write(
    loop: NumberLoop,
    parts: Sequence[Part],
    validation: dict[str, list[Strip]],
    began: str,
    output: Path,
) -> None:
    """Write the model, its card and its curves. began: the SHA-256 of the model that the first
    weights were of, or "". Raises OutputError."""
    last = loop.history[-1] if loop.history else {}
    training = {
        "seed": loop.seed,
        "epochs": loop.epoch,
        "began": began,
        "data": [_listed(part) for part in parts],
        "scores": {
            name: {"strips": len(strips), "exact": last[name]}
            for name, strips in validation.items()
            if name in last
        },
        "history": [{name: round(v, 5) for name, v in one.items()} for one in loop.history],
    }
    header = Header(
        layers=loop.recipe.network.layers,
        normalization=STRIP,
        outputs=len(SIGNS) + 1,
        classes=SIGNS,
        recipe=dataclasses.asdict(loop.recipe),
        training=training,
    )
    write_model(output, header, {name: value.numpy() for name, value in loop.mean.items()})
    write_card(output, header)
    draw_curves(loop.history, output.with_name(f"{output.stem}-report") / "curves.png")


def _listed(part: Part) -> dict[str, object]:
    """What the card says of a source."""
    return {
        "source": part.training.source,
        "licence": part.licence,
        "trained": len(part.training),
        "times": part.times,
        "validated": len(part.validation),
    }


def _told_by(recipe: TrainRecipe, parts: Sequence[Part], report: Report) -> list[Samples]:
    """What tells how far the readers are to be trusted: digits, and letters beside them."""
    kept_back = [part.validation for part in parts]
    if not recipe.trust.digits:
        return kept_back
    folder = Path(recipe.root) / recipe.trust.digits
    if not folder.is_dir():
        report(f"there is no folder {folder}: both readers are weighed by what is kept back")
        return kept_back
    digits = dataclasses.replace(read_path(folder), source=recipe.trust.digits)
    return [digits, *(one for one in kept_back if _no_digits(one))]


def _first_weights(model: str) -> tuple[Tensors | None, str]:
    """The weights to begin with and the SHA-256 of their file, for a model's name or file; fresh
    ones for "". Raises ModelError."""
    if not model:
        return None, ""
    _header, tensors, sha256 = read_model(find_model(model))
    return tensors, sha256


def _digits_of(parts: Sequence[Part]) -> list[Samples]:
    return [part.training for part in parts if not _no_digits(part.training)]


def _letters_of(parts: Sequence[Part]) -> Samples | None:
    """What is trained on of what is no digit: it stands beside numbers. None without any."""
    return _letters([part.training for part in parts])


def _letters(sources: Sequence[Samples]) -> Samples | None:
    found = [one for one in sources if _no_digits(one)]
    return joined(found) if found else None


def _no_digits(one: Samples) -> bool:
    return len(one) > 0 and bool((one.labels == NOT_A_DIGIT).all())


def _whole(sources: Sequence[Samples], report: Report) -> list[Samples]:
    """The sources that hold all ten digits: of others no hand can write any number."""
    for source in sources:
        if len(source) and not _has_all(source):
            report(f"leaving out {source.source}: it does not hold all ten digits")
    return [source for source in sources if _has_all(source)]


def _has_all(digits: Samples) -> bool:
    return set(range(NOT_A_DIGIT)) <= set(digits.labels.tolist())


def _strips(digits: Samples, seed: int) -> list[Strip]:
    """Strips of the digits of some people, always the same."""
    hands = Hands([digits], drawn=0.0)
    return [any_strip(hands, np.random.default_rng([seed, 13, at])) for at in range(_VALIDATED)]


def _mark(loop: NumberLoop, parts: Sequence[Part], began: str) -> str:
    """A digest of all that the training depends on."""
    settings = [dataclasses.asdict(loop.recipe), loop.seed, began, torch.__version__]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in parts:
        digest.update(part.training.pictures.tobytes())
        digest.update(part.training.labels.tobytes())
    return digest.hexdigest()


def _state(loop: NumberLoop) -> State:
    return {
        "epoch": loop.epoch,
        "step": loop.step,
        "history": loop.history,
        "net": loop.net.state_dict(),
        "mean": loop.mean,
        "optimizer": loop.optimizer.state_dict(),
    }


def _resume(loop: NumberLoop, state: State) -> None:
    """Take up a training where it was."""
    loop.net.load_state_dict(state["net"])
    loop.optimizer.load_state_dict(state["optimizer"])
    loop.mean = state["mean"]
    loop.epoch, loop.step, loop.history = state["epoch"], state["step"], list(state["history"])
