"""What an encoder learns from: pages with their clicks, product titles, and (for comparison only) labelled queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.decision import Policy
from simenv.play import play
from simenv.world import World

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Strings = npt.NDArray[np.object_]

TITLES_A_LOCALE = 4000  # products whose title is read in each locale, at most


@dataclass(frozen=True)
class AskedPages:
    """N pages as a shop's log holds them: nothing hidden.

    query: (N,) strings as typed. locale: (N,) int64. item: (N, K) int32 shown, -1 for an empty slot. clicked: (N, K).
    """

    query: Strings
    locale: I64
    item: I32
    clicked: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of pages, N."""
        return len(self.locale)


@dataclass(frozen=True)
class Titles:
    """M product titles: text (M,) strings, locale (M,) int64, item (M,) int32."""

    text: Strings
    locale: I64
    item: I32


@dataclass(frozen=True)
class Labels:
    """Hidden: what queries say of each of `TERMS`, (N, 7) int32, -1 for nothing; of the queries of `AskedPages`."""

    said: I32


@dataclass(frozen=True)
class Material:
    """All that an encoder learns from; without titles it does without, with labels it learns terms from them alone."""

    pages: AskedPages
    titles: Titles | None = None
    labels: Labels | None = None


def asked_pages(world: World, policy: Policy, seed: int, shoppers: npt.NDArray[np.int64]) -> tuple[AskedPages, Labels]:
    """Pages that shoppers were shown by a policy, and the hidden labels of their queries.

    Args:
        world: The market.
        policy: Who ranks.
        seed: Of the shoppers' luck.
        shoppers: (U,) ids.
    """
    queries: list[str] = []
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    for step in play(world, policy, seed, shoppers):
        slate = step.decision.slate
        shown = np.take_along_axis(step.page.candidates, np.maximum(slate, 0).astype(np.int64), axis=1)
        queries += world.demand.strings(step.state)
        item = np.where(slate >= 0, shown, np.int32(-1))
        said = world.demand.said(step.state).terms
        columns.append((step.page.locale.astype(np.int64), item, step.outcome.clicked, said))
    locale, item, clicked, said = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return AskedPages(np.array(queries, dtype=object), locale, item, clicked), Labels(said)


def product_titles(world: World, seed: int = 0, most: int = TITLES_A_LOCALE) -> Titles:
    """Titles of products drawn without replacement, in every locale the same number."""
    n_items, n_locales = world.catalogue.n_items, len(world.demand.locales)
    text: list[str] = []
    items: list[I32] = []
    for locale in range(n_locales):
        luck = hashing.uniform(hashing.absorb(hashing.stream(seed, f"titles {locale}"), np.arange(n_items)))
        chosen = np.argsort(luck, kind="stable")[:most].astype(np.int32)
        text += world.demand.titles(locale, chosen)
        items.append(chosen)
    sizes = [len(each) for each in items]
    return Titles(
        np.array(text, dtype=object), np.repeat(np.arange(n_locales, dtype=np.int64), sizes), np.concatenate(items)
    )
