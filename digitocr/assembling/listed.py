"""Values of a list: what is on the paper must be one of the values that are expected.

A text means an entry of the list if both have the same value. An entry that is no value of
the field's kind is meant by the texts with its digits. Where several entries are meant, they
are the same value in different spelling, and the first in the list stands for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from digitocr.assembling.automaton import SEPARATORS, SIGNS, Automaton
from digitocr.assembling.kinds import Kind, digits_of
from digitocr.errors import PipelineError

__all__ = ["Entries", "Search", "entries_of"]


@dataclass(frozen=True, slots=True)
class Entries:
    """A list of expected values.

    kind: that the values are of.
    by_value: the first entry of each canonical value.
    by_digits: the first entry of all those digits among the entries that have no value.
    children: for each node of the tree of the essences, the nodes after its digits and dots;
        node 0 is the root.
    whole: the essence that ends in a node, for those where one does.
    """

    kind: Kind
    by_value: dict[str, str] = field(default_factory=dict)
    by_digits: dict[str, str] = field(default_factory=dict)
    children: list[dict[str, int]] = field(default_factory=lambda: [{}])
    whole: dict[int, str] = field(default_factory=dict)

    def add(self, essences: Iterable[str]) -> None:
        """Put essences into the tree."""
        for essence in essences:
            node = 0
            for sign in essence:
                if sign not in self.children[node]:
                    self.children[node][sign] = len(self.children)
                    self.children.append({})
                node = self.children[node][sign]
            self.whole[node] = essence

    def step(self, node: int, sign: str) -> int | None:
        """The node after a sign of a text, None where no entry goes on so."""
        added = self.kind.adds(sign, begun=node != 0)
        return self.children[node].get(added) if added else node

    def entry(self, essence: str, pattern: str) -> str | None:
        """The entry that a text means, None where it means none."""
        value = self.kind.read(essence, pattern)
        return self.by_value.get(value) or self.by_digits.get(self._digits(essence))

    def _digits(self, text: str) -> str:
        digits = digits_of(text)
        return digits.lstrip("0") if self.kind.padded else digits

    def put(self, entry: str, texts: Automaton) -> bool:
        """Add one entry; whether any text may mean it.

        texts: the automaton of the valid ones.
        """
        plain = _signs_alone(entry)
        value = self.kind.listed(plain)
        if value is None:
            essences = _essences(digits_of(entry), texts, self.kind)
            self.by_digits.setdefault(self._digits(entry), entry)
        else:
            essences = {one for one in self.kind.writings(value) if _valid(one, texts, self.kind)}
            self.by_value.setdefault(value, entry)
        self.add(essences)
        return bool(essences)


def entries_of(expected: Sequence[str], texts: Automaton, kind: Kind) -> Entries:
    """The entries of a list, each stripped.

    texts: the automaton of the valid ones. Raises PipelineError where an entry has no digit
    or no valid text can mean it.
    """
    entries = Entries(kind)
    for place, entry in enumerate(expected, start=1):
        if not digits_of(entry):
            raise PipelineError(
                f"the expected value at place {place} has no digit; take it out of the list"
            )
        if not entries.put(entry.strip(), texts):
            raise PipelineError(
                f"the expected value at place {place} can never be read: it does not fit the"
                " field's kind, or its check digit is wrong; correct it or take it out"
            )
    return entries


@dataclass(frozen=True, slots=True)
class Search:
    """The valid texts that mean an entry: an automaton and a tree walked at the same time.

    A state is one of the automaton and one of the tree. There are too many to look at all
    of them beforehand, so that it is found out on the way which ones lead to an end.
    """

    texts: Automaton
    entries: Entries
    leads: dict[tuple[int, int], bool] = field(default_factory=dict)

    def step(self, state: tuple[int, int], sign: str) -> tuple[int, int] | None:
        """The state after a sign, None where no valid text begins so."""
        after = self._after(state, sign)
        return after if after is not None and self._leads_to_an_end(after) else None

    def entry(self, state: tuple[int, int], essence: str) -> str | None:
        """The entry that a text of some essence means, which ends in some state."""
        pattern = self.texts.ends[state[0]]
        return None if pattern is None else self.entries.entry(essence, pattern)

    def _after(self, state: tuple[int, int], sign: str) -> tuple[int, int] | None:
        text = self.texts.moves[state[0]].get(sign)
        node = None if text is None else self.entries.step(state[1], sign)
        return None if text is None or node is None else (text, node)

    def _ends(self, state: tuple[int, int]) -> bool:
        essence = self.entries.whole.get(state[1])
        return essence is not None and self.entry(state, essence) is not None

    def _leads_to_an_end(self, state: tuple[int, int]) -> bool:
        """Whether something valid may follow; found by going on, and kept."""
        if state in self.leads:
            return self.leads[state]
        came: dict[tuple[int, int], tuple[int, int] | None] = {state: None}
        front = [state]
        while front:
            here: tuple[int, int] | None = front.pop()
            assert here is not None
            if self.leads.get(here) or self._ends(here):
                while here is not None:  # back to where it began
                    self.leads[here] = True
                    here = came[here]
                return True
            for sign in reversed(SIGNS):  # so that digits come first: they lead to an end
                after = self._after(here, sign)
                if after is not None and after not in came and self.leads.get(after, True):
                    came[after] = here
                    front.append(after)
        self.leads.update(dict.fromkeys(came, False))  # all that can be reached was looked at
        return False


def _signs_alone(entry: str) -> str:
    """An entry of a list as it might be written: without currency, spaces and letters."""
    signs = "".join(sign for sign in entry.replace(":", ".") if sign in SIGNS)
    return signs if entry[0] in ".," else signs.lstrip(SEPARATORS)


def _valid(essence: str, texts: Automaton, kind: Kind) -> bool:
    """Whether any valid text has this essence."""
    if texts.end(essence) is not None:  # quick, and true of nearly all: it is such a text
        return True
    front = [(0, 0)]
    seen = set(front)
    while front:
        state, at = front.pop()
        if at == len(essence) and texts.ends[state] is not None:
            return True
        for sign, to in texts.moves[state].items():
            added = kind.adds(sign, begun=at > 0)
            after = (to, at + len(added))
            if essence.startswith(added, at) and after not in seen:
                seen.add(after)
                front.append(after)
    return False


def _essences(digits: str, texts: Automaton, kind: Kind) -> set[str]:
    """The essences of all valid texts with these digits."""
    front = [(0, 0, "")]
    seen = set(front)
    found = set()
    while front:
        state, at, essence = front.pop()
        if at == len(digits) and texts.ends[state] is not None:
            found.add(essence)
        for sign, to in texts.moves[state].items():
            read = digits_of(sign)
            after = (to, at + len(read), essence + kind.adds(sign, begun=essence != ""))
            if digits.startswith(read, at) and after not in seen:
                seen.add(after)
                front.append(after)
    return found
