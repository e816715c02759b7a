"""Stage 5: pictures in MNIST format become calibrated probabilities, in batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from digitocr.errors import ModelError
from digitocr.mnist import NORMALIZATION, SIDE
from digitocr.network import OUTPUTS, Net, build, fast_bfloat16, fused
from digitocr.types import CLASSES, ModelId
from digitocr.weights import Header, read_model

__all__ = ["Classifier"]

_BATCH = {"cpu": 128, "cuda": 8192}  # pictures; more gain nothing


class Classifier:
    """A trained model, ready to read.

    id: its name and the SHA-256 of its file.
    device: ``cpu`` or ``cuda``.
    """

    def __init__(self, net: Net, header: Header, id: ModelId, device: str) -> None:
        self.id = id
        self.device = device
        self.header = header
        self._net = fused(net).to(device).to(memory_format=torch.channels_last)
        # Half the bits make twice the speed, where the processor has them in hardware.
        self._bfloat16 = device == "cuda" or fast_bfloat16()

    @classmethod
    def load(cls, path: Path, device: str = "auto") -> Classifier:
        """The model of a file, on ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.

        Raises ModelError where the file is missing, damaged, changed, for another network
        or another normalisation, or where there is no such device.
        """
        header, tensors, sha256 = read_model(path)
        if header.normalization != NORMALIZATION:
            raise ModelError(
                f"the model {path} was made for the normalisation '{header.normalization}', "
                f"and this version reads with '{NORMALIZATION}'; train it again"
            )
        if header.classes != CLASSES or header.outputs not in (len(CLASSES), OUTPUTS):
            raise ModelError(f"the model {path} was made for other classes than {CLASSES}")
        net = _net(path, header, tensors)
        return cls(net, header, ModelId(path.stem, sha256), _device(device))

    def probabilities(
        self, crops: NDArray[np.uint8], threads: int | None = None
    ) -> NDArray[np.float32]:
        """How probable each digit is, and last that it is none.

        crops: uint8 (N, 28, 28), 255 is ink, N may be 0. threads: of the processor; by
        default as many as torch is set to, which is wrong where workers use them too.
        Returns float32 (N, 11), calibrated; each row sums to 1.
        """
        result = np.empty((len(crops), OUTPUTS), np.float32)
        step = _BATCH[self.device]
        with torch.inference_mode(), _threads(threads):
            for start in range(0, len(crops), step):
                result[start : start + step] = self._batch(crops[start : start + step])
        return result

    def _batch(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (n, 11) for uint8 (n, 28, 28) that fit into one batch."""
        pictures = torch.tensor(crops, device=self.device).view(-1, 1, SIDE, SIDE)
        with torch.autocast(self.device, torch.bfloat16, enabled=self._bfloat16):
            scores = self._net(pictures.float() / 255)
        shares = torch.softmax(scores.float() / self.header.temperature, dim=1)
        # A model that knows digits alone takes nothing for none.
        shares = F.pad(shares, (0, OUTPUTS - self.header.outputs))
        return np.asarray(shares.cpu().numpy(), np.float32)


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _net(path: Path, header: Header, tensors: dict[str, NDArray[np.float32]]) -> Net:
    """The network with the weights in place. Raises ModelError where they do not fit."""
    try:
        net = build(header.layers, header.outputs)
        net.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"the weights in {path} do not fit the network it names") from error
    return net


def _device(wanted: str) -> str:
    """``cpu`` or ``cuda``. Raises ModelError where there is no CUDA and it was asked for."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelError("there is no CUDA device here; use --device cpu")
    return wanted
