"""Documents cut into parts, prepared side by side, handed back in order.

How many pages a document has is known once its first part is back; the rest is queued
right behind it, ahead of the documents that follow. Only a window of parts is under way
at any time, so that memory does not grow with the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import islice

from digitocr.engines.local import Workers, outcome
from digitocr.errors import DocumentError, TimedOut
from digitocr.ingest import Source
from digitocr.prepare import Part, failed_page, prepare
from digitocr.recipe import Recipe
from digitocr.types import Glyphs

__all__ = ["prepared_parts"]

_PAGES = 4  # of one part: large enough to open a file seldom, small enough to share out
_WINDOW = 4  # parts under way for each worker


@dataclass(slots=True)
class _Task:
    """Some pages of one document.

    opens: the first part, which learns the page count; count may then be 0.
    late: the error of the same pages where they took too long before.
    """

    source: Source
    first: int
    count: int
    opens: bool
    late: TimedOut | None = None
    future: Future[Part] | None = field(default=None, repr=False)


def prepared_parts(
    sources: Iterable[Source], recipe: Recipe, workers: Workers
) -> Iterator[tuple[Source, Part]]:
    """Prepare every page of every source; parts come in the order of sources and pages.

    Each source gives at least one part. A part that its worker did not survive, or was too
    slow with, is tried again page by page, so that it costs no page but the one at fault. A
    page that was too slow alone is not tried again: it has had all the time there is.
    """
    rest = iter(sources)
    queue: deque[_Task] = deque()
    window = _WINDOW * workers.jobs
    while True:
        queue.extend(
            _Task(source, 0, _PAGES, opens=True)
            for source in islice(rest, max(0, window - len(queue)))
        )
        if not queue:
            return
        for task in islice(queue, window):
            _start(task, recipe, workers)
        task = queue.popleft()
        part, more = _finish(task)
        queue.extendleft(reversed(more))
        if part is not None:
            yield task.source, part


def _start(task: _Task, recipe: Recipe, workers: Workers) -> None:
    """Hand a task to the workers, once."""
    if task.future is None:
        # A whole part gets what one page may take, and seldom needs a second of it: where it does
        # not suffice, each page gets as much, and one that hangs costs it twice, not five times.
        seconds = recipe.limits.page_seconds
        task.future = workers.submit(
            prepare, task.source, task.first, task.count, recipe, seconds=seconds
        )


def _finish(task: _Task) -> tuple[Part | None, list[_Task]]:
    """A task's part, None where it must be tried in smaller tasks, and the tasks that follow."""
    assert task.future is not None
    try:
        part = outcome(task.future)
    except DocumentError as error:
        return _retry(task, error)
    if not task.opens:
        return part, []
    if task.late and part.page_count == 1:
        return replace(part, pages=_lost(0, task.late)), []
    singles = 0 if task.count else min(_PAGES, part.page_count)
    return part, _single(task.source, 0, singles) + [
        _Task(task.source, first, min(_PAGES, part.page_count - first), opens=False)
        for first in range(max(task.count, singles), part.page_count, _PAGES)
    ]


def _retry(task: _Task, error: DocumentError) -> tuple[Part | None, list[_Task]]:
    """After a crash: first whether the file opens at all, then its pages one by one.

    A page that was alone is given up, and so is a file that does not open.
    """
    if task.opens:
        if task.count:
            late = error if isinstance(error, TimedOut) else None
            return None, [_Task(task.source, 0, 0, opens=True, late=late)]
        return Part(error=str(error), transient=error.transient), []
    if task.count > 1:
        return None, _single(task.source, task.first, task.count)
    return Part(pages=_lost(task.first, error)), []


def _lost(index: int, error: DocumentError) -> tuple[Glyphs]:
    """What stands for a page, from 0, that its worker did not survive or was too slow with."""
    return (failed_page(index + 1, str(error), transient=error.transient),)


def _single(source: Source, first: int, count: int) -> list[_Task]:
    """``count`` pages, each in a task of its own."""
    return [_Task(source, index, 1, opens=False) for index in range(first, first + count)]
