"""What a log shows, as columns: the one form in which a log on disk and a simulated one are compared.

Only public columns are read; the hidden folder of a log is never opened. Query strings are looked at on the first page
of a visit's first query: later ones depend on what was found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simenv.catalogue import F32, I32, I64, PublicCatalogue
from simenv.columns import join, take
from simenv.decision import Policy
from simenv.language import Lexicon, load_lexicon
from simenv.log import Log
from simenv.play import play, shopper_range
from simenv.state import Page, World

Bools = npt.NDArray[np.bool_]
Words = tuple[frozenset[str], ...]  # what a dictionary knows, by locale


@dataclass(frozen=True)
class Seen:
    """Pages in the order of (shopper, visit, step), in the log's own words; (N,) unless said.

    items: (N, K). clicked, carted, purchased: (N, K). affinity: (N, K) inner product of the public history with the
    style of what was shown. over: the visit ends here. n_words: of the query, 0 where it was not looked at. unknown:
    the query has a word that no dictionary knows.
    """

    shopper: I64
    visit: I32
    day: I32
    search: I32
    page: I32
    locale: npt.NDArray[np.int8]
    device: npt.NDArray[np.int8]
    query_terms: I32
    n_candidates: I32
    last_brand: I32
    items: I32
    clicked: Bools
    carted: Bools
    purchased: Bools
    revenue: npt.NDArray[np.float64]
    affinity: F32
    over: Bools
    truncated: Bools
    n_words: npt.NDArray[np.int16]
    unknown: Bools

    def __len__(self) -> int:
        """Number of pages, N."""
        return len(self.shopper)


@dataclass(frozen=True)
class Typed:
    """First queries of visits: rows of a page, their texts, and the words that dictionaries know."""

    rows: npt.NDArray[np.intp]
    texts: list[str]
    known: Words


def seen_in_log(
    log: Log, catalogue: PublicCatalogue, brands: tuple[str, ...], keep: Callable[[I64], Bools] | None
) -> Seen:
    """What the log shows of the shoppers to keep (all where None)."""
    known = known_words(load_lexicon(), brands)
    typed = pa.chunked_array([pq.read_table(part, columns=["query"])["query"].combine_chunks() for part in log.parts])
    parts = []
    for rows in log.batches(keep):
        items = np.take_along_axis(rows.page.candidates, np.maximum(rows.slate, 0).astype(np.int64), axis=1)
        items = np.where(rows.slate >= 0, items, np.int32(-1))
        first = _is_first(rows.page)
        texts = typed.take(pa.array(rows.row[first])).to_pylist()
        outcome = (rows.clicked, rows.carted, rows.purchased, rows.revenue, rows.terminated, rows.truncated)
        parts.append(_seen(rows.page, items, outcome, catalogue, Typed(first, texts, known)))
    made = join(parts)
    step_order = np.lexsort((made.page, made.search, made.visit, made.shopper))
    return take(made, step_order)


def seen_in_simulation(world: World, policy: Policy, seed: int, n_shoppers: int) -> Seen:
    """What a log of so many shoppers of a world would show."""
    catalogue = world.catalogue.public()
    known = known_words(load_lexicon(), world.catalogue.brands)
    parts = []
    for played in play(world, policy, seed, shopper_range(n_shoppers)):
        out = played.outcome
        first = _is_first(played.page)
        texts = world.demand.strings(take(played.state, first)) if len(first) else []
        outcome = (out.clicked, out.carted, out.purchased, out.revenue, out.session_over, out.truncated)
        parts.append(_seen(played.page, out.items, outcome, catalogue, Typed(first, texts, known)))
    made = join(parts)
    return take(made, np.lexsort((made.page, made.search, made.visit, made.shopper)))


def known_words(lexicon: Lexicon, brands: tuple[str, ...]) -> Words:
    """Every word of every phrase, brand and free word, by locale; misspelt ones are mostly none of them."""
    of_brands = {word for brand in brands for word in brand.lower().split()}
    made = []
    for language in lexicon.languages:
        texts = [*language.phrases, *language.generic, *(text for free in language.free.values() for text in free)]
        made.append(frozenset(of_brands | {word for text in texts for word in text.lower().split()}))
    return tuple(made)


def _is_first(page: Page) -> npt.NDArray[np.intp]:
    return np.flatnonzero((page.search == 0) & (page.page == 0))


def _seen(
    page: Page,
    items: I32,
    outcome: tuple[Any, ...],
    catalogue: PublicCatalogue,
    typed: Typed,
) -> Seen:
    clicked, carted, purchased, revenue, over, truncated = outcome
    n_words, unknown = np.zeros(len(page), dtype=np.int16), np.zeros(len(page), dtype=bool)
    for row, locale, text in zip(typed.rows.tolist(), page.locale[typed.rows].tolist(), typed.texts, strict=True):
        words = text.lower().split()
        n_words[row] = len(words)
        unknown[row] = any(word not in typed.known[locale] and not word.isnumeric() for word in words)
    style = catalogue.style[np.maximum(items, 0)]
    affinity = np.einsum("nkd,nd->nk", style, page.history[:, : style.shape[2]]).astype(np.float32)
    return Seen(
        n_candidates=(page.candidates >= 0).sum(axis=1).astype(np.int32),
        items=items,
        clicked=clicked,
        carted=carted,
        purchased=purchased,
        revenue=revenue,
        affinity=affinity,
        over=over,
        truncated=truncated,
        n_words=n_words,
        unknown=unknown,
        **{
            name: getattr(page, name)
            for name in ("shopper", "visit", "day", "search", "page", "locale", "device", "query_terms", "last_brand")
        },
    )
