"""The stages in order: files in, documents with their numbers out.

ingest -> clean -> segment -> normalize      in worker processes, page by page
classify                                     here, in batches across pages and documents, what
                                             looks says needs it
assemble                                     here, one Document per file, in order
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from digitocr.annotate import annotate
from digitocr.assemble import assemble, grammar_for
from digitocr.engines.local import Workers, outcome, usable_cores
from digitocr.engines.parts import prepared_parts
from digitocr.errors import DocumentError, InputMissing
from digitocr.ingest import Source, find_documents
from digitocr.looks import probabilities_of
from digitocr.prepare import FAULT, Part, place
from digitocr.recipe import Recipe, load_recipe
from digitocr.resources import find_model, find_pipeline
from digitocr.types import Document, Glyphs, Grammar, PageReading, ReadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from digitocr.classify import Classifier

__all__ = ["Pipeline"]

_log = logging.getLogger("digitocr")
_CORES_A_THREAD = 4  # the workers need the others, and more threads than cores cost double
_MOST_WAITING = 32  # parts gathered for one batch, however few glyphs they have

_Read = tuple[Source, Part, list["NDArray[np.float32]"]]


@dataclass(frozen=True)
class Pipeline:
    """A way to read documents: a recipe, the model it reads with, and what fields may hold.

    >>> pipeline = Pipeline.load("default")             # doctest: +SKIP
    >>> for document in pipeline.read_all(["scans/"]):  # doctest: +SKIP
    ...     for number in document.numbers:
    ...         print(document.file, number.value, number.confidence)
    """

    recipe: Recipe
    classifier: Classifier
    grammar: Grammar | None = None  # None where any number may stand in a field

    @classmethod
    def load(
        cls,
        name: str = "default",
        model: str = "",
        device: str = "auto",
        expected: Sequence[str] | None = None,
    ) -> Pipeline:
        """Load a pipeline by name or TOML file, with its model or another.

        model: a name or a file, "" for the pipeline's own. device: auto, cpu or cuda.
        expected: values of which each field holds one, None for any.
        Raises PipelineError or ModelError where one of them cannot be used.
        """
        recipe = load_recipe(find_pipeline(name))
        grammar = grammar_for(recipe.value, expected)
        path = find_model(model or recipe.model.name)
        from digitocr.classify import Classifier  # loads the runtime, or torch for CUDA

        return cls(recipe, Classifier.load(path, device), grammar)

    def read(self, path: str | Path) -> Document:
        """Read one file. Raises InputMissing where there is none."""
        if Path(path).is_dir():
            raise InputMissing(f"{path} is a folder; read_all reads folders")
        return next(self.read_all([path], jobs=1))

    def read_all(
        self, inputs: str | Path | Sequence[str | Path], jobs: int | None = None
    ) -> Iterator[Document]:
        """Read files and folders: one Document per file, in order.

        jobs: worker processes, by default one for each processor. A file that cannot be
        read gives a Document with its errors. Raises InputMissing, before anything is
        read, where a path does not exist.
        """
        paths = [inputs] if isinstance(inputs, (str, Path)) else inputs
        return self.read_sources(find_documents(paths).documents, jobs)

    def read_sources(
        self, sources: Iterable[Source], jobs: int | None = None, overlay: Path | None = None
    ) -> Iterator[Document]:
        """Like ``read_all``, for documents already found.

        overlay: a folder that each page is written to with its numbers drawn on it.
        """
        drawn: Counter[str] = Counter()  # two inputs may hold files of one name
        with Workers(jobs or usable_cores(), self.recipe.limits.worker_megabytes) as workers:
            parts = prepared_parts(sources, self.recipe, workers)
            for source, document in self._documents(parts):
                if overlay and document.pages:
                    drawn[source.file] += 1
                    again = f".{drawn[source.file]}" if drawn[source.file] > 1 else ""
                    self._draw(source, document, overlay / (source.file + again), workers)
                yield document

    def _draw(self, source: Source, document: Document, stem: Path, workers: Workers) -> None:
        """Write a document's overlays, ``STEM.pN.png``. Raises OutputError."""
        seconds = self.recipe.limits.page_seconds * len(document.pages)
        pages = (source, document.pages, stem, self.recipe.ingest)
        try:
            outcome(workers.submit(annotate, *pages, seconds=seconds))
        except DocumentError as error:
            _log.warning("%s: its overlays could not be drawn: %s", source.file, error)

    def _documents(self, parts: Iterable[tuple[Source, Part]]) -> Iterator[tuple[Source, Document]]:
        """Classify and assemble prepared parts, which come in order."""
        read = self._classified(parts)
        for source, own in groupby(read, key=lambda item: item[0]):
            yield source, self._document(source, own)

    def _classified(self, parts: Iterable[tuple[Source, Part]]) -> Iterator[_Read]:
        """Parts with the probabilities of each page's glyphs, batched across documents."""
        waiting: list[tuple[Source, Part]] = []
        crops = 0
        for source, part in parts:
            waiting.append((source, part))
            crops += sum(len(page.crops) for page in part.pages)
            if crops >= self.recipe.model.batch or len(waiting) >= _MOST_WAITING:
                yield from self._classify(waiting)
                waiting, crops = [], 0
        yield from self._classify(waiting)

    def _classify(self, parts: list[tuple[Source, Part]]) -> Iterator[_Read]:
        """Classify the glyphs of several parts at once."""
        pages = [page for _, part in parts for page in part.pages]
        by_page = iter(probabilities_of(pages, self._probabilities))
        for source, part in parts:
            yield source, part, [next(by_page) for _ in part.pages]

    def _probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Those of some glyphs, while workers need the processor too."""
        threads = max(1, usable_cores() // _CORES_A_THREAD)
        return self.classifier.probabilities(crops, threads=threads)

    def _document(self, source: Source, own: Iterable[_Read]) -> Document:
        """Assemble all parts of one document."""
        document = Document(source.file, "", self.recipe.name, self.classifier.id)
        pages: list[PageReading] = []
        errors: list[ReadError] = []
        for _, part, probabilities in own:
            for fault in part.faults:
                _log.error("%s: %s\n%s", source.file, FAULT, fault)
            if part.error:
                errors.append(ReadError(None, part.error))
            for glyphs, page_probabilities in zip(part.pages, probabilities, strict=True):
                page = self._page(source, glyphs, page_probabilities)
                if isinstance(page, PageReading):
                    pages.append(page)
                else:
                    errors.append(page)
            document = replace(document, sha256=part.sha256 or document.sha256)
        return replace(document, pages=tuple(pages), errors=tuple(errors))

    def _page(
        self, source: Source, glyphs: Glyphs, probabilities: NDArray[np.float32]
    ) -> PageReading | ReadError:
        """One page's numbers, or why there are none."""
        if glyphs.error:
            return ReadError(glyphs.number, glyphs.error)
        try:
            return assemble(source.file, glyphs, probabilities, self.recipe.assemble, self.grammar)
        except Exception as error:  # one page never costs another
            _log.error("%s: %s\n%s", source.file, FAULT, place(error))
            return ReadError(glyphs.number, FAULT)
