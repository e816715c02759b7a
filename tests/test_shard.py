"""A run divided among machines: shares, their records, and the table joined from the parts."""

from __future__ import annotations

import json
import os
import random
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from digitocr.cli import digitocr_command
from digitocr.errors import SetupError, UsageError
from digitocr.export import write
from digitocr.ingest import Source, find_documents
from digitocr.merge import merge
from digitocr.shard import RECORD, Shard, share_of, write_part
from digitocr.types import Document, ModelId, Number, PageReading, ReadError, Status

SAMPLES = Path(__file__).resolve().parent.parent / "sample_docs"
WAY = {
    "pipeline": {"name": "default", "sha256": "12" * 32},
    "model": {"name": "digits", "sha256": "cd" * 32},
}
ODD_NAMES = ["a,b.png", 'a"b.png', "a\nb.png", "=a.png", "é数.png", "a/caf%E9.png", "\u2028.png"]
FORMATS = [
    (".csv", False),
    (".csv", True),
    (".json", False),
    (".jsonl", False),
    (".parquet", False),
    (".parquet", True),
]

Read = tuple[Source, Document]


def source(name: str, number: int = 0) -> Source:
    raw = os.fsencode(name)
    return Source(Path(name), raw.decode("utf-8", "replace"), (number, raw))


def document(of: Source, dice: random.Random) -> Document:
    """What may come of a document: no page, pages without numbers, numbers, errors."""
    pages = [_page(of, number, dice) for number in range(1, dice.choice([1, 1, 2, 5]))]
    errors = [ReadError(len(pages) + 1, "damaged")] if dice.random() < 0.2 else []
    if not pages and not errors:
        errors = [ReadError(None, 'The file is "cut", short.')]
    return Document(
        of.file, "ab" * 32, "default", ModelId("digits", "cd" * 32), tuple(pages), tuple(errors)
    )


def _page(of: Source, page: int, dice: random.Random) -> PageReading:
    fields = dice.sample(["sum", "date", "=name", "n1", "n2", "n3"], dice.randrange(5))
    numbers = tuple(_number(of, page, field, dice) for field in fields)
    return PageReading(page, 600, 800, 300.0, 0, dice.uniform(-5, 5), numbers)


def _number(of: Source, page: int, field: str, dice: random.Random) -> Number:
    status: Status = dice.choice(["ok", "review", "blank"])
    value = "" if status == "blank" else f"{dice.randrange(1000):04d}"
    message = "unsure,\nor so" if status == "review" else ""
    return Number(
        of.file, page, field, value, value, dice.random(), status, (1, 2, 3, 4), message=message
    )


@pytest.fixture(scope="module")
def run() -> list[Read]:
    """The documents of a run over two inputs that hold files of the same names."""
    names = [*ODD_NAMES, "caf\udce9.png", *(f"{k}.png" for k in range(40))]
    sources = [source(name, number) for number in (0, 1) for name in names]
    sources.sort(key=lambda one: one.order)
    dice = random.Random(5)
    return [(one, document(one, dice)) for one in sources]


def write_parts(run: Sequence[Read], folder: Path, ending: str, count: int, wide: bool = False):
    """The parts of a divided run; their paths in order of their shards."""
    plan = [source for source, _ in run]
    paths = []
    for number in range(1, count + 1):
        shard = Shard(number, count)
        own = {one.order for one in shard.own(plan)}
        documents = [document for source, document in run if source.order in own]
        paths.append(folder / f"part{number}{ending}")
        write_part(documents, str(paths[-1]), shard, plan, WAY, wide=wide)
    return paths


# Shares


def test_every_document_is_in_one_share() -> None:
    sources = [source(f"{k}.png") for k in range(100)]
    shares = [Shard(number, 7).own(sources) for number in range(1, 8)]
    assert sorted(one.file for share in shares for one in share) == sorted(s.file for s in sources)


