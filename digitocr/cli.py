"""The command line: parse, call, print, exit. The only module that imports click."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

import digitocr
from digitocr.errors import DigitocrError, DocumentError, OutputError, UsageError, place
from digitocr.run import Run

if TYPE_CHECKING:
    from digitocr.ingest import Source
    from digitocr.pipeline import Pipeline
    from digitocr.training.order import Order
    from digitocr.types import Document

__all__ = ["main"]

_LAST_SECONDS = 5.0  # that a run which was asked to end has for the pages at hand
_IMPORT_SECONDS = 0.05  # until a signal that came within an import is looked at again
# New objects until unused ones are looked for, which Python does 70 times as often: loading
# makes hundreds of thousands, and drops none.
_GARBAGE = 50_000
_INPUT = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(digitocr.__version__, prog_name="digitocr")
def digitocr_command() -> None:
    """Read the numbers on scanned cheques and forms into a table, with confidences."""


def main() -> NoReturn:
    """Run the command line; every error ends in one sentence and its exit status."""
    gc.set_threshold(_GARBAGE)
    atexit.register(gc.freeze)  # all memory goes back at once: nothing need be looked for in it
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _stop)
    try:
        digitocr_command.main(prog_name="digitocr", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except _Stopped as stopped:  # before the command began
        sys.exit(128 + stopped.signal)
    sys.exit(0)


class _Stopped(BaseException):
    """A signal asked the run to end. signal: its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


def _stop(number: int, frame: FrameType | None) -> None:
    """End the run in order; what follows the first signal must not disturb that.

    Out of the middle of an import the end would come as another error, or not at all: it
    waits until the import is done.
    """
    if _Patience.now:
        _Patience.now.ask(number)
        return
    if _importing(frame):
        again = threading.Timer(_IMPORT_SECONDS, signal.raise_signal, [number])
        again.daemon = True
        again.start()
        return
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise _Stopped(number)


class _Patience:
    """Lets a signal wait for the pages at hand, ``_LAST_SECONDS`` at most.

    Within the block a signal only asks: no further source is begun, and when the documents
    under way have passed the run ends, as it would have at once.
    """

    now: _Patience | None = None  # the block that runs

    def __init__(self) -> None:
        self._asked = 0  # the signal

    def __enter__(self) -> _Patience:
        _Patience.now = self
        return self

    def __exit__(self, *error: object) -> None:
        _Patience.now = None
        if self._asked:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def ask(self, number: int) -> None:
        """Note a signal; those that follow the first change nothing."""
        if not self._asked:
            self._asked = number
            signal.signal(signal.SIGALRM, self._end)
            signal.setitimer(signal.ITIMER_REAL, _LAST_SECONDS)

    def sources(self, sources: Iterable[Source]) -> Iterator[Source]:
        """The sources, until a signal asks."""
        return takewhile(lambda _: not self._asked, sources)

    def documents(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents; after the last, the end of the run if a signal asked for it."""
        yield from documents
        if self._asked:
            self._end()

    def _end(self, number: int = 0, frame: FrameType | None = None) -> None:
        _Patience.now = None
        _stop(self._asked, frame)


def _importing(frame: FrameType | None) -> bool:
    """Whether a frame runs within an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


_on_device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the network runs.",
)


