"""Copies of what failed: whole, once, beside each other, and never of anything else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from digitocr.cli import digitocr_command
from digitocr.errors import OutputError
from digitocr.ingest import find_documents
from digitocr.quarantine import quarantined
from digitocr.types import Document, ModelId, ReadError


def keep(folder: Path, *inputs: Path, page: int | None = None, message: str = "bad") -> None:
    """Put all the files of the inputs into quarantine."""
    sources = find_documents(inputs).documents
    model = ModelId("digits", "")
    failed = [
        Document(source.file, "", "default", model, errors=(ReadError(page, message),))
        for source in sources
    ]
    assert list(quarantined(failed, sources, folder)) == failed


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def copies(folder: Path) -> dict[str, bytes]:
    return {k: v for k, v in contents(folder).items() if not k.endswith(".reason.txt")}


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with a file at its top and one below."""
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"one")
    (folder / "sub" / "a.png").write_bytes(b"two" * 1_000_000)
    return folder


def test_only_what_failed_is_copied_byte_for_byte_with_its_reason(tmp_path: Path) -> None:
    scans, folder = tmp_path / "scans", tmp_path / "quarantine"
    (scans / "sub").mkdir(parents=True)
    Image.new("L", (300, 200), 255).save(scans / "good.png")
    torn = (scans / "good.png").read_bytes()[:80]
    (scans / "sub" / "torn.png").write_bytes(torn)
    line = ["extract", scans, "-o", tmp_path / "out.csv", "--quarantine", folder, "--jobs", "1"]
    for _ in range(2):
        done = CliRunner().invoke(digitocr_command, [*map(str, line)])
        assert done.exit_code == 3
    found = contents(folder)
    assert found.keys() == {"sub/torn.png", "sub/torn.png.reason.txt"}
    assert found["sub/torn.png"] == torn
    reason = found["sub/torn.png.reason.txt"].decode()
    assert str(scans / "sub" / "torn.png") in reason
    assert "page 1: the picture is damaged or cut short" in reason
    assert (scans / "sub" / "torn.png").read_bytes() == torn


