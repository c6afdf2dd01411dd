"""PPO over slates, trained for real: it beats the ranker that it starts from."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from policies.baselines import Production
from policies.persistence import load_model
from policies.ranking import RankingPolicy
from policies.registry import named_policy
from simenv.play import play, shopper_range
from simenv.truth import gap_closed, on_logger_contexts
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
    from policies.rllib.ppo import TUNED
    from policies.rllib.train import train_ppo

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
def test_ppo_as_saved_and_played_goes_nine_tenths_of_the_way_from_random_to_the_oracle(
    repository: Path, tmp_path: Path
) -> None:
    """What `slatelab train docs/ppo.toml` saves, drawn from as a shop would, on the pages that random slates lead to.

    About 54 CPU-seconds of 120; this seed came to 0.933 (standard error 0.006), two others to 0.938 and 0.931.
    """
    from scenarios.progress import SilentProgress
    from scenarios.train import train_policy

    docs, out = repository / "docs", tmp_path / "ppo"
    start = time.process_time()
    train_policy(
        str(docs / "ppo.toml"), "ppo-slate", out, seed=0, log=None, device="cpu", progress=SilentProgress()
    )  # fmt: skip
    assert time.process_time() - start < 120
    world = load_world(str(docs / "position-bias.toml"))
    catalogue = world.catalogue.public()
    random, oracle = named_policy("uniform", catalogue), named_policy("oracle", catalogue)
    learned = load_model(out, catalogue, world.params.n_slots)
    assert learned.temperature > 0  # it draws; it does not only rank
    values = on_logger_contexts(world, random, {"oracle": oracle, learned.name: learned}, 900, shopper_range(500))
    share, stderr = gap_closed(values, "uniform", "oracle", learned.name)
    print(f"{share:.3f} +- {stderr:.3f} of the way")
    assert share > 0.9
