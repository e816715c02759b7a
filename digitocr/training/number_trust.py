"""How far the two readers of whole numbers are to be trusted.

Both read numbers that are composed of digits that neither was trained on. From some of these
comes the trust in each of them; others, never looked at for that, are then counted: how often
a value is right that is told with some confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from scipy.optimize import minimize

from digitocr.assemble import evidence
from digitocr.classify import Classifier
from digitocr.lift import lift
from digitocr.prepare import prepare_page
from digitocr.recipe import ModelOptions, Recipe, load_recipe
from digitocr.resources import find_pipeline
from digitocr.risk import RiskTable
from digitocr.training.numbers import Bytes, Hands, any_number, any_strip
from digitocr.transcribe import Transcriber
from digitocr.trust import Evidence, weighed
from digitocr.types import Page, Trust

__all__ = ["Case", "cases_of", "fitted", "risk_of"]

_PIPELINE = "number"
_WORN = 0.5  # of the numbers
_OF_STRIP, _OF_NUMBER = (2.0, 4.0), (1.0, 2.0)  # times its size, at which one is drawn
_MARGIN = 4, 20  # pixels of paper around them
_LOST = -9.0  # the logarithm of what is thought of a truth that neither reader found


@dataclass(frozen=True, slots=True)
class Case:
    """One number: what it is, and what each reader says."""

    truth: str
    evidence: Evidence


def cases_of(
    hands: Hands, count: int, classifier: Classifier, transcriber: Transcriber, seed: int
) -> list[Case]:
    """Numbers of some hands, read by both readers, always the same for a seed."""
    recipe = load_recipe(find_pipeline(_PIPELINE))
    recipe = replace(recipe, model=ModelOptions(numbers=transcriber.id.name))
    return [
        _case(
            *_number(hands, np.random.default_rng([seed, 14, at])), recipe, classifier, transcriber
        )
        for at in range(count)
    ]


def fitted(cases: Sequence[Case]) -> Trust:
    """The trust by which the true values are the most probable. cases: at least one."""

    def surprise(settings: Sequence[float]) -> float:
        trust = _trust(settings)
        shares = (weighed(one.evidence, trust).get(one.truth, 0.0) for one in cases)
        return -sum(math.log(share) if share > 0 else _LOST for share in shares) / len(cases)

    start = [Trust().strip, Trust().lattice, Trust().cut, Trust().least]
    found = minimize(surprise, start, method="Nelder-Mead", options={"maxiter": 200})
    return _trust(found.x)


def risk_of(cases: Sequence[Case], trust: Trust) -> RiskTable:
    """How often the values that both readers told together were right."""
    told = [weighed(one.evidence, trust) for one in cases]
    best = [max(shares, key=lambda value: shares[value], default="") for shares in told]
    return RiskTable.of(
        [shares.get(value, 0.0) for shares, value in zip(told, best, strict=True)],
        [value == one.truth for one, value in zip(cases, best, strict=True)],
    )


def _trust(settings: Sequence[float]) -> Trust:
    strip, lattice, cut, least = (float(one) for one in settings)
    return Trust(max(strip, 0.0), max(lattice, 0.0), max(cut, 0.0), min(least, -0.1))


def _number(hands: Hands, random: Generator) -> tuple[Bytes, str]:
    """A number as somebody scanned it, clean or worn: uint8 (h, w), 255 is paper; its digits."""
    if random.random() < _WORN:
        ink, text = any_strip(hands, random)
        ink = _resized(ink, random.uniform(*_OF_STRIP))
    else:
        ink, text = any_number(hands, random)
        ink = _resized(ink, random.uniform(*_OF_NUMBER))
    return 255 - np.pad(ink, int(random.integers(*_MARGIN))), "".join(filter(str.isdigit, text))


def _resized(ink: Bytes, times: float) -> Bytes:
    return np.asarray(cv2.resize(ink, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC))


def _case(
    picture: Bytes, truth: str, recipe: Recipe, classifier: Classifier, transcriber: Transcriber
) -> Case:
    """What both readers say of one number."""
    glyphs = prepare_page(Page(1, picture), recipe)
    (writing,) = glyphs.writing
    (strip,) = transcriber.transcribe([None if writing is None else lift(writing)])
    if strip is None:
        return Case(truth, Evidence({}, {}))
    shares = classifier.probabilities(glyphs.crops, threads=1)
    return Case(truth, evidence(glyphs, shares, strip))
