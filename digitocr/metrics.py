"""A run's figures for Prometheus, as its node exporter's text collector takes them."""

from __future__ import annotations

import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from digitocr.output import open_output, writing
from digitocr.run import COUNTS, Run
from digitocr.tables import printable

__all__ = ["write_metrics"]

_SUCCESS = "digitocr_last_success_timestamp_seconds"
_READ = (0, 3)  # exit statuses of a run that read all it was given, and wrote its table
_HELP = {
    "documents": "Documents of the last run.",
    "failed": "Documents of the last run that could not be read, or not every page of them.",
    "pages": "Pages read in the last run.",
    "numbers": "Numbers found in the last run.",
    "review": "Numbers of the last run that a person should check.",
    "errors": "Pages, or whole documents, that could not be read in the last run.",
}


def write_metrics(path: Path, run: Run, status: int, out: str, *, complete: bool) -> None:
    """Write a run's figures to ``path``, whole or not at all.

    Every figure has the label ``output``, the table's path: the collector refuses two files
    that give the same name and labels. status: how the run exits. complete: whether its table
    was written; else the time of the last one that was is taken over from the file.
    Raises OutputError.
    """
    label = printable(out if out == "-" else str(Path(out).absolute()))
    registry = CollectorRegistry()

    def tell(name: str, what: str, value: float) -> None:
        Gauge(name, what, ["output"], registry=registry).labels(label).set(value)

    now = time.time()
    success = now if complete and status in _READ else _last_success(path, label)
    tell("digitocr_last_run_timestamp_seconds", "When the last run ended, Unix time.", now)
    if success is not None:
        tell(_SUCCESS, "When the last run that wrote its table ended, Unix time.", success)
    tell("digitocr_exit_status", "How the last run ended; 0 and 3 have a table.", status)
    seconds = run.totals["seconds"]
    tell("digitocr_duration_seconds", "How long the last run took.", seconds)
    for name in COUNTS:
        tell(f"digitocr_{name}", _HELP[name], run.totals["counts"][name])
    with open_output(str(path)) as file, writing(str(path)):
        file.write(generate_latest(registry))


def _last_success(path: Path, label: str) -> float | None:
    """When the last run that wrote its table ended, as the file at ``path`` has it."""
    try:
        for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
            for sample in family.samples:
                if sample.name == _SUCCESS and sample.labels.get("output") == label:
                    return float(sample.value)
    except (OSError, ValueError):  # none yet, or a file that is not ours
        pass
    return None
