"""Clicks are not relevance: correcting for trust ranks better, and so does asking what a click is worth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from policies.examples import step_examples
from policies.network_ranker import NetworkRanker
from policies.position_aware import PositionAware
from policies.ranking import RankingPolicy
from policies.registry import named_policy, new_learner
from simenv.clicks import TrustBias
from simenv.params import WorldParams
from simenv.play import play, shopper_range
from simenv.truth import on_logger_contexts
from simenv.world import make_world
from simenv.worlds import world_params

pytestmark = pytest.mark.slow

SEEDS = 3
SHOPPERS = 6_000  # of a training log: about 45,000 searches
BIAS = TrustBias(
    examination=(1.0, 0.85, 0.7, 0.6, 0.5),
    epsilon_plus=(0.95, 0.95, 0.95, 0.95, 0.95),
    epsilon_minus=(0.5, 0.25, 0.12, 0.06, 0.03),
)


def played(params: WorldParams, setting: str) -> tuple[list[PositionAware], dict[str, list[float]]]:
    """Rankers with the setting, and worth over the logger's contexts with and without it; a list item a seed."""
    world = make_world(params)
    catalogue = world.catalogue.public()
    logger = named_policy("production", catalogue)
    nets, targets = list[PositionAware](), dict[str, RankingPolicy]()
    for seed in range(SEEDS):
        learners = {
            on: new_learner("position-aware", catalogue, world.params.n_slots, seed, settings={setting: on})
            for on in (True, False)
        }
        for step in play(world, logger, 1000 + seed, shopper_range(SHOPPERS)):
            batch = step_examples(learners[True].feature_map, step)
            for learner in learners.values():
                learner.update(batch)
        for on, learner in learners.items():
            learner.finish()
            assert isinstance(learner, NetworkRanker)
            assert isinstance(learner.net, PositionAware)
            targets[f"{on} {seed}"] = RankingPolicy("position-aware", learner, 0.0)
            if on:
                nets.append(learner.net)
    worth = on_logger_contexts(world, logger, targets, seed=202, shoppers=shopper_range(1500))
    return nets, {on: [worth[f"{on} {seed}"].value for seed in range(SEEDS)] for on in ("True", "False")}


def low_of_gain(worth: dict[str, list[float]]) -> float:
    """The lower limit of a 95% t-interval of the relative gain, paired by seed."""
    gain = np.array(worth["True"]) / np.array(worth["False"]) - 1.0
    low, high = stats.t.interval(0.95, SEEDS - 1, gain.mean(), stats.sem(gain))
    print(f"gain {gain.mean():.1%} [{low:.1%}, {high:.1%}]; worth {worth}")
    return float(low)


def test_where_the_top_is_trusted_the_affine_correction_finds_it_and_ranks_better() -> None:
    """What is compared is what the log speaks of: the click at each slot of what is clicked with a chance of .05, .1 or
    .2 at the last slot, where nearly all candidates are. A slot has 45,000 looks; a bin of a fifth of them with a
    chance of .3 is good to .005, and the map between two slots, an extrapolation of two such bins, to .03.
    """
    nets, worth = played(dataclasses.replace(world_params("default"), click_model=BIAS), "trust")
    seen, plus, minus = (np.array(part) for part in (BIAS.examination, BIAS.epsilon_plus, BIAS.epsilon_minus))
    last = np.array([0.05, 0.1, 0.2])[:, None]
    attraction = (last / seen[-1] - minus[-1]) / (plus[-1] - minus[-1])
    planted = seen * (minus + (plus - minus) * attraction)
    for net in nets:
        log_v, trust = (part.detach().numpy().astype(np.float64) for part in net.slots())
        found = np.exp(log_v) * (trust + (1.0 - trust) * last / np.exp(log_v[-1]))
        print(np.round(found - planted, 3))
        assert np.abs(found - planted).max() < 0.05
    assert low_of_gain(worth) > 0.0


def test_where_clicks_are_bait_worth_beside_the_click_sells_more() -> None:
    _, worth = played(dataclasses.replace(world_params("clickbait"), reward="purchases"), "value")
    assert low_of_gain(worth) > 0.05
