"""Broken files by the thousand through every decoder, in worker processes, as extract reads them.

    make fuzz                  ten minutes for each decoder
    make fuzz SECONDS=60
    python tests/fuzz.py --decoder jpeg --seconds 60 --seed 7

Small files that are made here are mutated: bits and bytes changed, ends cut off, parts doubled,
lost or taken from another file, and lies told where a header has its numbers. It ends with status
1, and keeps the input, where one of them does more than fail as one document: a fault in our own
code, a worker that is not replaced, an answer that never comes, memory or open files that add up.
A decoder that crashes or hangs within its limits costs its document and is counted, and its input
kept for whoever mends the decoder. Without instrumented decoders there is no coverage to steer by,
so that the mutations are plain; their seed makes them repeatable.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, TimeoutError
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from digitocr.engines.local import Workers, outcome
from digitocr.errors import DocumentError, TimedOut, WorkerCrashed
from digitocr.ingest import open_document
from digitocr.recipe import IngestOptions, LimitOptions

Seeds = dict[str, bytes]  # by name
Seen = tuple[int, int, int]  # pages read, megabytes and open files of the worker afterwards

JOBS = 2
WINDOW = 8  # inputs under way for each worker
DOCUMENT_SECONDS = 20.0  # a decoder that takes longer hangs
PATIENCE = 120.0  # seconds until an answer is given up; a worker is ended long before
MOST_MEGABYTES = 900  # that a worker may keep once a small document is done
MOST_FILES = 64  # that it may keep open
KEPT = 20  # inputs of each kind and decoder
EDGES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


# Seeds


def paper(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Strokes on paper with a grain, the same every time."""
    rng = np.random.default_rng(5)
    pixels = rng.integers(225, 255, (size[1], size[0]), np.uint8)
    for left in range(6, size[0] - 8, 14):
        pixels[10:-10, left : left + 3] = rng.integers(0, 60)
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a picture file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpegs() -> Seeds:
    grey = paper()
    rgb = grey.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey": saved(grey, "JPEG"),
        "colour": saved(rgb, "JPEG", dpi=(200, 200), exif=exif),
        "progressive": saved(rgb, "JPEG", progressive=True, restart_marker_blocks=4),
        "cmyk": saved(grey.convert("CMYK"), "JPEG"),
    }


def pngs() -> Seeds:
    grey = paper()
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return {
        "grey": saved(grey, "PNG", dpi=(300, 300)),
        "bits": saved(grey.convert("1"), "PNG"),
        "palette": saved(grey.convert("P"), "PNG", transparency=0),
        "alpha": saved(grey.convert("RGBA"), "PNG"),
        "deep": saved(deep, "PNG"),
    }


def tiffs() -> Seeds:
    grey = paper()
    bits, rgb = grey.convert("1"), grey.convert("RGB")
    more = {"save_all": True, "append_images": [bits, bits]}
    return {
        "g4": saved(bits, "TIFF", compression="group4", dpi=(204, 98)),
        "g3": saved(bits, "TIFF", compression="group3"),
        "lzw": saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflate": saved(grey, "TIFF", compression="tiff_adobe_deflate"),
        "packbits": saved(bits, "TIFF", compression="packbits"),
        "jpeg": saved(rgb, "TIFF", compression="jpeg"),
        "raw": saved(grey, "TIFF"),
        "pages": saved(bits, "TIFF", compression="group4", **more),
    }


def jpeg2000s() -> Seeds:
    rgb = paper().convert("RGB")
    return {
        "jp2": saved(rgb, "JPEG2000"),
        "codestream": saved(paper(), "JPEG2000", no_jp2=True),
        "lossy": saved(rgb, "JPEG2000", irreversible=True, quality_layers=[20, 5]),
        "tiles": saved(rgb, "JPEG2000", tile_size=(32, 32)),
    }


