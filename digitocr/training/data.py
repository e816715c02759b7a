"""Digits and things that are none, read from IDX files, folders and magnetic lines."""

from __future__ import annotations

import contextlib
import csv
import gzip
import logging
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitocr.errors import DocumentError, InputMissing, UsageError
from digitocr.ingest import open_document
from digitocr.mnist import SIDE
from digitocr.normalize import glyph, picture
from digitocr.recipe import IngestOptions
from digitocr.tables import printable
from digitocr.types import NOT_A_DIGIT

__all__ = [
    "Samples",
    "is_test",
    "joined",
    "read_folder",
    "read_idx",
    "read_lines",
    "read_mnist",
    "read_path",
]

_DIGITS = {str(digit): digit for digit in range(10)}
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}  # no writers
_NAMED = 5  # files named in one message
_TURNED = "emnist-"  # how the names of files begin whose pictures have rows for columns
_TORCHVISION = ("", "raw", "MNIST/raw")  # where its download leaves MNIST

_log = logging.getLogger("digitocr")

Bytes = NDArray[Any]  # uint8; OpenCV's types say less


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures in MNIST format with what they show.

    pictures: uint8 (N, 28, 28), 255 is ink.
    labels: int64 (N,), 0 to 9, or 10 for "not a digit".
    writers: str (N,), whose hand each is; empty where unknown.
    names: str (N,), by which a person finds each: the file's path, or the place from 0
        among the digits of an IDX file.
    source: what the data is called in cards and tables.
    """

    pictures: Bytes
    labels: NDArray[np.int64]
    writers: NDArray[np.str_]
    names: NDArray[np.str_]
    source: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: NDArray[Any]) -> Samples:
        """The samples at the chosen places, or where a mask is true."""
        return Samples(
            self.pictures[chosen],
            self.labels[chosen],
            self.writers[chosen],
            self.names[chosen],
            self.source,
        )


def samples(
    pictures: Sequence[Bytes] | Bytes,
    labels: Sequence[int] | NDArray[np.int64],
    writers: Sequence[str] | NDArray[np.str_] | None = None,
    source: str = "",
    names: Sequence[str] | None = None,
) -> Samples:
    """Samples from lists; N may be 0, writers may be unknown, names are by default places."""
    known = [""] * len(labels) if writers is None else writers
    return Samples(
        np.asarray(pictures, np.uint8).reshape(-1, SIDE, SIDE),
        np.asarray(labels, np.int64),
        np.asarray(known, np.str_),
        np.asarray(range(len(labels)) if names is None else names).astype(np.str_),
        source,
    )


def joined(parts: Iterable[Samples], source: str = "") -> Samples:
    """All samples of the parts, in order."""
    parts = [samples([], []), *parts]
    return Samples(
        np.concatenate([part.pictures for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.writers for part in parts]),
        np.concatenate([part.names for part in parts]),
        source,
    )


def read_path(path: Path, label: int | None = None) -> Samples:
    """Digits from IDX files or from a folder of pictures; see ``read_idx``, ``read_folder``.

    path: a folder of IDX files, also as torchvision leaves it, an IDX file of pictures, or
        a folder of pictures. Where training and test files lie together, the test files
        are what is read.

    Raises InputMissing where there is nothing at the path, UsageError where nothing in it
    is a digit.
    """
    if not path.exists():
        raise InputMissing(f"there is no folder {path}")
    if path.is_file():
        return read_idx(path)
    images = _idx_images(path)
    if not images:
        return read_folder(path, label)
    tests = [file for file in images if is_test(file)] or images
    return read_idx(tests[0]) if len(tests) == 1 else joined(map(_with_file, tests), path.name)


def is_test(images: Path) -> bool:
    """Whether an IDX file is MNIST's or EMNIST's to score on, by its name."""
    name = images.name
    return "t10k" in name or (name.startswith(_TURNED) and "-test-" in name)


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

    Pictures of 28x28 are taken as they are, but for their polarity, others are normalised.
    EMNIST's (``emnist-*``) have rows for columns and are turned upright. Since they are of
    the forms that MNIST is of, MNIST's test digits measure no model that was trained on them.
    Raises UsageError where the files are damaged or do not belong together, and where there
    are more classes than digits, as in all of EMNIST but its splits digits and mnist.
    """
    if "images" not in images.name:
        raise UsageError(f"{images} is neither a folder nor an IDX file of pictures")
    pictures = _idx(images)
    labels = _idx(images.with_name(images.name.replace("images", "labels").replace("idx3", "idx1")))
    if pictures.ndim != 3 or labels.shape != pictures.shape[:1]:
        raise UsageError(f"the IDX files {images} and its labels do not belong together")
    if labels.max(initial=0) > NOT_A_DIGIT:
        raise UsageError(f"the IDX file {images} is not of digits alone: a label is above 10")
    if images.name.startswith(_TURNED):
        pictures = pictures.transpose(0, 2, 1)
    if pictures.size and pictures[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean() > 127:
        pictures = 255 - pictures  # the corners, and so the paper, are white
    if pictures.shape[1:] != (SIDE, SIDE):
        pictures = np.array([glyph(one) for one in pictures])
    writers = _idx_writers(images, len(labels))
    return samples(pictures, labels.astype(np.int64), writers, images.parent.name)


def read_folder(folder: Path, label: int | None = None, leave_out: Sequence[str] = ()) -> Samples:
    """Pictures in one folder per class (``7/*.png``), or per writer and class.

    Any picture that ``ingest`` opens, brought to MNIST format by ``normalize.picture``.
    Folders not named by a digit hold things that are no digits; pictures in no folder are
    of no class. With ``label``, all pictures below the folder have it. Class folders in
    ``leave_out`` are not looked at. Hidden files, what is no picture or a broken one, and
    pictures of no class are passed over, and one sentence to the log says how many.
    Raises UsageError where there is no picture.
    """
    found: list[tuple[Bytes, int, str, str]] = []
    passed_over: list[str] = []
    for file in _files_below(folder):
        classes = file.relative_to(folder).parts[:-1]
        if not set(classes).isdisjoint(leave_out):
            continue
        name = printable(file.relative_to(folder).as_posix())
        known = _label(folder, classes) if label is None else label
        crop = None if known is None or _is_hidden(name) else _crop(file)
        if known is None or crop is None:
            passed_over.append(name)
        else:
            found.append((crop, known, _writer(classes), name))
    _tell(folder, len(found), passed_over)
    if not found:
        raise UsageError(
            f"there are no digits in {folder}: neither IDX files nor pictures in folders "
            "named 0 to 9"
        )
    pictures, labels, writers, names = zip(*found, strict=True)
    return samples(np.array(pictures), labels, writers, folder.name, names)


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


def _with_file(images: Path) -> Samples:
    """One of several IDX files, its name before the places of its digits."""
    found = read_idx(images)
    return replace(found, names=np.char.add(f"{images.name}:", found.names))


def _idx_images(folder: Path) -> list[Path]:
    """The IDX files of pictures in a folder; of a file and its gzipped twin, one."""
    for below in _TORCHVISION:
        files = sorted((folder / below).glob("*images*idx3*"))
        if files:
            return list({file.name.removesuffix(".gz"): file for file in files}.values())
    return []


def _files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted; a folder that cannot be listed, and a link to one, too."""
    found: list[Path] = []

    def note(error: OSError) -> None:
        found.append(Path(error.filename))

    for here, folders, names in os.walk(folder, onerror=note):
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        found += [Path(here) / name for name in [*names, *links]]
    return sorted(found)


def _label(folder: Path, classes: Sequence[str]) -> int | None:
    """What is in a file of the folder, by the folders on its way; None where they do not say."""
    if classes:
        return _DIGITS.get(classes[-1], NOT_A_DIGIT)
    return _DIGITS.get(folder.resolve().name)


def _is_hidden(name: str) -> bool:
    """Whether the file or a folder on its way is hidden, as copies of old states are."""
    return any(part.startswith(".") for part in name.split("/"))


def _writer(classes: Sequence[str]) -> str:
    """The folder above the class is the writer's, unless it says what the digits are for."""
    writer = classes[-2] if len(classes) > 1 else ""
    return "" if writer.lower() in _SPLITS else printable(writer)


def _crop(file: Path) -> Bytes | None:
    """uint8 (28, 28): the picture of a file in MNIST format; None where it is none."""
    try:
        with open_document(file.resolve(), IngestOptions()) as document:
            crop = picture(document.page(0).pixels)
    except DocumentError:
        return None
    return crop if crop.any() else _white_on_nothing(file, crop)


def _white_on_nothing(file: Path, blank: Bytes) -> Bytes:
    """The MNIST picture of what is blank on white paper, for it may be white ink on none."""
    with contextlib.suppress(OSError), Image.open(file) as image:  # a PDF is none of Pillow's
        if image.has_transparency_data:
            return np.asarray(picture(np.asarray(image.convert("RGBA"))), np.uint8)
    return blank


def _tell(folder: Path, count: int, passed_over: Sequence[str]) -> None:
    """Say how many files were passed over, and name the first."""
    if passed_over:
        shown = ", ".join(passed_over[:_NAMED]) + (", ..." if len(passed_over) > _NAMED else "")
        _log.warning(
            f"passed over {len(passed_over)} of {count + len(passed_over)} files in {folder}, "
            f"hidden, broken, no pictures or in no folder of a class: {shown}"
        )


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
    split = images.name.partition("-images")[0]
    try:
        with gzip.open(listing, "rt", encoding="utf-8", newline="") as stream:
            writers = [row["writer"] for row in csv.DictReader(stream) if row["split"] == split]
    except (OSError, EOFError, ValueError, KeyError, csv.Error, zlib.error) as error:
        raise UsageError(f"the list of writers {listing} is damaged") from error
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
