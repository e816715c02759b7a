"""Stage 5: pictures in MNIST format become calibrated probabilities, in batches."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from digitocr.errors import ModelError
from digitocr.mnist import NORMALIZATION
from digitocr.types import CLASSES, NOT_A_DIGIT, ModelId
from digitocr.weights import Header, Tensors, bytes_of, read_model, risk_in

__all__ = ["Classifier", "arrived"]

_OUTPUTS = NOT_A_DIGIT + 1
_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


class _Engine(Protocol):
    """What computes."""

    def shares(self, crops: NDArray[np.uint8], threads: int | None) -> NDArray[np.float32]:
        """float32 (N, outputs) for uint8 (N, 28, 28); each row sums to 1."""


class Classifier:
    """A trained model, ready to read.

    id: its name and the SHA-256 of its file.
    header: what its file says of it.
    risk: how often values read with it were right when that was measured.
    device: ``cpu`` or ``cuda``. wanted: the same or ``auto``, as was asked for.
    """

    def __init__(
        self,
        engine: _Engine,
        header: Header,
        id: ModelId,
        device: str,
        wanted: str,
        path: Path,
    ) -> None:
        self.id = id
        self.risk = risk_in(path, header)
        self.device = device
        self.wanted = wanted
        self.header = header
        self._engine = engine
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as the bytes of its file, to be loaded for the device that is there."""
        return arrived, (self.id, self.file_bytes, self.wanted)

    @property
    def file_bytes(self) -> bytes:
        """Those of its file. Raises ModelError where it is not the same any more."""
        return bytes_of(self._path, self.id.sha256)

    @classmethod
    def load(cls, path: Path, device: str = "auto", data: bytes | None = None) -> Classifier:
        """The model of a file, on ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.

        data: the file's bytes, where it is elsewhere.
        Raises ModelError where the file is missing, damaged, changed, for another network
        or another normalisation, or where there is no such device.
        """
        header, tensors, sha256 = read_model(path, data)
        if header.normalization != NORMALIZATION:
            raise ModelError(
                f"the model {path} was made for the normalisation '{header.normalization}', "
                f"and this version reads with '{NORMALIZATION}'; train it again"
            )
        if header.classes != CLASSES or header.outputs not in (len(CLASSES), _OUTPUTS):
            raise ModelError(f"the model {path} was made for other classes than {CLASSES}")
        found = _device(device)
        try:
            engine = _engine(header, tensors, found)
        except ValueError as error:
            raise ModelError(f"the weights in {path} do not fit the network it names") from error
        return cls(engine, header, ModelId(path.stem, sha256), found, device, path)

    def probabilities(
        self, crops: NDArray[np.uint8], threads: int | None = None
    ) -> NDArray[np.float32]:
        """How probable each digit is, and last that it is none.

        crops: uint8 (N, 28, 28), 255 is ink, N may be 0. threads: of the processor; by
        default one for each core, which is wrong where workers use them too.
        Returns float32 (N, 11), calibrated; each row sums to 1. A model that knows digits
        alone takes nothing for none.
        """
        result = np.zeros((len(crops), _OUTPUTS), np.float32)
        result[:, : self.header.outputs] = self._engine.shares(crops, threads)
        return result


def arrived(id: ModelId, data: bytes, device: str) -> Classifier:
    """A classifier that was sent here.

    Raises ModelError as ``Classifier.load``, and where the file is not the one it was made of.
    """
    classifier = Classifier.load(Path(f"{id.name}.safetensors"), device, data)
    if classifier.id != id:
        raise ModelError(f"the model {id.name} was changed while it was read with")
    return classifier


def _engine(header: Header, tensors: Tensors, device: str) -> _Engine:
    """What computes on a device. Raises ValueError where the weights do not fit."""
    if device == "cuda":
        from digitocr.classifying.cuda import Cuda  # loads torch

        return Cuda(header, tensors)
    from digitocr.classifying.processor import Processor

    return Processor(header, tensors)


def _device(wanted: str) -> str:
    """``cpu`` or ``cuda``. Raises ModelError where there is no CUDA and it was asked for."""
    if wanted == "cpu" or (wanted == "auto" and not _driver_is_there()):
        return "cpu"
    from digitocr.classifying.cuda import Cuda  # loads torch

    if Cuda.found():
        return "cuda"
    if wanted == "cuda":
        raise ModelError("there is no CUDA device here; use --device cpu")
    return "cpu"


def _driver_is_there() -> bool:
    """True where a driver for CUDA is installed: without one torch need not be asked, and
    it takes more than a second to load."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True
