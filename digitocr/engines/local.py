"""Work in processes of this machine that may crash, hang or eat memory without harm.

Each task runs in one of a few worker processes. A worker that dies or takes too long costs
its own task and is replaced; the others never notice.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from digitocr.errors import TimedOut, WorkerCrashed

__all__ = ["Workers", "outcome", "usable_cores"]

_Result = TypeVar("_Result")
_STARTING = threading.Lock()


def usable_cores() -> int:
    """The processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """A few worker processes.

    jobs: how many, at least 1. megabytes: the address space each may take.
    """

    def __init__(self, jobs: int, megabytes: int) -> None:
        self.jobs = jobs
        self._pool = ProcessPool(
            max_workers=jobs,
            max_tasks=500,  # a worker is replaced now and then, so that no leak adds up
            initializer=_begin,
            initargs=(megabytes,),
            context=_OwnMain(),
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def submit(
        self, function: Callable[..., _Result], *arguments: Any, seconds: float | None = None
    ) -> Future[_Result]:
        """Run ``function(*arguments)`` in a worker; give it up after ``seconds``."""
        future: Future[_Result] = self._pool.schedule(function, args=arguments, timeout=seconds)
        return future


def outcome(future: Future[_Result]) -> _Result:
    """The result of a task.

    Raises WorkerCrashed or TimedOut where its worker died or took too long, and whatever
    the task raised.
    """
    try:
        return future.result()
    except TimeoutError as error:
        raise TimedOut("reading took too long and was given up") from error
    except ProcessExpired as error:
        raise WorkerCrashed("the program that decodes it crashed or ran out of memory") from error


def _begin(megabytes: int) -> None:
    """Make this worker cheap, quiet and bounded."""
    import cv2

    cv2.setNumThreads(1)  # one process per core is faster than threads inside each
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    limit = megabytes * 1024 * 1024
    with contextlib.suppress(ValueError, OSError):  # a stricter limit is already set
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # Decoders written in C chatter on the error stream; their findings reach us as errors.
    sys.stderr.flush()
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


class _Process(SpawnProcess):
    """A fresh process that does not import the caller's main module.

    multiprocessing runs the main script again in every spawned worker, so that a script
    without a main guard would start itself over and over. The workers need nothing of it.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _empty_main():
            return SpawnProcess._Popen(process_obj)


class _OwnMain(SpawnContext):
    """The spawn context, with such processes."""

    Process = _Process


@contextlib.contextmanager
def _empty_main() -> Iterator[None]:
    """Show an empty main module for a moment."""
    with _STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
