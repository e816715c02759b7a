"""What several tests share: the pen and the paper of the sample documents, a small MNIST."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from digitocr.training.data import Samples

# One thread in each process, as the workers have it: the machines that test have few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLES = Path(__file__).resolve().parent.parent / "sample_docs"


@pytest.fixture(scope="session")
def paper() -> ModuleType:
    """sample_docs/sheet.py: ``Sheet``, ``scanned`` and what else it has."""
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # it is read as documents
    sys.path.insert(0, str(SAMPLES))
    try:
        import sheet
    finally:
        sys.path.remove(str(SAMPLES))
        sys.dont_write_bytecode = writes
    return sheet


@pytest.fixture(scope="session")
def children() -> Callable[[int], set[int]]:
    """The processes that a process has started and that still run, as /proc tells them."""

    def found(process: int) -> set[int]:
        processes: set[int] = set()
        for thread in Path(f"/proc/{process}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # the thread has ended
                processes |= {int(child) for child in thread.read_text().split()}
        return processes

    return found


def write_idx(file: Path, array: NDArray[np.uint8]) -> None:
    """An IDX file of bytes, as LeCun defined it."""
    head = struct.pack(f">2xBB{array.ndim}I", 8, array.ndim, *array.shape)
    file.write_bytes(gzip.compress(head + array.tobytes()))


@pytest.fixture(scope="session")
def write_mnist() -> Callable[..., None]:
    """Writes samples as MNIST's IDX files into a folder."""

    def write(folder: Path, samples: Samples, split: str = "train") -> None:
        folder.mkdir(exist_ok=True)
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", samples.pictures)
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", samples.labels.astype(np.uint8))

    return write


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory, write_mnist: Callable[..., None]) -> Path:
    """A folder with a small MNIST: 400 printed digits to train on, 100 to test on."""
    from digitocr.training.draw import draw_printed

    folder = tmp_path_factory.mktemp("mnist")
    write_mnist(folder, draw_printed(400, seed=1))
    write_mnist(folder, draw_printed(100, seed=2), "t10k")
    return folder
