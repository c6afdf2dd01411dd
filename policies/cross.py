"""A cross scorer: one network over a search and an item together.

It reads the features of the pair and small embeddings of the recognised words, of the item's columns and of the item
itself. A cross layer, x0 * (W x0 + b) + x0, gives all products of two inputs by one matrix; two ReLU layers follow
(Wang, Shivanna, Cheng, Jain, Lin, Hong and Chi, "DCN V2: improved deep and cross network", 2021). Log-odds of a click
when examined, trained by the position-based likelihood of clicks on shown slots. Right where what matters is a pair, as
a discount for the thrifty; dearer than two towers, for nothing of it can be made before the search is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from policies.id_tables import COLUMNS, IdTables, draw, linear
from policies.network_ranker import NetworkKind, RankingNet
from policies.position_based import click_cost, log_curve, set_scale
from policies.searches import Feedback, Searches
from simenv.catalogue import PublicCatalogue


class Cross(RankingNet):
    """The network and the examination curve."""

    def __init__(
        self,
        catalogue: PublicCatalogue,
        feature_names: tuple[str, ...],
        n_slots: int,
        settings: Mapping[str, Any],
        generator: torch.Generator,
    ) -> None:
        """Draw the weights.

        Args:
            catalogue: Public columns.
            feature_names: F of them.
            n_slots: K.
            settings: `dimension` of the embeddings and `hidden`, widths of the two layers.
            generator: Of the draws.
        """
        super().__init__("cross", n_slots)
        size, hidden, n_features = settings["dimension"], settings["hidden"], len(feature_names)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.tables = IdTables(catalogue, size, 0.3, generator)
        self.item_own = nn.Embedding(len(catalogue.category), 1)
        nn.init.zeros_(self.item_own.weight)
        n_in = n_features + 3 * size * len(COLUMNS)
        self.cross = nn.Linear(n_in, n_in)
        draw(self.cross.weight, 0.1 * n_in**-0.5, generator)
        nn.init.zeros_(self.cross.bias)
        self.first, self.second = linear(n_in, hidden[0], generator), linear(hidden[0], hidden[1], generator)
        self.head = nn.Linear(hidden[1], 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -2.0)

    def score(self, searches: Searches) -> Tensor:
        """Log-odds of a click when examined, (n, M)."""
        words, items = self.tables.words(searches.terms), self.tables.items(searches.item)  # (n, T, D), (n, M, T, D)
        asked = words[:, None].expand_as(items)
        x0 = torch.cat(
            [(searches.x - self.mean) / self.scale, *(part.flatten(2) for part in (asked, items, asked * items))], dim=2
        )
        crossed = x0 * self.cross(x0) + x0
        made: Tensor = self.head(torch.relu(self.second(torch.relu(self.first(crossed)))))
        return (made + self.item_own(searches.item))[..., 0]  # type: ignore[no-any-return]

    def cost(self, searches: Searches, feedback: Feedback) -> Tensor:
        """See `RankingNet.cost`."""
        return click_cost(self.score(searches), log_curve(self.examination), feedback.reward)

    def standardise(self, x: Tensor) -> None:
        """See `RankingNet.standardise`."""
        set_scale(self.mean, self.scale, x)

    def own(self) -> list[nn.Parameter]:
        """See `RankingNet.own`."""
        return list(self.item_own.parameters())


CROSS = NetworkKind("cross", {"dimension": 4, "hidden": [64, 32]}, Cross)
