"""PDF pages: a scan is taken out as it is, anything else is drawn as a viewer shows it."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL
import pypdfium2
import pytest
from numpy.typing import NDArray
from PIL import Image

from digitocr.errors import (
    DamagedFile,
    DocumentError,
    EmptyFile,
    EncryptedFile,
    TooLarge,
    UnreadableFile,
)
from digitocr.formats.poppler import Poppler
from digitocr.ingest import open_document
from digitocr.recipe import IngestOptions
from digitocr.types import Page

OPTIONS = IngestOptions()
FAULTS = Path(__file__).parents[2] / "shared" / "data" / "faults"
WIDE, HIGH = 180, 120  # points of the test page


def sheet(height: int = 240, width: int = 360) -> NDArray[np.uint8]:
    """A grey picture without any symmetry: flat blocks, which JPEG keeps and scaling, too."""
    pixels = np.full((height, width), 255, np.uint8)
    pixels[16:64, 16:176] = 0
    pixels[160:208, 32:64] = 96
    pixels[128:144, 240:336] = 160
    return pixels


def encode(pixels: NDArray[np.uint8], kind: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **settings)
    return buffer.getvalue()


def picture(data: bytes, entries: str = "", size: tuple[int, int] = (360, 240)) -> bytes:
    """An image object of a PDF."""
    head = f"<< /Type /XObject /Subtype /Image /Width {size[0]} /Height {size[1]} {entries}"
    return f"{head} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


GREY = "/ColorSpace /DeviceGray /BitsPerComponent 8"


def jpeg(pixels: NDArray[np.uint8] | None = None, entries: str = "") -> bytes:
    pixels = sheet() if pixels is None else pixels
    colour = GREY if pixels.ndim == 2 else "/ColorSpace /DeviceRGB /BitsPerComponent 8"
    data = encode(pixels, "JPEG", quality=95)
    return picture(data, f"{colour} /Filter /DCTDecode {entries}", pixels.shape[1::-1])


def flate(pixels: NDArray[np.uint8] | None = None, entries: str = "") -> bytes:
    pixels = sheet() if pixels is None else pixels
    data = zlib.compress(pixels.tobytes())
    return picture(data, f"{GREY} /Filter /FlateDecode {entries}", pixels.shape[1::-1])


def fax(pixels: NDArray[np.uint8] | None = None) -> bytes:
    pixels = sheet() if pixels is None else pixels
    height, width = pixels.shape
    tiff = Image.open(
        io.BytesIO(encode(pixels > 127, "TIFF", compression="group4", tiffinfo={278: height}))
    )
    start, size = tiff.tag_v2[273][0], tiff.tag_v2[279][0]
    tiff.fp.seek(start)
    black = "true" if tiff.tag_v2[262] == 1 else "false"
    return picture(
        tiff.fp.read(size),
        "/ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /CCITTFaxDecode "
        f"/DecodeParms << /K -1 /Columns {width} /Rows {height} /BlackIs1 {black} >>",
        (width, height),
    )


def pdf(
    *images: bytes,
    content: str = f"q {WIDE} 0 0 {HIGH} 0 0 cm /I0 Do Q",
    page: str = "",
    size: tuple[int, int] = (WIDE, HIGH),
    pages: int = 1,
) -> bytes:
    """A PDF whose pages all show ``content``; images are called I0, I1, ..., F a font."""
    names = " ".join(f"/I{k} {k + 5} 0 R" for k in range(len(images)))
    kids = [5 + len(images) + k for k in range(pages)]
    leaf = (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] /Contents 3 0 R "
        f"/Resources << /XObject << {names} >> /Font << /F 4 0 R >> >> {page} >>"
    ).encode()
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{listed}] /Count {pages} >>".encode(),
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *images,
        *[leaf] * pages,
    ]
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    count = len(objects) + 1
    tail = f"xref\n0 {count}\n0000000000 65535 f \n{table}"
    tail += f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + tail.encode()


def read(data: bytes, folder: Path, options: IngestOptions = OPTIONS, index: int = 0) -> Page:
    path = folder / "document.pdf"
    path.write_bytes(data)
    with open_document(path, options) as document:
        return document.page(index)


def shown(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The first page as pdfium draws it, brought to a shape, for comparison."""
    drawing = pypdfium2.PdfDocument(data)[0].render(scale=2).to_numpy()[:, :, 1]
    return np.asarray(Image.fromarray(drawing).resize(shape[1::-1], Image.Resampling.BOX))


