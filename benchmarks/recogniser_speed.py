"""How fast the recogniser is on one core, by every path that could be shipped.

    python benchmarks/recogniser_speed.py [--model MODEL] [--rounds 7]

Two networks: the shipped one, and the textbook's of 421,642 parameters with fresh weights.
Prints two tables. Rates are digits for each second of the processor's time, in one thread,
the paths in turn round by round: their ratios hold where other programs run. Start and
memory (Linux only) are those of a fresh process that reads its first digits.

The path "int8" needs the package ``onnx`` besides, and is left out where it is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[threads] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

Pictures = NDArray[np.uint8]
Shares = NDArray[np.float32]
Reader = Callable[[Pictures], Shares]  # (n, 28, 28) to (n, outputs)

MNIST = Path("../shared/data/digits/mnist")
TEXTBOOK = (
    *("conv 32 3 same", "relu", "pool 2", "conv 64 3 same", "relu", "pool 2"),
    *("flatten", "dense 128", "relu"),
)
_TIMED = 1024  # digits a round
_STARTS = 5  # fresh processes of each path
_CALIBRATED = 300  # digits that int8 is fitted to


# Paths: from a model file to a reader. Each loads what it needs when it is called.


def shipped(file: Path) -> Reader:
    """What ``digitocr extract`` reads with."""
    from digitocr.classify import Classifier

    classifier = Classifier.load(file, "cpu")
    return lambda pictures: classifier.probabilities(pictures, 1)[:, : classifier.header.outputs]


def torch_path(file: Path, folded: bool = True, bits: str = "32", compiled: bool = False) -> Reader:
    """torch. folded: in channels-last order, with batch norms in the convolutions.
    bits: ``32``, ``mixed`` (autocast to bfloat16), ``16`` (the weights as well)."""
    import torch

    from digitocr.network import build, fused
    from digitocr.weights import read_model

    torch.set_num_threads(1)
    header, tensors, _sha256 = read_model(file)
    net = build(header.layers, header.outputs).eval()
    net.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    if folded:
        net = fused(net).to(memory_format=torch.channels_last)
    kind = torch.bfloat16 if bits == "16" else torch.float32
    run: Any = net.to(kind)
    if compiled:
        run = torch.compile(run)

    def read(pictures: Pictures) -> Shares:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, bits == "mixed"):
            scores = run((torch.tensor(pictures).unsqueeze(1).float() / 255).to(kind))
            return torch.softmax(scores.float() / header.temperature, dim=1).numpy()

    return read


def int8(file: Path) -> Reader:
    """ONNX Runtime with weights and activations of 8 bits."""
    return _session(file.with_suffix(".int8.onnx").read_bytes())


def opencv(file: Path) -> Reader:
    """OpenCV's own networks, which digitocr has installed anyway."""
    import cv2

    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(_graph(file, batch=16), np.uint8))

    def read(pictures: Pictures) -> Shares:
        net.setInput(pictures[:, None])
        return np.array(net.forward())

    return read


PATHS: dict[str, tuple[Callable[[Path], Reader], int]] = {  # each with its best batch
    "torch, as it is": (partial(torch_path, folded=False), 32),
    "torch, channels last, folded": (torch_path, 32),
    "the same, compiled": (partial(torch_path, compiled=True), 32),
    "the same, mixed bfloat16": (partial(torch_path, bits="mixed"), 32),
    "the same, all bfloat16": (partial(torch_path, bits="16"), 32),
    "OpenCV": (opencv, 16),
    "ONNX Runtime (as shipped)": (shipped, 16),
    "ONNX Runtime, int8": (int8, 16),
}


def _graph(file: Path, batch: int) -> bytes:
    """The ONNX model of a model file."""
    from digitocr.classifying.graph import network_graph
    from digitocr.weights import read_model

    header, tensors, _sha256 = read_model(file)
    return network_graph(header.layers, header.outputs, tensors, header.temperature, batch)


def _session(graph: bytes) -> Reader:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    return lambda pictures: session.run(None, {"pictures": pictures[:, None]})[0]


# Networks and digits


def write_models(folder: Path, model: str) -> dict[str, Path]:
    """Model files of both networks, by name; with 8 bits beside them where that is possible."""
    import torch

    from digitocr.mnist import NORMALIZATION
    from digitocr.network import build
    from digitocr.resources import find_model
    from digitocr.weights import Header, read_model, write_model

    ours, textbook = folder / "ours.safetensors", folder / "textbook.safetensors"
    header, tensors, _sha256 = read_model(find_model(model))
    write_model(ours, header, tensors)
    torch.manual_seed(0)
    fresh = build(TEXTBOOK, 10).state_dict()
    write_model(
        textbook,
        Header(TEXTBOOK, NORMALIZATION, outputs=10),
        {name: value.numpy() for name, value in fresh.items()},
    )
    files = {"ours": ours, "textbook": textbook}
    for file in files.values():
        with contextlib.suppress(ImportError):
            _write_int8(file)
    return files


