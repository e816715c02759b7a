"""How fast pages are read, where the time goes, and how a peer fares on the same pages.

    python benchmarks/speed.py [--pages 48] [--jobs 2]

Prints one table. Everything is measured in this one run, one program after the other, on
pages that ``pages.py`` draws; the ratio is what carries over to another machine.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measure import digits_right, read_table, timed
from pages import draw_pages

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
_DRAWN = 12  # different pages; more are copies of them under other names
# The stages inside ``prepare``, by the modules that call them and their names there.
_INNER = {
    "clean": ("prepare", "clean"),
    "segment": ("prepare", "segment"),
    "normalize": ("prepare", "normalize"),
    "classify": ("prepare", "looked_at"),
    "assemble": ("reader", "assemble"),
}
_PEER_PAGES = 8  # the peer is slow, and its time per page the same on each


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=48)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--model", default="digits", help="name or file, as the command takes it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        drawn, many = Path(work, "drawn"), Path(work, "many")
        draw_pages(drawn, _DRAWN)
        _copies(drawn, many, options.pages)
        rate = _whole_program(drawn, many, options)
        _stages(drawn, options.model)
        _peer(drawn, options.jobs, rate)


def _copies(drawn: Path, many: Path, count: int) -> None:
    """``count`` pages, the drawn ones over and over."""
    many.mkdir()
    pages = _pages(drawn)
    for i in range(count):
        page = pages[i % len(pages)]
        mark = f"\n% copy {i}\n".encode()  # behind the end, lest one content be read once
        (many / f"copy-{i:04d}{page.suffix}").write_bytes(page.read_bytes() + mark)


def _pages(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".csv")


# This program


def _whole_program(drawn: Path, many: Path, options: argparse.Namespace) -> float:
    """Print and return the pages per second of ``digitocr extract``, start and end included."""
    out = many.parent / "out.csv"
    command = [sys.executable, "-m", "digitocr", "extract", "-q", "--fresh", "--device", "cpu"]
    command += ["--model", options.model, "--jobs", str(options.jobs), "-o", str(out)]
    one = timed([*command, str(_pages(drawn)[0])])
    timed([*command, str(drawn)])
    truth, read = read_table(drawn / "truth.csv", "value"), read_table(out, "text")
    whole = timed([*command, str(many)])
    rate = options.pages / whole.seconds
    steady = (options.pages - 1) / (whole.seconds - one.seconds)
    shares = " | ".join(f"{share:.2%}" for share in digits_right(truth, read))
    print(f"{options.pages} A4 pages of 300 dpi, about 120 digits each, {options.jobs} processes\n")
    print("| program | pages per second | digits right | numbers right | peak memory | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, speed in (("whole run", rate), ("without its start", steady)):
        print(f"| digitocr extract, {name} | {speed:.2f} | {shares} | {whole.megabytes:.0f} MB "
              f"| {speed / rate:.3f} |")  # fmt: skip
    rows, wanted = (sum(map(len, table.values())) for table in (read, truth))
    print(f"\n{rows} rows for {wanted} numbers; one page alone takes {one.seconds:.1f} s.")
    return rate


# Its stages


def _stages(drawn: Path, model: str) -> None:
    """Print the milliseconds per page of each stage, in one thread."""
    os.environ.update(ONE_THREAD)
    import cv2

    cv2.setNumThreads(1)
    watched = _Watched(model)
    for page in _pages(drawn):
        watched.read(page)  # once to warm up
    watched.spent.clear()
    for page in _pages(drawn):
        watched.read(page)
    total = sum(map(sum, watched.spent.values()))
    print("\n| stage, in one thread | ms per page | share |")
    print("|---|---:|---:|")
    for stage, spent in sorted(watched.spent.items(), key=lambda item: "ingest" not in item[0]):
        print(f"| {stage} | {1000 * sum(spent) / len(spent):.1f} | {sum(spent) / total:.0%} |")
    print(f"| all | {1000 * total / len(_pages(drawn)):.1f} | 100% |")


class _Watched:
    """Reads pages with a clock on each stage. spent: by stage, the seconds of each page."""

    def __init__(self, model: str) -> None:
        from digitocr.pipeline import Pipeline
        from digitocr.prepare import bring

        self.spent: dict[str, list[float]] = defaultdict(list)
        self._page: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []  # seconds of stages within each stage that runs
        self._pipeline = Pipeline.load("default", model, device="cpu")
        bring(*self._pipeline.brought)
        for stage, (caller, name) in _INNER.items():
            module = importlib.import_module(f"digitocr.{caller}")
            setattr(module, name, self._clocked(stage, getattr(module, name)))

    def read(self, path: Path) -> None:
        """Read the first page of a file."""
        from digitocr.export import write
        from digitocr.ingest import Source
        from digitocr.prepare import prepare
        from digitocr.types import Document

        pipeline = self._pipeline
        ingest = self._clocked(f"ingest {path.suffix}", prepare)  # and all the stages within
        read = ingest(Source(path, path.name), 0, 1, pipeline.recipe).read
        document = Document(path.name, "", pipeline.recipe.name, pipeline.classifier.id, read)
        with tempfile.TemporaryDirectory() as folder:
            self._clocked("export", write)([document], str(Path(folder, "out.csv")))
        for stage, seconds in self._page.items():
            self.spent[stage].append(seconds)
        self._page.clear()

    def _clocked(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call``, with its time added to the stage's, but for that of stages within."""

        @functools.wraps(call)
        def clocked(*args: object) -> Any:
            self._inside.append(0.0)
            start = time.perf_counter()
            try:
                return call(*args)
            finally:
                whole = time.perf_counter() - start
                self._page[stage] += whole - self._inside.pop()
                if self._inside:
                    self._inside[-1] += whole

        return clocked


# The peer


def _peer(drawn: Path, jobs: int, rate: float) -> None:
    """Print how tesseract fares on the same pages, as many at a time, each in one thread."""
    program = shutil.which("tesseract")
    if program is None:
        print("\ntesseract is not installed here, so there is no peer to compare with.")
        return
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    name = (version.stdout or version.stderr).splitlines()[0]
    pages = [page for page in _pages(drawn) if page.suffix != ".pdf"][:_PEER_PAGES]
    truth = read_table(drawn / "truth.csv", "value")
    truth = {page.name: truth[page.name] for page in pages}
    print(f"\n| peer, {len(pages)} of these pages, no PDF | pages per second | digits right "
          "| numbers right | ratio |")  # fmt: skip
    print("|---|---:|---:|---:|---:|")
    for layout in ("6", "11"):
        start = time.perf_counter()
        with ThreadPoolExecutor(jobs) as pool:  # of programs: each call is a process
            texts = list(pool.map(lambda page: _tesseract(program, page, layout), pages))  # noqa: B023
        speed = len(pages) / (time.perf_counter() - start)
        read = {
            page.name: re.findall(r"\d+", text) for page, text in zip(pages, texts, strict=True)
        }
        digits, numbers = digits_right(truth, read)
        print(f"| {name}, --psm {layout} | {speed:.2f} | {digits:.2%} | {numbers:.2%} "
              f"| {speed / rate:.3f} |")  # fmt: skip


def _tesseract(program: str, page: Path, layout: str) -> str:
    """What it reads on a page."""
    command = [program, str(page), "stdout", "--psm", layout]
    command += ["-c", "tessedit_char_whitelist=0123456789"]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | ONE_THREAD
    )
    return run.stdout


if __name__ == "__main__":
    main()
