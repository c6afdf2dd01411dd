"""A market whose taste jumps half-way: the value now against the value on average, by a truth from other shoppers."""

from __future__ import annotations

from pathlib import Path

import pytest

from offpolicy import evaluate
from policies.registry import named_policy
from scenarios.config import Estimation
from scenarios.evidence import join_log
from simenv.decision import Policy, with_query
from simenv.log import Log, write_log
from simenv.play import play, shopper_range
from simenv.truth import truth_seed
from simenv.world import World, policy_keys
from simenv.worlds import load_world
from simenv.worth import expected_reward

LOGS, SHOPPERS = 4, 1_500
LAST_DAYS = 21  # of 28; taste jumps on day 14, and returning shoppers are few after it
PLAIN, NOW = "dr-item", "recent-dr-item:0.1"


def truth_at_the_end(world: World, logger: Policy, target: Policy) -> tuple[float, float]:
    """Value and lift per search over the logger's contexts of the last week, by 5,000 other shoppers."""
    seed, total, earned, count = truth_seed(99), 0.0, 0.0, 0
    for step in play(world, logger, seed, shopper_range(5_000)):
        late = step.page.day >= LAST_DAYS
        if late.any():
            page = with_query(world, step.state, step.page)
            slate = target.act(page, world.params.n_slots, policy_keys(step.state, seed + 1), None).slate
            total += float(expected_reward(world, step.state, page, slate).sum(axis=1)[late].sum())
            earned += float(step.outcome.expected.sum(axis=1)[late].sum())
            count += int(late.sum())
    return total / count, (total - earned) / count


@pytest.mark.slow
def test_the_value_now_holds_todays_truth_after_a_shock_and_the_plain_mean_does_not(tmp_path: Path) -> None:
    world = load_world("shock")
    catalogue = world.catalogue.public()
    logger, target = named_policy("production", catalogue), named_policy("lexical", catalogue)
    value, lift = truth_at_the_end(world, logger, target)
    held, off = {PLAIN: 0, NOW: 0}, {PLAIN: 0.0, NOW: 0.0}
    for seed in range(LOGS):
        log = Log.open(write_log(world, "shock", logger, seed, shopper_range(SHOPPERS), tmp_path / str(seed)))
        settings = Estimation(folds=2, estimators=[PLAIN, NOW])
        joined = join_log(log, {"it": target}, None, settings, 0, lambda n=1: None)
        for one in evaluate(joined.evidence["it"], [PLAIN, NOW]):
            held[one.estimator] += one.interval.low <= value <= one.interval.high
            off[one.estimator] += (one.interval.value - value) / LOGS
            print(seed, one.estimator, one.interval, one.lift, one.diagnostics.effective_rows, one.verdict.word)
    print("truth", value, lift, held, off)
    assert held[PLAIN] == 0
    assert off[PLAIN] < 0.0
    # A coverage of .95 falls below 3 of 4 once in 70. Of 12 logs all held it, off by -.010 on average, the plain mean's
    # by -.053; the mean of 4 has a standard error of .014.
    assert held[NOW] >= 3
    assert abs(off[NOW]) < 0.75 * abs(off[PLAIN])
