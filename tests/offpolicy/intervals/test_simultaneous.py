"""Intervals that hold at once: critical values against known ones, segments, and corrected p-values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from offpolicy import ESTIMATORS, Evidence, Scores
from offpolicy.inference import Clusters, clusters, lift, standard_error
from offpolicy.intervals.case import Asked
from offpolicy.intervals.simultaneous import by_segment, holm, p_values, share_of_level, simultaneous
from offpolicy.statistics import scores
from simenv.errors import UserError

MakeEvidence = Callable[..., Evidence]
ROWS = Clusters(None, 20_000, 20_000)


def estimates(values: list[float], correlation: float = 0.0, n: int = 20_000, seed: int = 0) -> list[Scores]:
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal(n)
    made = []
    for value in values:
        own = np.sqrt(1.0 - correlation) * rng.standard_normal(n) + np.sqrt(correlation) * shared
        made.append(Scores(value, own - own.mean()))
    return made


def test_the_critical_value_is_known_for_one_for_many_and_for_copies() -> None:
    # 20,000 draws: a 95% quantile has a standard error of .0154 / density, .012 for one and .01 for ten.
    one = simultaneous(estimates([0.0]), ROWS, Asked())
    assert one.critical == pytest.approx(1.960, abs=0.05)
    ten = simultaneous(estimates([0.0] * 10), ROWS, Asked())
    assert ten.critical == pytest.approx(stats.norm.ppf(0.5 + 0.95**0.1 / 2), abs=0.05)  # 2.80: independent
    copies = simultaneous(estimates([0.0] * 10, correlation=1.0), ROWS, Asked())
    assert copies.critical == pytest.approx(1.960, abs=0.05)
    few = Clusters(None, 6, 6)
    assert simultaneous(estimates([0.0], n=6), few, Asked()).critical == pytest.approx(stats.t.ppf(0.975, 5), abs=0.12)


@pytest.mark.slow
def test_the_best_of_five_equal_policies_is_covered_only_by_simultaneous_intervals() -> None:
    plain = at_once = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal(5) / np.sqrt(500)
        made = estimates(values.tolist(), n=500, seed=seed)
        best = int(values.argmax())
        found = simultaneous(made, Clusters(None, 500, 500), Asked(seed=seed))
        at_once += found.intervals[best].low <= 0.0 <= found.intervals[best].high
        plain += abs(values[best]) <= 1.96 * found.intervals[best].stderr
        assert found.may_be_best[best]
    # The largest of five is above 1.96 in 12% of logs; simultaneously at most 2.5% lie above. 120 logs: s.e. .03, .014.
    assert plain / 120 < 0.95
    assert at_once / 120 > 0.93


def test_a_policy_that_another_beats_for_sure_cannot_be_best() -> None:
    found = simultaneous(estimates([0.0, 0.001, 0.2]), ROWS, Asked())
    assert found.may_be_best == (False, False, True)
    close = simultaneous(estimates([0.0, 0.001, -0.2]), ROWS, Asked())
    assert close.may_be_best == (True, True, False)


def test_holm_corrects_as_published_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_segments_add_up_and_their_errors_are_those_of_their_rows(make_evidence: MakeEvidence) -> None:
    log = make_evidence(n_rows=2_000)
    statistics = lift(ESTIMATORS["snips"].statistics(log), log)
    labels = np.where(np.arange(2_000) % 3 == 0, "app", "web")
    made, by = by_segment(statistics, labels), clusters(log)
    assert list(made) == ["app", "web"]
    # On its own rows a segment has the same clusters but fewer rows: the same standard error.
    inside = labels == "app"
    alone = scores(type(statistics)(statistics.plain[inside], statistics.above[inside], statistics.below[inside]))
    assert made["app"].value == alone.value
    own = Clusters(np.asarray(by.codes)[inside], by.size, by.count)
    assert standard_error(made["app"].influence, by) == pytest.approx(standard_error(alone.influence, own), rel=1e-12)
    p = p_values(list(made.values()), by)
    expected = [2 * stats.t.sf(abs(one.value) / standard_error(one.influence, by), by.count - 1)
                for one in made.values()]  # fmt: skip
    assert p == pytest.approx(expected, rel=1e-9)


def test_what_is_not_defined_is_refused() -> None:
    with pytest.raises(UserError, match="no estimate was given"):
        simultaneous([], ROWS, Asked())
    with pytest.raises(UserError, match="estimate 2 is not defined"):
        simultaneous([*estimates([0.0]), Scores(float("nan"), np.zeros(20_000))], ROWS, Asked())
    assert share_of_level(0.95, 5) == pytest.approx(0.99)
    with pytest.raises(UserError, match="expected a level"):
        share_of_level(1.5, 5)
