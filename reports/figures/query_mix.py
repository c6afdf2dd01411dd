"""What shoppers look for: the share of each product type, in the log and in logs of the fitted world."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reports.numbers import number
from reports.style import INK, LEARNED_BLUE, blank
from reports.summaries import records

MOST_CATEGORIES = 24


def draw(mix: pd.DataFrame) -> Figure:
    """One column a product type, the most asked first: the log as a mark, the fitted world's 90% as a bar."""
    rows = records(mix.head(MOST_CATEGORIES))
    figure = blank(3.0)
    axes = figure.subplots()
    for place, row in enumerate(rows):
        axes.plot(
            (place, place), (row["low"], row["high"]), color=LEARNED_BLUE, alpha=0.35, linewidth=7,
            solid_capstyle="butt", label="fitted world, 90%" if place == 0 else None,
        )  # fmt: skip
    axes.plot(
        range(len(rows)), [row["log"] for row in rows], "o", color=INK, markersize=4.5, markeredgecolor="white",
        markeredgewidth=0.5, label="the log",
    )  # fmt: skip
    axes.set_xticks(range(len(rows)), [str(row["category"]) for row in rows], rotation=45, ha="right", fontsize=7.5)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylabel("share of first queries")
    axes.grid(axis="y")
    axes.legend(loc="upper right")
    return figure


def describe(mix: pd.DataFrame) -> str:
    """The figure in words."""
    parts = [
        f"{row['category']} {number(row['log'], 2)} in the log, {number(row['low'], 2)} to {number(row['high'], 2)} "
        "predicted"
        for row in records(mix.head(5))
    ]
    return f"Share of first queries by the product type that a dictionary reads: {'; '.join(parts)}; and so on."
