"""The same work on a Ray cluster: whatever is lost on the way, the table is the local one's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from digitocr.errors import SetupError, UsageError
from digitocr.export import write
from digitocr.ingest import find_documents
from digitocr.merge import merge
from digitocr.pipeline import Pipeline
from digitocr.shard import Shard, write_part

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_docs"
LOST = "7 the machines of the cluster that read it were lost, one after the other"
MARK = "DIGITOCR_TEST_OF_RAY"  # in the environment of all that a test starts

pytestmark = [
    pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed; see digitocr[ray]"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]

# A cluster on this machine, of one node so far.
CLUSTER = """
import atexit, json, os, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster
size = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024}
cluster = Cluster()
atexit.register(cluster.shutdown)
cluster.add_node(**size, num_gpus=1, include_dashboard=False)
os.environ["RAY_ADDRESS"] = cluster.address
"""

READ = """
from digitocr.export import write
from digitocr.pipeline import Pipeline
nodes = [cluster.add_node(**size) for _ in range(2)]
inputs, out = [Path(name) for name in sys.argv[1:-1]], sys.argv[-1]

def documents():
    for k, document in enumerate(Pipeline.load(device="cpu").read_all(inputs, engine="ray")):
        if k == 2:  # in the middle: the window holds many more
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        yield document

write(documents(), out)
"""

SABOTAGE = """
import ray
from digitocr.engines.ray import ray_workers
from digitocr.ingest import Source
from digitocr.prepare import Part, failed_page
from digitocr.types import ReadError
from digitocr.errors import TimedOut, WorkerCrashed

def fate(future):
    try:
        return future.result()
    except Exception as error:
        return type(error).__name__

def read(batch):
    assert len(ray.get_gpu_ids()) == 1
    if any("crash" in source.file for source, _ in batch):
        os.abort()
    pages = [[ReadError(page.number, "read") for page in part.pages] for _, part in batch]
    return pages[1:] if any("drop" in source.file for source, _ in batch) else pages

def batch(*names):
    page = failed_page(7, "", transient=False)
    return [(Source(Path(name), name), Part(pages=(page,))) for name in names]

with ray_workers(2, 1500, cards=True) as workers:
    found = {
        "exit": workers.submit(os._exit, 1),
        "abort": workers.submit(os.abort),
        "hang": workers.submit(time.sleep, 600, seconds=0.5),
        "memory": workers.submit(bytearray, 4_000_000_000),
        "error": workers.submit(divmod, 1, 0),
        "after": workers.submit(pow, 2, 10),
    }
    fates = {name: fate(future) for name, future in found.items()}
    batches = [batch("a", "crash", "b"), batch("c"), batch("drop", "d")]
    fates["batches"] = [
        f"{page.page} {page.message}"
        for _, results in workers.map(read, batches) for (page,) in results
    ]
    began = time.monotonic()
    workers.submit(time.sleep, 600)
    time.sleep(1)
Path(sys.argv[-1]).write_text(json.dumps(fates | {"end": time.monotonic() - began}))
"""


def on_a_cluster(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a script beside a cluster of its own; nothing of it may be left."""
    left: list[int] = []
    folder = tempfile.mkdtemp(prefix="ray")  # short: Ray's sockets lie there
    marked = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), MARK: folder}
    try:
        done = subprocess.run(
            [sys.executable, "-c", CLUSTER + script, *map(str, arguments)],
            env=marked | {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        end = time.monotonic() + 10
        while left := list(marked_processes(folder)):
            assert time.monotonic() < end, done.stderr
            time.sleep(0.1)
    finally:
        for process in left:
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
    return done


def marked_processes(mark: str) -> Iterator[int]:
    """The processes that a test has started."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                yield int(process.name)


def test_local_shards_and_a_cluster_that_loses_a_node_write_the_same(tmp_path: Path) -> None:
    """Documents over two inputs that hold files of the same names, some of them torn."""
    inputs = [tmp_path / "one", tmp_path / "two"]
    for folder in inputs:
        folder.mkdir()
        (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / "empty.pdf").touch()
        for name in ("tally.png", "cheque-line.jpg", "answer-sheets.pdf"):
            shutil.copy(SAMPLES / name, folder)
        for k in range(3):
            shutil.copy(SAMPLES / "meter-cards.tif", folder / f"{k}.tif")
    local, joined, ray = (tmp_path / f"{name}.csv" for name in ("local", "joined", "ray"))

    pipeline = Pipeline.load()
    documents = list(pipeline.read_all(inputs))
    write(documents, str(local))

    plan = find_documents(inputs).documents
    parts = [tmp_path / f"part{number}.csv" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        shard = Shard(number, 3)
        own = pipeline.read_sources(shard.own(plan), jobs=1)
        write_part(own, str(part), shard, plan, pipeline.way)
    merge(parts, str(joined))
    assert joined.read_bytes() == local.read_bytes()

    done = on_a_cluster(READ, *inputs, ray)
    assert done.returncode == 0, done.stderr
    assert ray.read_bytes() == local.read_bytes()
    assert len(documents) == 16


def test_a_task_that_dies_hangs_or_eats_memory_costs_itself_alone(tmp_path: Path) -> None:
    out = tmp_path / "fates.json"
    done = on_a_cluster(SABOTAGE, out)
    assert done.returncode == 0, done.stderr
    fates: dict[str, Any] = json.loads(out.read_text())
    assert fates.pop("end") < 30  # it did not wait for what ran
    assert fates == {
        "exit": "WorkerCrashed",
        "abort": "WorkerCrashed",
        "hang": "TimedOut",
        "memory": "MemoryError",
        "error": "ZeroDivisionError",
        "after": 1024,
        "batches": ["7 read", LOST, "7 read", "7 read", LOST, "7 read"],
    }


def test_a_cluster_that_does_not_answer_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(SetupError, match="cluster"):
        next(Pipeline.load().read_all([SAMPLES], engine="ray"))


def test_where_ray_is_not_installed_it_is_told_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "digitocr.engines.ray", raising=False)
    with pytest.raises(UsageError, match=r"digitocr\[ray\]"):
        next(Pipeline.load().read_all([SAMPLES], engine="ray"))
