"""How a log is joined to policies, and the reward models that are fitted before: from what, on whom, how often read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy import estimator
from offpolicy.intervals.past import fit_past
from policies.features import FeatureMap, features
from policies.learning import in_half
from scenarios.config import Estimation
from scenarios.rewards import OWN, rewarded, slot_range
from scenarios.slate_models import SlateModels, fit_models
from simenv.catalogue import I64
from simenv.errors import UserError
from simenv.log import Log

F64 = npt.NDArray[np.float64]
Keep = Callable[[I64], npt.NDArray[np.bool_]] | None

BATCH = 4096  # searches in memory with all their candidates' features
MODEL_SEARCHES = 100_000  # that the reward model is fitted on, at most


@dataclass(frozen=True)
class Joining:
    """How a log is joined.

    Attributes:
        half: Only shoppers of that half (see `policies.learning.in_half`); all where None.
        settings: Folds of the reward model, slates drawn from each target per search.
        seed: Of the folds and of the drawn slates.
        rewards: Names in `scenarios.rewards.REWARDS`, or the world's own.
        past_only: Whether the reward model of each shopper is fitted on earlier ones alone, as bets on doubly robust
            values need, and not on all others.
    """

    half: int | None
    settings: Estimation
    seed: int
    rewards: tuple[str, ...] = (OWN,)
    past_only: bool = False


def keep_half(half: int | None) -> Keep:
    """Which shoppers are judged on: those of a half, all where None."""
    return None if half is None else (lambda shopper: in_half(shopper, half))


def fitted_on(log: Log, feature_map: FeatureMap, keep: Keep, settings: Estimation, seed: int) -> SlateModels:
    """The reward models of the world's own reward, fitted on whole shoppers until there are enough searches."""
    return models_of(log, feature_map, keep, Joining(None, settings, seed))[OWN]


def models_of(log: Log, feature_map: FeatureMap, keep: Keep, joining: Joining) -> dict[str, SlateModels]:
    """By reward; fitted on whole shoppers in the log's order, until there are enough searches."""
    x, shopper = [], []
    reward: dict[str, list[F64]] = {name: [] for name in joining.rewards}
    n = 0
    for batch in log.batches(keep, batch=BATCH):
        x.append(features(feature_map, batch.page, batch.slate))
        for name, parts in reward.items():
            parts.append(rewarded(batch, name).reward)
        shopper.append(batch.page.shopper)
        n += len(batch)
        if n >= MODEL_SEARCHES:
            break
    if not n:
        raise UserError(
            f"no row of '{log.folder}' is left to evaluate on; the log is empty or all of it was learned from."
        )
    settings, seen, who = joining.settings, np.concatenate(x), np.concatenate(shopper)
    if joining.past_only:
        return {
            name: SlateModels(fit_past(seen, np.concatenate(parts), who, _known_range(log, name)))
            for name, parts in reward.items()
        }
    want_clicks = is_asked("q_click", settings)
    return {
        name: fit_models(seen, np.concatenate(parts), who, settings.folds, joining.seed, want_clicks=want_clicks)
        for name, parts in reward.items()
    }


def range_of_slot(log: Log, reward: str) -> tuple[float, float] | None:
    """The least and largest reward of a slot; None where no bound is known."""
    return slot_range(reward, log.manifest.get("reward", ""))


def _known_range(log: Log, reward: str) -> tuple[float, float]:
    known = range_of_slot(log, reward)
    if known is None:
        raise UserError(
            f"a reward model of the past starts from the least reward there is, and that of '{reward}' is not known; "
            "leave out --reward-model, or judge by --rewards clicks."
        )
    return known


def is_asked(column: str, settings: Estimation) -> bool:
    """Whether an estimator that is asked for by name needs a column that is not computed otherwise."""
    return any(column in estimator(name).needs for name in settings.estimators or [])
