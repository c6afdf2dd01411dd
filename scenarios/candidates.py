"""Who takes part in a scenario: the logger, baselines, what was learned, oracles; and how many shoppers are played."""

from __future__ import annotations

from policies.ranking import RankingPolicy
from policies.registry import entry_of, named_policy
from scenarios.config import Ranker, Scenario
from simenv.catalogue import I64, PublicCatalogue
from simenv.hashing import stream
from simenv.play import shopper_range
from simenv.world import World


def seed_of(scenario: Scenario, purpose: str) -> int:
    """The seed of one purpose ("log", "training", ...) of a scenario; purposes never share one."""
    return stream(scenario.seed, f"scenario {purpose}") >> 1


def population(scenario: Scenario, world: World, n: int) -> I64:
    """Ids of `n` shoppers to play; of as many as the log has where shoppers share stock.

    How often a shelf is empty hangs on how many take from it: demand for one of 40 units varies less than for one of 4,
    so that what is true of 16,000 shoppers is not what is true of 4,000 with shelves a quarter as full.
    """
    return shopper_range(n if world.params.market.stock is None else scenario.logging.shoppers)


def explored(policy: RankingPolicy, ranker: Ranker) -> RankingPolicy:
    """A policy under the scenario's exploration where it names one."""
    return policy.with_exploration(*exploration(ranker, policy.temperature, policy.floor))


def exploration(ranker: Ranker, temperature: float, floor: float) -> tuple[float, float]:
    """The scenario's temperature and floor, or the given ones where it leaves them out."""
    return (
        temperature if ranker.temperature is None else ranker.temperature,
        floor if ranker.floor is None else ranker.floor,
    )


def default_exploration(ranker: Ranker) -> tuple[float, float]:
    """The scenario's temperature and floor for a registered policy, the registry's where it leaves them out."""
    entry = entry_of(ranker.policy)
    return exploration(ranker, entry.temperature, entry.floor)


def logging_policy(scenario: Scenario, catalogue: PublicCatalogue) -> RankingPolicy:
    """The policy that writes the log."""
    return explored(named_policy(scenario.logging.policy, catalogue), scenario.logging)
