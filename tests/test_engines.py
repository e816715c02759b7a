"""Work in worker processes: a task that dies, hangs or eats memory costs itself alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digitocr.engines.local import Workers, outcome, usable_cores
from digitocr.engines.worker import head_start
from digitocr.errors import SetupError, TimedOut, WorkerCrashed


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


def test_an_error_of_the_task_is_passed_on_with_its_place(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        outcome(workers.submit(divmod, 1, 0))
    assert "worker.py" in str(caught.value.__cause__)


def test_what_cannot_travel_is_an_error_and_no_crash(workers: Workers) -> None:
    with pytest.raises(Exception, match="pickle"):
        outcome(workers.submit(lambda: 1))
    with pytest.raises(TypeError, match="pickle"):
        outcome(workers.submit(open, os.devnull))
    assert outcome(workers.submit(pow, 2, 5)) == 32


def test_a_worker_that_dies_idle_is_replaced() -> None:
    with Workers(1, megabytes=1500) as lone:
        first = outcome(lone.submit(os.getpid))
        os.kill(first, signal.SIGKILL)
        time.sleep(0.2)
        assert outcome(lone.submit(os.getpid)) != first


with_proc = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="children are found in /proc"
)


@with_proc
def test_a_worker_that_was_begun_ahead_is_the_first(
    children: Callable[[int], set[int]],
) -> None:
    before = children(os.getpid())
    with head_start():
        begun = children(os.getpid()) - before
        with Workers(1, megabytes=1500) as lone:
            first = outcome(lone.submit(os.getpid))
            os.kill(first, signal.SIGKILL)
            time.sleep(0.2)
            assert outcome(lone.submit(os.getpid)) not in begun
    assert begun == {first}


@with_proc
def test_a_worker_that_was_begun_in_vain_is_ended(
    children: Callable[[int], set[int]],
) -> None:
    before = children(os.getpid())
    with head_start():
        assert children(os.getpid()) - before
    assert not children(os.getpid()) - before


def test_a_row_of_crashes_costs_nothing_but_the_tasks_that_crash(workers: Workers) -> None:
    tasks = [workers.submit(os._exit if k % 2 else abs, k) for k in range(10)]
    for k, task in enumerate(tasks):
        if k % 2:
            with pytest.raises(WorkerCrashed):
                outcome(task)
        else:
            assert outcome(task) == k


def test_workers_that_cannot_start_are_told_of_and_not_started_for_ever() -> None:
    with pytest.raises(SetupError, match="worker_megabytes"), Workers(2, megabytes=50):
        pass


def test_the_end_does_not_wait_for_what_runs() -> None:
    with Workers(2, megabytes=1500) as busy:
        process = outcome(busy.submit(os.getpid))
        for _ in range(4):
            busy.submit(time.sleep, 60)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="others let a task end first")
def test_a_task_that_hangs_does_not_outlive_an_owner_that_is_killed() -> None:
    script = (
        "import os, time\n"
        "from digitocr.engines.local import Workers, outcome\n"
        "with Workers(1, 1500) as workers:\n"
        "    print(outcome(workers.submit(os.getpid)), flush=True)\n"
        "    workers.submit(time.sleep, 600)\n"
        "    time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    worker = int(owner.stdout.readline())
    time.sleep(0.2)  # the hanging task is under way
    owner.kill()
    owner.communicate()
    end = time.monotonic() + 10
    while _runs(worker) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(process: int) -> bool:
    """Whether a process is there and no mere entry that nobody has collected."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "\nState:\tZ" not in status.read_text()


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
