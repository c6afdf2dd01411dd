"""The headline: what each policy is worth, and whether a log could have told; one figure for a first screen."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.marks import draw_marks, mark_legend
from reports.figures.policies import draw_bars
from reports.numbers import number
from reports.style import blank, short
from reports.summaries import records
from reports.verdicts import VERDICTS

HEIGHT = 560 / 150
MOST_BARS = 9


def draw(policies: pd.DataFrame, estimates: pd.DataFrame) -> Figure:
    """Left, the value per search of each policy; right, the estimates of one learned policy against its truth.

    Args:
        policies: The table of policies.
        estimates: Simulated estimates as made by `summaries.with_truth`; where empty, the left panel stands alone.
    """
    figure = blank(HEIGHT)
    policy = headline_policy(policies, estimates)
    if policy == "":
        draw_bars(figure.subplots(), headline_rows(policies))
        return figure
    left, right = figure.subplots(1, 2, width_ratios=[1.08, 1.0])
    draw_bars(left, headline_rows(policies))
    left.set_title("What each policy is worth")
    rows = headline_estimates(estimates, policy)
    draw_marks(right, rows)
    _write_verdicts(right, rows)
    right.set_title(f"Estimates of {short(policy, 16)}")
    right.set_xlabel("value per search, estimated from the log")
    figure.legend(handles=mark_legend(rows), loc="outside lower center", ncols=5, handlelength=2.0, columnspacing=1.6)
    return figure


def headline_rows(policies: pd.DataFrame) -> pd.DataFrame:
    """The logger, the best baseline, the learned policies (the best few), the oracle."""
    by_value = policies.sort_values("value_search", ascending=False, kind="stable")
    best_baseline = by_value[by_value["role"] == "baseline"].head(1)
    learned = by_value[by_value["role"] == "learned"].head(MOST_BARS - 3)
    others = policies[policies["role"].isin(["logger", "oracle"])]
    chosen = set(best_baseline.index) | set(learned.index) | set(others.index)
    return policies.loc[sorted(chosen)]


def headline_policy(policies: pd.DataFrame, estimates: pd.DataFrame) -> str:
    """The learned policy of highest true value that has estimates, or nothing."""
    learned = policies[(policies["role"] == "learned") & policies["policy"].isin(estimates["policy"])]
    if len(learned) == 0:
        return ""
    return str(learned.sort_values("value_search", ascending=False, kind="stable")["policy"].iloc[0])


def headline_estimates(estimates: pd.DataFrame, policy: str) -> pd.DataFrame:
    """That policy's estimates of its first estimand."""
    rows = estimates[estimates["policy"] == policy]
    first: pd.DataFrame = rows[rows["estimand"] == rows["estimand"].iloc[0]]
    return first


def describe(policies: pd.DataFrame, estimates: pd.DataFrame) -> str:
    """The figure in words."""
    bars = ", ".join(f"{row['policy']} {number(row['value_search'])}" for row in records(headline_rows(policies)))
    text = f"Left: bars of the value per search of each policy: {bars}."
    policy = headline_policy(policies, estimates)
    if policy == "":
        return text.removeprefix("Left: ").capitalize()
    rows = headline_estimates(estimates, policy)
    marks = ", ".join(f"{row['estimator']} {number(row['value'])} ({row['verdict']})" for row in records(rows))
    truth = rows["truth"].iloc[0]
    return f"{text} Right: estimates of {policy} from the log against its true value {number(truth)}: {marks}."


def _write_verdicts(axes: Axes, rows: pd.DataFrame) -> None:
    """The verdict's word at the right edge of each line."""
    for place, word in enumerate(rows["verdict"]):
        axes.annotate(
            word, (1.0, place), (8, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            ha="left", va="center", fontsize=8.5, color=VERDICTS[word].colour,
        )  # fmt: skip
