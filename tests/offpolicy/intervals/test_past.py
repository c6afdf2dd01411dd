"""A reward model of the past only, and what doubly robust bets gain by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence
from offpolicy.intervals.betting import betting
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.past import past_only
from simenv.errors import UserError

MakeLog = Callable[..., Evidence]
MakeCase = Callable[..., Case]


def test_a_rows_expectation_does_not_change_with_what_comes_later() -> None:
    rng = np.random.default_rng(0)
    features, cluster = rng.standard_normal((600, 1, 2)), np.repeat(np.arange(300), 2)
    reward = (rng.random((600, 1)) < 1 / (1 + np.exp(-features[:, :, 0]))) * 1.0
    later = np.where(np.arange(600)[:, None] < 400, reward, 1.0 - reward)
    one, other = (past_only(features, each, features[:, None], cluster, first=50) for each in (reward, later))
    assert (one.q_logged[:400] == other.q_logged[:400]).all()  # shoppers 100 to 199 know of the first 100 only
    assert (one.q_logged[400:] == other.q_logged[400:]).all()  # the third block, 200 to 299, knows of rows under 400
    assert (one.q_logged[:100] == 0.0).all()
    assert np.corrcoef(one.q_logged[100:, 0], features[100:, 0, 0])[0, 1] > 0.9
    assert np.allclose(one.q_target[100:], one.q_logged[100:, 0])
    with pytest.raises(UserError, match="first is 0"):
        past_only(features, reward, features[:, None], cluster, first=0)


def test_a_doubly_robust_bet_with_the_past_covers_and_beats_plain_weights(
    make_log: MakeLog, make_case: MakeCase
) -> None:
    """Rewards that the context all but tells, weights of 1.6 and .4: of 40 logs, 35 or more are inside (2.5 in 100)."""
    covered, ratios = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.random(2_000)
        reward = (rng.random(2_000) < 0.05 + 0.9 * (x > 0.5)) * 1.0
        weight = np.where(rng.random(2_000) < 0.5, 1.6, 0.4)
        log = make_log(weight, reward, 1.6, cluster=np.arange(2_000))
        features = (x > 0.5)[:, None, None] * 1.0
        q = past_only(features, log.reward, features[:, None], log.cluster)
        case = make_case(replace(log, q_logged=q.q_logged, q_target=q.q_target, q_is_past_only=True), "dr")
        found, plain = betting(case, Asked()), betting(make_case(log), Asked())
        covered += found.low <= 0.5 <= found.high
        ratios.append((found.high - found.low) / (plain.high - plain.low))
    assert covered >= 35
    assert np.mean(ratios) < 1.0
