"""Plackett-Luce slates as an RLlib action distribution: inputs are scores (N, C), actions are slates (N, K).

`logp` is exact, so the ratios of PPO are. The entropy of a slate and the divergence of two have no closed form that
anybody can afford; `entropy` and `kl` are those of the *first slot*, exact, differentiable and cheap stand-ins. An
entropy bonus or a divergence penalty in RLlib therefore acts on the first slot, and a target for `kl` is not a target
for the divergence of slates. `slate_entropy` and `slate_kl` estimate the real ones, as figures to look at.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import gymnasium
import torch
from ray.rllib.core.distribution.distribution import Distribution
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic, TorchDistribution
from torch import Tensor
from typing_extensions import override

from policies import plackett_luce_torch as plackett_luce


class SlateDistribution(TorchDistribution):  # type: ignore[misc]
    """Slates of `n_slots` positions at temperature 1; made by `slate_distribution`, which sets the two settings."""

    n_slots: int
    floor: float

    def __init__(self, logits: Tensor) -> None:
        """Hold scores (..., C), -inf at holes. There is no torch.distributions object behind this."""
        Distribution.__init__(self)
        self.scores = logits
        self.logw = plackett_luce.log_weights(logits, 1.0, self.floor)

    @override
    def _get_torch_distribution(self, *args: Any, **kwargs: Any) -> torch.distributions.Distribution:
        raise NotImplementedError("torch has no Plackett-Luce distribution")

    @staticmethod
    @override
    def required_input_dim(space: gymnasium.Space[Any], **kwargs: Any) -> int:
        """The number of candidates, C."""
        assert isinstance(space, gymnasium.spaces.MultiDiscrete)
        return int(space.nvec[0])

    @override
    def sample(
        self, *, sample_shape: tuple[int, ...] | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Slates (..., K) int64. Where fewer than K candidates exist, the empty slots repeat the first position.

        The action space has no word for "nothing"; the market reads a repeated position as an empty slot, and so does
        `logp`.
        """
        logw = self.logw if sample_shape is None else self.logw.expand(*sample_shape, *self.logw.shape)
        return _filled(plackett_luce.draw(logw, self.n_slots, generator))

    @override
    def rsample(self, *, sample_shape: tuple[int, ...] | None = None) -> Tensor:
        """Refused: no gradient passes through an order."""
        raise NotImplementedError("a slate has no pathwise gradient")

    @override
    def logp(self, value: Tensor, **kwargs: Any) -> Tensor:
        """Log-probability of whole slates (...,), float32, exact."""
        return plackett_luce.conditional(self.logw, value).sum(dim=-1).float()

    @override
    def entropy(self) -> Tensor:
        """Entropy of the first slot (...,): a stand-in for the slate's."""
        finite = self.logw.clamp(min=plackett_luce.LOW)
        return -(finite.exp() * finite).sum(dim=-1).float()

    @override
    def kl(self, other: SlateDistribution) -> Tensor:
        """Divergence of the first slot from that of `other` (...,): a stand-in for the slate's."""
        mine, theirs = self.logw.clamp(min=plackett_luce.LOW), other.logw.clamp(min=plackett_luce.LOW)
        return (mine.exp() * (mine - theirs)).sum(dim=-1).float()

    def slate_entropy(self, n_draws: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Entropy of whole slates, estimated: H = E[-log p(slate)], the mean over slates that are drawn here.

        Args:
            n_draws: Slates per row, at least 2.
            generator: Whose noise.

        Returns:
            The estimate (...,), unbiased, and its standard error. No gradient: drawing has none.
        """
        with torch.no_grad():
            slates = self.sample(sample_shape=(n_draws,), generator=generator)
            return _mean(-_repeated(self.logw, slates))

    def slate_kl(
        self, other: SlateDistribution, n_draws: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Divergence of whole slates from those of `other`, estimated on slates that are drawn here.

        KL(p | q) = E_p[log p - log q] = E_p[r - 1 - log r] with r = q / p: the same mean, never negative and, where the
        two are near, of far less variance (Schulman, "Approximating KL divergence", 2020). The mean is the same only
        where `other` shows nothing that this distribution cannot.

        Args:
            other: Over the same candidates.
            n_draws: Slates per row, at least 2.
            generator: Whose noise.

        Returns:
            The estimate (...,), unbiased, and its standard error. No gradient: drawing has none.
        """
        with torch.no_grad():
            slates = self.sample(sample_shape=(n_draws,), generator=generator)
            log_r = _repeated(other.logw, slates) - _repeated(self.logw, slates)
            return _mean(torch.expm1(log_r) - log_r)

    def to_deterministic(self) -> TorchDeterministic:
        """The ranking by score."""
        return TorchDeterministic(loc=_filled(plackett_luce.top(self.scores, self.n_slots)))


@lru_cache(maxsize=32)
def slate_distribution(n_slots: int, floor: float) -> type[SlateDistribution]:
    """The class for slates of K slots under a floor: RLlib asks for classes that are made from logits alone."""
    return type(f"SlateDistribution{n_slots}", (SlateDistribution,), {"n_slots": n_slots, "floor": floor})


def _repeated(logw: Tensor, slates: Tensor) -> Tensor:
    """Log-probability of (n, ..., K) slates, each under the weights of its row (..., C)."""
    return plackett_luce.conditional(logw.expand(len(slates), *logw.shape), slates).sum(dim=-1)


def _mean(values: Tensor) -> tuple[Tensor, Tensor]:
    return values.mean(dim=0), values.std(dim=0) / len(values) ** 0.5


def _filled(slate: Tensor) -> Tensor:
    return torch.where(slate < 0, slate[..., :1], slate).clamp(min=0)  # 0 where there is no candidate at all
