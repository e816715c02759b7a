"""The mutation fuzzing of tests/fuzz.py, for a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).with_name("fuzz.py")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(FUZZ.parent.parent)}


def test_a_moment_of_fuzzing_finds_nothing_in_any_decoder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--seconds", "1", "--keep", str(tmp_path / "kept")],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names, *lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == 11
    for name, *counts in lines:
        told = dict(zip(names[1:], map(int, counts), strict=True))
        assert told["inputs"] == sum(told.values()) - told["inputs"], name
        assert told["read"] > 0, name
        assert told["findings"] == 0, name


def test_a_finding_ends_with_1_and_keeps_its_input(tmp_path: Path) -> None:
    """Where every document meets a fault that nobody foresaw."""
    (tmp_path / "saboteur.py").write_text("def decode(path, options):\n    raise KeyError(7)\n")
    code = f"""
import sys
sys.path[:0] = [{str(FUZZ.parent)!r}, {str(tmp_path)!r}]
import fuzz, saboteur
fuzz.decode = saboteur.decode
sys.argv[1:] = ["--decoder", "png", "--seconds", "1", "--keep", {str(tmp_path / "kept")!r}]
fuzz.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "KeyError" in done.stderr
    kept = list((tmp_path / "kept").iterdir())
    assert kept
    assert all(path.read_bytes() for path in kept[:1])
