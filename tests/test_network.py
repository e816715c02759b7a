"""A network is what its list of layers says, and folding it for reading changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from digitocr.network import build, fused
from digitocr.training.options import load_train_recipe

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = load_train_recipe(ROOT / "pipelines" / "train-digits.toml").network.layers


def lived_in(net: nn.Module) -> nn.Module:
    """The network with norms that a training might have left."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return net.eval()


def test_the_shipped_network_is_small() -> None:
    assert sum(one.numel() for one in build(SHIPPED).parameters()) == 298_571


def test_folded_norms_give_the_same_scores() -> None:
    torch.manual_seed(0)
    net = build(SHIPPED)
    lived_in(net)
    pictures = torch.rand(7, 1, 28, 28)
    with torch.inference_mode():
        before = net(pictures)
        after = fused(net)(pictures)
    assert torch.allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("layer", ["block 6 3", "block 6 3 same", "conv 6 3 same", "norm", "mean"])
def test_every_layer_takes_what_the_one_before_it_gives(layer: str) -> None:
    net = build(["conv 4 5", "relu", "residual 3", layer, "flatten", "dense 5", "relu"], outputs=10)
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(
    "layer",
    [
        "magic",
        "",
        "conv 3",
        "conv x 3",
        "conv 99999 3",
        "conv 0 3",
        "pool 0",
        "pool 99",
        "conv 4 40",
    ],
)
def test_a_layer_that_cannot_be_is_named(layer: str) -> None:
    with pytest.raises(ValueError, match=f"layer '{layer}'"):
        build(["conv 4 5", layer])
