"""A sheet of paper: printed on, written on, then scanned or photographed.

Places and sizes on a sheet are in millimetres, types in points, pens in millimetres.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from pen import Box, Hand, scribble, write
from PIL import Image, ImageDraw, ImageFont

__all__ = ["BLACK", "BLUE", "Sheet", "guilloche", "photographed", "scanned"]

Colour = tuple[int, int, int]
BLACK: Colour = (28, 28, 32)
BLUE: Colour = (34, 48, 120)
# DejaVu, which matplotlib brings: free to use, copy and embed.
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


class Sheet:
    """One sheet, and the truth about the numbers that were put on it.

    numbers: field and digits, in the order of writing; printed numbers are added by
    ``number``, those written by hand by ``hand`` and ``cells``.
    """

    def __init__(
        self, width: float, height: float, dpi: int, rng: np.random.Generator, seed_hand: int = 0
    ) -> None:
        self.dpi = dpi
        self.rng = rng
        self.hand_of = Hand.of(np.random.default_rng(seed_hand))
        self.numbers: list[tuple[str, str]] = []
        size = (self._px(width), self._px(height))
        self.paper = Image.new("RGB", size, (252, 252, 250))
        self._ink: dict[Colour, NDArray[np.float32]] = {}

    def _px(self, millimetres: float) -> int:
        return round(millimetres * self.dpi / 25.4)

    def back(self, pattern: NDArray[np.uint8]) -> None:
        """Lay a pattern, uint8 (h, w, 3), under all that is printed."""
        self.paper = Image.fromarray(pattern)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.paper.height, self.paper.width

    # Printing

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float = 9,
        face: str = "Sans",
        anchor: str = "ls",
    ) -> None:
        """Print words; ``y`` is the base line. face: of DejaVu."""
        font = ImageFont.truetype(str(FONTS / f"DejaVu{face}.ttf"), size * self.dpi / 72)
        place = (self._px(x), self._px(y))
        ImageDraw.Draw(self.paper).text(place, words, BLACK, font, anchor=anchor)

    def number(self, x: float, y: float, field: str, text: str, **how: object) -> None:
        """Print a number that stands apart."""
        self.text(x, y, text, **how)  # type: ignore[arg-type]
        self._note(field, text)

    def line(self, x0: float, y0: float, x1: float, y1: float, width: float = 0.25) -> None:
        """Rule a line."""
        ends = (self._px(x0), self._px(y0), self._px(x1), self._px(y1))
        ImageDraw.Draw(self.paper).line(ends, (70, 70, 80), max(1, self._px(width)))

    def box(self, x: float, y: float, width: float, height: float, rule: float = 0.3) -> None:
        """Rule a box."""
        ends = (self._px(x), self._px(y), self._px(x + width), self._px(y + height))
        ImageDraw.Draw(self.paper).rectangle(
            ends, outline=(70, 70, 80), width=max(1, self._px(rule))
        )

    def prose(self, x: float, y: float, lines: list[str], size: float = 9, lead: float = 5) -> None:
        """Print lines of text, one under the other."""
        for i, words in enumerate(lines):
            self.text(x, y + i * lead, words, size, face="Serif")

    # Writing

    def hand(
        self,
        x: float,
        y: float,
        field: str,
        text: str,
        *,
        height: float = 5,
        pen: float = 0.45,
        colour: Colour = BLACK,
    ) -> None:
        """Write a number; ``y`` is the base line."""
        place = {"left": self._px(x), "base": self._px(y), "height": self._px(height)}
        thick = pen * self.dpi / 25.4
        write(self._layer(colour), text, self.hand_of, self.rng, pen=thick, **place)
        self._note(field, text)

    def cells(
        self,
        x: float,
        y: float,
        field: str,
        text: str,
        *,
        cell: tuple[float, float] = (6, 8),
        height: float = 5,
        pen: float = 0.45,
        colour: Colour = BLACK,
        apart: float = 0,
    ) -> None:
        """Rule a row of cells and write one sign in each; a space leaves its cell empty."""
        width, tall = cell
        pitch = width + apart
        for i, sign in enumerate(text):
            self.box(x + i * pitch, y, width, tall)
            place = {"left": self._px(x + i * pitch), "height": self._px(height)}
            base = self._px(y + (tall + height) / 2)
            if sign != " ":
                thick = pen * self.dpi / 25.4
                write(
                    self._layer(colour), sign, self.hand_of, self.rng,
                    base=base, pen=thick, pitch=self._px(width), **place,
                )  # fmt: skip
        self._note(field, text)

    def sign(self, x: float, y: float, width: float, height: float, colour: Colour = BLACK) -> None:
        """Put a signature into a box."""
        box: Box = (self._px(x), self._px(y), self._px(x + width), self._px(y + height))
        scribble(self._layer(colour), self.rng, box, 0.4 * self.dpi / 25.4)

    def _layer(self, colour: Colour) -> NDArray[np.float32]:
        if colour not in self._ink:
            self._ink[colour] = np.zeros(self.shape, np.float32)
        return self._ink[colour]

    def _note(self, field: str, text: str) -> None:
        self.numbers.append((field, "".join(sign for sign in text if sign.isdigit())))

    def picture(self) -> NDArray[np.uint8]:
        """The sheet as it lies on the table: uint8 (H, W, 3)."""
        picture = np.array(self.paper)
        for colour, ink in self._ink.items():
            inked = ink > 0
            share = 0.93 * ink[inked][:, None]
            mixed = picture[inked] * (1 - share) + np.array(colour, np.float32) * share
            picture[inked] = mixed.round()
        return picture


def guilloche(shape: tuple[int, int], tint: Colour, seed: int) -> NDArray[np.uint8]:
    """Security paper: waves of fine lines in a pale tint."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    lines = np.zeros(shape, np.float32)
    for _ in range(3):
        bend, wave, shift = rng.uniform(8, 22), rng.uniform(90, 260), rng.uniform(0, 6)
        phase = (y + bend * np.sin(x / wave * 2 * np.pi + shift)) / rng.uniform(7, 11)
        lines = np.maximum(lines, np.cos(phase * 2 * np.pi) ** 6)
    wash = 0.25 + 0.2 * np.sin(x / shape[1] * 3 + y / shape[0] * 2)
    share = np.clip(0.14 * lines + 0.3 * wash, 0, 1)[..., None]
    paper = np.float32(252) * (1 - share) + np.array(tint, np.float32) * share
    return paper.round().astype(np.uint8)


