"""Two towers: a vector for the search and its shopper, one for each item, and their product as the score.

log-odds of a click when examined = <q(words, locale, device, past), v(item)> + b(item) + c(search). Only the first two
parts rank. The vectors of all items are one table (`TwoTower.item_table`), made once; a shared set of candidates is
then scored by a single matrix product, which is what makes it fast, and what it cannot do is look at a pair: today's
discount and the engine's rank are not in it. Trained by the position-based likelihood of clicks on shown slots
(`policies.position_based`). After Huang, He, Gao, Deng, Acero and Heck, "Learning deep structured semantic models for
web search using clickthrough data", 2013; the wide products of raw columns beside the towers make words match items
from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policies.features import N_DEVICES, N_LOCALES
from policies.id_tables import COLUMNS, IdTables, draw, linear
from policies.network_ranker import NetworkKind, RankingNet
from policies.position_based import click_cost, log_curve
from policies.searches import Feedback, Searches
from simenv.catalogue import PublicCatalogue


class TwoTower(RankingNet):
    """Both towers and the examination curve."""

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
            feature_names: Of pairs, which towers do not read.
            n_slots: K.
            settings: `dimension` D of what the towers make, `word_dimension` of ids, `hidden` width of each tower,
                `item_ids` whether items have vectors of their own beside those of their columns, `personal`.
            generator: Of the draws.
        """
        super().__init__("two-tower", n_slots)
        size, hidden, word = settings["dimension"], settings["hidden"], settings["word_dimension"]
        self.personal = settings["personal"]
        numbers = [catalogue.price_z, catalogue.price_z**2, catalogue.rating - 3.7, catalogue.popularity]
        columns = np.concatenate([np.stack(numbers, axis=1), catalogue.style], axis=1).astype(np.float32)
        n_items, n_columns = columns.shape
        self.columns: Tensor
        self.register_buffer("columns", torch.from_numpy(columns), persistent=False)  # (I, P)
        self.tables = IdTables(catalogue, word, word**-0.5, generator)
        n_words = len(COLUMNS) * word
        n_past = 2 * (catalogue.style.shape[1] + 1) + 1
        self.places = nn.Embedding(N_LOCALES * N_DEVICES, 8)
        draw(self.places.weight, 0.1, generator)
        n_search = n_words + 8 + (n_past + word if self.personal else 0)
        self.search_in = linear(n_search, hidden, generator)
        self.search_out = linear(hidden, size + n_columns + 1, generator)
        self.item_in, self.item_out = (
            linear(n_words + n_columns, hidden, generator),
            linear(hidden, size + 1, generator),
        )
        self.past = nn.Linear(n_past, n_columns, bias=False) if self.personal else None
        self.weight = nn.Parameter(torch.ones(len(COLUMNS)))  # of a match in each column
        self.item_own = nn.Embedding(n_items, size + 1) if settings["item_ids"] else None
        self.offset = nn.Parameter(torch.tensor(-2.0))
        for layer in (self.search_out, self.item_out):
            draw(layer.weight, 0.05, generator)
        for zero in (self.past, self.item_own):
            if zero is not None:
                nn.init.zeros_(zero.weight)

    def item_table(self, item: Tensor | None = None) -> Tensor:
        """Vectors of items with their bias as the last number, (.., V): of the ids (..), or of the whole catalogue."""
        item = torch.arange(len(self.columns), device=self.columns.device) if item is None else item
        embedded, columns = self.tables.items(item).flatten(-2), self.columns[item]
        deep: Tensor = self.item_out(torch.relu(self.item_in(torch.cat([embedded, columns], dim=-1))))
        if self.item_own is not None:
            deep = deep + self.item_own(item)
        return torch.cat([embedded, columns, deep], dim=-1)

    def search_vectors(self, searches: Searches) -> tuple[Tensor, Tensor]:
        """Vectors of searches, (n, V) with 1 as the last number, and the searches' own part of the log-odds (n,)."""
        words = self.tables.words(searches.terms)  # (n, T, d)
        parts = [words.flatten(1), self.places(searches.locale * N_DEVICES + searches.device)]
        past = _past(searches)
        if self.past is not None:
            parts += [self.tables.brand(searches.last_brand), past]
        out = self.search_out(torch.relu(self.search_in(torch.cat(parts, dim=1))))
        n_columns = self.columns.shape[1]
        columns = out[:, :n_columns] if self.past is None else out[:, :n_columns] + self.past(past)
        matches = (words * self.weight[:, None]).flatten(1)
        vector = torch.cat([matches, columns, out[:, n_columns:-1], out.new_ones((len(out), 1))], dim=1)
        return vector, out[:, -1] + self.offset

    def score(self, searches: Searches) -> Tensor:
        """Products (n, M); each item's vector is made once, however many searches hold it."""
        item, at = torch.unique(searches.item, return_inverse=True)
        return torch.einsum("nd,nmd->nm", self.search_vectors(searches)[0], self.item_table(item)[at])

    def cost(self, searches: Searches, feedback: Feedback) -> Tensor:
        """See `RankingNet.cost`."""
        vector, own = self.search_vectors(searches)
        logit = torch.einsum("nd,nmd->nm", vector, self.item_table(searches.item)) + own[:, None]
        return click_cost(logit, log_curve(self.examination), feedback.reward)

    def standardise(self, x: Tensor) -> None:
        """Nothing to do: features of pairs are not read, and the columns come standardised."""

    def own(self) -> list[nn.Parameter]:
        """See `RankingNet.own`."""
        return [] if self.item_own is None else list(self.item_own.parameters())


TWO_TOWER = NetworkKind("two-tower", {"dimension": 16, "word_dimension": 8, "hidden": 64, "item_ids": True}, TwoTower)


def _past(searches: Searches) -> Tensor:
    """What the shopper clicked, as it is and as far as it is sure, (n, 2 (D + 1) + 1)."""
    sure = (searches.history_weight / (searches.history_weight + 5.0)).reshape(-1, 1)
    return torch.cat([searches.history, searches.history * sure, sure], dim=1)
