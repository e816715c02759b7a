"""docs/recipes.md holds: what it shows is taken out of it and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
SAMPLES = ROOT / "sample_docs"
SECONDS = 60


def snippet(heading: str, language: str, holds: str = "") -> str:
    """The first block of a language under a heading that holds some text."""
    _, _, section = RECIPES.partition(f"\n## {heading}\n")
    section = section.partition("\n## ")[0]
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return str(next(block for block in blocks if holds in block))


def write_program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scans/, numbers/ and, first on the path, programs/ with digitocr."""
    for name in ("scans", "numbers", "programs"):
        (tmp_path / name).mkdir()
    write_program(
        tmp_path / "programs" / "digitocr",
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m digitocr "$@"\n',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:{os.environ['PATH']}")
    monkeypatch.setenv("SCANS", str(tmp_path / "scans"))
    monkeypatch.setenv("NUMBERS", str(tmp_path / "numbers"))
    shutil.copy(SAMPLES / "tally.png", tmp_path / "scans")
    return tmp_path


@pytest.fixture
def nightly(place: Path) -> Path:
    return write_program(place / "programs" / "digitocr-nightly", snippet("cron", "sh"))


def run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")


# cron


def test_cron_mails_nothing_while_all_is_well_and_what_failed_when_not(
    nightly: Path, place: Path
) -> None:
    done = run([nightly])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    table = (place / "numbers" / "numbers.csv").read_text()
    assert "tally.png,1,n1," in table
    (place / "scans" / "cut.png").write_bytes((SAMPLES / "tally.png").read_bytes()[:5000])
    done = run([nightly])
    assert "failed" in done.stdout
    assert done.stderr == ""
    failed = {path.name for path in (place / "numbers" / "failed").iterdir()}
    assert failed == {"cut.png", "cut.png.reason.txt"}
    assert (place / "numbers" / "numbers.csv").read_text() != table
    assert "(1 kept from before)" in (place / "numbers" / "digitocr.log").read_text()


@pytest.mark.parametrize(
    ("status", "mailed"), [(0, ""), (75, ""), (3, "failed"), (1, "1"), (5, "5"), (143, "143")]
)
def test_cron_mails_of_every_end_that_needs_a_person(
    status: int, mailed: str, nightly: Path, place: Path
) -> None:
    program = f"#!/bin/sh\necho why it ended >&2\nexit {status}\n"
    write_program(place / "programs" / "digitocr", program)
    said = run([nightly]).stdout
    assert mailed in said if mailed else said == ""
    assert ("why it ended" in said) == (status not in (0, 3, 75))


# systemd


@needs("systemd-analyze")
def test_systemd_takes_the_units(place: Path) -> None:
    units = {
        "digitocr.service": snippet("systemd", "ini", "[Service]"),
        "digitocr.timer": snippet("systemd", "ini", "[Timer]"),
        "digitocr.path": snippet("A watched folder", "ini", "[Path]"),
    }
    program = str(place / "programs" / "digitocr")
    for name, text in units.items():
        (place / name).write_text(text.replace("/opt/digitocr/bin/digitocr", program))
    done = run(["systemd-analyze", "verify", *(place / name for name in units)])
    ours = [line for line in done.stderr.splitlines() if "digitocr" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_units_start_a_command_that_exists(place: Path) -> None:
    (command,) = re.findall(r"^ExecStart=(.*)$", RECIPES, re.MULTILINE)
    words = command.replace("/srv/", f"{place}/").split()[1:]
    assert run([sys.executable, "-m", "digitocr", *words]).returncode == 0
    assert (place / "numbers" / "numbers.csv").exists()


# A watched folder


@needs("inotifywait")
@needs("bash")
def test_a_watched_folder_is_read_whenever_a_scan_was_written(
    nightly: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUIET", "1")
    watch = write_program(place / "programs" / "watch", snippet("A watched folder", "bash"))
    table = place / "numbers" / "numbers.csv"
    process = subprocess.Popen([watch], start_new_session=True)
    try:
        wait_until(table.exists)
        half = (SAMPLES / "cheque-line.jpg").read_bytes()
        with (place / "scans" / "new.jpg").open("wb") as file:
            file.write(half[:20000])
            file.flush()
            run([nightly])  # which meets it half written
            assert "new.jpg,,,,,0.0000,error" in table.read_text() or "new.jpg,1" in (
                table.read_text()
            )
            file.write(half[20000:])
        wait_until(lambda: re.search(r"^new.jpg,1,n1,\d+", table.read_text(), re.MULTILINE))
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def wait_until(holds: object) -> None:
    assert callable(holds)
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


# Airflow


def test_the_dag_is_python_and_its_command_maps_the_exit_status(place: Path) -> None:
    text = snippet("Airflow", "python")
    compile(text, "digitocr_dag.py", "exec")
    command = text.split('"""')[3].replace("\\\n", "").replace("/opt/digitocr/bin/", "")
    for status, told in {0: 0, 3: 0, 5: 5, 75: 75}.items():
        write_program(place / "programs" / "digitocr", f"#!/bin/sh\nexit {status}\n")
        assert run(["sh", "-c", command]).returncode == told


# A container


def can_unshare() -> bool:
    return (
        shutil.which("bwrap") is not None
        and run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]).returncode == 0
    )


@pytest.mark.skipif(not can_unshare(), reason="needs bwrap, and leave to use it")
@pytest.mark.parametrize("shape", [[], ["--wide"]])
def test_no_network_and_a_read_only_root_change_nothing(shape: list[str], place: Path) -> None:
    numbers, elsewhere = place / "numbers", place / "elsewhere.csv"
    command = ["digitocr", "extract", str(SAMPLES), *shape, "--jobs", "2", "-o"]
    text = snippet("A container with no network and a read-only root", "sh", "bwrap")
    walls = text.partition("digitocr extract")[0].replace("\\\n", " ")
    for folder in (ROOT, place / "programs"):  # which may lie below the /tmp that is hidden
        walls += f" --ro-bind {folder} {folder}"
    walls += " --setenv HOME /nonexistent --uid 65534 --gid 65534 "
    inside = walls.replace("/srv/numbers", str(numbers)).split()
    done = run([*inside, *command, str(numbers / "numbers.csv")])
    assert done.returncode == 0, done.stderr
    assert run([*command, str(elsewhere)]).returncode == 0
    assert (numbers / "numbers.csv").read_bytes() == elsewhere.read_bytes()


# All


@needs("shellcheck")
@pytest.mark.parametrize(("heading", "language"), [("cron", "sh"), ("A watched folder", "bash")])
def test_shellcheck_finds_nothing_in_the_scripts(
    heading: str, language: str, tmp_path: Path
) -> None:
    script = write_program(tmp_path / "script", snippet(heading, language))
    done = run(["shellcheck", script])
    assert done.returncode == 0, done.stdout


def test_every_option_in_the_recipes_exists() -> None:
    known = run([sys.executable, "-m", "digitocr", "extract", "--help"]).stdout
    used = {
        option
        for block in re.findall(r"digitocr extract.*?(?:\n\n|[^\\]\n)", RECIPES, re.DOTALL)
        for option in re.findall(r"\s(--[a-z-]+)", block)
    }
    assert used >= {"--jobs", "--quarantine", "--max-failed"}
    assert all(option in known for option in used)
