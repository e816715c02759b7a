"""What cleaning promises about any page."""

from __future__ import annotations

import numpy as np

from digitocr.clean import clean
from digitocr.recipe import CleanOptions
from digitocr.types import Page


def test_a_white_page_has_no_ink() -> None:
    ink = clean(Page(1, np.full((400, 300), 255, np.uint8), 200.0), CleanOptions())
    assert not ink.mask.any()