def close(one: NDArray[np.uint8], other: NDArray[np.uint8], most: float = 3.0) -> bool:
    """Whether two pictures show the same, apart from their edges."""
    return bool(np.abs(one.astype(int) - other).mean() < most)


# Scans


@pytest.mark.parametrize("make", [flate, fax])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_scan_is_taken_out_as_it_is_and_turned_as_shown(make, rotation, tmp_path):
    pixels = sheet() if make is flate else np.where(sheet() > 127, 255, 0).astype(np.uint8)
    page = read(pdf(make(), page=f"/Rotate {rotation}"), tmp_path)
    np.testing.assert_array_equal(page.pixels, np.rot90(pixels, -rotation // 90))
    assert page.dpi == pytest.approx(144)


def test_a_jpeg_scan_is_decoded_from_its_own_data(tmp_path):
    wanted = np.asarray(Image.open(io.BytesIO(encode(sheet(), "JPEG", quality=95))))
    np.testing.assert_array_equal(read(pdf(jpeg()), tmp_path).pixels, wanted)


def test_a_jpeg2000_scan_is_decoded_from_its_own_data(tmp_path):
    image = picture(encode(sheet(), "JPEG2000"), f"{GREY} /Filter /JPXDecode")
    np.testing.assert_array_equal(read(pdf(image), tmp_path).pixels, sheet())


def test_colour_is_red_green_blue(tmp_path):
    pixels = np.dstack([sheet(), sheet()[::-1], sheet()[:, ::-1]])
    wanted = np.asarray(Image.open(io.BytesIO(encode(pixels, "JPEG", quality=95))))
    np.testing.assert_array_equal(read(pdf(jpeg(pixels)), tmp_path).pixels, wanted)


@pytest.mark.parametrize(
    "matrix",
    [
        f"{WIDE} 0 0 {HIGH} 0 0",
        f"-{WIDE} 0 0 {HIGH} {WIDE} 0",
        f"{WIDE} 0 0 -{HIGH} 0 {HIGH}",
        f"-{WIDE} 0 0 -{HIGH} {WIDE} {HIGH}",
        f"0 {HIGH} {WIDE} 0 0 0",
        f"0 -{HIGH} {WIDE} 0 0 {HIGH}",
        f"0 {HIGH} -{WIDE} 0 {WIDE} 0",
        f"0 -{HIGH} -{WIDE} 0 {WIDE} {HIGH}",
    ],
)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_mirrored_or_turned_scan_looks_as_drawn(matrix, rotation, tmp_path):
    square = np.pad(sheet(), ((0, 120), (0, 0)), constant_values=255)
    data = pdf(flate(square), content=f"{matrix} cm /I0 Do", page=f"/Rotate {rotation}")
    pixels = read(data, tmp_path).pixels
    assert close(pixels, shown(data, pixels.shape))


@pytest.mark.parametrize(
    "content",
    [
        "/I0 Do Q BT 3 Tr /F 20 Tf 9 9 Td (12345) Tj ET",
        "Q BT 3 Tr /F 20 Tf 9 9 Td (12345) Tj ET q 180 0 0 120 0 0 cm /I0 Do Q",
        "Q BT /F 20 Tf 9 9 Td (12345) Tj ET 0 0 99 99 re f q 180 0 0 120 0 0 cm /I0 Do Q",
        "0 0 1 1 re W n /I0 Do Q",
        "/Figure << /MCID 0 >> BDC /I0 Do EMC Q",
    ],
    ids=["text over it", "text under it", "hidden under it", "clipped to itself", "tagged"],
)
def test_what_cannot_be_seen_leaves_a_scan_a_scan(content, tmp_path):
    data = pdf(flate(), content=f"q {WIDE} 0 0 {HIGH} 0 0 cm {content}")
    np.testing.assert_array_equal(read(data, tmp_path).pixels, sheet())


def test_a_scan_of_oblong_pixels_becomes_square(tmp_path):
    data = pdf(flate(sheet()[::2]))
    pixels = read(data, tmp_path).pixels
    assert pixels.shape == (240, 360)
    assert close(pixels, sheet())


# What has to be drawn


@pytest.mark.parametrize(
    ("images", "content", "page"),
    [
        ([flate()], "Q BT /F 20 Tf 9 9 Td (12345) Tj ET", ""),
        ([flate(), flate()], "Q q 40 0 0 40 9 9 cm /I1 Do Q", ""),
        ([flate(entries="/Decode [1 0]")], "Q", ""),
        ([jpeg(entries="/Decode [1 0]")], "Q", ""),
        ([flate(entries="/SMask 6 0 R"), flate(255 - sheet())], "Q", ""),
        ([flate()], "Q", "/CropBox [0 0 90 120]"),
        ([flate()], "Q q 9 9 40 40 re f Q", ""),
        (
            [flate()],
            "Q",
            "/Annots [<< /Type /Annot /Subtype /Square /Rect [9 9 99 99] /C [0] /IC [0] >>]",
        ),
    ],
    ids=["text", "two", "decode", "decode jpeg", "soft mask", "cropped", "path", "note"],
)
def test_a_page_that_is_more_than_its_scan_looks_as_drawn(images, content, page, tmp_path):
    data = pdf(*images, content=f"q {WIDE} 0 0 {HIGH} 0 0 cm /I0 Do {content}", page=page)
    read_page = read(data, tmp_path)
    assert close(read_page.pixels, shown(data, read_page.pixels.shape))
    assert not close(read_page.pixels, np.resize(sheet(), read_page.pixels.shape), 0.5)


def test_a_soft_mask_elsewhere_leaves_a_scan_a_scan(tmp_path):
    other = flate(255 - sheet(), "/SMask 5 0 R /Decode [1 0]")
    np.testing.assert_array_equal(read(pdf(flate(), other), tmp_path).pixels, sheet())


def test_a_slanted_scan_is_drawn(tmp_path):
    data = pdf(flate(), content="q 120 20 -20 80 30 10 cm /I0 Do Q")
    page = read(data, tmp_path)
    assert page.pixels.shape == (500, 750)
    assert page.dpi == 300
    assert close(page.pixels, shown(data, page.pixels.shape))


def test_a_page_of_nothing_is_white_paper(tmp_path):
    page = read(pdf(content=" "), tmp_path)
    assert page.pixels.shape == (500, 750)
    assert (page.pixels == 255).all()


@pytest.mark.parametrize("paint", ["0.5 g", "1 0 0 rg"])
def test_a_drawn_page_is_grey_where_it_has_no_colour_at_all(paint, tmp_path):
    speck = f"0.9 g 0 0 100 50 re f {paint} 70.1 40.1 0.3 0.3 re f"
    assert read(pdf(content=speck), tmp_path).pixels.ndim == (2 if paint == "0.5 g" else 3)


@pytest.mark.parametrize("shade", ["0.4 g", "0.8 0.1 0.3 rg"])
def test_a_page_without_its_colour_is_as_dark(shade, tmp_path):
    path = tmp_path / "document.pdf"
    for data in (pdf(content=f"{shade} 20 30 60 50 re f"), pdf(jpeg(np.dstack([sheet()] * 3)))):
        path.write_bytes(data)
        with open_document(path, OPTIONS) as document:
            whole, grey = document.page(0).pixels, document.page(0, grey=True).pixels
        assert grey.ndim == 2
        colourless = cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY) if whole.ndim == 3 else whole
        np.testing.assert_array_equal(grey, colourless)


def test_a_huge_page_is_drawn_smaller(tmp_path):
    data = pdf(content="BT /F 900 Tf 9 9 Td (12) Tj ET", size=(14_400, 14_400))
    page = read(data, tmp_path, IngestOptions(render_megapixels=1))
    assert page.pixels.shape == (1000, 1000)
    assert page.dpi is None


@pytest.mark.skipif(not Poppler.is_installed(), reason="poppler is not installed")
@pytest.mark.parametrize("rotation", [0, 90])
def test_poppler_draws_what_pdfium_draws(rotation, tmp_path):
    content = "20 30 40 50 re f 3 w 90 20 m 150 90 l S"
    data = pdf(content=content, page=f"/Rotate {rotation}", pages=2)
    ours = read(data, tmp_path)
    theirs = read(data, tmp_path, IngestOptions(renderer="poppler"), index=1)
    assert theirs.number == 2
    assert theirs.dpi == ours.dpi
    assert theirs.pixels.shape == ours.pixels.shape
    assert close(theirs.pixels, ours.pixels, 8)


# Damage


@pytest.mark.parametrize("make", [flate, jpeg, fax])
def test_a_pdf_cut_short_is_an_error_or_has_all_its_pixels(make, tmp_path):
    data = pdf(make())
    wanted = read(data, tmp_path).pixels
    for length in sorted({*np.linspace(0, len(data) - 1, 40, dtype=int), *range(-12, 0)}):
        try:
            pixels = read(data[:length], tmp_path).pixels
        except DocumentError:
            continue
        np.testing.assert_array_equal(pixels, wanted, err_msg=f"{length} of {len(data)} bytes")


def broken(image: bytes) -> bytes:
    """The image object with part of its data overwritten."""
    start = image.index(b"stream\n")
    middle = start + (len(image) - start) // 2
    return image[:middle] + b"\0\x01\xff\x0f" * 4 + image[middle + 16 :]


NOISE = np.random.default_rng(1).integers(0, 256, (240, 360), dtype=np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        broken(flate(NOISE)),
        broken(fax(NOISE)),
        picture(encode(NOISE, "JPEG")[:20_000] + b"\xff\xd9", f"{GREY} /Filter /DCTDecode"),
        picture(encode(NOISE, "JPEG2000")[:20_000], f"{GREY} /Filter /JPXDecode"),
        picture(NOISE.tobytes()[:40_000], GREY),
        picture(zlib.compress(NOISE.tobytes()[:40_000]), f"{GREY} /Filter /FlateDecode"),
    ],
    ids=["flate", "fax", "jpeg", "jpeg2000", "raw rows missing", "flate rows missing"],
)
@pytest.mark.parametrize("scan", [True, False])
def test_a_damaged_picture_is_an_error_on_any_page(image, scan, tmp_path):
    more = "" if scan else " BT /F 9 Tf (1) Tj ET"
    data = pdf(image, content=f"q {WIDE} 0 0 {HIGH} 0 0 cm /I0 Do Q{more}")
    with pytest.raises(DamagedFile):
        read(data, tmp_path)


