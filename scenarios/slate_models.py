"""The models that columns of evidence on slates are filled from, fitted once for all targets.

One reward model knows a slot's item and place, one corrects it by what stands above, and a click model is fitted only
where it is asked for. All are cross-fitted by the same split of shoppers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import fit_folds
from offpolicy.slates.click_model import PositionModels, fit_click_models
from offpolicy.slates.prefix_model import PrefixModels, fit_prefix

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]  # (n, K, F)


class SlotModels(Protocol):
    """Reward models of slots, none of which speaks of a shopper that it was fitted on."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""

    def expect(self, cluster: I64, features: npt.NDArray[np.floating], slot: int | None = None) -> F64:
        """Expected reward of slots; arguments and shapes as `offpolicy.reward_model.FoldModels.expect`."""


@dataclass(frozen=True)
class SlateModels:
    """Reward models; `prefix` is None where they know the past alone, `clicks` where no estimator asks for it."""

    slot: SlotModels
    prefix: PrefixModels | None = None
    clicks: PositionModels | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        return (*self.slot.notes, *(() if self.prefix is None else self.prefix.notes))


@dataclass(frozen=True)
class Expected:
    """What the models expect of the slots of some slates, 0 at empty ones.

    slot: by item and place, (n, K). prefix: by what stands there and above, (n, K). clicks: by the click model, (n, K).
    NaN where there is no such model.
    """

    slot: F64
    prefix: F64
    clicks: F64


def fit_models(
    features: Features, reward: F64, shopper: I64, n_folds: int, seed: int, *, want_clicks: bool
) -> SlateModels:
    """Fit all models on logged slots: features (N, K, F), rewards (N, K), shopper (N,).

    Raises:
        UserError: where shoppers are too few, or rewards are no clicks and a click model is wanted.
    """
    slot = fit_folds(features, reward, shopper, n_folds, seed)
    clicks = fit_click_models(features, reward, shopper, n_folds, seed) if want_clicks else None
    return SlateModels(slot, fit_prefix(slot, features, reward, shopper), clicks)


def expect(models: SlateModels, shopper: I64, features: Features, is_filled: npt.NDArray[np.bool_]) -> Expected:
    """What the models expect of slates with these features (n, K, F), by models that never saw the shopper."""
    slot = models.slot.expect(shopper, features) * is_filled
    absent = np.full(slot.shape, np.nan)
    return Expected(
        slot,
        absent if models.prefix is None else models.prefix.expect(shopper, slot) * is_filled,
        absent if models.clicks is None else models.clicks.expect(shopper, features) * is_filled,
    )
