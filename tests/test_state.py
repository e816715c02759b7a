"""What runs remember: nothing is read twice, nothing is lost, whatever ends a run."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

import digitocr
from digitocr.cli import digitocr_command
from digitocr.errors import OutputError
from digitocr.fingerprint import Fingerprint
from digitocr.ingest import Source, content_hash
from digitocr.resume import Resumption
from digitocr.state import TRIES, State, open_state
from digitocr.stored import packed, unpacked
from digitocr.types import Digit, Document, ModelId, Number, PageReading, ReadError

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
DOCUMENTS = 40
NO_UTF8 = os.fsdecode(b"caf\xe9")
MARK = Fingerprint("reading", "limits")


def write_number(path: Path, value: int) -> None:
    """A small picture of a printed number, which is read in a few milliseconds."""
    picture = Image.new("L", (360, 160), 255)
    ImageDraw.Draw(picture).text((40, 50), str(value), 0, ImageFont.load_default(40))
    picture.save(path)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads each picture as one number; documents are not held back to be read together."""
    path = tmp_path_factory.mktemp("pipeline") / "small.toml"
    shipped = (ROOT / "pipelines" / "number.toml").read_text(encoding="utf-8")
    path.write_text(shipped.replace("[model]", "[model]\nbatch = 1"), encoding="utf-8")
    return path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three pictures, one of them damaged."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, value in (("a.png", 147), ("c.png", 306)):
        write_number(folder / name, value)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:200])
    return folder


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pile")
    for k in range(DOCUMENTS):
        write_number(folder / f"{k:03}.png", 10_000 + 991 * k)
    return folder


class Extract:
    """A run in this process. kept: how many documents it did not read."""

    def __init__(self, *arguments: str | Path) -> None:
        line = ["extract", *map(str, arguments), "--jobs", "1", "--log-json"]
        done = CliRunner().invoke(digitocr_command, line, prog_name="digitocr")
        events = [json.loads(one) for one in done.stderr.splitlines() if one.startswith("{")]
        ends = [event for event in events if event["event"] == "finished"]
        self.status = done.exit_code
        self.said = done.stderr
        self.kept = ends[0]["kept"] if ends else None
        self.documents = ends[0]["documents"] if ends else None