def _reads_pages(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that reads pages."""
    for option in (
        click.option(
            "--pipeline",
            default="default",
            metavar="NAME|FILE.toml",
            show_default=True,
            help="How pages are read.",
        ),
        click.option("--model", default="", metavar="NAME|FILE", help="Read with another model."),
        click.option(
            "--expect",
            type=_INPUT,
            metavar="VALUES.csv",
            help="Each field holds one of these: the column 'value', or the first.",
        ),
        click.option(
            "--max-error",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            metavar="SHARE",
            help="How many of the numbers marked ok may be wrong, as 0.01; in place of the "
            "pipeline's confidence, decides what is marked for review.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Worker processes; by default one for each processor.",
        ),
        _on_device,
    ):
        command = option(command)
    return command


_Command = Callable[..., int]


def _running(command: _Command) -> Callable[..., NoReturn]:
    """The options of every command, and the end it comes to.

    The command gets a ``run`` to speak through, and returns its exit status.
    """

    @click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
    @click.option("-v", "--verbose", count=True, help="Say what is done with each document.")
    @click.option("--log-json", is_flag=True, help="Messages as JSON, one object a line.")
    @functools.wraps(command)
    def running(quiet: bool, verbose: int, log_json: bool, **arguments: Any) -> NoReturn:
        run = Run(quiet, verbose, log_json)
        try:
            status = command(run=run, **arguments)
        except (_Stopped, Exception) as error:
            status = _status_of(error)
            if not isinstance(error.__cause__, BrokenPipeError):  # as after | head
                run.failed(_sentence_of(error), status)
        sys.exit(status)

    return running


def _status_of(error: BaseException) -> int:
    """The exit status of a command that ends with an error."""
    if isinstance(error, _Stopped):
        return 128 + error.signal
    return error.exit_status if isinstance(error, DigitocrError) else DigitocrError.exit_status


def _sentence_of(error: BaseException) -> str:
    """Why a command ends; of a bug its place alone, for its message may hold a value."""
    if isinstance(error, _Stopped):
        return "interrupted" if error.signal == signal.SIGINT else "terminated"
    if isinstance(error, DigitocrError):
        return str(error)
    return f"this failed through a fault in digitocr; please report it\n{place(error)}"


def _measured(command: _Command) -> _Command:
    """The option ``--metrics``: figures are written whatever the end of the run."""

    @click.option(
        "--metrics",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.prom",
        help="Write figures of the run, also of one that fails, for Prometheus' node exporter.",
    )
    @functools.wraps(command)
    def measured(run: Run, output: str, metrics: Path | None, **arguments: Any) -> int:
        if metrics is None:
            return command(run=run, output=output, **arguments)
        if metrics.suffix != ".prom":
            raise UsageError(f"the metrics {metrics} must end in .prom, or no collector takes them")
        from digitocr.metrics import write_metrics

        try:
            status = command(run=run, output=output, **arguments)
        except BaseException as error:
            status = _status_of(error)
            try:
                write_metrics(metrics, run, status, output, complete=False)
            except OutputError as other:  # the first of two errors decides how the run ends
                run.failed(str(other), status)
            raise
        write_metrics(metrics, run, status, output, complete=True)
        return status

    return measured


def _head_start() -> AbstractContextManager[None]:
    """Let the first worker load while this process does, where it has a processor for itself."""
    from digitocr.engines.local import usable_cores
    from digitocr.engines.worker import head_start

    return head_start() if usable_cores() > 1 else contextlib.nullcontext()


@digitocr_command.command()
@click.argument("inputs", nargs=-1, required=True, type=_INPUT)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="The table: .csv, .json, .jsonl or .parquet; - is standard output.",
)
@click.option("--wide", is_flag=True, help="One row for each page, one column for each field.")
@click.option(
    "--overlay",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write each page with its boxes and values drawn.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Read only the Ith of N shares of the files, as 2/4; digitocr merge joins the parts.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Read on this machine, or on the Ray cluster that RAY_ADDRESS names (needs "
    "digitocr[ray]).",
)
@click.option("--fresh", is_flag=True, help="Forget OUT.state, and read every document again.")
@click.option(
    "--quarantine",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Copy each file that could not be read to DIR, with the reason beside it.",
)
@click.option(
    "--max-failed",
    type=click.FloatRange(0, 1),
    default=1.0,
    metavar="SHARE",
    help="Stop with status 3 as soon as more than this share of all documents, as 0.05, could "
    "not be read; the table that was there stays.",
)
@_reads_pages
@_running
@_measured
def extract(
    run: Run,
    inputs: tuple[Path, ...],
    output: str,
    wide: bool,
    overlay: Path | None,
    shard: str | None,
    engine: Literal["local", "ray"],
    fresh: bool,
    quarantine: Path | None,
    max_failed: float,
    pipeline: str,
    model: str,
    expect: Path | None,
    max_error: float | None,
    device: str,
    jobs: int | None,
) -> int:
    """Read files and folders of PDFs and pictures into a table of numbers.

    Every number gets a row with its confidence; a file that cannot be read gets one that
    says why, and the exit status is 3. What was read is remembered beside the output, in
    OUT.state: a second run, or one after an interruption, reads what is new or changed. What
    the table was made with stands in OUT.meta.json.
    """
    with _head_start() if engine == "local" else contextlib.nullcontext():
        from digitocr.extraction import Extraction, run_extraction

        asked = Extraction(
            inputs=inputs,
            output=output,
            wide=wide,
            overlay=overlay,
            shard=shard,
            engine=engine,
            fresh=fresh,
            quarantine=quarantine,
            max_failed=max_failed,
            pipeline=pipeline,
            model=model,
            expect=expect,
            max_error=max_error,
            device=device,
            jobs=jobs,
            options=click.get_current_context().params,
        )
        return run_extraction(asked, run, _Patience)


@digitocr_command.command()
@click.argument("parts", nargs=-1, required=True, metavar="PART...", type=_INPUT)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="The table, with the parts' ending; - is standard output.",
)
@_running
def merge(run: Run, parts: tuple[Path, ...], output: str) -> int:
    """Join the outputs of extract --shard I/N to what one run writes, byte for byte.

    It is refused where a shard is missing, or the parts do not belong together. The exit
    status is 3 where documents in them could not be read.
    """
    from digitocr.merge import merge

    merged = merge(parts, output)
    run.note(f"{merged.documents} documents joined, {merged.errors} errors")
    return DocumentError.exit_status if merged.errors else 0


@digitocr_command.command()
@click.argument("path", type=_INPUT)
@click.option(
    "--truth",
    type=_INPUT,
    metavar="LABELS.csv",
    help="Columns file, page, field, value: score documents against it.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Of digits, also draw confusion, reliability, rejection and mistakes.",
)
@_reads_pages
@_running
def evaluate(
    run: Run,
    path: Path,
    truth: Path | None,
    report: Path | None,
    pipeline: str,
    model: str,
    expect: Path | None,
    max_error: float | None,
    device: str,
    jobs: int | None,
) -> int:
    """Score a model on a folder of digits, or the whole pipeline on documents with a truth table.

    Prints one JSON object. Of digits, accuracy is how often the model says rightly which of
    the ten each is; how many of them it would refuse as no digit stands beside it, and the
    accuracy where these count as wrong.
    """
    from digitocr.extraction import load_pipeline
    from digitocr.output import writing

    def load() -> Pipeline:
        return load_pipeline(pipeline, model, device, expect, max_error)

    if truth is None:
        text = _evaluate_digits(run, path, report, load)
    else:
        from digitocr.ingest import find_documents
        from digitocr.score import score_documents

        if report:
            raise UsageError("--report draws what is said of digits; leave it out, or --truth")
        found = find_documents([path])
        documents = load().read_sources(found.documents, jobs)
        scores = score_documents(run.watched(documents, len(found.documents)), truth)
        text = json.dumps(scores, indent=2)
    with writing("-"):
        click.echo(text)
    return run.finish() if truth else run.status


@digitocr_command.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="MODEL",
    help="The model file, .safetensors; its card and plots lie beside.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    help="What is trained and how: a file under pipelines/, or your own; by default "
    "train-digits, with --from the model's own.",
)
@click.option(
    "--mnist",
    type=_INPUT,
    metavar="DIR",
    help="MNIST's IDX files; by default the recipe's, else they are downloaded.",
)
@click.option(
    "--data",
    multiple=True,
    type=_INPUT,
    metavar="DIR",
    help="More digits: IDX files as MNIST's and EMNIST's, or one folder for each class. "
    "May be given again.",
)
@click.option(
    "--negatives",
    multiple=True,
    type=_INPUT,
    metavar="DIR",
    help="Pictures of what is no digit. May be given again.",
)
@click.option("--seed", default=0, show_default=True, help="Makes a training repeatable.")
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="In place of the recipe's.")
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    metavar="N",
    help="Train N models, MODEL-seed0 and so on, and print the mean and spread of their scores.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Cross-validate: train K models, MODEL-fold1 and so on, each with a Kth kept back.",
)
@click.option(
    "--from",
    "parent",
    metavar="NAME|FILE",
    help="Go on with this model on your --data; it is refused if it reads worse for it.",
)
@click.option("--force", is_flag=True, help="With --from, take the new model even if it is worse.")
@_on_device
@_running
def train(
    run: Run,
    output: Path,
    recipe: str | None,
    mnist: Path | None,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    seed: int,
    epochs: int | None,
    seeds: int | None,
    folds: int | None,
    parent: str | None,
    force: bool,
    device: str,
) -> int:
    """Train a recogniser; an interrupted training goes on where it was."""
    from digitocr.resources import find_model, find_pipeline
    from digitocr.training.order import Order

    if output.suffix != ".safetensors":
        raise UsageError(f"the model {output} must end in .safetensors")
    if sum(map(bool, (seeds, folds, parent))) > 1:
        raise UsageError("choose one of --seeds, --folds and --from")
    if force and not parent:
        raise UsageError("--force goes with --from")
    order = Order(
        recipe_path=find_pipeline(recipe) if recipe else None,
        data=data,
        negatives=negatives,
        seed=seed,
        epochs=epochs,
        device=device,
        mnist=mnist,
    )
    if seeds:  # what is imported below loads torch
        from digitocr.training.rounds import run_seeds

        _print(run_seeds(order, output, seeds, report=run.note).table)
    elif folds:
        from digitocr.training.rounds import run_folds

        _print(run_folds(order, output, folds, report=run.note).table)
    elif parent:
        from digitocr.training.finetune import run_finetuning

        run_finetuning(order, output, find_model(parent), force=force, report=run.note)
    else:
        _train_one(run, order, output)
    return run.status


def _train_one(run: Run, order: Order, output: Path) -> None:
    """One training, of digits or of whole numbers, as its recipe says."""
    from digitocr.training.options import load_train_recipe

    if order.recipe_path and load_train_recipe(order.recipe_path).reads == "numbers":
        from digitocr.training.number_train import run_number_training

        run_number_training(order, output, report=run.note)
    else:
        from digitocr.training.train import run_training

        run_training(order, output, report=run.note)


def _print(text: str) -> None:
    """A result on standard output. Raises OutputError."""
    from digitocr.output import writing

    with writing("-"):
        click.echo(text)


def _evaluate_digits(
    run: Run, path: Path, report: Path | None, load: Callable[[], Pipeline]
) -> str:
    """The scores of digits as JSON, and the report; the model is loaded after cheaper checks."""
    from digitocr.output import make_folder
    from digitocr.training.evaluate import as_json, read_digits, scores_of

    digits = read_digits(path)
    if report:
        make_folder(report)
    shares = load().classifier.probabilities(digits.pictures)
    scores = scores_of(shares, digits.labels, digits.writers)
    if report:
        from digitocr.training.report import write_report

        write_report(digits, shares, scores, report)
        run.note(f"the pictures and the table of mistakes are in {report}")
    return as_json(scores)
