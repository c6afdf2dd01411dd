"""A page as text: the query, what was understood, and the candidates that the engine returned."""

from __future__ import annotations

import numpy as np

from simenv import hashing
from simenv.language.titles import titles
from simenv.world import Page, State, World, queries

SHOWN = 10  # candidates that are printed


def page_text(world: World, state: State, page: Page, row: int) -> str:
    """One row's page, for people.

    Args:
        world: The market.
        state: The state that `page` was observed from.
        page: The page.
        row: Which row.
    """
    lexicon, catalogue = world.lexicon, world.catalogue
    locale = int(page.locale[row])
    query = queries(world, state)[row]
    items = page.candidates[row]
    items = items[items >= 0][:SHOWN]
    names = item_titles(world, locale, items)
    lines = [f"[{lexicon.locales[locale]}] day {page.day[row]}, visit {page.visit[row]}: {query}"]
    lines += [
        f"{place:3d}. {name:<60.60} {catalogue.price[item]:9.2f} EUR  {catalogue.rating[item]:.1f}*"
        for place, (item, name) in enumerate(zip(items, names, strict=True), start=1)
    ]
    return "\n".join(lines)


def item_titles(world: World, locale: int, items: np.ndarray[tuple[int, ...], np.dtype[np.integer]]) -> list[str]:
    """Titles of items in a locale."""
    catalogue = world.catalogue
    key = hashing.absorb(hashing.stream(catalogue.seed, "title"), items)
    return titles(
        world.lexicon,
        catalogue.brands,
        locale,
        catalogue.category[items],
        catalogue.brand[items],
        catalogue.colour[items],
        key,
    )
