"""A transformer layer (Vaswani et al., "Attention is all you need", 2017), normalised before each half."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TransformerBlock(nn.Module):
    """Every word looks at all of its row, then thinks for itself."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        """Untrained, by torch's own start; whoever holds it sets the weights.

        Args:
            width: W of a word.
            heads: Of attention; they divide W.
            inner: Width of the layer in which a word thinks.
        """
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor, here: Tensor) -> Tensor:
        """Words (N, T, W) and which of them are there (N, T) -> (N, T, W)."""
        n, t, width = x.shape
        query, key, value = self.look(self.before(x)).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weight = query @ key.transpose(-1, -2) / (width / self.heads) ** 0.5  # (N, heads, T, T)
        weight = weight.masked_fill(~here[:, None, None, :], -torch.inf).softmax(dim=-1)
        x = x + self.join((weight @ value).transpose(1, 2).reshape(n, t, width))
        made: Tensor = x + self.outer(nn.functional.gelu(self.inner(self.between(x))))
        return made
