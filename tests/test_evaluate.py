"""What ``evaluate`` says of digits is what the model says, whatever the files are like."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from digitocr.classify import Classifier
from digitocr.cli import digitocr_command
from digitocr.errors import InputMissing, OutputError, UsageError
from digitocr.mnist import NORMALIZATION
from digitocr.network import build
from digitocr.training.data import Samples, read_folder, read_idx, read_path, samples
from digitocr.training.draw import draw_negatives, draw_printed
from digitocr.training.evaluate import answers_of, as_json, rank_quality, scores_of, wilson
from digitocr.training.report import draw_report, write_report
from digitocr.weights import Header, write_model

ROOT = Path(__file__).resolve().parents[1]
MNIST = ROOT.parent / "shared" / "data" / "digits" / "mnist"

Grey = NDArray[np.uint8]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick model of printed digits and of dirt: least squares on chance features."""
    known, dirt = draw_printed(2000, seed=1), draw_negatives(300, 100, seed=1)
    pictures = torch.tensor(np.concatenate([known.pictures, dirt.pictures])).unsqueeze(1) / 255
    wanted = np.eye(11)[np.concatenate([known.labels, dirt.labels])]
    layers = ("conv 32 5", "relu", "pool 4", "flatten")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = build(layers)
    with torch.inference_mode():
        features = net.features(pictures).flatten(1).double().numpy()
    table = np.c_[features, np.ones(len(features))]
    weights = np.linalg.solve(table.T @ table + 3 * np.eye(table.shape[1]), table.T @ wanted)
    net.scores.weight.data = torch.tensor(8 * weights[:-1].T.copy(), dtype=torch.float32)
    net.scores.bias.data = torch.tensor(8 * weights[-1], dtype=torch.float32)
    path = tmp_path_factory.mktemp("model") / "quick.safetensors"
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    write_model(path, Header(layers, NORMALIZATION), state)
    return path


@pytest.fixture(scope="module")
def drawn() -> Samples:
    """Digits that the model has not seen."""
    return draw_printed(400, seed=2)


def said_of(model: Path, pictures: Grey) -> NDArray[np.int64]:
    return answers_of(Classifier.load(model, "cpu").probabilities(pictures)).said


def evaluate(*arguments: str | Path) -> Result:
    words = ["evaluate", *map(str, arguments)]
    return CliRunner().invoke(digitocr_command, words, prog_name="digitocr")


def save(folder: Path, digits: Samples, way: Callable[[Grey, Path], object], ending: str) -> Path:
    """A folder for each class, a file for each digit, each saved in one way."""
    for place, (one, label) in enumerate(zip(digits.pictures, digits.labels, strict=True)):
        file = folder / str(label) / f"{place:03}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        way(one, file)
    return folder


def as_it_is(ink: Grey, file: Path) -> None:
    Image.fromarray(ink).save(file)


