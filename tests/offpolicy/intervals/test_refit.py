"""The direct method's interval: nothing without refitting, the model's variance with it, never its bias."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.inference import Clusters
from offpolicy.intervals.case import Asked
from offpolicy.intervals.refit import VARIANCE_ONLY, refit_bootstrap
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
MakeEvidence = Callable[..., Evidence]


def test_refitting_covers_where_the_model_is_right_and_a_frozen_model_has_no_width() -> None:
    """Trap T4: the model is a mean by arm, the target plays arm 1 always; a context-free policy has width 0 frozen."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        arm = rng.random(400) < 0.25
        reward = (rng.random(400) < np.where(arm, 0.4, 0.1)) * 1.0

        def refit(weight: Floats, arm: npt.NDArray[np.bool_] = arm, reward: Floats = reward) -> Floats:
            return np.full(len(weight), (weight * arm) @ reward / (weight @ arm))

        found, lift = refit_bootstrap(refit, Clusters(None, 400, 400), reward, Asked(replicates=200, seed=seed))
        covered += found.low <= 0.4 <= found.high
        assert lift.value == pytest.approx(found.value - reward.mean())
        assert lift.stderr < found.stderr  # what the logger earned is drawn with it
        assert 0.1 < found.high - found.low < 0.3  # 100 rows of arm 1: 2 * 1.96 * .049 = .19
    assert covered >= 33  # 36 or more are expected; of 40 with 92%, fewer than 33 occur once in 100
    assert "bias" in VARIANCE_ONLY


def test_the_direct_methods_own_interval_knows_nothing_and_its_verdict_says_so(make_evidence: MakeEvidence) -> None:
    """Trap T4: a model that expects the same of every row gives an interval without width."""
    log = make_evidence()
    flat = Evidence(
        reward=log.reward,
        logger=log.logger,
        target=log.target,
        cluster=log.cluster,
        q_logged=np.full(log.reward.shape, 0.3),
        q_target=np.full(log.n_rows, 0.9),
    )
    for interval in ("t", "bootstrap"):
        (found,) = evaluate(flat, ["dm"], interval=interval)
        assert found.interval.high - found.interval.low == pytest.approx(0.0, abs=1e-12)
        assert found.verdict.word != "trust"
        assert any("ignores the model's error" in reason for reason in found.verdict.reasons)


def test_a_refit_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(UserError, match=r"refit gave \(3,\); expected one finite number for each of 10 rows"):
        refit_bootstrap(lambda weight: weight[:3], Clusters(None, 10, 10), np.zeros(10), Asked())
