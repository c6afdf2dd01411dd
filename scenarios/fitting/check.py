"""The posterior predictive check: does a log look like one that the fitted world would make?

Worlds are drawn from the approximate posterior of the fit, each plays as many shoppers as the log has, and statistics
of these logs are laid beside the log's. Many of them played no part in the fit; those are the ones to look at.

    p = 2 min(P(T_simulated <= T_log), P(T_simulated >= T_log)), counted with one imaginary draw on either side

Gelman, Meng and Stern, "Posterior predictive assessment of model fitness via realized discrepancies", 1996.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.fitting.seen import Seen
from simenv.catalogue import PublicCatalogue
from simenv.language import load_lexicon
from simenv.shoppers import DEVICES

F64 = npt.NDArray[np.float64]
HEAD = 20  # queries, by what a dictionary recognises in them, that count as the head
MOST_LOCALES = 3
MOST_CLICKED = 100
LEAST_SHOWN = 100  # of a brand, before it has a click rate
LEVEL = 0.9
MOST_MUST_FIT = 0.75  # below this share the page warns

# What the fit aimed at; everything else is a forecast.
AIMED_AT = (
    "click rate, all slots", "carts a click", "purchases a cart", "searches a visit", "pages a search",
    "visits a shopper", "days between visits", "unknown words in first queries", "nothing found",
    "repeat-brand clicks", "click rate, slot", "attributes recognised", "product type, share",
)  # fmt: skip


def statistics(seen: Seen, catalogue: PublicCatalogue, locales: Sequence[int]) -> dict[str, float]:
    """Statistics of a log by name; NaN where it has nothing of the kind.

    Args:
        seen: The log.
        catalogue: The items that its ids refer to.
        locales: Places of the locales that get a click rate of their own.
    """
    return {**_clicks(seen, locales), **_sales(seen), **_journeys(seen), **_words_and_items(seen, catalogue)}


def frequent_locales(seen: Seen) -> list[int]:
    """The locales with most pages."""
    count = np.bincount(seen.locale)
    return [int(place) for place in np.argsort(-count, kind="stable")[:MOST_LOCALES] if count[place] > 0]


def compare(observed: dict[str, float], drawn: Sequence[dict[str, float]]) -> list[dict[str, object]]:
    """One row a statistic, for a table: observed, predictive mean and interval, p-value, flag."""
    rows: list[dict[str, object]] = []
    for name, value in observed.items():
        made = np.array([each[name] for each in drawn])
        made = made[np.isfinite(made)]
        if not np.isfinite(value) or len(made) < 5:
            continue
        low, high = np.quantile(made, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
        side = min((made <= value).sum(), (made >= value).sum())
        is_inside = bool(low - 1e-12 <= value <= high + 1e-12)
        spread = max(float(made.std()), 1e-12)
        is_far = not is_inside and abs(value - made.mean()) > 4.0 * spread
        rows.append(
            {
                "statistic": name,
                "aimed_at": name.startswith(AIMED_AT),
                "observed": value,
                "mean": float(made.mean()),
                "low": float(low),
                "high": float(high),
                "p": float(min(1.0, 2.0 * (side + 1.0) / (len(made) + 2.0))),
                "distance": float((value - made.mean()) / spread),
                "flag": "inside" if is_inside else "far outside" if is_far else "outside",
            }
        )
    return rows


def finding(rows: Sequence[dict[str, object]]) -> str:
    """One sentence: how many statistics lie inside, and the one that is furthest out."""
    n_inside = sum(row["flag"] == "inside" for row in rows)
    said = f"{n_inside} of {len(rows)} statistics of the log lie in the 90% predictive intervals of the fitted world"
    out = [row for row in rows if row["flag"] != "inside"]
    if not out:
        return f"{said}: nothing that was looked at tells the two apart."
    worst = max(out, key=lambda row: abs(float(str(row["distance"]))))
    way = "too low" if float(str(worst["distance"])) > 0 else "too high"
    end = f"{said}; furthest off, and {way}: {worst['statistic']}, {worst['mean']:.4g} for {worst['observed']:.4g}"
    if n_inside < MOST_MUST_FIT * len(rows) or any(row["flag"] == "far outside" for row in out):
        return f"{end}. Do not take this world for the log's: a mechanism is missing or differs."
    return f"{end}."


def _clicks(seen: Seen, locales: Sequence[int]) -> dict[str, float]:
    shown, clicked = seen.items >= 0, seen.clicked
    some = shown.any(axis=1)
    clicks = clicked.sum(axis=1)
    above = (np.cumsum(clicked, axis=1) - clicked) > 0
    made = {"click rate, all slots": _ratio(clicked, shown)}
    made |= {f"click rate, slot {k + 1}": _ratio(clicked[:, k], shown[:, k]) for k in range(shown.shape[1])}
    made["clicks a search"] = _ratio(clicks, seen.page == 0)
    made["pages without a click"] = _ratio((clicks == 0) & some, some)
    made["pages with two clicks or more"] = _ratio((clicks > 1) & some, some)
    made["click rate below a click"] = _ratio(clicked & above, shown & above)
    for place, word in enumerate(DEVICES):
        here = seen.device == place
        made[f"click rate, {word}"] = _ratio(clicked[here], shown[here])
    for place in locales:
        here = seen.locale == place
        made[f"click rate, {load_lexicon().locales[place]}"] = _ratio(clicked[here], shown[here])
    has_category, has_more = seen.query_terms[:, 0] >= 0, (seen.query_terms[:, 1:] >= 0).any(axis=1)
    kinds = {
        "product type alone": has_category & ~has_more,
        "product type and more": has_category & has_more,
        "no product type": ~has_category,
    }
    for word, here in kinds.items():
        made[f"click rate, query with {word}"] = _ratio(clicked[here], shown[here])
    made["click rate, second page over first"] = _ratio(clicked[seen.page > 0], shown[seen.page > 0]) / max(
        _ratio(clicked[seen.page == 0], shown[seen.page == 0]), 1e-12
    )
    return made


def _sales(seen: Seen) -> dict[str, float]:
    searches = seen.page == 0
    bought = seen.revenue[seen.purchased]
    return {
        "carts a click": _ratio(seen.carted, seen.clicked),
        "purchases a cart": _ratio(seen.purchased, seen.carted),
        "purchases a search": _ratio(seen.purchased, searches),
        "revenue a search": _ratio(seen.revenue, searches),
        "median price bought": float(np.median(bought)) if len(bought) else float("nan"),
    }


def _journeys(seen: Seen) -> dict[str, float]:
    _, visits = np.unique(seen.shopper, return_counts=True)
    starts = np.flatnonzero(np.append(True, (np.diff(seen.shopper) != 0) | (np.diff(seen.visit) != 0)))
    shopper, day = seen.shopper[starts], seen.day[starts]
    per_shopper = np.bincount(np.unique(shopper, return_inverse=True)[1])
    back = shopper[1:] == shopper[:-1]
    gaps = np.diff(day)[back]
    return {
        "searches a visit": float((seen.page == 0).sum() / len(starts)),
        "pages a search": float(len(seen) / max((seen.page == 0).sum(), 1)),
        "visits a shopper": float(per_shopper.mean()),
        "pages of the busiest tenth of shoppers": float(
            np.sort(visits)[-max(len(visits) // 10, 1) :].sum() / len(seen)
        ),
        "days between visits": float(gaps.mean()) if len(gaps) else float("nan"),
        "gaps of one day": float((gaps <= 1).mean()) if len(gaps) else float("nan"),
    }


def _words_and_items(seen: Seen, catalogue: PublicCatalogue) -> dict[str, float]:
    first = seen.n_words > 0
    terms = seen.query_terms[first]
    _, count = np.unique(terms[(terms >= 0).any(axis=1)], axis=0, return_counts=True)
    known = seen.last_brand >= 0
    same = catalogue.brand[np.maximum(seen.items, 0)] == seen.last_brand[:, None]
    n_items = len(catalogue.category)
    clicks = np.bincount(seen.items[seen.clicked], minlength=n_items)
    popular = catalogue.popularity >= np.quantile(catalogue.popularity, 0.9)
    return {
        "words a first query": _ratio(seen.n_words[first], first),
        "attributes recognised in a first query": _ratio(terms[:, 2:] >= 0, first),
        "unknown words in first queries": _ratio(seen.unknown[first], first),
        f"share of the {HEAD} most frequent queries": float(np.sort(count)[-HEAD:].sum() / max(count.sum(), 1)),
        "nothing found": _ratio((seen.n_candidates == 0) & (seen.page == 0), seen.page == 0),
        **_categories(seen),
        "clicks on the best-selling tenth of items": _ratio(clicks[popular], clicks),
        f"clicks on the {MOST_CLICKED} most clicked items": _ratio(np.sort(clicks)[-MOST_CLICKED:], clicks),
        "spread of click rates over brands": _spread_over_brands(seen, catalogue),
        "Gini of clicks over items": _gini(clicks),
        "Gini of items shown": _gini(np.bincount(seen.items[seen.items >= 0], minlength=n_items)),
        "repeat-brand clicks": _ratio((same & seen.clicked)[known], seen.clicked[known]),
    }


def _categories(seen: Seen) -> dict[str, float]:
    """What is looked for: how much of it is the head, and how often a shopper comes back for the same."""
    first = (seen.n_words > 0) & (seen.query_terms[:, 0] >= 0)
    category, shopper = seen.query_terms[first, 0], seen.shopper[first]
    count = np.sort(np.bincount(category))
    again = shopper[1:] == shopper[:-1]
    return {
        "product type, share of the 5 most asked": _ratio(count[-5:], count),
        "product type of the visit before": _ratio((category[1:] == category[:-1])[again], again),
    }


def _spread_over_brands(seen: Seen, catalogue: PublicCatalogue) -> float:
    """Standard deviation of brands' click rates over the mean rate, what luck alone would make taken off."""
    shown, brand = seen.items >= 0, catalogue.brand[np.maximum(seen.items, 0)]
    n = np.bincount(brand[shown], minlength=int(catalogue.brand.max()) + 1).astype(np.float64)
    clicks = np.bincount(brand[seen.clicked], minlength=len(n))
    often = n >= LEAST_SHOWN
    if not often.any():
        return float("nan")
    mean = _ratio(clicks[often], n[often])
    variance = (n[often] * (clicks[often] / n[often] - mean) ** 2 - mean * (1.0 - mean)).sum() / n[often].sum()
    return float(np.sqrt(max(variance, 0.0)) / max(mean, 1e-12))


def _ratio(part: Any, whole: Any) -> float:
    """Sum of an array over the sum of another; NaN where there is nothing."""
    total = float(np.sum(whole))
    return float(np.sum(part)) / total if total > 0 else float("nan")


def _gini(counts: npt.NDArray[np.integer]) -> float:
    """0 where all items have as much, near 1 where few have all."""
    ranked = np.sort(counts).astype(np.float64)
    if ranked.sum() == 0:
        return float("nan")
    n = len(ranked)
    return float((2.0 * np.arange(1, n + 1) - n - 1.0) @ ranked / (n * ranked.sum()))
