"""The model card: what a model was made of, and what it scored while it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digitocr.errors import OutputError
from digitocr.risk import RiskTable
from digitocr.strips import HEIGHT, STRIP
from digitocr.weights import Header

__all__ = ["scores_table", "write_card", "write_text"]

_RISKS = (0.001, 0.005, 0.01, 0.02, 0.05)


def write_card(model: Path, header: Header) -> Path:
    """Write the card beside the model, as Markdown of the same name. Raises OutputError.

    All that it says stands in the header too, but for the SHA-256 of the file.
    """
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    training = header.training
    parts = [f"# {model.stem}", _facts(model, header, digest)]
    if "parent" in training:
        parts += ["## Made from", _parent(training["parent"])]
    parts += [
        "## Data",
        _data_table(training["data"]),
        "## Scores",
        _scores(training["scores"]),
        *_risk(header),
        "## Recipe",
        "```toml\n" + _toml(header.recipe) + "\n```",
    ]
    card = model.with_suffix(".md")
    write_text(card, "\n\n".join(parts) + "\n")
    return card


def scores_table(scores: Mapping[str, Mapping[str, object]]) -> str:
    """Scores as Markdown, a row for each source and a column for each score."""
    names = list(dict.fromkeys(name for one in scores.values() for name in one))
    rows = [
        "| kept back | " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "|---|" + "--:|" * len(names),
    ]
    for source, one in scores.items():
        cells = (_cell(one.get(name, "")) for name in names)
        rows.append(f"| {source} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def write_text(file: Path, text: str) -> None:
    """Write a text whole or not at all. Raises OutputError."""
    unfinished = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror}") from error


def _facts(model: Path, header: Header, digest: str) -> str:
    """What the file is."""
    return "\n".join(
        [
            f"- file: `{model.name}`, {model.stat().st_size:,} bytes, SHA-256 `{digest}`",
            f"- network: `{', '.join(header.layers)}`; {header.outputs} outputs",
            _pictures(header),
            f"- temperature: {header.temperature:.4f}",
            f"- seed {header.training.get('seed')}, {header.training.get('epochs')} epochs, "
            "weights of the last",
            *_began(header),
        ]
    )


def _began(header: Header) -> list[str]:
    """Whose weights the first ones were, if any's."""
    began = header.training.get("began")
    return [f"- first weights: those of the file with SHA-256 `{began}`"] if began else []


def _pictures(header: Header) -> str:
    """What the network is shown."""
    if header.normalization == STRIP:
        return f"- pictures: strips of {HEIGHT} rows, format `{STRIP}`"
    return f"- pictures: 28x28, normalisation `{header.normalization}`"


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


def _scores(scores: Mapping[str, Mapping[str, object]]) -> str:
    """What was scored on the data kept back."""
    if not scores:
        return "Nothing was kept back."
    return "On what was kept back from this training:\n\n" + scores_table(scores)


def _risk(header: Header) -> list[str]:
    """What ``--max-error`` makes of the header's table, if it has one."""
    table = RiskTable.from_header(header.training.get("risk", {}))
    if not table.rows:
        return []
    _confidence, values, wrong = table.rows[-1]
    rows = [
        f"{values:,} numbers were composed of digits of {_unseen(header)}; {wrong:,} were "
        "read wrongly. Of the surest, as many as `--max-error` accepts:",
        "",
        "| error accepted | from confidence | of these numbers | wrong | at most, nine in ten |",
        "|--:|--:|--:|--:|--:|",
    ]
    for risk in _RISKS:
        accepted = table.accepted(risk)
        told = (
            f"{accepted.confidence:.4f} | {accepted.values / values:.1%} | {accepted.wrong} | "
            f"{accepted.most:.2%}"
            if accepted
            else "none | | |"
        )
        rows.append(f"| {risk:.1%} | {told} |")
    if "trust" in header.training:
        trust = header.training["trust"]
        rows += [
            "",
            f"The logarithms of the strip's shares count {trust['strip']:.2f}, of the lattice's "
            f"{trust['lattice']:.2f}, and {trust['cut']:.2f} where it cuts through ink; those are "
            f"no less than {trust['least']:.1f}.",
        ]
    return ["## Risk", "\n".join(rows)]


def _unseen(header: Header) -> str:
    """Whose digits told the risk."""
    sources = header.training.get("weighed_by")
    if not sources:
        return "those who were kept back"
    return f"{' and '.join(sources)}, half of them, or drawn stroke by stroke"


def _parent(parent: Mapping[str, Any]) -> str:
    """What model it was made from, and which of the two reads better."""
    rows = [
        f"`{parent['name']}`, SHA-256 `{parent['sha256']}`. Mistakes of both on the same data, "
        "a digit refused being one too:",
        "",
        "| kept back | samples | before | after |",
        "|---|--:|--:|--:|",
    ]
    for one in parent["compared"]:
        cells = (one[key] for key in ("source", "samples", "before", "after"))
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    if parent["saw_them"]:
        rows += [
            "",
            "The old one was trained with nothing kept back: of all but the user's "
            "sources it has seen these very samples, which flatters it.",
        ]
    known = ["What that one was trained on:", "", _data_table(parent["data"])]
    unknown = ["What that one was trained on, and by which licences, stands in its own card."]
    rows += ["", parent["verdict"], "", *(known if parent["data"] else unknown)]
    return "\n".join(rows)


def _cell(value: object) -> str:
    """A score for a person."""
    return f"{100 * value:.2f} %" if isinstance(value, float) else str(value)


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
