"""Summaries of a log that tell a world's parameters: contrasts of ratios of sums over shoppers.

A ratio of sums has a bootstrap over shoppers that costs one matrix product. Beside them stand the global parameters of
a click model fitted to documents that are merged by what is publicly known of query and item, and how much items
differ (`scenarios.fitting.items`), a ratio of sums over pairs of shoppers. None has to be unbiased for the parameter
it tells: the same is computed on simulated logs, and only the two are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.fitting.items import PairSums, pair_sums
from scenarios.fitting.seen import Bools, Seen
from simenv.catalogue import I64, PublicCatalogue
from simenv.clicks import Fitted, fit_click_model

F64 = npt.NDArray[np.float64]
POPULARITY_EDGES = np.array([-0.84, -0.25, 0.25, 0.84])  # fifths of a normal distribution

ATTRIBUTES = ("colour", "size", "material", "audience", "use")  # in the order of a query's terms, from the third on

RATIOS: dict[str, str] = {
    "clicks": "clicks a shown item",
    "match": "click rate of items of the category asked for, minus that of others",
    "more matches": "click rate of such items that match more of the query, minus that of those that do not",
    "affinity": "fit with the shopper's earlier clicks, of clicked minus of shown items",
    "price": "squared relative price, of clicked minus of shown items",
    "brand again": "share with the brand of the last click, among clicked minus among shown items",
    "rating": "stars, of clicked minus of shown items",
    "popularity": "past sales, of clicked minus of shown items",
    "carts": "carts a click",
    "purchases": "purchases a cart",
    "page down": "share of pages followed by the next page",
    "ask again": "share of pages followed by another query",
    "return": "share of visits followed by another",
    "gap": "days between visits",
    "unknown words": "share of first queries with a word that no dictionary knows",
    "brand said": "share of first queries that name a brand",
    "no category": "share of first queries that name no category",
    "nothing found": "share of queries that found nothing",
    **{f"{name} said": f"share of first queries that say a value of {name}" for name in ATTRIBUTES},
}
SUMMARIES = {**RATIOS, "items differ": "clicks of two shoppers on one item, beyond what slot and match say"}


@dataclass(frozen=True)
class Sums:
    """What summaries are made of.

    sums: (U, len(RATIOS), 4) sums over each shopper's pages; a summary is 0/1 minus 2/3 of them. pairs: the last one's.
    """

    sums: F64
    pairs: PairSums

    def values(self, weights: F64 | None = None) -> F64:
        """Summaries (S,), or (B, S) where shoppers count as often as (B, U) weights say; NaN where nothing tells."""
        n_shoppers, n_summaries, _ = self.sums.shape
        flat = self.sums.reshape(n_shoppers, -1)
        total = flat.sum(axis=0) if weights is None else weights @ flat
        made = ratios(total.reshape(*total.shape[:-1], n_summaries, 4))
        if weights is None:
            return np.append(made, self.pairs.value())
        last = np.array([self.pairs.value(often) for often in weights])
        return np.concatenate([made, last[:, None]], axis=1)


def ratios(total: F64) -> F64:
    """Contrasts from sums (..., 4)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        made: F64 = total[..., 0] / total[..., 1] - np.where(total[..., 3] > 0, total[..., 2] / total[..., 3], 0.0)
    return made


def summarise(seen: Seen, catalogue: PublicCatalogue) -> Sums:
    """The sums of every summary in SUMMARIES, in their order."""
    rows = {**_of_items(seen, catalogue), **_of_visits(seen), **_of_queries(seen)}
    _, shopper = np.unique(seen.shopper, return_inverse=True)
    sums = np.zeros((int(shopper.max()) + 1, len(RATIOS), 4))
    for place, name in enumerate(RATIOS):
        for part, column in enumerate(rows[name]):
            sums[:, place, part] = np.bincount(shopper, np.asarray(column, dtype=np.float64), len(sums))
    return Sums(sums, pair_sums(seen, _match(seen, catalogue)))


