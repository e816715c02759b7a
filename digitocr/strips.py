"""The format of a strip: a whole number as one picture, to be read from left to right.

255 is ink. The figures are about 20 pixels high and lie in the middle of 32 rows; a strip is as
wide as it takes.
"""

from __future__ import annotations

__all__ = ["FIGURE", "HEIGHT", "SIGNS", "STEP", "STRIP"]

STRIP = "strip-1"  # written into every model; changes whenever a strip's pixels would
HEIGHT = 32  # pixels
FIGURE = 20  # pixels; the figures' height
STEP = 2  # pixels; from one place that a sign is looked for at to the next
SIGNS = "0123456789.,-/'="  # what may stand there; one more output is "nothing new"
