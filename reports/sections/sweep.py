"""The sections of a sweep: one a metric."""

from __future__ import annotations

import pandas as pd

from reports.figures import cells
from reports.sections.section import Section, cut, picture
from reports.style import PolicyStyle
from reports.summaries import unique
from reports.tables import cells_table


def sweep_sections(table: pd.DataFrame, styles: dict[str, PolicyStyle]) -> list[Section]:
    """One section a metric, for the first few metrics; the others as tables in the last."""
    found = []
    metrics = unique(table["metric"])
    for place, metric in enumerate(metrics[: cells.MOST_METRICS]):
        others = metrics[cells.MOST_METRICS :] if place == cells.MOST_METRICS - 1 else []
        found.append(
            Section(
                f"cells-{place}",
                f"Every scenario: {cells.in_words(metric)}",
                "The same policies in every scenario of the sweep, with fresh seeds.",
                picture(
                    f"cells-{place}",
                    lambda metric=metric: cells.draw(table, metric, styles),  # type: ignore[misc]
                    cells.describe(table, metric),
                    "Faint dots are seeds, marks their means, lines 95% t-intervals over seeds; all panels share "
                    "one scale." + cut(table["scenario"].nunique(), cells.MOST_SCENARIOS, "scenarios"),
                ),
                (),
                (cells_table(table, metric), *(cells_table(table, other) for other in others)),
            )
        )
    return found
