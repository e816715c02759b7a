"""Bytes of a PDF -> its upright pages, read with pdfium.

A scanned page is one picture: that is taken out as it is, for drawing it costs time and
resamples it. Every other page is drawn, and so is any page that leaves a doubt.
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from digitocr.errors import DamagedFile, DocumentError, EmptyFile, EncryptedFile, TooLarge
from digitocr.formats.modes import grey_if_grey, one_channel
from digitocr.formats.pdf_layout import only_picture, turn, turns
from digitocr.formats.pdf_streams import check_streams, checked_fax, strict_pixels
from digitocr.formats.poppler import Poppler
from digitocr.formats.resolution import credible_dpi, drawing_scale, square_pixels
from digitocr.recipe import IngestOptions

__all__ = ["Pdf", "open_pdf"]

Pixels = NDArray[np.uint8]
Picture = tuple[Pixels, float | None]  # with dots per inch

_PDFIUM = threading.RLock()  # pdfium is not thread safe
_POINTS = 72.0  # per inch
_DAMAGED = "the PDF is damaged or cut short; print it to a new PDF from a viewer, or scan it again"
_DAMAGED_PAGE = "the page is damaged; print the PDF to a new one from a viewer, or scan it again"
_DECODE_ARRAY = re.compile(rb"/Decode(?![A-Za-z])")
_MASK = re.compile(rb"/S?Mask(?![A-Za-z])(?!\s*/None)")
_PLAIN_COLOURS = (
    pdfium.FPDF_COLORSPACE_DEVICEGRAY,
    pdfium.FPDF_COLORSPACE_DEVICERGB,
    pdfium.FPDF_COLORSPACE_CALGRAY,
    pdfium.FPDF_COLORSPACE_CALRGB,
    pdfium.FPDF_COLORSPACE_ICCBASED,
)


def open_pdf(data: bytes, options: IngestOptions) -> Pdf | Poppler:
    """Open a PDF with pdfium, or with poppler where pdfium cannot and poppler is there.

    Raises DamagedFile, EncryptedFile, EmptyFile, TooLarge.
    """
    # A file without its end may lack objects, and readers leave out what is missing.
    if max(data.rfind(b"startxref"), data.rfind(b"%%EOF")) < data.rfind(b"endobj"):
        raise DamagedFile(_DAMAGED)
    try:
        return Pdf(data, options)
    except DamagedFile:
        if not Poppler.is_installed():
            raise
        return Poppler(data, options, strict=True)


class Pdf:
    """The pages of one PDF."""

    def __init__(self, data: bytes, options: IngestOptions) -> None:
        """Open the file. Raises DamagedFile, EncryptedFile, EmptyFile, TooLarge."""
        self._data = data
        self._options = options
        self._poppler: Poppler | None = None
        with _PDFIUM, _translated(_DAMAGED):
            self._document = _open(data)
            self.page_count = len(self._document)
            if self._document.get_formtype() in (
                pdfium.FORMTYPE_ACRO_FORM,
                pdfium.FORMTYPE_XFA_FOREGROUND,
            ):
                self._document.init_forms()
        if self.page_count < 1:
            raise EmptyFile("the PDF has no pages")
        if self.page_count > options.max_pages:
            raise TooLarge(
                f"the document has {self.page_count} pages, more than the limit of "
                f"{options.max_pages}; split it, or raise max_pages in the pipeline file"
            )

    def page(self, index: int, grey: bool = False) -> Picture:
        """Pixels, uint8 (H, W) grey or (H, W, 3) RGB, upright, and dots per inch.

        grey: colour may be left out. Raises DamagedFile, TooLarge.
        """
        with _PDFIUM, _translated(_DAMAGED_PAGE):
            try:
                page = self._document[index]
            except pypdfium2.PdfiumError:
                if not Poppler.is_installed():
                    raise
                return self._drawn_by_poppler(index, strict=True)
            try:
                return self._scan(page, grey) or self._drawing(page, index, grey)
            finally:
                page.close()

    def close(self) -> None:
        """Let go of the file."""
        with _PDFIUM:
            self._document.close()
        if self._poppler is not None:
            self._poppler.close()

    def _scan(self, page: pypdfium2.PdfPage, grey: bool) -> Picture | None:
        """The page's one picture, turned as the page shows it; None where there is more."""
        image = only_picture(page)
        if image is None:
            return None
        _check_size(image, self._options)
        turned = turns(image.get_matrix(), page.get_rotation())
        pixels = None if turned is None else self._pixels(image, grey)
        if turned is None or pixels is None:
            return None
        pixels = turn(pixels, *turned)
        left, bottom, right, top = image.get_bounds()
        inches = (right - left) / _POINTS, (top - bottom) / _POINTS
        wide, high = inches[::-1] if page.get_rotation() in (90, 270) else inches
        across, down = pixels.shape[1] / wide, pixels.shape[0] / high
        pixels = square_pixels(pixels, across, down)
        return pixels, credible_dpi(max(across, down), max(pixels.shape[:2]))

    def _pixels(self, image: pypdfium2.PdfImage, grey: bool) -> Pixels | None:
        """A picture's pixels as stored; None where only drawing shows them right."""
        facts = image.get_metadata()
        stencil = facts.colorspace == pdfium.FPDF_COLORSPACE_UNKNOWN and facts.bits_per_pixel == 1
        entries = self._entries(image)
        if stencil or _MASK.search(entries):
            return None
        pixels = strict_pixels(image, self._options, grey)
        plain = facts.colorspace in _PLAIN_COLOURS and not _DECODE_ARRAY.search(entries)
        if pixels is not None and plain:
            return pixels
        if image.get_filters() == ["CCITTFaxDecode"]:
            return _fax_pixels(image)
        return _from_bitmap(image.get_bitmap())

    def _entries(self, image: pypdfium2.PdfImage) -> bytes:
        """The picture's dictionary, which is never compressed, as it stands before its data.

        The whole file where that cannot be told, as in an encrypted one: then every other
        picture's unusual entry counts as this one's.
        """
        stream = bytes(image.get_data())
        if not stream or self._data.count(stream) != 1:
            return self._data
        start = self._data.find(stream)
        return self._data[self._data.rfind(b"obj", 0, start) : start]

    def _drawing(self, page: pypdfium2.PdfPage, index: int, grey: bool) -> Picture:
        """The page as a viewer shows it."""
        if pdfium.FPDFPage_CountObjects(page) == 0:
            check_streams(self._data)
        for image in page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE]):
            _check_size(image, self._options)
            strict_pixels(image, self._options, grey=True)
            if image.get_filters() == ["CCITTFaxDecode"]:
                _fax_pixels(image)
        if self._options.renderer == "poppler":
            return self._drawn_by_poppler(index)
        width, height = page.get_size()
        scale = drawing_scale(width, height, self._options)
        drawn = _drawn(page, scale)
        pixels = one_channel(drawn) if grey else grey_if_grey(drawn)
        return pixels, credible_dpi(scale * _POINTS, max(pixels.shape[:2]))

    def _drawn_by_poppler(self, index: int, strict: bool = False) -> Picture:
        if self._poppler is None:
            self._poppler = Poppler(self._data, self._options, strict)
        return self._poppler.page(index)


