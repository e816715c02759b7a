"""Files become upright pages with the right pixels, or a sentence that says why not."""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from digitocr.errors import (
    DamagedFile,
    DocumentError,
    EmptyFile,
    InputMissing,
    TooLarge,
    UnreadableFile,
    UnsupportedFile,
)
from digitocr.formats import modes
from digitocr.ingest import find_documents, open_document
from digitocr.recipe import IngestOptions
from digitocr.types import Page

OPTIONS = IngestOptions()
ORIENTATION, PHOTOMETRIC, SUBFILE = 274, 262, 254
# What an EXIF orientation of 1 to 8 asks a viewer to do, undone.
STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: lambda p: np.rot90(p, -1),
}


def sheet(height: int = 90, width: int = 140) -> NDArray[np.uint8]:
    """A grey picture without any symmetry, its shades a ramp, with black and white blocks."""
    rows, columns = np.mgrid[:height, :width]
    pixels = ((rows * 3 + columns) % 256).astype(np.uint8)
    pixels[8:24, 8:64] = 0
    pixels[40:72, 16:32] = 255
    return pixels


def colours() -> NDArray[np.uint8]:
    grey = sheet()
    return np.stack([grey, grey[::-1], grey[:, ::-1]], axis=2)


def blocks() -> NDArray[np.uint8]:
    """A picture of flat 16-pixel blocks, which even JPEG keeps to a few shades."""
    shades = np.array([[0, 60, 120, 255, 200], [255, 0, 30, 90, 255], [10, 255, 160, 0, 80]])
    return np.kron(shades, np.ones((16, 16))).astype(np.uint8)


def encode(pixels: NDArray[np.uint8] | Image.Image, kind: str, **settings: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def bilevel() -> Image.Image:
    return Image.fromarray(sheet() > 100)


def read(data: bytes, folder: Path, options: IngestOptions = OPTIONS, index: int = 0) -> Page:
    path = folder / "document"
    path.write_bytes(data)
    with open_document(path, options) as document:
        return document.page(index)


# Formats and modes


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("PPM", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG2000", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
    ],
)
@pytest.mark.parametrize("draw", [sheet, colours])
def test_every_lossless_format_gives_the_same_pixels(kind, settings, draw, tmp_path):
    draw = sheet if kind == "GIF" else draw  # a GIF has 256 colours
    page = read(encode(draw(), kind, **settings), tmp_path)
    assert page.number == 1
    assert page.pixels.dtype == np.uint8
    np.testing.assert_array_equal(page.pixels, draw())


@pytest.mark.parametrize("compression", ["group4", "group3", "raw", "tiff_lzw"])
def test_one_bit_becomes_black_and_white(compression, tmp_path):
    page = read(encode(bilevel(), "TIFF", compression=compression), tmp_path)
    np.testing.assert_array_equal(page.pixels, np.where(sheet() > 100, 255, 0))


@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("draw", [sheet, colours])
def test_jpeg_gives_what_libjpeg_decodes(draw, settings, tmp_path):
    data = encode(draw(), "JPEG", quality=90, **settings)
    np.testing.assert_array_equal(
        read(data, tmp_path).pixels, np.asarray(Image.open(io.BytesIO(data)))
    )


