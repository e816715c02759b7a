"""Pictures for a person: curves, confusion, reliability, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitocr.errors import OutputError
from digitocr.types import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves", "draw_report"]

_NAMES = [*CLASSES, "none"]
_INK = "#1f3a5f"
_SHEET = 60  # mistakes shown


def draw_curves(history: Sequence[Mapping[str, float]], file: Path) -> None:
    """Loss, and error on each validation source, per epoch, as a PNG. Raises OutputError."""
    figure, (left, right) = _figure(2, (10, 4))
    epochs = range(1, len(history) + 1)
    left.plot(epochs, [one["loss"] for one in history], color=_INK)
    left.set(xlabel="epoch", ylabel="training loss")
    for name in sorted(set().union(*history) - {"loss"}) if history else []:
        right.plot(epochs, [100 * (1 - one[name]) for one in history], label=name)
    right.set(xlabel="epoch", ylabel="error on validation writers, %", yscale="log")
    if history and len(history[0]) > 1:
        right.legend()
    _save(figure, file)


def draw_report(
    pictures: NDArray[np.uint8], labels: NDArray[np.int64], shares: NDArray[Any], folder: Path
) -> None:
    """``confusion.png``, ``reliability.png`` and ``mistakes.png`` in the folder.

    pictures: uint8 (N, 28, 28). labels: (N,), 0 to 10. shares: (N, 11) probabilities.
    Raises OutputError.
    """
    said, confidence = shares.argmax(axis=1), shares.max(axis=1)
    _draw_confusion(labels, said, folder / "confusion.png")
    _draw_reliability(confidence, said == labels, folder / "reliability.png")
    _draw_mistakes(pictures, labels, shares, folder / "mistakes.png")


def _draw_confusion(labels: NDArray[np.int64], said: NDArray[np.int64], file: Path) -> None:
    """Counts of what was said (columns) for what it was (rows)."""
    figure, (axes,) = _figure(1, (6, 6))
    counts = np.zeros((11, 11), int)
    np.add.at(counts, (labels, said), 1)
    wrong = np.where(np.eye(11, dtype=bool), 0, counts)
    axes.imshow(wrong, cmap="Blues")
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = wrong[row, column] > wrong.max() / 2
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=7,
            color="white" if dark else "black",
        )  # fmt: skip
    axes.set(xticks=range(11), yticks=range(11), xticklabels=_NAMES, yticklabels=_NAMES)
    axes.set(xlabel="said", ylabel="is")
    _save(figure, file)


def _draw_reliability(confidence: NDArray[Any], right: NDArray[np.bool_], file: Path) -> None:
    """The share that is right against the confidence, in bins of equal count."""
    figure, (axes,) = _figure(1, (5, 5))
    order = np.argsort(confidence, kind="stable")
    bins = [one for one in np.array_split(order, 12) if len(one)]
    axes.plot([0, 1], [0, 1], color="silver")
    axes.plot(
        [confidence[one].mean() for one in bins],
        [right[one].mean() for one in bins],
        marker="o", color=_INK,
    )  # fmt: skip
    axes.set(xlabel="confidence", ylabel="share that is right")
    _save(figure, file)


def _draw_mistakes(
    pictures: NDArray[np.uint8], labels: NDArray[np.int64], shares: NDArray[Any], file: Path
) -> None:
    """The mistakes that were said with most confidence, worst first."""
    said, confidence = shares.argmax(axis=1), shares.max(axis=1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_SHEET]
    figure, axes = _figure(_SHEET, (12, 7), columns=12)
    for one in axes:
        one.axis("off")
    for one, place in zip(axes, worst, strict=False):
        one.imshow(255 - pictures[place], cmap="gray", vmin=0, vmax=255)
        is_, told = _NAMES[labels[place]], _NAMES[said[place]]
        one.set_title(f"{is_} read {told} {confidence[place]:.2f}", fontsize=7)
    _save(figure, file)


def _figure(count: int, size: tuple[float, float], columns: int = 4) -> tuple[Any, list[Axes]]:
    """A figure without a display, and its axes in a grid."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="tight")
    FigureCanvasAgg(figure)
    across = min(count, columns)
    grid = figure.subplots(-(-count // across), across, squeeze=False)
    return figure, list(grid.flat)


def _save(figure: Any, file: Path) -> None:
    """Write a figure as PNG. Raises OutputError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=110)
    except OSError as error:
        raise OutputError(f"the picture {file} cannot be written: {error.strerror}") from error
