"""Pictures for a person: curves, confusion, reliability, rejection, and the worst mistakes.

What counts as said, confidence and refused is as in ``evaluate``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitocr.errors import OutputError
from digitocr.output import open_output
from digitocr.tables import Cell, Column, CsvTable
from digitocr.training.data import Samples
from digitocr.training.evaluate import (
    Answers,
    answers_of,
    as_json,
    error_when_rejected,
    scores_of,
    wilson,
)
from digitocr.types import CLASSES, NOT_A_DIGIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "draw_report", "write_report"]

_NAMES = [*CLASSES, "none"]
_INK, _GREY, _PALE, _RIGHT = "#1f3a5f", "#6b7280", "#eef0f3", "#dbe7f3"
_ACROSS, _DOWN = 10, 6  # mistakes shown
_PLACES = [*range(10), 10.5]  # of the classes; what is no digit, or refused, stands apart
_LETTERS = 17  # of a name below a mistake
_TRAINED_ON = "training"  # its column in a history
_ACCURACIES: tuple[float, ...] = (
    0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 1.0
)  # fmt: skip
_FINEST = 1e-4  # the least doubt and error that the reliability picture tells apart
_COLUMNS = (
    Column("where"),
    Column("is"),
    Column("said"),
    Column("confidence", "share"),
    Column("refused"),
)

Floats = NDArray[np.floating[Any]]


def write_report(samples: Samples, shares: Floats, scores: Mapping[str, Any], folder: Path) -> None:
    """The pictures of ``draw_report``, ``scores.json`` and ``mistakes.csv`` in the folder.

    The table has the columns ``where`` (the file, or the place from 0 in an IDX file),
    ``is``, ``said``, ``confidence`` and ``refused``: digits that were said wrongly, worst
    first, things that were taken for digits, and digits said rightly, but refused.
    Raises OutputError.
    """
    draw_report(samples, shares, folder)
    with open_output(str(folder / "scores.json")) as file:
        file.write((as_json(scores) + "\n").encode())
    answers = answers_of(shares)
    wrong = _mistakes(samples.labels, answers)
    refused = np.flatnonzero((samples.labels == answers.said) & answers.refused)
    with open_output(str(folder / "mistakes.csv")) as file:
        CsvTable(file, _COLUMNS).add(_row(samples, answers, at) for at in [*wrong, *refused])


def _row(samples: Samples, answers: Answers, place: int) -> tuple[Cell, ...]:
    """One row of the table of mistakes."""
    return (
        str(samples.names[place]),
        _NAMES[samples.labels[place]],
        _NAMES[answers.said[place]],
        float(answers.confidence[place]),
        "yes" if answers.refused[place] else "no",
    )


def draw_curves(history: Sequence[Mapping[str, float]], file: Path) -> None:
    """Loss, and the accuracy on each source, per epoch, as a PNG. Raises OutputError.

    history: as in ``train.Trained``. A source is what was kept back of it; the accuracy on
        what was trained on is dashed.
    """
    from matplotlib.ticker import MaxNLocator

    figure = _figure(11, 4.8)
    left = figure.add_axes((0.06, 0.115, 0.34, 0.65))
    right = figure.add_axes((0.49, 0.115, 0.325, 0.65))
    left.plot(range(1, len(history) + 1), [one["loss"] for one in history], **_line("loss", 0))
    left.set(ylabel="training loss")
    left.set_ylim(bottom=0)
    right.set(ylabel="said rightly")
    if history:
        _accuracy_curves(right, history)
    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(0.6, max(1, len(history)) + 0.4))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _calm(axes)
    _head(figure, "How the training went", *_curve_lines(history))
    _save(figure, file)


def _curve_lines(history: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """What the curves are of."""
    if not history:
        return ("There was no epoch.",)
    kept_back = history[-1].keys() - {"loss", _TRAINED_ON}
    lines = "Lines: what was kept back." if kept_back else "Nothing was kept back."
    return (
        f"Left: the mean loss of each epoch, {history[-1]['loss']:.3f} in the last.",
        f"Right: the share said rightly after it. {lines} Dashed: some of what was trained on.",
    )


def _accuracy_curves(axes: Axes, history: Sequence[Mapping[str, float]]) -> None:
    """A line for each source, and its name and last accuracy behind the line's end."""
    last = {name: share for name, share in history[-1].items() if name != "loss"}
    names = sorted(last, key=lambda name: -last[name])
    looks = {name: _line(name, number) for number, name in enumerate(last)}
    for name in names:
        # A training that was begun before all of them were looked at lacks some epochs.
        known = [(epoch, one[name]) for epoch, one in enumerate(history, 1) if name in one]
        epochs, shares = zip(*known, strict=True)
        axes.plot(epochs, _stretched(np.array(shares)), **looks[name], clip_on=False)
    bottom, top = _accuracy_axis(axes)
    ends = (_stretched(np.array([last[name] for name in names])) - bottom) / (top - bottom)
    for name, place in zip(names, _apart(ends, 0.06), strict=True):
        axes.text(
            1.02, place, f"{_short(name)}  {_percent(last[name])}", transform=axes.transAxes,
            va="center", fontsize=9, color=looks[name]["color"], parse_math=False,
        )  # fmt: skip


