"""The command line as users, scripts and dashboards depend on it: status, streams, tables."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import digitocr
from digitocr.cli import digitocr_command
from digitocr.pipeline import Pipeline

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_docs"
TALLY = ["147", "82", "306", "535", "9", "544", "05", "10", "2024"]
COLUMNS = "file,page,field,value,text,confidence,status,left,top,right,bottom,message"
FORMULA = "=cmd|' C calc'!A0.png"
NO_UTF8 = b"caf\xe9.png"
NOTHING_FOUND = f"{COLUMNS}\nblank.png,,,,,0.0000,missing,,,,,no number was found\n"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}

Row = dict[str, str]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "digitocr", *map(str, arguments)]


def run(*arguments: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    settings = {"capture_output": True, "env": ENVIRONMENT, "timeout": 120} | settings
    return subprocess.run(command(*arguments), text=True, check=False, **settings)


def invoke(*arguments: str | Path) -> Result:
    """Run the command in this process, where torch is loaded once."""
    return CliRunner().invoke(digitocr_command, [*map(str, arguments)], prog_name="digitocr")


def table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """The document that is read fastest."""
    path = tmp_path / "blank.png"
    Image.new("L", (300, 200), 255).save(path)
    return path


# Commands and their help


@pytest.mark.parametrize("name", sorted(digitocr_command.commands))
def test_commands_are_documented(name: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    if len(readme.splitlines()) < 10:
        pytest.skip("the README is not written yet")
    assert f"digitocr {name}" in readme


@pytest.mark.parametrize("name", sorted(digitocr_command.commands))
def test_commands_have_help(name: str) -> None:
    shown = invoke(name, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: digitocr {name}")
    for option in digitocr_command.commands[name].params:
        assert option.param_type_name == "argument" or getattr(option, "help", ""), option.name


def test_the_version_comes_at_once() -> None:
    seconds = []
    for _ in range(5):
        began = os.times()
        shown = run("--version")
        ended = os.times()  # of the processor: it may have waited for what else runs
        spent = ended.children_user + ended.children_system
        seconds.append(spent - began.children_user - began.children_system)
    assert digitocr.__version__ in shown.stdout
    assert min(seconds) < 0.3


def test_neither_version_nor_help_loads_what_is_heavy() -> None:
    code = (
        "import sys, digitocr; from digitocr.cli import digitocr_command as c\n"
        "c.main(['--version'], standalone_mode=False); c.main(['--help'], standalone_mode=False)\n"
        "print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"torch", "pandas", "cv2", "numpy", "PIL", "scipy", "skimage"}


# Wrong usage: 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--colour", "red"], "--colour"),
        (["extract", "{blank}", "-o", "{out}.csv", "--dpi", "300"], "--dpi"),
        (["extract", "-o", "{out}.csv"], "INPUT"),
        (["extract", "{blank}"], "--output"),
        (["extract", "{out}/nothing", "-o", "{out}.csv"], "nothing"),
        (["extract", "{blank}", "{out}/nothing", "-o", "{out}.csv"], "nothing"),
        (["extract", "{blank}", "-o", "{out}.xlsx"], ".parquet"),
        (["extract", "{blank}", "-o", "{out}.json", "--wide"], "wide"),
        (["extract", "{blank}", "-o", "{out}.csv", "--jobs", "0"], "--jobs"),
        (["extract", "{blank}", "-o", "{out}.csv", "--device", "tpu"], "--device"),
        (["evaluate", "{out}/nothing"], "nothing"),
        (["train", "-o", "{out}.txt"], ".safetensors"),
        (["train", "-o", "{out}.safetensors", "--mnist", "{out}/nothing"], "nothing"),
        (["evaluate", "{blank}", "--truth", "{out}/labels.csv"], "labels.csv"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(arguments, told, blank, tmp_path) -> None:
    names = {"blank": blank, "out": tmp_path / "out"}
    done = invoke(*(argument.format(**names) for argument in arguments))
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == [blank]


# An output that cannot be written: 5


def test_a_missing_folder_or_one_in_the_way_ends_with_5(blank: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("in the way")
    for arguments in (
        ("-o", tmp_path / "missing" / "out.csv"),
        ("-o", tmp_path / "folder.csv"),
        ("-o", tmp_path / "out.csv", "--overlay", tmp_path / "file" / "overlay"),
    ):
        done = invoke("extract", blank, *arguments)
        assert done.exit_code == 5
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
    assert not (tmp_path / "out.csv").exists()
    assert not any(path.name.endswith(".part") for path in tmp_path.rglob("*"))


def test_a_full_device_ends_with_5(blank: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("extract", blank, "-o", "-", stdout=full, capture_output=False,
                   stderr=subprocess.PIPE)  # fmt: skip
    assert done.returncode == 5
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


# A model or pipeline that cannot be used: 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[clean]\nturm = true\n", "turn"),
        ("[cleaning]\nturn = true\n", "clean"),
        ("[clean]\nturn = 'yes'\n", "turn"),
        ("[ingest]\nrenderer = 'ghostscript'\n", "poppler"),
        ("clean = 3\n", "clean"),
        ("[clean\n", "TOML"),
    ],
)
def test_a_mistake_in_a_pipeline_ends_with_6(text, told, blank, tmp_path) -> None:
    pipeline = tmp_path / "mine.toml"
    pipeline.write_text(text)
    done = invoke("extract", blank, "-o", tmp_path / "out.csv", "--pipeline", pipeline)
    assert done.exit_code == 6
    assert "mine.toml" in done.stderr
    assert told in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_what_is_shipped_is_named_where_another_was_asked_for(blank: Path, tmp_path: Path) -> None:
    for option, shipped in (("--pipeline", "default"), ("--model", "digits")):
        done = invoke("extract", blank, "-o", tmp_path / "out.csv", option, "nonesuch")
        assert done.exit_code == 6
        assert "nonesuch" in done.stderr
        assert shipped in done.stderr


def test_a_damaged_model_ends_with_6_before_anything_is_read(blank: Path, tmp_path: Path) -> None:
    whole = bytearray((ROOT / "models" / "digits.safetensors").read_bytes())
    tampered = whole.copy()
    tampered[-100] ^= 1
    out = tmp_path / "out.csv"
    out.write_text("old")
    for data in (whole[: len(whole) // 2], whole[:20], b"", tampered):
        model = tmp_path / "model.safetensors"
        model.write_bytes(data)
        done = invoke("extract", blank, "-o", out, "--model", model)
        assert done.exit_code == 6
        assert "model.safetensors" in done.stderr
    assert out.read_text() == "old"


def test_workers_without_room_end_with_6(blank: Path, tmp_path: Path) -> None:
    pipeline = tmp_path / "tight.toml"
    pipeline.write_text("[limits]\nworker_megabytes = 60\n")
    done = invoke("extract", blank, "-o", tmp_path / "out.csv", "--pipeline", pipeline)
    assert done.exit_code == 6
    assert "worker_megabytes" in done.stderr
    assert not (tmp_path / "out.csv").exists()


# Documents that fail among ones that do not: 3


class Batch:
    """One run over a folder of good and bad files: what it wrote and what it said."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.done = run("extract", folder, "-o", out, "--log-json", "-v", "--jobs", "2")
        self.rows = table(out)
        self.events = [json.loads(line) for line in self.done.stderr.splitlines()]

    def of(self, file: str) -> list[Row]:
        return [row for row in self.rows if row["file"].lstrip("'") == file]


