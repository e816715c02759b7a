"""What makes numbers of a page's classified glyphs, in whichever process."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from digitocr.assemble import assemble
from digitocr.lift import lift
from digitocr.risk import Bars
from digitocr.types import Glyphs, Grammar, PageReading, StripReading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from digitocr.transcribe import Transcriber

__all__ = ["Reader"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Assembles pages.

    bars: what confidence is accepted. grammar: of what fields hold, None for any number.
    transcriber: reads whole numbers; None where digits alone are read.
    """

    bars: Bars = field(default_factory=Bars)
    grammar: Grammar | None = None
    transcriber: Transcriber | None = None

    def page(self, file: str, glyphs: Glyphs, probabilities: NDArray[np.float32]) -> PageReading:
        """The numbers of one page whose glyphs were classified: float32 (N, 11)."""
        strips = None if self.transcriber is None else partial(_said, self.transcriber, glyphs)
        return assemble(file, glyphs, probabilities, self.bars, self.grammar, strips)


def _said(
    transcriber: Transcriber, glyphs: Glyphs, field: int, start: int, stop: int
) -> StripReading | None:
    """What the strip of some atoms of a field says, None where it is too long for a number."""
    writing = glyphs.writing[field]
    assert writing is not None, "a field with atoms to lift has writing"
    (said,) = transcriber.transcribe([lift(writing, start, stop)])
    return said
