"""The table of a run: its columns, and how CSV and Parquet write them.

A cell is text, a whole number or a share (0 to 1); None is an empty cell. Both formats
write the same cells, so that a table does not depend on its ending.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from digitocr.types import Document, Number

__all__ = [
    "COLUMNS",
    "TABLES",
    "Cell",
    "Column",
    "CsvTable",
    "ParquetTable",
    "Rows",
    "Table",
    "WideRows",
    "pages_of",
    "printable",
    "wide_columns",
]

Cell = str | int | float | None
_Page = dict[str, Sequence[Cell]]  # value, confidence and status by field

# Excel and its kin run a cell that starts so, the full-width signs in some locales
# (OWASP, "CSV Injection").
_RUNS_AS_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_QUOTED = re.compile(r'[,"\r\n]')  # what a field with it must be
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True, slots=True)
class Column:
    """One column. kind: what its cells hold."""

    name: str
    kind: Literal["text", "whole", "share"] = "text"


COLUMNS = (
    Column("file"),
    Column("page", "whole"),
    Column("field"),
    Column("value"),
    Column("text"),
    Column("confidence", "share"),
    Column("status"),
    Column("left", "whole"),
    Column("top", "whole"),
    Column("right", "whole"),
    Column("bottom", "whole"),
    Column("message"),
)


def printable(text: str) -> str:
    r"""``text`` with what UTF-8 cannot hold (the odd bytes of a file's name) as ``\xe9``.

    >>> printable("caf\udce9.pdf")
    'caf\\xe9.pdf'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text
    try:
        return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # half of a UTF-16 pair, which stands for no byte
        return text.encode(errors="backslashreplace").decode()


def _inert(text: str) -> str:
    """``text`` as a spreadsheet shows it without running it.

    >>> _inert("=1+1"), _inert("0042")
    ("'=1+1", '0042')
    """
    return f"'{text}" if text.startswith(_RUNS_AS_FORMULA) else text


def _plain(cell: Cell, column: Column) -> Cell:
    """The cell as every table holds it: four decimals, no formula, nothing but UTF-8."""
    if cell is None:
        return None
    if column.kind == "share":
        return round(float(cell), 4)
    return int(cell) if column.kind == "whole" else _inert(printable(str(cell)))


class Table(ABC):
    """A table under way: ``add`` rows, then ``finish``; ``close`` in any case."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file = file
        self._columns = columns

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows, each with one cell per column."""
        self._write(
            [
                [_plain(cell, column) for cell, column in zip(row, self._columns, strict=True)]
                for row in rows
            ]
        )

    def finish(self) -> None:  # noqa: B027, nothing to do is right for most
        """Write what is still held back."""

    def close(self) -> None:  # noqa: B027
        """Let go, whether the table is finished or not."""

    @abstractmethod
    def _write(self, rows: list[list[Cell]]) -> None:
        """Write rows whose cells are plain."""


class CsvTable(Table):
    """UTF-8, LF, one header line. Rows leave at once, for whoever reads them from a pipe."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        super().__init__(file, columns)
        self._write([[_inert(printable(column.name)) for column in columns]])

    def _write(self, rows: list[list[Cell]]) -> None:
        text = "".join(",".join(map(_quoted, row)) + "\n" for row in rows)
        self._file.write(text.encode())
        self._file.flush()


def _quoted(cell: Cell) -> str:
    # Not the standard library's writer, which leaves a carriage return unquoted (to 3.12).
    if isinstance(cell, float):
        return f"{cell:.4f}"
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


class ParquetTable(Table):
    """Row groups of a few thousand rows, so that memory does not grow with the table."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        super().__init__(file, columns)
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"text": pa.string(), "whole": pa.int32(), "share": pa.float64()}
        self._schema: Any = pa.schema(
            [(printable(column.name), kinds[column.kind]) for column in columns],
            metadata={"digitocr.schema": "1"},
        )
        self._writer: Any = pq.ParquetWriter(file, self._schema)
        self._held: list[list[Cell]] = []

    def _write(self, rows: list[list[Cell]]) -> None:
        self._held += rows
        if len(self._held) >= _ROWS_PER_GROUP:
            self._write_group()

    def finish(self) -> None:
        if self._held:
            self._write_group()
        self._writer.close()

    def close(self) -> None:
        # Else the library closes it when it is collected, and by then the file is closed.
        with contextlib.suppress(OSError):
            self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        arrays = [
            pa.array([row[i] for row in self._held], type=field.type)
            for i, field in enumerate(self._schema)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._held = []


TABLES: dict[str, type[Table]] = {".csv": CsvTable, ".parquet": ParquetTable}


class Rows:
    """One row for each number, in order of page and of reading; one for a document without any."""

    def __init__(self, file: BinaryIO, table: type[Table]) -> None:
        self._table = table(file, COLUMNS)

    def add(self, document: Document) -> None:
        """Write the document's rows; those of no page come last."""
        numbers = sorted(document.numbers, key=lambda number: number.page or math.inf)
        self._table.add(map(_row, numbers or [_nothing(document)]))

    def finish(self) -> None:
        """Write what is still held back."""
        self._table.finish()

    def close(self) -> None:
        """Let go."""
        self._table.close()


def _nothing(document: Document) -> Number:
    """The row of a document that was read and holds no number: no file is silently absent."""
    message = "no number was found"
    return Number(document.file, None, "", "", "", 0.0, status="missing", message=message)


def _row(number: Number) -> Sequence[Cell]:
    return (
        number.file,
        number.page,
        number.field,
        number.value,
        number.text,
        number.confidence,
        number.status,
        *(number.box or (None, None, None, None)),
        number.message,
    )


class WideRows:
    """One row for each page, three columns for each field, in the order they turn up.

    The columns are known when the last page is, so the pages wait on the disk.
    """

    def __init__(self, file: BinaryIO, table: type[Table]) -> None:
        self._file = file
        self._table = table
        self._fields: dict[str, None] = {}
        self._spool = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 (see close)

    def add(self, document: Document) -> None:
        """Note the document's pages."""
        self._fields |= {number.field: None for number in document.numbers if number.field}
        for page, cells in pages_of(document):
            print(json.dumps([document.file, page, cells]), file=self._spool)

    def finish(self) -> None:
        """Write all rows."""
        with contextlib.closing(self._table(self._file, wide_columns(self._fields))) as table:
            self._spool.seek(0)
            for line in self._spool:
                table.add([self._row(*json.loads(line))])
            table.finish()

    def close(self) -> None:
        """Let go."""
        self._spool.close()

    def _row(self, file: str, page: int | None, cells: _Page) -> Sequence[Cell]:
        whole = cells.get("", (None, None, None))  # what is said of the page, not of a field
        return (file, page, *(cell for name in self._fields for cell in cells.get(name, whole)))


def pages_of(document: Document) -> list[tuple[int | None, _Page]]:
    """The rows of a document in a wide table: each page, and its cells by field.

    What is said of a page that could not be read stands under "".
    """
    pages: dict[int | None, _Page] = {page.page: {} for page in document.pages}
    for number in document.numbers:
        cells = (number.value, number.confidence, number.status)
        pages.setdefault(number.page, {})[number.field] = cells
    return sorted(pages.items(), key=lambda item: item[0] or math.inf)


def wide_columns(fields: Iterable[str]) -> list[Column]:
    """The columns of a wide table with these fields."""
    columns = [Column("file"), Column("page", "whole")]
    for name in fields:
        columns += [Column(name), Column(f"{name}_confidence", "share")]
        columns += [Column(f"{name}_status")]
    return columns
