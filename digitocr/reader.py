"""What makes numbers of a page's classified glyphs, in whichever process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from digitocr.assemble import assemble
from digitocr.risk import Bars
from digitocr.types import Glyphs, Grammar, PageReading

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
        strips = () if self.transcriber is None else self.transcriber.transcribe(glyphs.strips)
        return assemble(file, glyphs, probabilities, self.bars, self.grammar, strips)
