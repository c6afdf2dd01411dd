"""Every section of a page, in reading order; a section exists where its table does."""

from __future__ import annotations

import pandas as pd

from reports.folder import Run
from reports.sections.benchmark import benchmark_sections
from reports.sections.contest import contest_sections
from reports.sections.experiment import experiment_sections
from reports.sections.fit import fit_sections
from reports.sections.leaderboard import leaderboard_sections
from reports.sections.section import Section
from reports.sections.sweep import sweep_sections
from reports.style import PolicyStyle


def sections(run: Run, judged: pd.DataFrame | None, styles: dict[str, PolicyStyle]) -> list[Section]:
    """Every section that the run's tables can fill, in reading order.

    Args:
        run: The run.
        judged: The estimates as made by `summaries.with_truth`, or None.
        styles: How each policy is drawn.
    """
    cells = run.tables.get("cells")
    return [
        *experiment_sections(run, judged, styles),
        *([] if cells is None else sweep_sections(cells, styles)),
        *contest_sections(run, styles),
        *leaderboard_sections(run),
        *benchmark_sections(run),
        *fit_sections(run),
    ]
