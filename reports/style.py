"""How figures look: one palette, one set of fonts, colour always doubled by a line style and a marker.

Colours are Okabe and Ito's (distinguishable with any colour vision). Figures are made with matplotlib's object API; the
settings hold only inside `house`, and start from matplotlib's defaults, so nobody's own settings change the bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 150
WIDTH = 8.0  # inches: 1200 px
INK = "#22282E"
QUIET = "#6B747D"
GRID = "#E3E7EA"
LOGGER_GREY = "#6B6B6B"
BASELINE_GREY = "#A9B5BF"
LEARNED_BLUE = "#0072B2"
LONGEST_NAME = 26
LONGEST_TITLE = 38

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
Line = str | tuple[float, tuple[float, ...]]
LINES: tuple[Line, ...] = ("-", (0, (6, 2)), "-.", (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "D", "^", "v", "P", "X", "*")

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 0.7,
}


@dataclass(frozen=True)
class PolicyStyle:
    """How one policy is drawn in every figure of a page."""

    colour: str
    line: Line
    marker: str


@contextmanager
def house() -> Iterator[None]:
    """The settings every figure is made and saved under."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def policy_styles(names: Iterable[str], policies: pd.DataFrame | None) -> dict[str, PolicyStyle]:
    """One style a policy: grey for the logger and baselines, black for the oracle, palette colours for the others.

    Args:
        names: Every policy any table names, in order.
        policies: The table that knows roles, if there is one.
    """
    roles = {} if policies is None else dict(zip(policies["policy"], policies["role"], strict=True))
    styles: dict[str, PolicyStyle] = {}
    n_coloured = 0
    for name in names:
        role = roles.get(name, "learned")
        if role == "logger":
            styles[name] = PolicyStyle(LOGGER_GREY, (0, (4, 2)), "s")
        elif role == "oracle":
            styles[name] = PolicyStyle("#000000", (0, (1, 1.5)), "*")
        elif role == "baseline":
            styles[name] = PolicyStyle(BASELINE_GREY, "-.", "d")
        else:
            turn = n_coloured // len(PALETTE)
            styles[name] = PolicyStyle(
                PALETTE[n_coloured % len(PALETTE)],
                LINES[(n_coloured + turn) % len(LINES)],
                MARKERS[(n_coloured + turn) % len(MARKERS)],
            )
            n_coloured += 1
    return styles


def blank(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(figure: Figure, rows: int, columns: int) -> list[Axes]:
    """A grid of panels, read left to right and top to bottom."""
    grid = figure.subplots(rows, columns, squeeze=False)
    return [axes for row in grid for axes in row]


def png(figure: Figure) -> bytes:
    """The figure as PNG, without dates or versions inside."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that fits beside an axis; the table beside the figure has it whole."""
    return name if len(name) <= longest else f"{name[: longest - 9]}…{name[-8:]}"


def spread(positions: list[float], gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Move labels apart until none is nearer than `gap` to the next, in their order and inside where possible.

    Args:
        positions: Where each label would like to stand (axes fraction).
        gap: The least distance.
        low: The lowest place allowed.
        high: The highest place allowed.
    """
    order = np.argsort(positions, kind="stable")
    placed = np.clip(np.asarray(positions, dtype=float)[order], low, high)
    for index in range(1, len(placed)):
        placed[index] = max(placed[index], placed[index - 1] + gap)
    excess = placed[-1] - high if len(placed) else 0.0
    if excess > 0:
        placed[-1] = high
        for index in range(len(placed) - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - gap)
    answer = np.empty(len(placed))
    answer[order] = placed
    return [float(value) for value in answer]
