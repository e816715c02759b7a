"""PDF pages drawn by poppler's pdftoppm, the second renderer."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import numpy as np
import pdf2image
from numpy.typing import NDArray

from digitocr.errors import DamagedFile, TooLarge, UnreadableFile
from digitocr.formats.modes import to_uint8
from digitocr.formats.resolution import credible_dpi, drawing_scale
from digitocr.recipe import IngestOptions

__all__ = ["Poppler"]

Pixels = NDArray[np.uint8]

_POINTS = 72.0  # per inch
_SECONDS = 120  # for one page; the pipeline's own limit is usually less
_DAMAGED = "the PDF is damaged or cut short; print it to a new PDF from a viewer, or scan it again"
_NO_ROOM = (
    "there is no room for the temporary file that this PDF needs; name a folder that has some in "
    "TMPDIR"
)


class Poppler:
    """The pages of one PDF, drawn.

    strict: whether a complaint of poppler's is an error. It is where pdfium has refused the
        file already; else poppler's complaints are mostly of fonts.
    """

    def __init__(self, data: bytes, options: IngestOptions, strict: bool = False) -> None:
        """Open the file. Raises DamagedFile, TooLarge, UnreadableFile."""
        self._options = options
        self._strict = strict
        try:
            self._file = tempfile.NamedTemporaryFile(suffix=".pdf")  # noqa: SIM115  # closed below
            self._file.write(data)
            self._file.flush()
        except OSError as error:  # of this machine, not of the document
            raise UnreadableFile(_NO_ROOM) from error
        self.page_count = int(self._facts()["Pages"])
        if self.page_count > options.max_pages:
            raise TooLarge(
                f"the document has {self.page_count} pages, more than the limit of "
                f"{options.max_pages}; split it, or raise max_pages in the pipeline file"
            )

    @staticmethod
    def is_installed() -> bool:
        """Whether pdftoppm and pdfinfo are on the path."""
        return shutil.which("pdftoppm") is not None and shutil.which("pdfinfo") is not None

    def page(self, index: int, grey: bool = False) -> tuple[Pixels, float | None]:
        """Pixels, uint8 (H, W) grey or (H, W, 3) RGB, upright, and dots per inch.

        grey: colour may be left out; here that would cost no less.
        Raises DamagedFile.
        """
        number = index + 1
        facts = self._facts(first_page=number, last_page=number)
        width, _, height, *_ = str(facts[f"Page {number:4d} size"]).split()
        scale = drawing_scale(float(width), float(height), self._options)
        try:
            pictures = pdf2image.convert_from_path(
                self._file.name,
                dpi=scale * _POINTS,  # type: ignore[arg-type]  # fractions are well, too
                first_page=number,
                last_page=number,
                use_cropbox=True,
                strict=self._strict,
                timeout=_SECONDS,
            )
            pixels = to_uint8(pictures[0])
        except Exception as error:
            raise DamagedFile(_DAMAGED) from error
        return pixels, credible_dpi(scale * _POINTS, max(pixels.shape[:2]))

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def _facts(self, **pages: Any) -> dict[str, Any]:
        """What pdfinfo says of the file, or of some pages."""
        try:
            return dict(pdf2image.pdfinfo_from_path(self._file.name, timeout=_SECONDS, **pages))
        except Exception as error:
            raise DamagedFile(_DAMAGED) from error
