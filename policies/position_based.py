"""The network behind the neural bandits: what an item is worth, apart from where on the page it stood.

The click at slot k has probability `examination_k * sigmoid(f(x))`, with examination_1 = 1 and the rest learned, so
the score f is about the item. Position-based click model as in Richardson, Dominowska and Ragno, "Predicting clicks",
2007. Wrong where the click model is (cascades), and where examination cannot be told from relevance because the logger
never moved an item.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from policies.examples import Examples
from policies.kernels.mlp import Weights
from simenv.errors import UserError


class Torso(nn.Module):
    """x (.., F) -> features of the last layer (.., H): standardise, two ReLU layers."""

    def __init__(self, n_features: int, hidden: tuple[int, int], generator: torch.Generator) -> None:
        """Weights from the given generator, by He's rule for ReLU layers."""
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.first, self.second = nn.Linear(n_features, hidden[0]), nn.Linear(hidden[0], hidden[1])
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = (x - self.mean) / self.scale
        return torch.relu(self.second(torch.relu(self.first(x))))


def weights_of(torso: Torso, head: nn.Linear) -> Weights:
    """The numbers of a torso and its head as kernels take them; they share memory with the network's."""
    layers = (torso.first.weight, torso.first.bias, torso.second.weight, torso.second.bias)
    w1, b1, w2, b2, w3, b3 = (each.detach() for each in (*layers, head.weight[0], head.bias[0]))
    return Weights(torso.mean, torso.scale, w1, b1, w2, b2, w3, b3)


class PositionBasedNet(nn.Module):
    """f(x), what each item adds to it where asked for, and the examination curve."""

    def __init__(
        self, n_features: int, n_slots: int, hidden: tuple[int, int], generator: torch.Generator, n_items: int = 0
    ) -> None:
        """Start from f = 0 and an examination that halves by slot 5 or so; `n_items` 0: items add nothing."""
        super().__init__()
        self.item = nn.Embedding(n_items, 1) if n_items else None
        if self.item is not None:
            nn.init.zeros_(self.item.weight)
        self.torso = Torso(n_features, hidden, generator)
        self.head = nn.Linear(hidden[1], 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -2.0)
        self.examination = nn.Parameter(torch.zeros(n_slots - 1))

    def log_examination(self) -> Tensor:
        """(K,) with 0 at the first slot."""
        return log_curve(self.examination)

    def weights(self) -> Weights:
        """The numbers of f as kernels take them; they share memory with the network's."""
        return weights_of(self.torso, self.head)

    def own(self) -> list[nn.Parameter]:
        """What each item adds of its own."""
        return [] if self.item is None else list(self.item.parameters())

    def item_effect(self, item: Tensor) -> Tensor:
        """What items (..) add to f, by their ids; 0 where items add nothing, and -1 is read as item 0."""
        if self.item is None:
            return torch.zeros_like(item, dtype=torch.float32)
        return self.item(item.clamp(min=0)).squeeze(-1)  # type: ignore[no-any-return]

    def standardise(self, x: Tensor) -> None:
        """Set what features are standardised by, from examples (n, F)."""
        set_scale(self.torso.mean, self.torso.scale, x)

    def batch(self, kept: Examples) -> tuple[Tensor, ...]:
        """What `loss` is asked for, on the network's device."""
        return (*slot_tensors(kept, self.torso.mean.device), *self.items_of(kept))

    def items_of(self, kept: Examples) -> tuple[Tensor, ...]:
        """The ids (n, K) of what was shown, as the one entry of a tuple; none where items add nothing.

        Raises:
            UserError: where items add something and the examples do not say which they were.
        """
        if self.item is None:
            return ()
        if kept.item is None:
            raise UserError("item effects are learned from which items were shown: Examples.item is missing.")
        return (torch.from_numpy(kept.item.astype(np.int64)).to(self.torso.mean.device),)

    def loss(self, x: Tensor, reward: Tensor, shown: Tensor, item: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood of a shown slot: x (n, K, F), reward, shown and the ids of items (n, K)."""
        logit = self.head(self.torso(x)).squeeze(-1)
        cost = click_cost(logit if item is None else logit + self.item_effect(item), self.log_examination(), reward)
        return (cost * shown).sum() / shown.sum().clamp(min=1)


def log_curve(examination: Tensor) -> Tensor:
    """Log-examination (.., K) with 0 at the first slot, from what is learned of the others, (.., K - 1)."""
    return torch.cat([examination.new_zeros((*examination.shape[:-1], 1)), -nn.functional.softplus(examination)], -1)


def click_cost(logit: Tensor, log_examination: Tensor, reward: Tensor) -> Tensor:
    """Negative log-likelihood (.., K) of clicks `reward` (.., K) at p = examination * sigmoid(logit); finite."""
    log_p = log_examination + nn.functional.logsigmoid(logit)
    log_q = torch.log(-torch.expm1(log_p.clamp(max=-1e-6)))
    return -(reward * log_p + (1.0 - reward) * log_q)


def information(logit: Tensor, log_examination: Tensor) -> Tensor:
    """What a look at a slot tells of its log-odds: the Fisher information p (1 - a)^2 / (1 - p), a = sigmoid(logit).

    p = examination * a is the chance of a click. At the first slot p = a, and it is a (1 - a). Further down it is less
    than p (1 - p), which is what is told of the log-odds of p: who did not click what attracts did not look.
    """
    log_p = log_examination + torch.nn.functional.logsigmoid(logit)
    missed = torch.sigmoid(-logit)
    return log_p.exp() * missed * (missed / -torch.expm1(log_p.clamp(max=-1e-6))).clamp(max=1.0)


def slot_tensors(kept: Examples, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Features (n, K, F), rewards and what was shown (n, K)."""
    x, reward, shown = (torch.from_numpy(part).to(device) for part in (kept.features, kept.reward, kept.shown))
    return x, reward, shown


def set_scale(mean: Tensor, scale: Tensor, x: Tensor) -> None:
    """Write the mean and the deviation of rows x (n, F) into two buffers; what never varies is not blown up."""
    mean.copy_(x.mean(dim=0))
    scale.copy_(x.std(dim=0, unbiased=False).clamp(min=0.05))
