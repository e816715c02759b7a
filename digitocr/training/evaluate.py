"""How good a model is on digits, and on things that are none: the contract's scores.

A model gives eleven probabilities: of the ten digits, and of "not a digit". On a folder of
digits the question is *which digit each is*. So what it says is the likeliest of the ten,
its confidence is that one's probability given that it is a digit at all, and accuracy,
rejection and calibration are of these. Whether it would also take each for a digit is
another question, with scores of its own: ``refused`` is the share of the digits for which
"not a digit" is more probable than any digit, and ``accuracy_refusals_wrong`` the accuracy
where each of these counts as wrong, which is the strictest reading and never the larger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitocr.errors import UsageError
from digitocr.training.calibrate import calibration_error
from digitocr.training.data import Samples, read_path
from digitocr.types import CLASSES, NOT_A_DIGIT

__all__ = [
    "Answers",
    "answers_of",
    "as_json",
    "error_when_rejected",
    "rank_quality",
    "read_digits",
    "scores_of",
    "wilson",
]

_REJECTED = (0.01, 0.02, 0.05)
_RESAMPLES = 1000
_Z = 1.959964  # of a 95 % interval

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of N pictures.

    said: int64 (N,), the likeliest of the ten digits.
    confidence: float64 (N,), its probability over the sum of all ten: how sure the model
        is which digit it is, if it is one.
    likeness: float64 (N,), from no digit to digit: the log odds that it is one.
    refused: bool (N,), "not a digit" is the most probable of all eleven.
    """

    said: Integers
    confidence: Doubles
    likeness: Doubles
    refused: Mask


def answers_of(shares: Floats) -> Answers:
    """What probabilities (N, 11), of ten digits and of "not a digit", say."""
    shares = np.asarray(shares, np.float64)
    ten, none = shares[:, :NOT_A_DIGIT], shares[:, NOT_A_DIGIT]
    total = ten.sum(axis=1)
    tiny = np.finfo(np.float64).tiny  # rounding makes the smallest shares 0
    confidence = np.where(total > 0, ten.max(axis=1) / np.maximum(total, tiny), 1 / NOT_A_DIGIT)
    return Answers(
        said=ten.argmax(axis=1).astype(np.int64),
        confidence=confidence,
        likeness=np.log(np.maximum(total, tiny)) - np.log(np.maximum(none, tiny)),
        refused=shares.argmax(axis=1) == NOT_A_DIGIT,
    )


def read_digits(path: Path) -> Samples:
    """The digits to score a model on, and what else lies there as no digits.

    path: see ``data.read_path``. Folders not named by a digit hold things that are no
        digits; they count in ``auroc_not_digit`` and the two scores beside it alone.

    Raises InputMissing where there is nothing at the path, UsageError where it holds no
    digits.
    """
    found = read_path(path)
    if not (found.labels < NOT_A_DIGIT).any():
        raise UsageError(f"there are no digits in {path}: no folder in it is named 0 to 9")
    return found


def scores_of(shares: Floats, labels: Integers, writers: NDArray[np.str_]) -> dict[str, Any]:
    """The contract's scores, and some more, as one JSON object.

    shares: float (N, 11), probabilities of the digits and of "not a digit". labels: (N,),
        0 to 9, or 10 for no digit; at least one is a digit. writers: (N,), empty where
        unknown.

    ``digits``: how many there are. All that follows is over them:
    ``accuracy``: the share of them of which it says rightly which digit it is.
    ``interval``: its 95 % interval: by resampling whole writers where all are known,
        else Wilson's.
    ``refused``, ``accuracy_refusals_wrong``: see above.
    ``error_at_reject``: the share that is wrong among the rest when the given share of
        least confidence is put aside.
    ``calibration_error``: see ``calibrate.calibration_error``; of the confidence.
    ``writers``: how many are known, null for none.
    ``confusion``: ten rows, what it is; in each ten columns, how often it was said to be
        what, and an eleventh, how many of the row are refused: these are in the ten too.
    ``per_class``: precision, recall, F1 and count of each digit.

    ``auroc_not_digit``: how often a digit ranks above a thing that is none, by the
        probability of being a digit at all: that is what the model says to this question,
        while the best digit's probability is also small where two digits are alike.
    ``not_digits``, ``not_digits_refused``: how many things there are that are no digits,
        and the share of them that is refused.
    """
    digit = labels < NOT_A_DIGIT
    answers = answers_of(shares)
    said, confidence = answers.said[digit], answers.confidence[digit]
    refused, right = answers.refused[digit], said == labels[digit]
    known = np.unique(writers[digit & (writers != "")])
    return {
        "digits": int(digit.sum()),
        "accuracy": float(right.mean()),
        "interval": _interval(right, writers[digit]),
        "refused": float(refused.mean()),
        "accuracy_refusals_wrong": float((right & ~refused).mean()),
        "error_at_reject": {
            str(share): error_when_rejected(confidence, right, share) for share in _REJECTED
        },
        "calibration_error": calibration_error(confidence, right),
        "auroc_not_digit": rank_quality(answers.likeness[digit], answers.likeness[~digit]),
        "not_digits": int((~digit).sum()),
        "not_digits_refused": _mean(answers.refused[~digit]),
        "writers": len(known) or None,
        "confusion": _confusion(said, labels[digit], refused),
        "per_class": _per_class(said, labels[digit]),
    }