def scanned(
    picture: NDArray[np.uint8], rng: np.random.Generator, skew: float = 0.0, noise: float = 3.0
) -> NDArray[np.uint8]:
    """As a flatbed sees it, in grey or colour: a little turned (degrees), soft and noisy."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -skew, 1)
    turned = cv2.warpAffine(picture, turn, (width, height), borderValue=(250, 250, 248))
    return _grainy(cv2.GaussianBlur(turned, (0, 0), 0.6), rng, noise)


def photographed(
    picture: NDArray[np.uint8], rng: np.random.Generator, skew: float, noise: float = 7.0
) -> NDArray[np.uint8]:
    """As a hand-held camera sees it: turned, in perspective, unevenly lit, soft and noisy."""
    height, width = picture.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    radians = np.deg2rad(skew)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    seen = (corners - corners.mean(axis=0)) @ turn.T * 0.9 + corners.mean(axis=0)
    seen += np.array([(0.012, 0.006), (-0.008, 0.0), (0.0, -0.004), (0.006, 0.0)]) * width
    table = np.full_like(picture, (98, 84, 70))
    view = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    cv2.warpPerspective(
        picture, view, (width, height), table, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT
    )
    y, x = np.mgrid[:height, :width].astype(np.float32)
    light = 1.0 - 0.38 * (x / width) ** 1.5 - 0.16 * (y / height)
    light -= 0.18 * np.exp(-(((x / width - 0.3) / 0.2) ** 2 + ((y / height - 0.8) / 0.25) ** 2))
    lit = cv2.GaussianBlur(table, (0, 0), 0.9).astype(np.float32) * light[..., None]
    return _grainy(lit, rng, noise)


def _grainy(picture: NDArray, rng: np.random.Generator, noise: float) -> NDArray[np.uint8]:
    speckle = noise * rng.standard_normal(picture.shape[:2], np.float32)
    if picture.ndim == 3:
        speckle = speckle[..., None]
    return (picture + speckle).round().clip(0, 255).astype(np.uint8)
