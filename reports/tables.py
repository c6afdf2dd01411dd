"""Tables for readers, built from the tidy tables of an experiment: rounded and named."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.figures.cells import in_words
from reports.figures.weights import effective_rows, groups, share_above
from reports.numbers import MISSING, count, decimals_for, fixed, interval, number, percent, signed
from reports.summaries import cell_summary, learning_curves, records, unique
from reports.table import MOST_ROWS, Cell, Table, column_of, cut_note, table_of
from reports.verdicts import VERDICTS


def policies_table(policies: pd.DataFrame) -> Table:
    """Policies from the best to the worst, with every measure."""
    rows = policies.sort_values("value_search", ascending=False, kind="stable")
    gaps = [
        percent(row["gap_closed"])
        + (
            f" [{percent(row['gap_low'])}, {percent(row['gap_high'])}]"
            if math.isfinite(row["gap_low"] + row["gap_high"])
            else ""
        )
        for row in records(rows)
    ]
    return table_of(
        "Policies, the best first; clicks, carts, purchases and revenue are per search",
        [
            ("policy", list(rows["policy"]), False),
            ("role", list(rows["role"]), False),
            ("value per search", column_of(rows["value_search"]), True),
            ("gap closed", gaps, True),
            ("per session", column_of(rows["value_session"]), True),
            ("per shopper", column_of(rows["value_shopper"]), True),
            ("NDCG", column_of(rows["ndcg"], 3), True),
            ("MRR", column_of(rows["mrr"], 3), True),
            ("clicks", column_of(rows["clicks"], 3), True),
            ("carts", column_of(rows["carts"], 3), True),
            ("purchases", column_of(rows["purchases"], 3), True),
            ("revenue", column_of(rows["revenue"], 3), True),
        ],
        "policies",
    )


def learning_table(learning: pd.DataFrame) -> Table:
    """Where each policy started and ended."""
    curves = learning_curves(learning)
    ends = [float(curve.mean[-1]) for curve in curves]
    decimals = decimals_for(ends)
    logger = learning.groupby("policy")["logger_value"].mean()
    return table_of(
        "Value per search before the first and after the last search learned from",
        [
            ("policy", [curve.policy for curve in curves], False),
            ("searches", [count(float(curve.searches[-1])) for curve in curves], True),
            ("seeds", [str(curve.n_seeds) for curve in curves], True),
            ("at the start", [fixed(float(curve.mean[0]), decimals) for curve in curves], True),
            ("at the end", [fixed(end, decimals) for end in ends], True),
            ("95% over seeds", [interval(float(c.low[-1]), float(c.high[-1]), decimals) for c in curves], True),
            ("over the logger", [signed(float(c.mean[-1]) - float(logger[c.policy]), decimals) for c in curves], True),
        ],
        "learning",
    )


def estimates_tables(estimates: pd.DataFrame) -> tuple[Table, ...]:
    """One table of estimates for everything that was estimated."""
    return tuple(_estimates_table(of_one) for _, of_one in estimates.groupby("estimand", sort=False))


def _estimates_table(estimates: pd.DataFrame) -> Table:
    """Estimates of one thing, with intervals, evidence and verdicts; the truth where there is one."""
    decimals = decimals_for([*estimates["value"], *estimates["truth"]])
    lines = records(estimates)
    columns: list[tuple[str, Sequence[str | Cell], bool]] = []
    if estimates["source"].nunique() > 1:
        columns.append(("log", list(estimates["source"]), False))
    columns += [("policy", list(estimates["policy"]), False), ("estimator", list(estimates["estimator"]), False)]
    columns.append(("verdict", [Cell(str(word), VERDICTS[word]) for word in estimates["verdict"]], False))
    columns.append(("estimate", [fixed(row["value"], decimals) for row in lines], True))
    columns.append((level_name(estimates), [interval(row["low"], row["high"], decimals) for row in lines], True))
    if estimates["interval"].nunique() > 1:
        columns.append(("interval by", list(estimates["interval"]), False))
    if estimates["truth"].notna().any():
        columns.append(("truth", [fixed(row["truth"], decimals) for row in lines], True))
    columns += [
        ("effective rows", [count(row["effective_rows"]) for row in lines], True),
        ("effective positives", [count(row["effective_positives"]) for row in lines], True),
        ("lift over logger", [signed(row["lift"], decimals) for row in lines], True),
        ("its interval", [interval(row["lift_low"], row["lift_high"], decimals) for row in lines], True),
    ]
    return table_of(f"Estimates of the {estimates['estimand'].iloc[0]}", columns, "estimates")


def diagnostics_table(estimates: pd.DataFrame) -> Table:
    """What the verdicts rest on."""
    return table_of(
        "Diagnostics of the weights behind each estimate",
        [
            ("log", list(estimates["source"]), False),
            ("policy", list(estimates["policy"]), False),
            ("estimator", list(estimates["estimator"]), False),
            ("rows", [count(value) for value in estimates["rows"]], True),
            ("clustered by", list(estimates["cluster"]), False),
            ("mean weight", [fixed(value, 4) for value in estimates["mean_weight"]], True),
            ("z of mean weight", [fixed(value, 2) for value in estimates["mean_weight_z"]], True),
            ("largest weight's share", [fixed(value, 4) for value in estimates["max_weight_share"]], True),
            ("standard error", column_of(estimates["stderr"], 2), True),
        ],
        "estimates",
    )


def reasons_table(estimates: pd.DataFrame) -> Table:
    """Why an estimate is not trusted, for each that is not."""
    doubted = estimates[estimates["verdict"] != "trust"]
    return table_of(
        "Why an estimate is not trusted",
        [
            ("log", list(doubted["source"]), False),
            ("policy", list(doubted["policy"]), False),
            ("estimator", list(doubted["estimator"]), False),
            ("verdict", [Cell(str(word), VERDICTS[word]) for word in doubted["verdict"]], False),
            ("reasons", list(doubted["reasons"]), False),
        ],
        "estimates",
    )


def verdict_matrix(estimates: pd.DataFrame) -> Table:
    """One line a log and policy, one column an estimator: what may be believed, at a glance."""
    estimators = unique(estimates["estimator"])
    rows = []
    for keys, group in estimates.groupby(["source", "policy"], sort=False):
        words = dict(zip(group["estimator"], group["verdict"], strict=True))
        cells = [Cell(words[name], VERDICTS[words[name]]) if name in words else Cell("") for name in estimators]
        rows.append((Cell(str(keys[0])), Cell(str(keys[1])), *cells))
    shown = tuple(rows[:MOST_ROWS])
    return Table(
        "Verdicts by log, policy and estimator",
        ("log", "policy", *estimators),
        (False,) * (len(estimators) + 2),
        shown,
        cut_note(len(rows), "estimates"),
    )


def truth_table(truth: pd.DataFrame) -> Table:
    """True values of every policy, for each estimand.

    "twins save": how many times as many shoppers the difference would need if each policy met others.
    """
    decimals = decimals_for(truth["value"])
    return table_of(
        "The truth by estimand",
        [
            ("policy", list(truth["policy"]), False),
            ("estimand", list(truth["estimand"]), False),
            ("truth", [fixed(value, decimals) for value in truth["value"]], True),
            ("standard error", column_of(truth["stderr"], 2), True),
            ("over the logger", [signed(value, decimals) for value in truth["lift"]], True),
            ("its standard error", column_of(truth["lift_stderr"], 2), True),
            ("twins save", [f"{fixed(times, 1)} x" if times > 0 else MISSING for times in truth["twins_save"]], True),
        ],
        "truth",
    )


def weights_table(weights: pd.DataFrame, estimates: pd.DataFrame | None) -> Table:
    """The tails of the weights in numbers."""
    rows = []
    for source, policy, group in groups(weights):
        for kind, bins in group.groupby("kind", sort=False):
            effective, total = effective_rows(estimates, source, policy, str(kind))
            largest = bins.loc[bins["count"] > 0, "log10_high"].max()
            rows.append(
                (source, policy, str(kind), percent(1 - share_above(bins, 0.1)), percent(share_above(bins, 10)),
                 "–" if math.isnan(largest) else number(10.0**largest, 2), count(effective), count(total))
            )  # fmt: skip
    names = ("log", "policy", "weights", "below 0.1", "10 or more", "largest, at most", "effective rows", "rows")
    columns = [(name, [row[place] for row in rows], place > 2) for place, name in enumerate(names)]
    return table_of("Weights", columns, "weights")


def segments_table(segments: pd.DataFrame) -> Table:
    """Values by segment."""
    decimals = decimals_for(segments["value"])
    return table_of(
        "Value per search by segment",
        [
            ("segment", list(segments["segment"]), False),
            ("policy", list(segments["policy"]), False),
            ("value per search", [fixed(value, decimals) for value in segments["value"]], True),
            ("95%", _intervals(segments, decimals), True),
            ("searches", [count(value) for value in segments["n"]], True),
        ],
        "segments",
    )


def cells_table(cells: pd.DataFrame, metric: str) -> Table:
    """A metric over scenarios and policies."""
    summary = cell_summary(cells[cells["metric"] == metric])
    decimals = decimals_for(summary["mean"])
    return table_of(
        f"{in_words(metric)}: mean over seeds",
        [
            ("scenario", list(summary["scenario"]), False),
            ("policy", list(summary["policy"]), False),
            ("mean", [fixed(value, decimals) for value in summary["mean"]], True),
            ("95% over seeds", _intervals(summary, decimals), True),
            ("seeds", [str(value) for value in summary["seeds"]], True),
        ],
        "cells",
    )


def level_name(estimates: pd.DataFrame) -> str:
    """The heading of intervals, with their level where all share one."""
    levels, rules = estimates["level"].dropna().unique(), [rule for rule in estimates["interval"].unique() if rule]
    named = f"interval ({rules[0]})" if len(rules) == 1 and rules[0] != "t" else "interval"
    return f"{100 * levels[0]:g}% {named}" if len(levels) == 1 else named


def _intervals(rows: pd.DataFrame, decimals: int) -> list[str]:
    """The columns `low` and `high` as intervals."""
    return [interval(low, high, decimals) for low, high in zip(rows["low"], rows["high"], strict=True)]
