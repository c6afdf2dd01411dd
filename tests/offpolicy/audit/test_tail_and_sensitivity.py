"""The tail of weights, and how far an estimate moves when its assumptions are bent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from offpolicy.audit.checks import tail_found
from offpolicy.audit.sensitivity import clipping, confounded, weakest_confounder
from offpolicy.audit.tail import fitted_shape, pareto_k, tail_size
from offpolicy.terms import Terms


def test_a_tail_that_one_of_the_tried_shapes_makes_exponential_has_a_shape() -> None:
    """There both the tried shape and its scale are 0, and their ratio has a limit; its neighbours are a millionth off.

    The shape moves by about a millionth with them.
    """
    m, points, tried = 25, 35, 9
    most = 1.0 / ((np.sqrt(points / (tried - 0.5)) - 1.0) / 3.0)
    assert 1.0 / most + (1.0 - np.sqrt(points / (tried - 0.5))) / 3.0 == 0.0  # the tried shape over its scale
    excess = np.concatenate([np.linspace(0.5, 1.0, 6), np.linspace(1.001, 0.95 * most, m - 7), [most]])
    near = [fitted_shape(np.append(excess[:-1], most * factor)) for factor in (1.0 - 1e-6, 1.0 + 1e-6)]
    assert min(near) < fitted_shape(excess) < max(near)
    assert max(near) - min(near) < 1e-5


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9, 1.3])
def test_the_fitted_shape_is_that_of_the_tail(shape: float) -> None:
    rng = np.random.default_rng(0)
    found = [fitted_shape(np.sort((rng.random(2_000) ** -shape - 1.0) / shape)) for _ in range(20)]
    # The fit's standard error is about (1 + k) / sqrt(2,000), at most .05; 20 fits bring it to .012.
    assert np.mean(found) == pytest.approx(shape, abs=0.04)


def test_weights_with_a_heavy_tail_are_told_from_light_ones() -> None:
    rng = np.random.default_rng(1)
    assert pareto_k(rng.random(10_000) ** -1.2) > 1.0
    assert pareto_k(rng.exponential(size=10_000)) < 0.4
    assert pareto_k(np.exp(0.5 * rng.standard_normal(10_000))) < 0.5


def test_weights_that_have_an_upper_end_have_a_shape_below_0_and_it_is_told() -> None:
    """Uniform weights are generalised Pareto of shape -1; the prior of ten points in 300 draws that to -.95."""
    k = pareto_k(np.random.default_rng(2).random(10_000))
    assert k == pytest.approx(-0.95, abs=0.2)  # ten seeds lay between -.99 and -.81
    assert tail_found(k).outcome == "passed"
    assert "they have an upper end" in tail_found(k).said
    assert "upper end" not in tail_found(0.3).said


def test_equal_weights_and_few_weights_have_no_tail() -> None:
    assert np.isnan(pareto_k(np.ones(1_000)))
    assert np.isnan(pareto_k(np.arange(50.0)))
    assert tail_size(10_000) == 300
    assert tail_size(100) == 20


def terms(seed: int = 0, n: int = 400) -> Terms:
    rng = np.random.default_rng(seed)
    return Terms(np.exp(rng.standard_normal((n, 1))), rng.random((n, 1)))


def test_bounds_under_a_confounder_are_those_of_every_corner() -> None:
    small = terms(n=8)
    w, r = small.weight[:, 0], small.reward[:, 0]
    corners = [np.array(z) for z in itertools.product((0.5, 2.0), repeat=8)]
    values = [float((z * w * r).sum() / (z * w).sum()) for z in corners]
    low, high = confounded(small, 2.0)
    assert low == pytest.approx(min(values), rel=1e-12)
    assert high == pytest.approx(max(values), rel=1e-12)


def test_no_confounder_leaves_the_estimate_alone_and_a_stronger_one_widens_the_bounds() -> None:
    made = terms()
    value = clipping(made)[0].value
    assert confounded(made, 1.0) == (pytest.approx(value), pytest.approx(value))
    narrow, wide = confounded(made, 1.2), confounded(made, 2.0)
    assert wide[0] < narrow[0] < value < narrow[1] < wide[1]


def test_the_weakest_confounder_explains_the_lift_exactly() -> None:
    made = terms()
    value = clipping(made)[0].value
    for baseline in (0.9 * value, 1.1 * value):
        gamma = weakest_confounder(made, baseline)
        low, high = confounded(made, gamma)
        assert min(abs(low - baseline), abs(high - baseline)) < 1e-9
    assert weakest_confounder(made, value) == 1.0
    assert weakest_confounder(made, -1.0) == np.inf


def test_clipping_touches_ever_more_of_the_largest_weights() -> None:
    made = clipping(terms())
    assert [one.share for one in made] == [0.0, 0.001, 0.01, 0.05]
    assert sorted((one.at for one in made), reverse=True) == [one.at for one in made]