def begin(*arguments: str | Path, **settings: Any) -> subprocess.Popen[str]:
    """A run in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "digitocr", "extract", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
        **settings,
    )


def state_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.state")


def remembered(out: Path) -> int:
    """How many documents the state of an output holds by now."""
    if not state_of(out).exists():
        return 0
    with contextlib.closing(sqlite3.connect(state_of(out))) as state:
        if not state.execute("SELECT * FROM sqlite_master").fetchall():
            return 0  # not yet made
        return int(state.execute("SELECT count(*) FROM documents").fetchone()[0])


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


# What need not be read again


def test_a_second_run_reads_nothing_and_writes_the_same(
    pipeline: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    order = (scans, "-o", out, "--pipeline", pipeline)
    first = Extract(*order)
    table = out.read_bytes()
    assert (first.status, first.kept, first.documents) == (3, 0, 3)
    monkeypatch.setattr("digitocr.pipeline.Workers", None)  # who reads, fails
    again = Extract(*order)
    assert (again.status, again.kept, again.documents) == (3, 3, 3)
    assert "b.png" in again.said
    assert out.read_bytes() == table
    assert len(json.loads(table)) == 3


def test_the_summary_says_how_many_were_kept(pipeline: Path, scans: Path, tmp_path: Path) -> None:
    line = ["extract", scans / "a.png", "-o", tmp_path / "out.csv", "--pipeline", pipeline]
    for told in ("digitocr: 1 document, 1 page,", "digitocr: 1 document (1 kept from before),"):
        done = CliRunner().invoke(digitocr_command, [*map(str, line)])
        assert done.stderr.startswith(told)


def test_only_what_is_new_or_changed_is_read(pipeline: Path, scans: Path, tmp_path: Path) -> None:
    out, clean = tmp_path / "out.json", tmp_path / "clean.json"
    order = (scans, "--pipeline", pipeline, "-o")
    Extract(*order, out)
    write_number(scans / "a.png", 544)  # changed
    write_number(scans / "d.png", 82)  # new
    (scans / "b.png").rename(scans / "z.png")
    shutil.copy(scans / "c.png", scans / f"{NO_UTF8}.png")
    again = Extract(*order, out)
    assert (again.documents, again.kept) == (5, 3)
    Extract(*order, clean)
    assert out.read_bytes() == clean.read_bytes()
    files = [document["file"] for document in json.loads(out.read_bytes())]
    assert files == ["a.png", "c.png", "caf%E9.png", "d.png", "z.png"]
    (scans / "d.png").unlink()
    gone = Extract(*order, out)
    assert (gone.documents, gone.kept) == (4, 4)
    assert "d.png" not in out.read_text()


def test_copies_in_one_run_are_read_once(pipeline: Path, scans: Path, tmp_path: Path) -> None:
    for k in range(20):
        shutil.copy(scans / "a.png", scans / f"copy-{k:02}.png")
    done = Extract(scans, "-o", tmp_path / "out.csv", "--pipeline", pipeline)
    assert (done.documents, done.kept) == (23, 20)


def test_another_way_of_reading_reads_all_again(
    pipeline: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, mine = tmp_path / "out.csv", tmp_path / "small.toml"
    shutil.copy(pipeline, mine)

    def kept(*more: str | Path) -> int | None:
        return Extract(scans, "-o", out, "--pipeline", mine, *more).kept

    kept()
    mine.write_text("# only a comment\n" + mine.read_text())
    assert kept() == 3
    mine.write_text(mine.read_text() + "[assemble]\nmin_confidence = 0.5\n")
    assert (kept(), kept()) == (0, 3)
    model = tmp_path / "other.safetensors"
    shutil.copy(ROOT / "models" / "digits.safetensors", model)
    assert (kept("--model", model), kept("--model", model)) == (0, 3)
    awaited = tmp_path / "awaited.csv"
    awaited.write_text("147\n306\n")
    assert (kept("--expect", awaited), kept("--expect", awaited)) == (0, 3)
    awaited.write_text("147\n306\n9\n")
    assert kept("--expect", awaited) == 0
    assert (kept(), kept()) == (0, 3)
    monkeypatch.setattr("digitocr.fingerprint._program", lambda: {"digitocr": "9.9"})
    assert (kept(), kept()) == (0, 3)


def test_fresh_reads_all_again(pipeline: Path, scans: Path, tmp_path: Path) -> None:
    order = (scans, "-o", tmp_path / "out.csv", "--pipeline", pipeline)
    assert [Extract(*order).kept, Extract(*order).kept] == [0, 3]
    assert Extract(*order, "--fresh").kept == 0
    assert Extract(*order).kept == 3


def test_standard_output_is_not_remembered(pipeline: Path, scans: Path, tmp_path: Path) -> None:
    order = (scans / "a.png", "-o", "-", "--pipeline", pipeline)
    assert [Extract(*order).kept, Extract(*order).kept] == [0, 0]
    refused = Extract(*order, "--fresh")
    assert refused.status == 2
    assert "--fresh" in refused.said
    assert not list(scans.glob("*.state"))


def test_overlays_are_drawn_of_what_is_kept_too(
    pipeline: Path, scans: Path, tmp_path: Path
) -> None:
    order = (scans, "-o", tmp_path / "out.csv", "--pipeline", pipeline)
    Extract(*order)
    assert Extract(*order, "--overlay", tmp_path / "drawn").kept == 3
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == ["a.png.p1.png", "c.png.p1.png"]


def test_what_lies_among_the_documents_is_met_and_not_followed(pipeline: Path, scans: Path) -> None:
    """Pipes, devices and links; and the run's own output and state."""
    os.mkfifo(scans / "pipe.png")
    (scans / "zero.png").symlink_to("/dev/zero")
    (scans / "link.png").symlink_to(scans / "a.png")
    out = scans / f"{NO_UTF8}.csv"
    for kept in (0, 3):
        done = Extract(scans, "-o", out, "--pipeline", pipeline)
        assert (done.status, done.documents, done.kept) == (3, 6, kept)
    left = {path.name for path in scans.iterdir()}
    assert left >= {out.name, state_of(out).name}
    assert not any(name.startswith(".") for name in left)


# What failed


def test_what_may_pass_is_tried_again_a_few_times(
    pipeline: Path, scans: Path, tmp_path: Path
) -> None:
    hasty, patient = tmp_path / "hasty", tmp_path / "patient"
    for folder, seconds in ((hasty, 1e-4), (patient, 60)):
        folder.mkdir()
        limits = f"[limits]\npage_seconds = {seconds}\n"
        (folder / "small.toml").write_text(pipeline.read_text() + limits)

    def run(folder: Path) -> Extract:
        way = ("--pipeline", folder / "small.toml")
        return Extract(scans / "a.png", "-o", tmp_path / "out.csv", *way)

    assert [run(hasty).kept for _ in range(TRIES + 1)] == [0] * TRIES + [1]
    read = run(patient)
    assert (read.status, read.kept) == (0, 0)
    assert run(hasty).kept == 1  # what was read stays so


