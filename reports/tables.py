"""Tables for readers, built from the tidy tables of a run: rounded, named, at most as long as a page can bear."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.figures.cells import in_words
from reports.figures.weights import effective_rows, groups, share_above
from reports.numbers import MISSING, count, decimals_for, fixed, interval, number, percent, signed
from reports.summaries import cell_summary, learning_curves, records, unique
from reports.verdicts import VERDICTS, Verdict

MOST_ROWS = 120


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and the verdict it shows, if it is one."""

    text: str
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Table:
    """A table as it is shown.

    Attributes:
        caption: What it holds.
        columns: Headings.
        is_number: Which columns stand to the right.
        rows: The cells.
        note: What was left out, or an empty string.
    """

    caption: str
    columns: tuple[str, ...]
    is_number: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


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
            ("value per search", _column(rows["value_search"]), True),
            ("gap closed", gaps, True),
            ("per session", _column(rows["value_session"]), True),
            ("per shopper", _column(rows["value_shopper"]), True),
            ("NDCG", _column(rows["ndcg"], 3), True),
            ("MRR", _column(rows["mrr"], 3), True),
            ("clicks", _column(rows["clicks"], 3), True),
            ("carts", _column(rows["carts"], 3), True),
            ("purchases", _column(rows["purchases"], 3), True),
            ("revenue", _column(rows["revenue"], 3), True),
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


