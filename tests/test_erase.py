"""What erasing promises: rules go, also at the edge of the picture, and strokes stay whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.cleaning.erase import erase_rules
from digitocr.cleaning.rules import HALF, Rules

Mask = NDArray[np.uint8]


def erased(mask: Mask, half: Mask, upright: bool) -> tuple[Mask, Mask]:
    """As of ``erase_rules``, for rules along the rows or, with all turned, along the columns."""
    none = np.zeros_like(half)
    if upright:
        rules = Rules(np.ascontiguousarray(none.T), half)
        bare, lines = erase_rules(np.ascontiguousarray(mask.T), 255 - mask.T.copy(), rules)
        return bare.T, lines.T
    return erase_rules(mask, 255 - mask, Rules(half, np.ascontiguousarray(none.T)))


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("row", [0, 1, 20, 38, 39])
def test_a_rule_goes_wherever_it_lies(row: int, upright: bool) -> None:
    half = np.zeros((40, 100), np.uint8)
    half[row, 5:90] = 255
    mask = np.repeat(np.repeat(half, HALF, axis=0), HALF, axis=1)
    mask[30:34, 192:198] = 255  # a stroke beside it
    bare, lines = erased(mask, half, upright)
    assert (lines > 0).sum() == HALF**2 * 85
    assert (bare[30:34, 192:198] == 255).all()
    assert (bare > 0).sum() == 24


@pytest.mark.parametrize("upright", [False, True])
def test_what_crosses_a_rule_stays_whole(upright: bool) -> None:
    half = np.zeros((40, 100), np.uint8)
    half[20, 5:90] = 255
    half[21, 40:60] = 255  # of more than one height
    mask = np.repeat(np.repeat(half, HALF, axis=0), HALF, axis=1)
    mask[20:70, 100:104] = 255
    bare, _ = erased(mask, half, upright)
    assert (bare[20:70, 100:104] == 255).all()
    near = slice(100 - 4, 104 + 4)  # a stroke may slant
    bare[:, near] = 0
    assert not bare.any()
