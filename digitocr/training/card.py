"""The model card: what a model was made of, and what it scored while it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digitocr.errors import OutputError
from digitocr.weights import Header

__all__ = ["write_card"]


def write_card(
    model: Path,
    header: Header,
    listing: Sequence[Mapping[str, object]],
    history: Sequence[Mapping[str, float]],
) -> Path:
    """Write the card beside the model, as Markdown of the same name. Raises OutputError."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    parts = [
        f"# {model.stem}",
        _facts(model, header, digest),
        "## Data",
        _data_table(listing),
        "## Validation",
        _validation(history),
        "## Recipe",
        "```toml\n" + _toml(header.recipe) + "\n```",
    ]
    card = model.with_suffix(".md")
    try:
        card.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"the card {card} cannot be written: {error.strerror}") from error
    return card


def _facts(model: Path, header: Header, digest: str) -> str:
    """What the file is."""
    return "\n".join(
        [
            f"- file: `{model.name}`, {model.stat().st_size:,} bytes, SHA-256 `{digest}`",
            f"- network: `{', '.join(header.layers)}`; {header.outputs} outputs",
            f"- pictures: 28x28, normalisation `{header.normalization}`",
            f"- temperature: {header.temperature:.4f}",
            f"- seed {header.training.get('seed')}, {header.training.get('epochs')} epochs, "
            "weights of the last",
        ]
    )


def _data_table(listing: Sequence[Mapping[str, object]]) -> str:
    """One row per source: what was trained on and what kept back."""
    rows = [
        "| source | licence | trained on | times an epoch | kept back |",
        "|---|---|--:|--:|--:|",
    ]
    for one in listing:
        cells = (one[key] for key in ("source", "licence", "trained", "times", "validated"))
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def _validation(history: Sequence[Mapping[str, float]]) -> str:
    """The accuracy on the writers kept back, after the last epoch."""
    if not history or len(history[-1]) < 2:
        return "No writers were kept back."
    rows = ["| kept back | accuracy |", "|---|--:|"]
    rows += [
        f"| {name} | {100 * value:.2f} % |" for name, value in history[-1].items() if name != "loss"
    ]
    return "Writers of whom nothing was trained on, after the last epoch:\n\n" + "\n".join(rows)


def _toml(recipe: Mapping[str, Any]) -> str:
    """The recipe as TOML: plain keys first, then one table per group."""
    plain = [f"{key} = {_literal(value)}" for key, value in recipe.items() if _is_plain(value)]
    tables = []
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            tables.append(f"\n[{key}]\n{_toml(value)}")
        elif not _is_plain(value):
            tables += [f"\n[[{key}]]\n{_toml(one)}" for one in value]
    return "\n".join(plain + tables)


def _is_plain(value: Any) -> bool:
    """True for what TOML writes on one line."""
    nested = isinstance(value, (list, tuple)) and any(isinstance(one, Mapping) for one in value)
    return not isinstance(value, Mapping) and not nested


def _literal(value: Any) -> str:
    """A TOML literal."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return str(value)
