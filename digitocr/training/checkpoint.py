"""Checkpoints: a training's state on disk after each epoch, from which it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from digitocr.errors import OutputError

__all__ = ["State", "kept_state", "save_state"]

State = dict[str, Any]
Report = Callable[[str], None]


def save_state(checkpoint: Path, mark: str, state: State) -> None:
    """Write a checkpoint, whole or not at all. Raises OutputError.

    mark: of all that the training depends on.
    """
    unfinished = checkpoint.with_name(checkpoint.name + ".part")
    try:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"mark": mark, **state}, unfinished)
        unfinished.replace(checkpoint)
    except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of a missing folder
        raise OutputError(f"the checkpoint {checkpoint} cannot be written") from error


def kept_state(checkpoint: Path, mark: str, device: str, report: Report) -> State | None:
    """The state of the very same training, if there is one.

    A checkpoint of another, or a damaged one, is moved out of the way, and ``report`` says
    so. Raises OutputError where it cannot be moved.
    """
    try:
        state: State = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["mark"] == mark:
            return state
    except Exception:  # a damaged pickle raises anything
        pass
    if checkpoint.exists():
        kept = _set_aside(checkpoint)
        report(f"the checkpoint is of another training, or damaged: kept as {kept.name}")
    return None


def _set_aside(checkpoint: Path) -> Path:
    """Move a checkpoint out of the way: hours of work are not written over for a mistyped option.

    Raises OutputError where it cannot be moved.
    """
    kept = checkpoint.with_name(f"{checkpoint.name}.{int(checkpoint.stat().st_mtime)}")
    try:
        return checkpoint.replace(kept)
    except OSError as error:
        raise OutputError(f"{checkpoint} cannot be moved: {error.strerror}") from error
