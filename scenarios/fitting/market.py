"""The part of a world that a log says outright: sizes, days, whose catalogue it is, shares of locales and queries."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from scenarios.fitting.query_mix import QueryMix, fit_query_mix
from scenarios.fitting.seen import Seen
from simenv.catalogue import Catalogue, PublicCatalogue, generate_catalogue
from simenv.errors import UserError
from simenv.language import load_lexicon
from simenv.log import Log
from simenv.log.schema import CATALOGUE_FILE
from simenv.params import WorldParams
from simenv.shoppers import DEVICES
from simenv.worlds import WORLDS, world_params

F64 = npt.NDArray[np.float64]
NORMAL_95 = 1.96
MOST_CATEGORIES = 5  # whose shares stand among the parameters; all are in the table of the query mix
LEAST_AT_THE_LIMIT = 30  # visits that reach the most queries before that number is believed to be the limit


NO_MIX = (
    "Too few queries say a product type that the lexicon knows, so what is looked for stands as in the default world."
)


@dataclass(frozen=True)
class Told:
    """A world that is like the log in what the log says outright.

    Attributes:
        params: The world; everything else as in the default one.
        rows: What was read off, for the table of parameters.
        is_ours: Whether the log's items are those of a catalogue that we can make again.
        notes: What a reader must know.
        mix: Which categories are looked for; None where the log does not say.
    """

    params: WorldParams
    rows: list[dict[str, object]]
    is_ours: bool
    notes: tuple[str, ...]
    mix: QueryMix | None


def brand_names(folder: Path) -> tuple[str, ...]:
    """Names of the log's brands, by id; "" for one without an item."""
    table = pq.read_table(folder / CATALOGUE_FILE, columns=["brand", "brand_name"])
    brand, name = table["brand"].to_pylist(), table["brand_name"].to_pylist()
    known = dict(zip(brand, name, strict=True))
    return tuple(known.get(place, "") for place in range(max(known) + 1))


def told_outright(log: Log, seen: Seen, catalogue: PublicCatalogue, seed: int = 0) -> Told:
    """What a log says outright; the seed is that of the interval of the query mix."""
    (n_items, n_brands, seed), is_ours = _catalogue_of(log, catalogue)
    first = np.append(True, np.diff(seen.shopper) != 0)
    locale = np.bincount(seen.locale[first], minlength=len(load_lexicon().locales)) / first.sum()
    device = np.bincount(seen.device[first], minlength=len(DEVICES)) / first.sum()
    default, mix = WORLDS["default"], fit_query_mix(seen, load_lexicon(), seed)
    params = dataclasses.replace(
        default,
        question=f"A market that imitates the log '{log.folder.name}'.",
        n_candidates=int(log.manifest["n_candidates"]),
        n_slots=int(log.manifest["n_slots"]),
        n_style=int(log.manifest["n_style"]),
        n_recent=log.n_recent,
        n_items=n_items,
        n_brands=n_brands,
        seed=seed,
        max_pages=int(seen.page.max()) + 1,
        reward=log.manifest.get("reward", default.reward),
        shoppers=dataclasses.replace(
            default.shoppers,
            locale_share=tuple(locale.tolist()),
            device_share=tuple(device.tolist()),
            horizon_days=int(seen.day.max()) + 1,
        ),
        queries=dataclasses.replace(default.queries, category_share=() if mix is None else tuple(mix.share.tolist())),
        dynamics=dataclasses.replace(default.dynamics, max_searches=_most_searches(seen, default)),
    )
    rows = [
        *_shares("shoppers.locale_share", load_lexicon().locales, locale, int(first.sum())),
        *_shares("shoppers.device_share", DEVICES, device, int(first.sum())),
        _exactly("shoppers.horizon_days", params.shoppers.horizon_days, "the log's last day"),
        _exactly("max_pages", params.max_pages, "the log's last page"),
        _exactly("dynamics.max_searches", params.dynamics.max_searches, "most queries of a visit"),
        *_of_categories(mix),
    ]
    notes = () if is_ours else (_foreign(catalogue, params),)
    return Told(params, rows, is_ours, notes if mix is not None else (*notes, NO_MIX), mix)


def _of_categories(mix: QueryMix | None) -> list[dict[str, object]]:
    """Rows of the categories that are looked for most."""
    if mix is None:
        return []
    low, high = np.quantile(mix.drawn, [0.025, 0.975], axis=0)
    most = np.argsort(-mix.share, kind="stable")[:MOST_CATEGORIES].tolist()
    names = load_lexicon().categories
    told_by = "product types read in first queries"
    return [
        row(f"queries.category_share[{names[place]}]", mix.share[place], low[place], high[place], told_by)
        for place in most
    ]


def _catalogue_of(log: Log, catalogue: PublicCatalogue) -> tuple[tuple[int, int, int], bool]:
    """Items, brands and seed of a catalogue of ours, and whether its items are the log's."""
    n_items = len(catalogue.category)
    tried = list(WORLDS.values())
    with contextlib.suppress(UserError):  # the name of somebody else's world
        tried.insert(0, world_params(str(log.manifest.get("world", "default"))))
    seen: set[tuple[int, int, int, int]] = set()
    for params in tried:
        key = params.n_items, params.n_brands, params.n_style, params.seed
        if key in seen or params.n_items != n_items or params.n_style != log.manifest["n_style"]:
            continue
        seen.add(key)
        if _same(generate_catalogue(*key), catalogue):
            return (key[0], key[1], key[3]), True
    return (n_items, int(catalogue.brand.max()) + 1, WORLDS["default"].seed), False


def _same(made: Catalogue, found: PublicCatalogue) -> bool:
    names = ("category", "brand", "colour", "price", "popularity", "style")
    return all(np.array_equal(getattr(made, name), getattr(found, name)) for name in names)


def _foreign(catalogue: PublicCatalogue, params: WorldParams) -> str:
    return (
        "The log's catalogue is not one that this version makes. The world has an invented catalogue of the same "
        f"size ({params.n_items:,} items, {params.n_brands:,} brands). Imitated are how much clicks follow past sales, "
        "stars and relative price, and how much items differ beyond that; not imitated are which items and brands are "
        f"popular, and prices in euros (the log's median is {float(np.median(catalogue.price)):.2f}), so not revenue."
    )


def _most_searches(seen: Seen, default: WorldParams) -> int:
    """Where many visits end at the same number of queries, that is the limit; else the default or what was seen."""
    ends = np.bincount(seen.search[seen.over], minlength=1)
    most = len(ends)
    return most if ends[-1] >= LEAST_AT_THE_LIMIT else max(most, default.dynamics.max_searches)


def _shares(path: str, words: tuple[str, ...], share: F64, n: int) -> list[dict[str, object]]:
    """Rows with Wilson's intervals."""
    rows: list[dict[str, object]] = []
    for word, p in zip(words, share.tolist(), strict=True):
        square = NORMAL_95**2 / n
        centre = (p + square / 2.0) / (1.0 + square)
        width = NORMAL_95 / (1.0 + square) * float(np.sqrt(p * (1.0 - p) / n + square / (4.0 * n)))
        rows.append(row(f"{path}[{word}]", p, max(0.0, centre - width), min(1.0, centre + width), "share of shoppers"))
    return rows


def _exactly(path: str, value: float, told_by: str) -> dict[str, object]:
    return row(path, value, float("nan"), float("nan"), told_by)


def row(path: str, value: float, low: float, high: float, told_by: str) -> dict[str, object]:
    """One row of the table of parameters."""
    return {"parameter": path, "estimate": float(value), "low": low, "high": high, "told_by": told_by}
