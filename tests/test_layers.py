"""Imports point one way: cli -> pipeline, training, review -> stages -> recipe -> types."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "digitocr"
GROUND = {"types", "errors", "options"}
STAGES = {
    *("ingest", "clean", "segment", "normalize", "lift"),
    *("classify", "transcribe", "assemble", "check", "export"),
}
ABOVE = {
    "cli",
    "__main__",
    "pipeline",
    "prepare",
    "annotate",
    "run",
    "extraction",
    "state",
    "stored",
    "resume",
    "lock",
    "fingerprint",
    "record",
    "metrics",
    "quarantine",
    "engines",
    "merge",
    "shard",
    "training",
    "review",
}
IN_WORKERS = (
    *("prepare", "annotate", "ingest", "clean", "segment", "normalize", "lift", "looks"),
    "reader",
    "engines.worker",
)
ON_CARDS = {"classifying.cuda", "network"}  # loaded where there are graphics cards, not by workers


def name_of(path: Path) -> str:
    """``engines.local`` for digitocr/engines/local.py, ``engines`` for its __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


@cache
def imported(module: str) -> frozenset[str]:
    """All that a module imports anywhere in it, by dotted name."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import hides where it points"
            found.add(str(node.module))
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def own(module: str) -> set[str]:
    """The modules of ours that a module imports."""
    return {name.removeprefix("digitocr.") for name in imported(module)} & MODULES.keys()


def reached(module: str) -> set[str]:
    """The modules of ours that a module imports, and those that they import, and so on."""
    found: set[str] = set()
    front = [module]
    while front:
        new = own(front.pop()) - found
        found |= new
        front += new
    return found


def foreign(module: str) -> set[str]:
    """The packages of others that a module imports."""
    return {name.partition(".")[0] for name in imported(module)}


def test_the_ground_stands_on_nothing() -> None:
    for module in GROUND:
        assert own(module) <= GROUND
        assert not foreign(module) & {"cv2", "torch", "pandas", "pyarrow", "PIL", "click"}


@pytest.mark.parametrize("module", ["recipe", "resources"])
def test_options_stand_on_the_ground(module: str) -> None:
    assert reached(module) <= GROUND


@pytest.mark.parametrize("stage", sorted(STAGES & MODULES.keys()))
def test_a_stage_knows_no_other_stage_and_nothing_above(stage: str) -> None:
    below = reached(stage)
    assert below & STAGES == set()
    assert {module.partition(".")[0] for module in below} & ABOVE == set()


def test_only_the_command_line_stands_above_the_pipeline() -> None:
    above = {module.partition(".")[0] for module in reached("pipeline")}
    assert not above & {"cli", "run", "training", "review", "export", "score"}


def test_nothing_imports_the_command_line_but_its_door() -> None:
    assert [module for module in MODULES if "cli" in own(module)] == ["__main__"]


def test_no_module_stands_on_itself() -> None:
    lazy = {"__init__"}  # brings in the pipeline when it is asked for
    assert [module for module in MODULES if module not in lazy and module in reached(module)] == []


def test_only_the_command_line_imports_click() -> None:
    assert [module for module in MODULES if "click" in foreign(module)] == ["cli"]


def test_ray_is_imported_by_its_engine_alone() -> None:
    assert [module for module in MODULES if "ray" in foreign(module)] == ["engines.ray"]


def test_torch_lives_where_digits_are_classified_and_trained() -> None:
    users = {module for module in MODULES if foreign(module) & {"torch", "torchvision"}}
    assert {module for module in users if not module.startswith("training.")} <= (
        reached("classify") | {"classify"}
    )


@pytest.mark.parametrize("module", IN_WORKERS)
def test_nothing_a_worker_reads_with_leads_to_torch_or_pandas(module: str) -> None:
    for below in {module, *reached(module)} - ON_CARDS:
        assert not foreign(below) & {"torch", "torchvision", "pandas", "pyarrow"}, below


def loaded_by(statement: str) -> set[str]:
    """The packages that a fresh Python has loaded after a statement."""
    command = f"import sys; {statement}; print(*(n.partition('.')[0] for n in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    return set(run.stdout.split())


def test_the_import_is_light() -> None:
    heavy = {"torch", "pandas", "cv2", "skimage", "scipy", "pyarrow", "matplotlib", "PIL", "click"}
    assert not loaded_by("import digitocr, digitocr.recipe, digitocr.resources") & heavy


def test_a_worker_stays_light() -> None:
    heavy = {"torch", "pandas", "pyarrow", "matplotlib", "click", "ray", "scipy", "skimage"}
    assert not loaded_by("import digitocr.prepare, digitocr.annotate") & heavy


def test_a_worker_that_classifies_stays_light() -> None:
    heavy = {"torch", "pandas", "pyarrow", "matplotlib", "click", "ray", "scipy", "skimage"}
    bring = (
        "from digitocr.classify import Classifier; from digitocr.resources import find_model; "
        "from digitocr.prepare import bring; from digitocr.risk import Bars; "
        "from digitocr.recipe import ValueOptions; "
        "shipped = Classifier.load(find_model('digits'), 'cpu'); "
        "bring(shipped.id, shipped.file_bytes, None, Bars(), ValueOptions('date'), ['1/2/2003'])"
    )
    loaded = loaded_by(bring)
    assert "onnxruntime" in loaded
    assert not loaded & heavy


def test_export_loads_a_format_when_it_is_asked_for() -> None:
    assert not loaded_by("import digitocr.export") & {"pyarrow", "pandas", "torch", "cv2"}


@pytest.mark.parametrize(
    ("part", "stages"),
    [
        ("formats", {"ingest"}),
        ("cleaning", {"clean"}),
        ("segmenting", {"segment"}),
        ("classifying", {"classify", "transcribe"}),
        ("assembling", {"assemble"}),
    ],
)
def test_the_parts_of_a_stage_are_used_by_it_alone(part: str, stages: set[str]) -> None:
    for module in MODULES:
        inside = module in stages or module.partition(".")[0] == part
        assert inside or not any(name.partition(".")[0] == part for name in own(module)), module
