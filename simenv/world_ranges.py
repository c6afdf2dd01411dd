"""Which range a number in a world file must lie in, by its name.

Ranges that a group checks itself, where it is made, are not repeated here. A number without an entry may be anything
finite: weights of log-odds may be negative.
"""

from __future__ import annotations

import math
from typing import Any

from simenv.errors import UserError

CHANCE = (0.0, 1.0)
AT_LEAST_0 = (0.0, math.inf)
AT_LEAST_1 = (1.0, math.inf)

RANGES: dict[str, tuple[float, float]] = {
    "shoppers.n_segments": AT_LEAST_1,
    "shoppers.segment_spread": AT_LEAST_0,
    "shoppers.taste_spread": AT_LEAST_0,
    "shoppers.loyal_share": CHANCE,
    "shoppers.locale_share": AT_LEAST_0,
    "shoppers.device_share": AT_LEAST_0,
    "shoppers.mean_gap_days": (math.ulp(0.0), math.inf),
    "shoppers.horizon_days": AT_LEAST_1,
    "queries.misspelling_rate": CHANCE,
    "queries.specialise": AT_LEAST_0,
    "queries.generalise": AT_LEAST_0,
    "queries.rephrase": AT_LEAST_0,
    "queries.switch_language": CHANCE,
    "queries.nothing_found": CHANCE,
    "queries.category_share": AT_LEAST_0,
    **{
        f"queries.{kind}.{name}": CHANCE
        for kind in ("navigational", "focused", "exploratory")
        for name in ("share", "wants", "says_category", "says_brand", "says_attribute", "adds")
    },
    "conversion.satisfaction_odds": AT_LEAST_0,
    "dynamics.page_down": AT_LEAST_0,
    "dynamics.reformulate": AT_LEAST_0,
    "dynamics.max_searches": AT_LEAST_1,
    "dynamics.taste_drift": CHANCE,
    "dynamics.satisfaction_memory": CHANCE,
    "dynamics.return_base": CHANCE,
    "dynamics.return_gain": (-2.0, 2.0),
}


def check_range(key: str, value: Any) -> None:
    """Refuse a number, or a list with one, outside the range of its key.

    Raises:
        UserError: naming the key.
    """
    if key not in RANGES:
        return
    low, high = RANGES[key]
    numbers = value if isinstance(value, tuple) else (value,)
    for each in numbers:
        if not low <= each <= high:
            expected = f"between {low:g} and {high:g}" if math.isfinite(high) else f"{low:g} or more"
            raise UserError(f"key '{key}' has {each!r}; expected {expected}.")
    if key.endswith(("locale_share", "device_share")) and sum(numbers) <= 0.0:
        raise UserError(f"key '{key}' sums to 0; expected shares, one above 0 at least.")
