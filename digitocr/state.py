"""What runs remember: an SQLite file beside the output, ``OUT.state``.

A document is known by its content. Its reading is kept with the fingerprint of what it was
read with, so that a change of the pipeline, the model or the program reads it again.

The rollback journal is used, not the write-ahead log: it needs no memory shared between
processes, which folders on a network do not have, and a killed run leaves it whole.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from digitocr.errors import DigitocrError, OutputError, OutputLocked
from digitocr.fingerprint import Fingerprint
from digitocr.output import place_of, writing
from digitocr.stored import packed, unpacked
from digitocr.types import Document

__all__ = ["TRIES", "State", "open_state"]

TRIES = 3  # runs that try a document that failed for a cause that may pass
_VERSION = 1
_MARK = 0x64676F63  # "dgoc", SQLite's application_id: this file is ours
_COMMIT_SECONDS = 0.5  # of work that a killed run may lose
_WAIT_SECONDS = 10.0  # for somebody who looks into the file meanwhile
_KEPT_DAYS = 90  # a document may be gone from the inputs and still be known when it is back
_DAY = 86400  # seconds

_SCHEMA = """
CREATE TABLE documents (
    sha256 TEXT PRIMARY KEY,  -- of the content
    reading TEXT NOT NULL,    -- the fingerprint it was read with
    limits TEXT NOT NULL,     -- and that of the limits
    outcome TEXT NOT NULL,    -- read, failed (so does every try), transient (the next may not)
    tries INTEGER NOT NULL,   -- under this fingerprint and these limits
    seen INTEGER NOT NULL     -- the day, counted from 1970, a run last met it
) WITHOUT ROWID;
CREATE TABLE readings (
    sha256 TEXT PRIMARY KEY,
    document BLOB NOT NULL    -- JSON, compressed (zlib)
);
"""


@contextlib.contextmanager
def open_state(
    out: str, mark: Fingerprint, *, fresh: bool = False, locks: bool = True
) -> Iterator[State]:
    """The state of an output, whose lock the caller holds; it is saved when the block ends.

    fresh: forget everything first. locks: False where the file system knows none.

    Raises OutputError, then and within the block, where the file cannot be written, is
    damaged or of a newer version; what was saved before stays as it is.
    """
    place = place_of(out)
    path = place.with_name(f"{place.name}.state")
    with writing(str(path)):
        if fresh:
            _remove(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # it holds values
    with _telling(path):
        connection = _connect(path, locks)
    with contextlib.closing(connection):
        with _telling(path):
            _prepare(connection, path)
        state = State(connection, path, mark)
        try:
            yield state
        except BaseException:
            with contextlib.suppress(DigitocrError):  # what ends the run is told already
                state.save()
            raise
        state.save()


class State:
    """Readings by content, open for one run. Every method raises OutputError."""

    def __init__(self, connection: sqlite3.Connection, path: Path, mark: Fingerprint) -> None:
        self._connection = connection
        self._path = path
        self._mark = mark
        self._today = int(time.time() // _DAY)
        self._since = time.monotonic()  # the last save

    def knows(self, content: str) -> bool:
        """Whether a content need not be read again: it was read with this fingerprint, or
        failed for good, or for a cause that may pass in ``TRIES`` runs.

        content: a SHA-256 in hex.
        """
        found = self._one(
            "SELECT outcome, tries, limits = ? FROM documents WHERE sha256 = ? AND reading = ?",
            (self._mark.limits, content, self._mark.reading),
        )
        if found is None:
            return False
        outcome, tries, same_limits = found
        if outcome == "read":
            return True
        return bool(same_limits) and (outcome == "failed" or tries >= TRIES)

    def reading(self, content: str, file: str) -> Document | None:
        """What was read of a content, under the name of a file; None where nothing is kept."""
        found = self._one(
            "SELECT document FROM readings JOIN documents USING (sha256) "
            "WHERE sha256 = ? AND reading = ?",
            (content, self._mark.reading),
        )
        if found is None:
            return None
        with _telling(self._path):
            document = unpacked(found[0], file)
            self._connection.execute(
                "UPDATE documents SET seen = ? WHERE sha256 = ? AND seen <> ?",
                (self._today, content, self._today),
            )
        self._save_at_times()
        return document

    def keep(self, content: str, document: Document) -> None:
        """Keep what was read of a content."""
        outcome = _outcome(document)
        row = (content, self._mark.reading, self._mark.limits, outcome)
        with _telling(self._path):
            tried = self._one(
                "SELECT tries FROM documents "
                "WHERE sha256 = ? AND reading = ? AND limits = ? AND outcome = ?",
                row,
            )
            tries = 1 + (tried[0] if tried else 0)
            self._connection.execute(
                "INSERT OR REPLACE INTO readings VALUES (?, ?)", (content, packed(document))
            )
            self._connection.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?)",
                (*row, tries, self._today),
            )
        self._save_at_times()

    def forget_old(self) -> None:
        """Drop what no run has met for long, so that the file does not grow for ever."""
        with _telling(self._path):
            self._connection.execute(
                "DELETE FROM documents WHERE seen < ?", (self._today - _KEPT_DAYS,)
            )
            self._connection.execute(
                "DELETE FROM readings WHERE sha256 NOT IN (SELECT sha256 FROM documents)"
            )

    def save(self) -> None:
        """Bring what is kept to the disk."""
        with _telling(self._path):
            self._connection.commit()
        self._since = time.monotonic()

    def _save_at_times(self) -> None:
        if time.monotonic() - self._since >= _COMMIT_SECONDS:
            self.save()

    def _one(self, query: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        with _telling(self._path):
            found: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return found


def _outcome(document: Document) -> str:
    if not document.errors:
        return "read"
    return "transient" if any(error.transient for error in document.errors) else "failed"


def _connect(path: Path, locks: bool) -> sqlite3.Connection:
    """Open the file, which is there. Raises sqlite3.Error."""
    way = "" if locks else "&vfs=unix-none"
    address = f"file://{quote(os.fsencode(path))}?mode=rw{way}"
    return sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables in an empty file. Raises OutputError for a file of another kind."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not (mark or version or tables):
        script = f"PRAGMA application_id = {_MARK}; PRAGMA user_version = {_VERSION};"
        connection.executescript(f"BEGIN; {script} {_SCHEMA} COMMIT;")
    elif mark != _MARK:
        raise OutputError(f"{path} is no state of digitocr; move it away, or choose another output")
    elif version != _VERSION:
        raise OutputError(
            f"the state {path} was written by a newer version of digitocr; use that one, or "
            "start over with --fresh"
        )


def _remove(path: Path) -> None:
    """Remove a state and the journal that a killed run left, which must not outlive it."""
    for file in (path.with_name(f"{path.name}-journal"), path):
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what SQLite complains of into an error that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise OutputLocked(
                f"another program holds the state {path}; try again when it is done"
            ) from error
        raise OutputError(
            f"the state {path} cannot be used ({error}); see to its disk and run again: what "
            "was read until now is kept"
        ) from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise OutputError(
            f"the state {path} is damaged; put back a copy of it, or read everything again "
            "with --fresh"
        ) from error
