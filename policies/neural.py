"""The neural bandits for slates: one learner, and four ways to know what it has not seen.

A position-based network (`policies.position_based`) is trained on clicks (`policies.click_training`); a belief
(`policies.neural_beliefs`, `policies.neural_ensemble`) says how sure it is. What ranks is f plus alpha deviations, or,
where a kind has `n_draws`, the log of the mean over draws of softmax(draw / temperature): Thompson sampling by the
mixture of `policies.exploration.by_vote`, whose floor the policy around it adds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from policies.click_training import ClickTraining
from policies.examples import Examples
from policies.exploration.by_vote import mixed_softmax
from policies.exploration.estimates import Estimates, Needs
from policies.features import CHUNK, FeatureMap, page_tensors
from policies.kernels.feedback import Tensors
from policies.neural_beliefs import Belief, Diagonal, LastLayer
from policies.neural_ensemble import EnsembleNet, Members
from policies.position_based import PositionBasedNet
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import join, take
from simenv.decision import Truth
from simenv.world import Page

# hidden: widths of the two hidden layers. learning_rate: of Adam. epochs: passes of `finish` over what is kept.
# memory: searches that are kept. seed: of weights, order and draws. personal, reader, session: of `FeatureMap`. Of the
# kinds: regularisation: lambda, the prior precision. alpha: width of the bound in deviations. n_draws, temperature: of
# the mixture. scale: of its deviations. n_members: of the ensemble. weight_decay, batch, shrink: of
# `policies.click_training`. item_effects: whether each item adds something of its own to f.
DEFAULTS: dict[str, Any] = {
    "hidden": (64, 32), "learning_rate": 2e-3, "epochs": 5, "memory": 200_000, "seed": 0, "personal": True,
    "reader": None, "session": None,
    "weight_decay": 0.0, "batch": 256, "shrink": 0.005,
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What a network is made for."""

    n_features: int
    n_slots: int
    n_items: int
    device: torch.device


