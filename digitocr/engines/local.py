"""Work in processes of this machine that may crash, hang or eat memory without harm.

Each task runs in one of a few worker processes. A worker that dies or takes too long costs
its own task and is replaced; the others never notice.

Every worker has a pipe of its own and is given one task at a time. Pools whose workers
share a queue (the standard library's and Pebble's) lose more than the task, or wait for it
for ever, where one dies idle, at its start or in the middle of a message.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from digitocr.engines.worker import Process
from digitocr.errors import SetupError, TimedOut, WorkerCrashed

__all__ = ["Worker", "Workers", "outcome", "usable_cores"]

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")
_TASKS = 2000  # of one process, which is then replaced, so that no leak adds up
_STARTS = 2  # failures to start a process, one after the other, that end the run


def usable_cores() -> int:
    """The processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Worker(Protocol):
    """A process as its owner sees it; what the methods do, see ``engines.worker.Process``.

    refusal: what to tell where none can start.
    """

    refusal: str

    @property
    def alive(self) -> bool: ...

    def ready(self) -> bool: ...

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float | None
    ) -> Any: ...

    def end(self) -> None: ...


@dataclass(slots=True)
class _Task:
    """A call that waits for a worker. seconds: it may take, None for as long as it likes."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float | None
    future: Future[Any] = field(default_factory=Future)


class Workers:
    """A few worker processes.

    jobs: how many, at least 1. megabytes: the address space each may take. start: begins
    one, here or elsewhere.
    """

    def __init__(self, jobs: int, megabytes: int, start: Callable[[int], Worker] = Process) -> None:
        self.jobs = jobs
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._workers = [_Worker(self._tasks, megabytes, start) for _ in range(jobs)]

    def __enter__(self) -> Workers:
        """Start the workers.

        Raises SetupError where none can start: the limit on memory is too small, or the
        machine has no room for another process.
        """
        try:
            for worker in self._workers:
                worker.begin()
            self.submit(int).result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers at once, whatever they are doing."""
        for worker in self._workers:
            worker.stop()
            self._tasks.put(None)
        for worker in self._workers:
            worker.join()

    def submit(
        self, function: Callable[..., _Result], *arguments: Any, seconds: float | None = None
    ) -> Future[_Result]:
        """Run ``function(*arguments)`` in a worker; give it up after ``seconds``.

        Tasks start in the order in which they were submitted.
        """
        task = _Task(function, arguments, seconds)
        self._tasks.put(task)
        return task.future

    def map(
        self, function: Callable[[_Batch], _Result], batches: Iterable[_Batch]
    ) -> Iterator[tuple[_Batch, _Result]]:
        """Each batch with what the function makes of it, in this process and in order."""
        return ((batch, function(batch)) for batch in batches)


def outcome(future: Future[_Result]) -> _Result:
    """The result of a task.

    Raises WorkerCrashed or TimedOut where its worker died or took too long, SetupError where
    no worker can start any more, and whatever the task raised.
    """
    return future.result()


class _Worker:
    """One thread here, which feeds one process at a time there."""

    def __init__(
        self,
        tasks: queue.SimpleQueue[_Task | None],
        megabytes: int,
        start: Callable[[int], Worker],
    ) -> None:
        self._tasks = tasks
        self._megabytes = megabytes
        self._start = start
        self._process: Worker | None = None
        self._calls = 0
        self._changing = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._feed, name="digitocr-worker", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more tasks, and end the one that runs."""
        with self._changing:
            self._stopped = True
            if self._process is not None:
                self._process.end()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()

    def _feed(self) -> None:
        """Run tasks until there are no more."""
        with contextlib.suppress(SetupError):  # the first task will tell
            self._ready()
        while (task := self._tasks.get()) is not None and not self._stopped:
            try:
                result = self._call(task)
            except BaseException as error:
                task.future.set_exception(error)
            else:
                task.future.set_result(result)
        if self._process is not None:
            self._process.end()

    def _call(self, task: _Task) -> Any:
        """Run one task. Raises what it raises, WorkerCrashed, TimedOut and SetupError."""
        process = self._ready()
        self._calls += 1
        try:
            return process.call(task.function, task.arguments, task.seconds)
        except (WorkerCrashed, TimedOut):
            process.end()
            raise

    def _ready(self) -> Worker:
        """The process, a new one where the old is gone or has done enough."""
        if self._process is not None and self._process.alive and self._calls < _TASKS:
            return self._process
        for _ in range(_STARTS):
            with self._changing:
                if self._stopped:
                    break
                if self._process is not None:
                    self._process.end()
                self._process, self._calls = self._start(self._megabytes), 0
            if self._process.ready():
                return self._process
            self._process.end()
        raise SetupError(self._process.refusal if self._process else "the run ends")
