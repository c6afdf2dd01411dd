"""Policies side by side: value per search, and the share of the gap to the best public policy that each one closed."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter

from reports.numbers import decimals_for, fixed, number, percent
from reports.style import BASELINE_GREY, INK, LEARNED_BLUE, LOGGER_GREY, QUIET, blank, short
from reports.summaries import NORMAL_95, OWN_CONTEXTS, records

BAR = 0.62
# Roles, not policies, have colours here (every bar has its name beside it): face, edge, hatch.
BARS = {
    "logger": (LOGGER_GREY, LOGGER_GREY, ""),
    "baseline": (BASELINE_GREY, BASELINE_GREY, ""),
    "learned": (LEARNED_BLUE, LEARNED_BLUE, ""),
    "oracle": ("white", QUIET, "////"),
}


def draw(policies: pd.DataFrame, truth: pd.DataFrame | None) -> Figure:
    """Bars of value per search with the truth beside; where known, the share of the gap closed with its interval.

    Args:
        policies: The table of policies, drawn in the order of `ordered`.
        truth: The table of truths, for the diamonds.
    """
    rows = ordered(policies)
    figure = blank(0.36 * len(rows) + 1.15)
    if not np.isfinite(rows["gap_closed"]).any():
        axes = figure.subplots()
        draw_bars(axes, rows)
        _draw_truths(figure, axes, rows, truth)
        return figure
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1.0])
    draw_bars(left, rows)
    _draw_truths(figure, left, rows, truth)
    left.set_title("Value per search")
    left.set_xlabel("value per search (expected reward)")
    _draw_gaps(right, rows)
    return figure


def ordered(policies: pd.DataFrame) -> pd.DataFrame:
    """Policies from the lowest value per search to the highest."""
    return policies.sort_values("value_search", kind="stable", na_position="first").reset_index(drop=True)


def draw_bars(axes: Axes, policies: pd.DataFrame) -> None:
    """Bars from zero, the best on top, the number beside each, a dashed line at the logger.

    Args:
        axes: Where.
        policies: Rows of the table of policies.
    """
    rows = ordered(policies)
    decimals = decimals_for(rows["value_search"], 3)
    for place, row in enumerate(records(rows)):
        face, edge, hatch = BARS[str(row["role"])]
        length = 0.0 if math.isnan(row["value_search"]) else row["value_search"]
        axes.barh(
            place, length, BAR,
            facecolor=face, edgecolor=edge, hatch=hatch, linewidth=0.8, zorder=2,
        )  # fmt: skip
        axes.annotate(
            fixed(row["value_search"], decimals), (max(length, 0.0), place),
            (7, 0), textcoords="offset points", va="center", fontsize=8.5,
            fontweight="bold" if row["role"] == "learned" else "normal",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
    for value in rows.loc[rows["role"] == "logger", "value_search"]:
        axes.axvline(value, color=LOGGER_GREY, linestyle=(0, (4, 2)), linewidth=1.2, zorder=1)
    axes.set_yticks(range(len(rows)), [_label(str(row["policy"]), str(row["role"])) for row in records(rows)])
    for text, role in zip(axes.get_yticklabels(), rows["role"], strict=True):
        text.set_fontweight("bold" if role == "learned" else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.16)
    if (rows["value_search"].dropna() >= 0).all():
        axes.set_xlim(left=0)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_xlabel("value per search")


def describe(policies: pd.DataFrame) -> str:
    """The figure in words."""
    parts = []
    for row in records(ordered(policies).iloc[::-1]):
        gap = "" if math.isnan(row["gap_closed"]) else f", {percent(row['gap_closed'])} of the gap closed"
        parts.append(f"{row['policy']} ({row['role']}) {number(row['value_search'])}{gap}")
    return f"Bars of the value per search of {len(policies)} policies, highest first: {'; '.join(parts)}."


def _label(policy: str, role: str) -> str:
    """A policy's name, with its role where the name does not say it."""
    return short(policy) if role in ("learned", "baseline") or role in policy.lower() else f"{short(policy)} ({role})"


def _draw_truths(figure: Figure, axes: Axes, rows: pd.DataFrame, truth: pd.DataFrame | None) -> None:
    """A diamond at the truth by roll-out with its own 95% interval."""
    if truth is None:
        return
    known = truth[truth["estimand"] == OWN_CONTEXTS].drop_duplicates("policy").set_index("policy")
    is_first = True
    for place, policy in enumerate(rows["policy"]):
        if policy not in known.index:
            continue
        value, stderr = float(known.loc[policy, "value"]), float(known.loc[policy, "stderr"])
        axes.errorbar(
            value, place, xerr=None if math.isnan(stderr) else NORMAL_95 * stderr, fmt="D", color=INK, markersize=4,
            markeredgecolor="white", markeredgewidth=0.6, elinewidth=1.2, capsize=2, zorder=3,
            label="truth in its own contexts, ± 95%" if is_first else None,
        )  # fmt: skip
        is_first = False
    if not is_first:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")


def _draw_gaps(axes: Axes, rows: pd.DataFrame) -> None:
    """The share of the gap from the logger (0) to the best public policy (1)."""
    for place in (0.0, 1.0):
        axes.axvline(place, color=LOGGER_GREY, linestyle=(0, (4, 2)) if place == 0 else "-", linewidth=1.0, zorder=1)
    for place, row in enumerate(records(rows)):
        colour = BARS[str(row["role"])][1]
        if not math.isfinite(row["gap_closed"]):
            continue
        if math.isfinite(row["gap_low"]) and math.isfinite(row["gap_high"]):
            axes.plot((row["gap_low"], row["gap_high"]), (place, place), color=colour, linewidth=2.2, zorder=2)
        axes.plot(row["gap_closed"], place, "o", color=colour, markersize=7, zorder=3)
        axes.annotate(
            percent(row["gap_closed"]), (row["gap_closed"], place), (0, 6), textcoords="offset points",
            ha="center", va="bottom", fontsize=8,
        )  # fmt: skip
    axes.set_title("Share of the gap closed")
    axes.set_xlabel("0 = logger, 100% = best public")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
