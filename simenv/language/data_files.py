"""The TOML files that ship with the package."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any


@functools.cache
def read(name: str) -> dict[str, Any]:
    """The parsed content of `data/NAME.toml`. Shared: not to be changed.

    Args:
        name: File name without its ending, for example "taxonomy" or "en-GB".
    """
    text = resources.files("simenv.language").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
