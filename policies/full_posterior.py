"""Bayesian linear regression with unknown noise, for each arm and many runs side by side: Thompson sampling over it.

`1 / sigma^2 ~ Gamma(a, b)` and `theta ~ N(mean, sigma^2 precision^-1)`, with a = a0 + n / 2 and
`b = b0 + (sum y^2 - mean . moment) / 2`. The linear method of Riquelme, Tucker and Snoek, "Deep Bayesian bandits
showdown", 2018, with their settings: a0 = b0 = 6, lambda = 0.25, an intercept, and two pulls of each arm to begin with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from policies.kernels import ridge
from policies.kernels.ridge import Posterior, Sums

A0, B0, LAMBDA, FIRST_PULLS = 6.0, 6.0, 0.25, 2

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class FullPosterior:
    """R runs of A arms over contexts (R, d)."""

    def __init__(self, n_runs: int, n_arms: int, d: int, seed: int) -> None:
        """Cold."""
        self.rng, self.n_arms, self.n_rounds = np.random.default_rng(seed), n_arms, 0
        self._every = torch.arange(n_runs)
        self.sums = ridge.no_sums((n_runs, n_arms, d + 1))
        cold = ridge.posterior(self.sums, LAMBDA)
        self.mean, self.root = cold.mean, cold.root
        self.square = torch.zeros(n_runs, n_arms, dtype=torch.float64)

    def choose(self, x: F64) -> I64:
        """The best arm of each run under a draw of its own."""
        if self.n_rounds < FIRST_PULLS * self.n_arms:
            return np.full(len(x), self.n_rounds % self.n_arms)
        z = _with_one(x)
        explained = (self.mean * self.sums.moment).sum(dim=-1)
        rate = (B0 + 0.5 * (self.square - explained)).clamp(min=1e-12).numpy()
        sigma = np.sqrt(rate / self.rng.standard_gamma((A0 + 0.5 * self.sums.weight).numpy()))
        noise = torch.from_numpy(self.rng.standard_normal(self.mean.shape) * sigma[..., None])
        theta = self.mean + (self.root.mT @ noise.unsqueeze(-1)).squeeze(-1)
        best: I64 = (theta @ z.unsqueeze(-1)).squeeze(-1).argmax(dim=1).numpy()
        return best

    def learn(self, x: F64, arm: I64, reward: F64) -> None:
        """What came of it, one reward a run."""
        z, y, at = _with_one(x), torch.from_numpy(reward), (self._every, torch.from_numpy(arm))
        new = ridge.sums_of(z.unsqueeze(1), y.unsqueeze(1))
        self.sums.gram[at] += new.gram
        self.sums.moment[at] += new.moment
        self.sums.weight[at] += new.weight
        self.square[at] += y**2
        own: Posterior = ridge.posterior(Sums(self.sums.gram[at], self.sums.moment[at], self.sums.weight[at]), LAMBDA)
        self.mean[at], self.root[at] = own.mean, own.root
        self.n_rounds += 1


def _with_one(x: F64) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([x, np.ones((len(x), 1))], axis=1))