def test_content_that_cannot_be_unpacked_is_no_blank_page(tmp_path):
    packed = bytearray(zlib.compress(b"20 30 40 50 re f " * 20 + b"9 9 40 50 re f " * 20))
    for place in range(len(packed)):
        flipped = packed.copy()
        flipped[place] ^= 0x41
        stream = f"<< /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode()
        whole, start = pdf(content="CONTENT"), b"<< /Length 7 >>\nstream\nCONTENT"
        try:
            page = read(whole.replace(start, stream + bytes(flipped)), tmp_path)
        except DamagedFile:
            continue
        assert (page.pixels < 255).any(), place


def test_a_page_whose_lzw_content_cannot_be_unpacked_is_damaged(tmp_path):
    """Else it would be read as a blank page; a blank page that is packed so is one."""
    plain, stream = pdf(content="CONTENT"), b"<< /Length 7 >>\nstream\nCONTENT"
    packed = bytes.fromhex("80 08 04 02 01 04 04")  # clear, four blanks, end
    for data, damaged in ((packed, False), (zlib.compress(b"0 0 m 9 9 l S"), True)):
        head = b"<< /Filter /LZWDecode /Length %d >>\nstream\n" % len(data)
        whole = plain.replace(stream, head + data)
        if damaged:
            with pytest.raises(DamagedFile):
                read(whole, tmp_path)
        else:
            assert (read(whole, tmp_path).pixels == 255).all()