def bmps() -> Seeds:
    return {mode: saved(paper().convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")}


def webps() -> Seeds:
    rgba = paper().convert("RGBA")
    more = {"save_all": True, "append_images": [rgba.rotate(90), rgba]}
    return {
        "lossy": saved(rgba.convert("RGB"), "WEBP"),
        "lossless": saved(rgba, "WEBP", lossless=True),
        "frames": saved(rgba, "WEBP", **more),
    }


def gifs() -> Seeds:
    grey = paper()
    more = {"save_all": True, "append_images": [grey.rotate(180), grey]}
    return {
        "one": saved(grey, "GIF"),
        "plain": saved(grey, "GIF", interlace=0),
        "frames": saved(grey, "GIF", **more),
    }


def pnms() -> Seeds:
    grey = paper((24, 16))
    numbers = " ".join(map(str, np.asarray(grey).ravel()))
    bits = " ".join(str(int(value < 128)) for value in np.asarray(grey).ravel())
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return {
        "bitmap": saved(grey.convert("1"), "PPM"),
        "grey": saved(grey, "PPM"),
        "colour": saved(grey.convert("RGB"), "PPM"),
        "deep": saved(deep, "PPM"),
        "plain bitmap": f"P1\n24 16\n{bits}\n".encode(),
        "plain grey": f"P2\n# written by hand\n24 16\n255\n{numbers}\n".encode(),
    }


def pdf(*streams: tuple[bytes, bytes], resources: bytes = b"", packed: bool = False) -> bytes:
    """A PDF of one page; streams: dictionary and data, the last one is what the page shows.

    packed: its objects in an object stream, found by a cross-reference stream.
    """
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 48]/Resources<<%s>>/Contents %d 0 R>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        page % (resources, 3 + len(streams)),
        *(b"<<%s/Length %d>>stream\n%s\nendstream" % (d, len(s), s) for d, s in streams),
    ]
    if packed:
        return _packed(objects)
    out, places = b"%PDF-1.4\n", []
    for number, data in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, data)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    tail = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table) + tail


def _packed(objects: list[bytes]) -> bytes:
    """The first three objects in an object stream, as newer programs write them."""
    inner, heads = b"", b""
    for number, data in enumerate(objects[:3], 1):
        heads += b"%d %d " % (number, len(inner))
        inner += data + b" "
    holder = len(objects) + 1
    stream = zlib.compress(heads + inner)
    outer = {
        **dict(enumerate(objects[3:], 4)),
        holder: b"<</Type/ObjStm/N 3/First %d/Filter/FlateDecode/Length %d>>stream\n%s\nendstream"
        % (len(heads), len(stream), stream),
    }
    out, rows = b"%PDF-1.5\n", {k: (2, holder, k - 1) for k in (1, 2, 3)}
    for number, data in outer.items():
        rows[number] = (1, len(out), 0)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, data)
    rows[holder + 1] = (1, len(out), 0)
    entries = [(0, 0, 255), *(rows[k] for k in sorted(rows))]
    table = zlib.compress(b"".join(struct.pack(">BIB", *row) for row in entries))
    head = b"<</Type/XRef/Size %d/W[1 4 1]/Root 1 0 R/Filter/FlateDecode/Length %d>>"
    cross = b"%d 0 obj\n" % (holder + 1) + head % (len(entries), len(table))
    start = len(out)
    return out + cross + b"stream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (table, start)


def pictured(entries: bytes, data: bytes, *, packed: bool = False) -> bytes:
    """A PDF whose page is one picture of 96 by 64 pixels."""
    head = b"/Type/XObject/Subtype/Image/Width 96/Height 64" + entries
    shows = (b"", b"q 72 0 0 48 0 0 cm /I Do Q")
    return pdf((head, data), shows, resources=b"/XObject<</I 4 0 R>>", packed=packed)


def scanned_pdfs() -> Seeds:
    """Pages that are one picture, which is taken out."""
    grey = paper()
    rgb, bits = grey.convert("RGB"), grey.convert("1")
    fax = Image.open(io.BytesIO(saved(bits, "TIFF", compression="group4")))
    strip = fax.tag_v2[273][0]  # type: ignore[attr-defined]
    g4 = fax.fp.getvalue()[strip : strip + fax.tag_v2[279][0]]  # type: ignore[attr-defined,union-attr]
    eight = b"/ColorSpace/DeviceGray/BitsPerComponent 8"
    colour = b"/ColorSpace/DeviceRGB/BitsPerComponent 8"
    one = b"/ColorSpace/DeviceGray/BitsPerComponent 1"
    faxed = one + b"/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns 96/Rows 64>>"
    flate = zlib.compress(rgb.tobytes())
    return {
        "jpeg": pictured(colour + b"/Filter/DCTDecode", saved(rgb, "JPEG")),
        "jpeg2000": pictured(colour + b"/Filter/JPXDecode", saved(rgb, "JPEG2000")),
        "flate": pictured(colour + b"/Filter/FlateDecode", flate, packed=True),
        "hex": pictured(eight + b"/Filter/ASCIIHexDecode", grey.tobytes().hex().encode() + b">"),
        "fax": pictured(faxed, g4),
        "raw bits": pictured(one, bits.tobytes()),
    }