BAD = {
    "bad/cut.jpg": "cut short",
    "bad/empty.png": "empty",
    "bad/page.pdf": "",
    "bad/text.tif": "",
}


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    folder = tmp_path_factory.mktemp("batch")
    (folder / "bad").mkdir()
    jpeg = (SAMPLES / "cheque-line.jpg").read_bytes()
    (folder / "bad" / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "bad" / "empty.png").write_bytes(b"")
    (folder / "bad" / "page.pdf").write_text("<!doctype html><title>404</title>")
    (folder / "bad" / "text.tif").write_text("The scanner is on holiday.\n")
    (folder / "notes.txt").write_text("no document")
    for name in ("a.png", "z.png", FORMULA, os.fsdecode(NO_UTF8), "a\nb.png"):
        shutil.copy(SAMPLES / "tally.png", folder / name)
    return Batch(folder, tmp_path_factory.mktemp("out") / "out.csv")


def test_a_run_with_bad_documents_ends_with_3(batch: Batch) -> None:
    assert batch.done.returncode == 3
    assert batch.done.stdout == ""


@pytest.mark.parametrize("file", BAD)
def test_each_bad_document_has_its_row(file: str, batch: Batch) -> None:
    (row,) = batch.of(file)
    assert row["status"] == "error"
    assert len(row["message"].split()) > 3
    assert row["page"] in ("", "1")
    assert row["value"] == row["text"] == row["left"] == ""


@pytest.mark.parametrize("file", ["a.png", "z.png", FORMULA, "caf%E9.png", "a\nb.png"])
def test_the_good_ones_are_read_whatever_their_name(file: str, batch: Batch) -> None:
    assert [row["value"] for row in batch.of(file)] == TALLY


def test_a_name_that_is_a_formula_does_not_run(batch: Batch) -> None:
    assert {row["file"] for row in batch.of(FORMULA)} == {"'" + FORMULA}