def _line(name: str, number: int) -> dict[str, Any]:
    """How a line is drawn: sources by their number, and what was trained on behind them."""
    from matplotlib import colormaps

    if name == _TRAINED_ON:
        return {"color": _GREY, "linestyle": "--", "marker": ".", "linewidth": 1, "zorder": 1}
    colour = _INK if name == "loss" else colormaps["Dark2"](number % 7)  # its eighth is grey
    return {"color": colour, "marker": "o", "markersize": 3}


def _accuracy_axis(axes: Axes) -> tuple[float, float]:
    """Ticks around what is drawn, as even as factors of ten in doubt are; the axis' ends."""
    ticks = _stretched(np.array(_ACCURACIES))
    low, high = axes.dataLim.intervaly
    first = min(int(np.searchsorted(ticks, low, "right")) - 1, len(ticks) - 2)
    last = max(int(np.searchsorted(ticks, high)), first + 1)
    shown = slice(first, last + 1)
    axes.set_yticks(ticks[shown], [f"{100 * one:g} %" for one in _ACCURACIES[shown]])
    axes.set_ylim(ticks[first], ticks[last])
    return float(ticks[first]), float(ticks[last])


def _apart(places: Floats, gap: float) -> Floats:
    """Heights from 1 down to 0, moved so that neighbours stand the gap apart, or as far as
    they can where so many do not fit."""
    rows = np.arange(len(places)) * min(gap, 1 / max(1, len(places) - 1))
    lowered = np.minimum.accumulate(places + rows) - rows
    return np.asarray(np.maximum(lowered, rows[::-1]))


def draw_report(samples: Samples, shares: Floats, folder: Path) -> None:
    """``confusion.png``, ``reliability.png``, ``reject.png`` and ``mistakes.png`` in the folder.

    shares: (N, 11) probabilities of what the N samples show. Where none is a digit, there
    is nothing to be sure of, and the second and third are not drawn. Raises OutputError.
    """
    answers = answers_of(shares)
    digit = samples.labels < NOT_A_DIGIT
    confidence, right = answers.confidence[digit], (answers.said == samples.labels)[digit]
    _draw_confusion(samples, shares, answers, folder / "confusion.png")
    _draw_mistakes(samples, answers, folder / "mistakes.png")
    if len(right):
        _draw_reliability(confidence, right, folder / "reliability.png")
        _draw_rejection(confidence, right, folder / "reject.png")


def _draw_confusion(samples: Samples, shares: Floats, answers: Answers, file: Path) -> None:
    """What was said (columns) of what is what (rows); beside it, what would be refused."""
    of_row = np.bincount(samples.labels, minlength=11)
    rows = range(11 if of_row[NOT_A_DIGIT] else 10)
    height = 0.64 * len(rows) + 2.5
    figure = _figure(8.4, height)
    axes = figure.add_axes((0.06, 0.1 / height, 0.92, 1 - 1.2 / height))
    counts = _confusion(samples.labels, answers)
    for row in rows:
        for column in range(11):
            share = counts[row, column] / max(of_row[row], 1)
            _cell(axes, (_PLACES[column], _PLACES[row]), counts[row, column], share, row == column)
    axes.set(xlim=(-0.7, 12.1), ylim=(_PLACES[rows[-1]] + 1.2, -1.55), xticks=[], frame_on=False)
    axes.set_yticks(_PLACES[: len(rows)], _NAMES[: len(rows)])
    axes.tick_params(length=0, labelsize=11)
    for place, name in zip(_PLACES, [*CLASSES, "refused"], strict=True):
        axes.text(place, -0.75, name, ha="center", va="center", fontsize=11)
    axes.text(4.5, -1.3, "said", ha="center", va="center", color=_GREY)
    axes.text(-0.68, -0.75, "is", ha="right", va="center", color=_GREY)
    _margins(axes, counts, _PLACES[rows[-1]] + 0.85)
    _head(figure, "What was said of what", *_accuracy_lines(samples, shares))
    _save(figure, file)


