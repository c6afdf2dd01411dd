"""Oracles for a long horizon: how much satisfaction is worth beside the reward of a click, and looking ahead from it.

The index has one number, so it is searched for: successive halving over a grid of weights. Every weight is played on
the same few shoppers with the same luck, the better half goes on to twice as many shoppers, until one is left beside
the myopic oracle. What comes out has been chosen for being the best on these shoppers; judge it on others.

Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", 2013 (sequential halving).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from policies.oracles import LookaheadOracle, pleasing
from policies.ranking import RankingPolicy
from simenv.catalogue import I64
from simenv.lookahead import Lookahead
from simenv.truth import lives
from simenv.twins import Ratio, difference
from simenv.world import World

GRID = (-1.0, -0.5, -0.25, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # in units of what a click is worth on average
STEPS = (-0.5, 0.5, 1.0, 4.0)  # from the tuned weight to those of the pages that are tried beside its own


@dataclass(frozen=True)
class Tuned:
    """The weight that was found, in units of reward, and what it gained over weight 0 where it was chosen.

    unit: what a click is worth on average under the myopic oracle. gain, stderr: value per shopper, paired, on the last
        round's shoppers; optimistic, since the best was chosen.
    played: shoppers that were played, all weights together.
    """

    weight: float
    unit: float
    gain: float
    stderr: float
    played: int


def tune_pleasing(world: World, seed: int, shoppers: I64, grid: tuple[float, ...] = GRID) -> Tuned:
    """The weight of `PleasingOracle` with the largest value per shopper; 0 where none is better than the myopic oracle.

    Args:
        world: The market.
        seed: Of the luck of the shoppers; not one that the result is judged on.
        shoppers: (U,) ids; all of them are played in the last round.
        grid: Weights to try, in units of what a click is worth on average.
    """
    n_rounds = max(1, (len(grid) - 1).bit_length())
    myopic = pleasing(0.0)
    unit, alive, played = 0.0, list(grid), 0
    for left in range(n_rounds - 1, -1, -1):
        some = shoppers[: max(2, len(shoppers) >> left)]
        base = _value(world, seed, some, 0.0)
        unit = unit or float(base.total.sum() / lives(world, {"": myopic}, seed, some)[""].clicks.sum())
        values = {weight: _value(world, seed, some, weight * unit) for weight in alive}
        played += len(some) * (1 + len(alive))
        alive = sorted(alive, key=lambda weight: -values[weight].value)[: -(-len(alive) // 2)]
    gain = difference(values[alive[0]], base)
    if gain.value <= 0.0:
        return Tuned(0.0, unit, 0.0, 0.0, played)
    return Tuned(alive[0] * unit, unit, gain.value, gain.stderr, played)


def long_horizon_oracles(world: World, tuned: Tuned) -> dict[str, RankingPolicy]:
    """The oracle of the tuned weight, and the one that looks ahead from it among pages of other weights.

    Where the search found nothing above the myopic oracle, the first one is the myopic oracle.
    """
    index = dataclasses.replace(pleasing(tuned.weight), name="oracle-index")
    weights = {0.0, *(tuned.weight + step * tuned.unit for step in STEPS)} - {tuned.weight}
    lookahead = Lookahead(index, [pleasing(weight) for weight in sorted(weights)])
    long = RankingPolicy("oracle-long", LookaheadOracle(world, lookahead), 0.0, sees_truth=True)
    return {policy.name: policy for policy in (index, long)}


def _value(world: World, seed: int, shoppers: I64, weight: float) -> Ratio:
    return lives(world, {"": pleasing(weight)}, seed, shoppers)[""].per_shopper()
