"""The shipped recogniser on every set of digits at hand, and its speed on one core.

    python benchmarks/recogniser.py [MODEL]

Prints Markdown tables. Accuracy, error and calibration are of which digit each is; what the
model would refuse as no digit, and the accuracy where that counts as wrong, stand beside them.
Sets marked * were trained on in part; those of them that the recipe can hold back are scored
in the card by the training that did.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from digitocr.classify import Classifier
from digitocr.resources import find_model
from digitocr.training.data import Samples, read_folder, read_lines, read_mnist, read_path
from digitocr.training.draw import draw_negatives, spoil
from digitocr.training.evaluate import answers_of, rank_quality, scores_of
from digitocr.types import NOT_A_DIGIT

DATA = Path("../shared/data")
SEED = 2026  # of what is drawn: not that of any training


def digits() -> dict[str, Samples]:
    """The sets that accuracy is measured on."""
    return {
        "MNIST test": read_mnist(DATA / "digits/mnist", "t10k"),
        "USPS": read_path(DATA / "digits/usps"),
        "DIDA": read_path(DATA / "digits/dida"),
        "E-13B, the lines not trained on": read_lines(DATA / "micr/e13b/real", slice(1, None, 2)),
        "kensanata*": read_path(DATA / "digits/kensanata"),
    }


def negatives(mnist: Samples) -> dict[str, Samples]:
    """The sets of what is no digit."""
    alike = ("O", "I")  # written as a zero and a one are
    return {
        "handwritten letters*, no O and I": read_folder(
            DATA / "negatives/letters", NOT_A_DIGIT, alike
        ),
        "handwritten letters*, all": read_folder(DATA / "negatives/letters", NOT_A_DIGIT),
        "printed letters and signs, drawn": draw_negatives(2000, 0, SEED),
        "corners, rules, commas, drawn": draw_negatives(0, 1000, SEED),
        "pairs of MNIST test digits": spoil(mnist, 2000, 0, SEED),
    }


def table(classifier: Classifier) -> list[str]:
    """The rows of both tables."""
    sets = digits()
    mnist = classifier.probabilities(sets["MNIST test"].pictures)
    rows = [
        "| digits | n | accuracy | 95 % | refused | accuracy, refusals wrong "
        "| error at 1 % rejected | calibration error |",
        "|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    rows += [digits_row(name, samples, classifier) for name, samples in sets.items()]
    rows += ["", "| no digits | n | refused | AUROC against MNIST test |", "|---|--:|--:|--:|"]
    for name, samples in negatives(sets["MNIST test"]).items():
        answers = answers_of(classifier.probabilities(samples.pictures))
        auroc = rank_quality(answers_of(mnist).likeness, answers.likeness)
        rows.append(f"| {name} | {len(samples)} | {answers.refused.mean():.2%} | {auroc:.4f} |")
    return rows


def digits_row(name: str, samples: Samples, classifier: Classifier) -> str:
    """One set's scores."""
    scores = scores_of(classifier.probabilities(samples.pictures), samples.labels, samples.writers)
    low, high = scores["interval"]
    cells = (
        f"{scores['digits']}",
        f"{scores['accuracy']:.2%}",
        f"{low:.2%} to {high:.2%}",
        f"{scores['refused']:.2%}",
        f"{scores['accuracy_refusals_wrong']:.2%}",
        f"{scores['error_at_reject']['0.01']:.2%}",
        f"{scores['calibration_error']:.2%}",
    )
    return f"| {name} | " + " | ".join(cells) + " |"


def speed(classifier: Classifier) -> str:
    """Digits per second, the best of five runs: others use the machine too."""
    crops = np.random.default_rng(0).integers(0, 256, (4096, 28, 28)).astype(np.uint8)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        classifier.probabilities(crops, threads=1)
        seconds.append(time.perf_counter() - began)
    return f"{len(crops) / min(seconds):,.0f} digits per second on one core"


if __name__ == "__main__":
    chosen = find_model(sys.argv[1] if len(sys.argv) > 1 else "digits")
    reader = Classifier.load(chosen, "cpu")
    print("\n".join(table(reader)))
    print(f"\n{speed(reader)}")
