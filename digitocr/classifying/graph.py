"""A network as an ONNX graph: the layers of ``network``, without torch.

Batch norms stay nodes of their own: the shift of one that comes before a padded convolution
could only be folded into an addition after it, which costs as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digitocr.classifying.encode import FLOAT, UINT8, model, node, tensor
from digitocr.mnist import SIDE
from digitocr.strips import HEIGHT
from digitocr.weights import Tensors

__all__ = ["network_graph", "strip_graph"]

_EPSILON = 1e-5  # of torch's batch norms
_WIDEST = 4096  # channels or features
_ANY_WIDTH = 256  # columns of a strip, as a stand-in: no layer of one needs to know
_COUNTER = ".num_batches_tracked"  # what a norm keeps for training alone


def network_graph(
    layers: Sequence[str], outputs: int, tensors: Tensors, temperature: float, batch: int | str
) -> bytes:
    """The network as an ONNX model, from pictures to probabilities.

    layers, outputs: as ``network.build`` takes them. tensors: the weights, by the names
    they have there. temperature: by which scores are divided before the softmax. batch: how
    many pictures there are, or a name where that may be any number.

    It takes ``pictures``, uint8 (batch, 1, 28, 28), 255 is ink, and gives ``shares``,
    float32 (batch, outputs); each row sums to 1.

    Raises ValueError where a layer is unknown or out of its place, or the weights are not
    those of the layers.
    """
    graph = _Graph(tensors, SIDE, SIDE)
    _add_all(graph, layers)
    graph.flatten()
    graph.dense("scores", outputs)
    graph.node("Div", graph.number(temperature))
    graph.node("Softmax", axis=1)
    graph.node("Identity", output="shares")
    return graph.model(("pictures", UINT8, (batch, 1, SIDE, SIDE)), (batch, outputs))


def strip_graph(layers: Sequence[str], outputs: int, tensors: Tensors) -> bytes:
    """The network of ``network.build_for_strips`` as an ONNX model.

    It takes ``pictures``, uint8 (1, 1, 32, W) of any W, 255 is ink, and gives ``shares``,
    float32 (1, outputs, T): the logarithms of shares that sum to 1 in each column.

    Raises ValueError as ``network_graph`` does.
    """
    graph = _Graph(tensors, HEIGHT, _ANY_WIDTH)
    _add_all(graph, layers)
    if graph.rows != 1 or graph.flat:
        raise ValueError("the layers leave more than a row of columns")
    graph.kernel("scores", outputs, (1, 1))
    graph.node("Squeeze", graph.whole_number(2))
    graph.node("LogSoftmax", axis=1)
    graph.node("Identity", output="shares")
    return graph.model(("pictures", UINT8, (1, 1, HEIGHT, "width")), (1, outputs, "columns"))


def _add_all(graph: _Graph, layers: Sequence[str]) -> None:
    """From pictures through all layers. Raises ValueError."""
    graph.node("Cast", to=FLOAT)
    graph.node("Div", graph.number(255))
    for place, layer in enumerate(layers):
        _add(graph, layer, f"features.{place}")
        if min(graph.rows, graph.columns) <= 0:
            raise ValueError(f"nothing is left after the layer '{layer}'")


def _add(graph: _Graph, layer: str, name: str) -> None:
    """One more layer. Raises ValueError where it cannot stand there."""
    kind, *numbers = layer.split() or [""]
    same = numbers[-1:] == ["same"]
    match kind, _sizes(numbers[: len(numbers) - same]):
        case "norm", []:
            graph.norm(name)
        case "relu", []:
            graph.node("Relu")
        case "dropout", [_]:
            pass  # it is for training
        case "dense", [width] if graph.flat:
            graph.dense(name, width)
        case "flatten", [] if not graph.flat:
            graph.flatten()
        case "mean", [] if not graph.flat:
            graph.mean()
        case "pool", [step] if not graph.flat:
            graph.pool(step, step)
        case "pool", [down, across] if not graph.flat:
            graph.pool(down, across)
        case "columns", [width, span] if not graph.flat and span % 2:
            graph.kernel(name, width, (graph.rows, span), (0, span // 2))
        case "conv", [width, kernel] if not graph.flat:
            graph.convolution(name, width, kernel, same)
        case "block", [width, kernel] if not graph.flat:
            graph.block(name, width, kernel, same)
        case "residual", [kernel] if not graph.flat and kernel % 2:
            before = graph.last
            graph.block(f"{name}.block", graph.channels, kernel, same=True)
            graph.node("Add", before)
        case _:
            raise ValueError(f"the network has no layer '{layer}'")


class _Graph:
    """A graph under way.

    last: the name of what flows out of the last node: ``channels`` of rows x columns, or,
        once it is ``flat``, that many features.
    """

    def __init__(self, tensors: Tensors, rows: int, columns: int) -> None:
        self.channels, self.rows, self.columns, self.flat = 1, rows, columns, False
        self.last = "pictures"
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._unused = {name: one for name, one in tensors.items() if not name.endswith(_COUNTER)}

    def node(self, operator: str, *inputs: str, output: str = "", **settings: Any) -> None:
        """An operator on what flows, and on constants or what flowed before."""
        output = output or f"{operator}.{len(self._nodes)}"
        self._nodes.append(node(operator, [self.last, *inputs], output, **settings))
        self.last = output

    def number(self, value: float) -> str:
        """The name of a constant."""
        name = f"number.{len(self._constants)}"
        self._constants.append(tensor(name, np.array(value, np.float32)))
        return name

    def whole_number(self, value: int) -> str:
        """The name of a constant list of one whole number."""
        name = f"number.{len(self._constants)}"
        self._constants.append(tensor(name, np.array([value], np.int64)))
        return name

    def weights(self, name: str, *shape: int) -> str:
        """The name of one of the model's tensors. Raises ValueError where there is no such."""
        values = self._unused.pop(name, None)
        if values is None or values.shape != shape:
            raise ValueError(f"there are no weights {name} of shape {shape}")
        self._constants.append(tensor(name, values))
        return name

    def norm(self, name: str) -> None:
        own = ("weight", "bias", "running_mean", "running_var")
        weights = [self.weights(f"{name}.{one}", self.channels) for one in own]
        self.node("BatchNormalization", *weights, epsilon=_EPSILON)

    def convolution(self, name: str, width: int, kernel: int, same: bool) -> None:
        padding = kernel // 2 if same else 0
        self.kernel(name, width, (_whole(kernel), kernel), (padding, padding))

    def kernel(
        self, name: str, width: int, size: tuple[int, int], padding: tuple[int, int] = (0, 0)
    ) -> None:
        """A convolution with a kernel of any size, rows first."""
        shape = (_whole(width), self.channels, *size)
        weights = self.weights(f"{name}.weight", *shape), self.weights(f"{name}.bias", width)
        self.node("Conv", *weights, kernel_shape=list(size), pads=[*padding, *padding])
        self.channels = width
        self.rows += 2 * padding[0] - size[0] + 1
        self.columns += 2 * padding[1] - size[1] + 1

    def block(self, name: str, width: int, kernel: int, same: bool) -> None:
        self.norm(f"{name}.norm")
        self.convolution(f"{name}.conv", width, kernel, same)
        self.node("Relu")

    def pool(self, down: int, across: int) -> None:
        steps = [_whole(down), _whole(across)]
        self.node("MaxPool", kernel_shape=steps, strides=steps)
        self.rows, self.columns = self.rows // down, self.columns // across

    def mean(self) -> None:
        self.node("GlobalAveragePool")
        self.rows = self.columns = 1

    def flatten(self) -> None:
        self.node("Flatten")
        self.channels *= self.rows * self.columns
        self.rows, self.columns, self.flat = 1, 1, True

    def dense(self, name: str, width: int) -> None:
        shape = (_whole(width), self.channels)
        weights = self.weights(f"{name}.weight", *shape), self.weights(f"{name}.bias", width)
        self.node("Gemm", *weights, transB=1)
        self.channels = width

    def model(
        self, takes: tuple[str, int, Sequence[int | str]], gives: Sequence[int | str]
    ) -> bytes:
        """The bytes of the model. Raises ValueError where weights are left over."""
        if self._unused:
            raise ValueError(f"no layer has the weights {min(self._unused)}")
        return model(self._nodes, self._constants, takes, (self.last, FLOAT, gives))


def _sizes(words: Sequence[str]) -> list[int]:
    """The numbers of a layer. Raises ValueError for what is none."""
    try:
        return [int(float(word)) for word in words]
    except OverflowError as error:
        raise ValueError("nothing is infinitely large") from error


def _whole(size: int) -> int:
    """A number of channels, features or pixels. Raises ValueError where it is out of reason."""
    if not 1 <= size <= _WIDEST:
        raise ValueError(f"nothing is {size} large")
    return size
