"""One run over the broken, hostile and odd files of ../shared/data/faults."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import PIL
import pytest

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT.parent / "shared" / "data" / "faults"
pytestmark = [
    pytest.mark.skipif(not FAULTS.is_dir(), reason="needs ../shared/data/faults"),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="memory is found in /proc"),
]

MOST_BYTES = 2_000_000_000  # of all processes together
MOST_SECONDS = 120  # of one processor, whatever else runs on it
BROKEN = (
    # cut short, with bits flipped, or never a document
    *("synthetic/trunc_*", "synthetic/badcrc.png", "synthetic/noise_200bytes.pdf"),
    *("synthetic/zero.*", "synthetic/random.*", "synthetic/html_*", "synthetic/header_only_*"),
    # beyond the limits, or without an end
    *("synthetic/big_*", "synthetic/bomb_*", "synthetic/image_?0000*", "synthetic/pages_10000.pdf"),
    *("synthetic/forms_billion_laughs.pdf", "synthetic/pages_cycle.pdf"),
    *("ocrmypdf/enormous.pdf", "ocrmypdf/hugemono.pdf"),
    # what fuzzers made of JPEG 2000, TIFF and formats that are not read here
    *("openjpeg/*SIGFPE*", "openjpeg/edf_c2_*", "openjpeg/gdal_fuzzer_*", "openjpeg/issue362-*"),
    *("openjpeg/issue391.jp2", "openjpeg/issue408.jp2", "openjpeg/issue414.jp2"),
    *("openjpeg/issue427-*", "openjpeg/issue733.jp2", "pillow/crash-*", "pillow/oom-*"),
    *("pillow/psd-*", "pillow/invalid_header_length.jp2", "pillow/zero_height.j2k"),
    "pillow/hopper_bad_exif.jpg",  # its picture is damaged, too
    # PDFs that ask for a password, have no page to find, or one that cannot be unpacked
    *("pdfium/encrypted*", "pdfjs/issue15893_reduced.pdf", "pdfium/bug_1324189.pdf"),
    *("pdfium/bug_360.pdf", "pdfium/bug_552046.pdf", "pikepdf/378014596.pdf", "qpdf/empty.pdf"),
    *("pikepdf/1biticc.pdf", "qpdf/bad-jpeg.pdf", "qpdf/damaged-inline-image.pdf"),
    "qpdf/bad-data*.pdf",
)


def family(process: int) -> list[int]:
    """A process and all it has started, and so on."""
    found = [process]
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [one for child in thread.read_text().split() for one in family(int(child))]
        except OSError:
            continue
    return found


def resident(process: int) -> int:
    """The bytes of memory that a process holds; what it shares with others counts for each."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Survey:
    """The run, measured while it goes."""

    def __init__(self, folder: Path) -> None:
        out = folder / "out.csv"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with (folder / "events").open("w+") as events:
            run = subprocess.Popen(
                [sys.executable, "-m", "digitocr", "extract", FAULTS, "-o", out, "--jobs", "2",
                 "--log-json"],
                stderr=events, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            self.peak = 0
            while run.poll() is None:
                self.peak = max(self.peak, sum(map(resident, family(run.pid))))
                time.sleep(0.02)
            events.seek(0)
            self.events = [json.loads(line) for line in events]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.status = run.returncode
        with out.open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.DictReader(file))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return Survey(tmp_path_factory.mktemp("faults"))


def files() -> set[str]:
    found = (path for path in FAULTS.rglob("*") if path.is_file())
    return {path.relative_to(FAULTS).as_posix() for path in found}


def is_broken(file: str) -> bool:
    # The last Pillow for Python 3.10 cannot read raw YCbCr in a TIFF.
    old = file == "synthetic/mode_YCbCr.tif" and int(PIL.__version__.partition(".")[0]) < 13
    return old or any(fnmatch(file, pattern) for pattern in BROKEN)


def test_the_run_ends_by_itself_with_every_file_accounted_for(survey: Survey) -> None:
    assert survey.status == 3
    told = [event["file"] for event in survey.events if event["event"] == "document"]
    assert set(told) == files()
    assert len(told) == len(files())
    assert {row["file"].removeprefix("'") for row in survey.rows} == files()


def test_what_is_broken_is_an_error_and_nothing_else_is(survey: Survey) -> None:
    """No wrong pixels are passed off as a page, and no valid file is lost."""
    failed = {event["file"] for event in survey.events if event["event"] == "page_failed"}
    assert failed == {file for file in files() if is_broken(file)}
    rows = {row["file"].removeprefix("'") for row in survey.rows if row["status"] == "error"}
    assert rows == failed


def test_nothing_fails_by_our_own_fault(survey: Survey) -> None:
    assert not [event for event in survey.events if event["event"] in ("fault", "failed")]


def test_memory_and_time_are_bounded(survey: Survey) -> None:
    assert survey.peak < MOST_BYTES
    assert survey.seconds < MOST_SECONDS
