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


@functools.cache
def read_locale(name: str) -> dict[str, Any]:
    """The content of a locale's file, on top of the file that it is `like`, entry by entry. Shared.

    Args:
        name: For example "nl-BE", which says only what differs from "nl-NL".
    """
    own = read(name)
    if "like" not in own:
        return own
    whole = dict(read_locale(own["like"]))
    for key, value in own.items():
        whole[key] = whole[key] | value if isinstance(value, dict) else value
    return whole
