"""A4 pages of about 120 handwritten digits each, to measure speed on.

    python benchmarks/pages.py FOLDER [--count 12]

Writes pages in turn as grey JPEG, G4 TIFF and G4 PDF, and truth.csv beside them.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.dont_write_bytecode = True  # into a folder that is read as documents
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sample_docs"))
from sheet import Sheet, scanned  # noqa: E402

DPI = 300
FORMATS = ("jpg", "tif", "pdf")
_WORDS = ("Amount", "Account", "Branch", "Quantity", "Weight", "Meter", "Section", "Series")
_PROSE = [
    "Please fill in every field with a black or blue pen. Write one figure in each box,",
    "and do not cross out: ask for a new form instead. The figures are read by a machine,",
    "and whatever it is not sure of is looked at by a person within 3 working days.",
]


def draw_page(rng: np.random.Generator) -> tuple[Sheet, NDArray[np.uint8]]:
    """One page, grey, and its truth: rows of cells, boxed numbers, a list in the open."""
    sheet = Sheet(210, 297, DPI, rng, seed_hand=int(rng.integers(1000)))
    sheet.text(20, 25, "STOCK AND CASH REPORT", 17, "Sans-Bold")
    sheet.number(160, 25, "form", _figures(rng, 6), size=12, face="SansMono")
    sheet.line(20, 30, 190, 30, 0.5)
    sheet.prose(20, 40, _PROSE, 10.5, 6)
    for i in range(6):
        y = 66 + 17 * i
        sheet.text(20, y + 7, _WORDS[i], 11)
        sheet.cells(45, y, f"cells{i}", _figures(rng, 6), cell=(8, 10), height=6, pen=0.5)
        sheet.text(104, y + 7, _WORDS[-1 - i], 11)
        sheet.box(130, y - 1, 46, 12)
        sheet.hand(134, y + 8, f"box{i}", _figures(rng, 5), height=5.6, pen=0.5)
    for i in range(10):
        x, y = 20 + 85 * (i % 2), 182 + 18 * (i // 2)
        sheet.text(x, y, f"{_WORDS[i % 8]} {'first' if i < 8 else 'last'}", 11)
        sheet.hand(x + 40, y, f"free{i}", _figures(rng, 5), height=5.4, pen=0.5)
    grey = cv2.cvtColor(sheet.picture(), cv2.COLOR_RGB2GRAY)
    return sheet, scanned(grey, rng, skew=rng.uniform(-1.5, 1.5), noise=3)


def _figures(rng: np.random.Generator, count: int) -> str:
    return "".join(map(str, rng.integers(10, size=count)))


def save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write a page in the format its ending tells."""
    picture = Image.fromarray(pixels)
    if path.suffix == ".jpg":
        picture.save(path, quality=75, dpi=(DPI, DPI))
        return
    bits = picture.point(lambda value: 255 * (value > 160), "1")
    if path.suffix == ".tif":
        bits.save(path, compression="group4", dpi=(DPI, DPI))
    else:
        bits.save(path, resolution=DPI)


def draw_pages(folder: Path, count: int) -> None:
    """Draw ``count`` pages, always the same, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "page", "field", "value"))
        for i in range(count):
            sheet, pixels = draw_page(np.random.default_rng(i))
            name = f"page-{i:03d}.{FORMATS[i % len(FORMATS)]}"
            save(pixels, folder / name)
            table.writerows((name, 1, *row) for row in sheet.numbers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    draw_pages(options.folder, options.count)