def _confusion(labels: NDArray[np.int64], answers: Answers) -> NDArray[np.int64]:
    """int64 (11, 11): which digit was said of each, and last how many are refused.

    Of what is no digit, what is refused is said rightly, and no digit is said.
    """
    counts = np.zeros((11, 11), np.int64)
    told = (labels < NOT_A_DIGIT) | ~answers.refused
    np.add.at(counts, (labels[told], answers.said[told]), 1)
    np.add.at(counts[:, NOT_A_DIGIT], labels[answers.refused], 1)
    return counts


def _cell(axes: Axes, place: tuple[float, float], count: int, share: float, good: bool) -> None:
    """One count; a mistake is the darker, the larger its share of the row is."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    x, y = place
    strength = min(1.0, (share / 0.3) ** 0.4)
    colour = _RIGHT if good else colormaps["Oranges"](0.85 * strength) if count else _PALE
    axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, color=colour, linewidth=0))
    if count:
        ink = "white" if strength > 0.75 and not good else "black"
        size = 10 if count < 10_000 else 8
        axes.text(x, y, f"{count:,}", ha="center", va="center", fontsize=size, color=ink)


def _margins(axes: Axes, counts: NDArray[np.int64], below: float) -> None:
    """Beside each row, how much of it is said rightly; below each column, how much of what
    is said so of digits is so."""
    ten = counts[:10, :10]
    small: dict[str, Any] = {"va": "center", "fontsize": 8.5, "color": _GREY}
    with np.errstate(invalid="ignore"):
        recall, precision = ten.diagonal() / ten.sum(axis=1), ten.diagonal() / ten.sum(axis=0)
    for place in range(10):
        if ten[place].any():
            axes.text(11.65, place, _percent(recall[place]), **small, ha="center")
        if ten[:, place].any():
            axes.text(place, below, _percent(precision[place]), **small, ha="center")
    axes.text(11.65, -0.75, "right", **small, ha="center")
    axes.text(-0.68, below, "right", **small, ha="right")


def _accuracy_lines(samples: Samples, shares: Floats) -> tuple[str, str]:
    """The accuracy in both readings."""
    if not (samples.labels < NOT_A_DIGIT).any():
        return "There are no digits.", ""
    scores = scores_of(shares, samples.labels, samples.writers)
    low, high = (_percent(one) for one in scores["interval"])
    strict = _percent(scores["accuracy_refusals_wrong"])
    refused = round(scores["refused"] * scores["digits"])
    return (
        f"{_percent(scores['accuracy'])} of {_count(scores['digits'], 'digit')} right "
        f"(95 % interval: {low} to {high})",
        f"{refused:,} would be refused as no digit; where these count as wrong: {strict}",
    )


def _draw_reliability(confidence: Floats, right: NDArray[np.bool_], file: Path) -> None:
    """The share that is right against the confidence, both stretched towards certainty."""
    figure = _figure(7.2, 7.8)
    axes = figure.add_axes((0.14, 0.26, 0.83, 0.60))
    below = figure.add_axes((0.14, 0.08, 0.83, 0.15), sharex=axes)
    ends = _stretched(np.array([0.0, 1 - _FINEST]))
    axes.plot(ends, ends, color="silver", linewidth=1, zorder=0)
    groups = np.round(2 * _stretched(confidence)).astype(int)  # two for each factor of ten
    for group in np.unique(groups):
        mine = groups == group
        x = float(_stretched(confidence[mine].mean(keepdims=True))[0])
        hits, count = int(right[mine].sum()), int(mine.sum())
        _reliability_point(axes, x, hits, count)
        below.bar(x, count, width=0.2, color=_INK)
        below.text(x, count, f"{count:,}", ha="center", va="bottom", fontsize=8, color=_GREY)
    _reliability_axes(axes, below)
    _head(
        figure,
        "Is it as sure as it should be?",
        "On the line, the share that is right is the confidence; below it, the model is too sure.",
        "Bars: 95 % intervals. A hollow mark: all of them are right.",
    )
    _save(figure, file)


def _reliability_point(axes: Axes, x: float, hits: int, count: int) -> None:
    """One group of digits: the share that is right, and what it could be."""
    low, high = _stretched(np.array(wilson(hits, count)))
    y = float(_stretched(np.array([hits / count]))[0])
    axes.plot([x, x], [low, high], color=_INK, linewidth=1.2, alpha=0.55)
    face = "white" if hits == count else _INK
    axes.plot([x], [y], "o", color=_INK, markerfacecolor=face, markersize=6.5)


def _reliability_axes(axes: Axes, below: Axes) -> None:
    """Confidences as ticks, evenly for each factor of ten in doubt."""
    shares = [0.0, 0.5, 0.9, 0.99, 0.999, 1 - _FINEST]
    ticks, names = _stretched(np.array(shares)), [f"{100 * one:g} %" for one in shares]
    edges = (-0.15, float(ticks[-1]) + 0.45)
    axes.set(xlim=edges, ylim=edges, ylabel="share that is right")
    axes.set_yticks([*ticks, ticks[-1] + 0.3], [*names, "all"])
    below.set_xticks(ticks[1:], [*names[1:-1], f"{names[-1]} or more"])
    below.set(xlabel="confidence", ylabel="digits", yticks=[])
    below.margins(y=0.25)
    axes.tick_params(labelbottom=False)
    for one in (axes, below):
        _calm(one)


def _stretched(shares: Floats) -> NDArray[np.float64]:
    """A share's distance from 1 as factors of ten; 1 itself stands a little behind the last."""
    doubt = 1 - np.asarray(shares, np.float64)
    return np.where(doubt > 1e-12, -np.log10(np.maximum(doubt, _FINEST)), 0.3 - np.log10(_FINEST))


