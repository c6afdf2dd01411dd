"""Speed beside the peers: how many times as fast each measurement is as the peer's figure, on a logarithmic axis."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.numbers import number
from reports.style import LEARNED_BLUE, LOGGER_GREY, blank

ROW = 0.42
MARGIN = 0.8
LONGEST_LINE = 44


def beside_peers(speed: pd.DataFrame) -> pd.DataFrame:
    """The measurements that have a peer, the largest ratio first."""
    return speed[speed["ratio"].notna()].sort_values("ratio", ascending=False, kind="stable")


def draw(speed: pd.DataFrame) -> Figure:
    """A bar a measurement, from 1 (as fast as the peer) to its ratio.

    Args:
        speed: The table of speeds; those without a peer are left out.
    """
    rows = beside_peers(speed)
    figure = blank(MARGIN + ROW * len(rows))
    axes = figure.subplots()
    places = range(len(rows), 0, -1)
    axes.barh(list(places), rows["ratio"] - 1.0, left=1.0, height=0.55, color=LEARNED_BLUE)
    axes.set_xscale("log")
    axes.axvline(1.0, color=LOGGER_GREY, linewidth=1.4)
    for place, ratio in zip(places, rows["ratio"], strict=True):
        axes.annotate(f"{number(ratio, 3)}×", (max(ratio, 1.0), place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(list(places), [textwrap.fill(name, LONGEST_LINE) for name in rows["name"]])
    axes.set_xlabel("times the peer's rate (logarithmic)")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.margins(x=0.12)
    axes.grid(axis="x")
    return figure


def describe(speed: pd.DataFrame) -> str:
    """The figure in words."""
    rows = beside_peers(speed)
    parts = [f"{name}: {number(ratio, 3)} times" for name, ratio in zip(rows["name"], rows["ratio"], strict=True)]
    return f"Rates as multiples of the peers' figures: {'; '.join(parts)}."