def drawn_pdfs() -> Seeds:
    """Pages that are drawn: text, lines, a form, a shading, a picture with a mask."""
    text = b"BT /F 20 Tf 8 16 Td (0123456789) Tj ET 0 0 m 72 48 l S 4 4 20 30 re f"
    font = b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 72 48]/Resources<<" + font + b">>"
    nested = b"/XObject<</I 4 0 R>>"
    shading = b"/Shading<</S<</ShadingType 2/ColorSpace/DeviceRGB/Coords[0 0 72 48]/Function"
    shading += b"<</FunctionType 2/Domain[0 1]/C0[1 0 0]/C1[0 0 1]/N 1>>>>>>"
    head = b"/Type/XObject/Subtype/Image/Width 96/Height 64/BitsPerComponent 1/ImageMask true"
    mask = (head, paper().convert("1").tobytes())
    inline = (
        b"q 60 0 0 40 4 4 cm BI /W 4 /H 2 /BPC 8 /CS /G ID \x00\x20\x40\x60\x80\xa0\xc0\xe0 EI Q"
    )
    return {
        "text": pdf((b"", text), resources=font),
        "packed": pdf((b"/Filter/FlateDecode", zlib.compress(text)), resources=font, packed=True),
        "form": pdf((form, text), (b"", b"q .5 0 0 .5 9 9 cm /I Do Q /I Do"), resources=nested),
        "shading": pdf((b"", b"/S sh"), resources=shading),
        "mask": pdf(mask, (b"", b"0 0 1 rg q 60 0 0 40 5 5 cm /I Do Q"), resources=nested),
        "inline": pdf((b"", inline)),
    }


DECODERS: dict[str, tuple[Callable[[], Seeds], IngestOptions]] = {
    "jpeg": (jpegs, IngestOptions()),
    "png": (pngs, IngestOptions()),
    "tiff": (tiffs, IngestOptions()),
    "jpeg2000": (jpeg2000s, IngestOptions()),
    "bmp": (bmps, IngestOptions()),
    "webp": (webps, IngestOptions()),
    "gif": (gifs, IngestOptions()),
    "pnm": (pnms, IngestOptions()),
    "pdf-scanned": (scanned_pdfs, IngestOptions()),
    "pdf-drawn": (drawn_pdfs, IngestOptions()),
    "pdf-poppler": (drawn_pdfs, replace(IngestOptions(), renderer="poppler")),
}


# Mutations


def mutated(seeds: Seeds, rng: random.Random) -> bytes:
    """One of the seeds, changed once or a few times."""
    data = bytearray(rng.choice(list(seeds.values())))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(CHANGES)(data, rng, seeds)
    if data.startswith(b"\x89PNG") and rng.random() < 0.7:  # else no decoder looks further
        data = _checked_png(data)
    return bytes(data)


def _bits(data: bytearray, rng: random.Random, _: Seeds) -> None:
    for _ in range(rng.choice((1, 1, 4, 32)) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random, _: Seeds) -> None:
    start = rng.randrange(len(data) + 1)
    data[start : start + rng.choice((1, 2, 16))] = rng.randbytes(rng.choice((1, 2, 16)))


def _cut(data: bytearray, rng: random.Random, _: Seeds) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _lose(data: bytearray, rng: random.Random, _: Seeds) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 4, 64, 512))]


def _double(data: bytearray, rng: random.Random, _: Seeds) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.choice((4, 64, 512))] * rng.choice((1, 2, 50))


def _splice(data: bytearray, rng: random.Random, seeds: Seeds) -> None:
    other = rng.choice(list(seeds.values()))
    data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other)) :]


def _lie(data: bytearray, rng: random.Random, _: Seeds) -> None:
    """A number of one, two or four bytes, mostly near the beginning."""
    form = rng.choice(("B", "<H", ">H", "<I", ">I"))
    size = struct.calcsize(form)
    room = len(data) - size
    if room >= 0:
        place = rng.randrange(min(room, rng.choice((64, 512, room))) + 1)
        struct.pack_into(form, data, place, rng.choice(EDGES) & (1 << 8 * size) - 1)


def _lie_in_words(data: bytearray, rng: random.Random, _: Seeds) -> None:
    """A number that is written out, as in PDF and PNM."""
    numbers = list(re.finditer(rb"\d+", data))
    if numbers:
        start, stop = rng.choice(numbers).span()
        data[start:stop] = str(rng.choice((*EDGES, -1, 10**18, rng.randrange(30)))).encode()


CHANGES = (_bits, _bytes, _cut, _lose, _double, _splice, _lie, _lie, _lie_in_words)


def _checked_png(data: bytearray) -> bytearray:
    """The checksums of a PNG's chunks put right, as far as its lengths make sense."""
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return data


# Running


