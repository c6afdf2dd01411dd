"""MAGIC: how far along a session its weights are followed before a model of what comes later takes over.

The return that follows weights for j steps is g_j = V_0 + sum_{t<j} w_t (r_t + V_{t+1} - Q_t), each step divided by the
mean of its own weights: the model alone for j = 0, (self-normalised) doubly robust for all steps. Early ones are biased
where the model is, late ones vary as weights multiply. MAGIC mixes them, x >= 0 with sum 1, so that the estimated
squared error x^T (C + b b^T) x is least: C the covariance of the g_j, b_j how far g_j is from the middle half of what
the last one may be. What the mixture does is follow step t with the share X_t = sum_{j>t} x_j of its weight:

    V = mean(V_0) + sum_t [sum_i X_t w_it (r_it + V_i,t+1 - Q_it)] / [sum_i (X_t w_it + 1 - X_t)].

Shares are chosen on other clusters than those they are used for. (The authors choose on the same sessions, and divide
by the sum of w_it; where X_t is 1 that is the same.) Thomas and Brunskill, "Data-efficient off-policy policy evaluation
for reinforcement learning" (2016).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.sequences.fitted_q import ModelNoise
from offpolicy.sequences.terms import per_step
from offpolicy.terms import Terms
from simenv.errors import UserError
from simenv.hashing import absorb, integers, stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

N_FOLDS = 5  # of clusters
RETURNS = 12  # numbers of steps that are compared, at most
_MIDDLE_HALF = 0.6745  # standard errors to either side
_RIDGE = 1e-9  # of the mean squared error of the returns


def blended(evidence: Evidence) -> Terms:
    """Steps, each with a share of its weight: w = X w + 1 - X, and what is left of the reward after model and share.

    Raises:
        UserError: If the columns of a model or the shares are absent.
    """
    if evidence.blend is None or evidence.blend_start is None:
        raise UserError("blend and blend_start are absent; choose them with offpolicy.sequences.blend.with_blend.")
    terms, share = per_step(evidence), evidence.blend
    weight = share * terms.weight + 1.0 - share
    surprise = share * terms.weight * _surprise(evidence)
    left = np.divide(surprise, weight, out=np.zeros_like(surprise), where=weight > 0.0)
    return replace(terms, weight=weight, q_logged=evidence.reward - left, q_target=evidence.blend_start)


def with_blend(evidence: Evidence, noise: ModelNoise, seed: int = 0) -> Evidence:
    """Evidence with the shares and with V_0, whose spread is also the model's sampling error as far as it is relied on.

    Args:
        evidence: Of sequences, with the model's columns from `cross_fitted_q`.
        noise: Of the same model.
        seed: Names the folds.

    Returns:
        The same with `blend` (T, H) and `blend_start` (T,).

    Raises:
        UserError: If the columns of a model are absent, or the clusters are fewer than the folds.
    """
    weight, surprise = per_step(evidence).weight, _surprise(evidence)
    assert evidence.q_next is not None
    codes = np.unique(evidence.cluster, return_inverse=True)[1]
    if codes.max() + 1 < N_FOLDS:
        raise UserError(f"{N_FOLDS} folds need as many clusters; the log has fewer. Log more shoppers.")
    fold = integers(absorb(stream(seed, "blend fold"), evidence.cluster), N_FOLDS)
    steps = _numbers_of_steps(evidence.n_slots)
    share = np.ones(evidence.reward.shape)
    for held in range(N_FOLDS):
        mine, others = fold == held, fold != held
        if mine.any() and others.any():
            own = ModelNoise(noise.own[others], noise.start[others], noise.step[others])
            seen = _Steps(weight[others], surprise[others], evidence.q_next[others, 0], own)
            mixture = mix(*_returns(seen, steps), codes[others])
            share[mine] = (mixture[:, None] * (steps[:, None] > np.arange(evidence.n_slots))).sum(axis=0)
    share = np.clip(share, 0.0, 1.0)
    relied = noise.start.mean(axis=0) + np.einsum("th,thf->f", share * weight, noise.step) / len(weight)
    of_model = noise.own @ relied
    return replace(evidence, blend=share, blend_start=evidence.q_next[:, 0] + of_model - of_model.mean())


def mix(value: Floats, influence: Floats, cluster: Ints) -> Floats:
    """The mixture of returns whose estimated squared error is least, (J,), at least 0, sum 1.

    Args:
        value: Each return, (J,); the last follows the weights to the end.
        influence: Of each row on each, (T, J).
        cluster: Of the rows, (T,).
    """
    from scipy.optimize import nnls  # deferred: heavy, and needed by this function only

    sums = np.zeros((int(cluster.max()) + 1, len(value)))
    np.add.at(sums, cluster, influence)
    covariance = sums.T @ sums / len(influence) ** 2
    reach = _MIDDLE_HALF * np.sqrt(covariance[-1, -1])
    bias = np.maximum(np.abs(value - value[-1]) - reach, 0.0)
    error = covariance + np.outer(bias, bias)
    scale = float(np.trace(error)) / len(value)
    if scale == 0.0:  # all returns are one
        last: Floats = np.eye(len(value))[-1]
        return last
    # Where y >= 0 makes y^T A y / 2 - sum y least, y / sum y makes x^T A x least on the simplex; with A = L L^T the
    # first is a least-squares problem.
    root = np.linalg.cholesky(error / scale + _RIDGE * np.eye(len(value)))
    found, _ = nnls(root.T, np.linalg.solve(root, np.ones(len(value))))
    made: Floats = found / found.sum()
    return made


def _surprise(evidence: Evidence) -> Floats:
    """r_t + V_{t+1} - Q_t of each step, (T, H)."""
    if evidence.q_prefix is None or evidence.q_next is None:
        raise UserError("q_prefix and q_next are absent; fit them with offpolicy.sequences.fitted_q.cross_fitted_q.")
    after = np.zeros_like(evidence.q_next)
    after[:, :-1] = evidence.q_next[:, 1:]
    return evidence.reward + after - evidence.q_prefix


@dataclass(frozen=True)
class _Steps:
    """Weights and surprises of some sequences (n, H), their V_0 (n,), and the noise of the model."""

    weight: Floats
    surprise: Floats
    start: Floats
    noise: ModelNoise


def _returns(seen: _Steps, steps: Ints) -> tuple[Floats, Floats]:
    """The returns that follow weights for so many steps, (J,), and the influence of each row on them, (n, J)."""
    weight, n = seen.weight, len(seen.weight)
    mean = weight.mean(axis=0)
    safe = np.where(mean > 0.0, mean, 1.0)
    added = (weight * seen.surprise).mean(axis=0) / safe
    own = np.cumsum((weight * seen.surprise - added * weight) / safe, axis=1)  # (n, H)
    relied = np.einsum("th,thf->hf", weight / safe, seen.noise.step) / n
    relied = seen.noise.start.mean(axis=0) + _from_nothing(np.cumsum(relied, axis=0))[steps]  # (J, F)
    start = seen.start - seen.start.mean()
    influence = start[:, None] + _from_nothing(own.T)[steps].T + seen.noise.own @ relied.T
    return seen.start.mean() + _from_nothing(np.cumsum(added))[steps], influence


def _from_nothing(column: Floats) -> Floats:
    """Rows of a column, (H, ...), after one of zeros, (H + 1, ...)."""
    return np.concatenate([np.zeros_like(column[:1]), column])


def _numbers_of_steps(longest: int) -> Ints:
    """0, 1, 2 and so on to all steps; thinned out where there are many."""
    made = np.unique(np.rint(np.geomspace(1, longest + 1, RETURNS)).astype(np.int64) - 1)
    return np.arange(longest + 1) if longest < RETURNS else made
