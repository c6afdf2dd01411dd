"""The sections of a benchmark."""

from __future__ import annotations

import pandas as pd

from reports.benchmark_tables import (
    bandits_table,
    gains_table,
    mechanisms_table,
    reading_table,
    scaling_table,
    slateq_table,
    speed_table,
)
from reports.figures import mechanisms, scaling, speed
from reports.folder import Run
from reports.long_term_tables import conduct_table, long_term_table
from reports.sections.section import Section, picture


def benchmark_sections(run: Run) -> list[Section]:
    """Speed beside the peers, what mechanisms cost, how cost grows, how queries are read: what the tables can fill."""
    tables, found = run.tables, []
    if "speed" in tables:
        found.append(_speed(tables["speed"]))
    if "mechanisms" in tables:
        found.append(_mechanisms(tables["mechanisms"]))
    if "bandits" in tables:
        found.append(_bandits(tables["bandits"]))
    if "slateq" in tables:
        found.append(_slateq(tables["slateq"]))
    if "long_term" in tables:
        found.append(_long_term(tables["long_term"]))
    if "scaling" in tables:
        found.append(_scaling(tables["scaling"]))
    if "reading" in tables:
        found.append(_reading(tables["reading"]))
    if "gains" in tables:
        found.append(_gains(tables["gains"]))
    return found


def _speed(table: pd.DataFrame) -> Section:
    return Section(
        "speed",
        "Speed beside the peers",
        "Rates per CPU-second on one core of this machine. Peers were measured elsewhere: read ratios as scales.",
        None
        if not len(speed.beside_peers(table))
        else picture(
            "speed",
            lambda: speed.draw(table),
            speed.describe(table),
            "Each bar says how many times as fast the measurement is as the peer's figure; the axis is logarithmic.",
        ),
        (speed_table(table),),
    )


def _mechanisms(table: pd.DataFrame) -> Section:
    return Section(
        "mechanisms",
        "What each mechanism costs",
        "CPU time a search, with one mechanism alone switched on in the default world, less that of the default world.",
        picture(
            "mechanisms",
            lambda: mechanisms.draw(table),
            mechanisms.describe(table),
            "A bar is what the mechanism adds to a search in the default world, by each backend; below 0 is less time: "
            "noise, or shorter lives.",
        ),
        (),
        (mechanisms_table(table),),
    )


def _bandits(table: pd.DataFrame) -> Section:
    return Section(
        "bandits",
        "Bandits on published test beds",
        "Cumulative regret, less is better: wrong choices on magic; on the wheel in percent of uniform choice.",
        None,
        (bandits_table(table),),
    )


def _slateq(table: pd.DataFrame) -> Section:
    return Section(
        "slateq",
        "SlateQ on interest evolution",
        "Minutes that a user watches; learners are named by method, slates in the target (TT top-k, GT greedy, OT "
        "optimal) and slates that are shown (TS, GS, OS). Published: Ie and others, 2019.",
        None,
        (slateq_table(table),),
    )


def _long_term(table: pd.DataFrame) -> Section:
    return Section(
        "long_term",
        "Looking further than the page",
        "Everybody who comes on day 0, until they leave or the horizon ends; all ranked greedily. Intervals are 95% "
        "t-intervals over training seeds, gains paired by seed.",
        None,
        (long_term_table(table), conduct_table(table)),
    )


def _scaling(table: pd.DataFrame) -> Section:
    return Section(
        "scaling",
        "How cost grows with size",
        "One size grows alone; the others stay as in the measurements above.",
        picture(
            "scaling",
            lambda: scaling.draw(table),
            scaling.describe(table),
            "Marks are measured, the dashed line is the least-squares line through them: marks that rose above it at "
            "the right would mean that cost grows faster than size.",
        ),
        (),
        (scaling_table(table),),
    )


def _reading(table: pd.DataFrame) -> Section:
    return Section(
        "reading",
        "How well queries are read",
        "New shoppers' first queries, read by each reader and compared with what they say as they were meant.",
        None,
        (reading_table(table, "all"),),
        (reading_table(table, "locale"), reading_table(table, "spelling")),
    )


def _gains(table: pd.DataFrame) -> Section:
    return Section(
        "gains",
        "What ranking gains from reading",
        "The same learners, trained on the same searches with and without a reader; truth is known in the market.",
        None,
        (gains_table(table),),
    )
