"""Estimates as marks with intervals on one panel: the piece that the overview and the estimates figure share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from reports.numbers import number
from reports.style import INK, LOGGER_GREY, QUIET, house, short
from reports.summaries import NORMAL_95, records
from reports.verdicts import VERDICTS

WIDEST_OUTSIDE = 0.75
CROWDED = 20.0


@dataclass(frozen=True)
class Window:
    """The stretch of the value axis that a panel shows."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value can be seen."""
        return self.low <= value <= self.high


def window(rows: pd.DataFrame) -> Window:
    """What to show, so that one exploded interval does not squeeze all others into a line.

    The truth, the logger and the intervals that may be believed are always inside. The others are shown as far as
    `WIDEST_OUTSIDE` of that stretch on each side; what lies beyond is drawn as an arrow with its number.

    Args:
        rows: Estimates of one panel, as made by `summaries.with_truth`.
    """
    core = _finite(rows["truth"], logged_mean(rows))
    margin = NORMAL_95 * rows["truth_stderr"].fillna(0.0)
    core += _finite(rows["truth"] - margin, rows["truth"] + margin)
    believed = rows[rows["verdict"] != "do not use"]
    shown = believed if len(believed) else rows
    widths = (shown["high"] - shown["low"]).abs()
    typical = widths.median()
    calm = shown[~(widths > CROWDED * typical)]
    core += _finite(calm["low"], calm["high"], calm["value"])
    if not core:
        return Window(0.0, 1.0)
    low, high = min(core), max(core)
    span = high - low or abs(high) or 1.0
    near = [
        value
        for value in _finite(rows["low"], rows["high"], rows["value"])
        if low - WIDEST_OUTSIDE * span <= value <= high + WIDEST_OUTSIDE * span
    ]
    low, high = min([low, *near]), max([high, *near])
    span = high - low or abs(high) or 1.0
    return Window(low - 0.06 * span, high + 0.06 * span)


def draw_marks(axes: Axes, rows: pd.DataFrame, has_truth_label: bool = False) -> None:
    """Draw one panel: an estimator a line, top to bottom in the table's order.

    Args:
        axes: Where.
        rows: Estimates of one policy and estimand, as made by `summaries.with_truth`.
        has_truth_label: Whether to write the true value beside its line.
    """
    view = window(rows)
    lines = records(rows)
    axes.set_xlim(view.low, view.high)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    _draw_references(axes, rows, has_truth_label)
    for place, row in enumerate(lines):
        _draw_estimate(axes, view, place, row["value"], row["low"], row["high"], row["verdict"])
    axes.set_yticks(range(len(lines)), [short(str(row["estimator"])) for row in lines])
    axes.tick_params(axis="y", length=0, pad=9)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def logged_mean(rows: pd.DataFrame) -> pd.Series[float]:
    """The logger's mean on the rows of one log: value less lift, which is the same for every estimate.  # (1,)."""
    return pd.Series([(rows["value"] - rows["lift"]).median()])


def mark_legend(rows: pd.DataFrame) -> list[Line2D]:
    """Keys for what is on the panels: the verdicts that occur, the truth, the logger."""
    keys = []
    for verdict in VERDICTS.values():
        if (rows["verdict"] == verdict.word).any():
            face = "white" if verdict.is_hollow else verdict.colour
            with house():
                keys.append(
                    Line2D(
                        [], [], color=verdict.colour, marker=verdict.marker, markerfacecolor=face, label=verdict.word
                    )
                )
    if np.isfinite(rows["truth"]).any():
        keys.append(Line2D([], [], color=INK, marker="D", markersize=5, linewidth=1.4, label="truth (± 95%)"))
    if _finite(logged_mean(rows)):
        keys.append(Line2D([], [], color=LOGGER_GREY, linestyle=(0, (4, 2)), linewidth=1.2, label="logger's mean"))
    return keys


def _draw_references(axes: Axes, rows: pd.DataFrame, has_truth_label: bool) -> None:
    """The truth with its own uncertainty, and the logger's mean."""
    for logger in _finite(logged_mean(rows)):
        axes.axvline(logger, color=LOGGER_GREY, linestyle=(0, (4, 2)), linewidth=1.2, zorder=1)
    known = rows[np.isfinite(rows["truth"])]
    if len(known) == 0:
        return
    truth, stderr = float(known["truth"].iloc[0]), float(known["truth_stderr"].iloc[0])
    if math.isfinite(stderr):
        axes.axvspan(truth - NORMAL_95 * stderr, truth + NORMAL_95 * stderr, color="#D5D9DD", linewidth=0, zorder=0.5)
    axes.axvline(truth, color=INK, linewidth=1.4, zorder=1.5)
    axes.plot(truth, 0, "D", color=INK, markersize=5, zorder=4, transform=axes.get_xaxis_transform(), clip_on=False)
    if has_truth_label:
        axes.annotate(
            f"truth {number(truth)}", (truth, 1), (0, 2), xycoords=axes.get_xaxis_transform(),
            textcoords="offset points", ha="center", va="bottom", fontsize=8, fontweight="bold",
        )  # fmt: skip


def _draw_estimate(axes: Axes, view: Window, place: int, value: float, low: float, high: float, word: str) -> None:
    """One estimate; what leaves the panel becomes an arrow with the number it points to."""
    verdict = VERDICTS[word]
    line = (0, (2, 1.5)) if verdict.is_hollow else "-"
    if math.isnan(low) != math.isnan(high):  # an interval of one end points to where it has none
        low, high = (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)
    ends = (max(low, view.low), min(high, view.high))
    if not math.isnan(low) and not math.isnan(high) and ends[0] < ends[1]:
        axes.plot(
            ends, (place, place), color=verdict.colour, linestyle=line, linewidth=1.6, solid_capstyle="butt", zorder=2
        )
        for end, inside, marker in ((low, view.low, "<"), (high, view.high, ">")):
            if view.holds(end):
                axes.plot(end, place, "|", color=verdict.colour, markersize=7, markeredgewidth=1.4, zorder=2)
            else:
                axes.plot(inside, place, marker, color=verdict.colour, markersize=5, clip_on=False, zorder=2)
    if math.isnan(value):
        axes.annotate(
            "not defined",
            (0.5, place),
            xycoords=axes.get_yaxis_transform(),
            ha="center",
            va="center",
            color=QUIET,
            path_effects=[withStroke(linewidth=4, foreground="white")],
        )
    elif view.holds(value):
        face = "white" if verdict.is_hollow else verdict.colour
        axes.plot(
            value,
            place,
            verdict.marker,
            color=verdict.colour,
            markerfacecolor=face,
            markeredgewidth=1.6,
            markersize=7,
            zorder=3,
        )
    else:
        is_right = value > view.high
        axes.annotate(
            f"{number(value, 3)} {'▶' if is_right else ''}" if is_right else f"◀ {number(value, 3)}",
            (0.995 if is_right else 0.005, place), (0, 3),
            xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            ha="right" if is_right else "left", va="bottom", fontsize=8, color=verdict.colour,
        )  # fmt: skip


def _finite(*columns: pd.Series[float]) -> list[float]:
    """The finite numbers of some columns."""
    return [float(value) for column in columns for value in column if math.isfinite(value)]
