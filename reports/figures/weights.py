"""Importance weights: how far the target policy strays from the logger, row by row."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from reports.numbers import count, percent
from reports.style import LONGEST_TITLE, QUIET, blank, panels, short

MOST_PANELS = 12
FLOOR = 1e-9
LOOKS = {"joint": ("#0072B2", "-"), "item-position": ("#D55E00", (0, (5, 1.5)))}
WEIGHT_ESTIMATORS = {"joint": "ips", "item-position": "ips-item"}


def draw(weights: pd.DataFrame, estimates: pd.DataFrame | None) -> Figure:
    """Histograms on a logarithmic axis, one panel a source and policy, joint and item-position weights over each other.

    Args:
        weights: The table of weights; bins without finite edges (weights of zero) are left to the table beside.
        estimates: For the effective rows in the legends.
    """
    shown = groups(weights)[:MOST_PANELS]
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    figure = blank(rows * 2.6 + 0.3)
    grid = panels(figure, rows, columns)
    for axes, (source, policy, group) in zip(grid, shown, strict=False):
        _draw_panel(axes, group, {kind: effective_rows(estimates, source, policy, kind) for kind in LOOKS})
        axes.set_title(short(f"{short(policy, 20)} · {source}", LONGEST_TITLE), pad=33)
    for axes in grid[len(shown) :]:
        axes.remove()
    for axes in grid[max(len(shown) - columns, 0) : len(shown)]:
        axes.set_xlabel("importance weight (logarithmic)")
    return figure


def groups(weights: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """The panels: source, policy, rows."""
    return [
        (str(source), str(policy), rows) for (source, policy), rows in weights.groupby(["source", "policy"], sort=False)
    ]


def effective_rows(estimates: pd.DataFrame | None, source: str, policy: str, kind: str) -> tuple[float, float]:
    """Effective rows and rows of the plain estimator that uses these weights; NaN where no such estimate was made."""
    if estimates is None:
        return math.nan, math.nan
    rows = estimates[
        (estimates["source"] == source)
        & (estimates["policy"] == policy)
        & (estimates["estimator"] == WEIGHT_ESTIMATORS[kind])
    ]
    if len(rows) == 0:
        return math.nan, math.nan
    return float(rows["effective_rows"].iloc[0]), float(rows["rows"].iloc[0])


def outline(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Edges and counts of a histogram; bins the table skips are empty, not stretched.

    Args:
        rows: Bins of one kind with finite edges.

    Returns:
        Edges (B + 1,) and counts (B,).
    """
    ordered = rows.sort_values("log10_low")
    low, high, counts = (ordered[name].to_numpy() for name in ("log10_low", "log10_high", "count"))
    edges, filled = [float(low[0])], []
    for start, stop, n in zip(low, high, counts, strict=True):
        if start > edges[-1] + 1e-9:
            edges.append(float(start))
            filled.append(0.0)
        edges.append(float(stop))
        filled.append(float(n))
    return np.array(edges), np.array(filled)


def share_above(rows: pd.DataFrame, weight: float) -> float:
    """The share of weights in bins that lie wholly at or above a weight."""
    total = rows["count"].sum()
    return (
        float(rows.loc[rows["log10_low"] >= math.log10(weight) - 1e-9, "count"].sum() / total)
        if total > 0
        else math.nan
    )


def describe(weights: pd.DataFrame, estimates: pd.DataFrame | None) -> str:
    """The figure in words."""
    parts = []
    for source, policy, group in groups(weights)[:MOST_PANELS]:
        for kind, rows in group.groupby("kind", sort=False):
            effective, total = effective_rows(estimates, source, policy, str(kind))
            tail = "" if math.isnan(effective) else f", {count(effective)} effective rows of {count(total)}"
            parts.append(
                f"{policy} on {source}, {kind}: {percent(share_above(rows, 10))} of weights are 10 or more{tail}"
            )
    return f"Histograms of importance weights. {'; '.join(parts)}."


def _draw_panel(axes: Axes, group: pd.DataFrame, effective: dict[str, tuple[float, float]]) -> None:
    """One panel: a stepped outline for each kind of weight."""
    least = 0.01
    for kind, (colour, line) in LOOKS.items():
        rows = group[group["kind"] == kind]
        total = rows["count"].sum()
        rows = rows[np.isfinite(rows["log10_low"]) & np.isfinite(rows["log10_high"])]
        if len(rows) == 0 or total <= 0:
            continue
        edges, counts = outline(rows)
        rows_effective, rows_all = effective[kind]
        label = (
            kind
            if math.isnan(rows_effective)
            else f"{kind}: {count(rows_effective)} effective of {count(rows_all)} rows"
        )
        axes.stairs(
            counts / total, edges, baseline=FLOOR, color=colour, linestyle=line, linewidth=1.6, label=label, zorder=3
        )
        axes.stairs(counts / total, edges, baseline=FLOOR, color=colour, alpha=0.13, fill=True, zorder=2)
        least = min(least, 0.5 / total)
    axes.axvline(0.0, color=QUIET, linewidth=0.9, zorder=1)
    seen = group[(group["count"] > 0) & np.isfinite(group["log10_low"]) & np.isfinite(group["log10_high"])]
    if len(seen):
        axes.set_xlim(min(seen["log10_low"].min(), 0.0) - 0.3, max(seen["log10_high"].max(), 0.0) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda power, _: f"{10.0**power:,.{max(0, -round(power))}f}"))
    axes.set_yscale("log")
    axes.set_ylim(max(least, FLOOR), 1.0)
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda share, _: f"{100 * share:.{max(0, -round(math.log10(100 * share)))}f}%")
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("share of weights")
    axes.grid(axis="y")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), borderaxespad=0.0, fontsize=8, labelspacing=0.25)
