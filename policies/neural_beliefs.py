"""What a trained network does not know about its own score: the posterior of its last layer, or a diagonal over all.

Both are computed afresh from the current network after each round of training; nothing stale is ever added to them.
A look at a slot counts by what it tells of the log-odds (`policies.position_based.information`): little where the slot
is hardly seen. Of a restored model the past searches are gone, and the precision that it was saved with stands for
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.click_training import ClickNet
from policies.examples import Examples, page_names
from policies.exploration.estimates import Estimates, Needs
from policies.kernels import diagonal, mlp
from policies.kernels.feedback import Tensors
from policies.linear_beliefs import named_noise
from policies.position_based import PositionBasedNet, information, slot_tensors
from simenv import hashing
from simenv.world import Page

ROWS = 2048  # searches whose features are on the device at once


class Belief(Protocol):
    """A network with what it does not know."""

    @property
    def net(self) -> ClickNet:
        """The network."""

    def learned(self, new: Examples) -> None:
        """The network took a step on new searches."""

    def refresh(self, kept: Examples, scale: float) -> None:
        """The network was trained on what is kept, each of which stands for `scale` searches."""

    def estimates(self, page: Page, x: Tensor, needs: Needs) -> Estimates:
        """Beliefs about the candidates of pages, with features x (N, C, F)."""

    def tensors(self) -> Tensors:
        """What a saved model holds beside the network."""

    def restore(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take it back; the network has its weights already.

        Raises:
            ValueError: for another shape.
        """