def test_shares_are_about_equal() -> None:
    sizes = Counter(share_of(f"scan-{k:05}.pdf".encode(), 4) for k in range(4000))
    assert set(sizes) == {1, 2, 3, 4}
    assert max(sizes.values()) < 1.15 * min(sizes.values())


def test_the_share_of_a_name_is_the_same_for_ever() -> None:
    """Machines with other versions, or a run that goes on, must agree."""
    assert [share_of(name, 9) for name in (b"a.png", b"b.png", b"sub/c.pdf", b"caf\xe9")] == [
        6,
        1,
        8,
        3,
    ]


def test_a_file_that_arrives_moves_no_other(tmp_path: Path) -> None:
    for k in range(20):
        (tmp_path / f"{k}.png").touch()
    before = Shard(2, 3).own(find_documents([tmp_path]).documents)
    for k in range(20):
        (tmp_path / f"{k}-new.png").touch()
    after = Shard(2, 3).own(find_documents([tmp_path]).documents)
    assert set(before) < set(after)


def test_the_order_of_sources_tells_inputs_of_the_same_names_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in (b"b.png", b"caf\xe9.png", b"caf%E9.png"):
            Path(os.fsdecode(os.fsencode(tmp_path / folder) + b"/" + name)).touch()
    found = find_documents([tmp_path / "two", tmp_path / "one", tmp_path / "one" / "b.png"])
    assert [one.order for one in found.documents] == [
        (number, name) for number in (0, 1) for name in (b"b.png", b"caf%E9.png", b"caf\xe9.png")
    ]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "2", "2/", "-1/4", "2/4/1", "a/b", "1 / 2"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="2/4"):
        Shard.parse(text)


# Joined


@pytest.mark.parametrize(("ending", "wide"), FORMATS)
def test_the_joined_table_is_that_of_an_undivided_run(
    run: list[Read], tmp_path: Path, ending: str, wide: bool
) -> None:
    whole, joined = tmp_path / f"whole{ending}", tmp_path / f"joined{ending}"
    write((document for _, document in run), str(whole), wide=wide)
    parts = write_parts(run, tmp_path, ending, 3, wide)
    merged = merge(parts[::-1], str(joined))
    assert joined.read_bytes() == whole.read_bytes()
    assert merged.documents == len(run)
    assert merged.errors == sum(len(document.errors) for _, document in run) > 0


@pytest.mark.parametrize(("ending", "wide"), FORMATS)
def test_more_shards_than_documents_join_too(
    run: list[Read], tmp_path: Path, ending: str, wide: bool
) -> None:
    for few in (run[:1], []):
        whole, joined = tmp_path / f"whole{ending}", tmp_path / f"joined{ending}"
        write((document for _, document in few), str(whole), wide=wide)
        merge(write_parts(few, tmp_path, ending, 2, wide), str(joined))
        assert joined.read_bytes() == whole.read_bytes()


def test_a_wide_part_of_nothing_but_errors_tells_of_them_in_the_whole(tmp_path: Path) -> None:
    """Its own table has no field, and so no place to say it in."""
    dice = random.Random(1)
    reads = [(one := source(f"{k}.png"), document(one, dice)) for k in range(9)]
    reads = [
        (one, read if share_of(one.order[1], 2) == 1 else replace(read, pages=(), errors=(gone,)))
        for one, read in reads
        for gone in [ReadError(None, "gone")]
    ]
    whole, joined = tmp_path / "whole.csv", tmp_path / "joined.csv"
    write((document for _, document in reads), str(whole), wide=True)
    parts = write_parts(reads, tmp_path, ".csv", 2, wide=True)
    assert parts[1].read_text().startswith("file,page\n")
    merge(parts, str(joined))
    assert joined.read_bytes() == whole.read_bytes()
    assert ",error" in joined.read_text()


