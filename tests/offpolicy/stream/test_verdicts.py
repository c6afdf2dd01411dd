"""Sound logs and logs with planted lies get the verdict of all rows in one pass, for the same reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.rows import take
from offpolicy.stream.finish import finish
from offpolicy.stream.parts import closed
from offpolicy.stream.plan import plan_of
from simenv.propensity import Conditional
from tests.offpolicy.audit.test_checks import log
from tests.offpolicy.stream.test_finish import asked, gathered, surveyed
from tests.offpolicy.stream.test_scattered import read

ROWS = 6_000


def by_shopper(evidence: Evidence) -> Evidence:
    """Three rows a shopper."""
    return replace(evidence, cluster=np.arange(evidence.n_rows) // 3, cluster_name="shopper")


def sound() -> Evidence:
    return by_shopper(log(0, n_rows=ROWS))


def shared_wrong_table() -> Evidence:
    return by_shopper(log(1, logged_at=1.2, shared=True, n_rows=ROWS))


def a_little_too_sharp() -> Evidence:
    return by_shopper(log(2, logged_at=1.1, n_rows=ROWS))


def stale() -> Evidence:
    """Right in the first half of the time, far too sharp in the second."""
    made = sound()
    late = made.time is not None and made.time >= ROWS // 2
    return replace(made, logger=Conditional(made.logger.logp + np.where(late, -0.3, 0.0)[:, None]))


def leaning_on_a_segment() -> Evidence:
    made = sound()
    lean = np.where(made.segments["locale"] == "de", 0.0, np.log(0.7))
    return replace(made, target=Conditional(made.target.logp + lean[:, None]))


def one_large_reward() -> Evidence:
    made = sound()
    reward = made.reward.copy()
    reward[4_321] = 2_000.0
    return replace(made, reward=reward)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (sound, None),
        (shared_wrong_table, "score residual"),
        (a_little_too_sharp, "calibration"),
        (stale, "drift"),
        (leaning_on_a_segment, "balance"),
        (one_large_reward, None),
    ],
)
@pytest.mark.parametrize("order", ["by shopper", "any"])
def test_one_pass_gives_the_verdict_of_all_rows_for_the_same_reasons(
    made: Callable[[], Evidence], told: str | None, order: str, tmp_path: Path
) -> None:
    evidence = made()
    names = ["ips", "snips", "clipped-ips:5"]
    if order == "any":
        evidence = take(evidence, np.random.default_rng(0).permutation(ROWS))
    plan = plan_of(evidence, names, survey=surveyed(evidence))
    whole = closed(*read(evidence, plan, tmp_path), plan) if order == "any" else gathered(evidence, plan)
    for one, expected in zip(finish(whole, plan), evaluate(evidence, names), strict=True):
        assert one.verdict == expected.verdict, one.estimator
        assert asked(one) == asked(expected)
        assert told is None or any(found.rank and found.check == told for found in one.findings)
