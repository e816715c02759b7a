"""Stage 5, beside ``classify``: strips are transcribed, each column to the shares of signs.

Each strip is looked at as it is and in a few views of the same width, as it might have been
written as well; the mean of what they say is right more often than any one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitocr.classifying.processor import StripProcessor
from digitocr.errors import ModelError
from digitocr.strips import HEIGHT, SIGNS, STEP, STRIP
from digitocr.types import ModelId, Strip, StripReading, Trust
from digitocr.weights import Header, Tensors, bytes_of, read_model, risk_in

__all__ = ["Transcriber"]

_VIEWS = ((1.0, 0.0), (0.88, 0.0), (1.12, 0.0), (1.0, 0.15), (1.0, -0.15))  # height, lean
_LEAST = 1e-9  # of a share, whose logarithm is told

Bytes = NDArray[Any]  # uint8; OpenCV's types say less


class Transcriber:
    """A trained model for whole numbers, ready to read. It runs on the processor.

    id: its name and the SHA-256 of its file. header: what its file says of it.
    risk: how often values read with it and a lattice were right when that was measured.
    """

    def __init__(self, header: Header, tensors: Tensors, id: ModelId, path: Path) -> None:
        self.id = id
        self.header = header
        self.risk = risk_in(path, header)
        self._tensors = tensors
        self._engine: StripProcessor | None = None
        self._trust = _trust(path, header)
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as the bytes of its file. Raises ModelError where it has changed."""
        return _arrived, (self.id, bytes_of(self._path, self.id.sha256))

    @classmethod
    def load(cls, path: Path, data: bytes | None = None) -> Transcriber:
        """The model of a file. data: its bytes, where it is elsewhere.

        Raises ModelError where the file is missing, damaged, changed, or for anything else
        than strips of this version's format and signs.
        """
        header, tensors, sha256 = read_model(path, data)
        if header.normalization != STRIP:
            raise ModelError(f"the model {path} reads '{header.normalization}', not '{STRIP}'")
        if header.classes != SIGNS or header.outputs != len(SIGNS) + 1:
            raise ModelError(f"the model {path} was made for other signs than {SIGNS}")
        transcriber = cls(header, tensors, ModelId(path.stem, sha256), path)
        if data is None:  # what was sent is known to fit, and may never be needed
            transcriber._ready()
        return transcriber

    def _ready(self) -> StripProcessor:
        """The engine, which is made when it is first needed."""
        if self._engine is None:
            try:
                self._engine = StripProcessor(self.header, self._tensors)
            except ValueError as error:
                raise ModelError(
                    f"the weights in {self._path} do not fit the network it names"
                ) from error
        return self._engine

    def transcribe(self, strips: Sequence[Strip | None]) -> list[StripReading | None]:
        """What each strip says, None where there is none."""
        return [None if strip is None else self._transcribe(strip) for strip in strips]

    def _transcribe(self, strip: Strip) -> StripReading:
        views = [np.exp(self._ready().shares(view)) for view in _views(strip.pixels)]
        shares = np.log(np.maximum(np.mean(views, axis=0), _LEAST))
        return StripReading(shares, strip.left, STEP / strip.scale, self._trust)


def _arrived(id: ModelId, data: bytes) -> Transcriber:
    """A transcriber that was sent here.

    Raises ModelError as ``Transcriber.load``, and where the file is not the one it was made of.
    """
    transcriber = Transcriber.load(Path(f"{id.name}.safetensors"), data)
    if transcriber.id != id:
        raise ModelError(f"the model {id.name} was changed while it was read with")
    return transcriber


def _trust(path: Path, header: Header) -> Trust:
    """How far the header says that the model is to be trusted. Raises ModelError."""
    try:
        return Trust(**{k: float(v) for k, v in header.training.get("trust", {}).items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"what the model {path} says of its trust is not valid") from error


def _views(pixels: Bytes) -> Iterator[Bytes]:
    """The strip as it is, lower, higher, and leaning to either side."""
    size = pixels.shape[1], HEIGHT
    middle = HEIGHT / 2
    for height, lean in _VIEWS:
        onto = np.array([[1, -lean, lean * middle], [0, height, middle - height * middle]])
        yield np.asarray(cv2.warpAffine(pixels, onto, size, flags=cv2.INTER_LINEAR))
