"""The parts that ``extract --shard`` wrote, joined to the table of an undivided run.

The parts are read side by side and one document at a time, so memory does not grow with them.
"""

from __future__ import annotations

import contextlib
import csv
import heapq
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from digitocr.errors import SetupError, UsageError
from digitocr.export import JsonArray, JsonLines, check_format
from digitocr.output import open_output, writing
from digitocr.shard import RECORD, Shard, digest, share_of
from digitocr.tables import COLUMNS, TABLES, Cell, Table, wide_columns

__all__ = ["Merged", "merge"]

_Row = Sequence[Cell]
_NOTHING: _Row = (None, None, None)  # a field that is not on a page, in a wide table
_FAILED: _Row = ("", 0.0, "error")  # one of a page that could not be read
_FILE_AND_PAGE = 2  # the columns of a wide table before those of its fields
_FIELD = 3  # those of a field


@dataclass(frozen=True, slots=True)
class Merged:
    """What was joined: how many documents, and errors in them."""

    documents: int
    errors: int


def merge(parts: Sequence[Path], out: str) -> Merged:
    """Join the parts of all shards, byte for byte to what an undivided run writes.

    parts: in any order; what lies beside one of them (PART.shard.jsonl, PART.state), as a
    wildcard names it too, is passed over. All end as ``out`` does, which may be ``-``.

    Raises, before anything is written, UsageError where a shard is missing or there twice,
    where parts are of other divisions or other documents, or are not as they were written;
    SetupError where they were read by other versions, pipelines or models; later OutputError
    where ``out`` cannot be written.
    """
    ending = check_format(out)
    beside = tuple(f"{path}." for path in parts)
    paths = [path for path in parts if not str(path).startswith(beside)]
    for path in paths:
        if check_format(str(path)) != ending or str(path) == "-":
            raise UsageError(f"the part {path} cannot be joined to {out}: both must end alike")
        if out != "-" and path.resolve() == Path(out).resolve():
            raise UsageError(f"the output {out} is one of the parts; give it another name")
    found = [_Part(path) for path in paths]
    _check_division(found)
    _check_alike(found)
    merged = _check_complete(found)
    for part in found:
        part.check_digest()
    with contextlib.ExitStack() as stack:
        for part in found:
            part.rows = _rows(stack.enter_context(_opened(part.path)), ending, part.wide)
        _write(found, out, ending)
    return merged


@dataclass(frozen=True, slots=True)
class _Entry:
    """A document as a part's record has it.

    order: as in ``Source``. rows: in the part's table, None where the document is another
    part's. fields, failed: see ``digitocr.shard``.
    """

    order: tuple[int, bytes]
    part: _Part
    rows: int | None
    errors: int
    fields: tuple[str, ...]
    failed: tuple[int, ...]


