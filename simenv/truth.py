"""The true value of a policy, for each estimand, with the error of the computation.

* *value per search over the logger's contexts*: what a search would be worth if only the ranking changed and the
  logger's searches stayed what they are. This is what estimators from a log are after. Slates are drawn, their reward
  is exact.
* *value per search over its own contexts*, *per session*, *per shopper*: what deployment brings, where better pages
  change who stays. Played out as twins: every policy faces the same shoppers with the same luck, so differences have
  small errors.

Standard errors are clustered by shopper. The seeds of truth are derived from the given one under a name of their own,
so they are never the seeds of a log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import I64
from simenv.decision import Policy, with_query
from simenv.errors import UserError
from simenv.metrics import ndcg, reciprocal_rank
from simenv.play import Step, play, truth
from simenv.twins import Ratio, difference
from simenv.world import World, policy_keys
from simenv.worth import expected_reward

F64 = npt.NDArray[np.float64]

LOGGER_CONTEXTS = "value per search over the logger's contexts"
OWN_CONTEXTS = "value per search over its own contexts"
SESSION = "value per session"
SHOPPER = "value per shopper"

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Value:
    """A true value and its lift over the logger, with standard errors of the computation.

    twins_save: how many times as many shoppers the lift would need without twins; see `simenv.twins`.
    """

    policy: str
    estimand: str
    value: float
    stderr: float
    lift: float
    lift_stderr: float
    twins_save: float


@dataclass(frozen=True)
class Life:
    """What playing shoppers under one policy came to, summed per shopper (U,)."""

    expected: F64
    searches: F64
    sessions: F64
    clicks: F64
    carts: F64
    purchases: F64
    revenue: F64
    ndcg: F64
    ndcg_searches: F64
    reciprocal_rank: F64
    ranked_searches: F64

    def per_shopper(self) -> Ratio:
        """Value per shopper over the horizon."""
        return Ratio(self.expected, np.ones_like(self.expected))


def truth_seed(seed: int) -> int:
    """The seed of truth that belongs to a scenario's seed; never equal to a log's."""
    return hashing.stream(seed, "truth") >> 1


def on_logger_contexts(
    world: World,
    logger: Policy,
    targets: Mapping[str, Policy],
    seed: int,
    shoppers: I64,
    n_draws: int = 2,
    advance: Advance = lambda _: None,
) -> dict[str, Ratio]:
    """Expected reward and searches per shopper over the logger's contexts, for the logger and for each target.

    The logger plays; on each page every target draws `n_draws` slates whose expected reward is exact.

    Args:
        world: The market.
        logger: Whose searches they are.
        targets: Policies by name.
        seed: A scenario's seed; `truth_seed` of it is played.
        shoppers: (U,) ids.
        n_draws: Slates per page and target.
        advance: Told the number of pages done.
    """
    if logger.name in targets:
        raise UserError(f"a target is called '{logger.name}' like the logger; give each policy a name of its own.")
    known = np.sort(shoppers)
    totals = {name: np.zeros(len(shoppers)) for name in (logger.name, *targets)}
    count = np.zeros(len(shoppers))
    reads = any(target.reads_query for target in targets.values())
    for step in play(world, logger, truth_seed(seed), shoppers):
        if reads:  # once for all targets
            step = dataclasses.replace(step, page=with_query(world, step.state, step.page))
        who = np.searchsorted(known, step.state.shopper)
        np.add.at(count, who, 1.0)
        np.add.at(totals[logger.name], who, step.outcome.expected.sum(axis=1))
        for name, target in targets.items():
            np.add.at(totals[name], who, _expected(world, target, step, seed, n_draws))
        advance(len(step.state))
    return {name: Ratio(total, count) for name, total in totals.items()}


def lives(
    world: World,
    policies: Mapping[str, Policy],
    seed: int,
    shoppers: I64,
    advance: Advance = lambda _: None,
) -> dict[str, Life]:
    """Play the same shoppers with the same luck under each policy (counterfactual twins)."""
    return {name: _life(world, policy, truth_seed(seed), shoppers, advance) for name, policy in policies.items()}


def values_by_twins(played: Mapping[str, Life], logger: str) -> list[Value]:
    """Values per search over own contexts, per session and per shopper, with lifts paired by shopper."""
    found: list[Value] = []
    for estimand, unit in ((OWN_CONTEXTS, "searches"), (SESSION, "sessions"), (SHOPPER, "")):
        ratios = {
            name: Ratio(life.expected, getattr(life, unit) if unit else np.ones_like(life.expected))
            for name, life in played.items()
        }
        found += values(ratios, logger, estimand)
    return found


def gap_closed(ratios: Mapping[str, Ratio], logger: str, best: str, policy: str) -> tuple[float, float]:
    """The share of the way from the logger to the best that a policy goes, with its standard error (delta method)."""
    base, top, own = ratios[logger], ratios[best], ratios[policy]
    gap = top.value - base.value
    share = (own.value - base.value) / gap
    influence = (own.influence() - base.influence() - share * (top.influence() - base.influence())) / gap
    return share, float(influence.std(ddof=1) / np.sqrt(len(influence)))


def values(ratios: Mapping[str, Ratio], logger: str, estimand: str) -> list[Value]:
    """Values and lifts over the logger, paired by shopper."""
    lifts = {name: difference(ratio, ratios[logger]) for name, ratio in ratios.items()}
    return [
        Value(
            policy=name,
            estimand=estimand,
            value=ratio.value,
            stderr=ratio.stderr,
            lift=lifts[name].value,
            lift_stderr=lifts[name].stderr,
            twins_save=lifts[name].twins_save,
        )
        for name, ratio in ratios.items()
    ]


def _expected(world: World, target: Policy, step: Step, seed: int, n_draws: int) -> F64:
    known = truth(world, step.state, step.page) if target.sees_truth else None
    total = np.zeros(len(step.state))
    for draw in range(n_draws):
        keys = policy_keys(step.state, truth_seed(seed) + 1 + draw)
        slate = target.act(step.page, world.params.n_slots, keys, known).slate
        total += expected_reward(world, step.state, step.page, slate).sum(axis=1)
        if target.temperature == 0:
            return total  # a greedy policy has one slate
    return total / n_draws


def _life(world: World, policy: Policy, seed: int, shoppers: I64, advance: Advance) -> Life:
    known = np.sort(shoppers)
    sums = {name: np.zeros(len(known)) for name in Life.__dataclass_fields__}
    for step in play(world, policy, seed, shoppers):
        who, outcome = np.searchsorted(known, step.state.shopper), step.outcome
        grade = world.demand.relevance(step.state.intent, step.page.candidates)
        gain = ndcg(grade, step.decision.slate)
        rank = reciprocal_rank(grade, step.decision.slate)
        columns = {
            "expected": outcome.expected.sum(axis=1),
            "searches": np.ones(len(who)),
            "sessions": (step.state.step == 0).astype(np.float64),
            "clicks": outcome.clicked.sum(axis=1),
            "carts": outcome.carted.sum(axis=1),
            "purchases": outcome.purchased.sum(axis=1),
            "revenue": outcome.revenue.sum(axis=1),
            "ndcg": np.nan_to_num(gain),
            "ndcg_searches": np.isfinite(gain).astype(np.float64),
            "reciprocal_rank": np.nan_to_num(rank),
            "ranked_searches": np.isfinite(rank).astype(np.float64),
        }
        for name, column in columns.items():
            np.add.at(sums[name], who, column)
        advance(len(who))
    return Life(**sums)
