"""Options from a TOML file: a frozen class says which keys there are and what they hold.

A table fills a nested options class, an array a tuple. An unknown key and a value of the
wrong type are errors that name what is valid.
"""

from __future__ import annotations

import sys
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from digitocr.errors import PipelineError

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser, from PyPI, until 3.10 is gone
    import tomli as tomllib

__all__ = ["filled", "load_options"]

_Options = TypeVar("_Options")
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def load_options(kind: type[_Options], path: Path, what: str, name: str) -> _Options:
    """The options of a class that has a ``name``, from a TOML file.

    what: the file is called in messages. name: where the file gives none.
    Raises PipelineError where the file is missing, is no TOML, or has a key or a value
    that the class does not know.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineError(f"the {what} {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"the {what} {path} is not valid TOML: {error}") from error
    options: _Options = filled(kind, {"name": name} | table, where=str(path))
    return options


def filled(kind: type, table: dict[str, Any], where: str) -> Any:
    """An options object from a table as TOML or JSON gives it; see ``load_options``.

    where: what messages name as the table's place.
    """
    types = typing.get_type_hints(kind)
    valid = [field.name for field in fields(kind)]
    unknown = sorted(set(table) - set(valid))
    if unknown:
        raise PipelineError(
            f"{where}: unknown key '{unknown[0]}'; the valid ones are {', '.join(valid)}"
        )
    values = {key: _value(types[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:  # a key without a default is not there
        raise PipelineError(f"{where}: {error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    """The value, if it is of the kind that the option's annotation asks for."""
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise PipelineError(f"{where} must be a table")
        return filled(kind, value, where)
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_value(typing.get_args(kind)[0], one, where) for one in value)
    if typing.get_origin(kind) is Literal:
        return _one_of(typing.get_args(kind), value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise PipelineError(f"{where} must be {_WORDS.get(kind, 'an array')}, not {value!r}")
    return value


def _one_of(valid: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in valid:
        raise PipelineError(f"{where} must be one of {', '.join(map(repr, valid))}, not {value!r}")
    return value
