"""A ranking network as a learner: online one step a batch, from logs in rounds over what is kept, saved exactly.

What differs between rankers is the network (a `RankingNet`) and its settings; how it is fed, trained, scored and saved
is here, once. Networks that only read features are in `policies.neural`; these read ids too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policies.click_training import ClickTraining
from policies.examples import Examples
from policies.features import CHUNK, FeatureMap
from policies.kernels.feedback import Tensors
from policies.ranking import F32
from policies.searches import Feedback, Searches, from_tensors, of_page, tensors_of
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.world import Page

# learning_rate: of Adam. epochs: passes of `finish` over what is kept. memory: searches that are kept. seed: of weights
# and order. personal, reader, session: of `FeatureMap`. shrink: share of what an item has of its own that a step at the
# full rate takes away, for most items are shown a few times. weight_decay, batch: of `policies.click_training`.
DEFAULTS: dict[str, Any] = {
    "learning_rate": 2e-3, "epochs": 5, "memory": 200_000, "seed": 0, "personal": True, "shrink": 0.005,
    "weight_decay": 0.0, "batch": 256, "reader": None, "session": None,
}  # fmt: skip


class RankingNet(nn.Module, ABC):
    """What scores items and knows how likely what happened is; satisfies `policies.click_training.ClickNet`.

    Attributes:
        kind: Its name in POLICIES.
        examination: What the examination curve is made of, (K - 1,) or as the network defines it.
    """

    def __init__(self, kind: str, n_slots: int) -> None:
        """With an examination of a half at every slot but the first."""
        super().__init__()
        self.kind = kind
        self.examination = nn.Parameter(torch.zeros(n_slots - 1))

    @abstractmethod
    def score(self, searches: Searches) -> Tensor:
        """Scores (n, M), higher is better."""

    @abstractmethod
    def cost(self, searches: Searches, feedback: Feedback) -> Tensor:
        """Negative log-likelihood of each slot, (n, K)."""

    @abstractmethod
    def standardise(self, x: Tensor) -> None:
        """Set what features are standardised by, from examples (n, F)."""

    @abstractmethod
    def own(self) -> list[nn.Parameter]:
        """What each item has of its own, which is shrunk to 0."""

    def batch(self, kept: Examples) -> tuple[Tensor, ...]:
        """What `loss` is asked for, on the network's device."""
        return tensors_of(self.kind, kept, self.examination.device)

    def loss(self, *batch: Tensor) -> Tensor:
        """Mean cost of a shown slot."""
        searches, feedback = from_tensors(batch)
        return (self.cost(searches, feedback) * feedback.shown).sum() / feedback.shown.sum().clamp(min=1)


@dataclass(frozen=True)
class NetworkKind:
    """One of these rankers.

    Attributes:
        kind: Its name in POLICIES.
        own: Its settings beside DEFAULTS, with their defaults.
        build: Makes the untrained network from the catalogue, the names of F features, K, the settings and a CPU
            generator.
    """

    kind: str
    own: Mapping[str, Any]
    build: Callable[[PublicCatalogue, tuple[str, ...], int, Mapping[str, Any], torch.Generator], RankingNet]

    def empty(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> NetworkRanker:
        """Untrained, from the settings of a saved one or from defaults; `device` is a torch device.

        Raises:
            UserError: for a setting that it does not have.
        """
        return NetworkRanker(self, catalogue, n_slots, settings)


class NetworkRanker:
    """A network that learns from shown slots.

    Attributes:
        kind: Its name in POLICIES.
        settings: What it was made with, without the device.
        net: The network.
        n_searches: How many searches it has learned from; a second delivery of one does not count.
    """

    def __init__(
        self, kind: NetworkKind, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]
    ) -> None:
        """See `NetworkKind.empty`."""
        self.kind = kind.kind
        self.settings = chosen(kind.kind, settings, DEFAULTS | dict(kind.own))
        self.device = torch.device(settings.get("device", "cpu"))
        seen = (self.settings[name] for name in ("personal", "reader", "session"))
        self.feature_map = FeatureMap(catalogue, *seen).to(self.device)
        generator = torch.Generator().manual_seed(self.settings["seed"])
        net = kind.build(catalogue, self.feature_map.feature_names, n_slots, self.settings, generator)
        self.net = net.to(self.device)
        self.training = ClickTraining(self.net, self.settings, generator, with_pages=True)
        self.n_searches = 0

    def update(self, examples: Examples) -> None:
        """Keep a batch of searches, and take one optimiser step on it."""
        self.n_searches += len(self.training.learn(examples))

    def finish(self) -> None:
        """Train on everything kept, in random order."""
        self.training.round()

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Scores (N, C) of the network."""
        made = []
        with torch.no_grad():
            for first in range(0, max(len(page), 1), CHUNK):
                part = of_page(self.feature_map, take(page, slice(first, first + CHUNK)), self.device)
                made.append(self.net.score(part).cpu().numpy())
        return np.concatenate(made)

    def tensors(self) -> Tensors:
        """What a saved model holds: the weights, and which deliveries are in them; not the examples."""
        weights: Tensors = {name: value.cpu().numpy() for name, value in self.net.state_dict().items()}
        return weights | {"n_searches": np.array(self.n_searches), "delivered": self.training.replay.delivered}

    def restore(self, tensors: Tensors) -> None:
        """Take the weights of a saved model of the same shape; the searches that it has seen are not in it.

        Raises:
            KeyError: where a count is missing. RuntimeError: for weights of another shape.
        """
        held = dict(tensors)
        n_searches, delivered = int(held.pop("n_searches").item()), np.array(held.pop("delivered"), dtype=np.uint64)
        self.net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in held.items()})
        self.n_searches, self.training.replay.delivered = n_searches, delivered
        self.training.is_scaled = n_searches > 0
