"""Linear bandits that forget, that explore by Thompson sampling, and that keep a model for each category.

All model a click at slot k as `theta . x + effect_k + noise`, as `policies.linear` does, from the same kind of sums; a
search that is delivered twice counts once. `LinearThompson` shares theta among all items. `DisjointLinear` has a theta
for each category (disjoint LinUCB with the category as arm: Li et al., 2010): right where what makes an item clicked
differs by category, and hungry for feedback where it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.examples import Examples
from policies.exploration.by_vote import mixed_softmax
from policies.exploration.estimates import Estimates, Needs
from policies.features import FeatureMap
from policies.kernels.feedback import Feedback, Forgetting, Tensors
from policies.kernels.ridge import Posterior, posterior
from policies.linear_beliefs import beliefs
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.errors import UserError
from simenv.world import Page

DEFAULTS: dict[str, Any] = {
    "regularisation": 10.0, "half_life": None, "window": None, "seed": 0, "personal": True, "reader": None,
    "session": None,
}  # fmt: skip


class LinearThompson:
    """Thompson sampling over one shared theta, with exact propensities.

    The score is the log of the mean over M posterior draws of softmax(draw / temperature): the mixture scheme of
    `policies.exploration.by_vote`, whose floor the policy around it adds. So a policy over it has temperature 1.
    """

    kind = "linear-ts"

    def __init__(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> None:
        """Start from the prior.

        Args:
            catalogue: Public columns.
            n_slots: K.
            settings: `regularisation` lambda > 0; `half_life` in days or `window` in days for drift; `seed` of the
                draws; `personal` of `FeatureMap`; `n_draws` M; `temperature` of each draw's softmax; `scale` of the
                deviations, which is the standard deviation of the reward's noise where that is known.
        """
        own = {"n_draws": 8, "temperature": 0.01, "scale": 0.3}
        self.settings = chosen(self.kind, settings, DEFAULTS | own)
        self.feature_map = FeatureMap(catalogue, *(self.settings[name] for name in ("personal", "reader", "session")))
        self.n_slots, self.n_searches = n_slots, 0
        self.feedback = _feedback(self.settings, (1, len(self.feature_map.feature_names) + n_slots))
        self._arm = np.zeros(len(catalogue.category), dtype=np.int64)

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> LinearThompson:
        """Untrained, from the settings of a saved one or from defaults."""
        return LinearThompson(catalogue, n_slots, settings)

    def update(self, examples: Examples) -> None:
        """Learn from a batch of searches."""
        self.n_searches += learn_from(self.feedback, examples, None)

    def finish(self) -> None:
        """Nothing left to do: the sums are the model."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Log of the mixture's probabilities, finite; 0 at holes."""
        made = self.estimates(page, truth, Needs(n_draws=self.settings["n_draws"]))
        logp = mixed_softmax(made.draws_of(self.kind), made.here, self.settings["temperature"])
        return np.where(made.here, logp, 0.0).astype(np.float32)

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        """See `policies.exploration.estimates.Uncertain`."""
        belief = posterior(self.feedback.total(), self.settings["regularisation"])
        scaled = Posterior(belief.mean, belief.root * self.settings["scale"])
        return beliefs(self.feature_map, scaled, page, needs, self.settings["seed"], self._arm)

    def tensors(self) -> Tensors:
        """What a saved model holds."""
        return self.feedback.tensors() | {"n_searches": np.array(self.n_searches)}

    def restore(self, tensors: Tensors) -> None:
        """Take the state of a saved model of the same shape.

        Raises:
            ValueError: for another shape. RuntimeError: for sums that no examples have.
        """
        self.feedback.restore(tensors)
        self.n_searches = int(tensors["n_searches"].item())