def test_parquet_of_many_rows_is_grouped_as_in_an_undivided_run(tmp_path: Path) -> None:
    reads = []
    for k in range(12):
        one = source(f"{k:02}.png")
        read = document(one, random.Random(k))
        row = Number(one.file, 1, "n1", "1", "1", 0.5, "ok")
        page = PageReading(1, 60, 80, None, 0, 0.0, (row,) * 3000)
        reads.append((one, replace(read, pages=(page,))))
    whole, joined = tmp_path / "whole.parquet", tmp_path / "joined.parquet"
    write((document for _, document in reads), str(whole))
    merge(write_parts(reads, tmp_path, ".parquet", 3), str(joined))
    assert joined.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl"])
def test_memory_does_not_grow_with_the_parts(tmp_path: Path, ending: str) -> None:
    def peak(documents: int) -> int:
        folder = tmp_path / str(documents)
        folder.mkdir()
        sources = sorted((source(f"{k}.png") for k in range(documents)), key=lambda s: s.order)
        reads = [(one, document(one, random.Random(k))) for k, one in enumerate(sources)]
        parts = write_parts(reads, folder, ending, 3)
        tracemalloc.start()
        merge(parts, str(folder / f"joined{ending}"))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)  # what is loaded at the first time counts in none
    assert peak(1000) < 1.1 * peak(200) + 100_000


# Refused


