"""A section of a page: a heading, a figure, its tables.

Text that does not come from data is written in the files beside this one, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.style import house, png
from reports.table import Table


@dataclass(frozen=True)
class Picture:
    """A figure as it stands on a page.

    Attributes:
        name: Its file is `figures/NAME.png`.
        png: The bytes.
        alt: What it shows, for whoever does not see it.
        reading: One sentence that tells how to read it.
    """

    name: str
    png: bytes
    alt: str
    reading: str


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, a figure, tables: some open, some folded away."""

    slug: str
    title: str
    lead: str
    picture: Picture | None
    tables: tuple[Table, ...]
    folded: tuple[Table, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()


def picture(name: str, draw: Callable[[], Figure], alt: str, reading: str) -> Picture:
    """Draw a figure under the house's settings."""
    with house():
        return Picture(name, png(draw()), alt, reading)


def cut(n_all: int, n_drawn: int, what: str) -> str:
    """What a reader must know when a figure does not show everything."""
    return "" if n_all <= n_drawn else f" The first {n_drawn} of {n_all} {what} are drawn; the tables have all."
