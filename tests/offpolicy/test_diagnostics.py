"""Diagnostics on cases that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offpolicy.diagnostics import diagnose, disagreement
from offpolicy.inference import Clusters
from offpolicy.statistics import Scores
from offpolicy.terms import Terms


def own(n_rows: int) -> Clusters:
    return Clusters(None, n_rows, n_rows)


def test_equal_weights_count_every_row_and_every_positive_once() -> None:
    reward = np.array([[1.0], [0.0], [1.0], [0.0]])
    seen = diagnose(Terms(np.ones((4, 1)), reward), own(4))
    assert (seen.effective_rows, seen.effective_positives) == (4.0, 2.0)
    assert (seen.mean_weight, seen.mean_weight_z, seen.max_weight_share) == (1.0, 0.0, 0.25)


def test_one_heavy_row_leaves_hardly_more_than_one_effective_row() -> None:
    weight = np.array([[97.0], [1.0], [1.0], [1.0]])
    seen = diagnose(Terms(weight, np.ones((4, 1))), own(4))
    assert seen.effective_rows == pytest.approx(100.0**2 / (97.0**2 + 3.0))
    assert seen.effective_positives == seen.effective_rows
    assert seen.max_weight_share == 0.97


def test_item_position_weights_keep_the_unit_of_rows() -> None:
    seen = diagnose(Terms(np.ones((10, 4)), np.eye(10, 4)), own(10))
    assert seen.effective_rows == 10.0
    assert seen.effective_positives == 4.0
    assert seen.max_weight_share == pytest.approx(0.1)


def test_the_z_of_the_mean_weight_counts_clusters() -> None:
    weight = np.array([[1.5], [1.5], [1.1], [1.1]])
    seen = diagnose(Terms(weight, np.ones((4, 1))), Clusters(np.array([0, 0, 1, 1]), 2, 2))
    # cluster sums of w - 1.3 are +.4 and -.4; se = sqrt(2/1 * .32) / 4 = .2; z = .3 / .2
    assert seen.mean_weight_z == pytest.approx(1.5)


def test_nothing_rewarded_and_nothing_supported_are_zeros_and_said() -> None:
    nothing = diagnose(Terms(np.zeros((3, 2)), np.zeros((3, 2))), own(3))
    assert (nothing.effective_rows, nothing.effective_positives, nothing.mean_weight) == (0.0, 0.0, 0.0)
    assert nothing.mean_weight_z == -math.inf
    assert math.isnan(nothing.max_weight_share)
    assert nothing.unsupported == 2
    half = diagnose(Terms(np.array([[0.0, 2.0], [0.0, 1.0]]), np.zeros((2, 2))), own(2))
    assert half.unsupported == 1


@pytest.mark.parametrize("size", [1e-250, 1e130])
def test_weights_of_any_size_neither_overflow_nor_vanish(size: float) -> None:
    seen = diagnose(Terms(np.array([[size], [size], [1e-6 * size]]), np.ones((3, 1))), own(3))
    assert seen.effective_rows == pytest.approx(2.0, rel=1e-5)


def test_estimates_that_are_equal_row_by_row_do_not_disagree() -> None:
    scores = Scores(0.5, np.array([0.1, -0.1, 0.2, -0.2]))
    assert disagreement(scores, scores, own(4)) == 0.0


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e9])
def test_a_contradiction_is_one_in_any_unit_and_rounding_is_none(unit: float) -> None:
    noise = np.random.default_rng(0).standard_normal((2, 400))
    one = Scores(2.0 * unit, unit * noise[0])
    other = Scores(2.3 * unit, unit * (noise[0] + noise[1]))  # six standard errors of their difference
    assert disagreement(one, other, own(400)) == pytest.approx(-6.0, rel=0.2)
    rounded = Scores(one.value * (1.0 + 1e-15), one.influence * (1.0 + 1e-16 * noise[1]))
    assert disagreement(one, rounded, own(400)) == 0.0
