"""The command line: parse, call, print, exit. The only module that imports click."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import digitocr
from digitocr.errors import DigitocrError

if TYPE_CHECKING:
    from digitocr.pipeline import Pipeline

__all__ = ["main"]

_INPUT = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(digitocr.__version__, prog_name="digitocr")
def digitocr_command() -> None:
    """Read the numbers on scanned cheques and forms into a table, with confidences."""


def main() -> NoReturn:
    """Run the command line; every error ends in one sentence and its exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    try:
        digitocr_command.main(prog_name="digitocr", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("digitocr: interrupted", err=True)
        sys.exit(130)
    except DigitocrError as error:
        click.echo(f"digitocr: {error}", err=True)
        sys.exit(error.exit_status)
    sys.exit(0)


def _terminated(number: int, _: object) -> NoReturn:
    """End as the shell expects after a signal: 128 and its number."""
    click.echo("digitocr: terminated", err=True)
    sys.exit(128 + number)


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
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
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Where digits are classified.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Worker processes; by default one for each processor.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="No progress and no summary."),
        click.option("-v", "--verbose", count=True, help="Say what is done with each document."),
        click.option("--log-json", is_flag=True, help="Messages as JSON, one object a line."),
    ):
        command = option(command)
    return command


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
@_shared
def extract(
    inputs: tuple[Path, ...],
    output: str,
    wide: bool,
    overlay: Path | None,
    pipeline: str,
    model: str,
    device: str,
    jobs: int | None,
    **messages: Any,
) -> None:
    """Read files and folders of PDFs and pictures into a table of numbers.

    Every number gets a row with its confidence; a file that cannot be read gets one that
    says why, and the exit status is 3.
    """
    from digitocr.export import check_format, write
    from digitocr.ingest import find_documents
    from digitocr.run import Run

    run = Run(**messages)
    check_format(output, wide=wide)
    found = find_documents(inputs)
    run.skipped([source.file for source in found.skipped])
    reader = _load(pipeline, model, device)
    documents = reader.read_sources(found.documents, jobs, overlay=overlay)
    write(run.watched(documents, len(found.documents)), output, wide=wide)
    sys.exit(run.finish())


@digitocr_command.command()
@click.argument("path", type=_INPUT)
@click.option(
    "--truth",
    type=_INPUT,
    metavar="LABELS.csv",
    help="Columns file, page, field, value: score documents against it.",
)
@_shared
def evaluate(
    path: Path,
    truth: Path | None,
    pipeline: str,
    model: str,
    device: str,
    jobs: int | None,
    **messages: Any,
) -> None:
    """Score a model on a folder of digits, or the whole pipeline on documents with a truth table.

    Prints one JSON object.
    """
    from digitocr.run import Run

    run = Run(**messages)
    reader = _load(pipeline, model, device)
    if truth is None:
        from digitocr.training.evaluate import score_digits

        scores = score_digits(path, reader.classifier)
    else:
        from digitocr.ingest import find_documents
        from digitocr.score import score_documents

        found = find_documents([path])
        documents = reader.read_sources(found.documents, jobs)
        scores = score_documents(run.watched(documents, len(found.documents)), truth)
    click.echo(json.dumps(scores, indent=2))


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
    default="train-digits",
    metavar="NAME|FILE.toml",
    show_default=True,
    help="What is trained and how: a file under pipelines/, or your own.",
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
    help="More digits: IDX files, or one folder for each class. May be given again.",
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
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def train(
    output: Path,
    recipe: str,
    mnist: Path | None,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    seed: int,
    epochs: int | None,
    device: str,
    quiet: bool,
) -> None:
    """Train a recogniser; an interrupted training goes on where it was."""
    from digitocr.resources import find_pipeline
    from digitocr.training.train import run_training

    run_training(
        find_pipeline(recipe),
        output,
        data=data,
        negatives=negatives,
        seed=seed,
        epochs=epochs,
        device=device,
        mnist=mnist,
        report=(lambda line: None) if quiet else (lambda line: click.echo(line, err=True)),
    )


def _load(pipeline: str, model: str, device: str) -> Pipeline:
    """The pipeline and its model; loads torch, so it comes after all cheaper checks."""
    from digitocr.pipeline import Pipeline

    return Pipeline.load(pipeline, model, device)
