"""The same work on the machines of a Ray cluster. The only module that imports ray.

Documents are prepared by Ray's tasks; each hands its work to a contained process beside it, as
the local engine does, so that what crashes, hangs or eats memory costs itself alone and Ray never
sees it. What is prepared comes back here, in order and within a window, and goes out again in
batches to actors that classify and assemble: one for each graphics card, or where there is none,
some on each machine. A machine that is lost costs nothing but time: Ray runs its tasks again
elsewhere, and its batches are sent to another actor.

This is Ray's core, not Ray Data: there a block that fails for good is dropped with all its rows,
or tried for ever. Here each task and each batch is waited for by name.

A cluster is found as Ray finds it (``RAY_ADDRESS``, or one of this machine); where there is none,
this machine becomes one. All machines need this version of digitocr and see the files under the
same paths.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

import digitocr
from digitocr.engines.local import Workers, outcome
from digitocr.errors import DigitocrError, SetupError, WorkerCrashed
from digitocr.ingest import Source
from digitocr.prepare import Part
from digitocr.types import PageReading, ReadError

__all__ = ["ray_workers"]

_log = logging.getLogger("digitocr")
_LOST = "the machines of the cluster that read it were lost, one after the other"
_RETRIES = 3  # of a task whose machine is lost
_TRIES = 2  # of a batch, and then of each of its parts
_START_SECONDS = 300.0  # until an actor must have found its place in the cluster
_LOOK_SECONDS = 0.5  # until a thread that waits looks up whether it should
_REACH_SECONDS = 10.0  # for a cluster to answer; Ray itself tries for minutes
_PROCESSORS_AN_ACTOR = 8  # that prepare what one actor classifies and assembles
_BATCHES_AN_ACTOR = 2  # under way, so that it need not wait for the next

_Batch = list[tuple[Source, Part]]
_Pages = list[PageReading | ReadError]
_Read = Callable[[_Batch], list[_Pages]]


@contextlib.contextmanager
def ray_workers(jobs: int | None, megabytes: int, *, cards: bool) -> Iterator[Workers]:
    """Workers on a Ray cluster, which is joined for as long as the block runs.

    jobs: tasks at a time, by default one for each processor of the cluster. megabytes: the
    address space that each may take. cards: classify on its graphics cards, if it has any.

    Raises SetupError where the cluster cannot be joined, or cannot work.
    """
    with _joined():
        there = ray.cluster_resources()
        processors = max(1, int(there.get("CPU", 1)))
        on_cards = int(there.get("GPU", 0)) if cards else 0
        actors = on_cards or max(len(ray.nodes()), processors // _PROCESSORS_AN_ACTOR)
        with _RayWorkers(jobs or processors, megabytes, actors, cards=bool(on_cards)) as workers:
            yield workers


@contextlib.contextmanager
def _joined() -> Iterator[None]:
    """Join the cluster, and leave it, unless this process is in one already."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers
    ours = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _reach(os.environ.get("RAY_ADDRESS", ""))
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        raise SetupError(f"the Ray cluster cannot be joined: {error}") from error
    finally:
        for number, handler in ours.items():  # which Ray replaces
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raises OSError where a cluster's ``host:port`` does not answer."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()


