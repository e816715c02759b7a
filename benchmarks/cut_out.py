"""Whole numbers, cut out: real cheque amounts, and strings composed of MNIST's test digits.

    python benchmarks/cut_out.py [--model MODEL] [--sheet misses.png] [--strings N]

Prints a Markdown table: the share of numbers read exactly, and the share that may be
accepted before more than 1 % of what is accepted is wrong. Strings are composed of digits
of one writer, as in Lane and Wagstaff's multi-digit-writer benchmark (arXiv 2512.00676):
ZIP codes, cheque amounts and clock times; apart, and pushed together until they touch.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr import Pipeline
from digitocr.assemble import assemble
from digitocr.prepare import prepare_page
from digitocr.training.data import Samples, read_mnist
from digitocr.training.strings import compose
from digitocr.types import Page

DATA = Path("../shared/data")
SEED = 2026
APART, TOUCHING = 3, -1  # pixels of MNIST between two digits
SHOWN = 40

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


KINDS = {"ZIP codes": zip_code, "cheque amounts": cheque_amount, "clock times": clock_time}


def written(digits: Samples, text: str, random: np.random.Generator, gap: int) -> Pixels:
    """The text in the hand of a writer who has all of its digits."""
    needed = [int(sign) for sign in text]
    while True:
        writer = digits.writers == random.choice(digits.writers)
        places = [np.flatnonzero(writer & (digits.labels == digit)) for digit in needed]
        if all(len(place) for place in places):
            chosen = [int(random.choice(place)) for place in places]
            return compose(digits.pictures[chosen], random, gap)[0]


def read(reader: Pipeline, pictures: list[Pixels], truths: list[str]) -> list[Reading]:
    """Each picture by all stages in this process."""
    glyphs = [prepare_page(Page(1, picture), reader.recipe) for picture in pictures]
    shares = reader.classifier.probabilities(np.concatenate([one.crops for one in glyphs]))
    parts = np.split(shares, np.cumsum([len(one.crops) for one in glyphs])[:-1])
    readings = []
    for picture, truth, one, part in zip(pictures, truths, glyphs, parts, strict=True):
        (number,) = assemble("", one, part, reader.recipe.assemble).numbers
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
        f"{confidence[sure].mean():.1%} said, {right[sure].mean():.1%} right" if sure.any() else ""
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
        tile = np.full((110, 250), 255, np.uint8)
        tile[25 : 25 + small.shape[0], 5 : 5 + small.shape[1]] = small
        label = f"{one.truth} read {one.said} {one.confidence:.2f}"
        cv2.putText(tile, label, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, 0, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.full((110, 250), 255, np.uint8)] * (-len(tiles) % 5)
    rows = [np.hstack(tiles[at : at + 5]) for at in range(0, len(tiles), 5)]
    cv2.imwrite(str(file), np.vstack(rows))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--strings", type=int, default=1000)
    given = parser.parse_args()
    reader = Pipeline.load("number", given.model, "cpu")
    print("| numbers | n | exact | accepted at 1 % error | confidence 0.9 and more |")
    print("|---|--:|--:|--:|---|")
    folder = DATA / "strings/orand-car-a"
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as stream:
        listed = [(entry["file"], entry["value"]) for entry in csv.DictReader(stream)]
    found = [cv2.imread(str(folder / file), cv2.IMREAD_GRAYSCALE) for file, _ in listed]
    readings = read(reader, found, [value for _, value in listed])
    print(row("amounts on real cheques (ORAND-CAR-A)", readings))
    if given.sheet:
        draw_sheet(readings, given.sheet)
    digits = read_mnist(DATA / "digits/mnist", "t10k")
    random = np.random.default_rng(SEED)
    for how, gap in (("apart", APART), ("touching", TOUCHING)):
        for name, text in KINDS.items():
            texts = [text(random) for _ in range(given.strings)]
            pictures = [written(digits, one, random, gap) for one in texts]
            print(row(f"{name}, {how}", read(reader, pictures, texts)))


if __name__ == "__main__":
    main()