def _write_int8(file: Path) -> None:
    """The network in 8 bits beside its file. Raises ImportError where ``onnx`` is missing."""
    import logging

    from onnxruntime import quantization

    logging.disable(logging.WARNING)
    plain = file.with_suffix(".onnx")
    plain.write_bytes(_graph(file, batch=16))
    pictures = digits("train")[0]
    some = pictures[:: len(pictures) // _CALIBRATED][: _CALIBRATED // 16 * 16]

    class Calibration(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(some.reshape(-1, 16, 1, 28, 28))

        def get_next(self) -> dict[str, Pictures] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"pictures": batch}

    quantization.quantize_static(
        plain,
        file.with_suffix(".int8.onnx"),
        Calibration(),
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


def digits(split: str) -> tuple[Pictures, NDArray[np.int64]]:
    """Pictures and labels: MNIST's where it is at hand, else printed ones."""
    from digitocr.training.data import read_mnist
    from digitocr.training.draw import draw_printed

    if MNIST.is_dir():
        samples = read_mnist(MNIST, {"train": "train", "test": "t10k"}[split])
    else:
        samples = draw_printed(10_000, seed=len(split))
    return np.ascontiguousarray(samples.pictures), samples.labels


# Measuring


def read_all(reader: Reader, batch: int, pictures: Pictures) -> Shares:
    """The shares of all pictures, batch by batch; what is left after the last is left out."""
    whole = range(0, len(pictures) - batch + 1, batch)
    return np.concatenate([reader(pictures[start : start + batch]) for start in whole])


def readers(file: Path) -> Iterator[tuple[str, Reader, int]]:
    """Every path that works here, ready to read."""
    for name, (make, batch) in PATHS.items():
        try:
            reader = make(file)
            reader(np.zeros((batch, 28, 28), np.uint8))
        except Exception as error:  # of any library; the others are measured all the same
            print(f"{name}: left out, {type(error).__name__}: {str(error)[:80]}", file=sys.stderr)
        else:
            yield name, reader, batch


def rates(
    ready: list[tuple[str, Reader, int]], pictures: Pictures, rounds: int
) -> dict[str, list[float]]:
    """Digits for each second of the processor's time, by path, in every round."""
    found: dict[str, list[float]] = {name: [] for name, _, _ in ready}
    for _ in range(rounds):
        for name, reader, batch in ready:
            began = time.process_time()
            read_all(reader, batch, pictures)
            found[name].append(len(pictures) / (time.process_time() - began))
    return found


def start(name: str, file: Path) -> dict[str, float]:
    """The processor's seconds and the megabytes of a fresh process that reads 16 digits."""
    found = []
    for _ in range(_STARTS):
        command = [sys.executable, __file__, "--start", name, "--model", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def started(name: str, file: Path) -> None:
    """What the fresh process does."""
    make, batch = PATHS[name]
    make(file)(np.zeros((batch, 28, 28), np.uint8))
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0])  # kB; getrusage would tell the parent's
    print(json.dumps({"s": time.process_time(), "MB": peak / 1024}))


# Tables


def print_rates(title: str, found: dict[str, list[float]]) -> None:
    base = statistics.median(next(iter(found.values())))
    print(f"\n| {title} | digits per second | lowest | highest | ratio |\n|---|--:|--:|--:|--:|")
    for name, values in found.items():
        middle = statistics.median(values)
        print(
            f"| {name} | {middle:,.0f} | {min(values):,.0f} | {max(values):,.0f} "
            f"| {middle / base:.2f} |"
        )


def print_costs(file: Path, ready: list[tuple[str, Reader, int]]) -> None:
    """Start, memory and agreement with the first path, on the digits of the test set."""
    pictures, labels = digits("test")
    pictures = pictures[: len(pictures) // 128 * 128]
    reference = read_all(ready[0][1], ready[0][2], pictures)
    print("\n| path | start, s | memory, MB | right | other answers | largest difference |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, reader, batch in ready:
        shares, cost = read_all(reader, batch, pictures), start(name, file)
        right = (shares.argmax(axis=1) == labels[: len(shares)]).mean()
        other = (shares.argmax(axis=1) != reference.argmax(axis=1)).sum()
        print(
            f"| {name} | {cost['s']:.2f} | {cost['MB']:.0f} | {right:.2%} | {other} of "
            f"{len(shares):,} | {np.abs(shares - reference).max():.1e} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="digits", help="name or file, as the command takes it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--start", choices=PATHS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        started(options.start, Path(options.model))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = write_models(Path(folder), options.model)
        ready = {name: list(readers(file)) for name, file in files.items()}
        pictures = digits("test")[0][:_TIMED]
        for name, paths in ready.items():
            print_rates(f"{name}, one core", rates(paths, pictures, options.rounds))
        print_costs(files["ours"], ready["ours"])


if __name__ == "__main__":
    main()