class _Part:
    """One part: its record, and the rows of its table.

    rows: of the table, once it is opened; bytes of JSON, or cells.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: Iterator[Any] = iter(())
        self._record = path.with_name(path.name + RECORD)
        self._sha256 = ""
        with self._reading(), self._record.open("rb") as file:
            head = json.loads(file.readline())
            number, count = head["shard"]
            self.shard = Shard.parse(f"{number}/{count}")
            self.wide = bool(head["wide"])
            self.version = (str(head["digitocr"]), int(head["schema"]))
            self.pipeline = (str(head["pipeline"]["name"]), str(head["pipeline"]["sha256"]))
            self.model = (str(head["model"]["name"]), str(head["model"]["sha256"]))

    def entries(self) -> Iterator[_Entry]:
        """Every document of the run, in order. Raises UsageError where the record is damaged."""
        with self._reading(), self._record.open("rb") as file:
            file.readline()
            before = None
            for line in file:
                said = json.loads(line)
                if "sha256" in said:
                    self._sha256 = str(said["sha256"])
                    return
                entry = self._entry(said)
                if before is not None and entry.order <= before:
                    raise ValueError(said)
                before = entry.order
                yield entry
            raise ValueError("the last line is not there")

    def own(self) -> Iterator[_Entry]:
        """The documents that stand in this part."""
        return (entry for entry in self.entries() if entry.rows is not None)

    def fields(self) -> list[str]:
        """The fields of a wide table in the order of its columns."""
        return [name for entry in self.own() for name in entry.fields]

    def take(self, count: int) -> list[Any]:
        """The next rows of the table. Raises UsageError where there are not so many."""
        with self._reading():
            rows = list(islice(self.rows, count))
            if len(rows) != count:
                raise ValueError("the record tells of more rows than there are")
        return rows

    def check_digest(self) -> None:
        """Raises UsageError where the table is not the one its record was written for."""
        with self._reading():
            is_changed = digest(self.path) != self._sha256
        if is_changed:
            raise UsageError(
                f"the part {self.path} is not as shard {self.shard} wrote it; copy it again "
                "with its record, or run that shard again"
            )

    def _entry(self, said: dict[str, Any]) -> _Entry:
        return _Entry(
            order=(int(said["input"]), said["file"].encode("utf-8", "surrogateescape")),
            part=self,
            rows=int(said["rows"]) if "rows" in said else None,
            errors=int(said.get("errors", 0)),
            fields=tuple(map(str, said.get("fields", ()))),
            failed=tuple(map(int, said.get("failed", ()))),
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what reading a part or its record may raise into a UsageError."""
        try:
            yield
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no {error.filename}; a part and its record, which "
                "digitocr extract --shard writes, belong together"
            ) from error
        except OSError as error:
            raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
            raise UsageError(
                f"{self._record} is damaged; copy it again, or run its shard again"
            ) from error