class _RayWorkers(Workers):
    """Tasks on the cluster's processors, and actors that classify and assemble.

    actors: how many; with ``cards``, each has a graphics card of its own.
    """

    def __init__(self, jobs: int, megabytes: int, actors: int, *, cards: bool) -> None:
        super().__init__(jobs, megabytes, _Tasks)
        self._actors = actors
        self._cards = cards

    def map(
        self, function: Callable[..., Any], batches: Iterable[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Each batch of parts with their pages, read by the actors, in order."""
        start = functools.partial(_Reader, function, self._cards)
        under_way: deque[tuple[_Batch, Future[list[_Pages]]]] = deque()
        with Workers(self._actors, 0, start) as readers:
            for batch in batches:
                under_way.append((batch, readers.submit(_read, batch)))
                while under_way and (
                    len(under_way) > _BATCHES_AN_ACTOR * self._actors or under_way[0][1].done()
                ):
                    yield _finished(*under_way.popleft(), readers)
            while under_way:
                yield _finished(*under_way.popleft(), readers)


def _finished(
    batch: _Batch, future: Future[list[_Pages]], readers: Workers
) -> tuple[_Batch, list[_Pages]]:
    """A batch with its pages; where it was lost each time, part by part."""
    for _ in range(_TRIES):
        with contextlib.suppress(WorkerCrashed):
            pages = outcome(future)
            if _is_whole(batch, pages):
                return batch, pages
        future = readers.submit(_read, batch)
    if len(batch) == 1:
        ((_, part),) = batch
        return batch, [[ReadError(page.number, _LOST) for page in part.pages]]
    alone = [_finished([one], readers.submit(_read, [one]), readers) for one in batch]
    return batch, [pages for _, (pages,) in alone]


# The driver's side: what a thread of Workers takes for a process


class _Tasks:
    """One task at a time, wherever in the cluster there is room."""

    refusal = "no task can start on the Ray cluster"

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes
        self._ended = threading.Event()

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def ready(self) -> bool:
        """A task finds its machine when it comes."""
        return True

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float | None
    ) -> Any:
        """As ``Process.call``; WorkerCrashed too where its machines were lost."""
        work = (function, arguments, seconds)
        run = ray.remote(max_retries=_RETRIES)(_contained)
        task = run.remote(digitocr.__version__, self._megabytes, work)
        result, error = _awaited(task, self._ended)
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """Wait no longer. The task itself ends as this process leaves the cluster: to cancel
        one that is just done brings down the process that does it, up to Ray 2.60."""
        self._ended.set()


class _Reader:
    """An actor that classifies and assembles."""

    refusal = "no process that classifies can start on the Ray cluster; see Ray's logs for why"

    def __init__(self, read: _Read, cards: bool, megabytes: int) -> None:
        self._read = read
        places = {"num_cpus": 0, "num_gpus": int(cards), "scheduling_strategy": "SPREAD"}
        self._actor = ray.remote(**places)(_Actor).remote()
        self._ended = threading.Event()

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def ready(self) -> bool:
        """Bring the actor what it reads with. Raises SetupError where it cannot."""
        begun = self._actor.begin.remote(digitocr.__version__, cloudpickle.dumps(self._read))
        try:
            error = ray.get(begun, timeout=_START_SECONDS)
        except GetTimeoutError as late:
            raise SetupError("no machine of the Ray cluster has room to classify on") from late
        except RayError:
            return False
        if error is not None:
            raise error
        return True

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float | None
    ) -> Any:
        """As ``Process.call``, without a limit of time."""
        result, faults = _awaited(self._actor.call.remote(function, arguments), self._ended)
        for fault in faults:
            _log.error("%s", fault)
        return result

    def end(self) -> None:
        self._ended.set()
        with contextlib.suppress(Exception):  # the cluster may be gone
            ray.kill(self._actor)


def _awaited(task: ray.ObjectRef, ended: threading.Event) -> Any:
    """The result of a task, which is given up when ``ended`` is set.

    Raises WorkerCrashed where it was lost, and what it raised.
    """
    while not ended.is_set():
        try:
            return ray.get(task, timeout=_LOOK_SECONDS)
        except GetTimeoutError:
            continue
        except RayTaskError:  # a fault of our own
            raise
        except RayError as lost:
            raise WorkerCrashed(_LOST) from lost
    raise WorkerCrashed(_LOST)


def _is_whole(batch: _Batch, results: list[_Pages]) -> bool:
    """Whether every page that was sent came back."""
    sent = [[page.number for page in part.pages] for _, part in batch]
    return sent == [[page.page for page in pages] for pages in results]


# The cluster's side


def _contained(version: str, megabytes: int, work: tuple[Any, ...]) -> tuple[Any, Any]:
    """What a function returns that runs in a process beside this one, and the error it raised.

    work: the function, its arguments, and the seconds that it may take.
    """
    function, arguments, seconds = work
    try:
        _check_version(version)
        return outcome(_beside(megabytes).submit(function, *arguments, seconds=seconds)), None
    except Exception as error:  # Ray would wrap it
        return None, error


@functools.cache
def _beside(megabytes: int) -> Workers:
    """The contained process of this one. Raises SetupError."""
    return Workers(1, megabytes).__enter__()


def _check_version(version: str) -> None:
    """Raises SetupError."""
    if version != digitocr.__version__:
        raise SetupError(
            f"a machine of the Ray cluster has digitocr {digitocr.__version__}, and this one "
            f"has {version}; install the same on all"
        )


_brought: list[_Read] = []  # to this process, if it is an actor: what it reads with


def _read(batch: _Batch) -> list[_Pages]:
    """The pages of a batch."""
    (read,) = _brought
    return read(batch)


class _Actor:
    """A process of the cluster that keeps what it is brought."""

    def begin(self, version: str, packed: bytes) -> DigitocrError | None:
        """Take what ``_read`` reads with; why that cannot be, None where it can."""
        try:
            _check_version(version)
            _brought[:] = [cloudpickle.loads(packed)]
        except DigitocrError as error:
            return error
        self._faults = _Faults()
        _log.addHandler(self._faults)
        return None

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> tuple[Any, list[str]]:
        """What the function returns, and what was logged of faults of our own."""
        self._faults.told.clear()
        return function(*arguments), self._faults.told


class _Faults(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())