def test_the_table_is_as_the_contract_says(batch: Batch) -> None:
    assert list(batch.rows[0]) == COLUMNS.split(",")
    for row in batch.rows:
        assert row["status"] in ("ok", "review", "blank", "missing", "error")
        assert 0 <= float(row["confidence"]) <= 1
        if row["status"] in ("ok", "review"):
            left, top, right, bottom = (int(row[edge]) for edge in COLUMNS.split(",")[7:11])
            assert left < right and top < bottom
            assert re.fullmatch(r"[0-9]+", row["value"])
            assert int(row["page"]) >= 1


def test_rows_are_in_order_of_file_and_field(batch: Batch) -> None:
    """Files in byte order of their names, as they are on the disk; fields as they are read."""
    files = list(dict.fromkeys(row["file"].lstrip("'") for row in batch.rows))
    names = [FORMULA, "a\nb.png", "a.png", *sorted(BAD), "caf%E9.png", "z.png"]
    assert files == names
    for file in files:
        fields = [row["field"] for row in batch.of(file)]
        assert fields in ([""], [f"n{k}" for k in range(1, len(fields) + 1)])


def test_messages_are_json_where_they_are_asked_for(batch: Batch) -> None:
    assert all("event" in event for event in batch.events)
    errors = {event["file"] for event in batch.events if event["event"] == "page_failed"}
    assert errors == set(BAD)
    (end,) = (event for event in batch.events if event["event"] == "finished")
    assert end["documents"] == 9
    assert end["errors"] == 4
    assert end["numbers"] == 5 * len(TALLY)


def test_no_message_holds_a_value_of_a_document(batch: Batch) -> None:
    told = re.findall(r"\d+", batch.done.stderr)
    assert not {"147", "306", "535", "544", "2024"} & set(told)


# Streams


