"""Imitation from a log, trained for real: what cloning reaches, and what weighing by returns gains in the market."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from policies import plackett_luce
from policies.learning import in_half
from policies.ranking import RankingPolicy
from policies.registry import named_policy
from policies.slate_imitation import ImitationScorer
from simenv.log import Log
from simenv.log.write import write_log
from simenv.play import play, shopper_range
from simenv.world import World, make_world
from simenv.worlds import world_params

FLOOR = 0.01


@pytest.fixture(scope="module")
def week() -> World:
    """The default market over seven days."""
    params = world_params("default")
    return make_world(dataclasses.replace(params, shoppers=dataclasses.replace(params.shoppers, horizon_days=7)))


def logged(world: World, logger: str, shoppers: int, seed: int, out: Path) -> Log:
    policy = named_policy(logger, world.catalogue.public())
    return Log.open(write_log(world, "default", policy, seed, shopper_range(shoppers), out))


def imitated(log: Log, policy: str, seed: int) -> ImitationScorer:
    """Of the learning half, with the settings that are the defaults."""
    from policies.rllib.offline_training import offline_trainer
    from policies.rllib.trainer import Assignment

    trainer = offline_trainer(Assignment(policy, "default", seed, 0, (1.0, FLOOR), log=log, half=0))
    while trainer.searches < trainer.budget:
        trainer.step()
    return trainer.scorer()


def per_shopper(world: World, policy: RankingPolicy, seed: int) -> np.ndarray:
    """Expected clicks of each of 600 shoppers over their week."""
    steps = list(play(world, policy, seed, shopper_range(600)))
    expected = np.concatenate([step.outcome.expected.sum(axis=1) for step in steps])
    return np.bincount(np.concatenate([step.page.shopper for step in steps]), weights=expected, minlength=600)


@pytest.mark.slow
@pytest.mark.ray
def test_a_clone_gives_held_out_slates_the_probability_that_the_logger_gave(week: World, tmp_path: Path) -> None:
    """Within 0.05 nats a slate of the logger's own, which nobody beats in expectation (Gibbs); 0.01 was seen on 15,700
    pages, 0.05 is allowed for 5,000 of them. A slate drawn evenly has 19.4 nats, so 2.3 are there to be learned."""
    log = logged(week, "production", 2000, 4, tmp_path / "log")
    clone = imitated(log, "bc-slate", 1)
    apart = []
    for rows in log.batches(lambda shopper: in_half(shopper, 1)):
        shown = (rows.slate >= 0).any(axis=1)
        scores = np.where(rows.page.candidates >= 0, clone.score(rows.page, None), -np.inf)[shown]
        logp = plackett_luce.conditional(plackett_luce.log_weights(scores, 1.0, FLOOR), rows.slate[shown]).logp
        apart.append((rows.logp.logp[shown] - logp).sum(axis=1))
    lost = np.concatenate(apart)
    assert -3.0 * stats.sem(lost) < lost.mean() < 0.05


@pytest.mark.slow
@pytest.mark.ray
def test_weighing_by_returns_over_sessions_gains_on_a_logger_that_ignores_the_query(
    week: World, tmp_path: Path
) -> None:
    """Popularity shows past sales whatever was asked. Three logs, each judged on 600 shoppers of its own who meet both
    policies with the same luck; a one-sided 99% bound on the mean difference over shoppers, logs pooled."""
    gains = []
    for seed in range(3):
        log = logged(week, "popularity", 2000, 40 + seed, tmp_path / f"log-{seed}")
        learned = RankingPolicy("marwil-slate", imitated(log, "marwil-slate", seed), 1.0, FLOOR)
        logger = named_policy("popularity", week.catalogue.public())
        gains.append(per_shopper(week, learned, 900 + seed) - per_shopper(week, logger, 900 + seed))
    pooled = np.concatenate(gains)
    assert pooled.mean() - stats.norm.ppf(0.99) * stats.sem(pooled) > 0.0
