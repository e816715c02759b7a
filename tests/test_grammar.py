"""A grammar accepts what may stand in a field, sign by sign, and says what it means."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from stdnum import luhn
from stdnum.iso7064 import mod_11_2, mod_11_10, mod_97_10
from stdnum.us import rtn

from digitocr.assembling.checksums import CHECKS
from digitocr.assembling.grammar import grammar_of, unchecked
from digitocr.errors import PipelineError
from digitocr.recipe import ValueOptions, load_recipe
from digitocr.types import Grammar

SIGNS = "0123456789.,-/'"
AMOUNT = ValueOptions(kind="amount")
DATE = ValueOptions(kind="date")
TIME = ValueOptions(kind="time")
KINDS = {
    "number": ValueOptions(),
    "digits": ValueOptions(kind="digits", digits="9"),
    "some digits": ValueOptions(kind="digits", digits="5-8"),
    "amount": AMOUNT,
    "whole amount": replace(AMOUNT, decimals=0),
    "one decimal": replace(AMOUNT, decimals=1),
    "three decimals": replace(AMOUNT, decimals=3),
    "four decimals": replace(AMOUNT, decimals=4),
    "implied": replace(AMOUNT, point="implied"),
    "three implied": replace(AMOUNT, point="implied", decimals=3),
    "date": DATE,
    "american date": replace(DATE, order="mdy"),
    "date of some years": replace(DATE, order="ymd", years="1990-2035"),
    "time": TIME,
    "short time": replace(TIME, hours=12),
    "pattern": ValueOptions(kind="pattern", pattern=r"\d{3}-\d{4}|\d/\d{2,}"),
    "luhn": ValueOptions(check="luhn"),
    "long luhn": ValueOptions(kind="digits", digits="12-18", check="luhn"),
    "routing": ValueOptions(kind="digits", digits="9", check="aba"),
    "mod 97-10": ValueOptions(kind="digits", digits="8-16", check="iso7064-97-10"),
    "mod 11,10": ValueOptions(check="iso7064-11-10"),
    "mod 11-2": ValueOptions(kind="pattern", pattern=r"\d{3}-?\d+", check="iso7064-11-2"),
}
LISTS = {
    "numbers": (ValueOptions(), ["1234", "0012", "12-5"]),
    "amounts": (AMOUNT, ["1234.50", "1,000.00", "0.05", "7"]),
    "dates": (DATE, ["1.11.2020", "2021-02-03", "29/2/24"]),
    "checked": (ValueOptions(check="luhn"), ["18", "4539578763621486"]),
}


def state_after(grammar: Grammar, text: str) -> Hashable | None:
    state: Hashable | None = grammar.start
    for sign in text:
        if state is None:
            return None
        state = grammar.step(state, sign)
    return state


def value(grammar: Grammar, text: str) -> str | None:
    """The value of a text, read sign by sign; None where it is refused."""
    state = state_after(grammar, text)
    return None if state is None else grammar.value(text, state)


def read(options: ValueOptions, text: str) -> str | None:
    return value(grammar_of(options), text)


def reached(grammar: Grammar) -> dict[Hashable, str]:
    """All states, each with a text that leads to it."""
    texts = {grammar.start: ""}
    order = [grammar.start]
    for state in order:
        for sign in SIGNS:
            after = grammar.step(state, sign)
            if after is not None and after not in texts:
                texts[after] = texts[state] + sign
                order.append(after)
    return texts


def random_texts(grammar: Grammar, count: int, seed: int = 0) -> Iterator[str]:
    """Texts that the grammar lets through, most of them with a slip somewhere."""
    rng = random.Random(seed)
    for _ in range(count):
        text, state = "", grammar.start
        for _ in range(rng.randint(1, 20)):
            signs = [sign for sign in SIGNS if grammar.step(state, sign) is not None]
            if not signs:
                break
            text += rng.choice(signs)
            state = state_after(grammar, text)
        for _ in range(rng.choice([0, 1, 1, 2])):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice([*SIGNS, ""]) + text[at + rng.randint(0, 1) :]
        yield text


def short_texts(signs: str, longest: int) -> Iterator[str]:
    for length in range(longest + 1):
        yield from map("".join, product(signs, repeat=length))


def digits_of(text: str) -> str:
    return "".join(filter(str.isdigit, text))


# What is accepted, and what it means


@pytest.mark.parametrize("text", ["7", "007", "1025", "12-34", "1.2.3", ".5", "500/-", "1''2"])
def test_a_number_is_any_digits_and_its_value_is_the_digits(text: str) -> None:
    assert read(ValueOptions(), text) == digits_of(text)


@pytest.mark.parametrize("text", ["", "-", "./-"])
def test_a_number_has_a_digit(text: str) -> None:
    assert read(ValueOptions(), text) is None


@pytest.mark.parametrize(
    ("digits", "text", "result"),
    [
        ("9", "123456789", "123456789"),
        ("9", "123-45-6789", "123456789"),
        ("9", "000.000.000", "000000000"),
        ("9", "12345678", None),
        ("9", "1234567890", None),
        ("9", "123456789-", None),
        ("5-8", "1234", None),
        ("5-8", "12345", "12345"),
        ("5-8", "12-34.5678", "12345678"),
        ("5-8", "123456789", None),
        ("1", "4", "4"),
    ],
)
def test_digits_are_so_many(digits: str, text: str, result: str | None) -> None:
    assert read(ValueOptions(kind="digits", digits=digits), text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1234.50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1.234.50", "1234.50"),
        ("1,234,50", "1234.50"),
        ("1,234.50/-", "1234.50"),
        ("12.50-", "12.50"),
        ("1.234.567", "1234567.00"),
        ("1,234,567.89", "1234567.89"),
        ("12,34,567", "1234567.00"),
        ("44,20,000/-", "4420000.00"),
        ("1,23,45,678.90", "12345678.90"),
        ("12-50", "12.50"),
        ("1,234-50", "1234.50"),
        ("1234.-", "1234.00"),
        ("1234,-", "1234.00"),
        ("1234,--", "1234.00"),
        ("1234-", "1234.00"),
        ("1234/-", "1234.00"),
        ("1234/--", "1234.00"),
        ("1234", "1234.00"),
        ("0.50", "0.50"),
        (".50", "0.50"),
        (",05", "0.05"),
        ("0", "0.00"),
        ("0.00", "0.00"),
        ("00012.50", "12.50"),
        ("123456/100", "1234.56"),
        ("1,23456/100", "1234.56"),
        ("1234.56/100", "1234.56"),
        ("1234-56/100-", "1234.56"),
        ("1,234,56/100", "1234.56"),
        ("12,34,56756/100", "1234567.56"),
        ("123400/100", "1234.00"),
        ("56/100", "0.56"),
        (".05/100", "0.05"),
        ("00/100", "0.00"),
        ("10000/100", "100.00"),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, result: str) -> None:
    assert read(AMOUNT, text) == result


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".",
        "1234.5",
        "1234.567",
        "1.234,567",
        "1,2345",
        "12345,678",
        "0,123",
        "1,234'567",
        "1.23.45",
        "12.",
        "12,",
        "12/",
        "-50",
        "/100",
        "6/100",
        "12.50.",
        "12.50.-",
        "12..50",
        "12.50/10",
        "1,234,5/100",
        "123,45,678",
    ],
)
def test_an_amount_that_is_none_or_has_other_decimals_is_refused(text: str) -> None:
    assert read(AMOUNT, text) is None


@pytest.mark.parametrize(
    ("decimals", "text", "result"),
    [
        (0, "1234", "1234"),
        (0, "1.234", "1234"),
        (0, "1234.-", "1234"),
        (0, "007/-", "7"),
        (0, "1234.50", None),
        (0, "123456/100", None),
        (1, "12.5", "12.5"),
        (1, "1,234.5", "1234.5"),
        (1, "1.234.5", "1234.5"),
        (3, "1.234", "1.234"),
        (3, "1,234", "1.234"),
        (3, "12", "12.000"),
        (3, "1,234.567", "1234.567"),
        (3, "1.234-567", "1234.567"),
        (3, "1'234", "1234.000"),
        (3, "1'234.567", "1234.567"),
        (3, "1'234'567", "1234567.000"),
        (3, "12,34,567", "1234567.000"),
        (3, "12,34,567.890", "1234567.890"),
        (3, "1.234.567", None),
        (3, "1,234,567", None),
        (3, "1.50", None),
        (3, "123456/100", None),
        (4, "1.2345", "1.2345"),
        (4, "1.234", "1234.0000"),
        (4, "1.234.5678", "1234.5678"),
    ],
)
def test_an_amount_has_so_many_decimals_or_none(
    decimals: int, text: str, result: str | None
) -> None:
    assert read(replace(AMOUNT, decimals=decimals), text) == result


@pytest.mark.parametrize(
    ("decimals", "text", "result"),
    [
        (2, "1234", "12.34"),
        (2, "50", "0.50"),
        (2, "007", "0.07"),
        (2, "5", None),
        (2, "12.34", "12.34"),
        (2, "1,234", "1234.00"),
        (2, "1234/-", "1234.00"),
        (2, "123456/100", "1234.56"),
        (3, "1234", "1.234"),
        (3, "1.234", "1.234"),
        (0, "1234", "1234"),
    ],
)
def test_an_implied_point_counts_where_no_separator_is_written(
    decimals: int, text: str, result: str | None
) -> None:
    assert read(replace(AMOUNT, decimals=decimals, point="implied"), text) == result


@pytest.mark.parametrize(
    ("order", "text", "result"),
    [
        ("dmy", "17/03/2024", "2024-03-17"),
        ("dmy", "17.3.24", "2024-03-17"),
        ("dmy", "5-5-2015", "2015-05-05"),
        ("dmy", "24/12-2020", "2020-12-24"),
        ("dmy", "24,12,2020", "2020-12-24"),
        ("dmy", "17032024", "2024-03-17"),
        ("dmy", "170324", "2024-03-17"),
        ("dmy", "1732024", None),
        ("dmy", "1.0324", None),
        ("dmy", "03/17/2024", None),
        ("mdy", "03/17/2024", "2024-03-17"),
        ("mdy", "11/22/19", "2019-11-22"),
        ("mdy", "112219", "2019-11-22"),
        ("mdy", "17/03/2024", None),
        ("ymd", "2024-03-17", "2024-03-17"),
        ("ymd", "24.3.7", "2024-03-07"),
        ("ymd", "240317", "2024-03-17"),
        ("ymd", "20240317", "2024-03-17"),
        ("dmy", "1.1.69", "1969-01-01"),
        ("dmy", "1.1.99", "1999-01-01"),
        ("dmy", "1.1.00", "2000-01-01"),
        ("dmy", "1.1.68", "2068-01-01"),
        ("dmy", "29.2.2024", "2024-02-29"),
        ("dmy", "29.2.2000", "2000-02-29"),
        ("dmy", "29.2.00", "2000-02-29"),
        ("dmy", "29.2.1900", None),
        ("dmy", "29.2.23", None),
        ("dmy", "30.2.2024", None),
        ("dmy", "31.4.2024", None),
        ("dmy", "0.1.2024", None),
        ("dmy", "1.13.2024", None),
        ("dmy", "1.1.0999", None),
        ("dmy", "1.1.202", None),
        ("dmy", "1.1.2024.", None),
        ("dmy", "1..1.2024", None),
        ("dmy", "1'1'2024", None),
    ],
)
def test_a_date_is_a_day_of_the_calendar(order: str, text: str, result: str | None) -> None:
    assert read(replace(DATE, order=order), text) == result  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("years", "text", "result"),
    [
        ("1990-2035", "1.1.1990", "1990-01-01"),
        ("1990-2035", "1.1.2035", "2035-01-01"),
        ("1990-2035", "1.1.35", "2035-01-01"),
        ("1990-2035", "1.1.1989", None),
        ("1990-2035", "1.1.36", None),
        ("1990-2035", "1.1.89", None),
        ("2023", "28.2.23", "2023-02-28"),
        ("2023", "29.2.23", None),
        ("2023", "1.1.2024", None),
    ],
)
def test_dates_may_be_narrowed_to_some_years(years: str, text: str, result: str | None) -> None:
    assert read(replace(DATE, years=years), text) == result


@pytest.mark.parametrize(
    ("hours", "text", "result"),
    [
        (24, "09.30", "09:30"),
        (24, "9-30", "09:30"),
        (24, "9.'30", "09:30"),
        (24, "0930", "09:30"),
        (24, "00,00", "00:00"),
        (24, "23/59", "23:59"),
        (24, "930", None),
        (24, "24.00", None),
        (24, "12.60", None),
        (24, "9...30", None),
        (24, "9.3", None),
        (12, "12.30", "12:30"),
        (12, "0100", "01:00"),
        (12, "0.30", None),
        (12, "13.30", None),
    ],
)
def test_a_time_is_hours_and_minutes(hours: int, text: str, result: str | None) -> None:
    assert read(replace(TIME, hours=hours), text) == result  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "text", "result"),
    [
        (r"\d{3}-\d{4}", "555-1234", "5551234"),
        (r"\d{3}-\d{4}", "5551234", None),
        (r"\d{3}-\d{4}", "555-12345", None),
        (r"^\d{3}$", "123", "123"),
        (r"[1-4]/\d+", "3/77", "377"),
        (r"[1-4]/\d+", "5/77", None),
        (r"20\d\d|19\d\d", "1987", "1987"),
        (r"(?:\d\d.)*\d", "12-34/5", "12345"),
        (r"\D?\d?", "-7", "7"),
        (r"\D?\d?", "-", None),
        (r"\D?\d?", "", None),
    ],
)
def test_a_pattern_is_matched_by_the_whole_text(
    pattern: str, text: str, result: str | None
) -> None:
    assert read(ValueOptions(kind="pattern", pattern=pattern), text) == result


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        ("luhn", "4539578763621486", "4539578763621468"),
        ("luhn", "79927398713", "79927398712"),
        ("aba", "122105155", "122105156"),
        ("aba", "021000021", "012000021"),
        ("iso7064-97-10", "79444", "79445"),
        ("iso7064-11-10", "07945", "07946"),
        ("iso7064-11-2", "0000000218250097", "0000000218250079"),
    ],
)
def test_a_wrong_check_digit_is_refused(check: str, right: str, wrong: str) -> None:
    grammar = grammar_of(ValueOptions(check=check))  # type: ignore[arg-type]
    assert value(grammar, right) == right
    assert value(grammar, f"{right[:3]}-{right[3:]}") == right
    assert value(grammar, wrong) is None


@pytest.mark.parametrize("check", CHECKS)
def test_check_digits_alone_confirm_nothing(check: str) -> None:
    grammar = grammar_of(ValueOptions(check=check))  # type: ignore[arg-type]
    assert [text for text in short_texts("0123456789", 1) if value(grammar, text)] == []
    if check == "iso7064-97-10":
        assert value(grammar, "01") is None


@pytest.mark.parametrize("check", CHECKS)
def test_without_its_check_a_grammar_takes_what_the_check_changes(check: str) -> None:
    grammar = grammar_of(ValueOptions(kind="digits", digits="9", check=check))  # type: ignore[arg-type]
    bare = unchecked(grammar)
    texts = [f"{number:09d}" for number in range(120000000, 120000100)]
    assert [value(bare, text) for text in texts] == texts
    assert 0 < sum(value(grammar, text) is None for text in texts) < 100


def test_without_a_check_there_is_nothing_to_take_away() -> None:
    grammar = grammar_of(DATE)
    assert unchecked(grammar) is grammar


# Relations with plain computations


def plain_groups(text: str) -> tuple[str, bool]:
    """The digits of a whole number, "" where it is none, and whether it ends like a fraction.

    That is, whether groups of three alone stand behind points or commas.
    """
    sign = next((sign for sign in text if not sign.isdigit()), "")
    if not sign:
        return text, False
    first, *rest = text.split(sign)
    if not all(part.isdigit() for part in [first, *rest]) or first[0] == "0" or sign not in ".,'":
        return "", False
    sizes = [len(part) for part in rest]
    western = set(sizes) == {3} and len(first) <= 3
    indian = len(rest) > 1 and sizes[-1] == 3 and set(sizes[:-1]) == {2} and len(first) <= 2
    return (first + "".join(rest) if western or indian else ""), western and sign != "'"


def plain_amounts(text: str, decimals: int, implied: bool) -> set[str]:
    """All that a text may mean as an amount."""
    if implied and decimals and text.isdigit():
        return {plain(text[:-decimals], text[-decimals:])} if len(text) >= decimals else set()
    found = set()
    for strokes in ("", "-", "--", "/-", "/--", ".-", ".--", ",-", ",--"):
        if not text.endswith(strokes):
            continue
        body = text.removesuffix(strokes)
        whole, like_fraction = plain_groups(body)
        if whole and not (decimals == 3 and like_fraction):
            found.add(plain(whole, "0" * decimals))
        if strokes[:1] in tuple(".,"):
            continue
        head, end = body[: len(body) - decimals], body[len(body) - decimals :]
        if decimals == 2 and body.endswith("/100"):
            head, end = body[:-6], body[-6:-4]
            if head[-1:] not in tuple(".,-"):
                head += "."
        if decimals and len(end) == decimals and end.isdigit() and head[-1:] in tuple(".,-"):
            whole, _ = plain_groups(head[:-1])
            same = decimals == 3 and head[-1] in head[:-1]
            if (whole and not same) or head in (".", ","):
                found.add(plain(whole, end))
    return found


def plain(whole: str, end: str) -> str:
    number = Decimal(f"{whole or '0'}.{end}") if end else Decimal(whole)
    return f"{number:f}"


def plain_date(text: str, order: str, first: int = 1000, last: int = 9999) -> str | None:
    for sign in "/,-":
        text = text.replace(sign, ".")
    if "." in text:
        parts = text.split(".")
    elif order == "ymd":
        parts = [text[:-4], text[-4:-2], text[-2:]]
    else:
        parts = [text[:2], text[2:4], text[4:]]
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return None
    of = dict(zip(order, parts, strict=True))
    if len(of["d"]) > 2 or len(of["m"]) > 2 or len(of["y"]) not in (2, 4):
        return None
    year = int(of["y"])
    if len(of["y"]) == 2:
        year += 1900 if year > 68 else 2000
    try:
        day = date(year, int(of["m"]), int(of["d"]))
    except ValueError:
        return None
    return day.isoformat() if first <= year <= last else None


def plain_time(text: str, hours: int) -> str | None:
    hour, minute, between = text[:2], text[-2:], text[2:-2]
    if len(text) > 2 and not text[1].isdigit():
        hour, between = text[:1], text[1:-2]
    if not (hour.isdigit() and minute.isdigit()) or len(minute) != 2 or len(text) < 4:
        return None
    if len(between) > 2 or digits_of(between) or (not between and len(hour) == 1):
        return None
    if int(minute) > 59 or not (0 <= int(hour) <= 23 if hours == 24 else 1 <= int(hour) <= 12):
        return None
    return f"{int(hour):02d}:{minute}"


AMOUNTS = [name for name in KINDS if KINDS[name].kind == "amount"]


@pytest.mark.parametrize("name", AMOUNTS)
def test_amounts_mean_what_plain_arithmetic_says(name: str) -> None:
    options = KINDS[name]
    grammar = grammar_of(options)
    texts = [*short_texts("013.,-/'", 5), *random_texts(grammar, 3000)]
    for text in texts:
        meant = plain_amounts(text, options.decimals, options.point == "implied")
        assert len(meant) < 2, text
        assert value(grammar, text) == next(iter(meant), None), text


@pytest.mark.parametrize("order", ["dmy", "mdy", "ymd"])
def test_dates_mean_what_the_calendar_says(order: str) -> None:
    grammar = grammar_of(replace(DATE, order=order))  # type: ignore[arg-type]
    narrow = grammar_of(replace(DATE, order=order, years="1990-2035"))  # type: ignore[arg-type]
    texts = [f"{number:06d}" for number in range(0, 10**6, 31)]
    texts += [*short_texts("0123.", 5), *random_texts(grammar, 3000), *random_texts(narrow, 1000)]
    for text in texts:
        assert value(grammar, text) == plain_date(text, order), text
        assert value(narrow, text) == plain_date(text, order, 1990, 2035), text


@pytest.mark.parametrize("hours", [12, 24])
def test_times_mean_what_the_clock_says(hours: int) -> None:
    grammar = grammar_of(replace(TIME, hours=hours))  # type: ignore[arg-type]
    texts = [f"{number:04d}" for number in range(10000)]
    for text in [*texts, *short_texts("0126-", 5), *random_texts(grammar, 3000)]:
        assert value(grammar, text) == plain_time(text, hours), text


@pytest.mark.parametrize(
    ("check", "oracle"),
    [
        ("luhn", luhn.is_valid),
        ("aba", rtn.is_valid),
        ("iso7064-97-10", mod_97_10.is_valid),
        ("iso7064-11-10", mod_11_10.is_valid),
        ("iso7064-11-2", mod_11_2.is_valid),
    ],
)
def test_check_digits_are_those_of_the_standards(check: str, oracle: object) -> None:
    rng = random.Random(5)
    grammar = grammar_of(ValueOptions(check=check))  # type: ignore[arg-type]
    passed = 0
    for _ in range(6000):
        length = 9 if check == "aba" else rng.randint(3, 19)
        text = "".join(rng.choice("0123456789") for _ in range(length))
        assert (value(grammar, text) == text) is oracle(text), text  # type: ignore[operator]
        passed += value(grammar, text) is not None
    assert passed


# What a search may rely on


@pytest.mark.parametrize("name", KINDS)
def test_states_are_few_and_each_leads_to_an_end(name: str) -> None:
    grammar = grammar_of(KINDS[name])
    texts = reached(grammar)
    assert len(texts) < 2000
    assert_all_lead_to_an_end(grammar, texts)


@pytest.mark.parametrize("name", LISTS)
def test_states_within_a_list_each_lead_to_an_end(name: str) -> None:
    grammar = grammar_of(*LISTS[name])
    assert_all_lead_to_an_end(grammar, reached(grammar))
    assert_all_lead_to_an_end(unchecked(grammar), reached(unchecked(grammar)))


def assert_all_lead_to_an_end(grammar: Grammar, texts: dict[Hashable, str]) -> None:
    alive = {state for state, text in texts.items() if grammar.value(text, state) is not None}
    assert alive
    while True:
        more = {
            state
            for state in texts.keys() - alive
            if any(grammar.step(state, sign) in alive for sign in SIGNS)
        }
        if not more:
            break
        alive |= more
    assert alive == texts.keys()


@pytest.mark.parametrize("name", [*KINDS, *LISTS])
def test_whether_a_text_is_whole_depends_on_its_state_alone(name: str) -> None:
    grammar = grammar_of(*LISTS[name]) if name in LISTS else grammar_of(KINDS[name])
    whole: dict[Hashable, bool] = {}
    for text in [*random_texts(grammar, 800), *short_texts("125.-/", 4)]:
        state = state_after(grammar, text)
        if state is not None:
            hash(state)
            valid = grammar.value(text, state) is not None
            assert whole.setdefault(state, valid) == valid, text


@pytest.mark.parametrize("name", [name for name in KINDS if name not in AMOUNTS])
def test_states_with_the_same_future_are_one_state(name: str) -> None:
    grammar = grammar_of(KINDS[name])
    texts = reached(grammar)
    futures = {
        (
            grammar.value(text, state) is not None,
            tuple(grammar.step(state, sign) for sign in SIGNS),
        )
        for state, text in texts.items()
    }
    assert len(texts) == len(futures)


# Values of a list


@pytest.mark.parametrize(
    ("options", "expected", "text", "result"),
    [
        (ValueOptions(), ["1234", "5678"], "1234", "1234"),
        (ValueOptions(), ["1234", "5678"], "12-34", "1234"),
        (ValueOptions(), ["1234", "5678"], "1235", None),
        (ValueOptions(), ["1234", "5678"], "123", None),
        (ValueOptions(), [" A-1234 "], "1234", "A-1234"),
        (ValueOptions(), ["007"], "7", None),
        (ValueOptions(), ["12-34", "1234"], "1234", "12-34"),
        (ValueOptions(kind="digits", digits="4"), ["1234"], "12.34", "1234"),
        (ValueOptions(kind="digits", digits="4"), ["1234"], ".1234", None),
        (ValueOptions(kind="pattern", pattern=r"\d\d-\d\d"), ["1234"], "12-34", "1234"),
        (ValueOptions(kind="pattern", pattern=r"\d\d-\d\d"), ["1234"], "1234", None),
        (AMOUNT, ["1234.50"], "1,234.50/-", "1234.50"),
        (AMOUNT, ["1234.50"], "123450/100", "1234.50"),
        (AMOUNT, ["1234.50"], "123450", None),
        (AMOUNT, ["1234.5"], "1234-50", "1234.5"),
        (AMOUNT, ["1234.5"], "123.45", None),
        (AMOUNT, ["1234.500"], "1234.50", "1234.500"),
        (AMOUNT, ["$ 1,234.00"], "1234", "$ 1,234.00"),
        (AMOUNT, ["Rs. 500/-"], "500.00", "Rs. 500/-"),
        (AMOUNT, ["500"], "00500.-", "500"),
        (AMOUNT, ["0"], "0.00", "0"),
        (AMOUNT, ["0"], "00/100", "0"),
        (AMOUNT, ["0.05"], ",05", "0.05"),
        (AMOUNT, ["0.05"], "0.50", None),
        (AMOUNT, ["500", "500.00"], "500/-", "500"),
        (AMOUNT, ["12.345"], "12345", "12.345"),
        (AMOUNT, ["12.345"], "123.45", None),
        (AMOUNT, ["1.234,567"], "12345.67", "1.234,567"),
        (replace(AMOUNT, point="implied"), ["1234"], "1234", None),
        (replace(AMOUNT, point="implied"), ["1234"], "123400", "1234"),
        (DATE, ["2024-03-17"], "17.3.24", "2024-03-17"),
        (DATE, ["2024-03-17"], "17032024", "2024-03-17"),
        (DATE, ["17.03.24"], "17/3/2024", "17.03.24"),
        (DATE, ["1.11.2020"], "1.11.2020", "1.11.2020"),
        (DATE, ["1.11.2020"], "11.1.2020", None),
        (DATE, ["2020-01-01"], "1.1.1920", None),
        (DATE, ["1112020"], "11.1.2020", "1112020"),
        (TIME, ["9:30"], "0930", "9:30"),
        (TIME, ["09:30"], "9.'30", "09:30"),
        (TIME, ["09:30"], "9.31", None),
    ],
)
def test_the_value_is_the_entry_that_is_meant(
    options: ValueOptions, expected: list[str], text: str, result: str | None
) -> None:
    assert value(grammar_of(options, expected), text) == result


@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_from_a_grammar_all_values_but_its_own(name: str) -> None:
    options, expected = LISTS[name]
    free, listed = grammar_of(options), grammar_of(options, expected)
    own = {
        "numbers": {"1234", "0012", "125"},
        "amounts": {"1234.50", "1000.00", "0.05", "7.00"},
        "dates": {"2020-11-01", "2021-02-03", "2024-02-29"},
        "checked": set(expected),
    }[name]
    texts = [*random_texts(listed, 1000), *random_texts(free, 1000), *short_texts("0257.", 4)]
    for text in texts:
        assert (value(listed, text) is not None) == (value(free, text) in own), text


def test_without_its_check_a_list_is_the_same_list() -> None:
    grammar = grammar_of(ValueOptions(check="luhn"), ["18", "26"])
    assert value(unchecked(grammar), "1-8") == "18"
    assert value(unchecked(grammar), "27") is None


def test_a_long_list_is_searched() -> None:
    expected = [f"{number * 7919 % 10**8:08d}" for number in range(20000)]
    grammar = grammar_of(ValueOptions(), expected)
    assert [value(grammar, text) for text in expected[::100]] == expected[::100]
    assert value(grammar, "99999999") is None


@pytest.mark.parametrize(
    ("options", "expected", "told"),
    [
        (ValueOptions(), [], "list of expected values is empty"),
        (ValueOptions(), ["1", ""], "place 2 has no digit"),
        (ValueOptions(), ["none"], "place 1 has no digit"),
        (ValueOptions(kind="digits", digits="9"), ["1234"], "place 1 can never be read"),
        (ValueOptions(check="luhn"), ["18", "19"], "place 2 can never be read"),
        (DATE, ["2024-02-30"], "place 1 can never be read"),
        (replace(DATE, years="2020"), ["2020-01-01", "2021-01-01"], "place 2 can never be read"),
        (TIME, ["25:00"], "place 1 can never be read"),
    ],
)
def test_a_list_that_cannot_be_met_is_told_with_the_place(
    options: ValueOptions, expected: list[str], told: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        grammar_of(options, expected)
    assert told in str(caught.value)


# Options


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (ValueOptions(kind="digits"), "digits must say how many from 1 to 64, as in '9' or '5-8'"),
        (ValueOptions(kind="digits", digits="many"), "digits must say how many"),
        (ValueOptions(kind="digits", digits="8-5"), "digits must say how many"),
        (ValueOptions(kind="digits", digits="0-5"), "digits must say how many"),
        (ValueOptions(kind="digits", digits="65"), "digits must say how many"),
        (ValueOptions(digits="9"), "digits needs kind = 'digits'"),
        (ValueOptions(kind="pattern"), "pattern must be a regular expression, as in"),
        (ValueOptions(pattern="[0-9]"), "pattern needs kind = 'pattern'"),
        (ValueOptions(kind="pattern", pattern="["), "pattern must be a regular expression"),
        (ValueOptions(kind="pattern", pattern=r"(\d)\1"), "without back references"),
        (ValueOptions(kind="pattern", pattern=r"\d{5,2}"), "pattern must be a regular"),
        (ValueOptions(kind="pattern", pattern="[A-Z]+"), "must match a text of digits and . ,"),
        (ValueOptions(kind="pattern", pattern="-*"), "must match a text of digits and . ,"),
        (replace(AMOUNT, decimals=5), "decimals must be from 0 to 4"),
        (replace(AMOUNT, decimals=-1), "decimals must be from 0 to 4"),
        (replace(DATE, point="implied"), "point = 'implied' needs kind = 'amount'"),
        (replace(DATE, years="90-35"), "years must be from 1000 to 9999, as in '1990-2035'"),
        (replace(DATE, years="2035-1990"), "years must be from 1000 to 9999"),
        (replace(TIME, years="1990-2035"), "years needs kind = 'date'"),
        (replace(DATE, check="luhn"), "check needs kind = 'number', 'digits', 'pattern'"),
        (replace(TIME, hours=6), "hours must be one of 12, 24, not 6"),
        (ValueOptions(kind="text"), "kind must be one of 'number', 'digits', 'amount'"),
        (ValueOptions(kind="digits", digits="5", check="aba"), "can pass check = 'aba'"),
    ],
)
def test_options_that_make_no_sense_are_told_with_what_is_valid(
    options: ValueOptions, told: str
) -> None:
    with pytest.raises(PipelineError, match="value: ") as caught:
        grammar_of(options)
    assert told in str(caught.value)


def test_a_pipeline_file_says_what_its_values_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[value]\nkind = "amount"\ndecimals = 3\n')
    assert load_recipe(path).value == ValueOptions(kind="amount", decimals=3)
    path.write_text("")
    assert load_recipe(path).value == ValueOptions()


def test_a_pipeline_file_with_a_mistake_in_its_values_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[value]\nkind = "digits"\ndigits = "a few"\n')
    with pytest.raises(PipelineError, match=r"mine\.toml: value: digits must say how many"):
        load_recipe(path)
