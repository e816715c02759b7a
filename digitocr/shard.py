"""One machine's share of a run, and the record by which its part is joined with the others.

Which documents are a machine's own depends on their relative names alone: machines that see
the same folder need not speak with each other, and a file that arrives moves no other.

Beside a table PART lies ``PART.shard.jsonl``, one JSON object a line::

    {"digitocr", "schema", "shard": [2, 4], "wide", "pipeline": {...}, "model": {...}}
    {"input": 0, "file": "a.png", "rows": 3, "errors": 0}    a document of this share
    {"input": 0, "file": "b.png"}                            one of another
    ...
    {"documents": 2, "sha256": "..."}                        of the table

All documents of the run stand there in its order. ``rows`` are those the document has in the
table, ``fields`` those that first turn up with it, ``failed`` its rows (from 0) that stand for a
page that could not be read; these two only where the table is wide. Bytes of a name that are
no UTF-8 stand as Python's surrogate escapes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import digitocr
from digitocr.errors import UsageError
from digitocr.export import SCHEMA, check_format, write
from digitocr.ingest import Source
from digitocr.output import open_output, writing
from digitocr.tables import TABLES, pages_of
from digitocr.types import Document

__all__ = ["RECORD", "Shard", "digest", "share_of", "write_part"]

RECORD = ".shard.jsonl"  # what a part's record is called, behind the part's name
_PIECE = 1 << 16  # bytes read at once
_Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of a run: ``number`` of ``count``, from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that ``2/4`` means. Raises UsageError where the text means none."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"a shard is written as 2/4, the second of four, not as '{text}'")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def own(self, sources: Iterable[Source]) -> list[Source]:
        """The sources of this share, in their order."""
        return [one for one in sources if share_of(one.order[1], self.count) == self.number]


def share_of(name: bytes, count: int) -> int:
    """Which of ``count`` shares, from 1, reads the document of a relative name."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % count + 1


def write_part(
    documents: Iterable[Document],
    out: str,
    shard: Shard,
    plan: Sequence[Source],
    way: Mapping[str, Mapping[str, str]],
    *,
    wide: bool = False,
) -> None:
    """Write a share's documents as ``export.write`` does, and the part's record.

    documents: one for each source of the share, in order. out: a file.
    plan: every source of the run.
    way: name and sha256 of the ``pipeline`` and of the ``model`` it is read with.

    A part whose record is missing or older than itself is none: a run that ends between the
    two, or in the middle, has to be run again. Raises UsageError where ``out`` has no known
    ending, OutputError where one of the two cannot be written.
    """
    record = out + RECORD
    head = {
        "digitocr": digitocr.__version__,
        "schema": SCHEMA,
        "shard": [shard.number, shard.count],
        "wide": wide,
        **way,
    }
    with open_output(record) as file:
        notes = _Notes(file, record, shard, plan, table=check_format(out) in TABLES, wide=wide)
        notes.line(head)
        write(notes.taken(documents), out, wide=wide)
        notes.line({"documents": len(plan), "sha256": digest(Path(out))})


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises OSError."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            whole.update(piece)
    return whole.hexdigest()


class _Notes:
    """The lines of a record, written as the documents pass."""

    def __init__(
        self,
        file: BinaryIO,
        record: str,
        shard: Shard,
        plan: Sequence[Source],
        *,
        table: bool,
        wide: bool,
    ) -> None:
        self._file = file
        self._record = record
        self._shard = shard
        self._plan = plan
        self._table, self._wide = table, wide
        self._fields: set[str] = set()

    def line(self, entry: Mapping[str, Any]) -> None:
        """Write one line. Raises OutputError."""
        with writing(self._record):
            self._file.write(json.dumps(entry).encode() + b"\n")

    def taken(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents, each noted before it is passed on.

        Raises RuntimeError where they are not those of the share, one for each source.
        """
        rest = iter(documents)
        for source in self._plan:
            number, name = source.order
            entry: _Entry = {"input": number, "file": name.decode("utf-8", "surrogateescape")}
            if share_of(name, self._shard.count) == self._shard.number:
                document = next(rest, None)
                if document is None or document.file != source.file:
                    raise RuntimeError(f"{source.file} was planned and not read")
                self.line(entry | self._of(document))
                yield document
            else:
                self.line(entry)
        if next(rest, None) is not None:
            raise RuntimeError("a document was read that was not planned")

    def _of(self, document: Document) -> _Entry:
        """What stands in the table of a document."""
        errors = len(document.errors)
        if not self._table:
            return {"rows": 1, "errors": errors}
        if not self._wide:
            return {"rows": sum(1 for _ in document.numbers), "errors": errors}
        pages = pages_of(document)
        fields = dict.fromkeys(number.field for number in document.numbers if number.field)
        new = [name for name in fields if name not in self._fields]
        self._fields.update(new)
        failed = [row for row, (_, cells) in enumerate(pages) if "" in cells]
        return {"rows": len(pages), "errors": errors, "fields": new, "failed": failed}
