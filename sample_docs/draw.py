"""Draws the sample documents, and notes in truth.csv what is written on them.

    python sample_docs/draw.py

Every stroke is ours and every letter DejaVu's: nothing here comes from anybody's paper.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.dont_write_bytecode = True  # this folder is read as documents
from sheet import BLUE, Sheet, guilloche, photographed, scanned  # noqa: E402

HERE = Path(__file__).resolve().parent
Page = tuple[Sheet, NDArray[np.uint8]]


def cheque_with_line(rng: np.random.Generator) -> list[Page]:
    """The date on a line, the amount in a box."""
    sheet = Sheet(160, 70, 200, rng, seed_hand=11)
    sheet.back(guilloche(sheet.shape, (96, 140, 190), seed=1))
    sheet.text(8, 10, "Meadow & Finch Joinery", 11, "Serif-Bold")
    sheet.text(8, 14.5, "The Old Mill, Harbour Lane, Westbury", 7, "Serif")
    sheet.number(140, 10, "number", "1042", size=12, face="SansMono")
    sheet.text(98, 20, "Date", 8)
    sheet.line(106, 20.6, 146, 20.6)
    sheet.hand(109, 20, "date", "03/17/2024", height=4.4, colour=BLUE)
    sheet.text(8, 31, "Pay to the", 7)
    sheet.text(8, 34, "order of", 7)
    sheet.text(26, 33.6, "Northgate Timber Yard", 11, "Serif-Italic")
    sheet.line(22, 34.6, 112, 34.6)
    sheet.text(115, 34, "$", 13, "Sans-Bold")
    sheet.box(120, 27.5, 32, 8.5)
    sheet.hand(122, 34.2, "amount", "1,250.75", height=4.8, colour=BLUE)
    sheet.text(10, 43.6, "One thousand two hundred fifty and 75/100", 10, "Serif-Italic")
    sheet.line(8, 44.6, 134, 44.6)
    sheet.text(136, 44, "Dollars", 8)
    sheet.text(8, 52, "Harbour Savings Bank", 9, "Serif-Bold")
    sheet.text(8, 62, "Memo", 7)
    sheet.line(18, 62.6, 70, 62.6)
    sheet.text(20, 62, "oak boards", 10, "Serif-Italic")
    sheet.line(96, 62.6, 150, 62.6)
    sheet.sign(100, 50, 42, 13, BLUE)
    return [(sheet, scanned(sheet.picture(), rng, skew=0.4))]


def cheque_with_cells(rng: np.random.Generator) -> list[Page]:
    """The date in eight cells, the account number printed."""
    sheet = Sheet(178, 80, 180, rng, seed_hand=5)
    sheet.back(guilloche(sheet.shape, (120, 176, 130), seed=2))
    sheet.text(10, 12, "UNION BANK OF THE DELTA", 12, "Sans-Bold")
    sheet.text(10, 17, "Main Branch, Riverside, Port Selene", 7)
    sheet.cells(124, 7, "date", "28112023", cell=(5.6, 6.6), height=4.4)
    for i, letter in enumerate("DDMMYYYY"):
        sheet.text(124 + i * 5.6 + 2.8, 17.2, letter, 6, anchor="ms")
    sheet.text(10, 29, "Pay", 9)
    sheet.text(22, 28.6, "Asha Textiles and Sons", 11, "Serif-Italic")
    sheet.line(18, 29.6, 150, 29.6)
    sheet.text(152, 29, "or Bearer", 7)
    sheet.text(10, 39, "Rupees", 9)
    sheet.text(28, 38.6, "Eighteen thousand four hundred ninety only", 11, "Serif-Italic")
    sheet.line(25, 39.6, 118, 39.6)
    sheet.text(122, 42, "₹", 14, "Sans-Bold")
    sheet.box(128, 35, 40, 9.5)
    sheet.hand(131, 42.6, "amount", "18,490.00", height=5)
    sheet.text(10, 52, "A/c No.", 8, "Sans-Bold")
    sheet.box(26, 46.5, 52, 8)
    sheet.number(29, 52.4, "account", "30567214908", size=12, face="SansMono-Bold")
    sheet.text(10, 63, "Payable at par at all branches", 7)
    sheet.sign(126, 52, 34, 15)
    sheet.text(132, 74, "Please sign above", 6)
    return [(sheet, scanned(sheet.picture(), rng, skew=-0.7, noise=4))]


def tally(rng: np.random.Generator) -> list[Page]:
    """A polling station's form: rows of three cells."""
    sheet = Sheet(148, 200, 150, rng, seed_hand=23)
    sheet.text(74, 16, "RESULT OF THE COUNT", 15, "Sans-Bold", anchor="ms")
    sheet.text(74, 22, "to be filled in by the officer in charge", 8, anchor="ms")
    sheet.line(14, 26, 134, 26, 0.5)
    rows = [
        ("Candidate A", "votes_a", "147"), ("Candidate B", "votes_b", " 82"),
        ("Candidate C", "votes_c", "306"), ("Valid votes", "valid", "535"),
        ("Invalid votes", "invalid", "  9"), ("All votes", "total", "544"),
    ]  # fmt: skip
    for i, (label, field, text) in enumerate(rows):
        y = 36 + i * 16
        sheet.text(18, y + 6.5, label, 11)
        sheet.cells(86, y, field, text, cell=(10, 10), height=6.6, pen=0.6, colour=BLUE)
    sheet.text(18, 146, "Date", 11)
    for x, field, text in ((50, "day", "05"), (76, "month", "10"), (102, "year", "2024")):
        sheet.cells(x, 139.5, field, text, cell=(8, 10), height=6, pen=0.6, colour=BLUE)
    sheet.prose(
        18, 164, ["Write one figure in each box, and leave the boxes on the", "left empty where"
                  " the number is shorter. Do not cross out."], 8,
    )  # fmt: skip
    sheet.line(80, 190, 130, 190)
    sheet.sign(84, 178, 36, 12, BLUE)
    return [(sheet, scanned(sheet.picture(), rng, skew=0.9, noise=2))]


