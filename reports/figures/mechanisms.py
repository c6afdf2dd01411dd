"""What each mechanism adds to the CPU time of a search, a panel a backend."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from reports.style import LEARNED_BLUE, LOGGER_GREY, blank

ROW = 0.3
MARGIN = 1.1


def alone(mechanisms: pd.DataFrame) -> pd.DataFrame:
    """The rows of one mechanism each: without the default world and the full one."""
    first, last = mechanisms["mechanism"].iloc[0], mechanisms["mechanism"].iloc[-1]
    return mechanisms[~mechanisms["mechanism"].isin([first, last])]


def draw(mechanisms: pd.DataFrame) -> Figure:
    """A bar a mechanism, in microseconds a search; the backends side by side, each on its own scale.

    Args:
        mechanisms: The table of costs, the default world first and the full one last for each backend.
    """
    rows = alone(mechanisms)
    backends, names = list(rows["backend"].unique()), list(rows["mechanism"].unique())
    figure = blank(MARGIN + ROW * len(names))
    panels = figure.subplots(1, len(backends), sharey=True, squeeze=False)[0]
    for axes, backend in zip(panels, backends, strict=True):
        own = rows[rows["backend"] == backend].set_index("mechanism").loc[names]
        places = range(len(names), 0, -1)
        axes.barh(list(places), own["added"], height=0.6, color=LEARNED_BLUE)
        for place, (added, share) in zip(places, zip(own["added"], own["share"], strict=True), strict=True):
            axes.annotate(
                f"{100 * share:+.0f}%", (max(added, 0.0), place), (4, 0), textcoords="offset points", va="center"
            )
        axes.axvline(0.0, color=LOGGER_GREY, linewidth=1.4)
        axes.set_yticks(list(places), names)
        axes.set_title(backend)
        axes.set_xlabel("microseconds added to a search")
        axes.margins(x=0.22)
        axes.grid(axis="x")
    return figure


def describe(mechanisms: pd.DataFrame) -> str:
    """The figure in words."""
    rows = alone(mechanisms)
    parts = [
        f"{name} by {backend}: {added:.2f} microseconds"
        for name, backend, added in zip(rows["mechanism"], rows["backend"], rows["added"], strict=True)
    ]
    return f"Added to a search in the default world: {'; '.join(parts)}."
