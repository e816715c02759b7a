"""Where the shipped pipelines and models are, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path

from digitocr.errors import ModelError, PipelineError

__all__ = ["find_model", "find_pipeline"]

_PACKAGE = Path(__file__).resolve().parent


def find_pipeline(name: str) -> Path:
    """The file of a pipeline: a shipped one's name, or a path that ends in ``.toml``.

    Raises PipelineError, which names the shipped ones.
    """
    return _find(name, "pipelines", ".toml", PipelineError)


def find_model(name: str) -> Path:
    """The file of a model: a shipped one's name, or a path that ends in ``.safetensors``.

    Raises ModelError, which names the shipped ones.
    """
    return _find(name, "models", ".safetensors", ModelError)


def _find(name: str, folder: str, ending: str, error: type[ModelError | PipelineError]) -> Path:
    """``name`` itself where it is a path, else the shipped file of that name."""
    what = folder.removesuffix("s")
    if name.endswith(ending) or "/" in name:
        if not Path(name).is_file():
            raise error(f"there is no {what} file {name}")
        return Path(name)
    # In a wheel the folder lies inside the package, in a checkout beside it.
    places = [_PACKAGE / folder, _PACKAGE.parent / folder]
    for place in places:
        if (place / f"{name}{ending}").is_file():
            return place / f"{name}{ending}"
    shipped = sorted({file.stem for place in places for file in place.glob(f"*{ending}")})
    raise error(
        f"there is no {what} called '{name}'; there are {', '.join(shipped) or 'none'}, "
        f"or give the path of a {ending} file"
    )
