"""Whole numbers, cut out: real cheque amounts, and strings composed of MNIST's test digits.

    python benchmarks/cut_out.py [--model MODEL] [--sheet misses.png] [--strings N] [--alone]

Prints a Markdown table: the share of numbers read exactly, the share that may be accepted
before more than 1 % of what is accepted is wrong, and what is right of the values told with a
confidence of 0.9 and more. --alone reads digit by digit, without the model for whole numbers.

The real amounts were never trained on. While the program was made, every fifth of them was
looked at; these and the others have a row each. Strings are composed of digits of one writer,
as in Lane and Wagstaff's multi-digit-writer benchmark (arXiv 2512.00676): ZIP codes, cheque
amounts and clock times; apart, and pushed together until each touches the next. They are read
as any number, and as what they are: five digits, three to seven, an hour and minutes.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr import Pipeline
from digitocr.assemble import grammar_for
from digitocr.prepare import prepare_page
from digitocr.recipe import ValueOptions
from digitocr.training.data import Samples, read_mnist
from digitocr.training.strings import compose
from digitocr.types import Page

DATA = Path("../shared/data")
SEED = 2026
APART = 3  # pixels of MNIST between two digits
INK = 127  # grey levels; more is ink that may touch
TIMES, MARGIN = 3, 12  # as ``compose`` enlarges and frames
SHOWN = 40
LOOKED_AT = 5  # every how manieth real amount was looked at

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Reading:
    """One number: what it is, what was said, and how surely."""

    truth: str
    said: str
    confidence: float
    picture: Pixels


def zip_code(random: np.random.Generator) -> str:
    return "".join(map(str, random.integers(0, 10, 5)))


def cheque_amount(random: np.random.Generator) -> str:
    """Three to seven digits, the first of them no zero: cents, without the point."""
    rest = random.integers(0, 10, int(random.integers(2, 7)))
    return str(random.integers(1, 10)) + "".join(map(str, rest))


def clock_time(random: np.random.Generator) -> str:
    return f"{random.integers(1, 13)}{random.integers(0, 60):02}"


KINDS = {
    "ZIP codes": (zip_code, ValueOptions(kind="digits", digits="5")),
    "cheque amounts": (cheque_amount, ValueOptions(kind="digits", digits="3-7")),
    "clock times": (clock_time, ValueOptions(kind="pattern", pattern="(1[0-2]|[1-9])[0-5][0-9]")),
}


def apart(digits: Pixels, random: np.random.Generator) -> Pixels:
    return compose(digits, random, APART)[0]


def touching(digits: Pixels, random: np.random.Generator) -> Pixels:
    """Each digit pushed to the left until its ink touches what stands there.

    digits: uint8 (N, 28, 28), 255 is ink. Returns uint8 (h, w), 255 is paper.
    """
    field = np.zeros((40, 28 * len(digits) + 40), np.uint8)
    reached = 0
    for digit in digits:
        rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
        ink = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top = (len(field) - len(ink)) // 2 + int(random.integers(-2, 3))
        left = touches(field[top - 1 : top + len(ink) + 1], ink) if reached else 4
        room = field[top : top + len(ink), left : left + ink.shape[1]]
        np.maximum(room, ink, out=room)
        reached = max(reached, left + ink.shape[1])
    field = field[:, : reached + 4]
    large = cv2.resize(field, None, fx=TIMES, fy=TIMES, interpolation=cv2.INTER_CUBIC)
    return np.asarray(255 - np.pad(large, MARGIN), np.uint8)


def touches(before: Pixels, ink: Pixels) -> int:
    """The column at which ink, coming from the right, first lies beside ink.

    before: one row higher at either end: ink touches over corners, too.
    """
    there, here = before > INK, ink > INK
    ends = np.where(there.any(axis=1), there.shape[1] - there[:, ::-1].argmax(axis=1), -999)
    begins = np.where(here.any(axis=1), here.argmax(axis=1), 999)
    nearest = np.maximum.reduce([ends[:-2], ends[1:-1], ends[2:]])
    return max(0, int((nearest - begins).max()))


def hand_with(digits: Samples, text: str, random: np.random.Generator) -> Pixels:
    """The digits of a text by a writer who has all of them: uint8 (N, 28, 28)."""
    while True:
        writer = digits.writers == random.choice(digits.writers)
        places = [np.flatnonzero(writer & (digits.labels == int(sign))) for sign in text]
        if all(len(place) for place in places):
            return digits.pictures[[int(random.choice(place)) for place in places]]


def read(reader: Pipeline, pictures: list[Pixels], truths: list[str]) -> list[Reading]:
    """Each picture by all stages in this process."""
    glyphs = [prepare_page(Page(1, picture), reader.recipe) for picture in pictures]
    shares = reader.classifier.probabilities(np.concatenate([one.crops for one in glyphs]))
    parts = np.split(shares, np.cumsum([len(one.crops) for one in glyphs])[:-1])
    readings = []
    for picture, truth, one, part in zip(pictures, truths, glyphs, parts, strict=True):
        (number,) = reader.assembled("", one, part).numbers
        readings.append(Reading(truth, number.value, number.confidence, picture))
    return readings


def row(name: str, readings: list[Reading]) -> str:
    """A row of the table."""
    right = np.array([one.truth == one.said for one in readings])
    confidence = np.array([one.confidence for one in readings])
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    good = np.flatnonzero(wrong <= 0.01 * np.arange(1, len(order) + 1))
    accepted = (good[-1] + 1) / len(order) if len(good) else 0.0
    sure = confidence >= 0.9
    told = (
        f"{sure.mean():.0%}, {confidence[sure].mean():.1%} said, {right[sure].mean():.1%} right"
        if sure.any()
        else ""
    )
    return f"| {name} | {len(readings)} | {right.mean():.1%} | {accepted:.1%} | {told} |"


def draw_sheet(readings: list[Reading], file: Path) -> None:
    """Some of the misses, chosen by chance, with what they are and what was said."""
    misses = [one for one in readings if one.truth != one.said]
    chosen = np.random.default_rng(SEED).permutation(len(misses))[:SHOWN]
    tiles = []
    for one in (misses[at] for at in chosen):
        scale = min(240 / one.picture.shape[1], 80 / one.picture.shape[0])
        small = cv2.resize(one.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        tile = np.full((110, 250, 3), 255, np.uint8)
        tile[25 : 25 + small.shape[0], 5 : 5 + small.shape[1]] = small.reshape(*small.shape[:2], -1)
        label = f"{one.truth} read {one.said} {one.confidence:.2f}"
        cv2.putText(tile, label, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, 0, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.full((110, 250, 3), 255, np.uint8)] * (-len(tiles) % 5)
    rows = [np.hstack(tiles[at : at + 5]) for at in range(0, len(tiles), 5)]
    cv2.imwrite(str(file), np.vstack(rows)[..., ::-1])


def real_amounts(reader: Pipeline) -> list[Reading]:
    """The amounts of ORAND-CAR-A's training part, in its order."""
    folder = DATA / "strings/orand-car-a"
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as stream:
        listed = [(entry["file"], entry["value"]) for entry in csv.DictReader(stream)]
    found = [cv2.imread(str(folder / file))[..., ::-1].copy() for file, _ in listed]
    return read(reader, found, [value for _, value in listed])