needs_pillow_13 = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13,
    reason="the last Pillow for Python 3.10 cannot read the raw YCbCr TIFF that it writes",
)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *(("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *(("TIFF", mode) for mode in ("CMYK", "F")),
        pytest.param("TIFF", "YCbCr", marks=needs_pillow_13),
    ],
)
def test_grey_in_any_mode_is_the_same_grey(kind, mode, tmp_path):
    wanted = np.where(sheet() > 100, 255, 0).astype(np.uint8) if mode == "1" else sheet()
    if mode == "I;16":
        image = Image.fromarray(wanted.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(wanted).convert(mode)
    pixels = read(encode(image, kind), tmp_path).pixels
    assert pixels.ndim == 2, "a colour picture that is grey may travel as grey"
    assert np.abs(pixels.astype(int) - wanted).max() <= (1 if mode == "YCbCr" else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind, tmp_path):
    deep = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    pixels = read(encode(Image.fromarray(deep), kind), tmp_path).pixels
    np.testing.assert_array_equal(pixels, np.rint(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("shades", [sheet(), sheet().astype(np.uint16) * 257])
def test_a_tiff_whose_zero_is_white_reads_like_one_whose_zero_is_black(shades, tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[PHOTOMETRIC] = 0
    data = encode(Image.fromarray(shades), "TIFF", tiffinfo=tags)
    stored = Image.open(io.BytesIO(data)).tag_v2[PHOTOMETRIC]
    assert stored == 0
    pixels = read(data, tmp_path).pixels
    # Pillow writes 8 bits inverted to fit the tag, and 16 bits as they are.
    wanted = sheet() if shades.dtype == np.uint8 else 255 - sheet()
    np.testing.assert_array_equal(pixels, wanted)


def test_floating_point_beyond_shades_is_refused(tmp_path):
    with pytest.raises(UnsupportedFile, match="8 or 16 bits"):
        read(encode(Image.fromarray(sheet().astype(np.float32) * 9 - 5), "TIFF"), tmp_path)


def test_alpha_lies_on_white_paper(tmp_path):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, 2:4] = (200, 100, 0, 128)
    pixels[:, 4:] = (200, 100, 0, 255)
    page = read(encode(pixels, "PNG"), tmp_path)
    np.testing.assert_array_equal(page.pixels[0, ::2], [[255] * 3, [227, 177, 127], [200, 100, 0]])


def test_a_transparent_palette_colour_is_paper(tmp_path):
    image = Image.new("P", (3, 2))
    image.putpalette([0, 0, 0, 50, 50, 50, 99, 99, 99])
    image.putdata([0, 1, 2, 0, 1, 2])
    page = read(encode(image, "PNG", transparency=0), tmp_path)
    np.testing.assert_array_equal(page.pixels[0], [255, 50, 99])


def test_cmyk_jpeg_is_inverted_only_where_adobe_says_so(tmp_path):
    inks = Image.fromarray(np.dstack([blocks()] * 3 + [np.zeros_like(blocks())]), "CMYK")
    data = encode(inks, "JPEG", quality=95)
    start = data.index(b"\xff\xee")
    plain = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]
    adobe = read(data, tmp_path).pixels.astype(int)
    assert np.abs(adobe - (255 - blocks())).max() < 12
    assert np.abs(adobe - read(plain, tmp_path).pixels).mean() > 50


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_applied(kind, orientation, tmp_path):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](blocks())))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    settings = {"TIFF": {"tiffinfo": {ORIENTATION: orientation}}, "PNG": {"exif": exif}}
    lossy = {"JPEG": {"quality": 95, "exif": exif}, "WEBP": {"lossless": True, "exif": exif}}
    page = read(encode(stored, kind, **(settings | lossy)[kind]), tmp_path)
    assert page.pixels.shape == blocks().shape
    assert np.abs(page.pixels.astype(int) - blocks()).max() < 12


# Pages


def test_every_page_of_a_tiff_is_read_in_any_order(tmp_path):
    pages = [np.roll(sheet(), step, axis=1) for step in range(4)]
    images = [Image.fromarray(page) for page in pages]
    path = tmp_path / "fax.tif"
    path.write_bytes(encode(images[0], "TIFF", save_all=True, append_images=images[1:]))
    with open_document(path, OPTIONS) as document:
        assert document.page_count == 4
        for index in (0, 1, 3, 2, 2, 0):
            page = document.page(index)
            assert page.number == index + 1
            np.testing.assert_array_equal(page.pixels, pages[index])
        for index in (-1, 4):
            with pytest.raises(IndexError):
                document.page(index)


def test_a_turned_tiff_page_reads_the_same_twice(tmp_path):
    data = encode(np.ascontiguousarray(STORED[6](sheet())), "TIFF", tiffinfo={ORIENTATION: 6})
    path = tmp_path / "turned.tif"
    path.write_bytes(data)
    with open_document(path, OPTIONS) as document:
        for _ in range(2):
            np.testing.assert_array_equal(document.page(0).pixels, sheet())


def test_thumbnails_are_no_pages(tmp_path):
    small = Image.fromarray(sheet()[::4, ::4])
    small.encoderinfo = {"tiffinfo": {SUBFILE: 1}}
    data = encode(sheet(), "TIFF", save_all=True, append_images=[small])
    path = tmp_path / "preview.tif"
    path.write_bytes(data)
    with open_document(path, OPTIONS) as document:
        assert document.page_count == 1


