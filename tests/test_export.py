"""Documents leave as tables and JSON, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitocr.errors import OutputError, UsageError
from digitocr.export import check_format, write
from digitocr.tables import COLUMNS
from digitocr.types import Digit, Document, ModelId, Number, PageReading, ReadError

HEADER = "file,page,field,value,text,confidence,status,left,top,right,bottom,message\n"


def number(value: str, page: int = 1, file: str = "a.png", **changes: object) -> Number:
    given = {"field": "n1", "text": value, "confidence": 0.98765, "status": "ok"}
    given |= {"box": (1, 2, 30, 40)} | changes
    return Number(file=file, page=page, value=value, **given)  # type: ignore[arg-type]


def document(*numbers: Number, file: str = "a.png", errors: tuple[ReadError, ...] = ()) -> Document:
    pages = sorted({n.page for n in numbers if n.page})
    return Document(
        file=file,
        sha256="ab" * 32,
        pipeline="default",
        model=ModelId("digits", "cd" * 32),
        pages=tuple(
            PageReading(page, 600, 800, 300.0, 0, 0.25, tuple(n for n in numbers if n.page == page))
            for page in pages
        ),
        errors=errors,
    )


def table(path: Path) -> list[dict[str, object]]:
    """What a reader of the file gets, whatever its ending; empty cells as None."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows: list[dict[str, object]] = pq.read_table(path).to_pylist()
    else:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    return [{k: None if v == "" else v for k, v in row.items()} for row in rows]


# Formats


@pytest.mark.parametrize("out", ["out", "out.xlsx", "folder/", ".csv"])
def test_an_unknown_ending_is_refused_before_anything_is_read(out: str) -> None:
    def never() -> Iterator[Document]:
        raise AssertionError("a document was asked for")
        yield

    with pytest.raises(UsageError, match=r"\.csv, \.json, \.jsonl, \.parquet"):
        write(never(), out)


def test_the_ending_picks_the_format_in_either_case() -> None:
    assert [check_format(f"x{e}") for e in (".csv", ".JSON", ".jsonl", ".parquet")] == [
        ".csv",
        ".json",
        ".jsonl",
        ".parquet",
    ]
    assert check_format("-") == ".csv"


def test_json_has_no_wide_form() -> None:
    with pytest.raises(UsageError, match="wide"):
        check_format("out.json", wide=True)


# The table


