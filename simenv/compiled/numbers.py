"""All numbers of a world in one record for the kernels: what meets float32 columns in numpy is float32 here."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.habits import Boredom, Loyalty, Satiation, Trust
from simenv.params import WorldParams
from simenv.retrieval import BRAND_SHARE, PRIMARY_SHARE

Records = npt.NDArray[np.void]
REWARDS = ("clicks", "purchases", "revenue", "net revenue")  # in the order of `Numbers.reward`


def numbers_of(params: WorldParams, catalogue_seed: int, n_categories: int) -> Records:
    """The record, (1,)."""
    groups: list[tuple[dict[str, Any], Any]] = [
        (_streams(catalogue_seed), np.uint64),
        (_integers(params, n_categories), np.int64),
        (_doubles(params), np.float64),
        ({**_singles(params), **_singles_of_habits(params)}, np.float32),
        ({_source(): 0}, np.int8),
    ]
    layout = np.dtype([(name, kind) for group, kind in groups for name in group], align=True)
    numbers = np.empty(1, dtype=layout)
    for group, _ in groups:
        for name, value in group.items():
            numbers[name] = value
    return numbers


def _streams(seed: int) -> dict[str, int]:
    return {
        "retrieval": hashing.stream(seed, "retrieval"),
        "confused": hashing.stream(seed, "confused"),
        "nothing_found_words": hashing.stream(seed, "nothing found"),
        "house": hashing.stream(seed, "house"),
    }


def _integers(params: WorldParams, n_categories: int) -> dict[str, int]:
    n_primary, habits = max(1, round(PRIMARY_SHARE * params.n_candidates)), params.habits
    return {
        "n_categories": n_categories, "n_brands": params.n_brands,
        "n_primary": n_primary, "n_brand": min(round(BRAND_SHARE * params.n_candidates), n_primary),
        "max_pages": params.max_pages, "max_searches": params.dynamics.max_searches,
        "horizon_days": params.shoppers.horizon_days, "n_segments": params.shoppers.n_segments,
        "reward": REWARDS.index(params.reward), "reach": params.filters.reach * params.n_candidates,
        "has_holes": params.market.makes_holes, "has_trust": habits.trust is not None,
        "has_loyalty": habits.loyalty is not None,
        "is_boredom_of_brand": habits.boredom is not None and habits.boredom.of == "brand",
    }  # fmt: skip


def _doubles(params: WorldParams) -> dict[str, float]:
    shoppers, post_click, habits = params.shoppers, params.post_click, params.habits
    return {
        "loyalty": params.attraction.loyalty, "switch_language": params.queries.switch_language,
        "nothing_found": params.queries.nothing_found, "taste_spread": shoppers.taste_spread,
        "loyal_share": shoppers.loyal_share, "mean_gap_days": shoppers.mean_gap_days,
        "pinned_share": params.house.pinned_share, "dwell": post_click.dwell,
        "dwell_spread": post_click.dwell_spread, "good": params.abandonment.good, "bad": params.abandonment.bad,
        "satiation_half_life": (habits.satiation or Satiation()).half_life_days,
        "boredom_half_life": (habits.boredom or Boredom()).half_life_days,
    }  # fmt: skip


def _singles(params: WorldParams) -> dict[str, float]:
    attraction, conversion, dynamics = params.attraction, params.conversion, params.dynamics
    post_click, abandonment, returns = params.post_click, params.abandonment, params.post_click.returns
    return {
        "base": attraction.base, "relevance": attraction.relevance, "taste": attraction.taste,
        "price": attraction.price, "quality": attraction.quality, "bait": attraction.bait,
        "popularity": attraction.popularity,
        "cart_base": conversion.cart_base, "cart_relevance": conversion.cart_relevance,
        "cart_taste": conversion.cart_taste, "cart_quality": conversion.cart_quality,
        "buy_base": conversion.buy_base, "buy_price": conversion.buy_price,
        "satisfaction_odds": conversion.satisfaction_odds,
        "page_down": dynamics.page_down, "reformulate": dynamics.reformulate, "taste_drift": dynamics.taste_drift,
        "satisfaction_memory": dynamics.satisfaction_memory,
        "return_base": dynamics.return_base, "return_gain": dynamics.return_gain,
        "quality_deceives": attraction.quality - conversion.cart_quality,
        "taste_deceives": attraction.taste - conversion.cart_taste,
        "returns_odds": (1.0 - returns) / returns if returns else 0.0, "regret": post_click.regret,
        "dwell_utility": post_click.dwell_utility,
        "typical_utility": conversion.cart_base + conversion.cart_relevance,
        "relevant": abandonment.relevant, "useless": abandonment.useless, "price_gap": abandonment.price_gap,
    }  # fmt: skip


def _singles_of_habits(params: WorldParams) -> dict[str, float]:
    """What is off moves by nothing."""
    habits = params.habits
    satiation, boredom, loyalty = habits.satiation or Satiation(), habits.boredom or Boredom(), habits.loyalty
    trust = habits.trust or Trust(start=0.0, rate=0.0, click=0.0, return_gain=0.0)
    return {
        "satiation_click": satiation.click, "satiation_cart": satiation.cart, "satiation_intent": satiation.intent,
        "boredom_weight": boredom.weight, "boredom_tolerance": boredom.tolerance,
        "trust_start": trust.start, "trust_rate": trust.rate, "trust_quality": trust.quality,
        "trust_bait": trust.bait, "trust_click": trust.click, "trust_return_gain": trust.return_gain,
        "influence_rate": 0.0 if habits.influence is None else habits.influence.rate,
        "loyalty_win": (loyalty or Loyalty()).win, "loyalty_lose": (loyalty or Loyalty()).lose,
        "loyalty_quality": (loyalty or Loyalty()).quality,
    }  # fmt: skip


@functools.cache
def _source() -> str:
    """A field's name that changes with any file of this folder, so that no kernel is taken from a stale cache."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return f"source_{digest.hexdigest()[:16]}"
