"""What a table was made with, by what and when: ``OUT.meta.json`` beside it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import digitocr
from digitocr.output import open_output, writing
from digitocr.tables import printable
from digitocr.types import ModelId
from digitocr.versions import installed_version

__all__ = ["origin_of", "write_record"]

SCHEMA = 1
_LIBRARIES = (  # whose version may change what is read
    *("numpy", "onnxruntime", "opencv-python-headless", "pillow", "pypdfium2"),
    *("safetensors", "scikit-image", "scipy", "torch"),
)
_CHUNK = 1 << 20  # bytes


def origin_of(
    pipeline: Path, models: Sequence[ModelId], device: str, expect: Path | None
) -> dict[str, Any]:
    """Versions and hashes: all that a table depends on beside the documents.

    pipeline, expect: the files; expect is None where any value may stand. models: that reads
    digits, and the one that reads whole numbers, if any.
    Hashes are SHA-256 of the files' bytes, in hex.
    """
    return {
        "digitocr": digitocr.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": _versions(),
        "pipeline": {"name": pipeline.stem, "sha256": _sha256(pipeline)},
        "model": asdict(models[0]),
        "numbers_model": asdict(models[1]) if len(models) > 1 else None,
        "device": device,
        "expect": None if expect is None else {"sha256": _sha256(expect)},
    }


def write_record(
    out: str,
    origin: Mapping[str, Any],
    options: Mapping[str, Any],
    totals: Mapping[str, Any],
    status: int,
) -> None:
    """Write what stands behind the table ``out`` to ``OUT.meta.json``; nothing for ``-``.

    options: of the command, by name. totals: as ``Run.totals``. status: how the run exits.
    Raises OutputError where it cannot be written; then an older one is still there, whose
    ``table.sha256`` is not that of the table.
    """
    if out == "-":
        return
    table = Path(out)
    with writing(out):
        made = {"file": printable(table.name), "bytes": table.stat().st_size}
        made["sha256"] = _sha256(table)
    record = {
        "schema": SCHEMA,
        "table": made,
        **origin,
        "options": {name: _plain(value) for name, value in options.items()},
        **totals,
        "exit_status": status,
    }
    text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    with open_output(f"{out}.meta.json") as file, writing(f"{out}.meta.json"):
        file.write(text.encode())


def _versions() -> dict[str, str]:
    """The installed versions of the libraries that read."""
    found = {name: installed_version(name) for name in _LIBRARIES}
    return {name: version for name, version in found.items() if version}


def _sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """An option's value as JSON has it."""
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return printable(str(value))
