"""A file that is there whole or not at all, and standard output as a file.

A reader of the output never sees half a table: it is written beside its place and moved
there when it is complete and on the disk.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from digitocr.errors import OutputError

__all__ = ["make_folder", "open_output", "place_of", "sweep", "writing"]


@contextlib.contextmanager
def open_output(out: str) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``out`` when the block ends well.

    When it ends with an exception, what stood there before stays. ``-`` is standard
    output. Raises OutputError where the file cannot be written.
    """
    if out == "-":
        if sys.stdout is None:  # the shell's >&-
            raise OutputError("standard output is closed")
        yield sys.stdout.buffer
        return
    with writing(out):
        target = place_of(out)
        draft, file = _draft(target)
    try:
        yield file
        with writing(out):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            draft.replace(target)
            _settle(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk is told once
            file.close()
        with contextlib.suppress(OSError):  # and so is a folder that is gone
            draft.unlink()
        raise


def make_folder(folder: Path) -> None:
    """Make a folder for results. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror}") from error


def place_of(out: str) -> Path:
    """The file that an output is: through links, which stay links.

    Raises OSError where something else is in its place.
    """
    target = Path(os.path.realpath(out))
    if target.exists() and not target.is_file():
        raise OSError(None, "there is something there that is no file")
    return target


def sweep(out: str) -> None:
    """Remove what killed runs left of ``out``; no other run may be writing it."""
    target = Path(os.path.realpath(out))
    for draft in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 8}.part"):
        with contextlib.suppress(OSError):
            draft.unlink()


def _draft(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside ``target``, with the permissions that one has or would have."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    file = draft.open("xb")
    if target.exists():
        shutil.copymode(target, draft)
    return draft, file


def _settle(folder: Path) -> None:
    """Bring a folder's new entry to the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def writing(out: str) -> Iterator[None]:
    """Turn the failures of writing to ``out`` into an OutputError, in a clerk's words."""
    try:
        yield
    except BrokenPipeError as error:
        _abandon(out)
        raise OutputError("whoever was reading the output stopped before its end") from error
    except OSError as error:
        _abandon(out)
        reason = error.strerror or str(error)
        where = "standard output" if out == "-" else out
        raise OutputError(f"{where} cannot be written: {reason}") from error


def _abandon(out: str) -> None:
    """Point standard output at nothing, else Python fails again as it flushes it at exit."""
    if out == "-":
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
