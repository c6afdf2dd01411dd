"""Planning: the forecast comes true where tails are light, and calls itself a guess where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import Evidence, Scores, evaluate
from offpolicy.inference import Clusters, Interval, normal
from offpolicy.planning import plan, plan_of
from simenv.errors import UserError
from simenv.propensity import Conditional


def scored(column: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[Scores, Clusters, Interval]:
    scores = Scores(float(column.mean()), column - column.mean())
    by = Clusters(None, len(column), len(column))
    return scores, by, normal(scores, by, 0.95)


def test_the_forecast_number_of_searches_gives_the_asked_width() -> None:
    rng = np.random.default_rng(0)
    scores, by, now = scored(rng.exponential(size=2_000))
    found = plan(scores, by, now, (now.high - now.low) / 3.0)
    assert found.more_rows == found.more_clusters == pytest.approx(16_000, abs=1)
    assert found.caveat == ""
    _, _, then = scored(rng.exponential(size=2_000 + found.more_rows))
    # A standard error from 2,000 exponentials is known to sqrt((9 - 1) / 4 / 2000) = 3%; four of them.
    assert then.high - then.low == pytest.approx(found.width, rel=0.13)


def test_a_heavy_tail_makes_it_a_guess() -> None:
    rng = np.random.default_rng(1)
    weight = rng.lognormal(-4.5, 3.0, 20_000)
    scores, by, now = scored(weight)
    found = plan(scores, by, now, (now.high - now.low) / 2.0)
    assert found.promised < 0.8
    assert "heavy tail" in found.caveat


def test_few_clusters_make_it_a_guess_and_a_narrow_interval_needs_no_more() -> None:
    scores, by, now = scored(np.random.default_rng(2).random(100))
    assert "too few to tell" in plan(scores, by, now, 0.001).caveat
    enough = plan(scores, by, now, 1.0)
    assert (enough.more_rows, enough.more_clusters, enough.caveat) == (0, 0, "")


def test_foolish_widths_and_one_sided_intervals_are_refused() -> None:
    scores, by, now = scored(np.random.default_rng(3).random(100))
    with pytest.raises(UserError, match="width is 0; expected a number above 0"):
        plan(scores, by, now, 0)
    with pytest.raises(UserError, match="no end on one side"):
        plan(scores, by, Interval(0.5, 0.1, 0.3, float("inf")), 0.1)


def test_an_estimate_whose_strength_was_chosen_has_a_plan_too() -> None:
    rng = np.random.default_rng(7)
    even = Conditional(np.full((2_000, 1), np.log(0.5)))
    reward = (rng.random((2_000, 1)) < 0.3).astype(np.float64)
    evidence = Evidence(reward=reward, logger=even, target=even, cluster=np.arange(2_000))
    record = evaluate(evidence, ["clipped-ips:slope"])[0].record()
    made = plan_of(evidence, record, 0.01)
    assert made["more_rows"] is not None
    assert int(made["more_rows"]) > 0
