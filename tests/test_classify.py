"""A model gives calibrated probabilities, and one that cannot be trusted is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors import numpy as tensors_in_numpy

from digitocr.classify import Classifier
from digitocr.errors import ModelError
from digitocr.mnist import NORMALIZATION
from digitocr.network import build
from digitocr.normalize import glyph
from digitocr.training.data import read_mnist
from digitocr.training.draw import draw_printed
from digitocr.weights import Header, read_model, write_model

LAYERS = ("block 4 5", "pool 2", "residual 3", "mean")
GOOD = Header(LAYERS, NORMALIZATION)
ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "digits.safetensors"
MNIST = ROOT.parent / "shared" / "data" / "digits" / "mnist"


def written(path: Path, header: Header = GOOD) -> Path:
    """A model file with fresh weights."""
    state = build(LAYERS).state_dict()
    write_model(path, header, {name: value.numpy() for name, value in state.items()})
    return path


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
    alone = np.concatenate([classifier.probabilities(crops[k : k + 1]) for k in range(0, 200, 50)])
    assert np.allclose(together[::50], alone, atol=0.01)
    assert np.array_equal(together, classifier.probabilities(crops))


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