def estimates_table(estimates: pd.DataFrame) -> Table:
    """Estimates with intervals, evidence and verdicts; the truth where there is one."""
    decimals = decimals_for([*estimates["value"], *estimates["truth"]])
    lines = records(estimates)
    columns: list[tuple[str, Sequence[str | Cell], bool]] = []
    if estimates["source"].nunique() > 1:
        columns.append(("log", list(estimates["source"]), False))
    columns += [("policy", list(estimates["policy"]), False), ("estimator", list(estimates["estimator"]), False)]
    if estimates["estimand"].nunique() > 1:
        columns.append(("estimand", list(estimates["estimand"]), False))
    columns.append(("verdict", [Cell(str(word), VERDICTS[word]) for word in estimates["verdict"]], False))
    columns.append(("estimate", [fixed(row["value"], decimals) for row in lines], True))
    columns.append((level_name(estimates), [interval(row["low"], row["high"], decimals) for row in lines], True))
    if estimates["truth"].notna().any():
        columns.append(("truth", [fixed(row["truth"], decimals) for row in lines], True))
    columns += [
        ("effective rows", [count(row["effective_rows"]) for row in lines], True),
        ("effective positives", [count(row["effective_positives"]) for row in lines], True),
        ("lift over logger", [signed(row["lift"], decimals) for row in lines], True),
        ("its interval", [interval(row["lift_low"], row["lift_high"], decimals) for row in lines], True),
    ]
    caption = "Estimates"
    if estimates["estimand"].nunique() == 1:
        caption += f" of the {estimates['estimand'].iloc[0]}"
    return table_of(caption, columns, "estimates")


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
            ("standard error", _column(estimates["stderr"], 2), True),
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
    for keys, group in estimates.groupby(["source", "policy", "estimand"], sort=False):
        words = dict(zip(group["estimator"], group["verdict"], strict=True))
        cells = [Cell(words[name], VERDICTS[words[name]]) if name in words else Cell("") for name in estimators]
        rows.append((Cell(str(keys[0])), Cell(str(keys[1])), *cells))
    shown = tuple(rows[:MOST_ROWS])
    return Table(
        "Verdicts by log, policy and estimator",
        ("log", "policy", *estimators),
        (False,) * (len(estimators) + 2),
        shown,
        _cut_note(len(rows), "estimates"),
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
            ("standard error", _column(truth["stderr"], 2), True),
            ("over the logger", [signed(value, decimals) for value in truth["lift"]], True),
            ("its standard error", _column(truth["lift_stderr"], 2), True),
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


def speed_table(speed: pd.DataFrame) -> Table:
    """Rates and other measurements, with the peer's figure where there is one."""
    return table_of(
        "Measurements, and the peer's figure where there is one",
        [
            ("measurement", list(speed["name"]), False),
            ("value", [number(value) for value in speed["value"]], True),
            ("unit", list(speed["unit"]), False),
            ("peer", list(speed["peer"]), False),
            ("peer's figure", [number(value) for value in speed["peer_value"]], True),
            ("ratio", [number(value, 3) for value in speed["ratio"]], True),
        ],
        "speed",
    )


def mechanisms_table(mechanisms: pd.DataFrame) -> Table:
    """What each mechanism adds to the CPU time of a search, by backend."""
    return table_of(
        "CPU time of a search with each mechanism alone on",
        [
            ("mechanism", list(mechanisms["mechanism"]), False),
            ("backend", list(mechanisms["backend"]), False),
            ("microseconds", [fixed(value, 2) for value in mechanisms["microseconds"]], True),
            ("added", [fixed(value, 2) for value in mechanisms["added"]], True),
            ("share added", [f"{100 * value:.0f}%" for value in mechanisms["share"]], True),
        ],
        "mechanisms",
    )


def bandits_table(bandits: pd.DataFrame) -> Table:
    """Regret on published test beds beside what others report."""
    return table_of(
        "Regret of bandits on published test beds",
        [
            ("bed", list(bandits["bed"]), False),
            ("policy", list(bandits["policy"]), False),
            ("rounds", [number(value) for value in bandits["rounds"]], True),
            ("runs", [number(value) for value in bandits["runs"]], True),
            ("regret", [fixed(value, 1) for value in bandits["regret"]], True),
            ("standard error", [fixed(value, 1) for value in bandits["error"]], True),
            ("published", [number(value) for value in bandits["published"]], True),
            ("by", list(bandits["by"]), False),
        ],
        "bandits",
    )


def slateq_table(slateq: pd.DataFrame) -> Table:
    """Returns of SlateQ's variants beside the paper's."""
    return table_of(
        "SlateQ on interest evolution",
        [
            ("ranked by", list(slateq["row"]), False),
            ("seeds", [number(value) for value in slateq["seeds"]], True),
            ("minutes", [fixed(value, 1) for value in slateq["value"]], True),
            ("low", [fixed(value, 1) for value in slateq["low"]], True),
            ("high", [fixed(value, 1) for value in slateq["high"]], True),
            ("over myopic", [fixed(value, 1) for value in slateq["gain"]], True),
            ("gain low", [fixed(value, 1) for value in slateq["gain_low"]], True),
            ("gain high", [fixed(value, 1) for value in slateq["gain_high"]], True),
            ("published", [fixed(value, 1) for value in slateq["published"]], True),
            ("CPU s of training", [fixed(value, 0) for value in slateq["seconds"]], True),
        ],
        "slateq",
    )


def reading_table(reading: pd.DataFrame, by: str) -> Table:
    """How many queries each reader reads right, by rate of misspelling and group: a column for each kind of term."""
    of_kind = reading[reading["by"] == by]
    terms = unique(of_kind["term"])
    cells = {
        (row["misspelling_rate"], row["group"], row["reader"], row["term"]): f"{row['value']:.3f} ± {row['stderr']:.3f}"
        for row in records(of_kind)
    }
    keys = list(dict.fromkeys((rate, group, reader) for rate, group, reader, _ in cells))
    return table_of(
        "Share of queries that are read right, silence included, ± standard error by shopper",
        [
            ("misspelling rate", [number(rate) for rate, _, _ in keys], True),
            (by, [str(group) for _, group, _ in keys], False),
            ("reader", [str(reader) for _, _, reader in keys], False),
            *((str(term), [cells.get((*key, term), MISSING) for key in keys], True) for term in terms),
        ],
        "reading",
    )


def gains_table(gains: pd.DataFrame) -> Table:
    """What ranking gains from each reader."""
    return table_of(
        "True value per search over the logger's contexts, and the gain over no reader, paired by seed of training",
        [
            ("misspelling rate", [number(value) for value in gains["misspelling_rate"]], True),
            ("learner", list(gains["learner"]), False),
            ("reader", list(gains["reader"]), False),
            ("value", [fixed(value, 4) for value in gains["value"]], True),
            ("gain", [signed(value, 4) for value in gains["gain"]], True),
            (
                "95% interval",
                [f"{signed(row['gain_low'], 4)} to {signed(row['gain_high'], 4)}" for row in records(gains)],
                True,
            ),
            ("seeds", [count(value) for value in gains["seeds"]], True),
        ],
        "gains",
    )


def scaling_table(scaling: pd.DataFrame) -> Table:
    """CPU time of a step by size."""
    return table_of(
        "CPU time of a step where one size grows alone",
        [
            ("what grows", list(scaling["meaning"]), False),
            ("size", [count(value) for value in scaling["size"]], True),
            ("milliseconds", [number(value) for value in scaling["milliseconds"]], True),
            ("of the line", [number(value) for value in scaling["fitted"]], True),
            ("R squared", [fixed(value, 4) for value in scaling["r_squared"]], True),
        ],
        "scaling",
    )


def level_name(estimates: pd.DataFrame) -> str:
    """The heading of intervals, with their level where all share one."""
    levels = estimates["level"].dropna().unique()
    return f"{100 * levels[0]:g}% interval" if len(levels) == 1 else "interval"


def _intervals(rows: pd.DataFrame, decimals: int) -> list[str]:
    """The columns `low` and `high` as intervals."""
    return [interval(low, high, decimals) for low, high in zip(rows["low"], rows["high"], strict=True)]


def _column(values: pd.Series[float], digits: int = 4) -> list[str]:
    """A column of numbers with the same number of decimals."""
    decimals = decimals_for(values, digits)
    return [fixed(value, decimals) for value in values]


def table_of(caption: str, columns: Sequence[tuple[str, Sequence[str | Cell], bool]], file: str) -> Table:
    """Columns as rows of cells, cut to what a page can bear; columns without any value are left out."""
    kept = [column for column in columns if any(_text(value) not in ("", "–") for value in column[1])]
    as_cell: Callable[[str | Cell], Cell] = lambda value: Cell(value) if isinstance(value, str) else value  # noqa: E731
    rows = tuple(tuple(as_cell(value) for value in row) for row in zip(*(values for _, values, _ in kept), strict=True))
    return Table(
        caption,
        tuple(name for name, _, _ in kept),
        tuple(is_number for _, _, is_number in kept),
        rows[:MOST_ROWS],
        _cut_note(len(rows), file),
    )


def _text(value: str | Cell) -> str:
    """What a cell shows."""
    return value if isinstance(value, str) else value.text


def _cut_note(n_rows: int, file: str) -> str:
    """What a reader must know when a table was cut."""
    return "" if n_rows <= MOST_ROWS else f"The first {MOST_ROWS} of {n_rows:,} rows; all are in tables/{file}.csv."
