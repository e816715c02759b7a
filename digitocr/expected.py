"""The values that a run expects, from a table that somebody else keeps."""

from __future__ import annotations

import csv
from pathlib import Path

from digitocr.errors import UsageError

__all__ = ["read_expected"]

_COLUMN = "value"


def read_expected(path: Path) -> list[str]:
    """The values of a CSV file: its column ``value``, or else its first.

    A first line without that name counts as a value where it holds a digit, so that a bare
    list will do. Empty cells are left out.

    Raises UsageError where the file cannot be read or is no CSV in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except OSError as error:
        raise UsageError(f"the expected values {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the expected values {path} are no CSV in UTF-8: {error}") from error
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = head.index(_COLUMN) if _COLUMN in head else 0
    named = bool(head) and (_COLUMN in head or not any(map(str.isdigit, head[0])))
    cells = (row[column].strip() for row in rows[named:] if column < len(row))
    return [cell for cell in cells if cell]
