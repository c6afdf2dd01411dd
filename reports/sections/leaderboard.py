"""The sections of the leaderboard: the bars, coverage by bed, choosing, and every number."""

from __future__ import annotations

import pandas as pd

from reports.figures import leaderboard
from reports.folder import Run
from reports.leaderboard_tables import (
    bars_table,
    beds_table,
    chosen_table,
    estimators_table,
    scores_table,
    unflagged_table,
)
from reports.sections.section import Section, picture
from reports.table import Table


def leaderboard_sections(run: Run) -> list[Section]:
    """What the run's tables can fill."""
    tables = run.tables
    found = []
    if "leaderboard_scores" in tables:
        scores = tables["leaderboard_scores"]
        if "leaderboard_bars" in tables:
            found.append(_bars(tables["leaderboard_bars"], scores))
        beds = tables.get("leaderboard_beds")
        found.append(_coverage(scores, () if beds is None else (beds_table(beds),)))
    if "leaderboard_estimators" in tables:
        chosen = tables.get("leaderboard_chosen")
        found.append(
            Section(
                "estimators",
                "Who errs least, and what choosing costs",
                "Rank correlation and regret are of several target policies judged on one log; regret is the share of "
                "the distance from the worst to the best that choosing the highest estimate loses.",
                None,
                (
                    estimators_table(tables["leaderboard_estimators"]),
                    *(() if chosen is None else (chosen_table(chosen),)),
                ),
            )
        )
    return found


def _bars(bars: pd.DataFrame, scores: pd.DataFrame) -> Section:
    missed = unflagged_table(scores)
    return Section(
        "bars",
        "Are the verdicts right?",
        "Trust must hold the truth, and what fails must be refused.",
        picture(
            "verdicts",
            lambda: leaderboard.draw_verdicts(scores),
            leaderboard.describe_verdicts(scores),
            "Each column counts the verdicts of cells whose interval held the truth that often; left of the dashed "
            "line an estimator fails. Green there would be a broken promise. Above each column: how many.",
        ),
        (bars_table(bars), *((missed,) if missed.rows else ())),
    )


def _coverage(scores: pd.DataFrame, beds: tuple[Table, ...]) -> Section:
    return Section(
        "coverage",
        "Whose interval holds the truth, bed by bed",
        "Each mark is one target policy; those of a bed stand below each other in the order of its table.",
        picture(
            "coverage",
            lambda: leaderboard.draw(scores),
            leaderboard.describe(scores),
            "Lines are 95% binomial errors over logs. The solid line is 95%, left of the dashed one an estimator "
            "fails. Marks are the verdict of most logs: filled circles trust, triangles caution, hollow squares do not "
            "use.",
        ),
        beds,
        (scores_table(scores),),
    )