def _open(data: bytes) -> pypdfium2.PdfDocument:
    """Open a document; tell a password from damage, for pdfium's last error may be an old one."""
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        with suppress(pypdfium2.PdfiumError):
            pypdfium2.PdfDocument(b"no PDF")  # sets the last error
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise EncryptedFile("the PDF asks for a password; save it without one") from error
        raise


def _drawn(page: pypdfium2.PdfPage, scale: float) -> Pixels:
    """A page on white paper, uint8 (H, W, 3) RGB. scale: pixels per point."""
    scale *= 1 - 1e-6  # a hair less, so that 3300.0004 pixels are not rounded up
    width, height = (math.ceil(points * scale) for points in page.get_size())
    pixels = np.full((height, width, 3), 255, np.uint8)  # pdfium takes longer to paint it white
    memory = pixels.ctypes.data_as(ctypes.c_void_p)
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGR, memory, 3 * width)
    place = (bitmap, page, 0, 0, width, height, 0)
    flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
    pdfium.FPDF_RenderPageBitmap(*place, flags)
    if page.formenv:
        pdfium.FPDF_FFLDraw(page.formenv, *place, flags)
    pdfium.FPDFBitmap_Destroy(bitmap)
    return pixels


def _fax_pixels(image: pypdfium2.PdfImage) -> Pixels | None:
    """The pixels of fax data, checked. Raises DamagedFile."""
    bitmap = image.get_bitmap()
    if bitmap.format != pdfium.FPDFBitmap_Gray:
        return _from_bitmap(bitmap)
    return checked_fax(image, bitmap.to_numpy().reshape(bitmap.height, bitmap.width))


def _from_bitmap(bitmap: pypdfium2.PdfBitmap) -> Pixels | None:
    """pdfium's pixels as grey or RGB; None where they are transparent."""
    if bitmap.format == pdfium.FPDFBitmap_Gray:
        return np.array(bitmap.to_numpy(), np.uint8).reshape(bitmap.height, bitmap.width)
    if bitmap.format in (pdfium.FPDFBitmap_BGR, pdfium.FPDFBitmap_BGRx):
        return grey_if_grey(np.array(bitmap.to_numpy()[:, :, 2::-1]))
    return None


def _check_size(image: pypdfium2.PdfImage, options: IngestOptions) -> None:
    width, height = image.get_px_size()
    if width * height > options.max_megapixels * 1e6:
        raise TooLarge(
            f"a picture on the page has {width} x {height} pixels, more than the limit of "
            f"{options.max_megapixels:g} megapixels; scan it at a lower resolution, "
            "or raise max_megapixels in the pipeline file"
        )


@contextmanager
def _translated(sentence: str) -> Iterator[None]:
    """Turn whatever pdfium raises over bad bytes into a DocumentError."""
    try:
        yield
    except DocumentError:
        raise
    except MemoryError as error:
        raise TooLarge("the page needs more memory than it may take; scan it smaller") from error
    except Exception as error:
        raise DamagedFile(sentence) from error
