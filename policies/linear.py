"""A linear contextual bandit over shown slots: ridge regression with an upper confidence bound.

A click at slot k is modelled as `theta . x + effect_k + noise`: what the slot adds is learned beside what the item
adds, and only the item's part ranks. Sufficient statistics are sums, so the order of feedback and the size of its
batches do not matter. Exploration is the bound (Li, Chu, Langford and Schapire, "A contextual-bandit approach to
personalized news article recommendation", 2010) inside a Plackett-Luce policy, whose propensities are exact.

Right where clicks are near linear in the features; the additive slot effect is a first-order stand-in for
examination, which multiplies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from policies.examples import Examples
from policies.exploration.estimates import Estimates, Needs
from policies.features import CHUNK, FeatureMap, page_tensors
from policies.kernels.feedback import first_deliveries
from policies.kernels.ridge import Posterior
from policies.linear_beliefs import beliefs
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.world import Page


class LinearBandit:
    """Shared-parameter LinUCB for slates.

    Attributes:
        precision: (P, P) float64, lambda I plus the sum of z z', where z is (features, slot indicator).
        moment: (P,) float64, the sum of z times the reward.
        n_searches: How many searches it has learned from; a second delivery of one does not count.
    """

    kind = "linear"

    def __init__(
        self,
        catalogue: PublicCatalogue,
        n_slots: int,
        regularisation: float = 10.0,
        alpha: float = 0.0,
        personal: bool = True,
        reader: str | Mapping[str, Any] | None = None,
        session: str | Mapping[str, Any] | None = None,
    ) -> None:
        """Start from the prior.

        Args:
            catalogue: Public columns.
            n_slots: K.
            regularisation: lambda, > 0, the prior precision of every weight.
            alpha: Width of the confidence bound in standard deviations of the estimate (0 = no bonus).
            personal: See `FeatureMap`.
            reader: See `FeatureMap`.
            session: See `FeatureMap`.
        """
        self.feature_map = FeatureMap(catalogue, personal, reader, session)
        self.n_features, self.n_slots = len(self.feature_map.feature_names), n_slots
        self.settings: dict[str, Any] = {
            "regularisation": regularisation, "alpha": alpha, "personal": personal, "reader": reader,
            "session": session,
        }  # fmt: skip
        self.alpha = alpha
        size = self.n_features + n_slots
        self.precision = regularisation * np.eye(size)
        self.moment = np.zeros(size)
        self.n_searches = 0
        self._delivered = np.empty(0, dtype=np.uint64)

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> LinearBandit:
        """Untrained, from the settings of a saved one or from defaults. Nothing is random: a seed is ignored."""
        defaults = {"regularisation": 10.0, "alpha": 0.0, "personal": True, "reader": None, "session": None}
        own = chosen("linear", settings, defaults)
        return LinearBandit(catalogue, n_slots, **own)

    def update(self, examples: Examples) -> None:
        """Learn from a batch of searches."""
        if examples.id is not None:
            new = first_deliveries(examples.id, self._delivered)
            self._delivered = np.union1d(self._delivered, examples.id)
            examples = examples if new.all() else take(examples, new)
        if not len(examples):
            return
        shown = examples.shown.reshape(-1)
        slot = np.tile(np.eye(self.n_slots), (len(examples), 1))
        z = np.concatenate([examples.features.reshape(len(slot), -1).astype(np.float64), slot], axis=1)[shown]
        self.precision += z.T @ z
        self.moment += z.T @ examples.reward.reshape(-1)[shown].astype(np.float64)
        self.n_searches += len(examples)

    def finish(self) -> None:
        """Nothing left to do: the statistics are the model."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """The item's part of the expected reward, plus alpha standard deviations of its estimate."""
        theta, root = self.posterior()
        weights = torch.from_numpy(theta[: self.n_features].astype(np.float32))
        spread = torch.from_numpy(root[:, : self.n_features].astype(np.float32))
        made = []
        with torch.no_grad():
            for first in range(0, len(page), CHUNK):
                x = self.feature_map(page_tensors(take(page, slice(first, first + CHUNK))))
                value = x @ weights
                if self.alpha:
                    value += self.alpha * torch.linalg.vector_norm(x @ spread.T, dim=2)
                made.append(value.numpy())
        return np.concatenate(made)

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        """What it believes without the bound, see `policies.exploration.estimates.Uncertain`."""
        theta, root = self.posterior()
        own = Posterior(torch.from_numpy(theta)[None], torch.from_numpy(root)[None])
        return beliefs(self.feature_map, own, page, needs, 0, np.zeros(1, dtype=np.int64))

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a saved model holds."""
        return {
            "precision": self.precision,
            "moment": self.moment,
            "n_searches": np.array(self.n_searches),
            "delivered": self._delivered,
        }

    def restore(self, tensors: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take the state of a saved model of the same shape.

        Raises:
            ValueError: for another shape, or numbers that are no statistics.
        """
        for name, own in (("precision", self.precision), ("moment", self.moment)):
            if tensors[name].shape != own.shape:
                raise ValueError(f"{name} has shape {tensors[name].shape}; expected {own.shape}")
        precision = np.array(tensors["precision"], dtype=np.float64)
        np.linalg.cholesky(precision)  # refuses what is not positive definite
        self.precision = precision
        self.moment = np.array(tensors["moment"], dtype=np.float64)
        self.n_searches = int(tensors["n_searches"].item())
        self._delivered = np.array(tensors["delivered"], dtype=np.uint64)

    def posterior(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The estimate (P,) and L^-1 (P, P), with precision = L L', so that |L^-1 z| is the deviation of z."""
        lower = np.linalg.cholesky(self.precision)
        inverse = np.linalg.solve(lower, np.eye(len(lower)))
        return inverse.T @ (inverse @ self.moment), inverse
