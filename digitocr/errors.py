"""Every error digitocr raises on purpose, with the exit status it ends a command with.

    DigitocrError                  1
    ├── UsageError                 2   the command was asked for something that is not there
    │   └── InputMissing
    ├── DocumentError              3   one document (or page) cannot be read; the rest go on
    │   ├── EmptyFile
    │   ├── UnsupportedFile
    │   ├── DamagedFile
    │   ├── EncryptedFile
    │   ├── TooLarge
    │   ├── UnreadableFile
    │   ├── WorkerCrashed
    │   └── TimedOut
    ├── TooManyFailed              3   more documents failed than the run may lose
    ├── OutputError                5   the output or the state cannot be written
    ├── OutputLocked              75   another run writes the same output; try again later
    └── SetupError                 6   the model or the pipeline cannot be used
        ├── ModelError
        └── PipelineError

A message is one sentence for the person at the desk: what is wrong, and what to do next.
It never holds a value read from a document.
"""

from __future__ import annotations

import traceback

__all__ = [
    "DamagedFile",
    "DigitocrError",
    "DocumentError",
    "EmptyFile",
    "EncryptedFile",
    "InputMissing",
    "ModelError",
    "OutputError",
    "OutputLocked",
    "PipelineError",
    "SetupError",
    "TimedOut",
    "TooLarge",
    "TooManyFailed",
    "UnreadableFile",
    "UnsupportedFile",
    "UsageError",
    "WorkerCrashed",
    "place",
]


class DigitocrError(Exception):
    """Any error that digitocr raises on purpose."""

    exit_status = 1


class UsageError(DigitocrError):
    """The command was asked for something that is not there."""

    exit_status = 2


class InputMissing(UsageError):
    """An input path does not exist."""


class DocumentError(DigitocrError):
    """One document or page cannot be read; the others go on.

    transient: the cause lies outside the document and may pass: another run may read it.
    """

    exit_status = 3
    transient = False


class EmptyFile(DocumentError):
    """The file has no bytes, or no pages."""


class UnsupportedFile(DocumentError):
    """The bytes are no picture or PDF of a kind that is read here."""


class DamagedFile(DocumentError):
    """The file is cut short or its bytes are broken."""


class EncryptedFile(DocumentError):
    """The file needs a password."""


class TooLarge(DocumentError):
    """A limit of the pipeline (pixels, pages, bytes) would be passed."""


class UnreadableFile(DocumentError):
    """The operating system does not let the file be read."""

    transient = True


class WorkerCrashed(DocumentError):
    """The process that read the document died."""

    transient = True


class TimedOut(DocumentError):
    """The document took longer than the pipeline allows."""

    transient = True


class TooManyFailed(DigitocrError):
    """More documents failed than the run may lose."""

    exit_status = 3


class OutputError(DigitocrError):
    """The output or the state cannot be written."""

    exit_status = 5


class OutputLocked(DigitocrError):
    """Another run writes the same output."""

    exit_status = 75


class SetupError(DigitocrError):
    """The model or the pipeline cannot be used."""

    exit_status = 6


class ModelError(SetupError):
    """The model file is missing, damaged, or made for another preprocessing."""


class PipelineError(SetupError):
    """The pipeline is unknown, or its file has a mistake."""


def place(error: BaseException) -> str:
    """Where an error was raised, without its message, which may hold what a document says."""
    return "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
