"""A model gives calibrated probabilities, and one that cannot be trusted is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import numpy as tensors_in_numpy
from torch import nn

from digitocr import network
from digitocr.classify import Classifier
from digitocr.classifying.cuda import Cuda
from digitocr.errors import ModelError
from digitocr.mnist import NORMALIZATION
from digitocr.network import Net, build
from digitocr.normalize import glyph
from digitocr.training.data import read_mnist
from digitocr.training.draw import draw_printed
from digitocr.weights import Header, read_model, write_model

LAYERS = ("block 4 5", "pool 2", "residual 3", "mean")
GOOD = Header(LAYERS, NORMALIZATION)
ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "digits.safetensors"
MNIST = ROOT.parent / "shared" / "data" / "digits" / "mnist"

# Every kind of layer, and those that come after each other in different ways.
NETS = {
    "residual": (
        *("conv 8 5", "relu", "residual 3", "pool 2", "residual 5", "block 16 3"),
        *("norm", "block 4 3 same", "residual 3", "norm", "mean"),
    ),
    "dense": (
        *("conv 6 3 same", "relu", "pool 2", "dropout 0.25", "conv 8 5 same", "relu", "pool 3"),
        *("flatten", "norm", "dense 12", "relu", "norm", "dense 7", "relu", "dropout 0.5"),
    ),
    "even kernels": ("conv 3 2", "conv 5 4 same", "relu", "block 4 6", "pool 5"),
    "last": (),
}


def written(path: Path, header: Header = GOOD) -> Path:
    """A model file with fresh weights."""
    state = build(LAYERS).state_dict()
    write_model(path, header, {name: value.numpy() for name, value in state.items()})
    return path


def lived_in(layers: Sequence[str], outputs: int = 11) -> Net:
    """A network whose norms have seen pictures, as after a training."""
    torch.manual_seed(0)
    net = build(layers, outputs)
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    pictures = floats(draw_printed(50, seed=1).pictures)
    with torch.no_grad():
        for _ in range(5):
            net(pictures)
        net.eval()
        net.scores.bias -= net(pictures).mean(dim=0)  # what differs is not lost beside it
    return net


def floats(crops: NDArray[np.uint8]) -> torch.Tensor:
    """float (N, 1, 28, 28), 1 is ink."""
    return torch.tensor(crops).unsqueeze(1) / 255


def kept(path: Path, net: Net, header: Header) -> Path:
    """A model file of a network."""
    write_model(path, header, {name: one.numpy() for name, one in net.state_dict().items()})
    return path


def noise(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28)).astype(np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / "fresh.safetensors")


@pytest.mark.parametrize("count", [0, 1, 127, 300])
def test_probabilities_are_one_row_for_each_picture(model: Path, count: int) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (count, 28, 28)).astype(np.uint8)
    shares = Classifier.load(model, "cpu").probabilities(crops)
    assert shares.shape == (count, 11) and shares.dtype == np.float32
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert (shares >= 0).all()


def test_what_else_is_in_the_batch_does_not_matter(model: Path) -> None:
    crops = draw_printed(200, seed=0).pictures
    classifier = Classifier.load(model, "cpu")
    together = classifier.probabilities(crops)
    for count in range(1, 12):
        assert np.array_equal(
            together[50 : 50 + count], classifier.probabilities(crops[50:][:count])
        )
    assert np.array_equal(together[::-1], classifier.probabilities(crops[::-1]))


@pytest.mark.parametrize("threads", [2, 5, None])
def test_how_many_threads_read_does_not_matter(model: Path, threads: int | None) -> None:
    classifier = Classifier.load(model, "cpu")
    crops = noise(300)
    one = classifier.probabilities(crops, threads=1)
    assert np.array_equal(one, classifier.probabilities(crops, threads))


@pytest.mark.parametrize("outputs", [10, 11])
@pytest.mark.parametrize("name", NETS)
def test_the_processor_computes_what_torch_does(tmp_path: Path, name: str, outputs: int) -> None:
    net, crops = lived_in(NETS[name], outputs), draw_printed(50, seed=0).pictures
    with torch.inference_mode():
        scores = net(floats(crops))
    spread = float(scores.std(dim=0).mean())
    header = Header(NETS[name], NORMALIZATION, outputs, temperature=spread)
    shares = Classifier.load(kept(tmp_path / "net", net, header), "cpu").probabilities(crops)
    assert np.allclose(shares[:, :outputs], torch.softmax(scores / spread, dim=1), atol=1e-4)
    assert shares.max(axis=1).std() > 0.05  # pictures that all look alike would prove nothing


def test_every_kind_of_layer_is_compared() -> None:
    described = set(re.findall(r"``(\w+)[^`]*``", str(network.__doc__)))
    assert {"conv", "residual", "norm"} <= described
    of_strips = {"columns"}  # tests/test_transcribe.py
    compared = {layer.split()[0] for layers in NETS.values() for layer in layers}
    assert compared | of_strips == described


def test_a_cuda_device_would_compute_the_same(tmp_path: Path) -> None:
    net, crops = lived_in(NETS["residual"]), draw_printed(50, seed=0).pictures
    path = kept(tmp_path / "net", net, Header(NETS["residual"], NORMALIZATION))
    header, tensors, _sha256 = read_model(path)
    shares = Cuda(header, tensors, device="cpu").shares(crops, threads=None)
    assert np.allclose(shares, Classifier.load(path, "cpu").probabilities(crops), atol=0.05)


def test_a_model_that_knows_digits_alone_takes_nothing_for_none(tmp_path: Path) -> None:
    header = Header(LAYERS, NORMALIZATION, outputs=10)
    shares = Classifier.load(
        kept(tmp_path / "ten", lived_in(LAYERS, 10), header), "cpu"
    ).probabilities(noise(20))
    assert shares.shape == (20, 11)
    assert (shares[:, 10] == 0).all() and np.allclose(shares.sum(axis=1), 1, atol=1e-5)


def test_read_only_pictures_are_fine_and_not_changed(model: Path) -> None:
    crops = draw_printed(10, seed=0).pictures
    before = crops.copy()
    crops.setflags(write=False)
    Classifier.load(model, "cpu").probabilities(crops)
    assert np.array_equal(crops, before)


def test_a_higher_temperature_is_less_sure(tmp_path: Path) -> None:
    header, tensors, _sha256 = read_model(written(tmp_path / "cool.safetensors"))
    warm = Header(
        **{**{name: getattr(header, name) for name in Header.__slots__}, "temperature": 5.0}
    )
    write_model(tmp_path / "warm.safetensors", warm, tensors)
    crops = draw_printed(10, seed=0).pictures
    cool_shares, warm_shares = (
        Classifier.load(tmp_path / f"{name}.safetensors", "cpu").probabilities(crops)
        for name in ("cool", "warm")
    )
    assert (warm_shares.max(axis=1) < cool_shares.max(axis=1)).all()


def test_the_id_is_the_name_and_the_digest_of_the_file(model: Path) -> None:
    classifier = Classifier.load(model, "cpu")
    assert classifier.id.name == "fresh"
    assert len(classifier.id.sha256) == 64


def refused(path: Path) -> str:
    """The one sentence with which a model is refused."""
    with pytest.raises(ModelError) as caught:
        Classifier.load(path, "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 60, 1500, -1])
def test_a_model_cut_short_is_refused(model: Path, keep: int) -> None:
    model.write_bytes(model.read_bytes()[:keep])
    assert "cut short" in refused(model)


def test_a_model_with_changed_weights_is_refused(model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[-100] ^= 1
    model.write_bytes(bytes(data))
    assert "was changed" in refused(model)


def test_weights_that_are_no_model_of_ours_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(tensors_in_numpy.save({"a": np.zeros(3, np.float32)}))
    assert "no model of digitocr" in refused(path)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (Header(LAYERS, "mnist-0"), "normalisation 'mnist-0'"),
        (Header(LAYERS, NORMALIZATION, classes="abc"), "other classes"),
        (Header(("block 8 5", *LAYERS[1:]), NORMALIZATION), "do not fit"),
        (Header(LAYERS[:2], NORMALIZATION), "do not fit"),
        (Header(("magic",), NORMALIZATION), "do not fit"),
        (Header(LAYERS, NORMALIZATION, temperature=0.0), "no model of digitocr"),
    ],
)
def test_a_model_for_something_else_is_refused(
    tmp_path: Path, header: Header, complaint: str
) -> None:
    assert complaint in refused(written(tmp_path / "other.safetensors", header))


@pytest.mark.parametrize(
    "layers",
    [
        (*LAYERS, "relu", "magic"),
        (*LAYERS, ""),
        (*LAYERS, "dense 5"),
        (*LAYERS, "pool 2"),
        ("pool 99", *LAYERS),
        ("pool 0", *LAYERS),
        ("pool inf", *LAYERS),
        ("pool nan", *LAYERS),
        ("flatten", *LAYERS),
        ("relu same", *LAYERS),
        (*LAYERS[:2], "residual 2", "mean"),
        (*LAYERS, "norm"),
    ],
)
def test_layers_that_the_weights_are_not_for_are_refused(
    tmp_path: Path, layers: tuple[str, ...]
) -> None:
    assert "do not fit" in refused(written(tmp_path / "other", Header(layers, NORMALIZATION)))


@pytest.mark.parametrize("change", ["one more", "one less", "another shape"])
def test_weights_that_no_layer_has_are_refused(model: Path, change: str) -> None:
    header, tensors, _sha256 = read_model(model)
    if change == "one more":
        tensors["features.9.weight"] = np.zeros(4, np.float32)
    elif change == "one less":
        del tensors["scores.bias"]
    else:
        tensors["scores.bias"] = np.zeros(12, np.float32)
    write_model(model, header, tensors)
    assert "do not fit" in refused(model)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused(model: Path) -> None:
    with pytest.raises(ModelError, match="--device cpu"):
        Classifier.load(model, "cuda")


def in_a_fresh_python(code: str, home: Path, *arguments: str | Path) -> list[str]:
    """The words that code prints, run with a home of its own."""
    hidden = ("CI", "GITHUB_ACTIONS", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    return done.stdout.split()


def test_reading_on_the_processor_loads_no_torch_and_the_runtime_in_workers(
    tmp_path: Path,
) -> None:
    path = kept(tmp_path / "m.safetensors", lived_in(LAYERS), GOOD)
    code = (
        "import sys, digitocr.classify as c; from digitocr.cli import digitocr_command as d\n"
        "c._DRIVER = 'no driver'\n"
        "try: d.main(['extract', *sys.argv[1:]])\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules})"
    )
    page = ROOT / "sample_docs" / "meter-cards.tif"
    loaded = in_a_fresh_python(
        code, tmp_path, page, "-o", tmp_path / "out.csv", "--model", path, "--jobs", "1"
    )
    assert (tmp_path / "out.csv").stat().st_size > 100
    assert not set(loaded) & {"torch", "torchvision", "onnxruntime"}


def test_the_runtime_is_loaded_without_a_word(tmp_path: Path) -> None:
    """On some machines it writes warnings to standard error, which is for our messages."""
    (tmp_path / "onnxruntime.py").write_text(
        "import os; from unittest.mock import Mock; os.write(2, b'cards!')\n"
        "SessionOptions, InferenceSession = Mock(), Mock()"
    )
    code = (
        "import sys; from digitocr.classifying.processor import _session\n"
        "_session(b''); print('ours', file=sys.stderr)"
    )
    paths = os.pathsep.join(map(str, (tmp_path, ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.stderr == "ours\n"


def test_nothing_is_told_to_anyone(model: Path, tmp_path: Path) -> None:
    """A runtime that reports its use makes itself a number and a store under the home."""
    (tmp_path / "home").mkdir()
    code = (
        "import sys, pathlib, numpy; from digitocr.classify import Classifier\n"
        "read = Classifier.load(pathlib.Path(sys.argv[1]), 'cpu').probabilities\n"
        "print(len(read(numpy.zeros((3, 28, 28), 'uint8'))))"
    )
    assert in_a_fresh_python(code, tmp_path / "home", model) == ["3"]
    assert list((tmp_path / "home").iterdir()) == []


def test_the_shipped_model_reads_printed_digits() -> None:
    printed = draw_printed(300, seed=99)
    shares = Classifier.load(SHIPPED, "cpu").probabilities(printed.pictures)
    assert (shares.argmax(axis=1) == printed.labels).mean() > 0.95


def test_the_shipped_model_is_small() -> None:
    assert SHIPPED.stat().st_size < 5_000_000


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs ../shared/data/digits/mnist")
@pytest.mark.parametrize("scale", [3, 4])
def test_an_enlarged_digit_reads_like_the_one_it_was(scale: int) -> None:
    small = read_mnist(MNIST, "t10k").pictures[::4]
    large = [cv2.resize(one, None, fx=scale, fy=scale) for one in small]
    classifier = Classifier.load(SHIPPED, "cpu")
    again = classifier.probabilities(np.array([glyph(one) for one in large])).argmax(axis=1)
    assert (again == classifier.probabilities(small).argmax(axis=1)).mean() >= 0.995
