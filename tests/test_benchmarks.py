"""The benchmark draws what it says and counts what is right."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
_SPEC = importlib.util.spec_from_file_location("measure", BENCHMARKS / "measure.py")
assert _SPEC and _SPEC.loader
measure = sys.modules["measure"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(measure)


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / program), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_page_holds_about_120_digits(tmp_path: Path) -> None:
    run("pages.py", str(tmp_path), "--count", "3")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".jpg", ".pdf", ".tif"]
    truth = (tmp_path / "truth.csv").read_text().splitlines()[1:]
    digits = sum(len(row.rpartition(",")[2]) for row in truth)
    assert digits / 3 == pytest.approx(120, abs=5)


@pytest.mark.parametrize(
    ("read", "digits", "numbers"),
    [
        (["123", "4567"], 1, 1),
        (["4567", "123", "99"], 1, 1),
        (["123", "4568"], 6 / 7, 0.5),
        (["123", "456"], 6 / 7, 0.5),
        (["123"], 3 / 7, 0.5),
        ([], 0, 0),
    ],
)
def test_digits_and_numbers_right(read: list[str], digits: float, numbers: float) -> None:
    shares = measure.digits_right({"a": ["123", "4567"]}, {"a": read})
    assert shares == pytest.approx((digits, numbers))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_a_program_and_its_children() -> None:
    hold = "import time; held = bytearray(80_000_000); time.sleep(0.5)"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    cost = measure.timed([sys.executable, "-c", nested])
    assert cost.megabytes > 80
    assert cost.seconds > 0.5
