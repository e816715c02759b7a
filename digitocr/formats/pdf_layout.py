"""What one sees of a PDF page: whether it is a single picture, and how that is turned."""

from __future__ import annotations

import ctypes

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

__all__ = ["only_picture", "turn", "turns"]

Pixels = NDArray[np.uint8]

_COVERS = 0.8  # of the page by a picture that stands alone: a scan may leave margins
_ALL = 0.995  # of the page by a picture that hides what lies below it


def only_picture(page: pypdfium2.PdfPage) -> pypdfium2.PdfImage | None:
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
    marks = range(max(0, pdfium.FPDFPageObj_CountMarks(image)))
    if any(_is_layer(pdfium.FPDFPageObj_GetMark(image, number)) for number in marks):
        return False
    return not pdfium.FPDFPageObj_HasTransparency(image) and _is_unclipped(image)


def _is_layer(mark: pdfium.FPDF_PAGEOBJECTMARK) -> bool:
    """Whether marked content is an optional one, and no mere tag for readers."""
    name = (pdfium.FPDF_WCHAR * 8)()
    length = ctypes.c_ulong()
    fits = pdfium.FPDFPageObjMark_GetName(mark, name, ctypes.sizeof(name), length)
    return bool(fits) and bytes(name)[: length.value].decode("utf-16-le").rstrip("\0") == "OC"


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


def turns(matrix: pypdfium2.PdfMatrix, rotation: int) -> tuple[bool, bool, bool] | None:
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


def turn(pixels: Pixels, swap: bool, mirror: bool, flip: bool) -> Pixels:
    if swap:
        pixels = pixels.swapaxes(0, 1)
    if mirror:
        pixels = pixels[:, ::-1]
    if flip:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