def test_csv_is_as_the_contract_shows_it(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    write([document(number("0042"), number("7", page=2, box=None, status="missing"))], str(out))
    assert out.read_bytes().decode() == (
        HEADER
        + "a.png,1,n1,0042,0042,0.9877,ok,1,2,30,40,\n"
        + "a.png,2,n1,7,7,0.9877,missing,,,,,\n"
    )


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table_without_rows_has_its_columns(tmp_path: Path, ending: str) -> None:
    import pandas as pd

    out = tmp_path / f"out{ending}"
    write([], str(out))
    read = pd.read_csv(out) if ending == ".csv" else pd.read_parquet(out)
    assert list(read.columns) == [column.name for column in COLUMNS]
    assert len(read) == 0


def test_csv_and_parquet_hold_the_same_cells(tmp_path: Path) -> None:
    documents = [
        document(number("0042"), number("12", status="review", message="=unsure, 50 %\nor so")),
        document(file="b.pdf", errors=(ReadError(None, "The file is cut short."),)),
    ]
    for ending in (".csv", ".parquet"):
        write(documents, str(tmp_path / f"out{ending}"))
    from_csv, from_parquet = (table(tmp_path / f"out{e}") for e in (".csv", ".parquet"))
    for row in from_parquet:
        row["confidence"] = f"{row['confidence']:.4f}"
    assert from_csv == [
        {k: None if v is None else str(v) for k, v in row.items()} for row in from_parquet
    ]


def test_parquet_keeps_its_types_where_a_column_is_empty(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write([document(errors=(ReadError(None, "no"),))], str(tmp_path / "a.parquet"))
    write([document(number("1"))], str(tmp_path / "b.parquet"))
    assert pq.read_schema(tmp_path / "a.parquet") == pq.read_schema(tmp_path / "b.parquet")


def test_parquet_of_many_rows_is_written_in_groups(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    page = document(*[number("1")] * 1000)
    write((page for _ in range(20)), str(tmp_path / "out.parquet"))
    read = pq.ParquetFile(tmp_path / "out.parquet")
    assert read.metadata.num_rows == 20_000
    assert read.metadata.num_row_groups > 1


def test_rows_are_in_order_of_page_and_those_of_no_page_last(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    errors = (ReadError(None, "gave up"), ReadError(2, "damaged"))
    write([document(number("1"), number("3", page=3), errors=errors)], str(out))
    assert [row["page"] for row in table(out)] == ["1", "2", "3", None]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_no_text_cell_runs_as_a_formula(tmp_path: Path, start: str, ending: str) -> None:
    evil = f"{start}HYPERLINK()"
    out = tmp_path / f"out{ending}"
    row = number("1", file=evil, field=evil, text=evil, message=evil)
    write([document(row, file=evil)], str(out))
    (read,) = table(out)
    assert {read[c] for c in ("file", "field", "text", "message")} == {f"'{evil}"}


def test_json_holds_text_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    write([document(number("1", text="=1"), file="=a.png")], str(out))
    (read,) = json.loads(out.read_text())
    assert read["file"] == "=a.png"
    assert read["pages"][0]["numbers"][0]["text"] == "=1"


@pytest.mark.parametrize("name", ["a,b.png", 'a"b.png', "a\nb.png", "a\rb.png", " a ", "é…数.png"])
def test_any_file_name_comes_back(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.csv"
    write([document(number("1", file=name), file=name)], str(out))
    assert table(out)[0]["file"] == name


@pytest.mark.parametrize(
    ("ending", "wide"),
    [(".csv", False), (".csv", True), (".parquet", False), (".parquet", True), (".jsonl", False)],
)
def test_a_file_name_that_is_no_utf8_is_told_by_its_bytes(
    tmp_path: Path, ending: str, wide: bool
) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    out = tmp_path / f"out{ending}"
    write([document(number("1", file=name, message=name), file=name)], str(out), wide=wide)
    read = json.loads(out.read_text()) if ending == ".jsonl" else table(out)[0]
    assert read["file"] == r"caf\xe9.png"


# The wide table


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_wide_has_a_row_for_each_page(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out{ending}"
    a = document(number("12", field="date"), number("9", field="amount"))
    b = document(number("7", page=2, field="total", file="b.pdf"), file="b.pdf")
    write([a, b], str(out), wide=True)
    rows = table(out)
    assert list(rows[0]) == ["file", "page"] + [
        f"{name}{part}"
        for name in ("date", "amount", "total")
        for part in ("", "_confidence", "_status")
    ]
    assert [(row["file"], str(row["page"])) for row in rows] == [("a.png", "1"), ("b.pdf", "2")]
    assert [row["date"] for row in rows] == ["12", None]
    assert [row["total"] for row in rows] == [None, "7"]
    assert [row["amount_status"] for row in rows] == ["ok", None]


def test_wide_marks_every_field_of_what_could_not_be_read(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    bad = document(file="b.pdf", errors=(ReadError(None, "damaged"), ReadError(3, "damaged")))
    write([bad, document(number("12", field="date"))], str(out), wide=True)
    assert [(row["page"], row["date_status"], row["date"]) for row in table(out)] == [
        ("3", "error", None),
        (None, "error", None),
        ("1", "ok", "12"),
    ]


def test_wide_without_fields_still_names_the_pages(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    write([document(errors=(ReadError(1, "damaged"),))], str(out), wide=True)
    assert out.read_text() == "file,page\na.png,1\n"


# JSON


def test_json_is_as_the_contract_shows_it(tmp_path: Path) -> None:
    digit = Digit("4", 0.99, (1, 2, 3, 4), (("4", 0.99), ("9", 0.01)))
    write(
        [document(number("4", digits=(digit,)), errors=(ReadError(2, "damaged"),))],
        str(tmp_path / "out.json"),
    )
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {
            "schema": 1,
            "file": "a.png",
            "sha256": "ab" * 32,
            "pipeline": "default",
            "model": {"name": "digits", "sha256": "cd" * 32},
            "pages": [
                {
                    "page": 1,
                    "width": 600,
                    "height": 800,
                    "dpi": 300.0,
                    "rotation": 0,
                    "skew": 0.25,
                    "numbers": [
                        {
                            "field": "n1",
                            "value": "4",
                            "text": "4",
                            "confidence": 0.9877,
                            "status": "ok",
                            "box": [1, 2, 30, 40],
                            "message": "",
                            "digits": [
                                {
                                    "value": "4",
                                    "confidence": 0.99,
                                    "box": [1, 2, 3, 4],
                                    "alternatives": [["4", 0.99], ["9", 0.01]],
                                }
                            ],
                        }
                    ],
                }
            ],
            "errors": [{"page": 2, "message": "damaged"}],
        }
    ]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_and_json_lines_hold_the_same_documents(tmp_path: Path, count: int) -> None:
    documents = [document(number(str(i))) for i in range(count)]
    for ending in (".json", ".jsonl"):
        write(documents, str(tmp_path / f"out{ending}"))
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads((tmp_path / "out.json").read_text()) == [json.loads(x) for x in lines]
    assert len(lines) == count


# Whole or not at all


@pytest.mark.parametrize(
    ("ending", "wide"),
    [
        (".csv", False),
        (".csv", True),
        (".parquet", False),
        (".parquet", True),
        (".json", False),
        (".jsonl", False),
    ],
)
def test_an_interrupted_run_leaves_the_old_file(tmp_path: Path, ending: str, wide: bool) -> None:
    def interrupted() -> Iterator[Document]:
        yield document(number("1"))
        raise KeyboardInterrupt

    out = tmp_path / f"out{ending}"
    out.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), str(out), wide=wide)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_documents_are_written_as_they_come(tmp_path: Path) -> None:
    def checked() -> Iterator[Document]:
        for i in range(3):
            (part,) = tmp_path.iterdir()
            assert len(part.read_text().splitlines()) == i + 1
            yield document(number("1"))

    write(checked(), str(tmp_path / "out.csv"))


def test_an_error_of_the_reader_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    def broken() -> Iterator[Document]:
        raise PermissionError("of an input")
        yield

    with pytest.raises(PermissionError):
        write(broken(), str(tmp_path / "out.csv"))


def test_a_folder_that_is_missing_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write([], str(tmp_path / "missing" / "out.csv"))


def test_a_folder_in_the_way_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError, match="no file"):
        write([], str(tmp_path / "out.csv"))


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.touch(mode=0o600)
    link.symlink_to(real)
    write([document(number("1"))], str(link))
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert len(table(real)) == 1


FULL_DISK = """
import resource, sys
sys.path[:0] = {path!r}
from test_export import document, number, write
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
write((document(*[number(str(i)) for i in range(5000)]) for _ in range(9)), sys.argv[1])
"""


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path, ending: str) -> None:
    script = FULL_DISK.format(path=[str(Path(__file__).parent), *sys.path])
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / f"out{ending}")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OutputError" in run.stderr.splitlines()[-1]
    assert "cannot be written" in run.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


# Standard output


def test_a_dash_is_csv_on_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write([document(number("1", file="é"), file="é")], "-")
    assert capfdbinary.readouterr().out.decode() == (HEADER + "é,1,n1,1,1,0.9877,ok,1,2,30,40,\n")


TO_STANDARD_OUTPUT = """
import sys
sys.path[:0] = {path!r}
from test_export import OutputError, document, number, write
try:
    write((document(*[number("1")] * 1000) for _ in range(1000)), "-")
except OutputError as error:
    print(error, file=sys.stderr)
    sys.exit(5)
"""


@pytest.fixture
def to_standard_output() -> list[str]:
    script = TO_STANDARD_OUTPUT.format(path=[str(Path(__file__).parent), *sys.path])
    return [sys.executable, "-c", script]


def test_a_reader_that_stops_ends_the_run_with_one_sentence(to_standard_output: list[str]) -> None:
    with subprocess.Popen(
        to_standard_output, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        assert run.stdout.readline() == HEADER
        run.stdout.close()
        assert run.stderr.read().splitlines() == [
            "whoever was reading the output stopped before its end"
        ]
    assert run.returncode == 5


@pytest.mark.parametrize(("shell", "why"), [(">/dev/full", "No space left"), (">&-", "closed")])
def test_standard_output_that_takes_nothing_is_told_once(
    to_standard_output: list[str], shell: str, why: str
) -> None:
    if "/dev" in shell and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    run = subprocess.run(
        ["sh", "-c", f'"$@" {shell}', "sh", *to_standard_output],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == 5
    (sentence,) = run.stderr.splitlines()
    assert sentence.startswith("standard output") and why in sentence
