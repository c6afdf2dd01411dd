"""PPO over slates, trained for real: it beats the ranker that it starts from."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from policies.baselines import Production
from policies.ranking import RankingPolicy
from policies.registry import named_policy
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


# Position bias, 50 candidates, 5 slots; queries say all that is wanted, and nothing that draws clicks is hidden: the
# oracle's ranking can be learned.
SAID = """
base = "impersonal"

[attraction]
quality = 0.0
bait = 0.0

[queries]
misspelling_rate = 0.0
switch_language = 0.0
nothing_found = 0.0
generalise = 0.0
"""
KIND = """
[queries.{name}]
share = {share}
wants = [{brand}, 0.3, 0.0, 0.0, 0.0, 0.0]
says_category = 1.0
says_brand = 1.0
says_attribute = 1.0
adds = [0.0, 0.0, 0.0, 0.0]
"""


@pytest.mark.slow
@pytest.mark.ray
def test_ppo_goes_nine_tenths_of_the_way_from_random_to_the_oracle(tmp_path: Path) -> None:
    """Ranked by score, 100,000 searches, about 26 CPU-seconds of 120; seeds 0 to 2 come to 0.93."""
    from policies.rllib.train import train_ppo

    path = tmp_path / "said.toml"
    kinds = {"navigational": (0.2, 1.0), "focused": (0.6, 0.3), "exploratory": (0.2, 0.0)}
    path.write_text(
        SAID + "".join(KIND.format(name=name, share=share, brand=brand) for name, (share, brand) in kinds.items())
    )
    world = load_world(str(path))
    start = time.process_time()
    scorer = train_ppo(str(path), seed=0, searches=100_000, device="cpu")
    assert time.process_time() - start < 120
    catalogue = world.catalogue.public()
    random, oracle, learned = (
        value_per_search(world, policy, 900)
        for policy in (
            named_policy("uniform", catalogue),
            named_policy("oracle", catalogue),
            RankingPolicy("ppo-slate", scorer, temperature=0.0),
        )
    )
    assert (learned - random) / (oracle - random) > 0.9
