"""Example searches: a query and the page it got, for readers who want to see what all this is about."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from reports.summaries import records

MOST_SEARCHES = 9
MOST_SLOTS = 10


@dataclass(frozen=True)
class Item:
    """One slot of a page: its title, its price as text, and what the shopper did."""

    slot: str
    title: str
    price: str
    clicked: bool
    bought: bool


@dataclass(frozen=True)
class Search:
    """One search and the top of its page."""

    query: str
    locale: str
    session: str
    step: str
    items: tuple[Item, ...]


def example_searches(sessions: pd.DataFrame | None) -> list[Search]:
    """The first searches of the table, each with the top of its page."""
    if sessions is None:
        return []
    found = []
    for (session, step), rows in list(sessions.groupby(["session", "step"], sort=False))[:MOST_SEARCHES]:
        page = records(rows.sort_values("slot", kind="stable").head(MOST_SLOTS))
        items = tuple(
            Item(
                "" if math.isnan(row["slot"]) else f"{row['slot']:.0f}",
                str(row["title"]),
                "" if math.isnan(row["price"]) else f"{row['price']:,.2f}",
                bool(row["clicked"]),
                bool(row["bought"]),
            )
            for row in page
        )
        found.append(Search(str(rows["query"].iloc[0]), str(rows["locale"].iloc[0]), str(session), str(step), items))
    return found
