"""The median as numpy has it."""

from __future__ import annotations

import numpy as np

from digitocr.segmenting.middle import median


def test_the_median_is_numpys() -> None:
    random = np.random.default_rng(0)
    for count in range(1, 12):
        whole = random.integers(0, 50, count).astype(np.int32)
        assert median(whole) == np.median(whole)
        assert median(whole / 7) == np.median(whole / 7)
