"""A number read twice, by its digits and as a whole: what both say, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from digitocr.assembling.columns import tokens_of
from digitocr.assembling.decode import Meaning, decode
from digitocr.assembling.grammar import grammar_of
from digitocr.assembling.lattice import Edges, Token, row_of
from digitocr.recipe import ValueOptions
from digitocr.strips import SIGNS
from digitocr.trust import Evidence, weighed
from digitocr.types import StripReading, Trust

TRUST = Trust(strip=0.5, lattice=0.5, cut=0.2, least=-9.0)
STEP = 5.0  # pixels of the ink picture for a column


def row(text: str, **doubts: float) -> Edges:
    """A text as the lattice reads it, each sign 20 pixels wide; ``d1=0.3``: it may be a 1."""
    tokens = []
    for at, sign in enumerate(text):
        shares = np.full(11, 1e-4, np.float32)
        for name, share in doubts.items():
            shares[int(name[1:])] = share
        shares[int(sign)] += 1 - shares.sum()
        tokens.append(Token.of(sign, (20 * at, 10, 20 * at + 18, 50), shares))
    return row_of(tokens)


def strip(text: str, sure: float = 0.999, other: str = "") -> StripReading:
    """A text as a strip says it: a sign in every fourth column, or the ``other`` text's."""
    shares = np.full((len(SIGNS) + 1, 4 * len(text)), 1e-6)
    shares[-1] = 1.0
    for at, (sign, second) in enumerate(zip(text, other or text, strict=True)):
        shares[:, 4 * at + 1] = 1e-6
        shares[SIGNS.index(second), 4 * at + 1] = 1 - sure
        shares[SIGNS.index(sign), 4 * at + 1] = sure
    shares /= shares.sum(axis=0)
    return StripReading(np.log(shares).astype(np.float32), 0.0, STEP, TRUST)


def meant(edges: Edges, said: StripReading | None, options: ValueOptions | None = None) -> Meaning:
    meaning = decode(edges, grammar_of(options or ValueOptions()), said)
    assert meaning is not None
    return meaning


def test_what_both_readers_read_is_surer_than_what_one_reads() -> None:
    both = meant(row("4711", d1=0.2), strip("4711", 0.9))
    alone = meant(row("4711", d1=0.2), None)
    assert both.value == alone.value == "4711" and both.agreed
    assert both.share > alone.share


def test_what_the_readers_disagree_about_is_doubtful() -> None:
    agreed, not_so = (
        meant(row("4711"), strip(text, 0.99, other="4711")) for text in ("4711", "4771")
    )
    assert not_so.value in ("4711", "4771")
    assert agreed.share > 0.99 and not_so.share < 0.95


def test_the_surer_reader_wins() -> None:
    assert meant(row("4711", d7=0.45), strip("4771")).value == "4771"
    assert meant(row("4711"), strip("4771", 0.55, other="4711")).value == "4711"


def test_a_value_that_the_lattice_has_no_cuts_for_is_read_by_the_strip() -> None:
    one_piece = row("8", d3=0.3)  # two digits that touch, as one
    one_piece.boxes[:] = 0, 10, 40, 50
    meaning = meant(one_piece, strip("13"), ValueOptions(kind="digits", digits="2"))
    assert meaning.value == "13"
    (left, right) = meaning.tokens
    assert left.text == "1" and right.text == "3"
    assert left.box[0] == 0 and left.box[2] == right.box[0] and right.box[2] == 40
    assert left.box[1] == right.box[1] == 10 and left.box[3] == right.box[3] == 50


def test_the_grammar_holds_for_both_readers() -> None:
    date = ValueOptions(kind="pattern", pattern="[0-9]{2}")
    meaning = decode(row("471"), grammar_of(date), strip("471"))
    assert meaning is None or meaning.share < 0.2


def test_check_digits_prove_nothing_that_the_strip_was_read_by_either() -> None:
    luhn = ValueOptions(check="luhn")
    right, wrong = "79927398713", "79917398713"
    meaning = meant(row(wrong, d2=0.2), strip(wrong, 0.7, other=right), luhn)
    assert meaning.value == right
    assert [meaning.tokens[at].text for at in meaning.changed] == ["2"]
    assert meaning.share < 0.5


@pytest.mark.parametrize("text", ["7", "11", "0042", "3.50-", "1111111"])
def test_the_signs_of_a_text_are_found_where_they_are_said(text: str) -> None:
    width = 4 * len(text) * STEP
    edges = row("8")
    edges.boxes[:] = 0, 10, width, 50
    tokens = tokens_of(text, strip(text), edges)
    assert "".join(token.text for token in tokens) == text
    for at, token in enumerate(tokens):
        assert token.box[0] <= (4 * at + 1.5) * STEP <= token.box[2]
        assert token.confidence > 0.99 or token.kind == "mark"
    edges_between = [token.box[2] for token in tokens[:-1]]
    assert edges_between == [token.box[0] for token in tokens[1:]]


def test_nothing_is_said_of_an_empty_set_of_values() -> None:
    assert weighed(Evidence({}, {}), TRUST) == {}


def test_shares_of_values_add_up_to_no_more_than_one() -> None:
    shares = weighed(Evidence({"1": -0.1, "7": -2.5}, {"1": -0.3, "4": -1.6}), TRUST)
    assert sum(shares.values()) <= 1 and max(shares, key=lambda value: shares[value]) == "1"


def test_a_reader_that_is_not_trusted_changes_nothing() -> None:
    deaf = Trust(strip=1.0, lattice=0.0, cut=0.0, least=-7.0)
    read = {"1": np.log(0.8), "7": np.log(0.2)}
    shares = weighed(Evidence(read, {"7": -0.001}), deaf)
    assert shares["1"] == pytest.approx(0.8, abs=1e-3)


def test_a_lattice_that_cuts_through_ink_counts_for_less() -> None:
    read, found = {"1": np.log(0.9), "7": np.log(0.1)}, {"7": -0.01, "1": -4.0}
    whole, cut = (weighed(Evidence(read, found, cut), TRUST) for cut in (False, True))
    assert whole["7"] > cut["7"] and whole["1"] < cut["1"]