QUESTIONS = (
    "Question one. A farmer keeps 12 hens and 3 geese. Each hen lays five eggs in a",
    "week, and each goose lays two. Write down how many eggs the farmer collects in",
    "a week, and explain in one sentence how you found out.",
    "Question two. The train to the coast leaves at noon and takes two hours and a half.",
    "On the way it stops at 7 stations for four minutes each. When does it arrive?",
    "Question three. Draw a triangle with one right angle. Measure its sides and",
    "compare the square of the longest with the squares of the other two. Say in your",
    "own words what you notice, and whether it holds for every such triangle.",
)


def answer_sheets(rng: np.random.Generator) -> list[Page]:
    """Exam pages as one scan: a nine-cell number amid prose, and an empty last page."""
    pages = []
    for hand, number, x, y, skew in (
        (31, "706351948", 60, 40, -1.2),
        (17, "024417390", 90, 196, 0.6),
    ):
        sheet = Sheet(210, 297, 150, rng, seed_hand=hand)
        sheet.text(105, 22, "Mathematics, first paper", 14, "Serif-Bold", anchor="ms")
        sheet.text(x - 34, y + 6.5, "Your number", 10, "Serif")
        sheet.cells(x, y, "id", number, cell=(9, 10), height=6.4, pen=0.5, colour=BLUE)
        sheet.prose(25, 70, list(QUESTIONS), 10.5, 9)
        sheet.prose(25, 236, list(QUESTIONS[3:6]), 10.5, 9)
        pages.append((sheet, scanned(sheet.picture(), rng, skew)))
    blank = Sheet(210, 297, 150, rng)
    return [*pages, (blank, scanned(blank.picture(), rng))]


def meter_cards(rng: np.random.Generator) -> list[Page]:
    """Two faxed cards: numbers in boxes, and a list of numbers in the open."""
    card = Sheet(148, 105, 300, rng, seed_hand=41)
    card.text(12, 14, "METER READING", 14, "Sans-Bold")
    card.line(12, 18, 136, 18, 0.5)
    rows = (
        ("Meter", "meter", "48120663"),
        ("Reading", "reading", "07351"),
        ("Last year", "last", "06894"),
    )
    for i, (label, field, text) in enumerate(rows):
        card.text(16, 34 + 20 * i, label, 11)
        card.box(48, 25 + 20 * i, 62, 13)
        card.hand(53, 34.6 + 20 * i, field, text, height=6, pen=0.5)
    card.prose(16, 92, ["Read the black figures only. Thank you for your help."], 9)
    listed = Sheet(148, 105, 300, rng, seed_hand=41)
    listed.text(12, 14, "READINGS OF THE YEAR", 14, "Sans-Bold")
    listed.line(12, 18, 136, 18, 0.5)
    months = (("January", "06894"), ("April", "07012"), ("July", "07098"), ("October", "07226"))
    for i, (month, text) in enumerate(months):
        listed.text(16, 34 + 17 * i, month, 11)
        listed.hand(70, 34 + 17 * i, month.lower(), text, height=6, pen=0.5)
    return [(sheet, scanned(sheet.picture(), rng, skew=0.3, noise=1)) for sheet in (card, listed)]


