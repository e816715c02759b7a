"""The network: from pixels to scores for each class, built from a list of layers.

Of a digit, 28x28 pixels, one score for each class; of a strip, 32 pixels high, one for each
class at each column that is left.

A design is data, not code: a recipe names its layers one by one, a model file carries the
list, and this module is all that can be built from one.

======================  ==========================================================
``conv 32 3``           a convolution to 32 channels with a 3x3 kernel, no padding
``conv 32 3 same``      the same with padding, so that the size stays
``block 32 3``          batch norm, convolution, ReLU (``block 32 3 same`` pads)
``residual 3``          the input plus a padded block of it (He et al. 2016, norm first)
``pool 2``              the maximum of each 2x2
``pool 2 1``            the maximum of each 2 rows, columns stay
``columns 96 5``        a convolution over all rows and 5 columns, padded: one row is left
``mean``                the mean of each channel
``flatten``             channels of pictures as features in a row
``dense 128``           128 features of all features
``norm``, ``relu``, ``dropout 0.5``
======================  ==========================================================

A last dense layer from what is left to the scores is always added: of a strip, from each
column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from digitocr.mnist import SIDE
from digitocr.strips import HEIGHT

__all__ = ["OUTPUTS", "Net", "StripNet", "build", "build_for_strips", "fast_bfloat16", "fused"]

OUTPUTS = 11  # ten digits and "not a digit"
_WIDEST = 4096  # channels, or features of a dense layer
_MOST = 50_000_000  # parameters: a layer list from a file must not eat the memory


class Net(nn.Module):
    """Layers in a row, and a last one that gives the scores.

    Takes float (N, 1, 28, 28), 1 is ink, and returns float (N, outputs), scores before
    softmax.
    """

    def __init__(self, features: nn.Sequential, scores: nn.Linear) -> None:
        super().__init__()
        self.features = features
        self.scores = scores

    def forward(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.features(pictures).flatten(1))
        return scores


class StripNet(nn.Module):
    """Layers in a row, and a last one that gives each column's scores.

    Takes float (N, 1, 32, W), 1 is ink, and returns float (N, outputs, T), scores before
    softmax; T is W divided by what the layers pool columns by.
    """

    def __init__(self, features: nn.Sequential, scores: nn.Conv2d) -> None:
        super().__init__()
        self.features = features
        self.scores = scores

    def forward(self, strips: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.features(strips)).squeeze(2)
        return scores


class Block(nn.Module):
    """Batch norm, convolution, ReLU, on pictures of ``side`` x ``side``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int, side: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding)
        self.side = side
        self.fused = False
        self.register_buffer("offset", torch.zeros(()), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        if self.fused:
            result: Tensor = self.conv(features) + self.offset
        else:
            result = self.conv(self.norm(features))
        return result.relu_()

    def fuse(self) -> None:
        """Fold the norm into the convolution; the same function up to rounding.

        The norm's shift meets a padded border, so what it adds differs from place to place:
        it is what the block makes of an empty picture.
        """
        norm = self.norm.eval()
        empty = norm.bias.new_zeros(1, norm.num_features, self.side, self.side)
        with torch.no_grad():
            self.offset = self.conv(norm(empty)).contiguous(memory_format=torch.channels_last)
            assert norm.running_var is not None  # it keeps running figures
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            self.conv.weight.mul_(scale.view(1, -1, 1, 1))
            self.conv.bias = None
        self.fused = True


class Residual(nn.Module):
    """The input plus a block of it."""

    def __init__(self, width: int, kernel: int, side: int) -> None:
        super().__init__()
        self.block = Block(width, width, kernel, kernel // 2, side)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.block(features)
        return result


class Mean(nn.Module):
    """The mean of each channel: (N, C, H, W) to (N, C, 1, 1)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3), keepdim=True)


class _NothingLeft(Exception):
    """Of the picture, after a layer."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What flows between two layers: channels of rows x columns, or features in a row."""

    channels: int
    rows: int
    columns: int
    flat: bool = False

    @property
    def features(self) -> int:
        return self.channels * self.rows * self.columns

    def of(self, channels: int, rows: int, columns: int) -> _Shape:
        """What is left of it. Raises _NothingLeft."""
        if min(rows, columns) <= 0:
            raise _NothingLeft
        return _Shape(channels, rows, columns)


_STRIP = _Shape(1, HEIGHT, 256)  # of whatever width


def build(layers: Sequence[str], outputs: int = OUTPUTS) -> Net:
    """The network of those layers with fresh weights, for digits.

    Raises ValueError, naming the layer, where a layer is unknown or out of its place, its
    numbers are wrong, or nothing is left of the picture; also for too many parameters.
    """
    _check_size(layers, _Shape(1, SIDE, SIDE))
    features, shape = _features(layers, _Shape(1, SIDE, SIDE))
    return Net(features, nn.Linear(shape.features, outputs))


def build_for_strips(layers: Sequence[str], outputs: int) -> StripNet:
    """The network of those layers with fresh weights, for strips of any width.

    Raises ValueError as ``build`` does, and where more than one row is left.
    """
    _check_size(layers, _STRIP)
    features, shape = _features(layers, _STRIP)
    if shape.rows != 1 or shape.flat:
        raise ValueError("the layers leave more than a row of columns; end with 'columns'")
    return StripNet(features, nn.Conv2d(shape.channels, outputs, 1))


def fused(net: Net) -> Net:
    """The network in evaluation mode with each batch norm folded into its convolution.

    The same function up to rounding; the argument is changed and returned.
    """
    net.eval()
    for module in net.modules():
        if isinstance(module, Block):
            module.fuse()
    return net


def fast_bfloat16() -> bool:
    """True where the processor multiplies bfloat16 numbers itself."""
    supports = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supports and supports())


def _check_size(layers: Sequence[str], shape: _Shape) -> None:
    """Raises ValueError where the layers have too many parameters, or are none."""
    with torch.device("meta"):  # sizes without memory
        features, _after = _features(layers, shape)
        parameters = sum(one.numel() for one in features.parameters())
    if parameters > _MOST:
        raise ValueError(f"the network has {parameters:,} parameters, more than {_MOST:,}")


def _features(layers: Sequence[str], shape: _Shape) -> tuple[nn.Sequential, _Shape]:
    """The layers, one by one, and what comes out of them. Raises ValueError."""
    modules = []
    for layer in layers:
        try:
            module, shape = _layer(layer.split(), shape)
        except _NothingLeft as nothing:
            raise ValueError(f"nothing is left after the layer '{layer}'") from nothing
        except (ValueError, TypeError, ZeroDivisionError, RuntimeError) as error:
            raise ValueError(f"the network has no layer '{layer}'") from error
        modules.append(module)
    return nn.Sequential(*modules), shape


def _layer(words: list[str], shape: _Shape) -> tuple[nn.Module, _Shape]:
    """One layer and what comes out of it. Raises ValueError, TypeError, RuntimeError or
    ZeroDivisionError."""
    kind, *numbers = words
    same = numbers[-1:] == ["same"]
    values = [float(number) for number in numbers[: len(numbers) - same]]
    match kind, values:
        case "norm", []:
            norm = nn.BatchNorm1d if shape.flat else nn.BatchNorm2d
            return norm(shape.channels), shape
        case "relu", []:
            return nn.ReLU(), shape
        case "dropout", [share]:
            return nn.Dropout(share), shape
        case "dense", [width] if shape.flat:
            return nn.Linear(shape.features, _width(width)), _row(_width(width))
    if shape.flat:
        raise ValueError(kind)
    return _spatial_layer(kind, values, same, shape)


def _spatial_layer(
    kind: str, values: list[float], same: bool, shape: _Shape
) -> tuple[nn.Module, _Shape]:
    """A layer that takes channels of pictures; raises what ``_layer`` does."""
    match kind, values:
        case (("conv" | "block"), [width, kernel]):
            return _convolution(kind, _width(width), int(kernel), same, shape)
        case "residual", [kernel]:
            return Residual(shape.channels, int(kernel), shape.rows), shape
        case "pool", [_step] | [_step, _]:
            down, across = int(values[0]), int(values[-1])
            after = shape.of(shape.channels, shape.rows // down, shape.columns // across)
            return nn.MaxPool2d((down, across)), after
        case "columns", [width, span] if int(span) % 2:
            size, padding = (shape.rows, int(span)), (0, int(span) // 2)
            after = shape.of(_width(width), 1, shape.columns)
            return nn.Conv2d(shape.channels, _width(width), size, padding=padding), after
        case "mean", []:
            return Mean(), shape.of(shape.channels, 1, 1)
        case "flatten", []:
            return nn.Flatten(), _row(shape.features)
    raise ValueError(kind)


def _row(features: int) -> _Shape:
    return _Shape(features, 1, 1, flat=True)


def _convolution(
    kind: str, width: int, kernel: int, same: bool, shape: _Shape
) -> tuple[nn.Module, _Shape]:
    """A convolution, alone or in a block, and what comes out of it."""
    padding = kernel // 2 if same else 0
    more = 2 * padding - kernel + 1
    after = shape.of(width, shape.rows + more, shape.columns + more)
    if kind == "block":
        return Block(shape.channels, width, kernel, padding, shape.rows), after
    return nn.Conv2d(shape.channels, width, kernel, padding=padding), after


def _width(number: float) -> int:
    """A number of channels or features. Raises ValueError where it is out of all reason."""
    if not 1 <= number <= _WIDEST:
        raise ValueError(number)
    return int(number)
