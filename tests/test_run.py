"""What a run tells while it goes and when it ends, and that it never tells a value."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

import digitocr
from digitocr.cli import digitocr_command
from digitocr.errors import TooManyFailed
from digitocr.run import Run
from digitocr.types import Document, ModelId, ReadError

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_docs"
VALUES = ("28112023", "1849000", "18,490.00", "30567214908")  # of cheque-cells.jpg
PIPELINE = ROOT / "pipelines" / "default.toml"
MODEL = ROOT / "models" / "digits.safetensors"


def extract(*arguments: str | Path) -> Result:
    """Run ``digitocr extract`` in this process, with one worker, which starts sooner than two."""
    line = ["extract", *map(str, arguments), "--jobs", "1"]
    return CliRunner().invoke(digitocr_command, line, prog_name="digitocr")


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def metrics_of(path: Path) -> dict[str, float]:
    """The figures of a file, by name without the prefix, as Prometheus' own parser has them."""
    families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    assert families
    assert all(family.documentation and family.type == "gauge" for family in families)
    assert all(list(sample.labels) == ["output"] for f in families for sample in f.samples)
    return {family.name.removeprefix("digitocr_"): family.samples[0].value for family in families}


def document(file: str, failed: bool = False) -> Document:
    errors = (ReadError(None, "the file is empty"),) if failed else ()
    return Document(file, "", "default", ModelId("digits", ""), errors=errors)


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """The document that is read fastest."""
    path = tmp_path / "blank.png"
    Image.new("L", (300, 200), 255).save(path)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Twelve documents, all of them empty."""
    folder = tmp_path / "bad"
    folder.mkdir()
    for k in range(12):
        (folder / f"{k}.png").touch()
    return folder


class Watched:
    """One run over a cheque, a broken file and a side file, with all that tells of it."""

    def __init__(self, folder: Path) -> None:
        scans = folder / "scans"
        scans.mkdir()
        shutil.copy(SAMPLES / "cheque-cells.jpg", scans)
        (scans / "cut.png").write_bytes((SAMPLES / "tally.png").read_bytes()[:5000])
        (scans / "notes.txt").write_text("no document")
        self.expect = folder / "expect.csv"
        self.expect.write_text("value\n" + "".join(f"{value}\n" for value in VALUES))
        self.out = folder / "out.csv"
        self.metrics = folder / "run.prom"
        self.began = time.time()
        self.done = extract(
            *(scans, "-o", self.out, "--log-json", "-v", "--expect", self.expect),
            *("--metrics", self.metrics, "--quarantine", folder / "quarantine"),
        )
        self.events = events_of(self.done.stderr)
        self.record = json.loads(Path(f"{self.out}.meta.json").read_text(encoding="utf-8"))

    def event(self, name: str) -> dict[str, Any]:
        (event,) = (event for event in self.events if event["event"] == name)
        return event


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("watched"))


# Values


def test_no_value_is_told_anywhere_but_in_the_table(watched: Watched) -> None:
    with watched.out.open(encoding="utf-8", newline="") as file:
        read = {cell for row in csv.DictReader(file) for cell in (row["value"], row["text"])}
    folder = watched.out.parent
    told = watched.done.stderr + watched.done.stdout
    told += watched.metrics.read_text() + Path(f"{watched.out}.meta.json").read_text()
    for reason in (folder / "quarantine").rglob("*.reason.txt"):
        told += reason.read_text()
    for value in VALUES:
        assert value in read
        assert value not in told


@pytest.mark.parametrize("options", [(), ("--log-json",)])
def test_a_fault_tells_its_place_and_not_its_message(options, monkeypatch, blank, tmp_path) -> None:
    secret = "90817263"

    def saboteur(*_: object) -> None:
        raise KeyError(secret)

    monkeypatch.setattr("digitocr.tables.CsvTable.add", saboteur, raising=False)
    monkeypatch.setattr("digitocr.export.Rows.add", saboteur)
    done = extract(blank, "-o", tmp_path / "out.csv", *options)
    assert done.exit_code == 1
    assert "KeyError" in done.stderr
    assert "saboteur" in done.stderr
    assert secret not in done.stderr
    if options:
        assert events_of(done.stderr)[-1]["event"] == "failed"


# Events


def test_events_come_in_order_with_their_time(watched: Watched) -> None:
    names = [event["event"] for event in watched.events]
    assert names == ["skipped", "started", "document", "page_failed", "document", "finished"]
    times = [datetime.fromisoformat(event["time"]) for event in watched.events]
    assert times == sorted(times)
    assert {moment.utcoffset() for moment in times} == {timedelta(0)}
    assert abs(times[0].timestamp() - watched.began) < 60


def test_events_count_what_the_table_holds(watched: Watched) -> None:
    started, finished = watched.event("started"), watched.event("finished")
    assert (started["documents"], started["skipped"]) == (2, 1)
    assert (finished["documents"], finished["failed"], finished["pages"]) == (2, 1, 1)
    rows = len(watched.out.read_text().splitlines()) - 1
    assert finished["numbers"] + finished["errors"] == rows
    assert finished["exit_status"] == watched.done.exit_code == 3
    assert 0 < finished["setup_seconds"] < finished["seconds"]
    for name in ("pages", "numbers", "review", "errors"):
        told = [event[name] for event in watched.events if event["event"] == "document"]
        assert sum(told) == finished[name]
    failed = watched.event("page_failed")
    assert (failed["file"], failed["page"]) == ("cut.png", 1)


def test_the_events_are_as_documented(watched: Watched) -> None:
    """Each in docs/watching.md, with all its entries."""
    text = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    lines = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    for event in watched.events:
        named = set(re.findall(r"`(\w+)`", lines[event["event"]]))
        assert event.keys() - {"time", "event"} <= named
    assert {"note", "fault", "failed"} <= lines.keys()


def test_quiet_leaves_the_failures(blank: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    out = tmp_path / "out.csv"
    done = extract(blank, tmp_path / "empty.png", "-o", out, "--log-json", "-q")
    assert [event["event"] for event in events_of(done.stderr)] == ["page_failed"]


# OUT.meta.json


def test_the_record_says_what_the_table_was_made_with(watched: Watched) -> None:
    record = watched.record
    assert record["table"] == {
        "file": "out.csv",
        "bytes": watched.out.stat().st_size,
        "sha256": sha256(watched.out),
    }
    assert record["digitocr"] == digitocr.__version__
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"numpy", "onnxruntime", "pillow", "pypdfium2"} <= record["libraries"].keys()
    assert record["pipeline"] == {"name": "default", "sha256": sha256(PIPELINE)}
    assert record["model"] == {"name": "digits", "sha256": sha256(MODEL)}
    assert record["expect"] == {"sha256": sha256(watched.expect)}
    assert record["options"]["pipeline"] == "default"
    assert record["options"]["inputs"] == [str(watched.out.parent / "scans")]
    assert record["exit_status"] == 3


def test_the_record_and_the_events_agree(watched: Watched) -> None:
    record, started, finished = watched.record, *map(watched.event, ("started", "finished"))
    for name, count in record["counts"].items():
        assert finished[name] == count
    for name in ("digitocr", "python", "libraries", "pipeline", "model", "expect", "device"):
        assert record[name] == started[name]
    for name in ("started", "ended", "seconds", "pages_per_second"):
        assert record[name] == finished[name]
    began, ended = (datetime.fromisoformat(record[name]) for name in ("started", "ended"))
    assert (ended - began).total_seconds() == pytest.approx(record["seconds"], abs=0.05)


def test_two_runs_write_the_same_table_and_their_own_record(blank: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for out in outs:
        assert extract(SAMPLES / "tally.png", "-o", out).exit_code == 0
    records = [json.loads(Path(f"{out}.meta.json").read_text()) for out in outs]
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert records[0]["table"]["sha256"] == records[1]["table"]["sha256"]
    assert records[0]["started"] < records[1]["started"]


def test_standard_output_has_no_record(blank: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert extract(blank, "-o", "-").exit_code == 0
    assert list(tmp_path.iterdir()) == [blank]


def test_a_record_that_cannot_be_written_ends_with_5_and_the_table_is_there(
    blank: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.csv.meta.json").mkdir()
    done = extract(blank, "-o", tmp_path / "out.csv")
    assert done.exit_code == 5
    assert "out.csv.meta.json" in done.stderr
    assert (tmp_path / "out.csv").exists()


# --max-failed


def test_a_run_with_too_many_failures_stops_early_and_the_old_table_stays(
    bad: Path, tmp_path: Path
) -> None:
    out, metrics = tmp_path / "out.csv", tmp_path / "run.prom"
    out.write_text("old")
    Path(f"{out}.meta.json").write_text("{}")
    done = extract(bad, "-o", out, "--max-failed", "0.25", "--metrics", metrics)
    assert done.exit_code == 3
    assert "4 of 12 documents could not be read" in done.stderr.splitlines()[-1]
    assert out.read_text() == "old"
    assert Path(f"{out}.meta.json").read_text() == "{}"
    told = metrics_of(metrics)
    assert (told["documents"], told["failed"], told["exit_status"]) == (4, 4, 3)
    assert "last_success_timestamp_seconds" not in told


@pytest.mark.parametrize("share", [0.0, 0.05, 0.07, 0.29, 0.57, 0.58, 1.0])
@pytest.mark.parametrize("total", [1, 20, 100])
def test_a_run_stops_just_when_it_is_certain_that_too_many_fail(share: float, total: int) -> None:
    allowed = Fraction(str(share)) * total  # in exact numbers: 0.29 * 100 is 28.999999999999996
    for failing in range(total + 1):
        documents = [document(str(k), failed=k < failing) for k in range(total)]
        passed: list[Document] = []
        try:
            for one in Run(quiet=True).watched(documents, total, share):
                passed.append(one)
        except TooManyFailed:
            assert failing > allowed
            assert len(passed) <= allowed < len(passed) + 1
        else:
            assert failing <= allowed
            assert passed == documents


@pytest.mark.parametrize("share", ["1.5", "-0.1", "5%"])
def test_a_share_is_from_0_to_1(share: str, blank: Path, tmp_path: Path) -> None:
    done = extract(blank, "-o", tmp_path / "out.csv", "--max-failed", share)
    assert done.exit_code == 2
    assert "--max-failed" in done.stderr


# --metrics


def test_metrics_are_what_prometheus_reads(watched: Watched) -> None:
    told = metrics_of(watched.metrics)
    for name, count in watched.record["counts"].items():
        assert told[name] == count
    assert told["exit_status"] == 3
    assert told["duration_seconds"] == watched.record["seconds"]
    assert abs(told["last_run_timestamp_seconds"] - watched.began) < 60
    assert told["last_success_timestamp_seconds"] == told["last_run_timestamp_seconds"]


def test_metrics_tell_of_a_failure_and_keep_the_last_success(blank: Path, tmp_path: Path) -> None:
    metrics, out = tmp_path / "run.prom", tmp_path / "out.csv"
    for pipeline, status in (("nonesuch", 6), ("default", 0), ("nonesuch", 6)):
        before = metrics_of(metrics) if metrics.exists() else {}
        done = extract(blank, "-o", out, "--metrics", metrics, "--pipeline", pipeline)
        told = metrics_of(metrics)
        assert done.exit_code == told["exit_status"] == status
        assert told["documents"] == (status == 0)
    success = "last_success_timestamp_seconds"
    assert told[success] == before[success] < told["last_run_timestamp_seconds"]


def test_metrics_of_several_outputs_can_stand_side_by_side(blank: Path, tmp_path: Path) -> None:
    """The collector refuses two files with the same name and labels."""
    labels = set()
    for name in ("a.csv", "b.csv", 'Zürich "x"\n.csv'):
        metrics = tmp_path / f"{len(labels)}.prom"
        extract(tmp_path / "none", "-o", tmp_path / name, "--metrics", metrics)
        families = text_string_to_metric_families(metrics.read_text(encoding="utf-8"))
        labels |= {sample.labels["output"] for family in families for sample in family.samples}
    assert labels == {str(tmp_path / name) for name in ("a.csv", "b.csv", 'Zürich "x"\n.csv')}


def test_metrics_that_no_collector_takes_are_wrong_usage(blank: Path, tmp_path: Path) -> None:
    done = extract(blank, "-o", tmp_path / "out.csv", "--metrics", tmp_path / "m.txt")
    assert done.exit_code == 2
    assert ".prom" in done.stderr
    assert list(tmp_path.iterdir()) == [blank]


def test_metrics_that_cannot_be_written_end_with_5(blank: Path, tmp_path: Path) -> None:
    out, metrics = tmp_path / "out.csv", tmp_path / "missing" / "run.prom"
    done = extract(blank, "-o", out, "--metrics", metrics)
    assert done.exit_code == 5
    assert "run.prom" in done.stderr.splitlines()[-1]
    assert out.exists()
    done = extract(tmp_path / "none", "-o", out, "--metrics", metrics)
    assert done.exit_code == 2  # the first error decides


def test_metrics_tell_that_a_run_was_stopped(tmp_path: Path) -> None:
    metrics = tmp_path / "run.prom"
    for k in range(30):
        shutil.copy(SAMPLES / "answer-sheets.pdf", tmp_path / f"{k}.pdf")
    began = subprocess.Popen(
        [sys.executable, "-m", "digitocr", "extract", tmp_path, "-o", tmp_path / "out.csv",
         "--jobs", "1", "--log-json", "--metrics", metrics],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(
            [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])},
    )  # fmt: skip
    assert began.stderr is not None
    with began.stderr as lines:
        for line in lines:
            if json.loads(line)["event"] == "document":
                break
        began.send_signal(signal.SIGTERM)
        rest = lines.read()
    assert began.wait(20) == 143
    assert metrics_of(metrics)["exit_status"] == 143
    assert metrics_of(metrics)["documents"] >= 1
    last = events_of(rest)[-1]
    assert (last["event"], last["message"], last["exit_status"]) == ("failed", "terminated", 143)


def test_what_a_run_leaves_is_no_document_of_the_next(blank: Path, tmp_path: Path) -> None:
    """The table, its record, the state and the metrics may lie in the input folder."""
    for _ in range(2):
        done = extract(
            *(tmp_path, "-o", tmp_path / "out.csv", "--log-json"),
            *("--metrics", tmp_path / "run.prom"),
        )
        assert done.exit_code == 0
    (started,) = (event for event in events_of(done.stderr) if event["event"] == "started")
    assert (started["documents"], started["skipped"]) == (1, 4)
