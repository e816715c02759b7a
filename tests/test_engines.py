"""Work in worker processes: a task that dies, hangs or eats memory costs itself alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitocr.engines.local import Workers, outcome, usable_cores
from digitocr.errors import TimedOut, WorkerCrashed


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, megabytes=1500) as pool:
        yield pool


def test_results_come_back(workers: Workers) -> None:
    assert [outcome(workers.submit(pow, 2, k)) for k in range(5)] == [1, 2, 4, 8, 16]


def test_a_task_that_ends_its_process_is_a_crash_and_the_next_one_runs(workers: Workers) -> None:
    crash = workers.submit(os._exit, 1)
    after = workers.submit(pow, 3, 3)
    with pytest.raises(WorkerCrashed):
        outcome(crash)
    assert outcome(after) == 27


def test_a_task_killed_by_a_signal_is_a_crash(workers: Workers) -> None:
    with pytest.raises(WorkerCrashed):
        outcome(workers.submit(os.abort))


def test_a_task_that_hangs_is_given_up(workers: Workers) -> None:
    with pytest.raises(TimedOut):
        outcome(workers.submit(time.sleep, 60, seconds=0.5))


def test_a_task_that_eats_memory_is_stopped_at_the_limit(workers: Workers) -> None:
    with pytest.raises(MemoryError):
        outcome(workers.submit(bytearray, 4_000_000_000))
    assert outcome(workers.submit(len, b"still here")) == 10


def test_an_error_of_the_task_is_passed_on(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError):
        outcome(workers.submit(divmod, 1, 0))


def test_a_script_without_a_main_guard_may_use_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from digitocr.engines.local import Workers, outcome\n"
        "with Workers(1, 1500) as workers:\n"
        "    print('once', outcome(workers.submit(pow, 2, 10)))\n"
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert run.stdout == "once 1024\n"
    assert run.returncode == 0


def test_there_is_at_least_one_core() -> None:
    assert usable_cores() >= 1
