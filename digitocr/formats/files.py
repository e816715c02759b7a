"""Which files there are, and their bytes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from digitocr.errors import EmptyFile, InputMissing, TooLarge, UnreadableFile

__all__ = [
    "Found",
    "Source",
    "content_hash",
    "find_documents",
    "open_regular",
    "read_bytes",
    "sniff",
]

_SIDE_FILES = (
    *(".csv", ".tsv", ".parquet", ".xls", ".xlsx", ".db", ".sqlite"),  # tables
    *(".txt", ".md", ".rst", ".log", ".docx", ".odt", ".pptx", ".url", ".lnk"),  # text
    *(".json", ".jsonl", ".toml", ".yaml", ".yml", ".xml", ".ini", ".cfg", ".conf"),
    *(".py", ".pyc", ".sh", ".lock", ".safetensors", ".prom"),  # programs and what they leave
    *(".state", ".state-journal"),  # what a run keeps beside its output
)
_SYSTEM_FILES = ("thumbs.db", "desktop.ini")
_CHUNK = 1 << 20  # bytes hashed at a time
_HEAD = 1024  # bytes; readers of PDF accept that much before its mark

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_BMP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124))


@dataclass(frozen=True, slots=True)
class Source:
    """A document to read.

    file: its path relative to the input it was found under, "/" between parts; for an
        input that is a file, its name. Bytes of a name that are no UTF-8 stand as percent
        escapes, so that every name can be written into a table.
    path: absolute, for workers elsewhere.
    order: the number of its input, from 0, and that path's bytes, by which documents stand
        in order on every machine that sees the same folder.
    """

    path: Path
    file: str
    order: tuple[int, bytes] = (0, b"")


@dataclass(frozen=True, slots=True)
class Found:
    """What the inputs hold: documents to read, and files passed over as no documents."""

    documents: tuple[Source, ...]
    skipped: tuple[Source, ...] = ()


def find_documents(inputs: Sequence[str | os.PathLike[str]]) -> Found:
    """List the documents under files and folders, without opening what may hang.

    Inputs stand in the order given, files of a folder in byte order of their relative path;
    a file that is met twice appears once, where it is met first. A file that was named is
    always a document. In folders, hidden files are passed over, and so are, by name among
    the skipped, side files (a name that says table, text, database or program, and no first
    bytes of a picture or PDF) and links to folders. Anything else is a document, readable or
    not, so that nothing is silently absent.

    Raises InputMissing where any of the inputs does not exist, before a folder is walked.
    """
    roots = [Path(name) for name in inputs]
    for root in roots:
        if not _exists(root):
            raise InputMissing(f"there is no file or folder '{_writable(str(root))}'")
    documents: dict[Path, Source] = {}
    skipped: dict[Path, Source] = {}
    for number, root in enumerate(roots):
        inside = _walk(root.absolute(), number) if root.is_dir() else [_named(root, number)]
        for source in inside:
            side = root.is_dir() and _is_side_file(source.path)
            (skipped if side else documents).setdefault(_identity(source.path), source)
    return Found(
        tuple(documents.values()),
        tuple(source for key, source in skipped.items() if key not in documents),
    )


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open to read.

    Raises UnreadableFile for links, pipes, devices and where the system refuses.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise UnreadableFile("this is a link, and links are not followed; give the file itself")
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
    except OSError as error:
        raise _closed(error) from error
    os.close(handle)
    raise UnreadableFile("this is no ordinary file but a folder, pipe or device")


def read_bytes(path: Path, max_megabytes: float) -> bytes:
    """The bytes of a regular file.

    Raises UnreadableFile as ``open_regular``, EmptyFile for no bytes, TooLarge for more
    than ``max_megabytes`` (1e6 bytes each).
    """
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > max_megabytes * 1e6:
                raise TooLarge(
                    f"the file is larger than the limit of {max_megabytes:g} MB; "
                    "raise max_megabytes in the pipeline file to read it"
                )
            data = file.read()
    except OSError as error:
        raise _closed(error) from error
    if not data:
        raise EmptyFile("the file is empty; copy or scan it again")
    return data


def content_hash(path: Path, max_megabytes: float) -> str:
    """The SHA-256 of a regular file's bytes, in hex; "" where ``read_bytes`` would not read it."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > max_megabytes * 1e6:
                return ""
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (UnreadableFile, OSError):
        return ""
    return digest.hexdigest()


def _closed(error: OSError) -> UnreadableFile:
    reason = error.strerror or type(error).__name__
    return UnreadableFile(f"the file cannot be opened: {reason}")


def sniff(data: bytes) -> str | None:
    """The format that the first bytes tell: "PDF", or Pillow's name of one; None for no known."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM") and data[14:18] in _BMP_HEADERS:
        return "BMP"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#" and len(data) > 3:
        return "PPM"
    if b"%PDF-" in data[:_HEAD]:
        return "PDF"
    return None


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def _named(path: Path, number: int) -> Source:
    """A file that was named: a link is followed, for the person who named it chose it."""
    return Source(path.resolve(), _writable(path.name), (number, os.fsencode(path.name)))


def _walk(root: Path, number: int) -> list[Source]:
    """The files below a folder that are not hidden, in byte order of their relative path.

    number: of the input that the folder is.
    """
    found = []
    for path in _files(root):
        relative = os.fsencode(path.relative_to(root)).replace(os.fsencode(os.sep), b"/")
        found.append((relative, path))
    return [
        Source(path, _writable(os.fsdecode(relative)), (number, relative))
        for relative, path in sorted(found)
    ]


def _files(root: Path) -> Iterator[Path]:
    """Every file and every link below a folder; a folder that cannot be listed, too."""
    closed: list[Path] = []

    def note(error: OSError) -> None:
        closed.append(Path(error.filename))

    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in [*names, *links] if not name.startswith("."))
    yield from closed


def _is_side_file(path: Path) -> bool:
    """Whether the name says that this is no document, and the first bytes do not object."""
    if path.is_symlink():
        return path.is_dir()
    named_so = path.suffix.lower() in _SIDE_FILES or path.name.lower() in _SYSTEM_FILES
    if not named_so or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return sniff(file.read(_HEAD)) is None
    except OSError:
        return True


def _identity(path: Path) -> Path:
    """What makes two paths the same document; a link is not what it points to."""
    return path.parent.resolve() / path.name


def _writable(name: str) -> str:
    """The name in UTF-8: bytes that are none become percent escapes."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(
            quote(char, errors="surrogateescape") if "\udc80" <= char <= "\udcff" else char
            for char in name
        )
    return name
