"""How cost grows with size: CPU time of a step against shoppers, candidates and slots, with the fitted lines."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.style import LEARNED_BLUE, LOGGER_GREY, blank, panels
from reports.summaries import unique

HEIGHT = 3.0


def draw(scaling: pd.DataFrame) -> Figure:
    """One panel an axis: marks are measured, the dashed line is the least-squares fit.

    Args:
        scaling: The table of scaling.
    """
    axes_names = unique(scaling["axis"])
    figure = blank(HEIGHT)
    for place, (name, axes) in enumerate(zip(axes_names, panels(figure, 1, len(axes_names)), strict=True)):
        rows = scaling[scaling["axis"] == name]
        axes.plot(rows["size"], rows["fitted"], color=LOGGER_GREY, linestyle=(0, (4, 2)), linewidth=1.4)
        axes.plot(rows["size"], rows["milliseconds"], "o", color=LEARNED_BLUE, markersize=5)
        axes.set_title(f"{name}: {rows['meaning'].iloc[0]}")
        axes.set_xlabel(str(rows["meaning"].iloc[0]))
        axes.set_ylabel("CPU milliseconds a step" if place == 0 else "")
        axes.set_ylim(bottom=0.0)
        axes.set_xlim(left=0.0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(axis="y")
    return figure


def describe(scaling: pd.DataFrame) -> str:
    """The figure in words."""
    parts = []
    for name in unique(scaling["axis"]):
        rows = scaling[scaling["axis"] == name]
        first, last = rows.iloc[0], rows.iloc[-1]
        parts.append(
            f"from {first['size']:,.0f} to {last['size']:,.0f} {first['meaning']} a step takes "
            f"{first['milliseconds']:.1f} to {last['milliseconds']:.1f} ms, R² of a line {first['r_squared']:.4f}"
        )
    return f"CPU time of a step: {'; '.join(parts)}."
