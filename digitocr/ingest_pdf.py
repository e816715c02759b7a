"""Bytes of a PDF -> its upright pages.

A scanned page is one picture: that is taken out as it is, for drawing it costs time and
resamples it. Every other page is drawn. pdfium draws what it can of damaged pictures without
a word, so their data are checked apart.
"""

from __future__ import annotations

import ctypes
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from digitocr.errors import DamagedFile, DocumentError, EmptyFile, EncryptedFile, TooLarge
from digitocr.ingest_picture import decode_jpeg, decode_picture, grey_if_grey
from digitocr.ingest_resolution import credible_dpi, square_pixels
from digitocr.recipe import IngestOptions

__all__ = ["Pdf"]

Pixels = NDArray[np.uint8]

_PDFIUM = threading.RLock()  # pdfium is not thread safe
_POINTS = 72.0  # per inch
_COVERS = 0.8  # of the page by a picture that stands alone: a scan may leave margins
_ALL = 0.995  # of the page by a picture that hides what lies below it
_DAMAGED = (
    "the PDF is damaged or cut short; open it in a viewer, print it to a new PDF, or scan again"
)
_DAMAGED_PICTURE = "a picture on the page is damaged or cut short; scan the page again"
_PLAIN_COLOURS = (
    pdfium.FPDF_COLORSPACE_DEVICEGRAY,
    pdfium.FPDF_COLORSPACE_DEVICERGB,
    pdfium.FPDF_COLORSPACE_CALGRAY,
    pdfium.FPDF_COLORSPACE_CALRGB,
    pdfium.FPDF_COLORSPACE_ICCBASED,
)


class Pdf:
    """The pages of one PDF, read with pdfium."""

    def __init__(self, data: bytes, options: IngestOptions) -> None:
        """Open the file. Raises DamagedFile, EncryptedFile, EmptyFile, TooLarge."""
        self._options = options
        # An image's dictionary is never compressed, so this sees every unusual one.
        self._decode_arrays = re.search(rb"/Decode(?![A-Za-z])", data) is not None
        with _PDFIUM, _translated(_DAMAGED):
            self._document = _open(data)
            self.page_count = len(self._document)
            self._document.init_forms()
        if self.page_count < 1:
            raise EmptyFile("the PDF has no pages")
        if self.page_count > options.max_pages:
            raise TooLarge(
                f"the document has {self.page_count} pages, more than the limit of "
                f"{options.max_pages}; split it, or raise max_pages in the pipeline file"
            )

    def page(self, index: int) -> tuple[Pixels, float | None]:
        """Pixels, uint8 (H, W) grey or (H, W, 3) RGB, upright, and dots per inch.

        Raises DamagedFile, TooLarge.
        """
        with _PDFIUM, _translated("the page is damaged; scan it again"):
            page = self._document[index]
            try:
                return self._scan(page) or self._drawing(page)
            finally:
                page.close()

    def close(self) -> None:
        """Let go of the file."""
        with _PDFIUM:
            self._document.close()

    def _scan(self, page: pypdfium2.PdfPage) -> tuple[Pixels, float | None] | None:
        """The page's one picture, turned as the page shows it; None where there is more."""
        image = _only_picture(page)
        if image is None:
            return None
        _check_size(image, self._options)
        turned = _turns(image.get_matrix(), page.get_rotation())
        pixels = self._picture(image)
        if pixels is None or turned is None:
            return None
        pixels = _turn(pixels, *turned)
        left, bottom, right, top = image.get_bounds()
        inches = np.array((right - left, top - bottom)) / _POINTS
        if page.get_rotation() in (90, 270):
            inches = inches[::-1]
        across, down = np.array(pixels.shape[1::-1]) / inches
        pixels = square_pixels(pixels, across, down)
        return pixels, credible_dpi(float(max(across, down)), max(pixels.shape[:2]))

    def _picture(self, image: pypdfium2.PdfImage) -> Pixels | None:
        """A picture's pixels as stored; None where only drawing shows them right."""
        filters = image.get_filters()
        facts = image.get_metadata()
        if facts.colorspace == pdfium.FPDF_COLORSPACE_UNKNOWN and facts.bits_per_pixel == 1:
            return None  # a stencil to paint through
        checked = self._check(image, filters)
        plain = facts.colorspace in _PLAIN_COLOURS and not self._decode_arrays
        if checked is not None and plain:
            return checked
        bitmap = image.get_bitmap()
        if bitmap.format == pdfium.FPDFBitmap_Gray:
            return np.array(bitmap.to_numpy(), np.uint8).reshape(bitmap.height, bitmap.width)
        if bitmap.format in (pdfium.FPDFBitmap_BGR, pdfium.FPDFBitmap_BGRx):
            return grey_if_grey(np.ascontiguousarray(bitmap.to_numpy()[:, :, 2::-1]))
        return None

    def _check(self, image: pypdfium2.PdfImage, filters: list[str]) -> Pixels | None:
        """Decode a picture's data strictly. The pixels where a decoder of ours made them.

        Raises DamagedFile.
        """
        if not filters:
            return None
        if filters[0] == "FlateDecode":
            _check_flate(bytes(image.get_data()))
        if filters[-1] == "DCTDecode":
            data = bytes(image.get_data(decode_simple=True))
            components = _jpeg_components(data)
            return None if components == 4 else decode_jpeg(data, "L" if components == 1 else "RGB")
        if filters[-1] == "JPXDecode":
            data = bytes(image.get_data(decode_simple=True))
            return decode_picture(data, "JPEG2000", self._options)
        return None

    def _drawing(self, page: pypdfium2.PdfPage) -> tuple[Pixels, float | None]:
        """The page as a viewer shows it."""
        for image in page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE]):
            _check_size(image, self._options)
            self._check(image, image.get_filters())
        width, height = page.get_size()
        if not (0 < width < 1e7 and 0 < height < 1e7):
            raise DamagedFile("the page has no size")
        scale = drawing_scale(width, height, self._options)
        bitmap = page.render(scale=scale, rev_byteorder=True)
        pixels = grey_if_grey(bitmap.to_numpy()[:, :, :3])
        return np.ascontiguousarray(pixels), credible_dpi(scale * _POINTS, max(pixels.shape[:2]))


