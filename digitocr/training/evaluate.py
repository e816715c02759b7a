"""How good a model is on digits, and on things that are none: the contract's scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitocr.classify import Classifier
from digitocr.errors import UsageError
from digitocr.training.calibrate import calibration_error
from digitocr.training.data import read_path
from digitocr.types import CLASSES, NOT_A_DIGIT

__all__ = ["rank_quality", "score_digits", "scores_of"]

_REJECTED = (0.01, 0.02, 0.05)
_RESAMPLES = 1000

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]


def score_digits(path: Path, classifier: Classifier) -> dict[str, Any]:
    """The scores of a model on a folder of digits, as the contract's JSON object.

    path: IDX files (the ``t10k`` ones where there are any), one folder per class, or one
        per writer and in it one per class. Folders not named by a digit hold things that
        are no digits; they count in ``auroc_not_digit`` alone.

    Raises InputMissing where there is no such folder, UsageError where it holds no digits.
    """
    samples = read_path(path)
    if not (samples.labels < NOT_A_DIGIT).any():
        raise UsageError(f"there are no digits in {path}")
    shares = classifier.probabilities(samples.pictures)
    return scores_of(shares, samples.labels, samples.writers)


def scores_of(shares: Floats, labels: Integers, writers: NDArray[np.str_]) -> dict[str, Any]:
    """The contract's scores from probabilities (N, 11), labels (N,) and writers (N,).

    Accuracy, rejection and calibration are over the digits, and "not a digit" said of one
    is wrong. A digit's confidence is its best digit's probability.
    """
    digit = labels < NOT_A_DIGIT
    likeness = np.asarray(shares)[:, :NOT_A_DIGIT].max(axis=1)
    said, confidence = shares.argmax(axis=1)[digit], shares.max(axis=1)[digit]
    right = said == labels[digit]
    return {
        "digits": int(digit.sum()),
        "accuracy": float(right.mean()),
        "interval": _interval(right, writers[digit]),
        "error_at_reject": {
            str(share): _error_at_reject(confidence, right, share) for share in _REJECTED
        },
        "calibration_error": calibration_error(confidence, right),
        "auroc_not_digit": rank_quality(likeness[digit], likeness[~digit]),
        "per_class": _per_class(said, labels[digit]),
    }


def rank_quality(above: Floats, below: Floats) -> float | None:
    """The area under the ROC curve: how often a value of the first kind is larger than one
    of the second, ties counting half (Mann and Whitney). None where either is empty."""
    if not len(above) or not len(below):
        return None
    order = np.sort(below)
    smaller = np.searchsorted(order, above, "left") + np.searchsorted(order, above, "right")
    return float(smaller.mean() / 2 / len(below))


def _error_at_reject(confidence: Floats, right: NDArray[np.bool_], share: float) -> float:
    """The share that is wrong when the least confident ``share`` is put aside."""
    kept = np.argsort(confidence, kind="stable")[round(share * len(right)) :]
    return float(1 - right[kept].mean()) if len(kept) else 0.0


def _interval(right: NDArray[np.bool_], writers: NDArray[np.str_]) -> list[float]:
    """The 95 % bootstrap interval of the accuracy, by writer where writers are known: the
    digits of one hand go right and wrong together."""
    _names, groups = np.unique(writers, return_inverse=True)
    if len(_names) < 2:
        groups = np.arange(len(right))
    counts, hits = np.bincount(groups), np.bincount(groups, right)
    random = np.random.default_rng(0)
    accuracies = []
    for _ in range(_RESAMPLES):
        drawn = random.integers(0, len(counts), len(counts))
        accuracies.append(hits[drawn].sum() / counts[drawn].sum())
    low, high = np.quantile(accuracies, [0.025, 0.975])
    return [float(low), float(high)]


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
