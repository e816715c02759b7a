"""Stage 8: documents -> CSV, JSON, JSONL, Parquet.

One document is held at a time, so memory does not grow with the run. Only the wide table
goes through a file on the disk first: its columns are known when the last page is read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from digitocr.errors import UsageError
from digitocr.output import open_output, writing
from digitocr.tables import TABLES, Rows, WideRows, printable
from digitocr.types import Digit, Document, Number, PageReading

__all__ = ["SCHEMA", "JsonArray", "JsonLines", "check_format", "write"]

SCHEMA = 1
_FORMATS = (".csv", ".json", ".jsonl", ".parquet")


def check_format(out: str, *, wide: bool = False) -> str:
    """The ending that names the format of ``out``; ``-``, standard output, is CSV.

    Raises UsageError where no format has that ending, or it has no wide form.
    """
    ending = ".csv" if out == "-" else Path(out).suffix.lower()
    if ending not in _FORMATS:
        raise UsageError(
            f"the output {out} must end in one of {', '.join(_FORMATS)}, or be - for CSV on "
            "standard output"
        )
    if wide and ending not in TABLES:
        raise UsageError(f"a wide table is written as {' or '.join(TABLES)}, not as {ending}")
    return ending


def write(documents: Iterable[Document], out: str, *, wide: bool = False) -> None:
    """Write documents to ``out`` as they come; the file appears when the last is written.

    wide: one row per page instead of one per number.

    Raises UsageError as ``check_format``, and OutputError where ``out`` cannot be
    written, both before the first document is asked for where that can be known. Then,
    and after an interruption, what stood at ``out`` before is still there.
    """
    ending = check_format(out, wide=wide)
    with open_output(out) as file, contextlib.ExitStack() as stack:
        with writing(out):
            writer = stack.enter_context(contextlib.closing(_writer(file, ending, wide)))
        for document in documents:
            with writing(out):
                writer.add(document)
        with writing(out):
            writer.finish()


class _Writer(Protocol):
    def add(self, document: Document) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def _writer(file: BinaryIO, ending: str, wide: bool) -> _Writer:
    if ending in TABLES:
        return (WideRows if wide else Rows)(file, TABLES[ending])
    return JsonArray(file) if ending == ".json" else JsonLines(file)


class JsonLines:
    """One object a line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, document: Document) -> None:
        self.put(_json(document))

    def put(self, line: bytes) -> None:
        """Write an object that is JSON already, in one line."""
        self._file.write(line + b"\n")

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class JsonArray:
    """One array, an object a line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._before = b"[\n"

    def add(self, document: Document) -> None:
        self.put(_json(document))

    def put(self, line: bytes) -> None:
        """Write an object that is JSON already, in one line."""
        self._file.write(self._before + line)
        self._before = b",\n"

    def finish(self) -> None:
        self._file.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")

    def close(self) -> None:
        pass


def _json(document: Document) -> bytes:
    text = json.dumps(_document(document), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace")  # JSON knows \\udce9, UTF-8 does not


def _document(document: Document) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "file": printable(document.file),
        "sha256": document.sha256,
        "pipeline": document.pipeline,
        "model": {"name": document.model.name, "sha256": document.model.sha256},
        "pages": [_page(page) for page in document.pages],
        "errors": [{"page": error.page, "message": error.message} for error in document.errors],
    }


def _page(page: PageReading) -> dict[str, Any]:
    return {
        "page": page.page,
        "width": page.width,
        "height": page.height,
        "dpi": page.dpi,
        "rotation": page.rotation,
        "skew": round(page.skew, 3),
        "numbers": [_number(number) for number in page.numbers],
    }


def _number(number: Number) -> dict[str, Any]:
    return {
        "field": number.field,
        "value": number.value,
        "text": number.text,
        "confidence": round(number.confidence, 4),
        "status": number.status,
        "box": number.box,
        "message": number.message,
        "digits": [_digit(digit) for digit in number.digits],
    }


def _digit(digit: Digit) -> dict[str, Any]:
    return {
        "value": digit.value,
        "confidence": round(digit.confidence, 4),
        "box": digit.box,
        "alternatives": [[value, round(share, 4)] for value, share in digit.alternatives],
    }
