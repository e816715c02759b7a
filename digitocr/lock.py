"""One run at a time for each output.

The lock is the kernel's (flock) on a hidden file beside the output, so that it goes with the
process, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from digitocr.errors import OutputLocked
from digitocr.output import place_of, writing

__all__ = ["locked"]

_log = logging.getLogger("digitocr")
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def locked(out: str) -> Iterator[bool]:
    """Hold the lock on an output while the block runs; links to it have the same lock.

    Gives False, after a warning, where the file system knows no locks: nothing then keeps
    two runs apart. Raises OutputLocked where another run holds it, OutputError where the
    output can be no file or its folder cannot be written.
    """
    with writing(out):
        place = place_of(out)
        path = place.with_name(f".{place.name}.lock")
        handle, holds = _locked(path, out)
    try:
        yield holds
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # before it is let go, so that nobody holds what is gone
        os.close(handle)


def _locked(path: Path, out: str) -> tuple[int, bool]:
    """The lock file, open, and whether it is locked. Raises OutputLocked and OSError."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            holds = _lock(handle, out)
            if not holds or _is_at(path, handle):
                return handle, holds
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its last holder has just removed it


def _lock(handle: int, out: str) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputLocked(
            f"another run writes {out}; wait for its end, or give this one another output"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning("the folder of %s knows no locks; let no two runs write it at a time", out)
        return False
    return True


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