def test_few_bits_a_pixel_are_no_missing_rows(tmp_path):
    packed = zlib.compress(np.full((240, 180), 0x0F, np.uint8).tobytes())
    entries = "/ColorSpace /DeviceGray /BitsPerComponent 4 /Filter /FlateDecode"
    page = read(pdf(picture(packed, entries)), tmp_path)
    np.testing.assert_array_equal(page.pixels[:, :4], [[0, 255, 0, 255]] * 240)


def test_a_password_is_asked_for_only_where_one_is(tmp_path):
    if not FAULTS.is_dir():
        pytest.skip("needs ../shared/data/faults")
    secret, junk = FAULTS / "pdfium" / "encrypted.pdf", tmp_path / "junk.pdf"
    junk.write_bytes(b"%PDF-1.4 nothing more\nstartxref\n0\n%%EOF")
    for path, error in ((secret, EncryptedFile), (junk, DamagedFile)) * 2:
        with pytest.raises(error), open_document(path, OPTIONS):
            pass


def test_limits_hold_for_pages_and_for_pictures_on_them(tmp_path):
    with pytest.raises(TooLarge, match="pages"):
        read(pdf(flate(), pages=3), tmp_path, IngestOptions(max_pages=2))
    with pytest.raises(TooLarge, match="360 x 240"):
        read(pdf(flate()), tmp_path, IngestOptions(max_megapixels=0.05))
    bomb = picture(b"", f"{GREY} /Filter /FlateDecode", (60_000, 60_000))
    with pytest.raises(TooLarge, match="60000 x 60000"):
        read(pdf(bomb), tmp_path)


