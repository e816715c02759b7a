"""The stages in order: files in, documents with their numbers out.

ingest -> clean -> segment -> normalize      in worker processes, page by page
classify, what looks says needs it, assemble on the processor: there too
                                             on graphics cards, and wherever Ray's actors are:
                                             here, in batches across pages and documents
one Document per file, in order              here
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from digitocr.annotate import annotate
from digitocr.assemble import grammar_for
from digitocr.engines.local import Workers, outcome, usable_cores
from digitocr.engines.parts import prepared_parts
from digitocr.engines.worker import Process
from digitocr.errors import DocumentError, InputMissing, UsageError, place
from digitocr.fingerprint import Fingerprint, fingerprint
from digitocr.ingest import Source, find_documents
from digitocr.looks import probabilities_of
from digitocr.prepare import FAULT, Part, bring
from digitocr.reader import Reader
from digitocr.recipe import AssembleOptions, Recipe, load_recipe
from digitocr.resources import find_model, find_pipeline
from digitocr.risk import Bar, Bars, RiskTable
from digitocr.types import Document, Glyphs, Grammar, ModelId, PageReading, ReadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from digitocr.classify import Classifier
    from digitocr.resume import Resumption
    from digitocr.transcribe import Transcriber

__all__ = ["Pipeline"]

_log = logging.getLogger("digitocr")
_CORES_A_THREAD = 4  # the workers need the others, and more threads than cores cost double
_NONE = Bar(2.0)  # that no confidence reaches
_MOST_WAITING = 32  # parts gathered for one batch, however few glyphs they have
_CHANGED = "the file was changed while it was read; it is read again by the next run"

Engine = Literal["local", "ray"]
_Batch = list[tuple[Source, Part]]
_Pages = list[PageReading | ReadError]


@dataclass(frozen=True)
class Pipeline:
    """A way to read documents: a recipe, the models it reads with, and what fields may hold.

    >>> pipeline = Pipeline.load("default")             # doctest: +SKIP
    >>> for document in pipeline.read_all(["scans/"]):  # doctest: +SKIP
    ...     for number in document.numbers:
    ...         print(document.file, number.value, number.confidence)
    """

    recipe: Recipe
    classifier: Classifier
    grammar: Grammar | None = None  # None where any number may stand in a field
    transcriber: Transcriber | None = None  # None where digits alone are read
    bars: Bars = field(default_factory=Bars)
    expected: tuple[str, ...] | None = None  # the values that it was made for, if any

    @property
    def way(self) -> dict[str, dict[str, str]]:
        """What a table depends on beside its documents: this pipeline and its models."""
        numbers = [model.sha256 for model in self.models[1:]]
        said = json.dumps([asdict(self.recipe), self.expected, numbers])
        sha256 = hashlib.sha256(said.encode()).hexdigest()
        return {
            "pipeline": {"name": self.recipe.name, "sha256": sha256},
            "model": asdict(self.classifier.id),
        }

    @classmethod
    def load(
        cls,
        name: str = "default",
        model: str = "",
        device: str = "auto",
        expected: Sequence[str] | None = None,
        max_error: float | None = None,
    ) -> Pipeline:
        """Load a pipeline by name or TOML file, with its model or another.

        model: a name or a file, "" for the pipeline's own. device: auto, cpu or cuda.
        expected: values of which each field holds one, None for any. max_error: the share of
        accepted values that may be wrong, 0 to 1, None as the pipeline says.
        Raises PipelineError or ModelError where one of them cannot be used.
        """
        recipe = load_recipe(find_pipeline(name))
        if max_error is not None:
            recipe = replace(recipe, assemble=replace(recipe.assemble, max_error=max_error))
        grammar = grammar_for(recipe.value, expected)
        path = find_model(model or recipe.model.name)
        from digitocr.classify import Classifier  # loads the runtime, or torch for CUDA
        from digitocr.transcribe import Transcriber

        numbers = recipe.model.numbers
        transcriber = Transcriber.load(find_model(numbers)) if numbers else None
        classifier = Classifier.load(path, device)
        bars = _bars(recipe.assemble, classifier, transcriber)
        values = None if expected is None else tuple(expected)
        return cls(recipe, classifier, grammar, transcriber, bars, values)

    @property
    def models(self) -> list[ModelId]:
        """The model that reads digits, and the one that reads whole numbers, if any."""
        return [one.id for one in (self.classifier, self.transcriber) if one is not None]

    @property
    def fingerprint(self) -> Fingerprint:
        """What readings depend on besides the document."""
        return fingerprint(self.recipe, self.models, self.classifier.device, self.expected)

    @property
    def brought(self) -> tuple[Any, ...]:
        """What ``prepare.bring`` takes to read with this. Raises ModelError."""
        models = (self.classifier.id, self.classifier.file_bytes, self.transcriber)
        return (*models, self.bars, self.recipe.value, self.expected)

    def read(self, path: str | Path) -> Document:
        """Read one file. Raises InputMissing where there is none."""
        if Path(path).is_dir():
            raise InputMissing(f"{path} is a folder; read_all reads folders")
        return next(self.read_all([path], jobs=1))

    def read_all(
        self,
        inputs: str | Path | Sequence[str | Path],
        jobs: int | None = None,
        *,
        engine: Engine = "local",
    ) -> Iterator[Document]:
        """Read files and folders: one Document per file, in order.

        jobs: worker processes, by default one for each processor. engine: where they run,
        on this machine or on a cluster of Ray's, which must see the same files. A file that
        cannot be read gives a Document with its errors. Raises InputMissing, before anything
        is read, where a path does not exist.
        """
        paths = [inputs] if isinstance(inputs, (str, Path)) else inputs
        return self.read_sources(find_documents(paths).documents, jobs, engine=engine)

    def read_sources(
        self,
        sources: Iterable[Source],
        jobs: int | None = None,
        overlay: Path | None = None,
        memory: Resumption | None = None,
        *,
        engine: Engine = "local",
    ) -> Iterator[Document]:
        """Like ``read_all``, for documents already found.

        overlay: a folder that each page is written to with its numbers drawn on it.
        memory: what was read before and need not be again; it also keeps what is read now.
        """
        drawn: Counter[str] = Counter()  # two inputs may hold files of one name
        with ExitStack() as stack:

            @cache
            def workers() -> Workers:  # started when there is something to read
                return stack.enter_context(self._workers(jobs, engine))

            def read(some: Iterable[Source]) -> Iterator[tuple[Source, Document]]:
                rest = iter(some)
                first = next(rest, None)
                if first is not None:
                    parts = prepared_parts(chain([first], rest), self.recipe, workers())
                    yield from self._documents(parts, workers())

            for source, document in memory.documents(sources, read) if memory else read(sources):
                if overlay and document.pages:
                    drawn[source.file] += 1
                    again = f".{drawn[source.file]}" if drawn[source.file] > 1 else ""
                    self._draw(source, document, overlay / (source.file + again), workers())
                yield document

    def assembled(
        self, file: str, glyphs: Glyphs, probabilities: NDArray[np.float32]
    ) -> PageReading:
        """The numbers of one page whose glyphs were classified: float32 (N, 11)."""
        reader = Reader(self.bars, self.grammar, self.transcriber)
        return reader.page(file, glyphs, probabilities)

    def _workers(self, jobs: int | None, engine: Engine) -> AbstractContextManager[Workers]:
        """The processes that work. Raises UsageError where the engine is not installed."""
        megabytes = self.recipe.limits.worker_megabytes
        if engine == "local":
            return Workers(jobs or usable_cores(), megabytes, self._process())
        try:
            from digitocr.engines.ray import ray_workers
        except ImportError as error:
            raise UsageError(
                "Ray is not installed; pip install 'digitocr[ray]' brings it"
            ) from error
        return ray_workers(jobs, megabytes, cards=self.classifier.wanted != "cpu")

    def _process(self) -> Callable[[int], Process]:
        """What begins a worker here; on the processor it reads, too. Raises ModelError."""
        if self.classifier.device != "cpu":
            return Process
        return partial(Process, first=pickle.dumps((bring, self.brought)))

    def _draw(self, source: Source, document: Document, stem: Path, workers: Workers) -> None:
        """Write a document's overlays, ``STEM.pN.png``. Raises OutputError."""
        seconds = self.recipe.limits.page_seconds * len(document.pages)
        pages = (source, document.pages, stem.absolute(), self.recipe.ingest)
        try:
            outcome(workers.submit(annotate, *pages, seconds=seconds))
        except DocumentError as error:
            _log.warning("%s: its overlays could not be drawn: %s", source.file, error)

    def _documents(
        self, parts: Iterable[tuple[Source, Part]], workers: Workers
    ) -> Iterator[tuple[Source, Document]]:
        """Classify and assemble prepared parts, which come in order."""
        read = (
            (source, part, pages)
            for batch, results in workers.map(self.read_batch, _batches(parts, self.recipe))
            for (source, part), pages in zip(batch, results, strict=True)
        )
        for source, own in groupby(read, key=lambda item: item[0]):
            yield source, self._document(source, own)

    def read_batch(self, batch: _Batch) -> list[_Pages]:
        """Classify and assemble some parts, where their workers have not: their pages, or why
        there are none."""
        pages = [page for _, part in batch for page in part.pages]
        probabilities = iter(probabilities_of(pages, self._probabilities) if pages else [])
        return [
            [*part.read, *(self._page(source, page, next(probabilities)) for page in part.pages)]
            for source, part in batch
        ]

    def _probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Those of some glyphs, while workers need the processor too."""
        threads = max(1, usable_cores() // _CORES_A_THREAD)
        return self.classifier.probabilities(crops, threads=threads)

    def _document(self, source: Source, own: Iterable[tuple[Source, Part, _Pages]]) -> Document:
        """Join all parts of one document."""
        document = Document(source.file, "", self.recipe.name, self.classifier.id)
        pages: list[PageReading] = []
        errors: list[ReadError] = []
        for _, part, read in own:
            for fault in part.faults:
                _log.error("%s: %s\n%s", source.file, FAULT, fault)
            if part.error:
                opened = bool(document.sha256)  # before, so what is wrong now is not the document
                errors.append(ReadError(None, part.error, part.transient or opened))
            for page in read:
                if isinstance(page, PageReading):
                    pages.append(page)
                else:
                    errors.append(page)
            if document.sha256 and part.sha256 not in ("", document.sha256):
                return _changed(document, own)
            document = replace(document, sha256=part.sha256 or document.sha256)
        return replace(document, pages=tuple(pages), errors=tuple(errors))

    def _page(
        self, source: Source, glyphs: Glyphs, probabilities: NDArray[np.float32]
    ) -> PageReading | ReadError:
        """One page's numbers, or why there are none."""
        if glyphs.error:
            return ReadError(glyphs.number, glyphs.error, glyphs.transient)
        try:
            return self.assembled(source.file, glyphs, probabilities)
        except Exception as error:  # one page never costs another
            _log.error("%s: %s\n%s", source.file, FAULT, place(error))
            return ReadError(glyphs.number, FAULT, transient=True)


