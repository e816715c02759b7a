"""Automata over what is read on paper: digits and separators, one sign after the other.

Every automaton here is trimmed and minimal: each of its states leads to an end, so that no
step is possible that nothing valid follows, and states with equal futures are one state.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from interegular import parse_pattern

from digitocr.types import CLASSES

__all__ = ["ANY_SEPARATOR", "SEPARATORS", "SIGNS", "Automaton", "compiled", "of_patterns", "one_of"]

SEPARATORS = ".,-/'"
SIGNS = CLASSES + SEPARATORS
ANY_SEPARATOR = "[.,/'-]"

_State = TypeVar("_State", bound=Hashable)
_States = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Automaton:
    """A deterministic automaton; it starts in state 0.

    moves: for each state, the signs that may follow and the states they lead to.
    ends: for each state, the name of the pattern that a text ending there matches, None
        where no text may end.
    """

    moves: tuple[Mapping[str, int], ...]
    ends: tuple[str | None, ...]

    @property
    def empty(self) -> bool:
        """Whether it accepts no text at all."""
        return not any(end is not None for end in self.ends)

    def end(self, text: str) -> str | None:
        """The name of the pattern that a whole text matches, None where it matches none."""
        state: int | None = 0
        for sign in text:
            if state is None:
                return None
            state = self.moves[state].get(sign)
        return None if state is None else self.ends[state]


def compiled(
    start: _State,
    step: Callable[[_State, str], _State | None],
    end: Callable[[_State], str | None],
) -> Automaton:
    """The minimal automaton that does as ``step`` and ``end`` say.

    step: the state after a sign, None where there is none; from ``start`` only finitely many
    states are reached. end: the name of what ends in a state, None where nothing does.
    """
    number = {start: 0}
    moves: list[dict[str, int]] = []
    order = [start]
    for state in order:  # grows meanwhile
        row = {}
        for sign in SIGNS:
            after = step(state, sign)
            if after is not None:
                if after not in number:
                    number[after] = len(order)
                    order.append(after)
                row[sign] = number[after]
        moves.append(row)
    return _minimal(*_trimmed(moves, [end(state) for state in order]))


def of_patterns(patterns: Mapping[str, str]) -> Automaton:
    """The automaton of regular expressions, each by its name; a text matches one of them.

    Raises an error of interegular's where an expression is none, or no regular one.
    """
    machines = [(name, *_machine(pattern)) for name, pattern in patterns.items()]

    def step(states: _States, sign: str) -> _States | None:
        after = tuple(
            None if state is None else moves.get(state, {}).get(sign)
            for state, (_, moves, _) in zip(states, machines, strict=True)
        )
        return None if set(after) == {None} else after

    def end(states: _States) -> str | None:
        both = zip(states, machines, strict=True)
        return next((name for state, (name, _, finals) in both if state in finals), None)

    start: _States = (0,) * len(machines)
    return compiled(start, step, end)


def one_of(words: Iterable[str]) -> str:
    """A short regular expression that matches some words of digits and nothing else."""
    tails: dict[str, set[str]] = {}
    for word in words:
        tails.setdefault(word[:1], set()).add(word[1:])
    optional = tails.pop("", None) is not None
    heads: dict[frozenset[str], str] = {}
    for head, rest in sorted(tails.items()):
        heads[frozenset(rest)] = heads.get(frozenset(rest), "") + head
    choices = "|".join(f"[{head}]{one_of(rest)}" for rest, head in heads.items())
    if optional:
        return f"(?:{choices})?" if choices else ""
    return f"(?:{choices})" if len(heads) > 1 else choices


def _machine(pattern: str) -> tuple[dict[int, dict[str, int]], frozenset[int]]:
    """Moves and final states of a regular expression, over our signs; it starts in state 0."""
    machine = parse_pattern(pattern).to_fsm()
    kinds = {sign: machine.alphabet[sign] for sign in SIGNS}
    number = {machine.initial: 0}
    for state in machine.map:
        number.setdefault(state, len(number))
    moves = {
        number[state]: {sign: number[row[kind]] for sign, kind in kinds.items() if kind in row}
        for state, row in machine.map.items()
    }
    return moves, frozenset(number[state] for state in machine.finals)


def _trimmed(
    moves: list[dict[str, int]], ends: list[str | None]
) -> tuple[list[dict[str, int]], list[str | None]]:
    """The moves to states from which an end can be reached; the others lead nowhere."""
    before: list[list[int]] = [[] for _ in moves]
    for state, row in enumerate(moves):
        for after in row.values():
            before[after].append(state)
    alive = {state for state, end in enumerate(ends) if end is not None}
    front = list(alive)
    while front:
        new = set(before[front.pop()]) - alive
        alive |= new
        front += new
    return [{sign: to for sign, to in row.items() if to in alive} for row in moves], ends


def _minimal(moves: list[dict[str, int]], ends: list[str | None]) -> Automaton:
    """The automaton with states of equal futures made one, by ever finer classes."""
    of_end: dict[str | None, int] = {}
    group = [of_end.setdefault(end, len(of_end)) for end in ends]
    while True:
        of_future: dict[Hashable, int] = {}
        finer = [
            of_future.setdefault(
                (own, tuple((sign, group[to]) for sign, to in row.items())), len(of_future)
            )
            for own, row in zip(group, moves, strict=True)
        ]
        if len(of_future) == len(set(group)):
            break
        group = finer
    return _renumbered(moves, ends, group)


def _renumbered(moves: list[dict[str, int]], ends: list[str | None], group: list[int]) -> Automaton:
    """One state for each group that is reached from the first state's, which comes first."""
    of_group = {own: state for state, own in enumerate(group)}
    number = {group[0]: 0}
    order = [group[0]]
    rows = []
    for own in order:  # grows meanwhile
        row = {}
        for sign, to in moves[of_group[own]].items():
            if group[to] not in number:
                number[group[to]] = len(order)
                order.append(group[to])
            row[sign] = number[group[to]]
        rows.append(row)
    return Automaton(tuple(rows), tuple(ends[of_group[own]] for own in order))
