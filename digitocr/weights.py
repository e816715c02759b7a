"""Model files: weights as data, never code, with a header that says what they are for.

A model is one safetensors file. Its header holds, as JSON, the network's layers, the
normalisation its pictures had, its classes, its temperature, the training recipe, and the
SHA-256 of the tensors and of all that the header says besides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors import numpy as tensors_in_numpy

from digitocr.errors import ModelError, OutputError
from digitocr.risk import RiskTable
from digitocr.types import CLASSES

__all__ = ["Header", "Tensors", "bytes_of", "read_model", "risk_in", "write_model"]

_KEY = "digitocr"  # of the header's entry in the file's metadata

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Header:
    """What a model file says of itself.

    layers, outputs: of the network, as ``network.build`` takes them; with as many outputs
        as classes it knows no "not a digit".
    normalization: the version of the preprocessing its pictures had.
    classes: the digits in order of the outputs; the one after them is "not a digit".
    temperature: by which scores are divided before the softmax (Guo et al. 2017).
    recipe: the training recipe, all of it; training: seed, epochs, scores.
    sha256: of the tensors and the rest of the header, in hex.
    """

    layers: tuple[str, ...]
    normalization: str
    outputs: int = len(CLASSES) + 1
    classes: str = CLASSES
    temperature: float = 1.0
    recipe: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""


def write_model(path: Path, header: Header, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a model file; its header gets the SHA-256. Raises OutputError."""
    entries = asdict(header) | {"sha256": _digest(header, tensors)}
    data = tensors_in_numpy.save(
        {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()},
        metadata={_KEY: json.dumps(entries, sort_keys=True)},
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".part")
        unfinished.write_bytes(data)
        unfinished.replace(path)  # a model file is whole or not there
    except OSError as error:
        raise OutputError(f"the model file {path} cannot be written: {error.strerror}") from error


def read_model(path: Path, data: bytes | None = None) -> tuple[Header, Tensors, str]:
    """The header, the tensors and the SHA-256 of the file.

    data: its bytes, where they were sent and the file is elsewhere.
    Raises ModelError where the file is missing, cut short, changed, or no model of ours.
    """
    try:
        data = path.read_bytes() if data is None else data
        tensors: Tensors = tensors_in_numpy.load(data)
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error.strerror}") from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"the model file {path} is cut short or no model; get it again") from error
    header = _header(path, data)
    if header.sha256 != _digest(header, tensors):
        raise ModelError(f"the model file {path} was changed after it was made; get it again")
    return header, tensors, hashlib.sha256(data).hexdigest()


def bytes_of(path: Path, sha256: str) -> bytes:
    """Those of a model's file that was read before: sha256 is its, in hex.

    Raises ModelError where the file is not the same any more.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the model file {path} is not there any more") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"the model {path.stem} was changed while it was read with")
    return data


def risk_in(path: Path, header: Header) -> RiskTable:
    """How often values read with a model were right, as its header tells; empty where it does
    not. Raises ModelError where it tells nonsense."""
    try:
        return RiskTable.from_header(header.training.get("risk", {}))
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"what the model {path} says of its risk is not valid") from error


def _header(path: Path, data: bytes) -> Header:
    """The header from the file's metadata. Raises ModelError where there is none."""
    length = int.from_bytes(data[:8], "little")
    try:
        entries = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
        header = Header(**(entries | {"layers": tuple(map(str, entries["layers"]))}))
        if not 0 < float(header.temperature) < float("inf"):
            raise ValueError("no temperature")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the file {path} holds weights, but no model of digitocr") from error
    return header


def _digest(header: Header, tensors: Mapping[str, NDArray[Any]]) -> str:
    """The SHA-256 over the header and all tensors' names, types, shapes and values, in hex."""
    said = json.dumps(asdict(header) | {"sha256": ""}, sort_keys=True)
    digest = hashlib.sha256(said.encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
