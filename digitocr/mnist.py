"""The format of a crop: what normalising writes, models are trained on, and classifying reads.

MNIST's own (LeCun, Bottou, Bengio & Haffner 1998): 255 is ink, the digit fills a box of 20
pixels, its centre of mass lies at the centre of a field of 28.
"""

from __future__ import annotations

__all__ = ["BOX", "NORMALIZATION", "SIDE"]

NORMALIZATION = "mnist-1"  # written into every model; changes whenever a crop's pixels would
SIDE = 28  # pixels
BOX = 20  # pixels; the longer side of the digit