def _opened(path: Path) -> BinaryIO:
    """A part's table. Raises UsageError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _check_division(parts: Sequence[_Part]) -> None:
    """Every shard of one division is there, once. Raises UsageError."""
    if not parts:
        raise UsageError("there is no part to merge")
    count = parts[0].shard.count
    there: dict[int, Path] = {}
    for part in parts:
        if part.shard.count != count:
            raise UsageError(
                f"{parts[0].path} is shard {parts[0].shard}, and {part.path} is shard "
                f"{part.shard}: parts of one run have one number of shards"
            )
        if part.shard.number in there:
            raise UsageError(
                f"{there[part.shard.number]} and {part.path} are both shard {part.shard}"
            )
        there[part.shard.number] = part.path
    missing = [f"{number}/{count}" for number in range(1, count + 1) if number not in there]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise UsageError(f"shard {shown} is missing; all {count} parts make the table")


def _check_alike(parts: Sequence[_Part]) -> None:
    """All were read in the same way. Raises SetupError, UsageError for other tables."""
    first = parts[0]
    for part in parts[1:]:
        ways = {
            "version of digitocr": part.version == first.version,
            "pipeline": part.pipeline == first.pipeline,
            "model": part.model == first.model,
        }
        for what, is_same in ways.items():
            if not is_same:
                raise SetupError(
                    f"{first.path} and {part.path} were not read with the same {what}; "
                    "run the shards again, all alike"
                )
        if part.wide != first.wide:
            raise UsageError(f"one of {first.path} and {part.path} is wide, the other is not")


def _check_complete(parts: Sequence[_Part]) -> Merged:
    """Every document that any machine saw was read, once, by the shard whose it is.

    Raises UsageError, which names the first that was not.
    """
    documents = errors = 0
    every = heapq.merge(*(part.entries() for part in parts), key=attrgetter("order"))
    for (_, name), group in groupby(every, key=attrgetter("order")):
        seen = list(group)
        number = share_of(name, len(parts))
        read = [entry for entry in seen if entry.rows is not None]
        if any(entry.part.shard.number != number for entry in read):
            raise UsageError(f"{_shown(name)} was not read by the shard whose it is")
        if not read:
            raise UsageError(
                f"{seen[0].part.path} knows of {_shown(name)}, which shard {number}/{len(parts)} "
                "did not see: it came or went between the two, or they were given other inputs; "
                "run that shard again, or all of them on files that stay"
            )
        documents += 1
        errors += read[0].errors
    return Merged(documents, errors)


def _shown(name: bytes) -> str:
    return f"'{name.decode('utf-8', 'backslashreplace')}'"


def _write(parts: Sequence[_Part], out: str, ending: str) -> None:
    """Write the documents of all parts in order. Raises OutputError."""
    with open_output(out) as file, contextlib.ExitStack() as stack:
        with writing(out):
            writer = stack.enter_context(contextlib.closing(_writer(file, ending, parts)))
        for entry in heapq.merge(*(part.own() for part in parts), key=attrgetter("order")):
            rows = entry.part.take(entry.rows or 0)
            with writing(out):
                writer.add(entry, rows)
        with writing(out):
            writer.finish()


class _Writer(Protocol):
    def add(self, entry: _Entry, rows: list[Any]) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def _writer(file: BinaryIO, ending: str, parts: Sequence[_Part]) -> _Writer:
    if ending not in TABLES:
        return _Objects(JsonArray(file) if ending == ".json" else JsonLines(file))
    return (_Wide if parts[0].wide else _Long)(file, TABLES[ending], parts)


class _Objects:
    """JSON, which goes from file to file as it is."""

    def __init__(self, writer: JsonArray | JsonLines) -> None:
        self._writer = writer
        self.finish, self.close = writer.finish, writer.close

    def add(self, entry: _Entry, rows: list[bytes]) -> None:
        for row in rows:
            self._writer.put(row)


class _Long:
    """A table with one row for each number."""

    def __init__(self, file: BinaryIO, table: type[Table], parts: Sequence[_Part]) -> None:
        writer = table(file, COLUMNS)
        self._write = writer.add
        self.finish, self.close = writer.finish, writer.close

    def add(self, entry: _Entry, rows: list[_Row]) -> None:
        self._write(rows)


class _Wide:
    """A table with one row for each page; the parts' columns may differ."""

    def __init__(self, file: BinaryIO, table: type[Table], parts: Sequence[_Part]) -> None:
        own = heapq.merge(*(part.own() for part in parts), key=attrgetter("order"))
        fields = list(dict.fromkeys(name for entry in own for name in entry.fields))
        writer = table(file, wide_columns(fields))
        self._write = writer.add
        self.finish, self.close = writer.finish, writer.close
        self._places = {part: self._places_in(part, fields) for part in parts}

    def add(self, entry: _Entry, rows: list[_Row]) -> None:
        for number, row in enumerate(rows):
            absent = _FAILED if number in entry.failed else _NOTHING
            cells = [
                cell
                for place in self._places[entry.part]
                for cell in (absent if place is None else row[place : place + _FIELD])
            ]
            self._write([[*row[:_FILE_AND_PAGE], *cells]])

    def _places_in(self, part: _Part, fields: Sequence[str]) -> list[int | None]:
        """Where each field's cells begin in a row of a part, None for a field it has not."""
        there = {name: k for k, name in enumerate(part.fields())}
        return [_FILE_AND_PAGE + _FIELD * there[name] if name in there else None for name in fields]


def _rows(file: BinaryIO, ending: str, wide: bool) -> Iterator[Any]:
    """The rows of a part's table, one at a time."""
    if ending == ".csv":
        return _csv_rows(file, wide)
    if ending == ".parquet":
        return _parquet_rows(file)
    return (line for line in (line.rstrip(b",\n") for line in file) if line.startswith(b"{"))


def _csv_rows(file: BinaryIO, wide: bool) -> Iterator[_Row]:
    """The cells; those that are empty and of no text as None."""
    reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""), strict=True)
    width = len(next(reader))
    columns = wide_columns([""] * ((width - _FILE_AND_PAGE) // _FIELD)) if wide else COLUMNS
    of_text = [column.kind == "text" for column in columns[:width]]
    for row in reader:
        yield [
            cell if cell or is_text else None for cell, is_text in zip(row, of_text, strict=True)
        ]


def _parquet_rows(file: BinaryIO) -> Iterator[_Row]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(file).iter_batches():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
