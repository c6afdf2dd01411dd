"""The objectives: what a log says a policy is worth, and which way the worth of each row pulls.

With importance weights w_ij of pieces j of row i (slots, or the slate), rewards r_ij and a reward model q:

    ips    1/n sum_ij w_ij r_ij
    snips  sum_j (sum_i w_ij r_ij) / (sum_i w_ij)
    dr     1/n sum_i [E_policy q_i + sum_j w_ij (r_ij - q_ij)]
    poem   ips - variance * sqrt(Var(u) / n), u_i = sum_j w_ij r_ij

The gradient of each is `1/n sum_ij c_ij grad w_ij`, and that of E_policy q_i for dr; only the coefficients c differ,
and `coefficients` gives them. snips and poem are no sums over rows: what their coefficients need to know of all rows
(`Whole`) is computed afresh at the start of each pass, and held. *ips* pays a policy for showing what was lucky, and
for weights above 1 wherever rewards are above 0 (propensity overfitting); snips mends the second, poem distrusts rows
that pay too well, dr subtracts what was expected.

Horvitz and Thompson, 1952; Swaminathan and Joachims, "The self-normalized estimator for counterfactual learning", 2015,
and "Batch learning from logged bandit feedback through counterfactual risk minimization" (POEM), 2015; Dudik, Langford
and Li, "Doubly robust policy evaluation and learning", 2011; for rankings: Oosterhuis and de Rijke, "Policy-aware
unbiased learning to rank for top-k rankings", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Objective = Literal["regression", "ips", "snips", "dr", "poem"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


@dataclass(frozen=True)
class Pieces:
    """What pieces of slates brought: weight, reward and q (the model's reward), each (n, J) float64."""

    weight: F64
    reward: F64
    q: F64


@dataclass(frozen=True)
class Whole:
    """What coefficients need to know of the whole log.

    weight: (J,) mean weights. value: (J,) self-normalised rewards. mean, sd: of u. n: rows. reward: of a search, mean.
    """

    weight: F64
    value: F64
    mean: float
    sd: float
    n: int
    reward: float


def whole(pieces: Pieces, n: int) -> Whole:
    """Of n rows, from these or a sample of them."""
    weight = pieces.weight.mean(axis=0).clip(min=1e-12)
    u = (pieces.weight * pieces.reward).sum(axis=1)
    value = (pieces.weight * pieces.reward).mean(axis=0) / weight
    return Whole(weight, value, float(u.mean()), max(float(u.std()), 1e-12), n, float(pieces.reward.sum(axis=1).mean()))


def coefficients(objective: Objective, pieces: Pieces, known: Whole, variance: float) -> F64:
    """How much the objective gains, times n, by one more of each weight: (n, J)."""
    if objective == "snips":
        return (pieces.reward - known.value) / known.weight
    if objective == "dr":
        return pieces.reward - pieces.q
    if objective == "poem":
        u = (pieces.weight * pieces.reward).sum(axis=1, keepdims=True)
        trusted: F64 = 1.0 - variance * (u - known.mean) / (known.sd * np.sqrt(known.n))
        return pieces.reward * trusted
    return pieces.reward


@dataclass(frozen=True)
class Estimate:
    """An estimated value per search and its standard error, clustered by shopper; NaN where there is nothing."""

    value: float
    stderr: float


def estimate(by: str, pieces: Pieces, q_policy: F64, cluster: npt.NDArray[np.integer]) -> Estimate:
    """The value of a policy on rows that it did not learn from.

    Args:
        by: "dr" or "snips".
        pieces: Of these rows.
        q_policy: (n,) what the reward model expects of the policy.
        cluster: (n,) the shopper of each row.
    """
    _, code = np.unique(cluster, return_inverse=True)
    groups = int(code.max(initial=-1)) + 1
    if groups < 2:
        return Estimate(float("nan"), float("nan"))
    if by == "dr":
        rows = q_policy + (pieces.weight * (pieces.reward - pieces.q)).sum(axis=1)
        value = float(rows.mean())
        influence = rows - value
    else:
        mean = pieces.weight.mean(axis=0).clip(min=1e-12)
        each = (pieces.weight * pieces.reward).mean(axis=0) / mean
        value = float(each.sum())
        influence = (pieces.weight * (pieces.reward - each) / mean).sum(axis=1)
    sums = np.bincount(code, weights=influence, minlength=groups)
    return Estimate(value, float(np.sqrt(groups / (groups - 1) * (sums @ sums)) / len(influence)))
