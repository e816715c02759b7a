"""The shipped pipelines and models are found in a checkout and in an installed package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from digitocr.errors import ModelError, PipelineError
from digitocr.resources import find_model, find_pipeline

ROOT = Path(__file__).resolve().parent.parent


def test_shipped_files_are_found_by_name() -> None:
    assert find_pipeline("default") == ROOT / "pipelines" / "default.toml"
    assert find_model("digits") == ROOT / "models" / "digits.safetensors"


def test_a_path_is_itself(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.touch()
    assert find_pipeline(str(mine)) == mine
    assert find_pipeline(os.path.relpath(mine)).samefile(mine)


@pytest.mark.parametrize(
    "name", ["none", "none.toml", "folder/none", "", "..", "digits.safetensors"]
)
def test_a_pipeline_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(PipelineError, match="pipeline"):
        find_pipeline(name)


@pytest.mark.parametrize("name", ["none", "none.safetensors", "folder/none", "README"])
def test_a_model_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(ModelError, match="model"):
        find_model(name)


def test_an_installed_package_finds_its_own(tmp_path: Path) -> None:
    """As the wheel is laid out: the folders lie inside the package."""
    package = tmp_path / "digitocr"
    shutil.copytree(ROOT / "digitocr", package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("pipelines", "models"):
        shutil.copytree(ROOT / folder, package / folder)
    code = (
        "from digitocr.resources import find_model, find_pipeline\n"
        "print(find_pipeline('default'), find_model('digits'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    for path in found.stdout.split():
        assert Path(path).is_relative_to(package)


def test_it_says_that_it_has_types() -> None:
    assert (ROOT / "digitocr" / "py.typed").is_file()
