"""Shares on a CUDA device, by torch; nothing else of reading loads torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from digitocr.mnist import SIDE
from digitocr.network import Net, build, fused
from digitocr.weights import Header, Tensors

__all__ = ["Cuda"]

_BATCH = 8192  # pictures; more gain nothing


class Cuda:
    """A network on a CUDA device.

    Raises ValueError where the header's layers and the tensors do not fit.
    """

    def __init__(self, header: Header, tensors: Tensors, device: str = "cuda") -> None:
        self._header, self._device = header, device
        net = fused(_net(header, tensors))
        self._net = net.to(device).to(memory_format=torch.channels_last)

    @staticmethod
    def found() -> bool:
        """True where there is a device, and a torch that can use it."""
        return torch.cuda.is_available()

    def shares(self, crops: NDArray[np.uint8], threads: int | None) -> NDArray[np.float32]:
        """float32 (N, outputs) for uint8 (N, 28, 28). threads: means nothing here."""
        result = np.empty((len(crops), self._header.outputs), np.float32)
        with torch.inference_mode():
            for start in range(0, len(crops), _BATCH):
                result[start : start + _BATCH] = self._batch(crops[start : start + _BATCH])
        return result

    def _batch(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (n, outputs) for uint8 (n, 28, 28), at most a batch."""
        pictures = torch.tensor(crops, device=self._device).view(-1, 1, SIDE, SIDE)
        with torch.autocast(self._device, torch.bfloat16):  # half the bits, twice the speed
            scores = self._net(pictures.float() / 255)
        shares = torch.softmax(scores.float() / self._header.temperature, dim=1)
        return np.asarray(shares.cpu().numpy(), np.float32)


def _net(header: Header, tensors: Tensors) -> Net:
    """The network with the weights in place. Raises ValueError where they do not fit."""
    net = build(header.layers, header.outputs)
    try:
        net.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError("the weights do not fit the network") from error
    return net