def document(*errors: ReadError, sha256: str = "") -> Document:
    return Document("a.png", sha256, "default", ModelId("digits", "0" * 64), errors=errors)


@contextlib.contextmanager
def state(path: Path, mark: Fingerprint = MARK) -> Iterator[State]:
    with open_state(str(path), mark) as opened:
        yield opened


def test_failures_are_kept_by_their_cause(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    damaged = document(ReadError(1, "broken"))
    slow = document(ReadError(1, "broken"), ReadError(2, "slow", transient=True))
    for tried in range(1, TRIES + 1):
        with state(out) as now:
            now.keep("damaged", damaged)
            now.keep("slow", slow)
            now.keep("read", document())
            assert now.knows("read")
            assert now.knows("damaged")
            assert now.knows("slow") == (tried == TRIES)
            assert not now.knows("other")
    with state(out, Fingerprint(MARK.reading, "raised")) as now:
        assert now.knows("read")
        assert not now.knows("damaged")
        assert not now.knows("slow")
    with state(out, Fingerprint("changed", MARK.limits)) as now:
        assert not now.knows("read")
        assert now.reading("read", "a.png") is None


def test_what_is_gone_for_long_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, day = tmp_path / "out.csv", 86400
    began = time.time()
    for days, names in ((0, "ab"), (60, "b"), (100, "")):
        monkeypatch.setattr("digitocr.state.time.time", lambda at=began + days * day: at)
        with state(out) as now:
            for name in names:
                now.keep(name, document()) if not days else now.reading(name, "a.png")
            now.forget_old()
    with state(out) as now:
        assert [now.knows("a"), now.knows("b")] == [False, True]


def test_a_document_comes_back_to_the_last_bit() -> None:
    shares = [0.1 + 0.2, float(np.nextafter(1, 0)), 5e-324, 1 / 3]
    digit = Digit("0", shares[0], (1, 2, 3, 4), (("7", shares[1]), ("1", shares[2])))
    number = Number(f"x/{NO_UTF8}", 1, "n1", "007", "00 7\u2028\udce9", shares[3], "review",
                    (0, 0, 9, 9), "why", (digit,))  # fmt: skip
    bare = Number(f"x/{NO_UTF8}", 1, "n2", "", "", 0.0, "missing")
    page = PageReading(1, 30, 40, 299.99999999999994, 90, -0.30000000000000004, (number, bare))
    errors = (ReadError(2, "slow", transient=True), ReadError(None, "broken"))
    whole = Document(f"x/{NO_UTF8}", "ab", "mine", ModelId("m", "cd"),
                     (page, PageReading(3, 1, 1, None, 0, 0.0, ())), errors)  # fmt: skip
    data = packed(whole)
    assert unpacked(data, whole.file) == whole
    assert {one.file for one in unpacked(data, "new.png").numbers} == {"new.png"}
    for broken in (data[:-9], data[:20] + bytes([data[20] ^ 1]) + data[21:], b""):
        with pytest.raises(ValueError):
            unpacked(broken, "a.png")


# Files that change meanwhile


def test_a_reading_is_kept_by_the_content_that_was_read(tmp_path: Path) -> None:
    """Not by that which was seen a moment before; a copy of the latter is read in its turn."""
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for path in paths:
        path.write_bytes(b"old")
    sources = [Source(path, path.name) for path in paths]
    old = content_hash(paths[0], 1)

    def read(some: Any) -> Iterator[tuple[Source, Document]]:
        for source in list(some):
            if source == sources[0]:
                source.path.write_bytes(b"new")
            yield source, document(sha256=content_hash(source.path, 1))

    with state(tmp_path / "out.csv") as now:
        memory = Resumption(now, 1)
        told = [done.sha256 for _, done in memory.documents(sources, read)]
        new = content_hash(paths[0], 1)
        assert told == [new, old, old]
        assert memory.kept == 1
        assert now.knows(new)


def test_a_failure_is_not_kept_for_a_content_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    old = content_hash(path, 1)

    def read(some: Any) -> Iterator[tuple[Source, Document]]:
        for source in some:
            source.path.write_bytes(b"new")
            yield source, document(ReadError(None, "changed"))

    with state(tmp_path / "out.csv") as now:
        list(Resumption(now, 1).documents([Source(path, "a.png")], read))
        assert not now.knows(old)


# Runs that are killed


def run_and_kill(out: Path, order: tuple[str | Path, ...], seconds: float, workers: bool) -> None:
    """Kill a run so long after it has begun its work, alone or with its workers."""
    run = begin(*order, out)
    wait_until(lambda: state_of(out).exists() or run.poll() is not None)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(seconds)
    with contextlib.suppress(ProcessLookupError):  # it was done before
        (os.killpg if workers else os.kill)(run.pid, signal.SIGKILL)
    run.communicate()
    assert wait_until(lambda: group_is_gone(run.pid), 10), "a worker outlives its owner"


def test_twelve_kills_at_random_moments_change_nothing(
    pipeline: Path, pile: Path, tmp_path: Path
) -> None:
    clean, out = tmp_path / "clean.json", tmp_path / "out.json"
    order = (pile, "--pipeline", pipeline, "--jobs", "1", "-o")
    Extract(*order, clean)
    chance = random.Random(5)
    found = []
    for kill in range(12):
        run_and_kill(out, order, seconds=chance.uniform(0, 1.2), workers=kill % 2 == 1)
        found.append(remembered(out))
    assert found == sorted(found)
    last = Extract(*order, out)
    assert last.kept == found[-1]
    assert out.read_bytes() == clean.read_bytes()
    left = sorted(path.name for path in tmp_path.glob("*out*"))
    assert left == ["out.json", "out.json.meta.json", "out.json.state"]


def test_a_run_that_is_asked_to_end_finishes_what_is_at_hand(
    pipeline: Path, pile: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    run = begin(pile, "-o", out, "--pipeline", pipeline, "--jobs", "1")
    assert wait_until(state_of(out).exists)
    time.sleep(0.2)  # until it has been given a page, too
    run.terminate()  # the first worker is still starting
    _, said = run.communicate(timeout=60)
    assert run.returncode == 143
    assert said.splitlines() == ["digitocr: terminated"]
    assert out.read_text() == "old"
    kept = remembered(out)
    assert 1 <= kept < DOCUMENTS
    again = Extract(pile, "-o", out, "--pipeline", pipeline)
    assert (again.status, again.documents, again.kept) == (0, DOCUMENTS, kept)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_pages_at_hand_are_kept_whoever_hears_the_signal(
    number: signal.Signals, status: int, pipeline: Path, pile: Path, tmp_path: Path
) -> None:
    """The signal goes to the workers too, as from a terminal or a service manager."""
    out, copies = tmp_path / "out.csv", tmp_path / "copies"
    copies.mkdir()
    for k in range(1500):  # of other contents: bytes after a picture's end do not matter
        data = (pile / "001.png").read_bytes()
        (copies / f"{k}.png").write_bytes(data + str(k).encode())
    run = begin(
        *(copies, "-o", out, "--pipeline", pipeline, "--jobs", "1"),
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert wait_until(lambda: remembered(out))
    os.killpg(run.pid, number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == status
    assert "Traceback" not in said
    with contextlib.closing(sqlite3.connect(state_of(out))) as kept:
        outcomes = kept.execute("SELECT DISTINCT outcome FROM documents").fetchall()
    assert outcomes == [("read",)]
    assert remembered(out) < 1500
    assert not list(tmp_path.glob(".*"))


# Two runs


def test_one_run_at_a_time_for_an_output_by_whatever_name(
    pipeline: Path, scans: Path, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    out, link = tmp_path / "real" / "out.csv", tmp_path / "link.csv"
    link.symlink_to(out)
    (tmp_path / "also").symlink_to(out.parent, target_is_directory=True)
    first = begin(scans, "-o", out, "--pipeline", pipeline)
    lock = out.with_name(".out.csv.lock")
    assert wait_until(lock.exists)
    first.send_signal(signal.SIGSTOP)
    try:
        for name in (out, link, tmp_path / "also" / "out.csv"):
            second = Extract(scans, "-o", name, "--pipeline", pipeline)
            assert second.status == 75
            assert "another run" in second.said
        assert Extract(scans, "-o", tmp_path / "other.csv", "--pipeline", pipeline).status == 3
    finally:
        first.send_signal(signal.SIGCONT)
    first.communicate(timeout=60)
    assert first.returncode == 3
    assert Extract(scans, "-o", link, "--pipeline", pipeline).kept == 3
    assert link.is_symlink()
    assert not lock.exists()


def test_where_there_are_no_locks_the_run_says_so_and_goes_on(
    pipeline: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for kept in (0, 3):
        done = Extract(scans, "-o", tmp_path / "out.csv", "--pipeline", pipeline)
        assert (done.status, done.kept) == (3, kept)
        assert "knows no locks" in done.said


def test_who_looks_into_the_state_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitocr.state._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("digitocr.state._COMMIT_SECONDS", 0.0)
    out = tmp_path / "out.csv"
    with state(out) as now:
        now.keep("before", document())
        with contextlib.closing(sqlite3.connect(state_of(out))) as looking:
            looking.execute("BEGIN")
            looking.execute("SELECT * FROM documents").fetchone()
            now.keep("meanwhile", document())
            now.keep("after", document())
    assert remembered(out) == 3


# States that cannot be used


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as found:
        found.execute("PRAGMA user_version = 99")


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


def scribbled(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as found:
        found.execute("UPDATE readings SET document = x'00'")
        found.commit()


def foreign(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as found:
        found.execute("CREATE TABLE mine (value)")


@pytest.mark.parametrize("spoil", [newer, torn, overwritten, scribbled, foreign])
def test_a_state_that_cannot_be_used_ends_with_5_and_fresh_helps(
    spoil: Callable[[Path], None], pipeline: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    order = (scans, "-o", out, "--pipeline", pipeline)
    Extract(*order)
    out.write_text("old")
    spoil(state_of(out))
    spoilt = state_of(out).read_bytes()
    done = Extract(*order)
    assert done.status == 5
    events = [json.loads(line)["event"] for line in done.said.splitlines()]
    assert events in (["failed"], ["started", "failed"])
    assert state_of(out).name in done.said
    assert ("--fresh" in done.said) == (spoil is not foreign)
    assert out.read_text() == "old"
    assert state_of(out).read_bytes() == spoilt
    assert (Extract(*order, "--fresh").kept, Extract(*order).kept) == (0, 3)


def test_a_folder_in_the_place_of_the_state_ends_with_5(
    pipeline: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    state_of(out).mkdir()
    for more in ((), ("--fresh",)):
        done = Extract(scans, "-o", out, "--pipeline", pipeline, *more)
        assert done.status == 5
        assert state_of(out).name in done.said
    assert not out.exists()


def test_a_state_is_for_its_owner_alone(pipeline: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    Extract(scans, "-o", out, "--pipeline", pipeline)
    assert state_of(out).stat().st_mode & 0o777 == 0o600


# Disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no file system can be mounted: {error}")
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("free", [0, 20, 84])  # KB: for nothing, an empty state, half a table
def test_a_full_disk_ends_with_5_and_the_next_run_goes_on(
    free: int, pipeline: Path, pile: Path, small_disk: Path
) -> None:
    out, ballast = small_disk / "out.json", small_disk / "ballast"
    out.write_text("old")
    ballast.write_bytes(bytes(1024 * (256 - 4 - free)))
    order = (pile, "-o", out, "--pipeline", pipeline)
    done = Extract(*order)
    assert done.status == 5
    events = [json.loads(line)["event"] for line in done.said.splitlines()]
    assert events[-1] == "failed" and set(events[:-1]) <= {"started", "document"}
    assert out.read_text() == "old"
    ballast.unlink()
    kept = remembered(out)
    again = Extract(*order)
    assert (again.status, again.documents, again.kept) == (0, DOCUMENTS, kept)
    assert (kept > 0) == (free > 80)
    assert sorted(path.name for path in small_disk.iterdir()) == [
        "out.json",
        "out.json.meta.json",
        "out.json.state",
    ]


def test_files_that_may_not_grow_end_the_run_with_5(
    pipeline: Path, pile: Path, tmp_path: Path
) -> None:
    """Where no disk can be filled, the limit on a file's size stands for it."""
    out = tmp_path / "out.json"
    out.write_text("old")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    order = (pile, "-o", out, "--pipeline", pipeline, "--jobs", "1")
    run = begin(*order, preexec_fn=limited)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 5
    assert said.count("\n") == 1
    assert out.read_text() == "old"
    assert Extract(*order).status == 0


def test_a_folder_that_goes_away_ends_the_run_with_5(
    pipeline: Path, pile: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    run = begin(pile, "-o", folder / "out.csv", "--pipeline", pipeline, "--jobs", "1")
    assert wait_until(state_of(folder / "out.csv").exists)
    shutil.rmtree(folder)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 5
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_a_state_without_a_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError), state(tmp_path / "missing" / "out.csv"):
        pass


def test_the_version_of_the_program_is_part_of_the_fingerprint() -> None:
    from digitocr.fingerprint import _program

    assert _program()["digitocr"] == digitocr.__version__
    assert len(_program()["code"]) == 64
