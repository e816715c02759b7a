"""A page that hangs costs its own time limit, as seldom as can be, and no other's time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from digitocr.engines.local import Workers
from digitocr.engines.parts import prepared_parts
from digitocr.ingest import Source
from digitocr.prepare import Part, failed_page
from digitocr.recipe import LimitOptions, Recipe
from digitocr.types import ReadError

SECONDS = 1.5
LEVELS = 12  # each draws the next ten times: nobody lives to see the end


def bomb(pages: int) -> bytes:
    """A PDF whose first page takes for ever to draw; the others are empty."""
    kids = " ".join(f"{3 + page} 0 R" for page in range(pages))
    first = 3 + pages
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{kids}]>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents {first + LEVELS} 0 R"
        f"/Resources<</XObject<</X {first} 0 R>>>>>>",
        *["<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]>>"] * (pages - 1),
    ]
    for level in range(first, first + LEVELS):
        below = "0 0 9 9 re f" if level == first + LEVELS - 1 else "/X Do " * 10
        inside = "" if "re" in below else f"/Resources<</XObject<</X {level + 1} 0 R>>>>"
        objects.append(
            f"<</Type/XObject/Subtype/Form/BBox[0 0 300 300]{inside}/Length {len(below)}>>"
            f"stream\n{below}\nendstream"
        )
    objects.append("<</Length 5>>stream\n/X Do\nendstream")
    body = "".join(f"{number} 0 obj\n{what}\nendobj\n" for number, what in enumerate(objects, 1))
    return f"%PDF-1.7\n{body}trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n".encode()


class Noting(Workers):
    """Notes which pages, from which on and how many, it is asked for."""

    asked: list[tuple[int, int]]

    def submit(
        self, function: Callable[..., Any], *arguments: Any, seconds: float | None = None
    ) -> Future[Any]:
        if len(arguments) > 1:
            self.asked.append(arguments[1:3])
        return super().submit(function, *arguments, seconds=seconds)


@pytest.mark.parametrize(
    ("pages", "tries"),
    [(1, [(0, 4), (0, 0)]), (2, [(0, 4), (0, 0), (0, 1), (1, 1)])],
)
def test_a_page_that_hangs_is_not_tried_again_once_it_was_alone(
    pages: int, tries: list[tuple[int, int]], tmp_path: Path
) -> None:
    path = tmp_path / "bomb.pdf"
    path.write_bytes(bomb(pages))
    recipe = replace(Recipe(), limits=LimitOptions(page_seconds=SECONDS))
    workers = Noting(1, recipe.limits.worker_megabytes)
    workers.asked = []
    with workers:
        parts = list(prepared_parts([Source(path, "bomb.pdf")], recipe, workers))
    assert workers.asked == tries
    read = [glyphs for _, part in parts for glyphs in part.pages]
    assert [glyphs.number for glyphs in read] == list(range(1, pages + 1))
    assert ["too long" in glyphs.error for glyphs in read] == [True] + [False] * (pages - 1)
    assert all(part.sha256 and not part.error for _, part in parts[:1])


class Idle(Workers):
    """One worker that has done all tasks at once, but for the first; that takes a while."""

    def __init__(self, part: Part) -> None:
        self.jobs = 1
        self.asked_meanwhile = 0
        self._part = part
        self._slow: Future[Any] | None = None

    def submit(
        self, function: Callable[..., Any], *arguments: Any, seconds: float | None = None
    ) -> Future[Any]:
        future: Future[Any] = Future()
        if self._slow is None:
            self._slow = future
            Timer(0.3, future.set_result, [self._part]).start()
        else:
            future.set_result(self._part)
            self.asked_meanwhile += not self._slow.done()
        return future


PREPARED = Part(page_count=1, pages=(failed_page(1, "", transient=False),))
READ = Part(page_count=1, read=(ReadError(1, ""),))


@pytest.mark.parametrize(("part", "meanwhile"), [(READ, 99), (PREPARED, 3)])
def test_no_worker_waits_for_a_slow_document_where_readings_are_kept(
    part: Part, meanwhile: int
) -> None:
    """But glyphs to be classified, which are large, do not pile up."""
    sources = [Source(Path(name), name) for name in map(str, range(100))]
    workers = Idle(part)
    parts = list(prepared_parts(sources, Recipe(), workers))
    assert [source for source, _ in parts] == sources
    assert workers.asked_meanwhile == meanwhile