def test_a_damaged_page_leaves_the_others_readable(tmp_path):
    images = [Image.fromarray(np.roll(sheet(), step, axis=1)) for step in range(3)]
    settings = {"compression": "tiff_lzw", "save_all": True, "append_images": images[1:]}
    data = bytearray(encode(images[0], "TIFF", **settings))
    picture = Image.open(io.BytesIO(bytes(data)))
    picture.seek(1)
    strip = picture.tag_v2[273][0]
    data[strip + 40 : strip + 400] = b"\xff" * 360
    path = tmp_path / "fax.tif"
    path.write_bytes(bytes(data))
    with open_document(path, OPTIONS) as document:
        assert document.page_count == 3
        np.testing.assert_array_equal(document.page(0).pixels, sheet())
        with pytest.raises(DamagedFile):
            document.page(1)
        np.testing.assert_array_equal(document.page(2).pixels, np.asarray(images[2]))


def test_the_digest_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(sheet(), "PNG"))
    with open_document(path, OPTIONS) as document:
        assert document.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


# Resolution


@pytest.mark.parametrize(
    ("width", "dpi", "wanted"),
    [
        (2480, (300, 300), 300),
        (2480, (72, 72), None),  # 34 inches: a program that knew nothing
        (640, (96, 96), 96),  # a cheque
        (200, (96, 96), None),  # two inches at a default
        (2480, (1, 1), None),
        (2480, (9600, 9600), None),
        (2480, None, None),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_resolution_is_believed_where_a_sheet_of_paper_has_it(kind, width, dpi, wanted, tmp_path):
    pixels = np.full((100, width), 255, np.uint8)
    page = read(encode(pixels, kind, **({"dpi": dpi} if dpi else {})), tmp_path)
    assert page.pixels.shape == (100, width)
    assert page.dpi == (None if wanted is None else pytest.approx(wanted, abs=0.5))


@pytest.mark.parametrize("turned", [False, True])
def test_oblong_fax_pixels_become_square(turned, tmp_path):
    tags = {ORIENTATION: 6} if turned else {}
    fax = encode(np.full((1000, 1728), 255, np.uint8), "TIFF", dpi=(204, 98), tiffinfo=tags)
    page = read(fax, tmp_path)
    assert page.pixels.shape == ((1728, 2082) if turned else (2082, 1728))
    assert page.dpi == pytest.approx(204)


# Damage

WHOLE = {
    "png": encode(sheet(), "PNG"),
    "jpeg": encode(sheet(), "JPEG", quality=90),
    "jpeg-progressive": encode(sheet(), "JPEG", quality=90, progressive=True),
    "jpeg2000": encode(sheet(), "JPEG2000"),
    "jpeg2000-lossy": encode(sheet(), "JPEG2000", irreversible=True, quality_layers=[10]),
    "webp": encode(sheet(), "WEBP"),
    "bmp": encode(sheet(), "BMP"),
    "gif": encode(sheet(), "GIF"),
    "ppm": encode(sheet(), "PPM"),
    "tiff": encode(sheet(), "TIFF"),
    "tiff-lzw": encode(sheet(), "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encode(sheet(), "TIFF", compression="jpeg"),
    "tiff-group4": encode(bilevel(), "TIFF", compression="group4"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_short_is_an_error_or_has_all_its_pixels(name, tmp_path):
    data = WHOLE[name]
    wanted = read(data, tmp_path).pixels
    for length in sorted({*np.linspace(0, len(data) - 1, 40, dtype=int), *range(-12, 0)}):
        try:
            pixels = read(data[:length], tmp_path).pixels
        except DocumentError:
            continue
        np.testing.assert_array_equal(pixels, wanted, err_msg=f"{length} of {len(data)} bytes")


def test_a_tiff_cut_within_its_resolution_is_damaged(tmp_path):
    """All its pixels are there, and would have the wrong shape."""
    data = encode(bilevel(), "TIFF", compression="group4", dpi=(204, 98))
    shape = read(data, tmp_path).pixels.shape
    for length in range(len(data) - 40, len(data)):
        try:
            assert read(data[:length], tmp_path).pixels.shape == shape, length
        except DamagedFile:
            continue


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"])
def test_large_pictures_are_converted_in_strips_like_small_ones_at_once(mode, monkeypatch):
    shown = Image.fromarray(colours())
    picture = shown.convert(mode) if mode != "LAB" else Image.frombytes(
        "LAB", shown.size, shown.tobytes()
    )  # fmt: skip
    whole = modes.to_uint8(picture)
    for pixels in (1, 1000, 5000):
        monkeypatch.setattr(modes, "_STRIP", pixels)
        np.testing.assert_array_equal(modes.to_uint8(picture), whole)


@pytest.mark.parametrize("name", ["png", "tiff-lzw", "tiff-group4", "jpeg", "webp", "gif"])
def test_flipped_bits_raise_nothing_but_document_errors(name, tmp_path):
    random = np.random.default_rng(7)
    for _ in range(60):
        data = bytearray(WHOLE[name])
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        try:
            pixels = read(bytes(data), tmp_path).pixels
        except DocumentError:
            continue
        assert pixels.dtype == np.uint8
        if name == "png":  # every byte of one stands under a checksum
            np.testing.assert_array_equal(pixels, read(WHOLE[name], tmp_path).pixels)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_whose_middle_is_missing_is_damaged(progressive, tmp_path):
    data = encode(sheet(400, 400), "JPEG", quality=90, progressive=progressive)
    with pytest.raises(DamagedFile):
        read(data[: len(data) // 2] + b"\xff\xd9", tmp_path)


def test_a_jpeg_without_its_end_mark_alone_is_whole(tmp_path):
    np.testing.assert_array_equal(
        read(WHOLE["jpeg"][:-2], tmp_path).pixels, read(WHOLE["jpeg"], tmp_path).pixels
    )


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive"])
def test_what_a_phone_appends_to_a_jpeg_is_passed_over(name, tmp_path):
    film = b"\xff\xda\xff\xc0 film"
    np.testing.assert_array_equal(
        read(WHOLE[name] + film, tmp_path).pixels, read(WHOLE[name], tmp_path).pixels
    )
    with pytest.raises(DamagedFile):
        read(WHOLE[name][: len(WHOLE[name]) // 2] + film, tmp_path)


def test_a_group4_strip_with_a_bad_code_is_damaged(tmp_path):
    data = bytearray(WHOLE["tiff-group4"])
    middle = len(data) // 2
    data[middle : middle + 12] = bytes(12)
    with pytest.raises(DamagedFile):
        read(bytes(data), tmp_path)


@pytest.mark.parametrize("data", [b"<html>not a scan</html>", b"%!PS", b"GIF8", os.urandom(500)])
def test_what_is_no_picture_is_refused(data, tmp_path):
    with pytest.raises(DocumentError):
        read(data, tmp_path)


def test_the_name_does_not_matter(tmp_path):
    path = tmp_path / "scan.pdf"
    path.write_bytes(encode(sheet(), "PNG"))
    with open_document(path, OPTIONS) as document:
        np.testing.assert_array_equal(document.page(0).pixels, sheet())


def test_decoders_stay_silent_and_change_nothing_global(tmp_path, capfd):
    limit, open_files = Image.MAX_IMAGE_PIXELS, len(list(Path("/dev/fd").iterdir()))
    for data in WHOLE.values():
        for part in (data, data[: len(data) * 2 // 3]):
            try:
                read(part, tmp_path)
            except DocumentError as error:
                assert len(str(error)) > 20
    os.write(2, b"still there")
    assert capfd.readouterr() == ("", "still there")
    assert limit == Image.MAX_IMAGE_PIXELS
    assert open_files == len(list(Path("/dev/fd").iterdir()))


# Limits


def test_a_picture_beyond_the_limit_is_refused_from_its_header(tmp_path):
    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return len(body).to_bytes(4, "big") + name + body + check.to_bytes(4, "big")

    header = (50_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))
    with pytest.raises(TooLarge, match="50000 x 50000"):
        read(bomb + chunk(b"IEND", b""), tmp_path)


def test_limits_are_those_of_the_options(tmp_path):
    data = encode(sheet(), "TIFF", save_all=True, append_images=[Image.fromarray(sheet())] * 2)
    for options in (
        IngestOptions(max_pages=2),
        IngestOptions(max_megapixels=0.01),
        IngestOptions(max_megabytes=0.02),
    ):
        with pytest.raises(TooLarge, match="pipeline file"):
            read(data, tmp_path, options)
    assert read(data, tmp_path, IngestOptions(max_pages=3)).number == 1


# Files


def test_folders_are_walked_in_byte_order_without_hidden_and_side_files(tmp_path):
    picture = encode(sheet(), "PNG")
    for name in ("b.png", "B.PNG", "a/z.tif", "a/ä.jpg", "a.pdf", ".hidden.png", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture)
    (tmp_path / "labels.csv").write_text("file,page\n")
    (tmp_path / "picture.txt").write_bytes(picture)
    (tmp_path / "broken.doc").write_bytes(b"?")
    found = find_documents([tmp_path])
    assert [source.file for source in found.documents] == [
        *("B.PNG", "a.pdf", "a/z.tif", "a/ä.jpg", "b.png", "broken.doc", "picture.txt")
    ]
    assert [source.file for source in found.skipped] == ["labels.csv"]
    assert all(source.path.is_file() for source in found.documents)


def test_a_named_file_is_always_a_document_and_stands_once(tmp_path):
    (tmp_path / "labels.csv").write_text("file,page\n")
    (tmp_path / "a.png").write_bytes(encode(sheet(), "PNG"))
    named = tmp_path / "labels.csv"
    found = find_documents([str(named), tmp_path, named, tmp_path / ".." / tmp_path.name])
    assert [source.file for source in found.documents] == ["labels.csv", "a.png"]
    assert found.skipped == ()


def test_a_missing_input_is_told_before_any_is_read(tmp_path):
    with pytest.raises(InputMissing, match=r"nowhere\.pdf"):
        find_documents([tmp_path, tmp_path / "nowhere.pdf"])


def test_no_inputs_no_documents(tmp_path):
    assert find_documents([]).documents == ()
    assert find_documents([tmp_path]).documents == ()


def test_links_in_folders_are_rows_and_not_followed(tmp_path):
    (tmp_path / "real.png").write_bytes(encode(sheet(), "PNG"))
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "link.png").symlink_to(tmp_path / "real.png")
    (inbox / "dangling.png").symlink_to(tmp_path / "gone.png")
    (inbox / "loop").symlink_to(inbox)
    found = find_documents([inbox])
    assert [source.file for source in found.documents] == ["dangling.png", "link.png"]
    assert [source.file for source in found.skipped] == ["loop"]
    for source in found.documents:
        with (
            pytest.raises(UnreadableFile, match="link"),
            open_document(source.path, OPTIONS),
        ):
            pass


def test_a_named_link_is_followed(tmp_path):
    (tmp_path / "real.png").write_bytes(encode(sheet(), "PNG"))
    (tmp_path / "today.png").symlink_to("real.png")
    (source,) = find_documents([tmp_path / "today.png"]).documents
    assert source.file == "today.png"
    with open_document(source.path, OPTIONS) as document:
        assert document.page_count == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_a_pipe_is_a_row_and_never_a_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdf")
    os.mkfifo(tmp_path / "pipe.csv")
    found = find_documents([tmp_path])
    assert [source.file for source in found.documents] == ["pipe.csv", "pipe.pdf"]
    for source in found.documents:
        with pytest.raises(UnreadableFile), open_document(source.path, OPTIONS):
            pass


def test_empty_and_forbidden_files_say_so(tmp_path):
    path = tmp_path / "scan.pdf"
    path.touch()
    with pytest.raises(EmptyFile), open_document(path, OPTIONS):
        pass
    with pytest.raises(UnreadableFile), open_document(tmp_path, OPTIONS):
        pass
    with pytest.raises(UnreadableFile), open_document(tmp_path / "gone", OPTIONS):
        pass
    if os.geteuid() != 0:
        path.chmod(0)
        with pytest.raises(UnreadableFile), open_document(path, OPTIONS):
            pass


def test_names_that_are_no_utf8_can_be_written_down(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"scan\xff \xc3\xa4.png")).write_bytes(encode(sheet(), "PNG"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (source,) = find_documents([tmp_path]).documents
    assert source.file == "scan%FF ä.png"
    source.file.encode("utf-8")
    with open_document(source.path, OPTIONS) as document:
        assert document.page_count == 1
