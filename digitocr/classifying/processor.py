"""Shares on the processor, by ONNX Runtime.

It is loaded when the first are asked for: who has workers read with a model never needs it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitocr.classifying.graph import network_graph, strip_graph
from digitocr.weights import Header, Tensors

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["Processor", "StripProcessor"]

_BATCH = 8  # pictures; of fewer the calls cost more, of more what flows does not fit the cache


class Processor:
    """A network on the processor.

    Raises ValueError where the header's layers and the tensors do not fit.
    """

    def __init__(self, header: Header, tensors: Tensors) -> None:
        self._outputs = header.outputs
        self._graph = network_graph(
            header.layers, header.outputs, tensors, header.temperature, "any"
        )

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return _session(self._graph)

    def shares(self, crops: NDArray[np.uint8], threads: int | None) -> NDArray[np.float32]:
        """float32 (N, outputs) for uint8 (N, 28, 28).

        Every layer does with each picture what it does with it alone, so that its shares are the
        same to the last bit whatever else is read with it, and by however many threads.
        """
        result = np.empty((len(crops), self._outputs), np.float32)

        def fill(start: int) -> None:
            some = crops[start : start + _BATCH, None]
            (result[start : start + _BATCH],) = session.run(["shares"], {"pictures": some})

        starts = range(0, len(crops), _BATCH)
        count = threads or _usable_cores()
        session = self._session  # one for all threads
        if count == 1:
            for start in starts:
                fill(start)
        else:
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(fill, starts))  # a list raises what a thread raised
        return result


class StripProcessor:
    """A network for strips on the processor.

    Raises ValueError where the header's layers and the tensors do not fit.
    """

    def __init__(self, header: Header, tensors: Tensors) -> None:
        self._graph = strip_graph(header.layers, header.outputs, tensors)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return _session(self._graph)

    def shares(self, strip: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (outputs, T), logarithms, for uint8 (32, W): each strip by itself, so that
        what is read does not depend on what else is."""
        (shares,) = self._session.run(["shares"], {"pictures": strip[None, None]})
        return np.asarray(shares[0], np.float32)


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    # From 1.29 on it tells its maker over the network that it was used, unless it finds this.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    with _hushed():  # it warns of screens that are no graphics cards, past every setting
        import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1  # threads share the batches, not one batch
    return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Drop what is written to standard error, by C++ too."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _usable_cores() -> int:
    """The processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