def test_the_same_failures_change_nothing(scans: Path, tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    keep(folder, scans)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    keep(folder, scans)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert copies(folder) == contents(scans)


def test_another_reason_takes_the_place_of_the_old_one(scans: Path, tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    keep(folder, scans)
    keep(folder, scans, page=7, message="damaged in another way")
    assert copies(folder) == contents(scans)
    assert b"page 7: damaged in another way" in contents(folder)["a.png.reason.txt"]


def test_a_file_that_changed_is_copied_beside_its_old_copy(scans: Path, tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    keep(folder, scans)
    (scans / "a.png").write_bytes(b"new")
    for _ in range(2):
        keep(folder, scans)
        found = copies(folder)
        assert (found["a.png"], found["a-2.png"]) == (b"one", b"new")
        assert len(found) == 3


def test_files_of_one_name_stand_side_by_side(tmp_path: Path) -> None:
    """From two inputs, with other bytes and with the same."""
    folder = tmp_path / "quarantine"
    inputs = [tmp_path / name for name in ("x", "y", "z")]
    for at, data in zip(inputs, (b"one", b"two", b"one"), strict=True):
        (at / "sub").mkdir(parents=True)
        (at / "sub" / "a.png").write_bytes(data)
    for _ in range(2):
        keep(folder, *inputs)
        found = contents(folder)
        assert len(found) == 6
        for place, at in zip(("sub", "sub-2", "sub-3"), inputs, strict=True):
            assert found[f"{place}/a.png"] == (at / "sub" / "a.png").read_bytes()
            assert str(at / "sub" / "a.png") in found[f"{place}/a.png.reason.txt"].decode()


def test_what_lies_there_already_is_never_overwritten(scans: Path, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "quarantine", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "a.png").write_bytes(b"mine")
    (folder / "a-2.png").symlink_to(elsewhere / "nothing")
    (folder / "a-3.png.reason.txt").write_text("my own notes")
    (folder / "sub").symlink_to(elsewhere)
    (folder / "sub-2").write_bytes(b"no folder")
    for _ in range(2):
        keep(folder, scans)
    assert (folder / "a.png").read_bytes() == b"mine"
    assert (folder / "a-3.png.reason.txt").read_text() == "my own notes"
    assert list(elsewhere.iterdir()) == []
    assert (folder / "a-4.png").read_bytes() == b"one"
    assert (folder / "sub-3" / "a.png").stat().st_size == 3_000_000


def test_a_document_that_is_called_like_a_reason_is_no_reason(tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n"
    scans, folder = tmp_path / "scans", tmp_path / "quarantine"
    scans.mkdir()
    for name in ("a.png", "a.png.reason.txt"):
        (scans / name).write_bytes(png + name.encode())
    for order in ([scans], [scans / "a.png.reason.txt", scans / "a.png"]):
        keep(folder, *order)
    assert {png + b"a.png", png + b"a.png.reason.txt"} <= set(contents(folder).values())
    assert len(contents(folder)) == 4


def test_what_is_no_ordinary_file_has_a_reason_alone(tmp_path: Path) -> None:
    scans, folder = tmp_path / "scans", tmp_path / "quarantine"
    scans.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (scans / "link.png").symlink_to(secret)
    (scans / "nowhere.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(scans / "pipe.png")
    for _ in range(2):
        keep(folder, scans, message="links are not followed")
        names = {f"{name}.png.reason.txt" for name in ("link", "nowhere", "pipe")}
        assert contents(folder).keys() == names


def test_copies_are_for_the_same_eyes(scans: Path, tmp_path: Path) -> None:
    (scans / "a.png").chmod(0o600)
    keep(tmp_path / "quarantine", scans)
    copy = tmp_path / "quarantine" / "a.png"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["x" * 251 + ".png", "ü" * 125 + ".png", os.fsdecode(b"\xe9" * 120)]
)
def test_names_that_are_long_or_odd_are_kept_apart(name: str, tmp_path: Path) -> None:
    scans, folder = tmp_path / "scans", tmp_path / "quarantine"
    scans.mkdir()
    (scans / name).write_bytes(b"one")
    (scans / ("y" + name[1:])).write_bytes(b"two")
    for _ in range(2):
        keep(folder, scans)
        assert sorted(copies(folder).values()) == [b"one", b"two"]


def test_a_folder_that_is_read_is_refused(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(scans)
    for folder, given in (
        (scans / "quarantine", scans),
        (scans, scans),
        (tmp_path, scans),
        (scans / "sub", scans / "sub" / "a.png"),
        (tmp_path / "link" / "quarantine", scans),
    ):
        line = ["extract", given, "-o", tmp_path / "out.csv", "--quarantine", folder]
        done = CliRunner().invoke(digitocr_command, [*map(str, line)])
        assert done.exit_code == 2
        assert "choose a folder beside the input" in done.stderr
    assert not (scans / "quarantine").exists()


def test_a_quarantine_that_cannot_be_written_is_told(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        keep(tmp_path / "file" / "quarantine", scans)


def test_a_disk_that_cannot_be_read_costs_the_copy_alone(scans, tmp_path, monkeypatch) -> None:
    def torn(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    class Torn:
        """A file on a bad sector."""

        def __init__(self, path: Path) -> None:
            self._file = path.open("rb")
            self.fileno, self.seek = self._file.fileno, self._file.seek
            self.read = torn

        def __enter__(self) -> Torn:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

    monkeypatch.setattr("digitocr.quarantine.open_regular", Torn)
    keep(tmp_path / "quarantine", scans)
    assert contents(tmp_path / "quarantine").keys() == {
        "a.png.reason.txt",
        "sub/a.png.reason.txt",
    }
