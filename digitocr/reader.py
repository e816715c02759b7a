"""Stage 5, beside ``classify``: strips become shares of signs, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitocr.classifying.processor import StripProcessor
from digitocr.errors import ModelError
from digitocr.strips import SIGNS, STRIP
from digitocr.types import ModelId, Strip
from digitocr.weights import Header, read_model

__all__ = ["NumberReader"]


class NumberReader:
    """A trained model for whole numbers, ready to read. It runs on the processor.

    id: its name and the SHA-256 of its file. header: what its file says of it.
    """

    def __init__(self, engine: StripProcessor, header: Header, id: ModelId) -> None:
        self.id = id
        self.header = header
        self._engine = engine

    @classmethod
    def load(cls, path: Path) -> NumberReader:
        """The model of a file.

        Raises ModelError where the file is missing, damaged, changed, or for anything else
        than strips of this version's format and signs.
        """
        header, tensors, sha256 = read_model(path)
        if header.normalization != STRIP:
            raise ModelError(f"the model {path} reads '{header.normalization}', not '{STRIP}'")
        if header.classes != SIGNS or header.outputs != len(SIGNS) + 1:
            raise ModelError(f"the model {path} was made for other signs than {SIGNS}")
        try:
            engine = StripProcessor(header, tensors)
        except ValueError as error:
            raise ModelError(f"the weights in {path} do not fit the network it names") from error
        return cls(engine, header, ModelId(path.stem, sha256))

    def columns(self, strips: Sequence[Strip | None]) -> list[NDArray[np.float32] | None]:
        """For each strip float32 (signs + 1, T): the logarithms of the shares of each sign and
        of "nothing new" in each of its columns; None where there is no strip."""
        return [None if one is None else self._engine.shares(one.pixels) for one in strips]
