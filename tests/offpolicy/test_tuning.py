"""SLOPE: grids go from the least biased to the most, intervals decide, and what was tuned says so."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Evidence, estimator, evaluate
from offpolicy.estimate import values
from offpolicy.estimators import at_strength
from offpolicy.inference import clusters
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.tuning import Candidate, choose_by_slope, slope_candidates, tuned
from simenv.errors import UserError

RESHAPING = [one for one in ESTIMATORS.values() if one.strength is not None and one.strength.remake is None]
TUNABLE = [one.name for one in RESHAPING]


def heavy(n_rows: int, seed: int) -> tuple[Evidence, float]:
    """A logger that goes where the target goes in one row of a hundred, clicks of .2 or .6; and the true value."""
    rng = np.random.default_rng(seed)
    logger, target = np.array([0.79, 0.2, 0.01]), np.array([0.1, 0.2, 0.7])
    rate = np.array([0.2, 0.6, 0.3])
    action = rng.choice(3, n_rows, p=logger)
    log = SingleActionLog(
        action=action,
        reward=rng.random(n_rows) < rate[action],
        propensity=np.tile(logger, (n_rows, 1)),
        cluster=np.arange(n_rows),
    )
    model = np.tile([0.25, 0.5, 0.35], (n_rows, 1))
    return evidence_of(log, np.tile(target, (n_rows, 1)), model), float(target @ rate)


@pytest.mark.parametrize("name", TUNABLE)
def test_every_grid_goes_from_the_least_biased_to_the_most(name: str) -> None:
    # whatever rewards are, |bias| is at most the mean of |reshaped weight - weight| times their range
    strength = ESTIMATORS[name].strength
    assert strength is not None
    weight = np.geomspace(1e-3, 1e4, 200)
    away = [np.abs(strength.reshape(weight, at) - weight) for at in (strength.none, *strength.grid)]
    assert (away[0] == 0.0).all()
    for less, more in pairwise(away):
        assert (more >= less - 1e-12 * weight).all()
    assert (away[-1] > away[1]).any()


def test_slope_stops_where_intervals_no_longer_share_a_point() -> None:
    def chosen(*points: tuple[float, float]) -> int:
        return choose_by_slope([Candidate(float(i), value, width) for i, (value, width) in enumerate(points)])

    assert chosen((1.0, 0.5), (1.2, 0.2), (1.4, 0.1)) == 2  # [0, 2], [.8, 1.6], [1.2, 1.6]
    assert chosen((1.0, 0.5), (1.2, 0.2), (1.9, 0.1)) == 1  # [1.7, 2.1] misses [.8, 1.6]
    assert chosen((1.0, 0.1), (1.5, 0.1), (1.0, 0.1)) == 0  # what lies beyond the first miss is not looked at
    assert chosen((1.0, 0.5), (1.9, 0.1), (1.55, 0.05)) == 1  # each pair but one meets; all three do not
    assert chosen((9.0, math.inf), (1.0, 0.1), (1.1, 0.1)) == 2  # an interval without a width rules nothing out
    assert chosen((1.0, math.inf), (1.0, math.inf)) == 0


def test_the_grid_starts_with_weights_as_they_are_and_too_few_rows_have_no_width() -> None:
    evidence, _ = heavy(2_000, 0)
    points = slope_candidates(ESTIMATORS["dros"], evidence, clusters(evidence))
    assert [one.at for one in points] == [math.inf, 1e6, 1e5, 1e4, 1000.0, 100.0, 10.0, 1.0]
    assert points[0].value == values(evidence, ["dr"])["dr"]
    assert math.isinf(points[0].width)  # about 20 rows carry the weight; a verdict would refuse it
    assert math.isfinite(points[-1].width)
    plenty, _ = heavy(200_000, 0)
    widths = [one.width for one in slope_candidates(ESTIMATORS["dros"], plenty, clusters(plenty))]
    assert all(math.isfinite(width) for width in widths)
    assert widths[-1] < widths[0]


def test_with_more_data_slope_takes_less_bias() -> None:
    chosen = []
    for n_rows in (2_000, 400_000):
        evidence, _ = heavy(n_rows, 0)
        chosen.append(tuned(estimator("clipped-ips:slope"), evidence, clusters(evidence)).at)
    assert chosen[0] < 10.0
    assert chosen[1] >= 100.0  # the weights are .13, 1 and 70: 100 is no reshaping


def test_tuned_is_nearer_the_truth_than_the_worse_end_of_its_grid() -> None:
    errors = []
    for seed in range(60):
        evidence, truth = heavy(3_000, seed)
        found = values(evidence, ["dros:slope", "dros:inf", "dros:1"])
        errors.append([(value - truth) ** 2 for value in found.values()])
    slope, plain, strongest = np.mean(errors, axis=0)
    assert slope < max(plain, strongest)
    # SLOPE's promise is a constant (6 in the paper's theorem) times the best error of the grid, roots of squares here
    assert np.sqrt(slope) < 6.0 * np.sqrt(min(plain, strongest))


def test_the_word_is_a_strength_of_those_that_take_one_and_nothing_is_computed_before_it_is_chosen() -> None:
    evidence, _ = heavy(2_000, 0)
    one = estimator("dros:slope")
    assert (one.name, one.tuning) == ("dros:slope", "slope")
    assert math.isnan(one.at)
    with pytest.raises(UserError, match="'dros:slope' has no strength yet"):
        one(evidence)
    with pytest.raises(UserError, match="'ips' takes no number"):
        estimator("ips:slope")
    with pytest.raises(UserError, match="or a rule that chooses it: slope"):
        estimator("dros:steep")
    with pytest.raises(UserError, match="takes no strength, so there is nothing to tune"):
        slope_candidates(ESTIMATORS["ips"], evidence, clusters(evidence))


def test_a_tuned_estimate_is_the_one_at_its_strength_and_tells_of_the_choice() -> None:
    evidence, _ = heavy(200_000, 1)
    chosen = tuned(estimator("dros:slope"), evidence, clusters(evidence))
    assert chosen.passes == 3  # a reward model, the grid, and the estimate
    told, plain = evaluate(evidence, ["dros:slope", at_strength(ESTIMATORS["dros"], chosen.at).name])
    assert told.interval == plain.interval
    assert told.estimator == "dros:slope"
    assert any(f"its strength, {chosen.at:g}, was chosen by SLOPE among 8" in reason for reason in told.verdict.reasons)
    assert not any("chosen" in reason for reason in plain.verdict.reasons)
    fixed = estimator("dros:10")
    assert tuned(fixed, evidence, clusters(evidence)) is fixed
