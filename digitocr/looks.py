"""Which glyphs of some pages are classified: as many as it takes to read their numbers.

Most writing on a page is words. The glyphs that end a word tell that it is no number, and the
rest of it is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitocr.assemble import looked_at_first, looked_at_next
from digitocr.types import CLASSES, NOT_A_DIGIT, Glyphs

__all__ = ["probabilities_of"]

_Shares = NDArray[np.float32]


def probabilities_of(
    pages: Sequence[Glyphs], classify: Callable[[NDArray[np.uint8]], _Shares]
) -> list[_Shares]:
    """float32 (N, 11) for each page: how probable each class is, of each of its glyphs.

    What needs no look is taken for no digit. classify: float32 (n, 11) for uint8 (n, 28, 28).
    """
    looks = [looked_at_first(page) for page in pages]
    probabilities = [_none(len(page.crops)) for page in pages]
    _fill(probabilities, pages, looks, classify)
    more = [
        looked_at_next(page, first, known)
        for page, first, known in zip(pages, looks, probabilities, strict=True)
    ]
    _fill(probabilities, pages, more, classify)
    return probabilities


def _none(count: int) -> _Shares:
    """Nothing of it a digit."""
    shares = np.zeros((count, len(CLASSES) + 1), np.float32)
    shares[:, NOT_A_DIGIT] = 1.0
    return shares


def _fill(
    probabilities: Sequence[_Shares],
    pages: Sequence[Glyphs],
    looks: Sequence[NDArray[np.bool_]],
    classify: Callable[[NDArray[np.uint8]], _Shares],
) -> None:
    """Write those of the glyphs that are looked at, of all pages in one batch."""
    crops = [page.crops[look] for page, look in zip(pages, looks, strict=True)]
    shares = classify(np.concatenate([np.zeros((0, 28, 28), np.uint8), *crops]))
    bounds = np.cumsum([0, *map(len, crops)]).tolist()
    for own, look, (start, stop) in zip(probabilities, looks, pairwise(bounds), strict=True):
        own[look] = shares[start:stop]
