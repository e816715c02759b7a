"""Copies of the files that could not be read, each with its reason, for a person to look at."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import BinaryIO

from digitocr.errors import UnreadableFile, UsageError
from digitocr.ingest import Source, open_regular
from digitocr.output import open_output, writing
from digitocr.tables import printable
from digitocr.types import Document

__all__ = ["check_quarantine", "quarantined"]

_HEAD = "digitocr could not read this file, or not every page of it.\n"
_ENDING = ".reason.txt"
_CHUNK = 1 << 20  # bytes
_LONGEST = 200  # bytes of a name, which gets an ending and a draft's marks; systems allow 255


def check_quarantine(folder: Path, inputs: Sequence[Path]) -> None:
    """See that no run reads the copies as its input, and no copy lands among an input's files.

    Raises UsageError where one of them lies within the other.
    """
    own = folder.resolve()
    for name in inputs:
        there = name.resolve()
        if own.is_relative_to(there) or there.is_relative_to(own):
            raise UsageError(
                f"the quarantine {folder} and the input {name} lie one within the other, and "
                "copies would be read as documents; choose a folder beside the input"
            )


def quarantined(
    documents: Iterable[Document], sources: Iterable[Source], folder: Path
) -> Iterator[Document]:
    """The documents as they pass; the file of each that has an error is copied.

    sources: of the documents, in the same order. A copy is ``folder / file`` byte for byte,
    its reason has ``.reason.txt`` behind that; where another file has the place, the first
    part of the path gets a number. What is there already is not written again. Of a file
    that is a link, no ordinary file or closed to us there is only the reason.

    Raises OutputError where the folder cannot be written.
    """
    for source, document in zip(sources, documents, strict=True):
        if document.errors:
            _keep(source, document, folder)
        yield document


def _keep(source: Source, document: Document, folder: Path) -> None:
    """Copy one file with its reason. Raises OutputError."""
    try:
        with open_regular(source.path) as file:
            _store(file, source, document, folder)
    except UnreadableFile:  # now, or in the middle
        _store(None, source, document, folder)


def _store(file: BinaryIO | None, source: Source, document: Document, folder: Path) -> None:
    """Write what is not there yet. Raises OutputError, UnreadableFile."""
    with writing(str(folder)):
        places = _places(folder, source.file)
        copy = next(place for place in places if _is_ours(place, file, source, folder))
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file is not None and not os.path.lexists(copy):
            _copy(file, copy)
        reason, beside = _reason(source, document), _beside(copy)
        if not beside.exists() or beside.read_bytes() != reason:
            with open_output(str(beside)) as note:
                note.write(reason)


def _reason(source: Source, document: Document) -> bytes:
    """What stands in the file beside the copy; the same for the same failure."""
    lines = [_HEAD, _origin(source)]
    for error in document.errors:
        lines.append(f"{f'page {error.page}: ' if error.page else ''}{error.message}\n")
    return "".join(lines).encode()


def _origin(source: Source) -> str:
    """The line of a reason that tells files of one name apart."""
    return f"file: {printable(str(source.path.absolute()))!r}\n"


def _beside(copy: Path) -> Path:
    return copy.with_name(copy.name + _ENDING)


def _places(folder: Path, file: str) -> Iterator[Path]:
    """Where a copy may lie: at the file's own relative path, else beside that."""
    first, *rest = [_short(printable(part)) for part in file.split("/")]
    yield folder.joinpath(first, *rest)
    name = Path(first)
    for number in count(2):
        yield folder.joinpath(f"{name.stem}-{number}{name.suffix}", *rest)


def _short(name: str) -> str:
    """A name that fits a file system with what is added to it."""
    data = name.encode()
    if len(data) <= _LONGEST:
        return name
    mark, ending = hashlib.sha256(data).hexdigest()[:16], Path(name).suffix[:8]
    room = _LONGEST - len(mark) - len(ending.encode()) - 1
    return f"{data[:room].decode(errors='ignore')}-{mark}{ending}"


def _is_ours(copy: Path, file: BinaryIO | None, source: Source, folder: Path) -> bool:
    """Whether a place is free, or has been given to this very file before."""
    above = copy.relative_to(folder).parents
    if any(_is_no_folder(folder / part) for part in above if part != Path()):
        return False
    noted = _noted(_beside(copy))
    if noted not in ("", _origin(source)):
        return False
    if not os.path.lexists(copy):
        return True
    return noted != "" if file is None else _same_bytes(file, copy)


def _is_no_folder(path: Path) -> bool:
    """Whether something stands there that is no folder, or a link to one."""
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _noted(beside: Path) -> str | None:
    """The origin in a reason, "" where there is no file, None where that is no reason."""
    if not os.path.lexists(beside):
        return ""
    if beside.is_symlink() or not beside.is_file():
        return None
    with beside.open(encoding="utf-8", errors="replace", newline="") as note:
        head, origin = note.readline(_CHUNK), note.readline(_CHUNK)
    return origin if head == _HEAD else None


def _same_bytes(file: BinaryIO, copy: Path) -> bool:
    """Whether a copy is one of the file's. Raises UnreadableFile."""
    if copy.is_symlink() or not copy.is_file():
        return False
    file.seek(0)
    with copy.open("rb") as other:
        return all(chunk == other.read(_CHUNK) for chunk in _chunks(file)) and not other.read(1)


def _copy(file: BinaryIO, copy: Path) -> None:
    """Copy bytes, for the eyes of the same people. Raises OutputError, UnreadableFile."""
    file.seek(0)
    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o666
    with open_output(str(copy)) as written:
        os.fchmod(written.fileno(), mode | 0o600)
        for chunk in _chunks(file):
            written.write(chunk)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file. Raises UnreadableFile, for a bad disk is no fault of the copy's."""
    while True:
        try:
            chunk = file.read(_CHUNK)
        except OSError as error:
            raise UnreadableFile(f"the file cannot be read: {error.strerror}") from error
        if not chunk:
            return
        yield chunk
