"""What ``digitocr extract`` does: find, read or remember, write, record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from digitocr.errors import UsageError
from digitocr.expected import read_expected
from digitocr.export import check_format, write
from digitocr.ingest import Found, Source, find_documents
from digitocr.lock import locked
from digitocr.output import make_folder, sweep
from digitocr.quarantine import check_quarantine, quarantined
from digitocr.record import origin_of, write_record
from digitocr.resources import find_pipeline
from digitocr.resume import Resumption
from digitocr.run import Run
from digitocr.shard import Shard, write_part
from digitocr.state import open_state
from digitocr.types import Document

if TYPE_CHECKING:
    from digitocr.pipeline import Engine, Pipeline

__all__ = ["Extraction", "Patience", "load_pipeline", "run_extraction"]


@dataclass(frozen=True, slots=True)
class Extraction:
    """What the command was asked for; each is the option of that name.

    options: all of them as they were given, for the record.
    """

    inputs: tuple[Path, ...]
    output: str
    wide: bool
    overlay: Path | None
    shard: str | None
    engine: Engine
    fresh: bool
    quarantine: Path | None
    max_failed: float
    pipeline: str
    model: str
    expect: Path | None
    max_error: float | None
    device: str
    jobs: int | None
    options: Mapping[str, Any]


class Patience(Protocol):
    """Lets whoever asks the run to end wait for the documents under way."""

    def sources(self, sources: Iterable[Source]) -> Iterator[Source]:
        """The sources, until someone asks."""
        ...

    def documents(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents; after the last, the end of the run if someone asked for it."""
        ...


def run_extraction(
    asked: Extraction, run: Run, patience: Callable[[], AbstractContextManager[Patience]]
) -> int:
    """Read what was asked for into a table; the exit status.

    run: is told how it goes. patience: is entered while something is read and remembered.
    Raises UsageError, SetupError, OutputError, OutputLocked and TooManyFailed.
    """
    part = _checked(asked)
    found = find_documents(asked.inputs)
    sources = part.own(found.documents) if part else found.documents
    run.skipped([source.file for source in found.skipped])
    for folder in filter(None, (asked.overlay, asked.quarantine)):
        make_folder(folder)
    reader = load_pipeline(asked.pipeline, asked.model, asked.device, asked.expect, asked.max_error)
    device = reader.classifier.device
    origin = origin_of(find_pipeline(asked.pipeline), reader.models, device, asked.expect)

    def told(documents: Iterator[Document]) -> Iterator[Document]:
        run.started(origin, len(sources), len(found.skipped))
        kept = quarantined(documents, sources, asked.quarantine) if asked.quarantine else documents
        return run.watched(kept, len(sources), asked.max_failed)

    def read(some: Iterable[Source], memory: Resumption | None = None) -> Iterator[Document]:
        return reader.read_sources(some, asked.jobs, asked.overlay, memory, engine=asked.engine)

    if asked.output == "-":
        write(told(read(sources)), asked.output, wide=asked.wide)
        return run.finish()
    with _remembering(asked, reader) as memory, patience() as patient:
        documents = told(patient.documents(read(patient.sources(sources), memory)))
        _write(asked, documents, part, found, reader)
        write_record(asked.output, origin, asked.options, run.totals, run.status)
    return run.finish(memory.kept)


def load_pipeline(
    name: str, model: str, device: str, expect: Path | None, max_error: float | None
) -> Pipeline:
    """The pipeline and its model; takes time, so it comes after all cheaper checks.

    expect: a file of the values that it is made for. Raises SetupError, UsageError.
    """
    from digitocr.pipeline import Pipeline

    expected = None if expect is None else read_expected(expect)
    return Pipeline.load(name, model, device, expected, max_error)


def _checked(asked: Extraction) -> Shard | None:
    """The shard, if one was asked for. Raises UsageError for what does not go together."""
    check_format(asked.output, wide=asked.wide)
    part = Shard.parse(asked.shard) if asked.shard else None
    if part and asked.output == "-":
        raise UsageError("a shard's part is a file; what goes to -o - cannot be merged")
    if asked.fresh and asked.output == "-":
        raise UsageError("--fresh needs an output file; of standard output nothing is remembered")
    if asked.quarantine:
        check_quarantine(asked.quarantine, asked.inputs)
    return part


def _write(
    asked: Extraction,
    documents: Iterable[Document],
    part: Shard | None,
    found: Found,
    reader: Pipeline,
) -> None:
    """Write the table, or the part of it. Raises OutputError."""
    if part:
        write_part(documents, asked.output, part, found.documents, reader.way, wide=asked.wide)
    else:
        write(documents, asked.output, wide=asked.wide)


@contextlib.contextmanager
def _remembering(asked: Extraction, reader: Pipeline) -> Iterator[Resumption]:
    """What is remembered of an output, for this run alone. Raises OutputError, OutputLocked."""
    with locked(asked.output) as locks:
        sweep(asked.output)
        with open_state(asked.output, reader.fingerprint, fresh=asked.fresh, locks=locks) as state:
            yield Resumption(state, reader.recipe.ingest.max_megabytes)
