"""Time, memory and digits right, measured alike for every program."""

from __future__ import annotations

import contextlib
import csv
import mmap
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digitocr.score import edits

__all__ = ["Cost", "digits_right", "read_table", "timed"]

_POLL = 0.05  # seconds


@dataclass(frozen=True)
class Cost:
    """What running a program took. megabytes: its own and its children's, at the peak."""

    seconds: float
    megabytes: float


def timed(command: Sequence[str], env: dict[str, str] | None = None) -> Cost:
    """Run a program to its end. Raises CalledProcessError where it fails."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env
    ) as run:
        watch = _Watch(run.pid)
        _, said = run.communicate()
        seconds = time.perf_counter() - start
        peak = watch.stop()
    if run.returncode:
        sys.stderr.buffer.write(said)
        raise subprocess.CalledProcessError(run.returncode, command)
    return Cost(seconds, peak)


class _Watch:
    """Looks at the memory of a process and its descendants, now and then (Linux only)."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._done = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(_POLL):
            self._peak = max(self._peak, _megabytes(_family(self._pid)))

    def stop(self) -> float:
        self._done.set()
        self._thread.join()
        return self._peak


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    family = [pid]
    for member in family:
        with contextlib.suppress(OSError):  # it has just ended
            for children in Path(f"/proc/{member}/task").glob("*/children"):
                family += map(int, children.read_text().split())
    return family


def _megabytes(pids: Sequence[int]) -> float:
    """Their memory: what is each one's own, and the files of that which has most of them mapped.

    All have the same libraries mapped, so they count once. Not by Pss, in which they count the
    less the more programs beside these use them, and which takes so long to find out that a run
    which is watched loses a tenth of its speed.
    """
    own, files = 0, 0
    for pid in pids:
        with contextlib.suppress(OSError):
            _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
            own += resident - shared
            files = max(files, shared)
    return (own + files) * mmap.PAGESIZE / 2**20


def read_table(path: Path, column: str) -> dict[str, list[str]]:
    """The digits of one column of a CSV table, by file."""
    numbers: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            numbers[row["file"]].append("".join(sign for sign in row[column] if sign.isdigit()))
    return numbers


def digits_right(truth: dict[str, list[str]], read: dict[str, list[str]]) -> tuple[float, float]:
    """The shares of digits and of whole numbers that are right.

    A number is compared with the reading of its page that is most like it; each digit to
    change, add or drop is one wrong.
    """
    right = digits = exact = numbers = 0
    for file, wanted in truth.items():
        for number in wanted:
            wrong = min((edits(number, other) for other in read.get(file, [])), default=len(number))
            right += max(0, len(number) - wrong)
            exact += wrong == 0
            digits += len(number)
            numbers += 1
    return right / digits, exact / numbers
