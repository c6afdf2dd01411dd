"""A sweep's cells: policies by scenario, every seed as a dot, the mean with its interval."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.numbers import number
from reports.style import PolicyStyle, blank, panels, short
from reports.summaries import cell_summary, records, unique

MOST_SCENARIOS = 12
MOST_METRICS = 3
METRIC_WORDS = {
    "value_search": "value per search",
    "value_session": "value per session",
    "value_shopper": "value per shopper",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "gap_closed": "gap closed",
}


def draw(cells: pd.DataFrame, metric: str, styles: dict[str, PolicyStyle]) -> Figure:
    """One panel a scenario, all on one scale; one line a policy.

    Args:
        cells: The table of cells.
        metric: Which metric; the first `MOST_SCENARIOS` scenarios are drawn.
        styles: How each policy is drawn.
    """
    rows = cells[cells["metric"] == metric]
    scenarios, policies = unique(rows["scenario"])[:MOST_SCENARIOS], unique(rows["policy"])
    columns = min(len(scenarios), 3)
    height = -(-len(scenarios) // columns)
    figure = blank(height * (0.3 * len(policies) + 0.62) + 0.35)
    grid = panels(figure, height, columns)
    for axes, scenario in zip(grid, scenarios, strict=False):
        _draw_panel(axes, rows[rows["scenario"] == scenario], policies, styles)
        axes.set_title(short(scenario, 30))
    _share_scale(grid[: len(scenarios)])
    for place, axes in enumerate(grid[: len(scenarios)]):
        if place % columns:
            axes.set_yticklabels([])
        if place >= len(scenarios) - columns:
            axes.set_xlabel(short(in_words(metric)))
    for axes in grid[len(scenarios) :]:
        axes.remove()
    return figure


def in_words(metric: str) -> str:
    """A metric's name as a reader says it."""
    return METRIC_WORDS.get(metric, metric.replace("_", " "))


def describe(cells: pd.DataFrame, metric: str) -> str:
    """The figure in words."""
    summary = cell_summary(cells[cells["metric"] == metric])
    parts = [
        f"{scenario}: " + ", ".join(f"{row['policy']} {number(row['mean'])}" for row in records(rows))
        for scenario, rows in list(summary.groupby("scenario", sort=False))[:MOST_SCENARIOS]
    ]
    return f"{in_words(metric)} of each policy in each scenario, means over seeds. {'; '.join(parts)}."


def _draw_panel(axes: Axes, rows: pd.DataFrame, policies: list[str], styles: dict[str, PolicyStyle]) -> None:
    """One scenario: seeds as faint dots, mean and interval over them."""
    for row in records(rows):
        place = policies.index(str(row["policy"]))
        axes.plot(
            row["value"], place + 0.24, "o", color=styles[policies[place]].colour, markersize=2.6, alpha=0.55, mew=0
        )
    for row in records(cell_summary(rows)):
        place, style = policies.index(str(row["policy"])), styles[str(row["policy"])]
        if math.isfinite(row["low"]):
            axes.plot((row["low"], row["high"]), (place, place), color=style.colour, linewidth=1.8)
        axes.plot(row["mean"], place, style.marker, color=style.colour, markersize=6)
    axes.set_yticks(range(len(policies)), [short(policy) for policy in policies])
    axes.set_ylim(len(policies) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _share_scale(grid: list[Axes]) -> None:
    """Give all panels the widest panel's scale, so that they can be compared by eye."""
    low, high = min(axes.get_xlim()[0] for axes in grid), max(axes.get_xlim()[1] for axes in grid)
    for axes in grid:
        axes.set_xlim(low, high)