def scan(ink: Grey) -> Grey:
    """The digit dark on white, on a paper around it, three times as large."""
    large = cv2.resize(np.pad(ink, 2), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    return np.asarray(255 - large, np.uint8)


def with_alpha(ink: Grey, colour: int) -> Image.Image:
    """Ink of one shade, and no paper at all."""
    return Image.fromarray(np.dstack([np.full_like(ink, colour)] * 3 + [ink]))


WAYS: dict[str, tuple[Callable[[Grey, Path], object], str]] = {
    "three times as large": (lambda i, f: Image.fromarray(255 - scan(i)).save(f), "png"),
    "inverted": (lambda i, f: Image.fromarray(255 - i).save(f), "png"),
    "black ink on nothing": (lambda i, f: with_alpha(i, 0).save(f), "png"),
    "white ink on nothing": (lambda i, f: with_alpha(i, 255).save(f), "webp"),
    "all at once": (lambda i, f: with_alpha(255 - scan(i), 255).save(f), "png"),
    "16 bits": (lambda i, f: cv2.imwrite(str(f), scan(i).astype(np.uint16) * 257), "png"),
    "16 bits, TIFF": (lambda i, f: cv2.imwrite(str(f), scan(i).astype(np.uint16) * 257), "tif"),
    "palette": (lambda i, f: Image.fromarray(scan(i)).convert("P").save(f), "gif"),
    "CMYK": (lambda i, f: Image.fromarray(scan(i)).convert("CMYK").save(f, quality=95), "jpg"),
    "1 bit": (lambda i, f: Image.fromarray(scan(i) > 127).save(f), "tif"),
    "blue ink on yellow": (
        lambda i, f: Image.merge(
            "RGB", [Image.fromarray(one) for one in (scan(i), scan(i), 140 - scan(i) // 4)]
        ).save(f),
        "bmp",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_however_the_crops_are_saved_the_same_is_said(
    way: str, model: Path, drawn: Samples, tmp_path: Path
) -> None:
    some = drawn.where(np.arange(100))
    plain = read_path(save(tmp_path / "plain", some, as_it_is, "png"))
    other = read_path(save(tmp_path / "other", some, *WAYS[way]))
    assert np.array_equal(plain.labels, other.labels)
    same = said_of(model, plain.pictures) == said_of(model, other.pictures)
    assert same.mean() >= 0.98


@pytest.mark.parametrize("way", ["three times as large", "inverted", "all at once"])
def test_accuracy_does_not_depend_on_size_polarity_and_alpha(
    way: str, model: Path, drawn: Samples, tmp_path: Path
) -> None:
    plain = evaluate(save(tmp_path / "plain", drawn, as_it_is, "png"), "--model", model)
    other = evaluate(save(tmp_path / "other", drawn, *WAYS[way]), "--model", model)
    first, second = (json.loads(one.stdout)["accuracy"] for one in (plain, other))
    assert first > 0.98
    assert second == pytest.approx(first, abs=0.003)


def test_what_is_no_picture_is_passed_over_counted_and_told_once(
    model: Path, drawn: Samples, tmp_path: Path
) -> None:
    folder = save(tmp_path, drawn.where(np.arange(10)), as_it_is, "png")
    good = next((folder / "3").iterdir()).read_bytes()
    bad = {
        "3/broken.png": good[: len(good) // 2],
        "3/empty.jpg": b"",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        "labels.csv": b"file,label\n",
        "preview.png": good,
        ".DS_Store": b"\0\0\0\1Bud1",
        "3/._003.png": b"\0\5\x16\7",
        ".old/3/003.png": good,
    }
    for name, data in bad.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    done = evaluate(folder, "--model", model)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["digits"] == 10
    assert done.stderr.startswith("digitocr: passed over 8 of 18 files")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(", ...\n")


def test_a_folder_named_otherwise_holds_what_is_no_digit(
    model: Path, drawn: Samples, tmp_path: Path
) -> None:
    folder = save(tmp_path, drawn.where(np.arange(20)), as_it_is, "png")
    alone = json.loads(evaluate(folder, "--model", model).stdout)
    assert alone["auroc_not_digit"] is None and alone["not_digits_refused"] is None
    (folder / "letters").mkdir()
    for place, one in enumerate(draw_negatives(20, 0, seed=3).pictures):
        as_it_is(one, folder / "letters" / f"{place}.png")
    mixed = json.loads(evaluate(folder, "--model", model).stdout)
    assert mixed["not_digits"] == 20
    assert 0.5 < mixed["auroc_not_digit"] <= 1
    of_none = {"auroc_not_digit", "not_digits", "not_digits_refused"}
    assert {k: v for k, v in mixed.items() if k not in of_none} == {
        k: v for k, v in alone.items() if k not in of_none
    }


def test_the_folder_above_the_class_is_the_writers(drawn: Samples, tmp_path: Path) -> None:
    for writer in ("anna", "test"):
        save(tmp_path / writer, drawn.where(np.arange(2)), as_it_is, "png")
    found = read_path(tmp_path)
    assert dict(zip(found.names, found.writers, strict=True)) == {
        "anna/0/000.png": "anna",
        "anna/1/001.png": "anna",
        "test/0/000.png": "",
        "test/1/001.png": "",
    }


def test_a_link_to_a_picture_is_one(drawn: Samples, tmp_path: Path) -> None:
    save(tmp_path / "kept", drawn.where(np.arange(1)), as_it_is, "png")
    (tmp_path / "digits" / "0").mkdir(parents=True)
    (tmp_path / "digits" / "0" / "a.png").symlink_to(tmp_path / "kept" / "0" / "000.png")
    (tmp_path / "digits" / "0" / "gone.png").symlink_to(tmp_path / "nothing")
    assert list(read_path(tmp_path / "digits").names) == ["0/a.png"]


# IDX files


def write_idx(file: Path, array: NDArray[np.uint8], gzipped: bool = True) -> None:
    """An IDX file of bytes, as LeCun defined it."""
    data = struct.pack(f">2xBB{array.ndim}I", 8, array.ndim, *array.shape) + array.tobytes()
    file.write_bytes(gzip.compress(data) if gzipped else data)


def write_pair(folder: Path, digits: Samples, split: str = "t10k", **how: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ending = ".gz" if how.get("gzipped", True) else ""
    write_idx(folder / f"{split}-images-idx3-ubyte{ending}", digits.pictures, **how)
    labels = digits.labels.astype(np.uint8)
    write_idx(folder / f"{split}-labels-idx1-ubyte{ending}", labels, **how)
    return folder / f"{split}-images-idx3-ubyte{ending}"


def test_a_file_and_its_gzipped_twin_are_one(drawn: Samples, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"  # as torchvision leaves it
    for split in ("train", "t10k"):
        write_pair(raw, drawn, split)
        images = write_pair(raw, drawn, split, gzipped=False)
    for path in (raw, tmp_path, images):
        found = read_path(path)
        assert np.array_equal(found.pictures, drawn.pictures)
        assert found.names[-1] == "399"


def test_digits_of_several_files_are_named_by_file_and_place(
    drawn: Samples, tmp_path: Path
) -> None:
    write_pair(tmp_path, drawn, "a")
    write_pair(tmp_path, drawn, "b")
    assert read_path(tmp_path).names[400] == "b-images-idx3-ubyte.gz:0"


def test_the_polarity_of_idx_files_does_not_matter(drawn: Samples, tmp_path: Path) -> None:
    inverted = samples(255 - drawn.pictures, drawn.labels)
    found = read_idx(write_pair(tmp_path, inverted))
    assert np.array_equal(found.pictures, drawn.pictures)


def test_writers_are_those_of_the_split(drawn: Samples, tmp_path: Path) -> None:
    write_pair(tmp_path, drawn)
    rows = [f"{split},{k},0,0,{split[0]}{k % 7}" for split in ("train", "t10k") for k in range(400)]
    text = "\n".join(["split,index,label,hsf_series,writer", *rows])
    listing = tmp_path / "writers.csv.gz"
    listing.write_bytes(gzip.compress(text.encode()))
    assert set(read_path(tmp_path).writers) == {f"t{k}" for k in range(7)}
    listing.write_bytes(gzip.compress(text.encode())[:-20])
    with pytest.raises(UsageError, match="writers"):
        read_path(tmp_path)


# Wrong usage: 2


def test_nothing_to_score_ends_with_2_a_sentence_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "letters" / "A").mkdir(parents=True)
    as_it_is(draw_negatives(1, 0, seed=0).pictures[0], tmp_path / "letters" / "A" / "1.png")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    report = tmp_path / "report"
    for name in ("empty", "letters", "missing", "notes.txt", "torn"):
        done = evaluate(tmp_path / name, "--report", report)
        assert done.exit_code == 2, name
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert name in done.stderr
    assert not report.exists()
    with pytest.raises(InputMissing):
        read_path(tmp_path / "missing")
    with pytest.raises(UsageError):
        read_folder(tmp_path / "empty")


def test_a_report_is_of_digits_alone(tmp_path: Path) -> None:
    done = evaluate(ROOT / "sample_docs", "--truth", "t.csv", "--report", tmp_path / "report")
    assert done.exit_code == 2
    assert "--report" in done.stderr


# Scores


def shares_of(*rows: dict[int, float]) -> NDArray[np.float32]:
    """Probabilities: what is given, and the rest alike."""
    table = np.zeros((len(rows), 11), np.float32)
    for given, row in zip(rows, table, strict=True):
        row[:] = (1 - sum(given.values())) / (11 - len(given))
        row[list(given)] = list(given.values())
    return table


def nobody(count: int) -> NDArray[np.str_]:
    return np.full(count, "")


def test_scores_are_what_they_say() -> None:
    shares = shares_of({3: 0.9}, {4: 0.9}, {5: 0.9}, {10: 0.9})
    scores = scores_of(shares, np.array([3, 4, 6, 10]), np.array(["a", "a", "b", "b"]))
    assert scores["digits"] == 3 and scores["writers"] == 2
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["auroc_not_digit"] == 1.0
    assert scores["not_digits"] == 1 and scores["not_digits_refused"] == 1.0
    assert scores["per_class"]["3"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "count": 1}
    assert scores["per_class"]["6"]["recall"] == 0.0
    assert scores["per_class"]["9"]["recall"] is None
    assert scores["confusion"][6] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert set(scores["error_at_reject"]) == {"0.01", "0.02", "0.05"}
    assert 0 <= scores["interval"][0] <= scores["interval"][1] <= 1


def test_which_digit_it_is_does_not_depend_on_whether_it_is_one() -> None:
    """The seven that is refused is said rightly, and as surely as the other; both are told."""
    shares = shares_of({7: 0.8}, {7: 0.8})
    shares[1] *= 0.1
    shares[1, 10] = 0.9 + 0.1 * shares[0, 10]
    scores = scores_of(shares, np.array([7, 7]), nobody(2))
    answers = answers_of(shares)
    assert answers.confidence[0] == pytest.approx(answers.confidence[1])
    assert list(answers.refused) == [False, True]
    assert scores["accuracy"] == 1.0
    assert scores["refused"] == 0.5 and scores["accuracy_refusals_wrong"] == 0.5
    assert scores["confusion"][7] == [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1]


def test_the_strictest_reading_is_never_the_larger() -> None:
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.full(11, 0.3), 500)
    labels = np.where(random.random(500) < 0.7, shares.argmax(axis=1) % 10, 3)
    scores = scores_of(shares, labels, nobody(500))
    assert scores["accuracy_refusals_wrong"] == pytest.approx((shares.argmax(1) == labels).mean())
    assert scores["accuracy_refusals_wrong"] <= scores["accuracy"]
    assert scores["accuracy"] <= scores["accuracy_refusals_wrong"] + scores["refused"]


def test_a_doubt_between_two_digits_is_no_doubt_that_it_is_one() -> None:
    shares = shares_of({4: 0.49, 9: 0.49}, {0: 0.6, 10: 0.39})
    scores = scores_of(shares, np.array([4, 10]), nobody(2))
    assert scores["auroc_not_digit"] == 1.0


@pytest.mark.parametrize("none", [0.0, 1.0])
def test_what_is_rounded_away_is_a_number_still(none: float) -> None:
    shares = np.zeros((2, 11), np.float32)
    shares[:, 10], shares[:, 2] = none, 1 - none
    scores = scores_of(shares, np.array([2, 10]), nobody(2))
    assert np.isfinite(answers_of(shares).likeness).all()
    assert scores["auroc_not_digit"] == 0.5
    json.loads(as_json(scores), parse_constant=pytest.fail)


def test_what_is_put_aside_is_the_least_confident() -> None:
    confidences = np.linspace(0.5, 0.99, 100)
    shares = shares_of(*({1: one} for one in confidences))
    labels = np.where(np.arange(100) < 2, 7, 1)  # the two that are least sure are wrong
    errors = scores_of(shares, labels, nobody(100))["error_at_reject"]
    assert errors == {"0.01": pytest.approx(1 / 99), "0.02": 0.0, "0.05": 0.0}


def test_a_few_digits_are_no_certainty() -> None:
    low, high = wilson(50, 50)
    assert 0.92 < low < 0.94 and high == 1
    low, high = wilson(np.array([0, 5, 10]), np.array([10, 10, 10]))
    assert np.allclose(low, 1 - high[::-1])
    assert (low <= [0, 0.5, 1]).all() and (high >= [0, 0.5, 1]).all()
    one = scores_of(shares_of({1: 0.9}), np.array([1]), nobody(1))
    assert one["interval"][0] < 0.5 and one["interval"][1] == 1


def test_the_digits_of_one_hand_go_wrong_together() -> None:
    right = np.arange(400) >= 20
    shares = shares_of(*({1 if one else 7: 0.9} for one in right))
    labels, hands = np.ones(400, np.int64), np.repeat(np.arange(20), 20).astype(str)
    for writers, width in ((hands, 0.12), (np.tile(np.arange(20), 20).astype(str), 0.02)):
        low, high = scores_of(shares, labels, writers)["interval"]
        assert low <= 0.95 <= high
        assert high - low == pytest.approx(width, abs=0.035)


def test_ranks_count_ties_half() -> None:
    assert rank_quality(np.array([1.0, 0.5]), np.array([0.5, 0.0])) == pytest.approx(7 / 8)
    assert rank_quality(np.array([1.0]), np.array([])) is None


def test_json_has_a_line_for_each_row_of_numbers() -> None:
    scores = {"a": [0.5, 1], "b": [[1, 2], [3, 4]], "c": {"d": None, "e": "x, [y]"}}
    text = as_json(scores)
    assert json.loads(text) == scores
    assert "[1, 2]" in text and "[0.5, 1]" in text


# The report


PICTURES = {"confusion.png", "reliability.png", "reject.png", "mistakes.png"}


def written(folder: Path) -> dict[str, tuple[int, ...]]:
    """The sizes of the pictures in a folder."""
    sizes = {}
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            image.load()
            sizes[file.name] = image.size
    return sizes


def test_a_report_has_pictures_the_scores_and_where_the_mistakes_are(
    model: Path, drawn: Samples, tmp_path: Path
) -> None:
    folder = save(tmp_path / "digits", drawn.where(np.arange(40)), as_it_is, "png")
    (folder / "3" / "003.png").rename(folder / "8" / "=1+1.png")  # a three among the eights
    report = tmp_path / "a" / "report"
    done = evaluate(folder, "--model", model, "--report", report)
    assert done.exit_code == 0
    assert {file.name for file in report.iterdir()} == PICTURES | {"scores.json", "mistakes.csv"}
    assert set(written(report)) == PICTURES
    assert (report / "scores.json").read_text() == done.stdout
    rows = list(csv.DictReader(io.StringIO((report / "mistakes.csv").read_text())))
    (mine,) = (row for row in rows if row["where"] == "8/=1+1.png")
    assert (mine["is"], mine["said"], mine["refused"]) == ("8", "3", "no")
    assert 0.1 <= float(mine["confidence"]) <= 1
    scores = json.loads(done.stdout)
    wrong = [row for row in rows if row["is"] != row["said"]]
    assert len(wrong) == round(40 * (1 - scores["accuracy"]))
    assert [float(row["confidence"]) for row in wrong] == sorted(
        (float(row["confidence"]) for row in wrong), reverse=True
    )


def test_mistakes_are_digits_first_then_what_was_taken_for_one_then_refusals(
    tmp_path: Path,
) -> None:
    shares = shares_of({1: 0.7}, {1: 0.9}, {0: 0.9}, {5: 0.4, 10: 0.5}, {10: 0.9}, {6: 0.9})
    labels = np.array([7, 7, 10, 5, 10, 6])
    found = samples(np.zeros((6, 28, 28)), labels, names=[*"abcdef"])
    write_report(found, shares, scores_of(shares, labels, found.writers), tmp_path)
    rows = (tmp_path / "mistakes.csv").read_text().splitlines()
    assert [row.split(",")[:3] for row in rows[1:]] == [
        ["b", "7", "1"],
        ["a", "7", "1"],
        ["c", "none", "0"],
        ["d", "5", "5"],
    ]
    assert rows[4].endswith(",yes")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([4], [4]),
        ([4], [9]),
        ([*range(10)] * 5, [*range(10)] * 5),
        ([2] * 100, [7] * 100),
        ([1, 10, 10], [1, 10, 0]),
        ([10], [10]),
    ],
    ids=["one", "one mistake", "no mistakes", "a hundred mistakes", "no digits too", "no digit"],
)
def test_there_is_a_picture_of_any_result(
    labels: list[int], said: list[int], tmp_path: Path
) -> None:
    shares = shares_of(*({one: 0.9} for one in said))
    digits = samples(np.zeros((len(labels), 28, 28)), labels)
    draw_report(digits, shares, tmp_path / "report")
    sizes = written(tmp_path / "report")
    needs_digits = {"reliability.png", "reject.png"} if labels == [10] else set()
    assert set(sizes) == PICTURES - needs_digits
    assert all(min(size) > 100 and max(size) < 1500 for size in sizes.values())


def test_any_name_can_stand_below_a_mistake(tmp_path: Path) -> None:
    names = ["$x_$.png", "七.png", "a" * 200 + ".png", "line\nbreak.png", "caf\\xe9.png"]
    digits = samples(np.zeros((5, 28, 28)), [1] * 5, names=names)
    draw_report(digits, shares_of(*[{2: 0.9}] * 5), tmp_path)
    assert set(written(tmp_path)) == PICTURES


def test_a_report_that_cannot_be_written_ends_with_5(
    model: Path, drawn: Samples, tmp_path: Path
) -> None:
    folder = save(tmp_path / "digits", drawn.where(np.arange(5)), as_it_is, "png")
    (tmp_path / "file").write_text("in the way")
    done = evaluate(folder, "--model", model, "--report", tmp_path / "file" / "report")
    assert done.exit_code == 5
    (tmp_path / "report" / "confusion.png").mkdir(parents=True)
    with pytest.raises(OutputError):
        draw_report(drawn, np.eye(11)[drawn.labels], tmp_path / "report")


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs ../shared/data/digits/mnist")
def test_the_shipped_model_reads_mnist() -> None:
    classifier = Classifier.load(ROOT / "models" / "digits.safetensors", "cpu")
    found = read_path(MNIST)
    scores = scores_of(classifier.probabilities(found.pictures), found.labels, found.writers)
    assert scores["digits"] == 10_000 and scores["writers"] == 297
    assert scores["accuracy"] >= 0.996
    assert scores["accuracy_refusals_wrong"] >= 0.994
