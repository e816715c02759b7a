"""What C libraries say on the standard error of the process."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["caught_stderr", "tells_of_damage"]

_DAMAGE = re.compile(rb"Corrupt JPEG|Premature end|(Decode|Fax|JPEG|LZW|Read|TIFF|ZIP)\w*: ")

_ONE_AT_A_TIME = threading.RLock()
_MOST = 1 << 16  # bytes; a broken TIFF can say megabytes


@contextmanager
def caught_stderr() -> Iterator[Callable[[], bytes]]:
    """Catch what is written to file descriptor 2, by whomever, while the block runs.

    Gives a function that returns the first 64 KB of it after the block. libjpeg and libtiff
    have no other way to tell a caller of OpenCV or Pillow that they made up pixels.
    """
    with _ONE_AT_A_TIME, _scratch() as caught:
        said = b""
        kept = _duplicate(2)
        try:
            os.dup2(caught.fileno(), 2)
            yield lambda: said
        finally:
            if kept is None:
                os.close(2)
            else:
                os.dup2(kept, 2)
                os.close(kept)
            caught.seek(0)
            said = caught.read(_MOST) or b""


def _scratch() -> IO[bytes]:
    """A nameless file, in memory where the system has such, for /tmp may be read-only."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _duplicate(descriptor: int) -> int | None:
    """A copy of the descriptor; None where it is closed, as in a daemon."""
    try:
        return os.dup(descriptor)
    except OSError:
        return None


def tells_of_damage(said: bytes) -> bool:
    """Whether libjpeg or libtiff says that it could not decode all."""
    return _DAMAGE.search(said) is not None
