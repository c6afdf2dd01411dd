"""PPO over slates, trained for real: it beats the ranker that it starts from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from policies.baselines import Production
from policies.ranking import RankingPolicy
from simenv.play import play, shopper_range
from simenv.world import World
from simenv.worlds import load_world


def value_per_search(world: World, policy: RankingPolicy, seed: int) -> float:
    """Mean expected reward of the pages that 500 shoppers see."""
    pages = [step.outcome.expected.sum(axis=1) for step in play(world, policy, seed, shopper_range(500))]
    return float(np.concatenate(pages).mean())


@pytest.mark.slow
@pytest.mark.ray
def test_ppo_beats_production_by_a_quarter_within_forty_thousand_searches() -> None:
    """A paired 99% t-interval over 6 evaluation seeds, each with the same shoppers under both policies.

    The bound was set below a run that reached 1.39 times production's value after 40,000 searches.
    """
    from policies.rllib.train import TUNED, train_ppo

    world = load_world("default")
    scorer = train_ppo("default", seed=11, searches=40_000, device="cpu")
    learned = RankingPolicy("ppo-slate", scorer, temperature=1.0, floor=TUNED.floor)
    production = RankingPolicy("production", Production(world.catalogue.public()), temperature=0.7, floor=0.02)
    gain = np.array(
        [
            value_per_search(world, learned, seed) - 1.25 * value_per_search(world, production, seed)
            for seed in range(900, 906)
        ]
    )
    low, _ = stats.t.interval(0.99, len(gain) - 1, gain.mean(), stats.sem(gain))
    assert low > 0.0


@pytest.mark.slow
@pytest.mark.ray
def test_remote_runners_find_the_market() -> None:
    """The configuration also runs as an RLlib algorithm on Ray, with a runner in another process."""
    import ray

    from policies.rllib.train import PPOSettings, ppo_config

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        config = ppo_config("tiny", 1, 1000, 16, PPOSettings(batch=200, minibatch=100, hidden=8))
        config.env_runners(num_env_runners=1)
        algorithm = config.build_algo()
        result = algorithm.train()
        algorithm.stop()
    finally:
        ray.shutdown()
    assert result["env_runners"]["num_env_steps_sampled"] >= 200
    assert np.isfinite(result["learners"]["default_policy"]["policy_loss"])
