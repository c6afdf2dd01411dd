"""Figures say what the tables say: nothing outside a panel goes unmarked, nothing is drawn that is not known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.figures import learning, overview, weights
from reports.figures.marks import draw_marks, window
from reports.style import blank, house, policy_styles, spread
from reports.summaries import with_truth


@pytest.fixture
def judged(made_up: Any) -> pd.DataFrame:
    """The estimates of one policy whose joint weights exploded."""
    rows = with_truth(made_up.estimates_rows(), made_up.truth_rows())
    return rows[(rows["source"] == "simulated") & (rows["policy"] == "linear-ts")]


def test_one_exploded_estimate_does_not_squeeze_the_others(judged: pd.DataFrame) -> None:
    view = window(judged)
    believed = judged[judged["verdict"] != "do not use"]
    assert not view.holds(1.31)
    assert view.holds(float(judged["truth"].iloc[0]))
    assert all(view.holds(float(end)) for end in [*believed["low"], *believed["high"]])
    assert view.high - view.low < 4 * float(believed["high"].max() - believed["low"].min())


def test_what_leaves_the_panel_is_written_at_its_edge(judged: pd.DataFrame) -> None:
    with house():
        axes = blank(3.0).subplots()
        draw_marks(axes, judged)
    assert any("1.31" in text.get_text() for text in axes.texts)


def test_where_nothing_may_be_believed_the_panel_shows_everything(judged: pd.DataFrame) -> None:
    calm = judged[judged["estimator"].str.endswith("-item")].assign(verdict="do not use")
    view = window(calm)
    assert all(view.holds(float(value)) for value in [*calm["low"], *calm["high"]])


@pytest.mark.parametrize("blanked", [["value"], ["low", "high"], ["truth"], ["value", "low", "high", "lift", "truth"]])
def test_estimates_that_are_not_defined_are_tolerated(judged: pd.DataFrame, blanked: list[str]) -> None:
    rows = judged.copy()
    rows[blanked] = np.nan
    with house():
        draw_marks(blank(3.0).subplots(), rows)


def test_infinite_intervals_are_tolerated(judged: pd.DataFrame) -> None:
    rows = judged.assign(low=-np.inf, high=np.inf)
    with house():
        draw_marks(blank(3.0).subplots(), rows)


def test_the_headline_shows_logger_best_baseline_learned_and_oracle(made_up: Any) -> None:
    shown = set(overview.headline_rows(made_up.policies_rows())["policy"])
    assert shown == {"lexical+popularity", "best-public", "linear-ts", "neural-linear", "ppo-slate", "oracle"}


def test_the_headline_judges_the_best_learned_policy_that_has_estimates(made_up: Any) -> None:
    estimates = with_truth(made_up.estimates_rows(), made_up.truth_rows())
    policies = made_up.policies_rows()
    assert overview.headline_policy(policies, estimates) == "neural-linear"
    assert overview.headline_policy(policies, estimates[estimates["policy"] == "ppo-slate"]) == "ppo-slate"
    assert overview.headline_policy(policies, estimates.head(0)) == ""


def test_bins_that_a_histogram_skips_are_empty() -> None:
    rows = pd.DataFrame({"log10_low": [0.0, 1.0], "log10_high": [0.5, 1.5], "count": [4.0, 2.0]})
    edges, counts = weights.outline(rows)
    assert edges.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert counts.tolist() == [4.0, 0.0, 2.0]


def test_learning_lines_differ_by_more_than_colour(made_up: Any) -> None:
    names = [f"p{place}" for place in range(20)]
    styles = policy_styles(names, None)
    assert len({(style.line, style.marker) for style in list(styles.values())[:6]}) == 6
    assert len({(style.colour, style.line, style.marker) for style in styles.values()}) == 20
    rows = pd.concat([made_up.learning_rows(6, 1).assign(policy=name) for name in names])
    with house():
        figure = learning.draw(rows, styles)
    assert {text.get_text() for text in figure.axes[0].texts} == {*names, "logger"}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_labels_keep_their_distance_their_order_and_their_panel(wished: list[float]) -> None:
    gap = 0.1
    placed = spread(wished, gap)
    order = np.argsort(wished, kind="stable")
    steps = np.diff(np.array(placed)[order])
    assert (steps >= gap - 1e-9).all()  # float64 sums of at most ten gaps
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9