def drawing_scale(width: float, height: float, options: IngestOptions) -> float:
    """Pixels per point at which a page of that size, in points, is drawn."""
    most = options.render_megapixels * 1e6
    fine = options.render_dpi / _POINTS
    return float(min(fine, (most / (width * height)) ** 0.5, most**0.5 * 4 / max(width, height)))


def _open(data: bytes) -> pypdfium2.PdfDocument:
    """Open a document, and tell apart why that fails."""
    if max(data.rfind(b"startxref"), data.rfind(b"%%EOF")) < data.rfind(b"endobj"):
        raise DamagedFile(_DAMAGED)  # pdfium would leave out what is missing
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD and _needs_password(data):
            raise EncryptedFile("the PDF asks for a password; save it without one") from error
        raise


def _needs_password(data: bytes) -> bool:
    """Whether that is true: pdfium's last error may be that of an earlier file."""
    for attempt in (b"x", data):
        try:
            pypdfium2.PdfDocument(attempt).close()
        except pypdfium2.PdfiumError as error:
            code = error.err_code
    return bool(code == pdfium.FPDF_ERR_PASSWORD)


def _only_picture(page: pypdfium2.PdfPage) -> pypdfium2.PdfImage | None:
    """The picture that is all one sees of the page; None where there is more or less."""
    if _has_visible_annotations(page):
        return None
    top: pypdfium2.PdfImage | None = None
    for number in reversed(range(pdfium.FPDFPage_CountObjects(page))):
        item = pdfium.FPDFPage_GetObject(page, number)
        if _is_invisible_text(item):
            continue
        if top is not None:
            return None  # something lies below, and shows at the margin
        if pdfium.FPDFPageObj_GetType(item) != pdfium.FPDF_PAGEOBJ_IMAGE:
            return None
        top = pypdfium2.PdfObject(item, page=page)
        share = _coverage(top, page)
        if share < _COVERS or not _is_plain(top):
            return None
        if share >= _ALL:
            return top
    return top


def _has_visible_annotations(page: pypdfium2.PdfPage) -> bool:
    unseen = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP)
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        note = pdfium.FPDFPage_GetAnnot(page, number)
        subtype, flags = pdfium.FPDFAnnot_GetSubtype(note), pdfium.FPDFAnnot_GetFlags(note)
        pdfium.FPDFPage_CloseAnnot(note)
        if subtype not in unseen and not flags & pdfium.FPDF_ANNOT_FLAG_HIDDEN:
            return True
    return False


def _is_invisible_text(item: pdfium.FPDF_PAGEOBJECT) -> bool:
    """Whether this is the text that recognition laid over or under a scan."""
    return bool(
        pdfium.FPDFPageObj_GetType(item) == pdfium.FPDF_PAGEOBJ_TEXT
        and pdfium.FPDFTextObj_GetTextRenderMode(item) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
    )


