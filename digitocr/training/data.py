"""Digits and things that are none, read from IDX files, folders and magnetic lines."""

from __future__ import annotations

import csv
import gzip
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.errors import InputMissing, UsageError
from digitocr.mnist import SIDE
from digitocr.normalize import glyph, picture
from digitocr.types import NOT_A_DIGIT

__all__ = ["Samples", "joined", "read_folder", "read_idx", "read_lines", "read_mnist", "read_path"]

_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}
_DIGITS = {str(digit): digit for digit in range(10)}

Bytes = NDArray[Any]  # uint8; OpenCV's types say less


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures in MNIST format with what they show.

    pictures: uint8 (N, 28, 28), 255 is ink.
    labels: int64 (N,), 0 to 9, or 10 for "not a digit".
    writers: str (N,), whose hand each is; empty where unknown.
    source: what the data is called in cards and tables.
    """

    pictures: Bytes
    labels: NDArray[np.int64]
    writers: NDArray[np.str_]
    source: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: NDArray[Any]) -> Samples:
        """The samples at the chosen places, or where a mask is true."""
        return Samples(
            self.pictures[chosen], self.labels[chosen], self.writers[chosen], self.source
        )


def samples(
    pictures: Sequence[Bytes] | Bytes,
    labels: Sequence[int] | NDArray[np.int64],
    writers: Sequence[str] | NDArray[np.str_] | None = None,
    source: str = "",
) -> Samples:
    """Samples from lists; N may be 0, writers may be unknown."""
    known = [""] * len(labels) if writers is None else writers
    return Samples(
        np.asarray(pictures, np.uint8).reshape(-1, SIDE, SIDE),
        np.asarray(labels, np.int64),
        np.asarray(known, np.str_),
        source,
    )


def joined(parts: Iterable[Samples], source: str = "") -> Samples:
    """All samples of the parts, in order."""
    parts = [samples([], []), *parts]
    return Samples(
        np.concatenate([part.pictures for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.writers for part in parts]),
        source,
    )


def read_path(path: Path, label: int | None = None) -> Samples:
    """Digits from a folder of IDX files or of pictures; see ``read_idx``, ``read_folder``.

    Raises InputMissing where there is no such folder, UsageError where nothing in it is
    a digit.
    """
    if not path.is_dir():
        raise InputMissing(f"there is no folder {path}")
    images = sorted(path.glob("*images*idx3*"))
    if not images:
        return read_folder(path, label)
    # Where training and test files lie together, the test files are what is scored.
    tests = [file for file in images if file.name.startswith("t10k")] or images
    return joined([read_idx(file) for file in tests], path.name)


def read_mnist(folder: Path, split: str) -> Samples:
    """MNIST from a folder of IDX files: ``split`` is ``train`` or ``t10k``.

    The writers are known where ``writers.csv.gz`` lies beside them. Raises InputMissing.
    """
    files = sorted(folder.glob(f"{split}-images*idx3*"))
    if not files:
        raise InputMissing(f"there are no MNIST files {split}-images-idx3-ubyte in {folder}")
    return read_idx(files[0])


def read_idx(images: Path) -> Samples:
    """One pair of IDX files (LeCun), gzipped or not, with writers where they are listed.

    Pictures of 28x28 are taken as they are, others are normalised. Raises UsageError where
    the files are damaged or do not belong together.
    """
    pictures = _idx(images)
    labels = _idx(images.with_name(images.name.replace("images", "labels").replace("idx3", "idx1")))
    if pictures.ndim != 3 or labels.shape != pictures.shape[:1] or labels.max(initial=0) > 10:
        raise UsageError(f"the IDX files {images} and its labels do not belong together")
    if pictures.shape[1:] != (SIDE, SIDE):
        pictures = np.array([glyph(one) for one in pictures])
    writers = _idx_writers(images, len(labels))
    return samples(pictures, labels.astype(np.int64), writers, images.parent.name)


def read_folder(folder: Path, label: int | None = None, leave_out: Sequence[str] = ()) -> Samples:
    """Pictures in one folder per class (``7/*.png``), or per writer and class.

    Folders not named by a digit hold things that are no digits. With ``label``, all
    pictures below the folder have it. Class folders in ``leave_out``, and files that
    cannot be read, are passed over. Each picture is brought to MNIST format by
    ``normalize.picture``. Raises UsageError where there is none.
    """
    found = list(_labelled_pictures(folder, label, leave_out))
    if not found:
        raise UsageError(f"there are no pictures of digits in {folder}")
    pictures, labels, writers = zip(*found, strict=True)
    return samples(np.array(pictures), labels, writers, folder.name)


def read_lines(folder: Path, every: slice = slice(None)) -> Samples:
    """Magnetic-ink lines (``*.tif`` with ``*.gt.txt``), cut into their characters.

    A line counts where as many pieces stand apart as its text has characters; letters in
    the text (transit, amount, on-us, dash) are symbols, and no digits. ``every`` chooses
    among the lines, sorted by name.
    """
    files = sorted(folder.glob("*.tif"))[every]
    parts = [part for file in files for part in _line_characters(file)]
    pictures, labels = [part[0] for part in parts], [part[1] for part in parts]
    return samples(
        pictures, labels, [folder.name] * len(labels), f"{folder.parent.name}-{folder.name}"
    )


def _labelled_pictures(
    folder: Path, label: int | None, leave_out: Sequence[str]
) -> Iterator[tuple[Bytes, int, str]]:
    """Each readable picture below the folder, in MNIST format, with its label and writer."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts[:-1]
        if file.suffix.lower() not in _PICTURES or not set(parts).isdisjoint(leave_out):
            continue
        pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            continue
        name = parts[-1] if parts else folder.name
        known = _DIGITS.get(name, NOT_A_DIGIT) if label is None else label
        writer = parts[-2] if len(parts) > 1 else ""
        yield picture(_eight_bits(pixels)), known, writer


def _eight_bits(pixels: NDArray[np.generic]) -> Bytes:
    """uint8 pixels, 16-bit ones scaled."""
    if pixels.dtype == np.uint16:
        return np.asarray(pixels.astype(np.uint32) // 257, np.uint8)
    return np.asarray(pixels, np.uint8)


def _idx(file: Path) -> Bytes:
    """The array of one IDX file of bytes. Raises UsageError where it is damaged."""
    opener: Callable[..., gzip.GzipFile] = gzip.open if file.suffix == ".gz" else open  # type: ignore[assignment]
    try:
        with opener(file, "rb") as stream:
            data = stream.read()
        kind, rank = data[2], data[3]
        shape = struct.unpack_from(f">{rank}I", data, 4)
        if kind != 8:
            raise ValueError("not bytes")
        return np.frombuffer(data, np.uint8, int(np.prod(shape)), 4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, struct.error, zlib.error) as error:
        raise UsageError(f"the IDX file {file} is missing or damaged") from error


def _idx_writers(images: Path, count: int) -> list[str] | None:
    """The writers of an MNIST file's digits, where ``writers.csv.gz`` names them all."""
    listing = images.with_name("writers.csv.gz")
    if not listing.is_file():
        return None
    split = "test" if images.name.startswith("t10k") else "train"
    with gzip.open(listing, "rt", encoding="utf-8", newline="") as stream:
        writers = [row["writer"] for row in csv.DictReader(stream) if row["split"] == split]
    return writers if len(writers) == count else None


def _line_characters(file: Path) -> list[tuple[Bytes, int]]:
    """The characters of one magnetic line in MNIST format with their labels, if they are
    as many as its text says, else nothing."""
    grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    text = file.with_suffix("").with_suffix(".gt.txt")
    if grey is None or not text.is_file():
        return []
    truth = "".join(text.read_text(encoding="utf-8").split())
    ink = cv2.bitwise_not(grey)
    # A symbol's bars stand apart, but nearer than two characters: some gap tells them apart.
    cuts = (_columns(ink, gap) for gap in range(1, max(2, len(ink) // 2)))
    pieces = next((cut for cut in cuts if len(cut) == len(truth) and _even(cut)), None)
    if pieces is None:
        return []
    labels = [_DIGITS.get(letter, NOT_A_DIGIT) for letter in truth]
    return [(glyph(piece), label) for piece, label in zip(pieces, labels, strict=True)]


def _columns(ink: Bytes, gap: int) -> list[Bytes]:
    """The pieces of a line that stand more than ``gap`` empty columns apart."""
    filled = np.flatnonzero((ink > 127).any(axis=0))
    if not len(filled):
        return []
    breaks = np.flatnonzero(np.diff(filled) > gap)
    starts = filled[np.r_[0, breaks + 1]]
    ends = filled[np.r_[breaks, len(filled) - 1]] + 1
    pieces = [ink[:, start:end] for start, end in zip(starts, ends, strict=True)]
    return [piece for piece in pieces if (piece > 127).sum() > len(ink) / 2]


def _even(pieces: list[Bytes]) -> bool:
    """True where no piece is so wide or narrow that it must be two characters, or half a one."""
    widths = np.array([piece.shape[1] for piece in pieces])
    middle = np.median(widths)
    return bool(widths.max() <= 1.5 * middle and widths.min() >= 0.3 * middle)
