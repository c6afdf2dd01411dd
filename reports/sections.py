"""The sections of a page: which tables make which figure, and what a reader is told about it.

A section exists where its table does. Text that does not come from data is written here, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from reports.figures import (
    cells,
    estimates,
    learning,
    mechanisms,
    overview,
    policies,
    predictive,
    scaling,
    segments,
    speed,
    weights,
)
from reports.fitted import click_models_table, parameters_table, predictive_table
from reports.folder import Run
from reports.numbers import number
from reports.style import PolicyStyle, house, png
from reports.summaries import OWN_CONTEXTS, SIMULATED, unique
from reports.tables import (
    Table,
    cells_table,
    diagnostics_table,
    estimates_table,
    learning_table,
    mechanisms_table,
    policies_table,
    reasons_table,
    scaling_table,
    segments_table,
    speed_table,
    truth_table,
    weights_table,
)

MOST_REASONS = 12  # the others are in the table


@dataclass(frozen=True)
class Picture:
    """A figure as it stands on a page.

    Attributes:
        name: Its file is `figures/NAME.png`.
        png: The bytes.
        alt: What it shows, for whoever does not see it.
        reading: One sentence that tells how to read it.
    """

    name: str
    png: bytes
    alt: str
    reading: str


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, a figure, tables: some open, some folded away."""

    slug: str
    title: str
    lead: str
    picture: Picture | None
    tables: tuple[Table, ...]
    folded: tuple[Table, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()


def picture(name: str, draw: Callable[[], Figure], alt: str, reading: str) -> Picture:
    """Draw a figure under the house's settings."""
    with house():
        return Picture(name, png(draw()), alt, reading)


def headline(run: Run, judged: pd.DataFrame | None) -> Picture | None:
    """The overview, where there are policies to compare."""
    table = run.tables.get("policies")
    if table is None or len(table) < 2:
        return None
    known = _of_simulation(judged) if judged is not None else pd.DataFrame(columns=["policy"])
    return picture(
        "overview",
        lambda: overview.draw(table, known),
        overview.describe(table, known),
        "Left: longer is better, dashed is the logger. Right: a good estimate stands near the black line and its "
        "interval crosses it; hollow squares are numbers that the log cannot carry.",
    )


def sections(run: Run, judged: pd.DataFrame | None, styles: dict[str, PolicyStyle]) -> list[Section]:
    """Every section that the run's tables can fill, in reading order.

    Args:
        run: The run.
        judged: The estimates as made by `summaries.with_truth`, or None.
        styles: How each policy is drawn.
    """
    found = []
    tables = run.tables
    if "policies" in tables:
        found.append(_policies(tables["policies"], tables.get("truth")))
    elif "truth" in tables:
        found.append(_truth(tables["truth"]))
    if "learning" in tables:
        found.append(_learning(tables["learning"], styles))
    if judged is not None and len(_of_simulation(judged)):
        found.append(_simulated(_of_simulation(judged)))
    if judged is not None and len(_of_real(judged)):
        found.append(_real(_of_real(judged)))
    if "weights" in tables:
        found.append(_weights(tables["weights"], judged))
    if "segments" in tables:
        found.append(_segments(tables["segments"], styles))
    if "cells" in tables:
        found += _cells(tables["cells"], styles)
    if "speed" in tables:
        found.append(_speed(tables["speed"]))
    if "mechanisms" in tables:
        found.append(_mechanisms(tables["mechanisms"]))
    if "scaling" in tables:
        found.append(_scaling(tables["scaling"]))
    if "predictive" in tables:
        found.append(_predictive(tables["predictive"]))
    if "examination" in tables:
        found.append(_examination(tables["examination"], tables.get("click_models")))
    if "parameters" in tables:
        found.append(_parameters(tables["parameters"]))
    return found


def _cut(n_all: int, n_drawn: int, what: str) -> str:
    """What a reader must know when a figure does not show everything."""
    return "" if n_all <= n_drawn else f" The first {n_drawn} of {n_all} {what} are drawn; the tables have all."


def _of_simulation(judged: pd.DataFrame) -> pd.DataFrame:
    return judged[judged["source"] == SIMULATED]


def _of_real(judged: pd.DataFrame) -> pd.DataFrame:
    return judged[judged["source"] != SIMULATED]


def _policies(table: pd.DataFrame, truth: pd.DataFrame | None) -> Section:
    has_diamonds = truth is not None and bool((truth["estimand"] == OWN_CONTEXTS).any())
    return Section(
        "policies",
        "Policies side by side",
        "What each policy is truly worth in this market: computed from the market itself, not estimated from a log. "
        "The oracle sees hidden taste and only marks the ceiling." + _twins(truth),
        picture(
            "policies",
            lambda: policies.draw(table, truth),
            policies.describe(table),
            "Longer bars are better; the dashed line is the logger; at 100% a policy is as good as the best one that "
            "sees only what is public"
            + ("; diamonds are the value where each policy itself decides who stays." if has_diamonds else "."),
        ),
        (policies_table(table),),
        () if truth is None else (truth_table(truth),),
    )


def _twins(truth: pd.DataFrame | None) -> str:
    """What playing twins was good for, in a sentence."""
    if truth is None or not bool(truth["twins_save"].notna().any()):
        return ""
    return (
        " All policies met the same shoppers with the same luck: without these twins, the differences in the table "
        f"of the truth would have needed {number(float(truth['twins_save'].median()), 2)} times as many shoppers "
        "(median)."
    )


def _truth(truth: pd.DataFrame) -> Section:
    lead = "What each policy is truly worth in this market: computed from the market itself, not from a log."
    lead += _twins(truth)
    return Section("truth", "The truth", lead, None, (truth_table(truth),))


def _learning(table: pd.DataFrame, styles: dict[str, PolicyStyle]) -> Section:
    return Section(
        "learning",
        "Learning curves",
        "How much each policy's ranking is worth after it has learned from so many searches.",
        picture(
            "learning",
            lambda: learning.draw(table, styles),
            learning.describe(table),
            "Lines are means over training seeds and bands their 95% t-intervals (one seed has no band); a policy "
            "beats the logger where its whole band lies above the dashed line.",
        ),
        (learning_table(table),),
    )


def _simulated(judged: pd.DataFrame) -> Section:
    has_truth = bool(judged["truth"].notna().any())
    return Section(
        "estimates",
        "Estimates against the truth" if has_truth else "Estimates from the simulated log",
        "What each estimator says about a policy from the logger's log alone"
        + (", beside what the policy is truly worth, which only a simulation can know." if has_truth else "."),
        picture(
            "estimates",
            lambda: estimates.draw(judged),
            estimates.describe(judged),
            "Each line is an estimate with its interval, dashed is the logger's mean"
            + ("; an interval that crosses the black line holds the truth" if has_truth else "")
            + "; hollow marks are not to be used; arrows lead to numbers outside; each panel has its own scale."
            + _cut(len(estimates.groups(judged)), estimates.MOST_PANELS, "panels"),
        ),
        (estimates_table(judged),),
        (*_why(judged), diagnostics_table(judged)),
    )


def _weights(table: pd.DataFrame, judged: pd.DataFrame | None) -> Section:
    return Section(
        "weights",
        "Importance weights",
        "A weight says how much likelier the judged policy was than the logger to show what was shown. Few large "
        "weights mean that few searches decide the estimate, however long the log is.",
        picture(
            "weights",
            lambda: weights.draw(table, judged),
            weights.describe(table, judged),
            "Both axes are logarithmic; the closer the outline huddles around 1 (the grey line), the more rows of the "
            "log count, and a long tail to the right means that few rows decide."
            + _cut(len(weights.groups(table)), weights.MOST_PANELS, "panels"),
        ),
        (weights_table(table, judged),),
    )


def _real(judged: pd.DataFrame) -> Section:
    is_open_bandit = bool(judged["source"].str.lower().str.contains("open bandit").all())
    is_refused = bool((judged["verdict"] == "do not use").all())
    reasons = _reasons(judged)
    lead = "Real shoppers, real clicks. " if is_open_bandit else ""
    lead += "Nobody knows the truth here, so the diagnostics alone decide what may be believed."
    if is_refused:
        lead += " None of these numbers should be used, and saying so is the result; the reasons stand below."
    return Section(
        "real",
        "The real Open Bandit log" if is_open_bandit else "Estimates from the log",
        lead,
        picture(
            "real",
            lambda: estimates.draw(judged),
            estimates.describe(judged),
            "Each line is an estimate with its interval, dashed is what the logger earned; there is no truth to "
            "compare with; hollow marks are not to be used."
            + _cut(len(estimates.groups(judged)), estimates.MOST_PANELS, "panels"),
        ),
        (estimates_table(judged),),
        (*_why(judged), diagnostics_table(judged)) if len(reasons) > MOST_REASONS else (diagnostics_table(judged),),
        tuple(reasons[:MOST_REASONS]),
    )


def _why(judged: pd.DataFrame) -> tuple[Table, ...]:
    """The table of reasons, where any estimate needs one."""
    return (reasons_table(judged),) if (judged["verdict"] != "trust").any() else ()


def _reasons(judged: pd.DataFrame) -> list[tuple[str, str]]:
    """Each verdict short of trust with its reasons, said once for all estimators that share them."""
    found = []
    doubted = judged[judged["verdict"] != "trust"]
    for (source, policy, word, why), rows in doubted.groupby(["source", "policy", "verdict", "reasons"], sort=False):
        names = ", ".join(unique(rows["estimator"]))
        found.append((str(word), f"{source}, {policy}, {names}: {why or 'no reason was recorded'}"))
    return found


def _segments(table: pd.DataFrame, styles: dict[str, PolicyStyle]) -> Section:
    return Section(
        "segments",
        "By segment",
        "An average can hide whom a policy serves worse.",
        picture(
            "segments",
            lambda: segments.draw(table, styles),
            segments.describe(table),
            "Marks further right are better; where intervals overlap, the difference may be luck."
            + _cut(table["segment"].nunique(), segments.MOST_SEGMENTS, "segments")
            + _cut(table["policy"].nunique(), segments.MOST_POLICIES, "policies"),
        ),
        (),
        (segments_table(table),),
    )


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


def _parameters(table: pd.DataFrame) -> Section:
    lead = "What was read off the log or found by simulation. Everything else stands as in the default world."
    return Section("parameters", "The fitted world", lead, None, (parameters_table(table),))


def _cells(table: pd.DataFrame, styles: dict[str, PolicyStyle]) -> list[Section]:
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
                    "one scale." + _cut(table["scenario"].nunique(), cells.MOST_SCENARIOS, "scenarios"),
                ),
                (),
                (cells_table(table, metric), *(cells_table(table, other) for other in others)),
            )
        )
    return found
