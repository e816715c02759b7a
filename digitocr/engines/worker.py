"""What a worker is: a fresh process, quiet, bounded, that runs one task after the other."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import mmap
import os
import pickle
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from digitocr.errors import TimedOut, WorkerCrashed

__all__ = ["Process", "environment", "head_start", "serve"]

# Nothing of the caller's main module is run again in the worker, as multiprocessing does,
# so that a script without a main guard does not start itself over and over.
_BOOT = """
import gc, sys
gc.disable()
from multiprocessing.connection import Connection
link = Connection(int(sys.argv[1]))
sys.path[:] = link.recv()
from digitocr.engines.worker import serve
serve(link)
"""
# The modules of what workers are asked to do, and of what they load there when it is needed.
_TASKS = ("digitocr.prepare", "digitocr.annotate", "digitocr.formats.pdf")
NOTHING = pickle.dumps((int, ()))  # to be called first
_PR_SET_PDEATHSIG = 1  # of Linux' prctl: the signal that follows the end of the owner
_LEAST_ROOM = 64  # megabytes left for the work itself
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # one process per core is faster
# What a page leaves free serves the next one, up to 256 MB: glibc would hand most of it back each
# time, and a twentieth of a worker's time went into getting it again. An A4 page leaves 100 MB, and
# it is chance how much of that lies at the end, where it can go back. Pictures above 32 MB do go
# back. Whoever has set something here keeps it.
_MALLOC = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=268435456"
}


class Process:
    """A worker process as its owner sees it.

    megabytes: the address space it may take. first: a pickled function and its arguments, to be
    called there before anything else and before the memory is bounded.
    """

    def __init__(self, megabytes: int, first: bytes = NOTHING) -> None:
        self.refusal = (
            f"no worker process can start within {megabytes} MB; raise worker_megabytes "
            "under [limits] in the pipeline file, or free some memory"
        )
        self._first = first
        self._link, self._child = _next()
        with contextlib.suppress(OSError):  # where it ended, it is not ready
            self._link.send(megabytes)

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def ready(self) -> bool:
        """Wait until it can work; False where it ended instead."""
        try:
            self._link.send_bytes(self._first)
            return bool(self._link.recv())
        except (EOFError, OSError):
            return False

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float | None
    ) -> Any:
        """The result of ``function(*arguments)``.

        Raises what the function raises, WorkerCrashed, and TimedOut after ``seconds``; then
        the process is of no more use and must be ended.
        """
        task = pickle.dumps((function, arguments))
        try:
            self._link.send_bytes(task)
            if not self._link.poll(seconds):
                raise TimedOut("reading took too long and was given up")
            answer = self._link.recv_bytes()
        except (EOFError, OSError) as error:
            raise WorkerCrashed(
                "the program that decodes it crashed or ran out of memory"
            ) from error
        result, raised, where = pickle.loads(answer)
        if raised is not None:
            raise raised from _RemoteTraceback(where)
        return result

    def end(self) -> None:
        """End it at once, whatever it is doing."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()


_Begun = tuple[Connection, "subprocess.Popen[bytes] | None"]
_ahead: list[_Begun] = []  # begun before anyone asked for it: one, or none


@contextlib.contextmanager
def head_start() -> Iterator[None]:
    """Begin a process at once; the first ``Process`` that is asked for in the block will be it.

    It loads what it works with while its owner does the same.
    """
    _ahead.append(_begun())
    try:
        yield
    finally:
        for link, child in _ahead:
            link.close()
            if child is not None:
                child.kill()
                child.wait()
        _ahead.clear()


def _next() -> _Begun:
    """The process that was begun ahead, else a new one."""
    with contextlib.suppress(IndexError):  # asked so, no two threads can have the same one
        return _ahead.pop()
    return _begun()


def _begun() -> _Begun:
    """A process that loads what it works with, and the way to speak to it; None where there is
    no room for one."""
    link, theirs = Pipe()
    command = [sys.executable, "-I", f"-Xutf8={sys.flags.utf8_mode}", "-c", _BOOT]
    with theirs, contextlib.suppress(OSError):
        child = subprocess.Popen(
            [*command, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # decoders chatter; their findings come as errors
            pass_fds=[theirs.fileno()],
            env=environment(),
        )
        with contextlib.suppress(OSError):  # it ended already
            link.send(sys.path)
        return link, child
    return link, None


def environment() -> dict[str, str]:
    """The variables that a worker runs with: this process's, one thread, and memory that stays."""
    return _MALLOC | os.environ | _THREADS


class _RemoteTraceback(Exception):
    """Shows where in the worker an exception came from."""


def serve(link: Connection) -> None:
    """Be a worker: run the tasks that come until the owner is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the owner ends it
        signal.signal(number, signal.SIG_IGN)
    _die_with_owner()
    for module in _TASKS:  # now, for later the limit may not let them in
        importlib.import_module(module)
    _begin(link.recv(), link.recv_bytes())
    gc.freeze()  # what is loaded is never garbage, and need not be looked through for any
    gc.enable()
    link.send(True)
    with contextlib.suppress(EOFError, OSError):
        while True:
            link.send_bytes(_answer(link.recv_bytes()))


def _begin(megabytes: int, first: bytes) -> None:
    """Make this process ready and bounded.

    Raises OSError where the limit leaves no room to work.
    """
    function, arguments = pickle.loads(first)
    function(*arguments)
    import cv2

    cv2.setNumThreads(1)
    limit = megabytes * 1024 * 1024
    with contextlib.suppress(ValueError, OSError):  # a stricter limit is already set
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    mmap.mmap(-1, _LEAST_ROOM * 1024 * 1024).close()  # asked for and not touched: it costs nothing


def _die_with_owner() -> None:
    """End with the owner, also in the middle of a task that hangs; Linux alone knows how.

    Elsewhere, and where the owner is gone already, the process ends when the task does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answer(task: bytes) -> bytes:
    """A task's result, or what it raised and where."""
    try:
        function, arguments = pickle.loads(task)
        return pickle.dumps((function(*arguments), None, ""))
    except BaseException as error:
        where = traceback.format_exc()
        with contextlib.suppress(Exception):
            answer = pickle.dumps((None, error, where))
            pickle.loads(answer)  # some exceptions go in and do not come out
            return answer
        return pickle.dumps((None, RuntimeError(type(error).__name__), where))
