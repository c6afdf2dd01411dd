"""Learning curves: value per search of the current policy against the searches it has learned from, over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.numbers import number
from reports.style import LOGGER_GREY, PolicyStyle, blank, short, spread
from reports.summaries import Curve, learning_curves

HEIGHT = 4.2
LABEL_GAP = 0.062
MOST_MARKERS = 12


def draw(learning: pd.DataFrame, styles: dict[str, PolicyStyle]) -> Figure:
    """Mean over seeds with its 95% t-interval as a band; the logger dashed; each line named at its end.

    Args:
        learning: The table of learning.
        styles: How each policy is drawn.
    """
    curves = learning_curves(learning)
    figure = blank(HEIGHT)
    axes = figure.subplots()
    for curve in curves:
        style = styles[curve.policy]
        if curve.n_seeds > 1:
            axes.fill_between(
                curve.searches, curve.low, curve.high, color=style.colour, alpha=0.16, linewidth=0, zorder=1
            )
        axes.plot(
            curve.searches, curve.mean, color=style.colour, linestyle=style.line, marker=style.marker, markersize=5,
            markevery=max(1, len(curve.searches) // MOST_MARKERS), linewidth=1.8, zorder=3,
        )  # fmt: skip
    ends = [(short(curve.policy), float(curve.mean[-1]), styles[curve.policy].colour) for curve in curves]
    logger = logger_value(learning)
    if np.isfinite(logger):
        axes.axhline(logger, color=LOGGER_GREY, linestyle=(0, (4, 2)), linewidth=1.4, zorder=2)
        ends.append(("logger", logger, LOGGER_GREY))
    axes.margins(x=0.0, y=0.06)
    axes.set_xlabel("searches learned from")
    axes.set_ylabel("value per search on held-out shoppers")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="y")
    _name_ends(axes, curves, ends)
    return figure


def logger_value(learning: pd.DataFrame) -> float:
    """The logger's mean value, NaN where the table does not have it."""
    values = learning["logger_value"].dropna()
    return float(values.mean()) if len(values) else float("nan")


def describe(learning: pd.DataFrame) -> str:
    """The figure in words."""
    parts = [
        f"{curve.policy} goes from {number(float(curve.mean[0]))} to {number(float(curve.mean[-1]))} "
        f"({curve.n_seeds} seeds)"
        for curve in learning_curves(learning)
    ]
    logger = number(logger_value(learning))
    return f"Learning curves of the value per search: {'; '.join(parts)}; the logger stands at {logger}."


def _name_ends(axes: Axes, curves: list[Curve], ends: list[tuple[str, float, str]]) -> None:
    """Each line's name to the right of where it ends, moved apart where lines end together."""
    if not curves:
        return
    last = max(float(curve.searches[-1]) for curve in curves)
    low, high = axes.get_ylim()
    wished = [(value - low) / (high - low) for _, value, _ in ends]
    for (name, value, colour), place in zip(ends, spread(wished, LABEL_GAP), strict=True):
        axes.annotate(
            name, (last, value), (1.035, place), textcoords=axes.transAxes,
            va="center", color=colour, fontweight="bold",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 1},
        )  # fmt: skip