def _draw_rejection(confidence: Floats, right: NDArray[np.bool_], file: Path) -> None:
    """The error of the rest against the share that is put aside, least confident first."""
    figure = _figure(7.2, 5.4)
    axes = figure.add_axes((0.11, 0.11, 0.85, 0.70))
    wrong = ~right[np.argsort(confidence, kind="stable")]
    _rejection_curves(axes, wrong)
    last = 100 * np.flatnonzero(wrong).max(initial=0) / len(wrong)
    end, top = min(60.0, max(6.0, 1.15 * last)), 105 * float(wilson(wrong.sum(), len(wrong))[1])
    axes.set(xlim=(0, end), ylim=(-0.01 * top, top))
    axes.set(xlabel="put aside for a person, %", ylabel="wrong among the rest, %")
    if wrong.any():
        _mark_rejections(axes, confidence, right, end)
    _calm(axes)
    _head(
        figure,
        "What is gained by putting the unsure aside",
        f"{int(wrong.sum()):,} of {_count(len(wrong), 'digit')} wrong when none is put aside",
        "Shaded: 95 % interval. Thin line: the best that any order could do.",
    )
    _save(figure, file)


def _rejection_curves(axes: Axes, wrong: NDArray[np.bool_]) -> None:
    """The error of the rest, with its interval, and the least that it could be.

    wrong: (N,), in the order in which digits are put aside; N is not 0.
    """
    aside, rest = np.arange(len(wrong)), np.arange(len(wrong), 0, -1)
    left = np.cumsum(wrong[::-1])[::-1]
    least = np.maximum(wrong.sum() - aside, 0)
    across = 100 * np.append(aside, len(wrong)) / len(wrong)
    low, high = (100 * _held(one) for one in wilson(left, rest))
    axes.fill_between(across, low, high, step="post", color=_INK, alpha=0.10, linewidth=0)
    axes.step(across, 100 * _held(least / rest), where="post", color="silver")
    axes.step(across, 100 * _held(left / rest), where="post", color=_INK, linewidth=2)


def _mark_rejections(axes: Axes, confidence: Floats, right: NDArray[np.bool_], end: float) -> None:
    """Figures at some shares put aside, up to ``end`` percent."""
    for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4):
        if 0.1 * end <= 100 * share <= 0.85 * end:
            error = error_when_rejected(confidence, right, share)
            axes.plot([100 * share], [100 * error], "o", color=_INK, markersize=5)
            axes.annotate(
                f"{100 * share:g} %: {_percent(error)}", (100 * share, 100 * error),
                (6, 7), textcoords="offset points", fontsize=9, color=_INK,
            )  # fmt: skip


def _held(values: Floats) -> Floats:
    """The values, the last once more: where a staircase ends."""
    return np.append(values, values[-1:])


