"""A contest: how much of the gap each closes in each world, seeds as dots, the mean with its interval."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from reports.numbers import percent
from reports.style import GRID, INK, LOGGER_GREY, PolicyStyle, blank, panels, short
from reports.summaries import records, unique

MOST_WORLDS = 12
LOWEST = -0.6  # of the gap: what is worse is an arrow, so that one bad ranker does not squeeze all others
GREEDY = "greedy"


def draw(gaps: pd.DataFrame, styles: dict[str, PolicyStyle]) -> Figure:
    """One panel a world, all on one scale; one line a policy, played greedily (filled) and as registered (hollow).

    Args:
        gaps: The table of gaps; the first `MOST_WORLDS` worlds are drawn, without oracles.
        styles: How each policy is drawn.
    """
    rows = shown(gaps)
    worlds, policies = unique(rows["world"])[:MOST_WORLDS], unique(rows["policy"])
    columns = min(len(worlds), 3)
    height = -(-len(worlds) // columns)
    figure = blank(height * (0.3 * len(policies) + 0.62) + 0.35)
    grid = panels(figure, height, columns)
    top = max(1.05, *(value for value in rows["high"] if math.isfinite(value)), float(rows["share"].max()) + 0.05)
    for place, (axes, world) in enumerate(zip(grid, worlds, strict=False)):
        _draw_panel(axes, rows[rows["world"] == world], policies, styles)
        axes.set_xlim(max(LOWEST, float(rows["share"].min()) - 0.05), top)
        axes.set_title(short(world, 30))
        if place % columns:
            axes.set_yticklabels([])
        if place >= len(worlds) - columns:
            axes.set_xlabel("share of the gap closed")
    for axes in grid[len(worlds) :]:
        axes.remove()
    return figure


def shown(gaps: pd.DataFrame) -> pd.DataFrame:
    """What is drawn: everybody but the oracles, learned ones first, each group from the best to the worst in all."""
    rows = gaps[(gaps["role"] != "oracle") & gaps["share"].notna()]
    rank = {"learned": 0, "baseline": 1, "logger": 2}
    mean = rows[rows["play"] == GREEDY].groupby("policy")["share"].mean()
    keyed = rows.assign(group=rows["role"].map(rank), mean=-rows["policy"].map(mean))
    keyed["at"] = keyed["world"].map({world: at for at, world in enumerate(unique(gaps["world"]))})
    return keyed.sort_values(["at", "group", "mean"], kind="stable").drop(columns=["group", "mean", "at"])


def describe(gaps: pd.DataFrame) -> str:
    """The figure in words."""
    rows = shown(gaps)
    greedy = rows[rows["play"] == GREEDY]
    parts = [
        f"{world}: " + ", ".join(f"{row['policy']} {percent(row['share'])}" for row in records(of_world))
        for world, of_world in list(greedy.groupby("world", sort=False))[:MOST_WORLDS]
    ]
    return f"Share of the gap closed in each world, played greedily. {'; '.join(parts)}."


def _draw_panel(axes: Axes, rows: pd.DataFrame, policies: list[str], styles: dict[str, PolicyStyle]) -> None:
    axes.axvline(0.0, color=LOGGER_GREY, linestyle=(0, (4, 2)), linewidth=1.2, zorder=1)
    axes.axvline(1.0, color=INK, linewidth=1.0, zorder=1)
    for row in records(rows):
        place, style = policies.index(str(row["policy"])), styles[str(row["policy"])]
        is_greedy = row["play"] == GREEDY
        level = place - 0.12 if is_greedy else place + 0.2
        if row["share"] < LOWEST:
            axes.plot(LOWEST, level, "<", color=style.colour, markersize=4.5, clip_on=False)
            continue
        if math.isfinite(row["low"]):
            axes.plot((row["low"], row["high"]), (level, level), color=style.colour, linewidth=1.8)
        axes.plot(
            row["share"], level, style.marker, color=style.colour, markersize=5.5 if is_greedy else 3.8,
            markerfacecolor=style.colour if is_greedy else "white", zorder=3,
        )  # fmt: skip
    axes.set_yticks(range(len(policies)), [short(policy) for policy in policies])
    axes.set_ylim(len(policies) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
