"""Segments: where a policy is better and where it is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.numbers import number
from reports.style import PolicyStyle, blank, short
from reports.summaries import records, unique

MOST_SEGMENTS = 20
MOST_POLICIES = 6


def draw(segments: pd.DataFrame, styles: dict[str, PolicyStyle]) -> Figure:
    """One line a segment, one mark with its interval a policy.

    Args:
        segments: The table of segments; the first `MOST_SEGMENTS` and `MOST_POLICIES` are drawn.
        styles: How each policy is drawn.
    """
    names, policies = unique(segments["segment"])[:MOST_SEGMENTS], unique(segments["policy"])[:MOST_POLICIES]
    figure = blank(len(names) * (0.16 * len(policies) + 0.16) + 1.0)
    axes = figure.subplots()
    for turn, policy in enumerate(policies):
        style = styles[policy]
        shift = (turn - (len(policies) - 1) / 2) * 0.72 / len(policies)
        rows = segments[(segments["policy"] == policy) & segments["segment"].isin(names)].drop_duplicates("segment")
        for row in records(rows):
            place = names.index(str(row["segment"])) + shift
            axes.plot((row["low"], row["high"]), (place, place), color=style.colour, linewidth=1.6)
            axes.plot(row["value"], place, style.marker, color=style.colour, markersize=6)
    for line in np.arange(0.5, len(names) - 1):
        axes.axhline(line, color="#E3E7EA", linewidth=0.8)
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("value per search, 95% interval")
    keys = [
        Line2D([], [], color=styles[name].colour, marker=styles[name].marker, label=short(name)) for name in policies
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=4)
    return figure


def describe(segments: pd.DataFrame) -> str:
    """The figure in words."""
    parts = [
        f"{name}: " + ", ".join(f"{row['policy']} {number(row['value'])}" for row in records(rows))
        for name, rows in list(segments.groupby("segment", sort=False))[:MOST_SEGMENTS]
    ]
    return f"Value per search by segment. {'; '.join(parts)}."
