"""The sections of an experiment and of the evaluation of a log."""

from __future__ import annotations

import pandas as pd

from reports.figures import estimates, learning, overview, policies, segments, weights
from reports.folder import Run
from reports.numbers import number
from reports.sections.evidence import audit_section, by_segment_section, quantiles_section, sensitivity_section
from reports.sections.section import Picture, Section, cut, picture
from reports.style import PolicyStyle
from reports.summaries import OWN_CONTEXTS, SIMULATED, unique
from reports.table import Table
from reports.tables import (
    diagnostics_table,
    estimates_tables,
    learning_table,
    policies_table,
    reasons_table,
    segments_table,
    truth_table,
    weights_table,
)

MOST_REASONS = 12  # the others are in the table


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
        "interval crosses it; hollow squares are numbers that the log cannot carry."
        if overview.headline_policy(table, known)
        else "Longer is better, dashed is the logger.",
    )


def experiment_sections(run: Run, judged: pd.DataFrame | None, styles: dict[str, PolicyStyle]) -> list[Section]:
    """Policies, truth, learning, estimates, weights, segments; arguments as for `reports.sections.order.sections`."""
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
    if "audit" in tables:
        found.append(audit_section(tables["audit"]))
    if "by_segment" in tables:
        found.append(by_segment_section(tables["by_segment"]))
    if "sensitivity" in tables:
        found.append(sensitivity_section(tables["sensitivity"]))
    if "quantiles" in tables:
        found.append(quantiles_section(tables["quantiles"]))
    if "segments" in tables:
        found.append(_segments(tables["segments"], styles))
    return found


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
        "The oracle sees hidden taste and marks the ceiling of a page; it does not look at who comes back, so over "
        "whole lives another policy can bring more." + _twins(truth),
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
            + cut(len(estimates.groups(judged)), estimates.MOST_PANELS, "panels"),
        ),
        estimates_tables(judged),
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
            + cut(len(weights.groups(table)), weights.MOST_PANELS, "panels"),
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
            + cut(len(estimates.groups(judged)), estimates.MOST_PANELS, "panels"),
        ),
        estimates_tables(judged),
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
            + cut(table["segment"].nunique(), segments.MOST_SEGMENTS, "segments")
            + cut(table["policy"].nunique(), segments.MOST_POLICIES, "policies"),
        ),
        (),
        (segments_table(table),),
    )