def _coverage(image: pypdfium2.PdfImage, page: pypdfium2.PdfPage) -> float:
    """The share of the page that a picture covers; 0 where it is cut by the page's edge."""
    left, bottom, right, top = image.get_bounds()
    page_left, page_bottom, page_right, page_top = page.get_bbox()
    width, height = page_right - page_left, page_top - page_bottom
    slack = 0.01 * max(width, height)
    if left < page_left - slack or right > page_right + slack:
        return 0.0
    if bottom < page_bottom - slack or top > page_top + slack:
        return 0.0
    seen = max(0.0, min(right, page_right) - max(left, page_left)) * max(
        0.0, min(top, page_top) - max(bottom, page_bottom)
    )
    return float(seen / (width * height)) if width > 0 and height > 0 else 0.0


def _is_plain(image: pypdfium2.PdfImage) -> bool:
    """Whether a picture is shown whole and opaque, and not as a layer that may be off."""
    if pdfium.FPDFPageObj_HasTransparency(image) or pdfium.FPDFPageObj_CountMarks(image) > 0:
        return False
    return _is_unclipped(image)


def _is_unclipped(image: pypdfium2.PdfImage) -> bool:
    """Whether no clip path cuts into a picture."""
    clip = pdfium.FPDFPageObj_GetClipPath(image)
    left, bottom, right, top = image.get_bounds()
    slack = 0.01 * max(right - left, top - bottom)
    for number in range(max(0, pdfium.FPDFClipPath_CountPaths(clip))):
        points = _clip_points(clip, number)
        if len(points) not in (4, 5) or len({round(x, 1) for x, _ in points}) > 2:
            return False
        across, down = zip(*points, strict=True)
        if min(across) > left + slack or max(across) < right - slack:
            return False
        if min(down) > bottom + slack or max(down) < top - slack:
            return False
    return True


def _clip_points(clip: pdfium.FPDF_CLIPPATH, number: int) -> list[tuple[float, float]]:
    """The corners of a clip path."""
    points = []
    for part in range(max(0, pdfium.FPDFClipPath_CountPathSegments(clip, number))):
        segment = pdfium.FPDFClipPath_GetPathSegment(clip, number, part)
        x, y = ctypes.c_float(), ctypes.c_float()
        if pdfium.FPDFPathSegment_GetPoint(segment, x, y):
            points.append((x.value, y.value))
    return points


def _turns(matrix: pypdfium2.PdfMatrix, rotation: int) -> tuple[bool, bool, bool] | None:
    """How a stored picture must be turned: swap axes first, then mirror left-right, top-bottom.

    None where it stands askew.
    """
    a, b, c, d = matrix.a, matrix.b, matrix.c, matrix.d
    large = max(abs(a), abs(b), abs(c), abs(d)) * 1e-3
    if abs(b) < large and abs(c) < large:
        swap, mirror, flip = False, a < 0, d < 0
    elif abs(a) < large and abs(d) < large:
        swap, mirror, flip = True, c > 0, b > 0
    else:
        return None
    for _ in range(rotation // 90):  # each turns the result by 90 degrees clockwise
        swap, mirror, flip = not swap, not flip, mirror
    return swap, mirror, flip


def _turn(pixels: Pixels, swap: bool, mirror: bool, flip: bool) -> Pixels:
    if swap:
        pixels = pixels.swapaxes(0, 1)
    if mirror:
        pixels = pixels[:, ::-1]
    if flip:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _check_size(image: pypdfium2.PdfImage, options: IngestOptions) -> None:
    width, height = image.get_px_size()
    if width * height > options.max_megapixels * 1e6:
        raise TooLarge(
            f"a picture on the page has {width} x {height} pixels, more than the limit of "
            f"{options.max_megapixels:g} megapixels; scan it at a lower resolution, "
            "or raise max_megapixels in the pipeline file"
        )


def _check_flate(data: bytes) -> None:
    """Unpack for the checksum alone, a bit at a time. Raises DamagedFile."""
    unpacker = zlib.decompressobj()
    try:
        while data and not unpacker.eof:
            unpacker.decompress(data, 1 << 20)
            data = unpacker.unconsumed_tail
    except zlib.error as error:
        raise DamagedFile(_DAMAGED_PICTURE) from error
    if not unpacker.eof:
        raise DamagedFile(_DAMAGED_PICTURE)


def _jpeg_components(data: bytes) -> int:
    """How many colours a JPEG has. Raises DamagedFile where it has no frame header."""
    header = re.search(
        rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..\x08....([\x01\x03\x04])", data, re.DOTALL
    )
    if header is None:
        raise DamagedFile(_DAMAGED_PICTURE)
    return header[1][0]


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
