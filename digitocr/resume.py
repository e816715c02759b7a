"""Documents in order, each read anew or remembered from the runs before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from digitocr.ingest import Source, content_hash
from digitocr.state import State
from digitocr.types import Document

__all__ = ["Resumption"]

_Read = Callable[[Iterable[Source]], Iterator[tuple[Source, Document]]]


class Resumption:
    """Passes over what a state knows and keeps in it what is read.

    max_megabytes: of a file; larger ones are not looked into. kept: the documents so far
    that were remembered.
    """

    def __init__(self, state: State, max_megabytes: float) -> None:
        self.kept = 0
        self._state = state
        self._max_megabytes = max_megabytes
        self._ahead: deque[tuple[Source, str, bool]] = deque()  # content, whether it is known
        self._in_hand: set[str] = set()  # contents under way, or tried in vain by this run

    def documents(
        self, sources: Iterable[Source], read: _Read
    ) -> Iterator[tuple[Source, Document]]:
        """A document for each source, in order.

        read: reads sources, in order; it is given those whose content is not known, of
        several with the same one the first. Raises OutputError.
        """
        for source, document in read(self._unknown(sources)):
            yield from self._known(read)
            _, content, _ = self._ahead.popleft()
            self._keep(source, content, document)
            yield source, document
        yield from self._known(read)
        self._state.forget_old()

    def _unknown(self, sources: Iterable[Source]) -> Iterator[Source]:
        """The sources to read; each source is noted in ``_ahead``."""
        for source in sources:
            content = content_hash(source.path, self._max_megabytes)
            known = content in self._in_hand or (content != "" and self._state.knows(content))
            self._ahead.append((source, content, known))
            if not known:
                if content:
                    self._in_hand.add(content)
                yield source

    def _known(self, read: _Read) -> Iterator[tuple[Source, Document]]:
        """The remembered documents that come before the next one to read."""
        while self._ahead and self._ahead[0][2]:
            source, content, _ = self._ahead.popleft()
            document = self._state.reading(content, source.file)
            if document is not None:
                self.kept += 1
                yield source, document
                continue
            # Its like, which was under way, was changed before it was read.
            for _, document in read([source]):
                self._keep(source, content, document)
                yield source, document

    def _keep(self, source: Source, content: str, document: Document) -> None:
        """Keep a document by the content that was read: the file may have changed since it
        was looked at. Where none could be read it is that seen then, if it still is."""
        if not any(error.transient for error in document.errors):
            self._in_hand.discard(content)
        if document.sha256:
            self._state.keep(document.sha256, document)
        elif content and content == content_hash(source.path, self._max_megabytes):
            self._state.keep(content, document)