@dataclass(frozen=True)
class NeuralKind:
    """One of the family.

    Attributes:
        kind: Its name in POLICIES.
        own: Its settings beside DEFAULTS, with their defaults.
        build: Makes the untrained network and its belief, from the shape, the settings and a CPU generator.
    """

    kind: str
    own: Mapping[str, Any]
    build: Callable[[Shape, Mapping[str, Any], torch.Generator], Belief]

    def empty(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> NeuralBandit:
        """Untrained, from the settings of a saved one or from defaults; `device` is a torch device.

        Raises:
            UserError: for a setting that it does not have.
        """
        return NeuralBandit(self, catalogue, n_slots, settings)


class NeuralBandit:
    """A neural bandit that learns online (`update` trains as it goes) and from logs (`update`, then `finish`).

    Attributes:
        settings: What it was made with, without the device.
        belief: The network and what it does not know.
        net: The network alone.
        n_searches: How many searches it has learned from; a second delivery of one does not count.
    """

    def __init__(self, kind: NeuralKind, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> None:
        """See `NeuralKind.empty`."""
        self.kind = kind.kind
        self.settings = chosen(kind.kind, settings, DEFAULTS | dict(kind.own))
        self.settings["hidden"] = list(self.settings["hidden"])
        self.device = torch.device(settings.get("device", "cpu"))
        own = (self.settings[name] for name in ("personal", "reader", "session"))
        self.feature_map = FeatureMap(catalogue, *own).to(self.device)
        generator = torch.Generator().manual_seed(self.settings["seed"])
        shape = Shape(len(self.feature_map.feature_names), n_slots, len(catalogue.price), self.device)
        self.belief = kind.build(shape, self.settings, generator)
        self.net = self.belief.net
        self.training = ClickTraining(self.net, self.settings, generator)
        self.n_searches = 0

    def update(self, examples: Examples) -> None:
        """Keep a batch of searches, and take one optimiser step on it."""
        new = self.training.learn(examples)
        if len(new):
            self.belief.learned(new)
        self.n_searches += len(new)

    def finish(self) -> None:
        """Train on everything kept, in random order; then compute what the network does not know afresh."""
        kept = self.training.round()
        if kept is not None:
            self.belief.refresh(kept, self.training.replay.scale())

    def score(self, page: Page, truth: Truth | None) -> F32:
        """What ranks, see the module; finite, and 0 at holes where draws are mixed."""
        if "n_draws" in self.settings:
            made = self.estimates(page, truth, Needs(n_draws=self.settings["n_draws"]))
            scaled = made.scores[:, None] + self.settings["scale"] * (made.draws_of(self.kind) - made.scores[:, None])
            logp = mixed_softmax(scaled, made.here, self.settings["temperature"])
            return np.where(made.here, logp, 0.0).astype(np.float32)
        alpha = self.settings["alpha"]
        made = self.estimates(page, truth, Needs(spread=alpha > 0))
        return (made.scores + (alpha * made.spread_of(self.kind) if alpha > 0 else 0.0)).astype(np.float32)

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        """Log-odds of a click when examined; see `policies.exploration.estimates.Uncertain`."""
        made = []
        with torch.no_grad():
            for first in range(0, max(len(page), 1), CHUNK):
                part = take(page, slice(first, first + CHUNK))
                x = self.feature_map(page_tensors(part, self.device))
                made.append(self.belief.estimates(part, x, needs))
        return join(made)

    def tensors(self) -> Tensors:
        """What a saved model holds: the weights, what they do not know, and which deliveries are in them."""
        weights: Tensors = {name: value.cpu().numpy() for name, value in self._module().state_dict().items()}
        counted: Tensors = {"n_searches": np.array(self.n_searches), "delivered": self.training.replay.delivered}
        return weights | self.belief.tensors() | counted

    def restore(self, tensors: Tensors) -> None:
        """Take the state of a saved model of the same shape; the searches that it has seen are not in it.

        Raises:
            ValueError: for another shape of the belief; torch raises `RuntimeError` for the weights.
        """
        held = dict(tensors)
        self.n_searches = int(held.pop("n_searches").item())
        self.training.is_scaled = self.n_searches > 0
        self.training.replay.delivered = np.array(held.pop("delivered"), dtype=np.uint64)
        believed = {name: held.pop(name) for name in self.belief.tensors()}
        self.belief.restore(believed)
        self._module().load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in held.items()})

    def _module(self) -> nn.Module:
        return cast(nn.Module, self.net)


def _position_based(shape: Shape, settings: Mapping[str, Any], generator: torch.Generator) -> PositionBasedNet:
    hidden = settings["hidden"]
    n_items = shape.n_items if settings.get("item_effects") else 0
    net = PositionBasedNet(shape.n_features, shape.n_slots, (hidden[0], hidden[1]), generator, n_items)
    return net.to(shape.device)


def _ensemble(shape: Shape, settings: Mapping[str, Any], generator: torch.Generator) -> Members:
    net = EnsembleNet(shape.n_features, shape.n_slots, settings, generator)
    return Members(net.to(shape.device))


NEURAL_LINEAR = NeuralKind(
    "neural-linear",
    {"alpha": 0.0, "regularisation": 1.0, "item_effects": False},
    lambda shape, settings, generator: LastLayer(_position_based(shape, settings, generator), settings),
)
NEURAL_UCB = NeuralKind(
    "neural-ucb",
    {"alpha": 1.0, "regularisation": 1.0},
    lambda shape, settings, generator: Diagonal(_position_based(shape, settings, generator), settings),
)
NEURAL_TS = NeuralKind(
    "neural-ts",
    {"n_draws": 8, "temperature": 0.1, "scale": 1.0, "regularisation": 1.0},
    lambda shape, settings, generator: Diagonal(_position_based(shape, settings, generator), settings),
)
ENSEMBLE = NeuralKind("ensemble", {"alpha": 0.0, "n_members": 10}, _ensemble)
