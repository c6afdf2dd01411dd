"""The posterior predictive check: where the log lies among the logs that the fitted world makes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.numbers import number
from reports.style import BASELINE_GREY, GRID, INK, LEARNED_BLUE, QUIET, blank
from reports.summaries import records

WIDEST = 6.0  # half widths of the interval, beyond which a mark is drawn as an arrow
OUTSIDE_ORANGE = "#D55E00"
LOOKS = {"inside": ("o", LEARNED_BLUE), "outside": ("D", OUTSIDE_ORANGE), "far outside": ("X", OUTSIDE_ORANGE)}


def draw(predictive: pd.DataFrame) -> Figure:
    """One line a statistic: the predictive interval as a bar of one width, the log as a mark on its scale.

    Args:
        predictive: The table of statistics; forecasts above, what the fit aimed at below.
    """
    rows = records(ordered(predictive).iloc[::-1])
    figure = blank(0.205 * len(rows) + 0.95)
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _draw_row(axes, place, row)
    n_aimed = int(predictive["aimed_at"].sum())
    if 0 < n_aimed < len(rows):
        axes.axhline(n_aimed - 0.5, color=QUIET, linewidth=0.8, linestyle=(0, (4, 2)))
        for height, text, above in ((n_aimed - 0.42, "forecasts", True), (n_aimed - 0.58, "aimed at", False)):
            axes.annotate(
                text, (0.995, height), xycoords=axes.get_yaxis_transform(), ha="right",
                va="bottom" if above else "top", fontsize=8, color=QUIET,
            )  # fmt: skip
    axes.set_yticks(range(len(rows)), [str(row["statistic"]) for row in rows], fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlim(-WIDEST - 0.4, WIDEST + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set_xlabel("the log's value, in half widths of the 90% predictive interval from its middle")
    return figure


def ordered(predictive: pd.DataFrame) -> pd.DataFrame:
    """Forecasts first, then what was aimed at; each in the table's own order."""
    return predictive.sort_values("aimed_at", kind="stable").reset_index(drop=True)


def place_of(observed: float, low: float, high: float) -> float:
    """Where the log stands: -1 and 1 are the ends of the interval; NaN where it has no width."""
    half = (high - low) / 2.0
    return (observed - (low + high) / 2.0) / half if half > 0 else (0.0 if observed == low else math.nan)


def describe(predictive: pd.DataFrame) -> str:
    """The figure in words."""
    out = [
        f"{row['statistic']} {number(row['observed'], 3)} in the log, {number(row['low'], 3)} to "
        f"{number(row['high'], 3)} predicted"
        for row in records(ordered(predictive))
        if row["flag"] != "inside"
    ]
    said = f"Predictive intervals of {len(predictive)} statistics with the log's values"
    return f"{said}; outside: {'; '.join(out)}." if out else f"{said}; all lie inside."


def draw_curve(examination: pd.DataFrame) -> Figure:
    """Left: examination by slot; right: click rate by slot. The log as marks, the fitted world as a band."""
    figure = blank(2.7)
    for axes, name, title in zip(
        figure.subplots(1, 2), ("examination", "click_rate"), ("Examination", "Click rate"), strict=True
    ):
        slot = examination["slot"].to_numpy()
        low, high = (examination[f"{name}_{end}"].to_numpy() for end in ("low", "high"))
        axes.fill_between(slot, low, high, color=LEARNED_BLUE, alpha=0.2, linewidth=0, label="fitted world, 90%")
        axes.plot(slot, examination[f"{name}_mean"], color=LEARNED_BLUE, linewidth=1.4, label="fitted world, mean")
        axes.plot(
            slot, examination[f"{name}_log"], "o", color=INK, markersize=5, markeredgecolor="white",
            markeredgewidth=0.6, label="the log",
        )  # fmt: skip
        axes.set_title(title)
        axes.set_xlabel("slot")
        axes.set_ylim(bottom=0.0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def describe_curve(examination: pd.DataFrame) -> str:
    """The figure in words."""
    parts = [
        f"slot {row['slot']:.0f}: {number(row['examination_log'], 3)} in the log, {number(row['examination_mean'], 3)} "
        "in the fitted world"
        for row in records(examination)
    ]
    return f"Examination by slot under a position-based model: {'; '.join(parts)}."


def _draw_row(axes: Axes, place: int, row: dict[str, float]) -> None:
    """The interval as a grey bar, the log as a mark; an arrow where it is far away."""
    axes.plot((-WIDEST, WIDEST), (place, place), color=GRID, linewidth=0.6, zorder=0)
    axes.plot((-1, 1), (place, place), color=BASELINE_GREY, linewidth=5, solid_capstyle="butt", zorder=1)
    at = place_of(row["observed"], row["low"], row["high"])
    marker, colour = LOOKS[str(row["flag"])]
    if np.isnan(at):
        at = math.copysign(math.inf, row["observed"] - row["low"])
    if abs(at) > WIDEST:
        axes.plot(math.copysign(WIDEST, at), place, ">" if at > 0 else "<", color=colour, markersize=7, zorder=3)
    else:
        axes.plot(
            at, place, marker, color=colour, markersize=5.5, markeredgecolor="white", markeredgewidth=0.5, zorder=3
        )
