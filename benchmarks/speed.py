"""How fast pages are read, where the time goes, and how peers fare on the same pages.

    python benchmarks/speed.py [--pages 48] [--jobs 2]

Prints a few tables. Everything is measured in this one run, one program after the other, on
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

from digitocr.engines.worker import environment

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
_PEER_PAGES = 8  # peers are slow, and their time per page the same on each

# Its name, the endings of the files that it reads, and what reads one: its text.
_Peer = tuple[str, tuple[str, ...], Callable[[Path], str]]


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=48)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--model", default="digits", help="name or file, as the command takes it")
    parser.add_argument("--stages", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stages:
        _stages(options.stages, options.model)
        return
    with tempfile.TemporaryDirectory() as work:
        drawn, many = Path(work, "drawn"), Path(work, "many")
        draw_pages(drawn, _DRAWN)
        _copies(drawn, many, options.pages)
        rate = _whole_program(drawn, many, options)
        own = [sys.executable, __file__, "--stages", str(drawn), "--model", options.model]
        subprocess.run(own, env=environment(), check=True)  # as workers run
        _peers(drawn, options.jobs, rate)


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
    command += ["--model", options.model, "-o", str(out)]
    timed([*command, "--jobs", str(options.jobs), str(drawn)])
    truth, read = read_table(drawn / "truth.csv", "value"), read_table(out, "text")
    shares = " | ".join(f"{share:.2%}" for share in digits_right(truth, read))
    print(f"{options.pages} A4 pages of 300 dpi, about 120 digits each\n")
    print("| digitocr extract | pages per second | digits right | numbers right | peak memory "
          "| ratio |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    rates = []
    for jobs in (options.jobs, 1):
        one = timed([*command, "--jobs", str(jobs), str(_pages(drawn)[0])])
        whole = timed([*command, "--jobs", str(jobs), str(many)])
        rates += [options.pages / whole.seconds]
        rates += [(options.pages - 1) / (whole.seconds - one.seconds)]
        for name, speed in zip(("whole run", "without its start"), rates[-2:], strict=True):
            print(f"| --jobs {jobs}, {name} | {speed:.2f} | {shares} | {whole.megabytes:.0f} MB "
                  f"| {speed / rates[0]:.3f} |", flush=True)  # fmt: skip
    rate, steady, _, alone = rates
    rows, wanted = (sum(map(len, table.values())) for table in (read, truth))
    print(f"\n{options.jobs} processes read {steady / alone:.2f} times as fast as one. "
          f"{rows} rows for {wanted} numbers; "
          f"one page alone takes {one.seconds:.1f} s.")  # fmt: skip
    return rate


# Its stages


def _stages(drawn: Path, model: str) -> None:
    """Print the milliseconds per page of each stage, in one thread."""
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


# The peers


def _peers(drawn: Path, jobs: int, rate: float) -> None:
    """Print how others fare on the same pages, as many at a time, each in one thread."""
    peers = [*_tesseract(), *_ocrmypdf()]
    if not peers:
        print(
            "\nNeither tesseract nor ocrmypdf is installed here: there is no peer to compare with."
        )
        return
    truth = read_table(drawn / "truth.csv", "value")
    print("\n| peer | of these pages | pages per second | digits right | numbers right | ratio |")
    print("|---|---|---:|---:|---:|---:|", flush=True)
    for peer, formats, read in peers:
        pages = [page for page in _pages(drawn) if page.suffix in formats][:_PEER_PAGES]
        start = time.perf_counter()
        with ThreadPoolExecutor(jobs) as pool:  # of programs: each call is a process
            texts = list(pool.map(read, pages))
        speed = len(pages) / (time.perf_counter() - start)
        said = {
            page.name: re.findall(r"\d+", text) for page, text in zip(pages, texts, strict=True)
        }
        shares = digits_right({page.name: truth[page.name] for page in pages}, said)
        told = " | ".join(f"{share:.2%}" for share in shares)
        print(f"| {peer} | {len(pages)}: {', '.join(formats)} | {speed:.2f} | {told} "
              f"| {speed / rate:.3f} |", flush=True)  # fmt: skip


def _tesseract() -> list[_Peer]:
    """Told to read digits alone, with both page layouts that suit. It reads no PDF."""
    program = shutil.which("tesseract")
    if program is None:
        return []
    name = _said([program, "--version"]).splitlines()[0]

    def read(layout: str, page: Path) -> str:
        digits = "tessedit_char_whitelist=0123456789"
        return _said([program, str(page), "stdout", "--psm", layout, "-c", digits])

    return [
        (f"{name}, --psm {layout}", (".jpg", ".tif"), functools.partial(read, layout))
        for layout in ("6", "11")
    ]


def _ocrmypdf() -> list[_Peer]:
    """It straightens pages, too, and writes PDF files that can be searched."""
    program = shutil.which("ocrmypdf")
    if program is None:
        return []

    def read(page: Path) -> str:
        with tempfile.TemporaryDirectory() as folder:
            text = Path(folder, "text")
            command = [program, "--deskew", "--output-type", "pdf", "-j", "1", "-q"]
            _said([*command, "--sidecar", str(text), str(page), str(Path(folder, "out.pdf"))])
            return text.read_text(encoding="utf-8")

    return [(f"ocrmypdf {_said([program, '--version']).strip()}, --deskew", (".jpg", ".pdf"), read)]


def _said(command: list[str]) -> str:
    """What a program prints, run in one thread."""
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | ONE_THREAD
    )
    return run.stdout


if __name__ == "__main__":
    main()
