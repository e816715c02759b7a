"""Which versions of libraries are installed."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata

__all__ = ["installed_version"]


@cache
def installed_version(library: str) -> str:
    """The version of a library; "" where it was installed by other means, or is not there.

    ``metadata.version`` parses all that the library says of itself, which takes longer than to
    load some.
    """
    try:
        found = metadata.distribution(library)
    except metadata.PackageNotFoundError:
        return ""
    said = re.search(r"^Version:\s*(\S+)", found.read_text("METADATA") or "", re.MULTILINE)
    return said[1] if said else found.version