def composed(
    reader: Pipeline, how: Callable[[Pixels, np.random.Generator], Pixels], count: int
) -> list[Reading]:
    """Strings of each kind, as any number and as what they are; prints their rows."""
    digits = read_mnist(DATA / "digits/mnist", "t10k")
    random = np.random.default_rng(SEED)
    told = []
    for name, (text, value) in KINDS.items():
        texts = [text(random) for _ in range(count)]
        pictures = [how(hand_with(digits, one, random), random) for one in texts]
        for told_as, grammar in (("any number", None), ("as such", grammar_for(value, None))):
            readings = read(replace(reader, grammar=grammar), pictures, texts)
            print(row(f"{name}, {how.__name__}, read as {told_as}", readings), flush=True)
            told += readings
    return told


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="")
    parser.add_argument("--pipeline", default="number")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--strings", type=int, default=1000)
    parser.add_argument("--alone", action="store_true")
    given = parser.parse_args()
    reader = Pipeline.load(given.pipeline, given.model, "cpu")
    if given.alone:
        reader = replace(reader, transcriber=None)
    print("| numbers | n | exact | accepted at 1 % error | told with 0.9 and more |")
    print("|---|--:|--:|--:|---|")
    told = real_amounts(reader)
    print(row("amounts on real cheques (ORAND-CAR-A)", told))
    print(row("of these, looked at while this was made", told[::LOOKED_AT]))
    others = [one for at, one in enumerate(told) if at % LOOKED_AT]
    print(row("of these, never looked at", others), flush=True)
    if given.sheet:
        draw_sheet(told, given.sheet)
    for how in (apart, touching):
        told += composed(reader, how, given.strings)
    print(row("all of these", told))


if __name__ == "__main__":
    main()