def delivery_note(rng: np.random.Generator) -> list[Page]:
    """A note photographed on a table, under a lamp."""
    sheet = Sheet(150, 110, 200, rng, seed_hand=8)
    sheet.text(12, 15, "Delivery note", 15, "Serif-Bold")
    sheet.text(12, 21, "Grain and Feed Cooperative", 8, "Serif")
    sheet.text(12, 38, "Customer", 10)
    sheet.cells(48, 31, "customer", "590276", cell=(8, 10), height=6, pen=0.6)
    rows = (
        ("Oats, bags", "oats", " 38"),
        ("Barley, bags", "barley", "104"),
        ("Maize, bags", "maize", "  7"),
    )
    for i, (label, field, text) in enumerate(rows):
        sheet.text(12, 59 + 14 * i, label, 10)
        sheet.cells(48, 52 + 14 * i, field, text, cell=(8, 10), height=6, pen=0.6)
    sheet.text(92, 87, "Received", 8)
    sheet.line(92, 100, 138, 100)
    sheet.sign(96, 88, 34, 11)
    return [(sheet, photographed(sheet.picture(), rng, skew=3.6))]


def save_jpeg(pages: list[Page], path: Path) -> None:
    """One picture, in colour."""
    ((sheet, pixels),) = pages
    Image.fromarray(pixels).save(path, quality=78, dpi=(sheet.dpi, sheet.dpi))


def save_png(pages: list[Page], path: Path) -> None:
    """One picture in sixteen greys."""
    ((sheet, pixels),) = pages
    grey = Image.fromarray(pixels).convert("L").point(lambda v: (v + 8) // 17 * 17)
    grey.save(path, optimize=True, dpi=(sheet.dpi, sheet.dpi))


def save_pdf(pages: list[Page], path: Path) -> None:
    """As a scanner writes it: each page one picture, a JPEG."""
    first, *rest = (Image.fromarray(pixels).convert("L") for _, pixels in pages)
    day = time.gmtime(0)
    first.save(
        path, save_all=True, append_images=rest, resolution=pages[0][0].dpi, quality=60,
        creationDate=day, modDate=day,
    )  # fmt: skip


def save_g4(pages: list[Page], path: Path) -> None:
    """As a fax archive keeps it: one bit a pixel, group 4."""
    first, *rest = (
        Image.fromarray(pixels).convert("L").point(lambda v: 255 * (v > 150), "1")
        for _, pixels in pages
    )
    dpi = pages[0][0].dpi
    first.save(path, save_all=True, append_images=rest, compression="group4", dpi=(dpi, dpi))


DOCUMENTS: dict[str, tuple[Callable[..., list[Page]], Callable[[list[Page], Path], None]]] = {
    "answer-sheets.pdf": (answer_sheets, save_pdf),
    "cheque-cells.jpg": (cheque_with_cells, save_jpeg),
    "cheque-line.jpg": (cheque_with_line, save_jpeg),
    "delivery-photo.jpg": (delivery_note, save_jpeg),
    "meter-cards.tif": (meter_cards, save_g4),
    "tally.png": (tally, save_png),
}


def main() -> None:
    """Draw every document and write truth.csv."""
    with (HERE / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "page", "field", "value"))
        for seed, (name, (draw, save)) in enumerate(DOCUMENTS.items()):
            pages = draw(np.random.default_rng(seed))
            save(pages, HERE / name)
            for number, (sheet, _) in enumerate(pages, 1):
                table.writerows((name, number, *row) for row in sheet.numbers)


if __name__ == "__main__":
    main()
