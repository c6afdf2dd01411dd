"""A logistic bandit over shown slots: the odds of a click are linear in the features, with a Laplace posterior.

A click at slot k has log-odds `theta . x + effect_k`. `update` takes one Laplace step from the posterior so far, which
is learning as it goes and depends a little on the batches; `finish` fits everything kept from the first prior, which
does not depend on the order. Ranks by the item's part. Chapelle and Li, "An empirical evaluation of Thompson sampling",
2011; explore by its posterior with `policies.exploration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from policies.examples import Examples
from policies.exploration.estimates import Estimates, Needs
from policies.features import FeatureMap
from policies.kernels.feedback import Tensors, first_deliveries
from policies.kernels.logistic import as_posterior, laplace
from policies.kernels.ridge import Posterior
from policies.linear_beliefs import beliefs
from policies.linear_family import slot_rows
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.world import Page


class LogisticBandit:
    """Shared-parameter logistic regression with a full posterior.

    Attributes:
        mean: (P,) float64, P = features and slots.
        precision: (P, P) float64.
        n_searches: How many searches it has learned from; a second delivery of one does not count.
    """

    kind = "logistic"

    def __init__(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> None:
        """Start from the prior.

        Args:
            catalogue: Public columns.
            n_slots: K.
            settings: `regularisation` > 0, the prior precision of every weight; `alpha`, the width of the bound in
                deviations of the log-odds (0 = none); `seed` of posterior draws; `personal` of
                `FeatureMap`.
        """
        defaults = {"regularisation": 1.0, "alpha": 0.0, "seed": 0, "personal": True, "reader": None, "session": None}
        self.settings: dict[str, Any] = chosen(self.kind, settings, defaults)
        own = (self.settings[name] for name in ("personal", "reader", "session"))
        self.feature_map, self.n_searches = FeatureMap(catalogue, *own), 0
        size = len(self.feature_map.feature_names) + n_slots
        self.prior = torch.zeros(size, dtype=torch.float64), self.settings["regularisation"] * torch.eye(size).double()
        self.mean, self.precision = self.prior
        self.kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._delivered = np.empty(0, dtype=np.uint64)
        self._arm = np.zeros(len(catalogue.category), dtype=np.int64)

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> LogisticBandit:
        """Untrained, from the settings of a saved one or from defaults."""
        return LogisticBandit(catalogue, n_slots, settings)

    def update(self, examples: Examples) -> None:
        """Learn from a batch of searches, and keep it for `finish`."""
        if examples.id is not None:
            new = first_deliveries(examples.id, self._delivered)
            self._delivered = np.union1d(self._delivered, examples.id)
            examples = take(examples, new)
        z, reward = slot_rows(examples)
        self.n_searches += len(examples)
        if len(z):
            self.kept.append((z.float(), reward.float()))
            self.mean, self.precision = laplace(z, reward, self.mean, self.precision)

    def finish(self) -> None:
        """Fit everything kept at once, from the first prior; a restored model has kept nothing and stays."""
        if self.kept:
            z, reward = (torch.cat(parts) for parts in zip(*self.kept, strict=True))
            self.mean, self.precision = laplace(z, reward, *self.prior)

    def score(self, page: Page, truth: Truth | None) -> F32:
        """The item's part of the log-odds of a click, plus alpha deviations of its estimate."""
        alpha = self.settings["alpha"]
        made = self.estimates(page, truth, Needs(spread=alpha > 0))
        return (made.scores + (alpha * made.spread_of(self.kind) if alpha > 0 else 0.0)).astype(np.float32)

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        """See `policies.exploration.estimates.Uncertain`."""
        own = as_posterior(self.mean, self.precision)
        stacked = Posterior(own.mean[None], own.root[None])
        return beliefs(self.feature_map, stacked, page, needs, self.settings["seed"], self._arm)

    def tensors(self) -> Tensors:
        """What a saved model holds: the posterior and which deliveries are in it; not the examples."""
        return {
            "mean": self.mean.numpy(),
            "precision": self.precision.numpy(),
            "delivered": self._delivered,
            "n_searches": np.array(self.n_searches),
        }

    def restore(self, tensors: Tensors) -> None:
        """Take the posterior of a saved model of the same shape; what it learns next starts from there.

        Raises:
            ValueError: for another shape. RuntimeError: for a precision that is none.
        """
        for name, own in (("mean", self.mean), ("precision", self.precision)):
            if tensors[name].shape != tuple(own.shape):
                raise ValueError(f"{name} has shape {tensors[name].shape}; expected {tuple(own.shape)}")
        held = [torch.from_numpy(np.array(tensors[name], dtype=np.float64)) for name in ("mean", "precision")]
        torch.linalg.cholesky(held[1])
        self.mean, self.precision = held[0], held[1]
        self.prior = self.mean, self.precision
        self._delivered = np.array(tensors["delivered"], dtype=np.uint64)
        self.n_searches = int(tensors["n_searches"].item())
