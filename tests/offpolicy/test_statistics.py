"""Statistics: a mean and ratios of means, their linearisation, and the reshaping of weights."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Estimator, estimator
from offpolicy.estimators import at_strength
from offpolicy.statistics import gradient_of, mean_of, ratios_of, scores, value_of
from simenv.errors import UserError

RNG = np.random.default_rng(0)
ABOVE, BELOW, PLAIN = RNG.random((50, 3)), 0.5 + RNG.random((50, 3)), RNG.random(50)
RESHAPED = [one for one in ESTIMATORS.values() if one.strength is not None and one.strength.remake is None]


def test_the_value_from_means_is_the_value_from_rows() -> None:
    for made in (mean_of(PLAIN), ratios_of(ABOVE, BELOW), ratios_of(ABOVE, BELOW, PLAIN)):
        assert value_of(made.columns().mean(axis=0)) == pytest.approx(scores(made).value, rel=1e-14)


def test_the_influence_is_the_gradient_on_centred_columns() -> None:
    made = ratios_of(ABOVE, BELOW, PLAIN)
    columns = made.columns()
    means = columns.mean(axis=0)
    assert np.allclose(scores(made).influence, (columns - means) @ gradient_of(means), rtol=0.0, atol=1e-14)


def test_the_gradient_is_the_slope_of_the_value() -> None:
    means = ratios_of(ABOVE, BELOW, PLAIN).columns().mean(axis=0)
    step = 1e-6
    slopes = [(value_of(means + step * e) - value_of(means - step * e)) / (2 * step) for e in np.eye(len(means))]
    assert np.allclose(
        slopes, gradient_of(means), rtol=0.0, atol=1e-8
    )  # central differences err by step^2 and 1e-16/step


def test_a_ratio_over_nothing_is_not_a_number() -> None:
    made = ratios_of(np.zeros((4, 1)), np.zeros((4, 1)))
    assert np.isnan(scores(made).value)
    assert np.isnan(value_of(made.columns().mean(axis=0)))


@pytest.mark.parametrize("one", RESHAPED, ids=lambda one: one.name)
def test_reshaping_never_raises_a_weight_and_vanishes_at_its_neutral_strength(one: Estimator) -> None:
    weight = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 40)])[:, None]
    assert one.strength is not None
    for at in one.strength.grid:
        assert (one.strength.reshape(weight, at) <= np.maximum(weight, 1.0) + 1e-12).all()
    assert np.array_equal(one.strength.reshape(weight, one.strength.none), weight)


@pytest.mark.parametrize("one", RESHAPED, ids=lambda one: one.name)
def test_the_grid_goes_from_little_reshaping_to_much(one: Estimator) -> None:
    assert one.strength is not None
    grid = [one.strength.reshape(np.array([[50.0]]), at)[0, 0] for at in one.strength.grid]
    assert grid == sorted(grid, reverse=True)


def test_a_strength_is_part_of_the_name_and_is_checked() -> None:
    assert estimator("clipped-ips:30").name == "clipped-ips:30"
    assert estimator("clipped-ips:30").at == 30.0
    with pytest.raises(UserError, match="takes no number"):
        estimator("ips:3")
    for wrong in ("clipped-ips:-1", "sg-dr:1.5", "dros:much", "dros:"):
        with pytest.raises(UserError, match="expected a number from 0 to"):
            estimator(wrong)
    with pytest.raises(UserError, match="Did you mean"):
        estimator("cliped-ips:3")
    assert at_strength(estimator("dros:5"), 7.0).name == "dros:7"
