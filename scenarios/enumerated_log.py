"""Logs of beds whose truth is enumerated: draws of contexts, slates and clicks, and the evidence on every target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from offpolicy import Evidence
from offpolicy.actions import ActionTable
from offpolicy.audit.columns import score_residual
from scenarios.enumerated_bed import CONTEXTS, Bed, Floats, Ints, Market, market_of
from simenv.propensity import Conditional, Marginal


def logs(bed: Bed, n_logs: int, first_seed: int = 0) -> Iterator[Mapping[str, Evidence]]:
    """One log a seed: the evidence on each target, all from the same rows."""
    market = market_of(bed.model_dump_json())
    for seed in range(first_seed, first_seed + n_logs):
        yield one_log(bed, market, np.random.default_rng(seed))


def one_log(bed: Bed, market: Market, rng: np.random.Generator) -> Mapping[str, Evidence]:
    """Draw contexts by shopper, slates by what the logger really does, clicks by the click model."""
    n = bed.rows
    shopper = np.arange(n) // bed.per_shopper
    n_shoppers = int(shopper[-1]) + 1
    context = rng.integers(CONTEXTS, size=n_shoppers)[shopper]
    appetite = (1.0 + bed.appetite * rng.choice([-1.0, 1.0], size=n_shoppers))[shopper]
    time = rng.permutation(n)  # a shopper comes back at another time
    is_late = time >= n / 2
    slate = np.where(is_late, _draw(market.drawn[1], context, rng), _draw(market.drawn[0], context, rng))
    at = (context, slate)
    would = rng.random((n, bed.slots)) < market.click[at] * appetite[:, None]
    if bed.behaviour == "cascade":
        would &= np.cumsum(would, axis=1) == 1  # the first success from the top is the only click
    reward = would.astype(np.float64)
    if bed.spread:
        reward *= np.exp(bed.spread * rng.standard_normal(reward.shape) - bed.spread**2 / 2.0)
    if bed.late:
        missing = (time / n - (1.0 - bed.late)) / bed.late
        reward *= rng.random(reward.shape) >= missing[:, None]
    if bed.twice:
        once = np.arange(n) // 2
        at, reward, time, shopper = (context[once], slate[once]), reward[once], time[once], np.arange(n)
    is_row = bed.declared == "row"
    return {
        name: _evidence(bed, market, name, at, reward, np.arange(n) if is_row else shopper, time)
        for name in market.targets
    }


def _evidence(
    bed: Bed, market: Market, name: str, at: tuple[Ints, Ints], reward: Floats, cluster: Ints, time: Ints
) -> Evidence:
    target, logger, context = market.targets[name], market.logger, at[0]
    model, prefix = market.model, market.prefix
    actions = residual = None
    if bed.slots == 1:
        q = None if model is None else model[context, :, 0]
        actions = ActionTable(at[1], logger.slate[context], target.slate[context], q)
        residual = score_residual(actions)

    def of_target(table: Floats) -> Floats:
        value: Floats = (target.slate * table.sum(axis=2)).sum(axis=1)[context]
        return value

    return Evidence(
        reward=reward,
        logger=Conditional(logger.conditional[at]),
        target=Conditional(target.conditional[at]),
        logger_marginal=Marginal(logger.marginal[at]),
        target_marginal=Marginal(target.marginal[at]),
        q_logged=None if model is None else model[at],
        q_target=None if model is None else of_target(model),
        q_prefix=None if prefix is None else prefix[at],
        q_prefix_target=None if prefix is None else of_target(prefix),
        pseudoinverse=market.pseudoinverse[name][at] if bed.slots > 1 else None,
        placebo=market.placebo[at] if bed.slots > 1 else None,
        score_residual=market.residual[at] if residual is None else residual,
        actions=actions,
        features=market.context[context],
        feature_names=("liking of candidate 1", "liking of candidate 2"),
        time=time,
        foreseen={family: column[context] for family, column in market.foreseen[name].items()},
        foreseen_square={family: column[context] for family, column in market.foreseen_square[name].items()},
        cluster=cluster,
        cluster_name=bed.declared,
    )


def _draw(chance: Floats, context: Ints, rng: np.random.Generator) -> Ints:
    """One slate a row, (n,)."""
    cumulative = np.cumsum(chance, axis=1)
    cumulative /= cumulative[:, -1:]
    place = (np.arange(len(chance))[:, None] + cumulative).ravel()  # one ascending line, a unit for each context
    found = np.searchsorted(place, context + rng.random(len(context)), side="right") - context * chance.shape[1]
    made: Ints = np.minimum(found, chance.shape[1] - 1)
    return made
