"""Tables of looking further than the page: what everybody is worth a shopper, and what they do differently."""

from __future__ import annotations

import pandas as pd

from reports.numbers import fixed, number, signed
from reports.table import Table, table_of

# Figures of the table, in order: how a reader is told of each, and its decimals.
CONDUCT: dict[str, tuple[str, int]] = {
    "visits": ("visits a shopper", 2),
    "returning": ("share of visits after which they come back", 3),
    "searches": ("pages a shopper", 2),
    "clicks": ("clicks a page", 3),
    "purchases": ("purchases a shopper", 2),
    "rating": ("stars of what is shown", 2),
    "quality": ("hidden quality of what is shown", 2),
    "bait": ("hidden bait of what is shown", 2),
    "categories": ("categories on a page", 2),
    "entropy": ("entropy of the categories on a page, nats", 3),
    "seen": ("slots of a category seen on an earlier visit", 3),
    "satiation": ("satiation with what is shown", 3),
}


def long_term_table(rows: pd.DataFrame) -> Table:
    """What everybody is worth, and how much more than the best myopic bandit."""
    return table_of(
        "Value per shopper over the horizon, with zeros after they left",
        [
            ("policy", list(rows["policy"]), False),
            ("seeds", [number(value) for value in rows["seeds"]], True),
            ("a shopper", [fixed(value, 2) for value in rows["value"]], True),
            ("low", [fixed(value, 2) for value in rows["low"]], True),
            ("high", [fixed(value, 2) for value in rows["high"]], True),
            ("over the best bandit", [signed(value, 2) for value in rows["gain"]], True),
            ("gain low", [signed(value, 2) for value in rows["gain_low"]], True),
            ("gain high", [signed(value, 2) for value in rows["gain_high"]], True),
            ("CPU s of training", [fixed(value, 0) for value in rows["seconds"]], True),
        ],
        "long_term",
    )


def conduct_table(rows: pd.DataFrame) -> Table:
    """What they show and how shoppers fare: a row a figure, a column a policy."""
    return table_of(
        "What they do differently, means over seeds",
        [
            ("", [meaning for meaning, _ in CONDUCT.values()], False),
            *(
                (str(policy), [fixed(rows[name].iloc[at], decimals) for name, (_, decimals) in CONDUCT.items()], True)
                for at, policy in enumerate(rows["policy"])
            ),
        ],
        "long_term",
    )
