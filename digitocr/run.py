"""What a run says while it goes and when it ends; never a value read from a document.

The events of ``--log-json`` and their entries are listed in docs/watching.md.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from digitocr.errors import TooManyFailed

if TYPE_CHECKING:
    from digitocr.types import Document

__all__ = ["COUNTS", "Run"]

COUNTS = ("documents", "failed", "pages", "numbers", "review", "errors")  # what a run counts
_SHOWN = ("documents", "pages", "numbers", "review", "errors")  # of these in the summary
_NAMED = 5  # files named in one message
_FAULT = 1  # the exit status of a run in which our own code failed
_SOME_FAILED = 3  # of one with documents that could not be read


class Run:
    """Counts documents as they pass and reports on standard error.

    quiet: nothing but errors. verbose: a line for each document. log_json: one JSON
    object a line instead of sentences.
    """

    def __init__(self, quiet: bool = False, verbose: int = 0, log_json: bool = False) -> None:
        self._quiet, self._verbose, self._log_json = quiet, verbose, log_json
        self._began = _now()
        self._clock = time.monotonic()
        self._setup = 0.0
        self._counts: Counter[str] = Counter()
        log = logging.getLogger("digitocr")
        log.handlers[:] = [_Passing(self)]
        log.setLevel(logging.INFO)

    def started(self, origin: dict[str, Any], documents: int, skipped: int) -> None:
        """Say with what the reading begins, and of how many files, to who reads events."""
        self._setup = self._seconds()
        self._say("", {"event": "started"} | origin | {"documents": documents, "skipped": skipped})

    def note(self, sentence: str) -> None:
        """Say how the work goes on."""
        self._say(sentence, {"event": "note", "message": sentence})

    def failed(self, sentence: str, status: int) -> None:
        """Say why the run ends before its end, and with which exit status."""
        event = {"event": "failed", "message": sentence, "exit_status": status}
        self._say(sentence, event, always=True)

    def fault(self, sentence: str) -> None:
        """Count and tell a failure of our own code."""
        self._counts["faults"] += 1
        self._say(sentence, {"event": "fault", "message": sentence}, always=True)

    def skipped(self, files: Sequence[str]) -> None:
        """Name the files in folders that are no documents."""
        if files:
            shown = ", ".join(files[:_NAMED]) + (", ..." if len(files) > _NAMED else "")
            event = {"event": "skipped", "count": len(files), "files": list(files[:_NAMED])}
            self._say(f"left out, no documents: {shown}", event)

    def watched(
        self, documents: Iterable[Document], total: int, max_failed: float = 1.0
    ) -> Iterator[Document]:
        """The documents, counted and reported as they pass.

        total: how many there are. max_failed: the share of them, 0 to 1, that may fail.
        Raises TooManyFailed with the document that passes it, for then the rest cannot
        bring it back.
        """
        most = int(Fraction(str(max_failed)) * total)  # a float's product may be a hair less
        for document in documents:
            self._count(document)
            if self._counts["failed"] > most:
                raise TooManyFailed(
                    f"{self._counts['failed']} of {total} documents could not be read, more than "
                    f"--max-failed {max_failed:g} allows; the run stops here, and a table that "
                    "was written before stays"
                )
            yield document
            self._progress(total)
        self._clear_progress()

    @property
    def status(self) -> int:
        """The exit status of the documents that passed."""
        if self._counts["faults"]:
            return _FAULT
        return _SOME_FAILED if self._counts["failed"] else 0

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Counts, and times in seconds and as UTC, once and for all when first asked for."""
        seconds = self._seconds()
        return {
            "counts": {name: self._counts[name] for name in COUNTS},
            "started": self._began.isoformat(timespec="milliseconds"),
            "ended": _now().isoformat(timespec="milliseconds"),
            "seconds": round(seconds, 3),
            "setup_seconds": round(self._setup, 3),
            "pages_per_second": round(self._counts["pages"] / max(seconds, 1e-3), 2),
        }

    def finish(self, kept: int = 0) -> int:
        """Say what was done; the run's exit status. kept: documents known from before."""
        times = dict(self.totals)
        counts = times.pop("counts")
        told = [f"{counts[name]} {_noun(name, counts[name])}" for name in _SHOWN]
        told[0] += f" ({kept} kept from before)" if kept else ""
        self._say(
            f"{', '.join(told)} in {times['seconds']:.1f} s "
            f"({times['pages_per_second']:.1f} pages per second)",
            {"event": "finished"} | counts | {"kept": kept} | times | {"exit_status": self.status},
        )
        return self.status

    def _seconds(self) -> float:
        return time.monotonic() - self._clock

    def _count(self, document: Document) -> None:
        own: Counter[str] = Counter(documents=1, pages=len(document.pages))
        own["failed"] = bool(document.errors)
        for number in document.numbers:
            own["errors" if number.status == "error" else "numbers"] += 1
            own["review"] += number.status == "review"
        self._counts += own
        for error in document.errors:
            page = f" page {error.page}" if error.page else ""
            place = {"file": document.file, "page": error.page}
            self._say(
                f"{document.file}{page}: {error.message}",
                {"event": "page_failed"} | place | {"message": error.message},
                always=True,
            )
        rows = own["numbers"] + own["errors"]
        told = {name: own[name] for name in ("pages", "numbers", "review", "errors")}
        if self._verbose or self._log_json:
            self._say(
                f"{document.file}: {len(document.pages)} pages, {rows} rows",
                {"event": "document", "file": document.file} | told,
            )

    def _say(self, sentence: str, event: dict[str, Any], *, always: bool = False) -> None:
        """One line on standard error; what has no sentence is for who reads events."""
        if self._quiet and not always:
            return
        self._clear_progress()
        if self._log_json:
            timed = {"time": _now().isoformat(timespec="milliseconds")} | event
            self._write(json.dumps(timed) + "\n")
        elif sentence:
            self._write(f"digitocr: {sentence}\n")

    def _progress(self, total: int) -> None:
        done, pages = self._counts["documents"], self._counts["pages"]
        if self._shows_progress():
            self._write(f"\r{done} of {total} documents, {pages} pages")

    def _clear_progress(self) -> None:
        if self._shows_progress():
            self._write("\r\x1b[K")

    def _shows_progress(self) -> bool:
        if self._quiet or self._log_json or sys.stderr is None:
            return False
        return sys.stderr.isatty()

    def _write(self, text: str) -> None:
        """Messages that nobody takes are no reason to stop."""
        if sys.stderr is not None:  # the shell's 2>&-
            with contextlib.suppress(OSError):
                sys.stderr.write(text)
                sys.stderr.flush()


class _Passing(logging.Handler):
    """What the library logs, said as the run says things."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self._run.fault(record.getMessage())
        else:
            self._run.note(record.getMessage())


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _noun(name: str, count: int) -> str:
    """The counted thing, in the singular where there is one."""
    return name.removesuffix("s") if count == 1 else name if name != "review" else "to review"