def refused(parts: Sequence[Path], out: Path, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        merge(parts, str(out))
    assert not out.exists()


@pytest.fixture(scope="module")
def written(run: list[Read], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_parts(run, folder, ".csv", 3)
    return folder


@pytest.fixture
def parts(written: Path, tmp_path: Path) -> list[Path]:
    """The parts of a run, to be harmed."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return [tmp_path / f"part{number}.csv" for number in (1, 2, 3)]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    folder = tmp_path / "other"
    folder.mkdir()
    return folder


def test_a_missing_shard_is_named(parts: list[Path], tmp_path: Path) -> None:
    refused([parts[0], parts[2]], tmp_path / "out.csv", UsageError, "shard 2/3 is missing")


def test_a_shard_that_is_there_twice_is_named(parts, run, other, tmp_path) -> None:
    again = write_parts(run, other, ".csv", 3)[1]
    refused([*parts, again], tmp_path / "out.csv", UsageError, "both shard 2/3")


def test_parts_of_another_division_are_refused(parts, run, other, tmp_path) -> None:
    stranger = write_parts(run, other, ".csv", 4)[2]
    refused([*parts[:2], stranger], tmp_path / "out.csv", UsageError, "3/4")


def test_a_document_that_one_machine_saw_and_none_read_is_named(parts, run, other, tmp_path):
    """As where a file arrives between the beginnings of two of them."""
    read, _ = run[5]
    number = share_of(read.order[1], 3)
    early = write_parts([one for one in run if one[0] != read], other, ".csv", 3)
    mixed = [early[k] if k == number - 1 else parts[k] for k in range(3)]
    out = tmp_path / "out.csv"
    refused(mixed, out, UsageError, f"shard {number}/3 did not see")
    mixed = [parts[k] if k == number - 1 else early[k] for k in range(3)]
    merge(mixed, str(out))  # what the others did not see yet was read all the same
    assert out.exists()


@pytest.mark.parametrize(
    ("key", "value", "kind", "told"),
    [
        ("digitocr", "0.0.9", SetupError, "version"),
        ("schema", 9, SetupError, "version"),
        ("pipeline", {"name": "default", "sha256": "34" * 32}, SetupError, "pipeline"),
        ("model", {"name": "digits", "sha256": "34" * 32}, SetupError, "model"),
        ("wide", True, UsageError, "wide"),
        ("wide", None, UsageError, "damaged"),
        ("shard", [1, 0], UsageError, "shard"),
        ("shard", None, UsageError, "damaged"),
        ("model", "digits", UsageError, "damaged"),
    ],
)
def test_parts_that_were_not_read_alike_are_refused(key, value, kind, told, parts, tmp_path):
    record = parts[1].with_name(parts[1].name + RECORD)
    head, *lines = record.read_text().splitlines()
    said = json.loads(head) | {key: value}
    if value is None:
        del said[key]
    record.write_text("\n".join([json.dumps(said), *lines]))
    refused(parts, tmp_path / "out.csv", kind, told)


def _edited(part: Path) -> None:
    part.write_text(part.read_text().replace("review", "ok"))


def _cut(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-40])


def _without_record(part: Path) -> None:
    part.with_name(part.name + RECORD).unlink()


def _cut_record(part: Path) -> None:
    record = part.with_name(part.name + RECORD)
    record.write_text("\n".join(record.read_text().splitlines()[:-1]))


def _garbled_record(part: Path) -> None:
    part.with_name(part.name + RECORD).write_bytes(b"\x89PNG\r\n\x1a\n")


def _shuffled_record(part: Path) -> None:
    record = part.with_name(part.name + RECORD)
    head, *lines, end = record.read_text().splitlines()
    record.write_text("\n".join([head, *reversed(lines), end]))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_edited, "not as shard 2/3 wrote it"),
        (_cut, "not as shard 2/3 wrote it"),
        (Path.unlink, "there is no"),
        (_without_record, "belong together"),
        (_cut_record, "damaged"),
        (_garbled_record, "damaged"),
        (_shuffled_record, "run that shard again"),
    ],
)
def test_a_part_that_is_not_as_it_was_written_is_refused(
    harm: Callable[[Path], None], told: str, parts: list[Path], tmp_path: Path
) -> None:
    harm(parts[1])
    refused(parts, tmp_path / "out.csv", UsageError, told)


def test_formats_are_not_mixed_and_no_part_is_the_output(parts, tmp_path) -> None:
    refused(parts, tmp_path / "out.json", UsageError, "end alike")
    with pytest.raises(UsageError, match="one of the parts"):
        merge(parts, str(parts[0]))
    merge(parts, str(tmp_path / "out.csv"))


def test_a_part_that_was_interrupted_is_not_merged(run, parts, tmp_path) -> None:
    """What stood there before stays, with its record."""

    def interrupted():
        yield from (read for one, read in run[:1] if share_of(one.order[1], 3) == 1)
        raise KeyboardInterrupt

    plan = [one for one, _ in run]
    before = parts[0].read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_part(interrupted(), str(parts[0]), Shard(1, 3), plan, WAY)
    assert parts[0].read_bytes() == before
    merge(parts, str(tmp_path / "out.csv"))


def test_a_document_that_is_dropped_on_the_way_is_noticed(run, tmp_path) -> None:
    plan = [one for one, _ in run]
    for documents in ([], [read for _, read in run[1:]], [read for _, read in run] * 2):
        with pytest.raises(RuntimeError, match="planned"):
            write_part(documents, str(tmp_path / "part.csv"), Shard(1, 1), plan, WAY)
    assert list(tmp_path.iterdir()) == []


# By command


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(digitocr_command, [*map(str, arguments)], prog_name="digitocr")


def test_a_divided_run_of_the_command_line_joins_to_the_undivided(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for name in ("tally.png", "cheque-line.jpg", "meter-cards.tif"):
        shutil.copy(SAMPLES / name, scans)
    (scans / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    inputs = ("extract", scans, SAMPLES / "tally.png", "--jobs", "1")
    assert invoke(*inputs, "-o", tmp_path / "whole.csv").exit_code == 3
    parts = [tmp_path / f"part{number}.csv" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        done = invoke(*inputs, "-o", part, "--shard", f"{number}/2")
        assert done.exit_code in (0, 3)
    done = invoke("merge", *sorted(tmp_path.glob("part*")), "-o", tmp_path / "joined.csv")
    assert done.exit_code == 3
    assert "5 documents joined, 1 error" in done.stderr
    assert (tmp_path / "joined.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert invoke("merge", *parts, "-o", "-").stdout == (tmp_path / "whole.csv").read_text()
    assert invoke("merge", parts[0], "-o", tmp_path / "more.csv").exit_code == 2
    assert invoke("extract", scans, "-o", "-", "--shard", "1/2").exit_code == 2
    assert invoke("extract", scans, "-o", parts[0], "--shard", "3/2").exit_code == 2