class DisjointLinear:
    """A linear model for each category, with an upper confidence bound where alpha is above 0."""

    kind = "linear-disjoint"

    def __init__(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> None:
        """Start from the prior.

        Args:
            catalogue: Public columns; an item's arm is its category.
            n_slots: K.
            settings: As of `LinearThompson`, without its last three; `alpha`, the width of the bound in deviations.
        """
        self.settings = chosen(self.kind, settings, DEFAULTS | {"alpha": 0.0})
        self.feature_map = FeatureMap(catalogue, *(self.settings[name] for name in ("personal", "reader", "session")))
        self.n_slots, self.n_searches = n_slots, 0
        self.arm = np.unique(catalogue.category, return_inverse=True)[1].reshape(-1).astype(np.int64)
        size = len(self.feature_map.feature_names) + n_slots
        self.feedback = _feedback(self.settings, (int(self.arm.max()) + 1, size))

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> DisjointLinear:
        """Untrained, from the settings of a saved one or from defaults."""
        return DisjointLinear(catalogue, n_slots, settings)

    def update(self, examples: Examples) -> None:
        """Learn from a batch of searches.

        Raises:
            UserError: where the examples do not say which items were shown.
        """
        self.n_searches += learn_from(self.feedback, examples, self.arm)

    def finish(self) -> None:
        """Nothing left to do: the sums are the model."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """The item's part of the expected reward, plus alpha deviations of its estimate."""
        made = self.estimates(page, truth, Needs(spread=self.settings["alpha"] > 0))
        bonus = self.settings["alpha"] * made.spread_of(self.kind) if self.settings["alpha"] > 0 else 0.0
        return (made.scores + bonus).astype(np.float32)

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        """See `policies.exploration.estimates.Uncertain`."""
        belief = posterior(self.feedback.total(), self.settings["regularisation"])
        return beliefs(self.feature_map, belief, page, needs, self.settings["seed"], self.arm)

    def tensors(self) -> Tensors:
        """What a saved model holds."""
        return self.feedback.tensors() | {"n_searches": np.array(self.n_searches)}

    def restore(self, tensors: Tensors) -> None:
        """Take the state of a saved model of the same shape.

        Raises:
            ValueError: for another shape. RuntimeError: for sums that no examples have.
        """
        self.feedback.restore(tensors)
        self.n_searches = int(tensors["n_searches"].item())


def learn_from(feedback: Feedback, examples: Examples, arm: npt.NDArray[np.int64] | None) -> int:
    """Take examples into the sums, deliveries that were seen before left out; returns how many searches were new.

    Raises:
        UserError: where arms are told by item and the examples do not say which items were shown.
    """
    if examples.id is not None:
        examples = take(examples, feedback.unseen(examples.id))
    shown = examples.shown.reshape(-1)
    z, reward = slot_rows(examples)
    arms = None
    if arm is not None:
        if examples.item is None:
            raise UserError("a disjoint model needs to know which items were shown: Examples.item is missing.")
        arms = torch.from_numpy(arm[examples.item.reshape(-1)[shown]])
    days = None
    if examples.day is not None:
        days = torch.from_numpy(np.repeat(examples.day, examples.shown.shape[1])[shown].astype(np.float64))
    feedback.add(z, reward, arms, days)
    return len(examples)


def slot_rows(examples: Examples) -> tuple[Tensor, Tensor]:
    """Shown slots as rows (features, slot indicator), (m, F + K) float64, and their rewards (m,)."""
    shown, n_slots = examples.shown.reshape(-1), examples.shown.shape[1]
    slot = np.tile(np.eye(n_slots), (len(examples), 1))[shown]
    x = examples.features.reshape(len(shown), examples.features.shape[-1])[shown].astype(np.float64)
    reward = examples.reward.reshape(-1)[shown].astype(np.float64)
    return torch.from_numpy(np.concatenate([x, slot], axis=1)), torch.from_numpy(reward)


def _feedback(settings: Mapping[str, Any], shape: tuple[int, int]) -> Feedback:
    return Feedback(shape, Forgetting(settings["half_life"], settings["window"]))
