"""The network: seven convolutions from 28x28 pixels to eleven scores.

The design is Chris Deotte's MNIST network (github.com/cdeotte/MNIST-CNN-99.75, 2018), whose
1,500 published trainings make it the best documented of its size: learned strided
convolutions in place of pooling, batch norm after each. Its widths are free here, and it
has an eleventh output, "not a digit".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn.utils import fusion

__all__ = ["ARCHITECTURES", "OUTPUTS", "Net", "build", "fused"]

OUTPUTS = 11  # ten digits and "not a digit"


class Net(nn.Module):
    """Three stages of widths (a, b, c); 290,187 parameters for (16, 64, 128).

    Takes float (N, 1, 28, 28), 1 is ink, and returns float (N, 11), scores before softmax.
    """

    def __init__(self, widths: Sequence[int] = (16, 64, 128), dropout: float = 0.0) -> None:
        super().__init__()
        a, b, c = widths
        self.features = nn.Sequential(
            _convolution(1, a, 3),  # 28 -> 26
            _convolution(a, a, 3),  # 26 -> 24
            _convolution(a, a, 5, stride=2, padding=2),  # 24 -> 12
            nn.Dropout(dropout),
            _convolution(a, b, 3),  # 12 -> 10
            _convolution(b, b, 3),  # 10 -> 8
            _convolution(b, b, 5, stride=2, padding=2),  # 8 -> 4
            nn.Dropout(dropout),
            _convolution(b, c, 4),  # 4 -> 1
            nn.Dropout(dropout),
        )
        self.scores = nn.Linear(c, OUTPUTS)

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.features(pictures)  # (N, c, 1, 1)
        scores: Tensor = self.scores(features.flatten(1))  # (N, 11)
        return scores


ARCHITECTURES: dict[str, type[Net]] = {"strided": Net}


def build(architecture: str, widths: Sequence[int], dropout: float = 0.0) -> Net:
    """The network of that name. Raises KeyError where there is none of it, ValueError where
    the widths are not three."""
    return ARCHITECTURES[architecture](widths, dropout)


def fused(net: Net) -> Net:
    """The network in evaluation mode with each batch norm folded into its convolution.

    The same function up to rounding; the argument is changed and returned.
    """
    net.eval()
    for stage in net.features:
        if isinstance(stage, nn.Sequential):
            convolution, norm = cast(nn.Conv2d, stage[0]), cast(nn.BatchNorm2d, stage[1])
            stage[0] = fusion.fuse_conv_bn_eval(convolution, norm)
            stage[1] = nn.Identity()
    return net


def _convolution(
    inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
