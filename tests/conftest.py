"""What several tests draw with: the pen and the paper of the sample documents."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

# One thread in each process, as the workers have it: the machines that test have few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLES = Path(__file__).resolve().parent.parent / "sample_docs"


@pytest.fixture(scope="session")
def paper() -> ModuleType:
    """sample_docs/sheet.py: ``Sheet``, ``scanned`` and what else it has."""
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # it is read as documents
    sys.path.insert(0, str(SAMPLES))
    try:
        import sheet
    finally:
        sys.path.remove(str(SAMPLES))
        sys.dont_write_bytecode = writes
    return sheet