def _of_items(seen: Seen, catalogue: PublicCatalogue) -> dict[str, tuple[npt.NDArray[np.generic], ...]]:
    item, shown, clicked = np.maximum(seen.items, 0), seen.items >= 0, seen.clicked
    asked = seen.query_terms[:, :1] >= 0
    match = catalogue.category[item] == seen.query_terms[:, :1]
    like, unlike = shown & asked & match, shown & asked & ~match
    others, asked_more = _other_matches(seen, catalogue), (seen.query_terms[:, 1:] >= 0).any(axis=1, keepdims=True)
    more, no_more = like & asked_more & (others > 0), like & asked_more & (others == 0)
    again = shown & (seen.last_brand[:, None] >= 0)
    same = catalogue.brand[item] == seen.last_brand[:, None]

    def contrast(value: npt.NDArray[np.generic], among: Bools) -> tuple[npt.NDArray[np.generic], ...]:
        chosen = among & clicked
        return (value * chosen).sum(axis=1), chosen.sum(axis=1), (value * among).sum(axis=1), among.sum(axis=1)

    return {
        "clicks": (clicked.sum(axis=1), shown.sum(axis=1)),
        "match": tuple(each.sum(axis=1) for each in (clicked & like, like, clicked & unlike, unlike)),
        "more matches": tuple(each.sum(axis=1) for each in (clicked & more, more, clicked & no_more, no_more)),
        "affinity": contrast(seen.affinity, shown),
        "price": contrast(catalogue.price_z[item] ** 2, shown),
        "brand again": contrast(same, again),
        "rating": contrast(catalogue.rating[item], shown),
        "popularity": contrast(catalogue.popularity[item], shown),
        "carts": (seen.carted.sum(axis=1), clicked.sum(axis=1)),
        "purchases": (seen.purchased.sum(axis=1), seen.carted.sum(axis=1)),
    }


def _of_visits(seen: Seen) -> dict[str, tuple[npt.NDArray[np.generic], ...]]:
    follows = np.append(seen.shopper[1:] == seen.shopper[:-1], False)
    goes_on = follows & np.append(seen.visit[1:] == seen.visit[:-1], False)
    same_query = goes_on & np.append(seen.search[1:] == seen.search[:-1], False)
    back = follows & ~goes_on
    gap = np.append(np.diff(seen.day), 0) * back
    every = np.ones(len(seen))
    last = ~goes_on
    return {
        "page down": (same_query, every),
        "ask again": (goes_on & ~same_query, every),
        "return": (last & (back | seen.truncated), last),
        "gap": (gap, back),
    }


def _of_queries(seen: Seen) -> dict[str, tuple[npt.NDArray[np.generic], ...]]:
    first, fresh = seen.n_words > 0, seen.page == 0
    return {
        "unknown words": (seen.unknown & first, first),
        "brand said": (first & (seen.query_terms[:, 1] >= 0), first),
        "no category": (first & (seen.query_terms[:, 0] < 0), first),
        "nothing found": (fresh & (seen.n_candidates == 0), fresh),
        **{
            f"{name} said": (first & (seen.query_terms[:, place] >= 0), first)
            for place, name in enumerate(ATTRIBUTES, start=2)
        },
    }


def documents(seen: Seen, catalogue: PublicCatalogue) -> I64:
    """What stood in each slot, (N, K), merged: how well it matches the query, and how popular it is; -1 if empty."""
    fifth = np.searchsorted(POPULARITY_EDGES, catalogue.popularity[np.maximum(seen.items, 0)])
    return np.where(seen.items >= 0, _match(seen, catalogue) * 5 + fifth, -1).astype(np.int64)


def _match(seen: Seen, catalogue: PublicCatalogue) -> I64:
    """How well each shown item matches the query, (N, K): 0 to 8."""
    terms = seen.query_terms
    category = np.where(terms[:, :1] < 0, 2, catalogue.category[np.maximum(seen.items, 0)] == terms[:, :1])
    matched: I64 = category * 3 + np.minimum(_other_matches(seen, catalogue), 2)
    return matched


def _other_matches(seen: Seen, catalogue: PublicCatalogue) -> I64:
    """How many recognised terms beside the category each shown item matches, (N, K)."""
    item, count = np.maximum(seen.items, 0), np.zeros(seen.items.shape, dtype=np.int64)
    for place, name in enumerate(("brand", *ATTRIBUTES), start=1):
        wanted = seen.query_terms[:, place, None]
        count += (getattr(catalogue, name)[item] == wanted) & (wanted >= 0)
    return count


def fitted_clicks(name: str, seen: Seen, catalogue: PublicCatalogue) -> Fitted:
    """The click model fitted to merged documents, on pages that showed something."""
    filled = (seen.items >= 0).any(axis=1)
    return fit_click_model(name, documents(seen, catalogue)[filled], seen.clicked[filled])
