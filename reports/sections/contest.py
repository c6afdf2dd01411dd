"""The sections of a contest: the gap closed, who beats whom, and where somebody does not."""

from __future__ import annotations

import pandas as pd

from reports.contest_tables import gaps_table, matrix_table, misses_table, pairs_table, worlds_table
from reports.figures import contest
from reports.folder import Run
from reports.sections.section import Section, cut, picture
from reports.style import PolicyStyle
from reports.verdicts import OUTCOMES


def contest_sections(run: Run, styles: dict[str, PolicyStyle]) -> list[Section]:
    """What the run's tables can fill."""
    tables, found = run.tables, []
    if {"contest_gaps", "contest_worlds"} <= tables.keys():
        found.append(_gaps(tables["contest_gaps"], tables["contest_worlds"], styles))
    if "contest_pairs" in tables:
        found.append(_pairs(tables["contest_pairs"]))
    return found


def _gaps(gaps: pd.DataFrame, worlds: pd.DataFrame, styles: dict[str, PolicyStyle]) -> Section:
    return Section(
        "gaps",
        "How far everybody gets, world by world",
        "From the logger as it runs (0%) to the best ranking on public information (100%).",
        picture(
            "gaps",
            lambda: contest.draw(gaps, styles),
            contest.describe(gaps),
            "Filled marks are policies that always show their best page, hollow ones those that explore as registered; "
            "lines are 95% t-intervals over training seeds, often shorter than the mark. The dashed line is the "
            "logger, the solid one the best public ranking; an arrow points to what lies further left."
            + cut(worlds["world"].nunique(), contest.MOST_WORLDS, "worlds"),
        ),
        (worlds_table(worlds),),
        (gaps_table(gaps),),
    )


def _pairs(pairs: pd.DataFrame) -> Section:
    greedy = pairs[pairs["play"] == contest.GREEDY]
    misses = greedy[greedy["verdict"] != OUTCOMES["better"].word]
    explored = pairs[pairs["play"] != contest.GREEDY]
    return Section(
        "pairs",
        "Who beats whom",
        "Differences under the same training seeds, in value per search; both played greedily.",
        None,
        (matrix_table(greedy), *((misses_table(misses),) if len(misses) else ())),
        (
            pairs_table(greedy, "Paired differences, both played greedily"),
            *((pairs_table(explored, "Paired differences, both exploring as registered"),) if len(explored) else ()),
        ),
    )
