"""ONNX models as bytes: the little of the format that a network takes.

A model is a protocol buffer; the numbers below are those of ``onnx.proto``. The package
``onnx`` would write it as well, and costs three times what loading the runtime does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLOAT", "UINT8", "model", "node", "tensor"]

FLOAT, UINT8, INT64 = 1, 2, 7  # types of elements
_OPSET, _VERSION = 17, 8  # of 2022: every runtime since then reads them
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # how a field is written

_Field = tuple[int, "int | float | str | bytes"]


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> bytes:
    """An operator. attributes: whole numbers, fractions or lists of whole numbers."""
    return _message(
        *((1, name) for name in inputs),
        (2, output),
        (4, operator),
        *((5, _attribute(name, value)) for name, value in attributes.items()),
    )


def tensor(name: str, values: NDArray[Any]) -> bytes:
    """A constant: of fractions, or of whole numbers."""
    whole = values.dtype == np.int64
    little = values.astype("<i8" if whole else "<f4", order="C")
    kind = INT64 if whole else FLOAT
    return _message(
        *((1, size) for size in values.shape), (2, kind), (8, name), (9, little.tobytes())
    )


def model(
    nodes: Iterable[bytes],
    constants: Iterable[bytes],
    takes: tuple[str, int, Sequence[int | str]],
    gives: tuple[str, int, Sequence[int | str]],
) -> bytes:
    """A whole model. takes, gives: the name, the type and the shape of each end; a size that
    may be any has a name."""
    graph = _message(
        *((1, one) for one in nodes),
        (2, "digitocr"),
        *((5, one) for one in constants),
        (11, _end(*takes)),
        (12, _end(*gives)),
    )
    return _message((1, _VERSION), (7, graph), (8, _message((2, _OPSET))))


def _attribute(name: str, value: int | float | list[int]) -> bytes:
    """One setting of an operator; its type stands beside it."""
    if isinstance(value, float):
        return _message((1, name), (2, value), (20, 1))
    if isinstance(value, int):
        return _message((1, name), (3, value), (20, 2))
    return _message((1, name), *((8, one) for one in value), (20, 7))


def _end(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """What a model takes or gives."""
    sizes = _message(*((1, _message((2 if isinstance(one, str) else 1, one))) for one in shape))
    return _message((1, name), (2, _message((1, _message((1, kind), (2, sizes))))))


def _message(*fields: _Field) -> bytes:
    """Fields, each with its number, one after the other."""
    return b"".join(part for number, value in fields for part in _field(number, value))


def _field(number: int, value: int | float | str | bytes) -> tuple[bytes, bytes]:
    """What tells a field and its size, and its value: apart, for a value may be megabytes."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT), _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | _FIXED32), struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)), data


def _varint(number: int) -> bytes:
    """A whole number from 0, seven bits to a byte, the lowest first."""
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])
