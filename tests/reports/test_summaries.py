"""Means over seeds, curves and joins, against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.summaries import MOST_POINTS, holds_truth, learning_curves, mean_interval, thin, with_truth


def test_the_interval_over_seeds_is_students() -> None:
    mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    half = 2.7764451051977987 * math.sqrt(2.5 / 5)  # t(4) at 0.975, from published tables
    assert float(mean) == 3.0
    assert (float(low), float(high)) == pytest.approx((3 - half, 3 + half), rel=1e-12)


def test_one_seed_has_no_interval() -> None:
    mean, low, high = mean_interval(np.array([[1.0, 2.0]]))
    assert mean.tolist() == [1.0, 2.0]
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_seeds_measured_at_different_points_are_read_where_all_have_been() -> None:
    rows = [("p", 0, 0, 0.0), ("p", 0, 10, 10.0), ("p", 1, 5, 6.0), ("p", 1, 20, 21.0)]
    learning = pd.DataFrame(rows, columns=["policy", "seed", "searches", "value"])
    (curve,) = learning_curves(learning)
    assert curve.searches.tolist() == [5, 10]
    assert curve.mean.tolist() == [5.5, 10.5]
    assert curve.n_seeds == 2


def test_a_thinned_curve_keeps_its_ends(made_up: Any) -> None:
    for curve in learning_curves(made_up.learning_rows(points=2_000, seeds=2)):
        assert len(curve.searches) == MOST_POINTS
        assert (curve.searches[0], curve.searches[-1]) == (0, 100_000)
    assert thin(np.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_truth_is_joined_by_policy_and_estimand_and_only_for_simulated_logs(made_up: Any) -> None:
    estimates = made_up.estimates_rows()
    truth = pd.concat([made_up.truth_rows(), made_up.truth_rows().assign(policy="bts", estimand="row")])
    judged = with_truth(estimates, truth)
    simulated = judged["source"] == "simulated"
    assert len(judged) == len(estimates)
    assert judged.loc[simulated, "truth"].tolist() == judged.loc[simulated, "policy"].map(made_up.VALUES).tolist()
    assert judged.loc[~simulated, "truth"].isna().all()


def test_an_interval_without_ends_holds_nothing() -> None:
    table = pd.DataFrame({"low": [0.0, np.nan, 0.0], "high": [1.0, 1.0, 1.0], "truth": [0.5, 0.5, np.nan]})
    assert holds_truth(table).tolist() == [True, False, False]
