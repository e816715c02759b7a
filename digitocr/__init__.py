"""digitocr: scanned cheques and forms into a table of numbers with confidences."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitocr.errors import DigitocrError
    from digitocr.pipeline import Pipeline
    from digitocr.types import Digit, Document, Number, PageReading

__all__ = ["Digit", "DigitocrError", "Document", "Number", "PageReading", "Pipeline"]
__version__ = "0.1.0"

_HOMES = {"DigitocrError": "errors", "Pipeline": "pipeline"}  # the others are types


def __getattr__(name: str) -> Any:
    """The public names on first use: not every import needs what they bring."""
    if name in __all__:
        return getattr(import_module(f"digitocr.{_HOMES.get(name, 'types')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
