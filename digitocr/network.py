"""The network: from 28x28 pixels to one score for each class, built from a list of layers.

A design is data, not code: a recipe names its layers one by one, a model file carries the
list, and this module is all that can be built from one.

======================  ==========================================================
``conv 32 3``           a convolution to 32 channels with a 3x3 kernel, no padding
``conv 32 3 same``      the same with padding, so that the size stays
``block 32 3``          batch norm, convolution, ReLU (``block 32 3 same`` pads)
``residual 3``          the input plus a padded block of it (He et al. 2016, norm first)
``pool 2``              the maximum of each 2x2
``mean``                the mean of each channel
``flatten``             channels of pictures as features in a row
``dense 128``           128 features of all features
``norm``, ``relu``, ``dropout 0.5``
======================  ==========================================================

A last dense layer from what is left to the scores is always added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from digitocr.mnist import SIDE

__all__ = ["OUTPUTS", "Net", "build", "fast_bfloat16", "fused"]

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


@dataclass(frozen=True, slots=True)
class _Shape:
    """What flows between two layers: channels of side x side, or features in a row."""

    channels: int
    side: int
    flat: bool = False

    @property
    def features(self) -> int:
        return self.channels * self.side * self.side


def build(layers: Sequence[str], outputs: int = OUTPUTS) -> Net:
    """The network of those layers with fresh weights.

    Raises ValueError, naming the layer, where a layer is unknown or out of its place, its
    numbers are wrong, or nothing is left of the picture; also for too many parameters.
    """
    with torch.device("meta"):  # sizes without memory
        parameters = sum(one.numel() for one in _net(layers, outputs).parameters())
    if parameters > _MOST:
        raise ValueError(f"the network has {parameters:,} parameters, more than {_MOST:,}")
    return _net(layers, outputs)


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


def _net(layers: Sequence[str], outputs: int) -> Net:
    """The network, layer by layer. Raises ValueError."""
    shape, modules = _Shape(1, SIDE), []
    for layer in layers:
        try:
            module, shape = _layer(layer.split(), shape)
        except (ValueError, TypeError, ZeroDivisionError, RuntimeError) as error:
            raise ValueError(f"the network has no layer '{layer}'") from error
        if shape.side <= 0:
            raise ValueError(f"nothing is left after the layer '{layer}'")
        modules.append(module)
    return Net(nn.Sequential(*modules), nn.Linear(shape.features, outputs))


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
            return nn.Linear(shape.features, _width(width)), _Shape(_width(width), 1, flat=True)
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
            return Residual(shape.channels, int(kernel), shape.side), shape
        case "pool", [step]:
            return nn.MaxPool2d(int(step)), _Shape(shape.channels, shape.side // int(step))
        case "mean", []:
            return Mean(), _Shape(shape.channels, 1)
        case "flatten", []:
            return nn.Flatten(), _Shape(shape.features, 1, flat=True)
    raise ValueError(kind)


def _convolution(
    kind: str, width: int, kernel: int, same: bool, shape: _Shape
) -> tuple[nn.Module, _Shape]:
    """A convolution, alone or in a block, and what comes out of it."""
    padding = kernel // 2 if same else 0
    after = _Shape(width, shape.side + 2 * padding - kernel + 1)
    if kind == "block":
        return Block(shape.channels, width, kernel, padding, shape.side), after
    return nn.Conv2d(shape.channels, width, kernel, padding=padding), after


def _width(number: float) -> int:
    """A number of channels or features. Raises ValueError where it is out of all reason."""
    if not 1 <= number <= _WIDEST:
        raise ValueError(number)
    return int(number)
