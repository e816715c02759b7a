"""Which glyphs of some pages are classified: as many as it takes to read their numbers.

Most writing on a page is words. The glyphs that end a stretch of writing tell that it is no
number, and the rest of it is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitocr.assemble import Endings, endings_of
from digitocr.types import CLASSES, NOT_A_DIGIT, Glyphs, Segments

__all__ = ["looked_at", "probabilities_of"]

_Shares = NDArray[np.float32]
_Look = NDArray[np.bool_]


def probabilities_of(
    pages: Sequence[Glyphs], classify: Callable[[NDArray[np.uint8]], _Shares]
) -> list[_Shares]:
    """float32 (N, 11) for each page: how probable each class is, of each of its glyphs.

    What needs no look is taken for no digit. classify: float32 (n, 11) for uint8 (n, 28, 28).
    """

    def of_crops(looks: Sequence[_Look]) -> _Shares:
        crops = [page.crops[look] for page, look in zip(pages, looks, strict=True)]
        return classify(np.concatenate([np.zeros((0, 28, 28), np.uint8), *crops]))

    return looked_at(pages, of_crops)


def looked_at(
    pages: Sequence[Glyphs | Segments], classify: Callable[[Sequence[_Look]], _Shares]
) -> list[_Shares]:
    """As ``probabilities_of``, for pages whose glyphs need have no pictures yet.

    classify: float32 (n, 11), one page after the other, for a bool (N,) of each page that tells
    which of its glyphs to look at. It is called three times.
    """
    endings = [endings_of(page) for page in pages]
    probabilities = [_none(len(page.boxes)) for page in pages]
    seen = [np.zeros(len(page.boxes), np.bool_) for page in pages]
    for wanted in (Endings.first, Endings.second, Endings.hopeful):
        looks = [
            wanted(page, known) & ~old
            for page, known, old in zip(endings, probabilities, seen, strict=True)
        ]
        _fill(probabilities, looks, classify(looks))
        seen = [old | look for old, look in zip(seen, looks, strict=True)]
    return probabilities


def _none(count: int) -> _Shares:
    """Nothing of it a digit."""
    shares = np.zeros((count, len(CLASSES) + 1), np.float32)
    shares[:, NOT_A_DIGIT] = 1.0
    return shares


def _fill(probabilities: Sequence[_Shares], looks: Sequence[_Look], shares: _Shares) -> None:
    """Write those of the glyphs that were looked at, one page after the other."""
    bounds = np.cumsum([0, *(np.count_nonzero(look) for look in looks)]).tolist()
    for own, look, (start, stop) in zip(probabilities, looks, pairwise(bounds), strict=True):
        own[look] = shares[start:stop]
