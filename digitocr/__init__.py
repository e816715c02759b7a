"""digitocr: scanned cheques and forms into a table of numbers with confidences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digitocr.errors import DigitocrError
from digitocr.types import Digit, Document, Number, PageReading

if TYPE_CHECKING:
    from digitocr.pipeline import Pipeline

__all__ = ["Digit", "DigitocrError", "Document", "Number", "PageReading", "Pipeline"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``Pipeline`` on first use: it brings cv2, which not every import needs."""
    if name == "Pipeline":
        from digitocr.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