def test_a_pdf_without_pages_is_empty(tmp_path):
    with pytest.raises((EmptyFile, DamagedFile)):
        read(pdf(pages=0), tmp_path)


@pytest.mark.skipif(not FAULTS.is_dir(), reason="needs ../shared/data/faults")
def test_hostile_files_give_pages_or_sentences():
    """In a process with limits: nothing but DocumentError comes out, and cut files are errors."""
    script = """
import resource, signal
from pathlib import Path
import sys
from digitocr.errors import DocumentError
from digitocr.ingest import find_documents, open_document
from digitocr.recipe import IngestOptions

resource.setrlimit(resource.RLIMIT_AS, (4_000_000_000,) * 2)
options = IngestOptions(render_dpi=60)
for source in find_documents([sys.argv[1]]).documents:
    if source.file == "synthetic/forms_billion_laughs.pdf":
        continue  # hangs inside pdfium: a matter for the worker's time limit
    signal.alarm(20)
    try:
        with open_document(source.path, options) as document:
            for index in range(min(2, document.page_count)):
                page = document.page(index)
                assert page.pixels.dtype.name == "uint8" and page.pixels.size, source.file
        print("ok", source.file)
    except DocumentError as error:
        assert str(error), source.file
        print("error", source.file)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(FAULTS)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    outcomes = [line.split(" ", 1) for line in run.stdout.splitlines()]
    assert len(outcomes) == 294
    for outcome, file in outcomes:
        name = file.rpartition("/")[2]
        if name.startswith(("trunc_", "zero.", "bomb_", "badcrc", "random.", "html_")):
            assert outcome == "error", file
        # The last Pillow for Python 3.10 cannot read raw YCbCr in a TIFF.
        old = name == "mode_YCbCr.tif" and int(PIL.__version__.partition(".")[0]) < 13
        if name.startswith(("mode_", "exif_orient_", "dpi_", "rotate_")) and not old:
            assert outcome == "ok", file


@pytest.mark.skipif(not Poppler.is_installed(), reason="poppler is not installed")
def test_a_folder_for_temporary_files_that_is_not_there_is_not_the_documents_fault(
    tmp_path, monkeypatch
):
    """As in a container whose root cannot be written: another run may read it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(UnreadableFile, match="TMPDIR"):
        read(pdf(), tmp_path, IngestOptions(renderer="poppler"))
