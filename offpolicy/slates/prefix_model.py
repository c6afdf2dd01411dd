"""What a slot earns given what stands above it: the reward model of cascade doubly robust estimates.

The reward model of `offpolicy.reward_model` knows a slot's item and place. Here its expectation is corrected by a
summary of the slots above: whether anything there was likely to be rewarded, and how likely the nearest was. It is one
more linear model on a handful of numbers, cross-fitted by the same split, so it costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import FoldModels, RewardModel, fit_linear, folds

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SURE = 1e-6  # chances are kept this far from 0 and 1, so that their logits are finite


@dataclass(frozen=True)
class PrefixModels:
    """One model a fold of shoppers, each fitted on all the others.

    Attributes:
        models: One per fold.
        seed: Names the split, as in `FoldModels`.
        notes: What a reader should know: folds that had too little to learn from.
    """

    models: tuple[RewardModel, ...]
    seed: int
    notes: tuple[str, ...]

    def expect(self, cluster: Ints, expected: Floats) -> Floats:
        """Expected reward of each slot given what stands above it, by the models that never saw the row's shopper.

        Args:
            cluster: Shopper of each row, (n,).
            expected: What `FoldModels.expect` said of the same slots, (n, ..., K); 0 at empty slots.

        Returns:
            (n, ..., K); what it says of empty slots means nothing.
        """
        made = np.empty(expected.shape)
        fold = folds(cluster, len(self.models), self.seed)
        for held, model in enumerate(self.models):
            rows = fold == held
            made[rows] = model.expect(above(expected[rows], model.is_logistic))
        return made


def fit_prefix(fitted: FoldModels, features: npt.NDArray[np.floating], reward: Floats, cluster: Ints) -> PrefixModels:
    """Fit on each complement of a fold of shoppers, upon the model of the same complement.

    Args:
        fitted: The reward models of the folds.
        features: Public features of the items in the logged slots, (N, K, F), as `fitted` was fitted on.
        reward: Reward of each slot, (N, K).
        cluster: Shopper of each row, (N,).
    """
    fold = folds(cluster, len(fitted.models), fitted.seed)
    models, notes = [], []
    for held, base in enumerate(fitted.models):
        rows = fold != held
        model, note = fit_linear(above(base.expect(features[rows]), base.is_logistic), reward[rows], base.is_logistic)
        models.append(model)
        if note:
            notes.append(f"fold {held + 1} of {len(fitted.models)}, given what stands above: {note}")
    return PrefixModels(tuple(models), fitted.seed, tuple(notes))


def above(expected: Floats, is_chance: bool) -> Floats:
    """What is known of each slot and those above it, (..., K) to (..., K, 4).

    For chances: the own logit, the log-chance that nothing above is rewarded, the chance of the one just above, and
    the first times the second. For amounts: the own, the sum above, the one just above, and the first times the
    second.
    """
    first = np.zeros((*expected.shape[:-1], 1))
    just = np.concatenate([first, expected[..., :-1]], axis=-1)
    if not is_chance:
        total = np.cumsum(just, axis=-1)
        return np.stack([expected, total, just, expected * total], axis=-1)
    chance = np.clip(expected, _SURE, 1.0 - _SURE)
    none = np.cumsum(np.log1p(-np.clip(just, 0.0, 1.0 - _SURE)), axis=-1)
    logit = np.log(chance) - np.log1p(-chance)
    return np.stack([logit, none, just, logit * none], axis=-1)