def _changed(document: Document, rest: Iterable[tuple[Source, Part, _Pages]]) -> Document:
    """What is told of a document whose pages are not all of one file; its rest is dropped."""
    for _ in rest:
        pass
    return replace(document, sha256="", errors=(ReadError(None, _CHANGED, transient=True),))


def _bars(
    options: AssembleOptions, classifier: Classifier, transcriber: Transcriber | None
) -> Bars:
    """From which confidence on values are accepted; what that stands on is logged."""
    if not options.max_error:
        bar = Bar(options.min_confidence)
        return Bars(bar, bar)
    apart = _bar(options.max_error, classifier.risk, "digit by digit")
    if transcriber is None:
        return Bars(apart, apart)
    return Bars(apart, _bar(options.max_error, transcriber.risk, "as a whole"))


def _bar(risk: float, table: RiskTable, how: str) -> Bar:
    """What values read in some way must reach for a risk."""
    accepted = table.accepted(risk)
    if accepted is None:
        _log.warning(
            "of values read %s too few were measured to promise an error of %g: all are for review",
            how,
            risk,
        )
        return _NONE
    _log.info(
        "values read %s are accepted from confidence %.4f on: of %d measured so sure, %d were "
        "wrong, which is at most %.2f %%",
        *(how, accepted.confidence, accepted.values, accepted.wrong, 100 * accepted.most),
    )
    return table.bar(accepted)


def _batches(parts: Iterable[tuple[Source, Part]], recipe: Recipe) -> Iterator[_Batch]:
    """Parts gathered across documents until they hold enough glyphs to classify at once.

    What needs no classification, or no more, waits for nothing.
    """
    waiting: _Batch = []
    crops = 0
    for source, part in parts:
        waiting.append((source, part))
        crops += sum(len(page.crops) for page in part.pages)
        ready = not crops and all(page.error for page in part.pages)
        if ready or crops >= recipe.model.batch or len(waiting) >= _MOST_WAITING:
            yield waiting
            waiting, crops = [], 0
    if waiting:
        yield waiting