def as_json(scores: Mapping[str, Any]) -> str:
    """Scores as text, a line for each row of numbers."""
    text = json.dumps(scores, indent=2)
    rows = re.compile(r"\[([^][{}\"]*)\]")
    return rows.sub(lambda row: "[" + ", ".join(row[1].replace(",", " ").split()) + "]", text)


def rank_quality(above: Floats, below: Floats) -> float | None:
    """The area under the ROC curve: how often a value of the first kind is larger than one
    of the second, ties counting half (Mann and Whitney). None where either is empty."""
    if not len(above) or not len(below):
        return None
    order = np.sort(below)
    smaller = np.searchsorted(order, above, "left") + np.searchsorted(order, above, "right")
    return float(smaller.mean() / 2 / len(below))


def error_when_rejected(confidence: Floats, right: Mask, share: float) -> float:
    """The share that is wrong when the least confident ``share`` is put aside."""
    kept = np.argsort(confidence, kind="stable")[round(share * len(right)) :]
    return float((~right[kept]).mean()) if len(kept) else 0.0


def wilson(hits: NDArray[Any] | float, count: NDArray[Any] | float) -> tuple[Doubles, Doubles]:
    """Wilson's 95 % intervals (1927) of shares, low and high, of counts above 0: unlike the
    bootstrap it does not take fifty right of fifty for certainty."""
    share, spread = np.asarray(hits / count, np.float64), _Z**2 / np.asarray(count, np.float64)
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return (middle - half).round(12), (middle + half).round(12)  # 1 of 1 is 1, not 1 - 1e-16


def _interval(right: Mask, writers: NDArray[np.str_]) -> list[float]:
    """The 95 % interval of the accuracy; the digits of one hand go right and wrong together."""
    names, groups = np.unique(writers, return_inverse=True)
    if len(names) < 2 or "" in names or right.all() or not right.any():
        low, high = wilson(float(right.sum()), len(right))
        return [float(low), float(high)]
    counts, hits = np.bincount(groups), np.bincount(groups, right)
    drawn = np.random.default_rng(0).integers(0, len(counts), (_RESAMPLES, len(counts)))
    accuracies = hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(accuracies, [0.025, 0.975])
    return [float(low), float(high)]


def _confusion(said: Integers, labels: Integers, refused: Mask) -> list[list[int]]:
    """Ten rows of ten counts, and of one more that says how many of the row are refused."""
    counts = np.zeros((NOT_A_DIGIT, NOT_A_DIGIT + 1), int)
    np.add.at(counts, (labels, said), 1)
    counts[:, NOT_A_DIGIT] = np.bincount(labels[refused], minlength=NOT_A_DIGIT)
    return counts.tolist()


def _mean(values: Mask) -> float | None:
    """The share that is true; None where there is nothing to divide."""
    return float(values.mean()) if len(values) else None


def _per_class(said: Integers, labels: Integers) -> dict[str, dict[str, float | int | None]]:
    """Precision, recall, F1 and count of each digit; None where there is nothing to divide."""
    table: dict[str, dict[str, float | int | None]] = {}
    for value, name in enumerate(CLASSES):
        hits = int(((said == value) & (labels == value)).sum())
        told, real = int((said == value).sum()), int((labels == value).sum())
        table[name] = {
            "precision": hits / told if told else None,
            "recall": hits / real if real else None,
            "f1": 2 * hits / (told + real) if told + real else None,
            "count": real,
        }
    return table
