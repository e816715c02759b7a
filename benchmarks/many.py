"""Whether time and memory stay in proportion over very many pages, also after a kill.

    python benchmarks/many.py [--pages 10000] [--jobs 2]

Draws slips of paper with one number each, all different, half of them alone in PNG files, half
in TIFF files of ten, and reads a hundredth, a tenth and all of them; then all of them once more,
killed (SIGKILL) in the middle and resumed. Linux only: memory is found in /proc.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from measure import Cost, digits_right, read_table, timed
from numpy.typing import NDArray
from PIL import Image

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sample_docs"))
from sheet import Sheet  # noqa: E402

DPI = 200
_SIZE = (90, 60)  # millimetres
_BUNDLE = 10  # pages of a TIFF file, and of PNG files that follow it
_MOST_GROWTH = 1.1  # of memory, from a hundredth of the pages to all


def main() -> None:
    """Draw, measure, print; exit 1 where a promise does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        sizes = [options.pages // part for part in (100, 10, 1)]
        folders = [Path(work, f"pages-{pages}") for pages in sizes]
        costs = []
        print(f"{options.jobs} processes\n")
        print("| pages | files | seconds | ms per page | peak memory | numbers right |")
        print("|---:|---:|---:|---:|---:|---:|", flush=True)
        for folder, pages in zip(folders, sizes, strict=True):
            draw(folder / "scans", pages)
            costs.append(timed(_command(folder / "out.csv", folder / "scans", options.jobs)))
            print(_row(folder, pages, costs[-1]), flush=True)
        first, _, last = costs
        steady = (last.seconds - first.seconds) / (sizes[-1] - sizes[0])
        growth = last.megabytes / first.megabytes
        print(f"\n{1000 * steady:.1f} ms for each further page; memory grows by {growth - 1:.1%}.")
        whole = folders[-1]
        passed = _killed_and_resumed(whole, sizes[-1], options.jobs)
        same = (whole / "again.csv").read_bytes() == (whole / "out.csv").read_bytes()
        print(f"Killed after {passed} pages and resumed: the table is {'' if same else 'NOT '}"
              "byte for byte the same.")  # fmt: skip
    sys.exit(not same or growth > _MOST_GROWTH)


def draw(folder: Path, pages: int) -> None:
    """Draw slips, always the same, into ``folder``, and ``truth.csv`` beside that."""
    folder.mkdir(parents=True)
    with (folder.parent / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "page", "field", "value"))
        for start in range(0, pages, _BUNDLE):
            numbers = [f"{number:06d}" for number in range(start, min(start + _BUNDLE, pages))]
            slips = [Image.fromarray(_slip(number)) for number in numbers]
            if start // _BUNDLE % 2:
                for number, slip in zip(numbers, slips, strict=True):
                    slip.save(folder / f"{number}.png", dpi=(DPI, DPI))
                    table.writerow((f"{number}.png", 1, "n1", number))
                continue
            name = f"{numbers[0]}.tif"
            slips[0].save(
                folder / name,
                save_all=True,
                append_images=slips[1:],
                dpi=(DPI, DPI),
                compression="tiff_lzw",
            )
            table.writerows((name, 1 + k, "n1", number) for k, number in enumerate(numbers))


def _slip(number: str) -> NDArray[np.uint8]:
    """A slip with a number by one of a hundred hands, grey."""
    sheet = Sheet(*_SIZE, DPI, np.random.default_rng(int(number)), seed_hand=int(number) % 100)
    sheet.hand(20, 35, "n1", number, height=6, pen=0.5)
    return cv2.cvtColor(sheet.picture(), cv2.COLOR_RGB2GRAY)


def _command(out: Path, scans: Path, jobs: int, *more: str) -> list[str]:
    command = [sys.executable, "-m", "digitocr", "extract", str(scans), "-o", str(out)]
    return [*command, "--device", "cpu", "--jobs", str(jobs), *more]


def _row(folder: Path, pages: int, cost: Cost) -> str:
    """A line of the table. Raises RuntimeError where a page has no row."""
    with (folder / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["file"], row["page"]) for row in csv.DictReader(file)}
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        missing = {(row["file"], row["page"]) for row in csv.DictReader(file)} - rows
    if missing:
        raise RuntimeError(f"{len(missing)} pages have no row, among them {min(missing)}")
    truth, read = (read_table(folder / name, column) for name, column in
                   (("truth.csv", "value"), ("out.csv", "text")))  # fmt: skip
    _, right = digits_right(truth, read)
    files = len(truth)
    return (
        f"| {pages} | {files} | {cost.seconds:.1f} | {1000 * cost.seconds / pages:.1f} "
        f"| {cost.megabytes:.0f} MB | {right:.1%} |"
    )


def _killed_and_resumed(folder: Path, pages: int, jobs: int) -> int:
    """Write ``again.csv`` by two runs, the first of which is killed; how many pages it had read."""
    command = _command(folder / "again.csv", folder / "scans", jobs, "--log-json")
    passed = 0
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for pages_read in _pages_read(run.stderr):
            passed += pages_read
            if passed >= pages // 2:
                os.kill(run.pid, signal.SIGKILL)
                break
    timed(command)
    return passed


def _pages_read(lines: Iterator[str]) -> Iterator[int]:
    """The pages of each document, as events tell of it."""
    for line in lines:
        event = json.loads(line)
        if event["event"] == "document":
            yield event["pages"]


if __name__ == "__main__":
    main()