class LastLayer:
    """NeuralLinear: a Laplace approximation over the last layer's weights.

    Riquelme, Tucker and Snoek, "Deep Bayesian bandits showdown", 2018.

    Attributes:
        root: (H + 1, H + 1), the inverse of the precision's Cholesky factor: |root (phi, 1)| is the deviation of f.
    """

    def __init__(self, net: PositionBasedNet, settings: Mapping[str, Any]) -> None:
        """The prior; of the settings it reads `regularisation` and the `seed` of draws."""
        self.net, self.seed = net, settings["seed"]
        size = net.head.in_features + 1
        eye = torch.eye(size, dtype=torch.float64, device=net.head.weight.device)
        self._prior = settings["regularisation"] * eye
        self.root = (eye / settings["regularisation"] ** 0.5).float()

    def learned(self, new: Examples) -> None:
        """Nothing: the features have moved, and the next round computes the posterior afresh."""

    def refresh(self, kept: Examples, scale: float) -> None:
        """Precision: prior plus the sum of information times phi phi'; float64."""
        precision, device = self._prior.clone(), self._prior.device
        with torch.no_grad():
            shown_items = [torch.split(item, ROWS) for item in self.net.items_of(kept)]
            for part, (x, _, shown) in enumerate(_parts(kept, device)):
                phi = self.net.torso(x)
                logit = self.net.head(phi).squeeze(-1) + sum(self.net.item_effect(each[part]) for each in shown_items)
                weight = information(logit, self.net.log_examination()) * shown
                z = torch.cat([phi, phi.new_ones((*phi.shape[:-1], 1))], dim=-1).double().reshape(-1, len(precision))
                precision += scale * z.T @ (weight.double().reshape(-1, 1) * z)
            lower = torch.linalg.cholesky(precision)
            eye = torch.eye(len(lower), dtype=torch.float64, device=device)
            self.root = torch.linalg.solve_triangular(lower, eye, upper=False).float()

    def estimates(self, page: Page, x: Tensor, needs: Needs) -> Estimates:
        """See `Belief`. Draws are of the last layer's weights, so candidates move together."""
        weights, spread, draws = self.net.weights(), None, None
        if needs.spread:
            mean, spread = mlp.last_layer_beliefs(weights, self.root, x)
        else:
            mean = mlp.value(weights, x)
        if needs.n_draws:
            noise = named_noise(page_names(page, self.seed), 0, needs.n_draws, self.root)
            theta = torch.cat([weights.w3, weights.b3.reshape(1)]) + noise @ self.root
            draws = mlp.last_layer_draws(weights, theta, x)
        if self.net.item is not None:  # known for what it is: the posterior is that of the last layer
            effect = self.net.item_effect(torch.from_numpy(page.candidates).long().to(mean.device))
            mean, draws = mean + effect, None if draws is None else draws + effect[:, None]
        return as_estimates(page, mean, spread, draws)

    def tensors(self) -> Tensors:
        """See `Belief`."""
        return {"last_root": self.root.cpu().numpy()}

    def restore(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """See `Belief`."""
        held = tensors["last_root"]
        if held.shape != tuple(self.root.shape):
            raise ValueError(f"last_root is {held.shape}; expected {tuple(self.root.shape)}")
        self.root = torch.from_numpy(np.array(held)).to(self.root)
        inverse = torch.linalg.inv(self.root.double())
        self._prior = inverse @ inverse.T


class Diagonal:
    """NeuralUCB and NeuralTS: a diagonal precision over every weight of the network (`policies.kernels.diagonal`).

    Attributes:
        precision: (p,) float64, U = lambda + sum information g^2 / m. It grows when feedback arrives, never when a page
            is ranked.
    """

    def __init__(self, net: PositionBasedNet, settings: Mapping[str, Any]) -> None:
        """The prior; of the settings it reads `regularisation` (lambda) and the `seed` of draws."""
        self.net, self.seed = net, settings["seed"]
        self._prior = diagonal.no_squares(net.weights()) + settings["regularisation"]
        self.precision = self._prior

    def learned(self, new: Examples) -> None:
        """Add the gradients of new searches, at the network as it is now."""
        self.precision = self.precision + self._squares(new)

    def refresh(self, kept: Examples, scale: float) -> None:
        """All gradients anew, at the network as it is now."""
        self.precision = self._prior + scale * self._squares(kept)

    def estimates(self, page: Page, x: Tensor, needs: Needs) -> Estimates:
        """See `Belief`. Draws are independent by candidate, as in NeuralTS, and named by page and item."""
        mean, spread = diagonal.beliefs(self.net.weights(), self.precision, x)
        draws = None
        if needs.n_draws:
            named = hashing.absorb(page_names(page, self.seed)[:, None], np.arange(needs.n_draws))
            noise = hashing.normal(hashing.absorb(named[:, :, None], page.candidates[:, None, :]))
            draws = mean[:, None] + spread[:, None] * torch.from_numpy(noise).to(mean)
        return as_estimates(page, mean, spread if needs.spread else None, draws)

    def tensors(self) -> Tensors:
        """See `Belief`."""
        return {"precision": self.precision.cpu().numpy()}

    def restore(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """See `Belief`.

        Raises:
            ValueError: for another shape, or what is no precision.
        """
        held = tensors["precision"]
        if held.shape != tuple(self.precision.shape) or not (held > 0).all():
            raise ValueError(f"precision is {held.shape}; expected {tuple(self.precision.shape)} positive numbers")
        self._prior = torch.from_numpy(np.array(held)).to(self.precision)
        self.precision = self._prior

    def _squares(self, examples: Examples) -> Tensor:
        weights, curve = self.net.weights(), self.net.log_examination().detach()
        made = torch.zeros_like(self._prior)
        for x, _, shown in _parts(examples, self._prior.device):
            weight = information(mlp.value(weights, x), curve) * shown
            made += diagonal.squares(weights, x.reshape(-1, x.shape[-1]), weight.reshape(-1))
        return made


def as_estimates(page: Page, mean: Tensor, spread: Tensor | None, draws: Tensor | None) -> Estimates:
    """Tensors (N, C), (N, C) and (N, M, C) as estimates of a page's candidates."""
    return Estimates(
        mean.cpu().numpy(),
        page.candidates >= 0,
        None if spread is None else spread.cpu().numpy(),
        None if draws is None else draws.cpu().numpy(),
    )


def _parts(examples: Examples, device: torch.device) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Examples as tensors, a few at a time."""
    whole = slot_tensors(examples, torch.device("cpu"))
    for parts in zip(*(torch.split(each, ROWS) for each in whole), strict=True):
        x, reward, shown = (each.to(device) for each in parts)
        yield x, reward, shown
