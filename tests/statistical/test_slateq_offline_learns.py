"""SlateQ from a log, trained for real: doubt about what was not shown gains on a logger that shows a narrow choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from policies.ranking import RankingPolicy
from policies.registry import named_policy
from simenv.decision import Policy
from simenv.log import Log
from simenv.log.write import write_log
from simenv.play import play, shopper_range
from simenv.worlds import load_world

JUDGES = 1000


def per_shopper(policy: Policy) -> np.ndarray:
    """Expected clicks of each judge over a stay, with the same luck whoever ranks."""
    steps = list(play(load_world("tiny"), policy, 900, shopper_range(JUDGES)))
    expected = np.concatenate([step.outcome.expected.sum(axis=1) for step in steps])
    return np.bincount(np.concatenate([step.page.shopper for step in steps]), weights=expected, minlength=JUDGES)


def learned(log: Log, alpha: float) -> RankingPolicy:
    from policies.rllib.trainer import Assignment, new_trainer

    settings = {"passes": 6, "alpha": alpha}
    trainer = new_trainer(Assignment("slateq-offline", "tiny", 1, 0, (0.3, 1e-4), settings, log=log, half=0))
    while trainer.searches < trainer.budget:
        trainer.step()
    return RankingPolicy("slateq-offline", trainer.scorer(), temperature=0.0)


@pytest.mark.slow
@pytest.mark.ray
def test_doubt_gains_on_the_logger_and_on_none(tmp_path: Path) -> None:
    """One log of 2,000 shoppers, judged on 1,000 others; one-sided 99% bounds on mean differences over shoppers. Seen:
    3.74 clicks under the logger, 3.77 without doubt, 4.06 with it, standard errors of differences 0.05."""
    logger = named_policy("production", load_world("tiny").catalogue.public())
    log = Log.open(write_log(load_world("tiny"), "tiny", logger, 7, shopper_range(2000), tmp_path / "log"))
    doubting, believing, shown = (per_shopper(each) for each in (learned(log, 1.0), learned(log, 0.0), logger))
    for other in (believing, shown):
        gain = doubting - other
        assert gain.mean() - stats.norm.ppf(0.99) * stats.sem(gain) > 0.0
