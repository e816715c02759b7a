"""What a field most probably holds, of all that its grammar allows.

One or two readers say how probable each value is: the lattice of the field's pieces, and,
where the whole number was read as one strip, its columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digitocr.assembling.columns import tokens_of
from digitocr.assembling.grammar import grammar_of, unchecked
from digitocr.assembling.lattice import Edges, Token
from digitocr.assembling.prefixes import texts_of
from digitocr.assembling.search import Found, search
from digitocr.recipe import ValueOptions
from digitocr.trust import Evidence, log_sum, weighed
from digitocr.types import Grammar, StripReading

__all__ = ["Meaning", "by_lattice", "by_strip", "decode"]

_BREAKS_RULE = 0.05  # how much less likely a value is that the field's grammar forbids
_NO_MEANING = 0.01  # a value that is less probable is not worth telling
_CREDIBLE = 0.02  # a lattice that gives a value less does not know where its digits stand
_RATHER = 0.5  # what a strip gives more than this, it says
_NEVER = -math.inf


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a field most probably holds.

    tokens: the best reading. value: canonical. share: 0 to 1, how probable the value is.
    changed: the places in ``tokens`` of digits that only a check digit made so.
    agreed: whether the strip, too, was read as this value. found: whether the lattice was.
    """

    tokens: list[Token]
    value: str
    share: float
    changed: tuple[int, ...] = ()
    agreed: bool = False
    found: bool = True


@dataclass(frozen=True, slots=True)
class _Belief:
    """What all readers say together.

    shares: of each value within the grammar; they sum to 1 at most, and the rest is for
    values that it forbids. lattice: what was found there, and in ``found`` the logarithm of
    the share that each value has by it alone. texts: what the strip says for each value,
    with the logarithm of its share.
    """

    shares: dict[str, float]
    lattice: Found
    found: dict[str, float]
    texts: dict[str, tuple[str, float]]

    @property
    def best(self) -> str:
        return max(self.shares, key=lambda value: self.shares[value])

    def agreed(self, value: str) -> bool:
        """Whether the strip, too, says this value rather than any other."""
        return value in self.texts and math.exp(self.texts[value][1]) > _RATHER


def decode(edges: Edges, grammar: Grammar, strip: StripReading | None = None) -> Meaning | None:
    """The most probable value of a field, None where it hardly holds one.

    strip: what the field's strip says, None where it was not read.

    A value that its grammar forbids may stand there all the same, though it is not what is
    looked for: what speaks for such values lowers the share. A value that is the best only
    because of its check digits has the share that it has without them, since they cannot
    prove what they were used for.
    """
    belief = _believed(edges, grammar, strip)
    if not belief.shares:
        return None
    value = belief.best
    tokens = _tokens(belief, value, strip)
    changed: tuple[int, ...] = ()
    bare = unchecked(grammar)
    if bare is not grammar:
        loose = _believed(edges, bare, strip)
        if loose.best != value:
            changed = _differing(tokens, _tokens(loose, loose.best, strip))
            belief = loose
    share = belief.shares.get(value, 0.0)
    if share < _NO_MEANING:
        return None
    found = value == max(belief.found, key=lambda one: belief.found[one], default=None)
    return Meaning(tokens, value, share, changed, belief.agreed(value), found)


def by_lattice(found: Found, grammar: Grammar) -> dict[str, float]:
    """The logarithm of each value's share, among values that were found and of no grammar.

    grammar: that they were found in.
    """
    any_number = grammar_of(ValueOptions())
    anything = found.whole if grammar is any_number else search(found.edges, any_number).whole
    # The readings within the grammar are among those of no grammar.
    beyond = anything + math.log1p(-min(math.exp(min(found.whole - anything, 0.0)), 1 - 1e-12))
    whole = log_sum([found.whole, beyond + math.log(_BREAKS_RULE)])
    return {value: total - whole for value, total in found.totals.items()}


def by_strip(strip: StripReading, grammar: Grammar) -> dict[str, tuple[str, float]]:
    """The best text of each value, and the logarithm of the share of all its texts."""
    best: dict[str, tuple[str, float]] = {}
    totals: dict[str, list[float]] = {}
    for text, state, share in texts_of(strip.shares, grammar):
        value = grammar.value(text, state)
        if value is None:
            continue
        totals.setdefault(value, []).append(share)
        if value not in best or share > best[value][1]:
            best[value] = text, share
    within = math.exp(log_sum([share for shares in totals.values() for share in shares]))
    whole = math.log(within + _BREAKS_RULE * max(1 - within, 1e-12))
    return {value: (best[value][0], log_sum(shares) - whole) for value, shares in totals.items()}


def _believed(edges: Edges, grammar: Grammar, strip: StripReading | None) -> _Belief:
    """What all readers say of the values within a grammar."""
    lattice = search(edges, grammar)
    found = by_lattice(lattice, grammar)
    if strip is None:
        shares = {value: math.exp(share) for value, share in found.items()}
        return _Belief(shares, lattice, found, {})
    texts = by_strip(strip, grammar)
    read = {value: share for value, (_, share) in texts.items()}
    shares = weighed(Evidence(read, found, lattice.cuts_ink), strip.trust)
    return _Belief(shares, lattice, found, texts)


def _tokens(belief: _Belief, value: str, strip: StripReading | None) -> list[Token]:
    """The reading of a value: by the lattice's cuts, or by the strip where it has none for it."""
    found = math.exp(belief.found.get(value, _NEVER))
    if strip is None or value not in belief.texts:
        return belief.lattice.tokens(value)
    said = tokens_of(belief.texts[value][0], strip, belief.lattice.edges)
    if found < _CREDIBLE:
        return said
    tokens = belief.lattice.tokens(value)
    return _parted(tokens, said) if belief.agreed(value) else tokens


def _parted(tokens: list[Token], said: list[Token]) -> list[Token]:
    """The digits of a reading with the separators that the strip says of them.

    To the lattice each speck may be one.
    """
    digits = [one for one in tokens if one.kind == "digit"]
    if [one.text for one in digits] != [one.text for one in said if one.kind == "digit"]:
        return tokens
    rest = iter(digits)
    return [next(rest) if one.kind == "digit" else one for one in said]


def _differing(tokens: Sequence[Token], likely: Sequence[Token]) -> tuple[int, ...]:
    """The places of the digits that are read as another, or otherwise cut, than is likely."""
    known = {(token.box, token.text) for token in likely}
    return tuple(
        at
        for at, token in enumerate(tokens)
        if token.kind == "digit" and (token.box, token.text) not in known
    )
