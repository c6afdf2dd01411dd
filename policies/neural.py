"""NeuralLinear for slates: a network that finds features, a Bayesian last layer that knows what it has not seen.

The click at slot k has probability `examination_k * sigmoid(f(x))`, with examination_1 = 1 and the rest learned, so
the score f is about the item and not about where it stood. After each round of training the last layer's posterior
(a Laplace approximation) is computed afresh from the current features; nothing stale is ever added to it. The score
is f plus alpha posterior standard deviations.

Riquelme, Tucker and Snoek, "Deep Bayesian bandits showdown", 2018; position-based click model as in
Richardson et al., 2007. Wrong where the click model is (cascades), and where examination cannot be told from relevance
because the logger never moved an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from policies.examples import Examples
from policies.features import CHUNK, FeatureMap, page_tensors
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.world import Page

BATCH = 256  # searches per gradient
LEAST_STEPS = 500  # of a round of training

CURVE_RATE = 10.0  # learning rate of the examination curve, in those of the network


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


class PositionBasedNet(nn.Module):
    """f(x) and the examination curve."""

    def __init__(self, n_features: int, n_slots: int, hidden: tuple[int, int], generator: torch.Generator) -> None:
        """Start from f = 0 and an examination that halves by slot 5 or so."""
        super().__init__()
        self.torso = Torso(n_features, hidden, generator)
        self.head = nn.Linear(hidden[1], 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -2.0)
        self.examination = nn.Parameter(torch.zeros(n_slots - 1))

    def log_examination(self) -> Tensor:
        """(K,) with 0 at the first slot."""
        return torch.cat([self.examination.new_zeros(1), -nn.functional.softplus(self.examination)])

    def loss(self, x: Tensor, reward: Tensor, shown: Tensor) -> Tensor:
        """Mean negative log-likelihood of a shown slot: x (n, K, F), reward and shown (n, K)."""
        logit = self.head(self.torso(x)).squeeze(-1)
        log_p = self.log_examination() + nn.functional.logsigmoid(logit)
        log_q = torch.log(-torch.expm1(log_p.clamp(max=-1e-6)))
        return -((reward * log_p + (1.0 - reward) * log_q) * shown).sum() / shown.sum().clamp(min=1)


class NeuralLinearBandit:
    """A NeuralLinear bandit that learns online (`update` trains as it goes) and from logs (`update`, then `finish`)."""

    kind = "neural-linear"

    def __init__(
        self,
        catalogue: PublicCatalogue,
        n_slots: int,
        hidden: tuple[int, int] = (64, 32),
        learning_rate: float = 2e-3,
        epochs: int = 5,
        alpha: float = 0.0,
        seed: int = 0,
        device: str = "cpu",
        personal: bool = True,
    ) -> None:
        """Start untrained.

        Args:
            catalogue: Public columns.
            n_slots: K.
            hidden: Widths of the two hidden layers.
            learning_rate: Of Adam.
            epochs: Passes over all examples in `finish`; more where that would be fewer than LEAST_STEPS steps.
            alpha: Width of the exploration bonus in posterior standard deviations of the log-odds (0 = none).
            seed: Of the weights and of the order of training.
            device: A torch device.
            personal: See `FeatureMap`.
        """
        self.settings: dict[str, Any] = {
            "hidden": list(hidden), "learning_rate": learning_rate, "epochs": epochs, "alpha": alpha, "seed": seed,
            "personal": personal,
        }  # fmt: skip
        self.device = torch.device(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.feature_map = FeatureMap(catalogue, personal).to(self.device)
        n_features = len(self.feature_map.feature_names)
        self.net = PositionBasedNet(n_features, n_slots, (hidden[0], hidden[1]), self.generator).to(self.device)
        # A handful of numbers that every click speaks of can, and must, move faster than the network: at its rate the
        # curve is still where it started when the log ends, and what stood low on the page counts as bad.
        curve, rest = self.net.examination, [*self.net.torso.parameters(), *self.net.head.parameters()]
        groups: list[dict[str, Any]] = [{"params": rest}, {"params": [curve], "lr": CURVE_RATE * learning_rate}]
        self.optimiser = torch.optim.Adam(groups, lr=learning_rate)
        self.epochs, self.alpha = epochs, alpha
        self.last_root = torch.eye(hidden[1] + 1, device=self.device)
        self.seen: list[Examples] = []
        self.n_searches = 0

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> NeuralLinearBandit:
        """Untrained, from the settings of a saved one or from defaults."""
        defaults = {
            "hidden": (64, 32), "learning_rate": 2e-3, "epochs": 5, "alpha": 0.0, "seed": 0, "device": "cpu",
            "personal": True,
        }  # fmt: skip
        own = chosen("neural-linear", settings, defaults)
        return NeuralLinearBandit(catalogue, n_slots, **own | {"hidden": tuple(own["hidden"])})

    def update(self, examples: Examples) -> None:
        """Keep a batch of searches, and take one optimiser step on it: learning as it goes."""
        if not self.n_searches:  # a restored model has its own
            self._standardise(examples)
        self.seen.append(examples)
        self.n_searches += len(examples)
        self._descend(*self._batch(examples))

    def finish(self) -> None:
        """Train on everything kept, in random order; then compute the last layer's posterior afresh.

        The learning rate falls to a tenth over the passes, and is set back at the end.
        """
        if not self.seen:
            return
        x, reward, shown = (torch.cat(parts) for parts in zip(*map(self._batch, self.seen), strict=True))
        passes = max(self.epochs, -(-LEAST_STEPS * BATCH // len(x)))
        start = [group["lr"] for group in self.optimiser.param_groups]
        steps = passes * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimiser, 0.1 ** (1.0 / steps))
        for _ in range(passes):
            order = torch.randperm(len(x), generator=self.generator).to(self.device)
            for rows in torch.split(order, BATCH):
                self._descend(x[rows], reward[rows], shown[rows])
                schedule.step()
        for group, rate in zip(self.optimiser.param_groups, start, strict=True):
            group["lr"] = rate
        self._refresh_posterior(x, shown)

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Log-odds of a click when examined, plus alpha posterior standard deviations."""
        made = []
        with torch.no_grad():
            for first in range(0, len(page), CHUNK):
                x = self.feature_map(page_tensors(take(page, slice(first, first + CHUNK)), self.device))
                phi = self.net.torso(x)
                value = self.net.head(phi).squeeze(-1)
                if self.alpha:
                    value += self.alpha * torch.linalg.vector_norm(_with_one(phi) @ self.last_root.T, dim=-1)
                made.append(value.cpu().numpy())
        return np.concatenate(made)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a saved model holds: the weights and the posterior; not the examples."""
        weights = {name: value.cpu().numpy() for name, value in self.net.state_dict().items()}
        return weights | {"last_root": self.last_root.cpu().numpy(), "n_searches": np.array(self.n_searches)}

    def restore(self, tensors: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take the weights and the posterior of a saved model of the same shape.

        Raises:
            ValueError: for another shape of the posterior; torch raises `RuntimeError` for the weights.
        """
        if tensors["last_root"].shape != tuple(self.last_root.shape):
            raise ValueError(f"last_root is {tensors['last_root'].shape}; expected {tuple(self.last_root.shape)}")
        held = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        self.n_searches = int(held.pop("n_searches").item())
        self.last_root = held.pop("last_root").to(self.device)
        self.net.load_state_dict(held)

    def _batch(self, examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
        parts = (examples.features, examples.reward, examples.shown)
        x, reward, shown = (torch.from_numpy(part).to(self.device) for part in parts)
        return x, reward, shown

    def _standardise(self, examples: Examples) -> None:
        x = examples.features[examples.shown]
        self.net.torso.mean.copy_(torch.from_numpy(x.mean(axis=0)))
        self.net.torso.scale.copy_(torch.from_numpy(x.std(axis=0).clip(0.05)))

    def _descend(self, x: Tensor, reward: Tensor, shown: Tensor) -> None:
        self.optimiser.zero_grad()
        self.net.loss(x, reward, shown).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def _refresh_posterior(self, x: Tensor, shown: Tensor) -> None:
        """Precision I + sum p (1 - p) phi phi' over shown slots, at p = examination * sigmoid(f); float64."""
        precision = torch.eye(self.last_root.shape[0], dtype=torch.float64, device=self.device)
        with torch.no_grad():
            for rows, seen in zip(torch.split(x, 8192), torch.split(shown, 8192), strict=True):
                phi = self.net.torso(rows)
                p = torch.sigmoid(self.net.head(phi).squeeze(-1)) * self.net.log_examination().exp()
                weight = (p * (1.0 - p) * seen).double().reshape(-1, 1)
                z = _with_one(phi).double().reshape(len(weight), -1)
                precision += z.T @ (weight * z)
            lower = torch.linalg.cholesky(precision)
            eye = torch.eye(len(lower), dtype=torch.float64, device=self.device)
            self.last_root = torch.linalg.solve_triangular(lower, eye, upper=False).float()


def _with_one(phi: Tensor) -> Tensor:
    return torch.cat([phi, phi.new_ones((*phi.shape[:-1], 1))], dim=-1)
