"""A trained SlateQ as a scorer of searches: what is saved, loaded, logged and judged like any other learner.

It needs torch, and neither Ray nor the market that it learned in. Its scores are an optimiser's answer to the learned
choice and values, standardised by page; `RankingPolicy` makes Plackett-Luce slates of them, at temperature 0 the
optimiser's slate itself, and otherwise slates with exact log-probabilities.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from policies.examples import Examples
from policies.features import CHUNK, page_tensors
from policies.ranking import F32
from policies.rllib.slate_optimisers import optimiser
from policies.rllib.slateq_loss import slate_scores
from policies.settings import chosen
from policies.slateq_net import SearchPages, Shape, SlateValues
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.errors import UserError
from simenv.world import Page


class SlateQScorer:
    """SlateQ's networks over search pages, as a `policies.ranking.Scorer`."""

    kind = "slateq"

    def __init__(
        self, catalogue: PublicCatalogue, n_slots: int, hidden: int = 64, seed: int = 0, serve: str = "optimal"
    ) -> None:
        """Untrained weights; `restore` or a training run puts in better ones.

        Args:
            catalogue: Public columns.
            n_slots: K.
            hidden: Width of the networks.
            seed: Of the weights.
            serve: Who picks the slates: a name of `policies.rllib.slate_optimisers.OPTIMISERS`.
        """
        optimiser(serve)  # refuses an unknown name
        self.settings: dict[str, Any] = {"hidden": hidden, "seed": seed, "serve": serve}
        self.pages = SearchPages(catalogue)
        self.feature_map = self.pages.feature_map
        shape = Shape(self.pages.n_items, self.pages.n_context, n_slots, hidden, falls=True)
        self.net = SlateValues(shape, torch.Generator().manual_seed(seed))
        self.n_searches = 0

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> SlateQScorer:
        """Untrained, from the settings of a saved one or from defaults."""
        own = chosen("slateq", settings, {"hidden": 64, "seed": 0, "serve": "optimal"})
        return SlateQScorer(catalogue, n_slots, own["hidden"], own["seed"], own["serve"])

    def update(self, examples: Examples) -> None:
        """Refused: SlateQ learns from pages and what followed them."""
        raise UserError(
            "policy 'slateq' learns by playing in a market, not from shown slots; train it with "
            "slatelab train SCENARIO --policy slateq, or policies.rllib.slateq_train.train_slateq."
        )

    def finish(self) -> None:
        """Nothing left to do: training ends with the last update."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Standardised scores of the candidates (N, C), -inf at holes.

        In float64: what a candidate is worth above the slate is a small difference of large values, and must not depend
        on the rows beside it.
        """
        made, net = [], copy.deepcopy(self.net).double()
        with torch.no_grad():
            for first in range(0, len(page), CHUNK):
                features = self.pages(page_tensors(take(page, slice(first, first + CHUNK))), torch.float64)
                made.append(slate_scores(net.worth(features), self.settings["serve"]).numpy())
        return np.concatenate(made)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a saved model holds."""
        weights: dict[str, npt.NDArray[np.generic]] = {
            name: value.cpu().numpy().copy() for name, value in self.net.state_dict().items()
        }
        return weights | {"n_searches": np.array(self.n_searches)}

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take the weights of a saved model of the same shape."""
        held = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        self.n_searches = int(held.pop("n_searches"))
        self.net.load_state_dict(held)
