"""A bootstrapped ensemble of position-based networks: what its members disagree on, it does not know.

Members start from weights of their own and count each search by their own bootstrap; they are trained in one batched
network, where no member's gradient depends on another's. The literature is with `policies.kernels.ensemble`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from policies.examples import Examples
from policies.exploration.estimates import Estimates, Needs
from policies.kernels import ensemble
from policies.kernels.feedback import Tensors
from policies.kernels.mlp import Weights
from policies.neural_beliefs import as_estimates
from policies.position_based import click_cost, log_curve, set_scale, slot_tensors
from simenv.errors import UserError
from simenv.world import Page


class EnsembleNet(nn.Module):
    """M networks and their examination curves, with a leading axis M on every weight."""

    def __init__(self, n_features: int, n_slots: int, settings: Mapping[str, Any], generator: torch.Generator) -> None:
        """Weights from the given generator, by He's rule; the heads too, so that members differ from the start.

        Args:
            n_features: F.
            n_slots: K.
            settings: `n_members` M, widths `hidden`, and the `seed` of the bootstrap.
            generator: A CPU generator.

        Raises:
            UserError: for an ensemble of nobody.
        """
        super().__init__()
        m, (one, two) = settings["n_members"], settings["hidden"]
        if m < 1:
            raise UserError(f"n_members is {m}; expected 1 or more.")
        self.n_members, self.seed = m, settings["seed"]
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(m, *shape, generator=generator) * (2.0 / shape[-1]) ** 0.5)

        self.w1, self.b1 = drawn(one, n_features), nn.Parameter(torch.zeros(m, one))
        self.w2, self.b2 = drawn(two, one), nn.Parameter(torch.zeros(m, two))
        self.w3, self.b3 = drawn(two), nn.Parameter(torch.full((m,), -2.0))
        self.examination = nn.Parameter(torch.zeros(m, n_slots - 1))

    def weights(self) -> Weights:
        """The numbers as kernels take them; they share memory with the network's."""
        layers = (self.w1, self.b1, self.w2, self.b2, self.w3, self.b3)
        return Weights(self.mean, self.scale, *(each.detach() for each in layers))

    def own(self) -> list[nn.Parameter]:
        """Nothing: items are known by their features."""
        return []

    def standardise(self, x: Tensor) -> None:
        """Set what features are standardised by, from examples (n, F)."""
        set_scale(self.mean, self.scale, x)

    def batch(self, kept: Examples) -> tuple[Tensor, ...]:
        """What `loss` is asked for: also how often each member counts a search, (n, M)."""
        n, names = len(kept), kept.id
        if names is None:
            raise UserError("an ensemble tells searches apart by their names: Examples.id is missing.")
        counts = ensemble.bootstrap_counts(names, self.n_members, self.seed).reshape(n, self.n_members)
        return (*slot_tensors(kept, self.mean.device), torch.from_numpy(counts).to(self.mean.device))

    def loss(self, x: Tensor, reward: Tensor, shown: Tensor, count: Tensor) -> Tensor:
        """Sum over members of the mean negative log-likelihood of a shown slot, each search as often as it counts."""
        net = Weights(self.mean, self.scale, self.w1, self.b1, self.w2, self.b2, self.w3, self.b3)
        logit = ensemble.rows(net, x.reshape(-1, x.shape[-1])).view(self.n_members, *reward.shape)
        cost = click_cost(logit, log_curve(self.examination).unsqueeze(1), reward)  # (M, n, K)
        return (cost * shown * count.T.unsqueeze(-1)).sum() / shown.sum().clamp(min=1)


class Members:
    """The ensemble as a belief: its mean, the deviation of its members, and the members as draws."""

    def __init__(self, net: EnsembleNet) -> None:
        """Over a network."""
        self.net = net

    def learned(self, new: Examples) -> None:
        """Nothing: the members are the belief."""

    def refresh(self, kept: Examples, scale: float) -> None:
        """Nothing: the members are the belief."""

    def estimates(self, page: Page, x: Tensor, needs: Needs) -> Estimates:
        """See `policies.neural_beliefs.Belief`. Draw d is member d, and where there are more draws they come in turn.

        So a vote of as many draws as members has each member's vote once.
        """
        values = ensemble.values(self.net.weights(), x)
        spread = values.std(dim=1, correction=0) if needs.spread else None
        draws = values[:, np.arange(needs.n_draws) % self.net.n_members] if needs.n_draws else None
        return as_estimates(page, values.mean(dim=1), spread, draws)

    def tensors(self) -> Tensors:
        """Nothing beside the network."""
        return {}

    def restore(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Nothing beside the network."""
