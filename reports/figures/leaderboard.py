"""The leaderboard: whose interval holds the truth in which bed, and what the verdict said."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reports.leaderboard_tables import WORD_COLUMNS, usual_verdict
from reports.numbers import percent
from reports.style import GRID, INK, QUIET, blank, panels, short
from reports.summaries import records, unique
from reports.verdicts import VERDICTS

FIRST = ("ips", "dr", "cascade-dr", "dr-item", "dros", "dm")  # drawn where they are there, then others
MOST = 6
NOMINAL, FAILS = 0.95, 0.85


def draw(scores: pd.DataFrame) -> Figure:
    """One panel an estimator: coverage in each bed with its binomial error, marked as most verdicts say."""
    names, beds = drawn(scores), unique(scores["cell"])
    columns = min(3, len(names))
    height = -(-len(names) // columns)
    figure = blank(height * (0.165 * len(beds) + 0.6) + 0.3)
    grid = panels(figure, height, columns)
    for place, (axes, name) in enumerate(zip(grid, names, strict=False)):
        _draw_panel(axes, scores[scores["estimator"] == name], beds)
        axes.set_title(short(name, 30))
        if place % columns:
            axes.set_yticklabels([])
        if place >= len(names) - columns:
            axes.set_xlabel("interval holds the truth")
    for axes in grid[len(names) :]:
        axes.remove()
    return figure


def describe(scores: pd.DataFrame) -> str:
    """The figure in words."""
    parts = []
    for name in drawn(scores):
        own = scores[scores["estimator"] == name]
        parts.append(f"{name}: fails in {int(own['fails'].sum())} of {len(own)} cells")
    return f"Coverage of the 95% interval by bed, one panel an estimator. {'; '.join(parts)}."


def draw_verdicts(scores: pd.DataFrame) -> Figure:
    """Which verdicts estimators got, by how often their interval really held the truth in the cell."""
    figure = blank(2.7)
    axes = figure.subplots()
    edges = np.linspace(0.0, 1.0, 21)
    told = {
        word: np.histogram(scores["coverage"].clip(upper=1.0), edges, weights=scores[column] * scores["logs"])[0]
        for word, column in WORD_COLUMNS.items()
    }
    total = sum(told.values(), np.zeros(len(edges) - 1))
    base = np.zeros(len(edges) - 1)
    for word, number in told.items():
        share = number / np.maximum(total, 1.0)
        axes.bar(edges[:-1], share, 0.046, base, align="edge", color=VERDICTS[word].colour, label=word, linewidth=0)
        base += share
    for left, number in zip(edges[:-1], total, strict=True):
        if number:
            axes.text(left + 0.023, 1.02, f"{number:,.0f}", ha="center", fontsize=6.5, color=QUIET)
    axes.axvline(FAILS, color=INK, linestyle=(0, (4, 2)), linewidth=1.0)
    axes.set_xlabel("coverage of the estimator's interval in its cell")
    axes.set_ylabel("share of verdicts")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    figure.legend(loc="outside upper right", ncols=3)
    return figure


def describe_verdicts(scores: pd.DataFrame) -> str:
    """The figure in words."""
    failing = scores[scores["fails"]]
    shares = {
        word: float((failing[column] * failing["logs"]).sum() / max(failing["logs"].sum(), 1))
        for word, column in WORD_COLUMNS.items()
    }
    told = ", ".join(f"{percent(share)} {word}" for word, share in shares.items())
    return f"Verdicts by how often the interval really held the truth. Where it failed: {told}."


def drawn(scores: pd.DataFrame) -> list[str]:
    """The estimators that have a panel."""
    here = unique(scores["estimator"])
    first = [name for name in FIRST if name in here]
    return [*first, *(name for name in here if name not in first)][:MOST]


def _draw_panel(axes: Axes, rows: pd.DataFrame, beds: list[str]) -> None:
    axes.axvline(NOMINAL, color=INK, linewidth=0.9, zorder=1)
    axes.axvline(FAILS, color=QUIET, linestyle=(0, (4, 2)), linewidth=0.9, zorder=1)
    targets = unique(rows["target"])
    for row in records(rows):
        level = beds.index(str(row["cell"])) + 0.16 * (targets.index(str(row["target"])) - (len(targets) - 1) / 2)
        verdict, share = VERDICTS[usual_verdict(row)], row["coverage"]
        reach = 1.96 * math.sqrt(max(share * (1.0 - share), 0.25 / row["logs"]) / row["logs"])
        axes.plot(
            (max(share - reach, 0.0), min(share + reach, 1.0)), (level, level), color=verdict.colour, linewidth=0.6
        )
        axes.plot(
            share, level, verdict.marker, color=verdict.colour, markersize=2.6, zorder=3, markeredgewidth=0.7,
            markerfacecolor="white" if verdict.is_hollow else verdict.colour,
        )  # fmt: skip
    axes.set_yticks(range(len(beds)), [short(bed, 26) for bed in beds])
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.set_ylim(len(beds) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