def _mistakes(labels: NDArray[np.int64], answers: Answers) -> NDArray[np.int64]:
    """Digits said wrongly, the most confident first, then what was wrongly taken for digits."""
    digit = labels < NOT_A_DIGIT
    wrong = np.flatnonzero(digit & (answers.said != labels))
    taken = np.flatnonzero(~digit & ~answers.refused)
    return np.concatenate(
        [
            wrong[np.argsort(-answers.confidence[wrong], kind="stable")],
            taken[np.argsort(-answers.likeness[taken], kind="stable")],
        ]
    )


def _draw_mistakes(samples: Samples, answers: Answers, file: Path) -> None:
    """The worst mistakes as the network saw them, each with where to find it."""
    places = _mistakes(samples.labels, answers)
    shown = places[: _ACROSS * _DOWN]
    rows = -(-len(shown) // _ACROSS)
    figure = _figure(max(6.0, 0.46 + 1.04 * min(len(shown), _ACROSS)), 1.0 + 1.45 * rows)
    for number, place in enumerate(shown):
        axes = _tile(figure, number)
        axes.imshow(255 - samples.pictures[place], cmap="gray", vmin=0, vmax=255)
        _caption(axes, samples, answers, place)
    among = f"among {_count(len(samples), 'picture')}"
    if len(places):
        more = f"; the worst {len(shown)}" if len(shown) < len(places) else ""
        _head(
            figure,
            f"{_count(len(places), 'mistake')} {among}{more}",
            "What it is → what was said, how confidently, and where it is; r: would be refused.",
        )
    else:
        _head(figure, f"No mistakes {among}")
    _save(figure, file)


def _tile(figure: Figure, number: int) -> Axes:
    """A frame for one small picture, counted from 0 along the rows."""
    width, height = figure.get_size_inches()
    down, across = divmod(number, _ACROSS)
    left, top, side = 0.28 + 1.04 * across, 0.95 + 1.45 * down, 0.94
    axes = figure.add_axes(
        (left / width, 1 - (top + side) / height, side / width, side / height),
        xticks=[], yticks=[],
    )  # fmt: skip
    for spine in axes.spines.values():
        spine.set_color("#c9cdd3")
    return axes


def _caption(axes: Axes, samples: Samples, answers: Answers, place: int) -> None:
    """What it is, what was said, how confidently, and the name, below a mistake."""
    is_, said = _NAMES[samples.labels[place]], _NAMES[answers.said[place]]
    surely = _percent(float(answers.confidence[place]), fine=False)
    mark = " r" if answers.refused[place] else ""
    text: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "top"}
    axes.text(0.5, -0.05, f"{is_} → {said}  {surely}{mark}", fontsize=7.8, color="black", **text)
    name = _short(str(samples.names[place]).rpartition("/")[2])
    axes.text(0.5, -0.21, name, fontsize=6.5, color=_GREY, parse_math=False, **text)


def _short(name: str) -> str:
    """The name, its middle left out where it is long: what tells files apart is at the ends."""
    half = _LETTERS // 2
    name = " ".join(name.split())
    return name if len(name) <= _LETTERS else f"{name[:half]}…{name[-half:]}"


def _percent(share: float, fine: bool = True) -> str:
    """A share for a person: 99.64 %; all but all is not rounded to all."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    decimals = 2 if fine else 0
    while decimals < 6 and round(share, decimals + 2) in (0, 1):
        decimals += 1
    text = f"{100 * share:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text and not fine else text) + " %"


def _count(count: int, what: str) -> str:
    """1 digit, 10,000 digits."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _head(figure: Figure, title: str, *lines: str) -> None:
    """A headline, and below it smaller lines, from the left."""
    width, height = figure.get_size_inches()
    left, top = 0.25 / width, 1 - 0.16 / height
    figure.text(left, top, title, fontsize=14, fontweight="bold", va="top", color=_INK)
    for number, line in enumerate(lines):
        y = 1 - (0.52 + 0.23 * number) / height
        figure.text(left, y, line, fontsize=9.5, va="top", color=_GREY)


def _calm(axes: Axes) -> None:
    """Two sides of the frame and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("silver")
    axes.tick_params(color="silver")
    axes.grid(color=_PALE)
    axes.set_axisbelow(True)


def _figure(width: float, height: float) -> Figure:
    """A figure in inches without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, file: Path) -> None:
    """Write a figure as PNG. Raises OutputError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names in scripts that the font lacks
            figure.savefig(file, dpi=120)
    except OSError as error:
        raise OutputError(f"the picture {file} cannot be written: {error.strerror}") from error