def decode(path: Path, options: IngestOptions) -> Seen:
    """All pages of a document: what a worker does. Raises DocumentError.

    A page that cannot be read does not keep the others from being read.
    """
    pages, failed = 0, None
    try:
        with open_document(path, options) as document:
            for index in range(document.page_count):
                try:
                    pages += document.page(index).pixels.size > 0
                except DocumentError as error:
                    failed = error
    except MemoryError:
        return pages, 0, 0  # as ``prepare`` takes it
    if failed is not None and not pages:
        raise failed
    return pages, *_kept()


def _kept() -> tuple[int, int]:
    """The memory in megabytes and the open files of this process."""
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    megabytes = resident * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    return megabytes, len(os.listdir("/proc/self/fd"))  # noqa: PTH208


class Decoder:
    """One decoder under fire. counts: of inputs by what became of them."""

    def __init__(self, name: str, seed: int, keep: Path) -> None:
        make, self._options = DECODERS[name]
        self.name, self._seed, self._keep = name, seed, keep
        self.seeds = make()
        self.counts: Counter[str] = Counter()

    def run(self, seconds: float) -> bool:
        """Mutate for so long; whether nothing was found."""
        waiting: deque[tuple[int, Path, Future[Seen]]] = deque()
        limits = LimitOptions()
        with (
            tempfile.TemporaryDirectory() as folder,
            Workers(JOBS, limits.worker_megabytes) as workers,
        ):
            end = time.monotonic() + seconds
            for number, data in self._inputs():
                path = Path(folder) / f"{number}"
                path.write_bytes(data)
                task = workers.submit(decode, path, self._options, seconds=DOCUMENT_SECONDS)
                waiting.append((number, path, task))
                if len(waiting) >= JOBS * WINDOW:
                    self._take(*waiting.popleft())
                if time.monotonic() > end:
                    break
            while waiting:
                self._take(*waiting.popleft())
            self._still_reads(workers, Path(folder))
        return not self.counts["findings"]

    def _inputs(self) -> Iterator[tuple[int, bytes]]:
        """First the seeds as they are, then mutations without end."""
        number = 0
        for data in self.seeds.values():
            yield number, data
            number += 1
        while True:
            yield number, mutated(self.seeds, random.Random(f"{self._seed}/{self.name}/{number}"))
            number += 1

    def _take(self, number: int, path: Path, task: Future[Seen]) -> None:
        """Count what became of an input, and keep it where it should not have."""
        self.counts["inputs"] += 1
        kind = self._kind(task)
        if number < len(self.seeds) and kind != "read":
            kind = f"finding: a seed is {kind}"
        self.counts["findings" if kind.startswith("finding") else kind] += 1
        if kind not in ("read", "refused") and self.counts[f"kept {kind}"] < KEPT:
            self.counts[f"kept {kind}"] += 1
            self._keep.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W+", "-", f"{self.name} {kind[:80]} {self._seed}-{number}")
            (self._keep / name).write_bytes(path.read_bytes())
            print(f"{kind}: {self._keep / name}", file=sys.stderr)
        path.unlink()

    def _kind(self, task: Future[Seen]) -> str:
        """What became of an input, in a word, or a finding."""
        try:
            task.exception(PATIENCE)
            _, megabytes, files = outcome(task)
        except WorkerCrashed:
            return "crashed"
        except TimedOut:
            return "timed out"
        except DocumentError:
            return "refused"
        except TimeoutError:
            return "finding: no answer"
        except Exception as error:
            return f"finding: {type(error).__name__} {error}"
        if megabytes > MOST_MEGABYTES:
            return f"finding: {megabytes} MB kept"
        return f"finding: {files} files open" if files > MOST_FILES else "read"

    def _still_reads(self, workers: Workers, folder: Path) -> None:
        """After all this the workers must still read what is whole."""
        for number, data in enumerate(self.seeds.values()):
            path = folder / f"whole-{number}"
            path.write_bytes(data)
            self._take(number, path, workers.submit(decode, path, self._options, seconds=60))


def main() -> None:
    """Fuzz the decoders that are named, or all, and print a line for each."""
    parser = argparse.ArgumentParser(description="Mutated files through every decoder.")
    parser.add_argument("--seconds", type=float, default=600, help="for each decoder")
    parser.add_argument("--decoder", action="append", choices=DECODERS, help="one of them alone")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="folder of findings")
    given = parser.parse_args()
    shown = ("inputs", "read", "refused", "crashed", "timed out", "findings")
    print("decoder", *shown, sep="\t", flush=True)
    well = True
    for name in given.decoder or DECODERS:
        decoder = Decoder(name, given.seed, given.keep)
        well &= decoder.run(given.seconds)
        print(name, *(decoder.counts[kind] for kind in shown), sep="\t", flush=True)
    sys.exit(not well)


if __name__ == "__main__":
    from fuzz import main  # workers find what they run by the module's name

    main()
