"""What a field may hold, sign by sign: the grammar that a reading is searched within.

A grammar is an automaton whose states are few: texts of the same state may go on in the same
ways, so that of two readings in one state only the better one need be followed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache

from digitocr.assembling.amounts import amount
from digitocr.assembling.automaton import Automaton, compiled, of_patterns
from digitocr.assembling.checksums import CHECKS, Check
from digitocr.assembling.dates import date, time
from digitocr.assembling.kinds import Kind, number, of_digits, of_pattern
from digitocr.assembling.listed import Search, entries_of
from digitocr.errors import PipelineError
from digitocr.recipe import ValueOptions, checked_value, range_of
from digitocr.types import CLASSES, Grammar

__all__ = ["grammar_of", "unchecked"]


def grammar_of(options: ValueOptions, expected: Sequence[str] | None = None) -> Grammar:
    """The grammar of a field.

    expected: texts of which one must be meant; the value is then that one, stripped. A text
    means an entry of the same canonical value, or, where the entry has none, of the same
    digits. Of entries with the same value the first one stands for all.

    Raises PipelineError where the options make no sense or let nothing pass, and where the
    list is empty or has an entry that nothing can mean.
    """
    checked_value(options, "value")
    if expected is not None and not expected:
        raise PipelineError("the list of expected values is empty; fill it or leave it out")
    any_value = _any_value(options)
    return any_value if expected is None else _one_of(any_value, expected)


def unchecked(grammar: Grammar) -> Grammar:
    """The same grammar without its check digits; itself, where it asks for none."""
    bare = grammar.bare if isinstance(grammar, _Open | _Listed) else None
    return grammar if bare is None else bare


@dataclass(frozen=True, slots=True)
class _Open:
    """Any value of a kind. bare: the same without check digits, None where there are none."""

    kind: Kind
    texts: Automaton
    bare: _Open | None = None

    @property
    def start(self) -> int:
        return 0

    def step(self, state: int, sign: str) -> int | None:
        return self.texts.moves[state].get(sign)

    def value(self, text: str, state: int) -> str | None:
        pattern = self.texts.ends[state]
        return None if pattern is None else self.kind.read(self.kind.essence(text), pattern)


@dataclass(frozen=True, slots=True)
class _Listed:
    """The values of a list. bare: as for any value."""

    search: Search
    bare: _Listed | None = None

    @property
    def start(self) -> tuple[int, int]:
        return (0, 0)

    def step(self, state: tuple[int, int], sign: str) -> tuple[int, int] | None:
        return self.search.step(state, sign)

    def value(self, text: str, state: tuple[int, int]) -> str | None:
        return self.search.entry(state, self.search.entries.kind.essence(text))


@cache
def _any_value(options: ValueOptions) -> _Open:
    """The grammar of a field without a list, made once for all fields of the same options."""
    kind = _kind(options)
    bare = _Open(kind, _texts(kind, options))
    if not options.check:
        return bare
    texts = _checked(bare.texts, CHECKS[options.check])
    if texts.empty:
        raise PipelineError(f"value: nothing of this kind can pass check = {options.check!r}")
    return _Open(kind, texts, bare)


def _one_of(grammar: _Open, expected: Sequence[str]) -> _Listed:
    """The part of a grammar that means an entry of a list."""
    entries = entries_of(expected, grammar.texts, grammar.kind)
    bare = None if grammar.bare is None else _Listed(Search(grammar.bare.texts, entries))
    return _Listed(Search(grammar.texts, entries), bare)


def _kind(options: ValueOptions) -> Kind:
    """The kind of value that valid options ask for."""
    if options.kind == "digits":
        return of_digits(*_range(options.digits))
    if options.kind == "amount":
        return amount(options.decimals, options.point == "implied")
    if options.kind == "date":
        return date(options.order, _range(options.years) if options.years else None)
    if options.kind == "time":
        return time(options.hours)
    if options.kind == "pattern":  # the whole text must match anyway
        return of_pattern(options.pattern.removeprefix("^").removesuffix("$"))
    return number()


def _range(text: str) -> tuple[int, int]:
    span = range_of(text)
    assert span is not None, "checked_value lets nothing else pass"
    return span


def _texts(kind: Kind, options: ValueOptions) -> Automaton:
    """The valid texts of a kind, without regard to check digits. Raises PipelineError."""
    if options.kind != "pattern":
        return of_patterns(kind.patterns)
    try:
        texts = of_patterns(kind.patterns)
    except Exception as error:  # interegular raises plain ones too
        raise PipelineError(
            "value: pattern must be a regular expression without back references, look-behinds"
            f" and word boundaries, as in '[0-9]{{3}}-[0-9]{{4}}', not {options.pattern!r}"
        ) from error
    texts = _checked(texts, _SOME_DIGIT)
    if texts.empty:
        raise PipelineError(
            f"value: pattern must match a text of digits and . , - / ', not {options.pattern!r}"
        )
    return texts


_SOME_DIGIT = Check(False, lambda state, digit: True, bool)


def _checked(texts: Automaton, check: Check) -> Automaton:
    """The texts of an automaton whose digits pass a check."""

    def step(state: tuple[int, Hashable], sign: str) -> tuple[int, Hashable] | None:
        to = texts.moves[state[0]].get(sign)
        after = check.step(state[1], int(sign)) if sign in CLASSES else state[1]
        return None if to is None or after is None else (to, after)

    return compiled(
        (0, check.start),
        step,
        lambda state: texts.ends[state[0]] if check.passes(state[1]) else None,
    )
