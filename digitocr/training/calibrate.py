"""How far a model's confidence is from the truth, and the temperature that mends it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["calibration_error", "fit_temperature", "softmax"]

_BINS = 15

Floats = NDArray[np.floating]


def softmax(scores: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """Float (N, K): probabilities of scores (N, K) divided by the temperature."""
    scaled = np.asarray(scores, np.float64) / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def fit_temperature(scores: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature of least negative log-likelihood (Guo et al. 2017, "On calibration
    of modern neural networks"), by a golden-section search from 0.2 to 5.

    scores: float (N, K). labels: int (N,). Returns 1 where N is 0.
    """
    if not len(labels):
        return 1.0
    low, high = np.log(0.2), np.log(5.0)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-3:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _surprise(scores, labels, np.exp(left)) < _surprise(scores, labels, np.exp(right)):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """The expected calibration error: the mean distance, over 15 bins of equal width
    weighted by their size, between confidence and the share that is right; 0 for N = 0."""
    bins = np.minimum((np.asarray(confidence) * _BINS).astype(int), _BINS - 1)
    sums = np.bincount(bins, confidence, _BINS) - np.bincount(bins, right, _BINS)
    return float(np.abs(sums).sum() / max(len(bins), 1))


def _surprise(scores: Floats, labels: NDArray[np.int64], temperature: float) -> float:
    """The mean negative log-likelihood of the labels."""
    shares = softmax(scores, temperature)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(shares, 1e-12)).mean())
