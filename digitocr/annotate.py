"""Pages written as pictures with what was read drawn on them: what a worker does for --overlay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from digitocr.errors import OutputError
from digitocr.ingest import Source, open_document
from digitocr.overlay import draw
from digitocr.recipe import IngestOptions
from digitocr.types import PageReading

__all__ = ["annotate"]


def annotate(
    source: Source, readings: Sequence[PageReading], stem: Path, options: IngestOptions
) -> None:
    """Write ``STEM.pN.png`` for each page that was read.

    Raises OutputError where a picture cannot be written, DocumentError where a page cannot
    be read a second time.
    """
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with open_document(source.path, options) as document:
            for reading in readings:
                pixels = document.page(reading.page - 1).pixels
                upright = np.rot90(pixels, k=-reading.rotation // 90)
                picture = Image.fromarray(draw(np.ascontiguousarray(upright), reading))
                picture.save(stem.with_name(f"{stem.name}.p{reading.page}.png"), compress_level=1)
    except OSError as error:
        raise OutputError(
            f"the overlays in {stem.parent} cannot be written: {error.strerror or error}"
        ) from error
