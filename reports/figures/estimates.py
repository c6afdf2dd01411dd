"""Estimates against the truth: one panel a policy and estimand, one line an estimator."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from reports.figures.marks import draw_marks, mark_legend
from reports.numbers import number
from reports.style import LONGEST_TITLE, blank, panels, short
from reports.summaries import records

MOST_PANELS = 12


def draw(estimates: pd.DataFrame) -> Figure:
    """Panels of estimates with intervals, the truth where there is one, the logger's mean.

    Args:
        estimates: As made by `summaries.with_truth`; the first `MOST_PANELS` of `groups` are drawn.
    """
    shown = groups(estimates)[:MOST_PANELS]
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    tallest = max(len(group) for _, group in shown)
    figure = blank(rows * (0.31 * tallest + 0.75) + 0.45)
    grid = panels(figure, rows, columns)
    for axes, (title, group) in zip(grid, shown, strict=False):
        draw_marks(axes, group)
        axes.set_title(short(title, LONGEST_TITLE))
    for axes in grid[len(shown) :]:
        axes.remove()
    for axes in grid[max(len(shown) - columns, 0) : len(shown)]:
        axes.set_xlabel("estimated value")
    figure.legend(
        handles=mark_legend(pd.concat([group for _, group in shown])),
        loc="outside lower center",
        ncols=5,
        columnspacing=1.6,
    )
    return figure


def groups(estimates: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The panels: a title and its rows, in the table's order. The title names only what differs between panels."""
    keys = ["source", "policy", "estimand"]
    differing = [key for key in keys if key == "policy" or estimates[key].nunique() > 1]
    found = []
    for values, rows in estimates.groupby(keys, sort=False):
        named = dict(zip(keys, values, strict=True))
        found.append((" · ".join(short(str(named[key])) for key in differing), rows))
    return found


def describe(estimates: pd.DataFrame) -> str:
    """The figure in words."""
    parts = []
    for title, rows in groups(estimates)[:MOST_PANELS]:
        marks = ", ".join(f"{row['estimator']} {number(row['value'])} ({row['verdict']})" for row in records(rows))
        truth = rows["truth"].dropna()
        parts.append(f"{title}: {f'truth {number(float(truth.iloc[0]))}; ' if len(truth) else ''}{marks}")
    return f"Estimates with intervals. {'. '.join(parts)}."
