"""The sections of a world that was fitted to a log."""

from __future__ import annotations

import pandas as pd

from reports.figures import predictive, query_mix
from reports.fitted import click_models_table, parameters_table, predictive_table, query_mix_table
from reports.folder import Run
from reports.sections.section import Section, cut, picture


def fit_sections(run: Run) -> list[Section]:
    """The check, the examination curve, the parameters: those that the run's tables can fill."""
    tables, found = run.tables, []
    if "predictive" in tables:
        found.append(_predictive(tables["predictive"]))
    if "examination" in tables:
        found.append(_examination(tables["examination"], tables.get("click_models")))
    if "query_mix" in tables:
        found.append(_query_mix(tables["query_mix"]))
    if "parameters" in tables:
        found.append(_parameters(tables["parameters"]))
    return found


def _predictive(table: pd.DataFrame) -> Section:
    return Section(
        "predictive",
        "Posterior predictive check",
        "Worlds drawn from what the log leaves open, each played by as many shoppers as the log has. Where the log "
        "lies outside what they do, the fitted world is not the log's. Of sound statistics one in ten lies outside a "
        "90% interval by chance. Agreement in what was aimed at proves nothing; agreement in forecasts does not prove "
        "that a different ranking would do in the shop what it does here.",
        picture(
            "predictive",
            lambda: predictive.draw(table),
            predictive.describe(table),
            "Each grey bar is a 90% predictive interval, drawn to one width; round marks on it are imitated, diamonds "
            "and crosses beside it are not, and arrows lead further away than the figure is wide.",
        ),
        (predictive_table(table),),
    )


def _examination(table: pd.DataFrame, models: pd.DataFrame | None) -> Section:
    return Section(
        "examination",
        "How far down shoppers look",
        "Examination of the slots as a position-based model reads it, in the log and in logs of the fitted world, "
        "whichever click model that has; beside it plain click rates.",
        picture(
            "examination",
            lambda: predictive.draw_curve(table),
            predictive.describe_curve(table),
            "Marks are the log, the band is the fitted world: a mark outside the band is a slot that the world does "
            "not imitate.",
        ),
        () if models is None else (click_models_table(models),),
    )


def _query_mix(table: pd.DataFrame) -> Section:
    return Section(
        "query_mix",
        "What shoppers look for",
        "Product types by how often a dictionary reads them in the first query of a visit. The fitted share is what "
        "stands behind that: ambiguous words are told apart, favourites that a shopper comes back for are set aside, "
        "and rare types are drawn toward the default world's mix.",
        picture(
            "query_mix",
            lambda: query_mix.draw(table),
            query_mix.describe(table),
            "Marks are the log, bars are where 90% of logs of the fitted world lie: a mark off its bar is a product "
            "type that the world does not ask for as the log does."
            + cut(len(table), query_mix.MOST_CATEGORIES, "product types"),
        ),
        (),
        (query_mix_table(table),),
    )


def _parameters(table: pd.DataFrame) -> Section:
    lead = "What was read off the log or found by simulation. Everything else stands as in the default world."
    return Section("parameters", "The fitted world", lead, None, (parameters_table(table),))