def test_a_dash_writes_the_table_alone_and_quiet_says_nothing(tmp_path: Path) -> None:
    """And a run under nohup, which has hangups ignored, is not ended by one."""
    began = subprocess.Popen(
        command("extract", SAMPLES / "tally.png", "-q", "-o", "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    time.sleep(0.8)
    began.send_signal(signal.SIGHUP)
    out, said = began.communicate(timeout=60)
    assert began.returncode == 0
    assert said == ""
    assert out.splitlines()[0] == COLUMNS
    assert [row["value"] for row in csv.DictReader(io.StringIO(out))] == TALLY


def test_a_reader_that_stops_ends_the_run_quietly() -> None:
    pages = [SAMPLES / name for name in ("tally.png", "answer-sheets.pdf", "meter-cards.tif")]
    began = subprocess.Popen(
        command("extract", *pages, "-q", "-o", "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert began.stdout is not None
    assert began.stderr is not None
    assert began.stdout.readline().strip() == COLUMNS
    began.stdout.close()
    said = began.stderr.read()
    began.stderr.close()
    assert began.wait(60) == 5
    assert said == ""


def test_progress_is_for_terminals(blank: Path, tmp_path: Path) -> None:
    done = invoke("extract", blank, "-o", tmp_path / "out.csv")
    assert done.exit_code == 0
    assert "\r" not in done.stderr
    assert re.fullmatch(r"digitocr: 1 document, 1 page, 0 numbers, .*\n", done.stderr)
    assert (tmp_path / "out.csv").read_text() == NOTHING_FOUND


def test_closed_streams_do_not_spoil_the_table(blank: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    line = " ".join(f"'{part}'" for part in command("extract", blank, "-o", out))
    done = subprocess.run(["sh", "-c", f"{line} >&- 2>&-"], env=ENVIRONMENT, check=False)
    assert done.returncode == 0
    assert out.read_text() == NOTHING_FOUND


# JSON and overlays


def test_json_and_overlays(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = invoke(
        "extract", SAMPLES / "meter-cards.tif", "-o", out, "--overlay", tmp_path / "drawn"
    )
    assert done.exit_code == 0
    (document,) = json.loads(out.read_text(encoding="utf-8"))
    assert list(document) == ["schema", "file", "sha256", "pipeline", "model", "pages", "errors"]
    assert document["schema"] == 1
    assert re.fullmatch(r"[0-9a-f]{64}", document["sha256"])
    assert list(document["model"]) == ["name", "sha256"]
    assert [page["page"] for page in document["pages"]] == [1, 2]
    for page in document["pages"]:
        head = ["page", "width", "height", "dpi", "rotation", "skew", "numbers"]
        assert list(page) == head
        with Image.open(tmp_path / "drawn" / f"meter-cards.tif.p{page['page']}.png") as drawn:
            assert drawn.size == (page["width"], page["height"])
        for number in page["numbers"]:
            assert "".join(digit["value"] for digit in number["digits"]) == number["value"]
            for digit in number["digits"]:
                assert list(digit) == ["value", "confidence", "box", "alternatives"]


def test_overlays_of_files_of_one_name_stand_side_by_side(blank: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    Image.new("L", (200, 300), 255).save(tmp_path / "other" / blank.name)
    done = invoke(
        *("extract", blank, tmp_path / "other" / blank.name),
        *("-o", tmp_path / "out.csv", "--overlay", tmp_path / "drawn"),
    )
    assert done.exit_code == 0
    for name, size in (("blank.png.p1.png", (300, 200)), ("blank.png.2.p1.png", (200, 300))):
        with Image.open(tmp_path / "drawn" / name) as drawn:
            assert drawn.size == size


# Faults of our own: 1


class Saboteur:
    """Bars that fail as our own code might; they travel to workers."""

    @property
    def apart(self) -> None:
        raise KeyError(str(6 * 7) + "00")


def test_a_fault_of_our_own_costs_its_page_and_ends_with_1(monkeypatch, blank, tmp_path) -> None:
    secret = str(6 * 7) + "00"
    model, data, transcriber, _, *rest = Pipeline.load(device="cpu").brought
    monkeypatch.setattr(Pipeline, "brought", (model, data, transcriber, Saboteur(), *rest))
    out = tmp_path / "out.csv"
    done = invoke("extract", blank, "-o", out)
    assert done.exit_code == 1
    assert "apart" in done.stderr
    assert "KeyError" in done.stderr
    assert secret not in done.stderr
    (row,) = table(out)
    assert row["status"] == "error"
    assert row["page"] == "1"


# Scores


def test_evaluate_prints_one_object_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "tally.png", tmp_path)
    truth = tmp_path / "truth.csv"
    rows = "".join(f"tally.png,1,,{value}\n" for value in TALLY)
    truth.write_text("file,page,field,value\n" + rows)
    done = invoke("evaluate", tmp_path / "tally.png", "--truth", truth)
    assert done.exit_code == 0
    scores = json.loads(done.stdout)
    assert scores["fields"] == len(TALLY)
    assert scores["exact"] == 1
    assert scores["extra_rows"] == 0
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = invoke("evaluate", tmp_path, "--truth", truth)
    assert done.exit_code == 3
    assert json.loads(done.stdout)["exact"] == 1


# Signals: 130 and 143


def alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    return False


def wait_until(condition: Any, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _as_at_a_terminal() -> None:
    """Listen to Ctrl-C again, which a shell makes its background jobs deaf to."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More documents than are read in the time it takes to send a signal."""
    folder = tmp_path_factory.mktemp("pile")
    for k in range(60):
        (folder / f"{k}.pdf").symlink_to(SAMPLES / "answer-sheets.pdf")
        # Each one differs, or all but the first would be known already.
        sheets = (SAMPLES / "answer-sheets.pdf").read_bytes() + b"%% %d\n" % k
        (folder / f"copy-{k}.pdf").write_bytes(sheets)
    return folder


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
@pytest.mark.parametrize(
    ("number", "to_all", "delay", "status"),
    [
        (signal.SIGINT, True, 0.5, 130),  # Ctrl-C goes to every process of the terminal
        (signal.SIGTERM, False, 0.5, 143),
        (signal.SIGINT, True, None, 130),  # while it is still starting
        (signal.SIGKILL, False, 0.5, -9),
    ],
)
def test_an_interrupted_run_leaves_nothing_but_what_it_read(
    number, to_all, delay, status, pile, children, tmp_path
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    began = subprocess.Popen(
        command("extract", pile, "-o", out, "--jobs", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=_as_at_a_terminal,
    )
    workers: set[int] = set()
    if delay is None:
        time.sleep(0.7)
    else:
        assert wait_until(lambda: len(children(began.pid)) >= 2)
        time.sleep(delay)
        workers = children(began.pid)
    (os.killpg if to_all else os.kill)(began.pid, number)
    printed, said = began.communicate(timeout=20)
    assert began.returncode == status
    assert printed == ""
    assert "Traceback" not in said
    # A worker sees that nobody waits for it when it has read the pages at hand.
    assert wait_until(lambda: not any(map(alive, workers)), 30)
    assert out.read_text() == "old"
    if number != signal.SIGKILL:
        assert said.splitlines()[-1] in ("digitocr: interrupted", "digitocr: terminated")
        left = {path.name for path in tmp_path.iterdir()}
        assert left in ({"out.csv"}, {"out.csv", "out.csv.state"})
