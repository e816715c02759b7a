"""What a run says while it goes and when it ends; never a value read from a document."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from digitocr.types import Document

__all__ = ["Run"]

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
        self._started = time.monotonic()
        self._counts: Counter[str] = Counter()
        logging.getLogger("digitocr").handlers[:] = [_Passing(self)]

    def note(self, sentence: str) -> None:
        """Say how the work goes on."""
        self._say(sentence, {"event": "note", "message": sentence})

    def failed(self, sentence: str) -> None:
        """Say why the run ends before its end, or what went wrong by our own fault."""
        self._say(sentence, {"event": "failed", "message": sentence}, always=True)

    def skipped(self, files: Sequence[str]) -> None:
        """Name the files in folders that are no documents."""
        if files:
            shown = ", ".join(files[:_NAMED]) + (", ..." if len(files) > _NAMED else "")
            self._say(f"left out, no documents: {shown}", {"event": "skipped", "files": len(files)})

    def watched(self, documents: Iterable[Document], total: int) -> Iterator[Document]:
        """The documents, counted and reported as they pass."""
        for document in documents:
            self._count(document)
            yield document
            self._progress(total)
        self._clear_progress()

    @property
    def status(self) -> int:
        """The exit status of the documents that passed."""
        if self._counts["faults"]:
            return _FAULT
        return _SOME_FAILED if self._counts["errors"] else 0

    def finish(self, kept: int = 0) -> int:
        """Say what was done; the run's exit status. kept: documents known from before."""
        counts = self._counts
        seconds = time.monotonic() - self._started
        shown = ("documents", "pages", "numbers", "review", "errors")
        numbers = {name: counts[name] for name in shown}
        rate = counts["pages"] / seconds if seconds else 0.0
        told = [f"{count} {_noun(name, count)}" for name, count in numbers.items()]
        told[0] += f" ({kept} kept from before)" if kept else ""
        self._say(
            f"{', '.join(told)} in {seconds:.1f} s ({rate:.1f} pages per second)",
            {"event": "finished", "seconds": round(seconds, 3), **numbers, "kept": kept},
        )
        return self.status

    def fault(self, sentence: str) -> None:
        """Count and tell a failure of our own code."""
        self._counts["faults"] += 1
        self.failed(sentence)

    def _count(self, document: Document) -> None:
        self._counts["documents"] += 1
        self._counts["pages"] += len(document.pages)
        for number in document.numbers:
            self._counts["errors" if number.status == "error" else "numbers"] += 1
            self._counts["review"] += number.status == "review"
        for error in document.errors:
            page = f" page {error.page}" if error.page else ""
            self._say(
                f"{document.file}{page}: {error.message}",
                {"event": "error", "file": document.file} | asdict(error),
                always=True,
            )
        if self._verbose:
            count = sum(1 for _ in document.numbers)
            self._say(
                f"{document.file}: {len(document.pages)} pages, {count} rows",
                {"event": "document", "file": document.file, "rows": count},
            )

    def _say(self, sentence: str, event: dict[str, Any], *, always: bool = False) -> None:
        """One line on standard error."""
        if self._quiet and not always:
            return
        self._clear_progress()
        self._write((json.dumps(event) if self._log_json else f"digitocr: {sentence}") + "\n")

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


def _noun(name: str, count: int) -> str:
    """The counted thing, in the singular where there is one."""
    return name.removesuffix("s") if count == 1 else name if name != "review" else "to review"
