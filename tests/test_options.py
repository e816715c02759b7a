"""Options come from TOML as their class says, or an error names what is valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from digitocr.errors import PipelineError
from digitocr.options import load_options
from digitocr.recipe import ModelOptions, Recipe, load_recipe
from digitocr.training.options import load_train_recipe

SHIPPED = Path(__file__).resolve().parent.parent / "pipelines"


@dataclass(frozen=True, slots=True)
class Inner:
    folder: str
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Outer:
    name: str = ""
    count: int = 3
    keep: bool = True
    way: Literal["in", "out"] = "in"
    widths: tuple[int, ...] = (1, 2)
    one: Inner = field(default_factory=lambda: Inner("here"))
    many: tuple[Inner, ...] = ()


def load(text: str, folder: Path) -> Outer:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_options(Outer, path, "file", name="mine")


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load("", tmp_path) == Outer(name="mine")


def test_tables_arrays_and_whole_shares_are_filled_in(tmp_path: Path) -> None:
    text = (
        'name = "yours"\ncount = 4\nkeep = false\nway = "out"\nwidths = [7]\n'
        '[one]\nfolder = "a"\nshare = 1\n[[many]]\nfolder = "b"\n[[many]]\nfolder = "c"\n'
    )
    assert load(text, tmp_path) == Outer(
        "yours", 4, False, "out", (7,), Inner("a", 1.0), (Inner("b"), Inner("c"))
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cuont = 4", "unknown key 'cuont'; the valid ones are name, count, keep"),
        ("[one]\nfolder = 'a'\nsaher = 1", "one: unknown key 'saher'; the valid ones are folder"),
        ("count = 4.0", "count must be a whole number, not 4.0"),
        ("count = true", "count must be a whole number, not True"),
        ("keep = 1", "keep must be true or false, not 1"),
        ("way = 'up'", "way must be one of 'in', 'out', not 'up'"),
        ("way = ['in']", "way must be one of"),
        ("widths = ['a']", "widths must be a whole number, not 'a'"),
        ("widths = 7", "widths must be an array, not 7"),
        ("one = 3", "one must be a table"),
        ("[one]\nshare = 1", "folder"),
        ("[[many]]\nshare = 1", "folder"),
        ("count = ", "not valid TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_valid(text, told, tmp_path) -> None:
    with pytest.raises(PipelineError, match="mine") as caught:
        load(text, tmp_path)
    assert told in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="No such file"):
        load_options(Outer, tmp_path / "none.toml", "file", name="none")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PipelineError, match="not valid TOML"):
        load_options(Outer, tmp_path / "bytes.toml", "file", name="bytes")


def test_every_shipped_file_is_valid() -> None:
    for path in SHIPPED.glob("*.toml"):
        load = load_train_recipe if path.stem.startswith("train-") else load_recipe
        assert load(path).name == path.stem.removeprefix("train-")


def test_the_default_pipeline_is_the_defaults_with_the_model_for_whole_numbers() -> None:
    assert load_recipe(SHIPPED / "default.toml") == Recipe(model=ModelOptions(numbers="numbers"))
