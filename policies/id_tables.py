"""Embeddings of ids: of recognised words and of the items' columns, from one table, so that a match is a product.

A word that says "red" and an item that is red point at the same row. Ids that the catalogue does not have, and -1 for
none, share row 0, which is held at zero.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from simenv.catalogue import PublicCatalogue

COLUMNS = ("category", "brand", "colour", "size", "material", "audience", "use")  # in the order of recognised words


class IdTables(nn.Module):
    """The rows of each of COLUMNS, one column after another, and the rows of every item."""

    def __init__(self, catalogue: PublicCatalogue, dimension: int, spread: float, generator: torch.Generator) -> None:
        """Draw the rows.

        Args:
            catalogue: Public columns.
            dimension: D of every row.
            spread: Standard deviation of the first rows.
            generator: Of the draws.
        """
        super().__init__()
        ids = np.stack([getattr(catalogue, name) for name in COLUMNS], axis=1).astype(np.int64)  # (I, T)
        size = ids.max(axis=0) + 1
        self.size: Tensor
        self.first: Tensor
        self.item_rows: Tensor
        self.register_buffer("size", torch.from_numpy(size), persistent=False)
        self.register_buffer("first", torch.from_numpy(1 + np.cumsum(size) - size), persistent=False)
        self.register_buffer("item_rows", self._rows(torch.from_numpy(ids)), persistent=False)
        self.table = nn.Embedding(1 + int(size.sum()), dimension, padding_idx=0)
        draw(self.table.weight, spread, generator)
        nn.init.zeros_(self.table.weight[0])

    def words(self, terms: Tensor) -> Tensor:
        """Recognised words (n, T) -> (n, T, D)."""
        return self.table(self._rows(terms))  # type: ignore[no-any-return]

    def items(self, item: Tensor) -> Tensor:
        """Item ids (..) -> (.., T, D)."""
        return self.table(self.item_rows[item])  # type: ignore[no-any-return]

    def brand(self, brand: Tensor) -> Tensor:
        """Brand ids (n,) -> (n, D)."""
        at = COLUMNS.index("brand")
        known = (brand >= 0) & (brand < self.size[at])
        return self.table(torch.where(known, brand + self.first[at], 0))  # type: ignore[no-any-return]

    def _rows(self, ids: Tensor) -> Tensor:
        return torch.where((ids >= 0) & (ids < self.size), ids + self.first, 0)


def draw(weight: Tensor, spread: float, generator: torch.Generator) -> None:
    """Fill a parameter with normals of a spread."""
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=generator) * spread)


def linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """A layer with weights by He's rule from a generator, and no offsets yet."""
    made = nn.Linear(n_in, n_out)
    nn.init.kaiming_normal_(made.weight, generator=generator)
    nn.init.zeros_(made.bias)
    return made
