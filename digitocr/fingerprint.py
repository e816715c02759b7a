"""What a reading depends on besides the document, as a short mark to compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import digitocr
from digitocr.recipe import Recipe
from digitocr.types import ModelId
from digitocr.versions import installed_version

__all__ = ["Fingerprint", "fingerprint"]

# The libraries that decode, clean and classify: another version may give other pixels.
_LIBRARIES = (
    *("numpy", "onnxruntime", "opencv-python-headless", "pdf2image", "pillow", "pypdfium2"),
    *("scikit-image", "scipy", "torch"),
)
_CAPS = ("max_megapixels", "max_pages", "max_megabytes")  # of ingest: limits, as [limits] are


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Two SHA-256 in hex.

    reading: of all that decides what is read in a document.
    limits: of what a document may cost; it decides which documents are given up.
    """

    reading: str
    limits: str


def fingerprint(
    recipe: Recipe, models: Sequence[ModelId], device: str, expected: Sequence[str] | None
) -> Fingerprint:
    """The fingerprint of a pipeline on this machine.

    device: what computes, for its rounding. expected: as ``Pipeline.load`` takes it.
    """
    options = asdict(recipe)
    limits = {"limits": options.pop("limits")}
    limits |= {name: options["ingest"].pop(name) for name in _CAPS}
    reading = {
        "recipe": options,
        "models": [asdict(model) for model in models],
        "device": device,
        "expected": None if expected is None else list(expected),
        "program": _program(),
    }
    return Fingerprint(_digest(reading), _digest(limits))


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def _program() -> dict[str, str]:
    """The versions of digitocr and of its libraries, and its code, which in a checkout
    changes without a version."""
    versions = {name: installed_version(name) for name in _LIBRARIES}
    return versions | {"digitocr": digitocr.__version__, "code": _code()}


def _code() -> str:
    """The SHA-256 of the package's source."""
    package = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
