"""Strips are transcribed as the trained network would, each by itself."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from digitocr.classifying.processor import StripProcessor
from digitocr.errors import ModelError
from digitocr.network import StripNet, build_for_strips
from digitocr.strips import SIGNS, STEP, STRIP
from digitocr.training.numbers import Hands, any_strip
from digitocr.transcribe import Transcriber
from digitocr.types import Strip, Trust
from digitocr.weights import Header, write_model

LAYERS = (
    *("conv 4 5 same", "relu", "pool 2", "block 6 3 same", "residual 3", "pool 2 1"),
    *("norm", "relu", "columns 8 5", "relu", "columns 8 3", "dropout 0.1"),
)
OUTPUTS = len(SIGNS) + 1


def strips(count: int, seed: int = 0) -> list[Strip]:
    """Numbers of different widths."""
    hands = Hands([])
    drawn = (any_strip(hands, np.random.default_rng([seed, at]))[0] for at in range(count))
    return [Strip(pixels, scale=0.5, left=7.0) for pixels in drawn]


def lived_in() -> StripNet:
    """A network whose norms have seen strips, as after a training."""
    torch.manual_seed(0)
    net = build_for_strips(LAYERS, OUTPUTS)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    with torch.no_grad():
        for strip in strips(8):
            net(floats(strip.pixels))
    return net.eval()


def floats(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """float (1, 1, 32, W), 1 is ink."""
    return torch.tensor(pixels)[None, None] / 255


def written(path: Path, net: StripNet, **changed: object) -> Path:
    entries = {"outputs": OUTPUTS, "classes": SIGNS} | changed
    header = Header(LAYERS, STRIP, **entries)  # type: ignore[arg-type]
    write_model(path, header, {name: one.numpy() for name, one in net.state_dict().items()})
    return path


@pytest.fixture
def transcriber(tmp_path: Path) -> Transcriber:
    return Transcriber.load(written(tmp_path / "fresh.safetensors", lived_in()))


def test_the_processor_computes_what_torch_does() -> None:
    net = lived_in()
    header = Header(LAYERS, STRIP, OUTPUTS, SIGNS)
    processor = StripProcessor(header, {k: v.numpy() for k, v in net.state_dict().items()})
    for strip in strips(5):
        with torch.inference_mode():
            expected = torch.log_softmax(net(floats(strip.pixels)), dim=1)[0].numpy()
        found = processor.shares(strip.pixels)
        assert found.shape == expected.shape == (OUTPUTS, strip.pixels.shape[1] // STEP)
        assert np.allclose(found, expected, atol=1e-3)
        assert found.max(axis=0).std() > 1e-3


def test_the_shares_of_each_column_sum_to_one(transcriber: Transcriber) -> None:
    for reading in transcriber.transcribe(strips(4)):
        assert reading is not None and reading.shares.dtype == np.float32
        assert np.allclose(np.exp(reading.shares).sum(axis=0), 1, atol=1e-4)


def test_columns_know_where_they_lie_in_the_ink_picture(transcriber: Transcriber) -> None:
    (strip,) = strips(1)
    (reading,) = transcriber.transcribe([strip])
    assert reading is not None
    assert reading.left == strip.left and reading.step == STEP / strip.scale


def test_what_else_is_read_does_not_matter(transcriber: Transcriber) -> None:
    several = strips(4)
    together, backwards = transcriber.transcribe(several), transcriber.transcribe(several[::-1])
    for one, other in zip(together, backwards[::-1], strict=True):
        assert one is not None and other is not None
        assert np.array_equal(one.shares, other.shares)


def test_where_there_is_no_strip_nothing_is_said(transcriber: Transcriber) -> None:
    assert transcriber.transcribe([]) == []
    assert transcriber.transcribe([None, *strips(1)])[0] is None


def test_strips_are_not_changed(transcriber: Transcriber) -> None:
    (strip,) = strips(1)
    before = strip.pixels.copy()
    strip.pixels.setflags(write=False)
    transcriber.transcribe([strip])
    assert np.array_equal(strip.pixels, before)


def test_a_number_seen_lower_or_leaning_counts_too(tmp_path: Path) -> None:
    net, (strip,) = lived_in(), strips(1)
    (reading,) = Transcriber.load(written(tmp_path / "n.safetensors", net)).transcribe([strip])
    with torch.inference_mode():
        alone = torch.log_softmax(net(floats(strip.pixels)), dim=1)[0].numpy()
    assert reading is not None and reading.shares.shape == alone.shape
    assert not np.allclose(reading.shares, alone, atol=1e-2)


def test_it_may_be_sent_to_another_process(transcriber: Transcriber) -> None:
    again = pickle.loads(pickle.dumps(transcriber))
    (one,), (other,) = (each.transcribe(strips(1)) for each in (transcriber, again))
    assert again.id == transcriber.id
    assert one is not None and other is not None and np.array_equal(one.shares, other.shares)


def test_a_model_knows_how_far_it_is_to_be_trusted(tmp_path: Path) -> None:
    trust = {"strip": 0.7, "lattice": 0.2, "cut": 0.1, "least": -5.0}
    path = written(tmp_path / "n.safetensors", lived_in(), training={"trust": trust})
    (reading,) = Transcriber.load(path).transcribe(strips(1))
    assert reading is not None and reading.trust == Trust(**trust)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"normalization": "mnist-1"}, "strip-1"),
        ({"classes": "0123456789", "outputs": 11}, "other signs"),
        ({"layers": ("conv 4 5 same",)}, "do not fit"),
        ({"training": {"trust": {"faith": 1.0}}}, "trust"),
        ({"training": {"trust": {"strip": "much"}}}, "trust"),
    ],
)
def test_a_model_that_cannot_read_strips_is_refused(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    entries: dict[str, object] = {"layers": LAYERS, "normalization": STRIP, "outputs": OUTPUTS}
    entries |= {"classes": SIGNS} | changed
    path = tmp_path / "other.safetensors"
    weights = {name: one.numpy() for name, one in lived_in().state_dict().items()}
    write_model(path, Header(**entries), weights)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=said):
        Transcriber.load(path)
