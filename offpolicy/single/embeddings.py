"""The column `embedding`: weights of what an action is made of, in place of weights of the action.

Where many actions share few embeddings (category, brand, price tier) and move the reward through these alone, the ratio
of the policies' probabilities of the logged embedding is enough, and far smaller than the action's. Saito and Joachims,
"Off-policy evaluation for large action spaces via embeddings" (2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.reward_model import folds
from offpolicy.single.arrays import SingleActionLog
from offpolicy.single.multinomial import check_folds, cross_fitted
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PRIOR = 1.0  # rows; more makes rare actions alike, and what tells them apart is the point


def likelihood(embedding: Ints, tables: Sequence[Floats]) -> Floats:
    """P(logged embedding | a) of every action, (N, A), for embeddings of D categories drawn independently.

    Args:
        embedding: Logged categories, (N, D), from 0.
        tables: D tables (A, categories): probabilities of the categories given the action; 0 or 1 where an action's
            category is fixed.

    Raises:
        UserError: If shapes disagree, a table's rows do not sum to 1, or no action can have a logged embedding.
    """
    if embedding.ndim != 2 or embedding.shape[1] != len(tables) or embedding.dtype.kind not in "iu":
        raise UserError(
            f"embedding is {embedding.dtype} of shape {embedding.shape} for {len(tables)} tables; expected integers of "
            f"shape (N, {len(tables)})."
        )
    made = np.ones((len(embedding), len(tables[0])))
    for d, table in enumerate(tables):
        if table.ndim != 2 or np.abs(table.sum(axis=1) - 1.0).max() > 1e-6 or table.min() < 0.0:
            raise UserError(f"table {d} of shape {table.shape} is not of probabilities (A, categories) that sum to 1.")
        code = embedding[:, d]
        if code.min() < 0 or code.max() >= table.shape[1]:
            row = int(((code < 0) | (code >= table.shape[1])).argmax())
            raise UserError(f"log row {row}: category {d} is {code[row]}; expected 0 to {table.shape[1] - 1}.")
        made *= table.T[code]
    if made.max(axis=1).min() == 0.0:
        row = int(made.max(axis=1).argmin())
        raise UserError(f"log row {row}: no action can have the logged embedding {embedding[row].tolist()}.")
    return made


def learned_likelihood(
    log: SingleActionLog, embedding: Ints, n_actions: int, n_folds: int = 5, seed: int = 0
) -> Floats:
    """P(logged embedding | a) of every action, (N, A), from how often the categories came with it in other folds.

    An action's frequencies are drawn toward those of all actions, as if these had been seen in `_PRIOR` rows more: an
    action that nobody played is like the average one. Right where categories are independent of each other and of the
    context given the action.

    Args:
        log: The log.
        embedding: Logged categories, (N, D), from 0.
        n_actions: A.
        n_folds: At least 2.
        seed: Names the split.

    Raises:
        UserError: If shapes disagree or there are fewer clusters than folds.
    """
    if embedding.ndim != 2 or len(embedding) != log.n_rows or embedding.dtype.kind not in "iu" or embedding.min() < 0:
        raise UserError(f"embedding is {embedding.dtype} of shape {embedding.shape}; expected integers (N, D) from 0.")
    check_folds(log.clusters, n_folds, 2)
    fold, made = folds(log.clusters, n_folds, seed), np.ones((log.n_rows, n_actions))
    for held in range(n_folds):
        mine, others = fold == held, fold != held
        for code in embedding.T:
            n_codes = int(code.max()) + 1
            pairs = np.bincount(log.action[others] * n_codes + code[others], minlength=n_actions * n_codes)
            counts = pairs.reshape(n_actions, n_codes).astype(np.float64)
            overall = (counts.sum(axis=0) + 1.0) / (counts.sum() + n_codes)
            table = (counts + _PRIOR * overall) / (counts.sum(axis=1, keepdims=True) + _PRIOR)
            made[mine] *= table.T[code[mine]]
    return made


def known_ratio(actions: ActionTable, likelihood: Floats) -> Floats:
    """sum_a pi_target(a) P(e|a) / sum_a pi_logger(a) P(e|a) at the logged embedding, (N,).

    Exact where P(e|a) is; needs of the logger only that it shows every embedding, not every action.

    Args:
        actions: The policies' probabilities of all actions.
        likelihood: P(logged embedding | x, a), (N, A), or anything proportional to it in a row.

    Raises:
        UserError: If the logger could not have shown a logged embedding.
    """
    below = np.einsum("na,na->n", actions.logger, likelihood)
    if not below.min() > 0.0:
        row = int(np.argmin(below))
        raise UserError(
            f"log row {row}: the logger plays no action that can have the logged embedding. Are actions numbered alike?"
        )
    ratio: Floats = np.einsum("na,na->n", actions.target, likelihood) / below
    return ratio


def learned_ratio(
    log: SingleActionLog, actions: ActionTable, embedding: Floats, n_folds: int = 5, seed: int = 0
) -> Floats:
    """sum_a P(a | x, e) pi_target(a) / pi_logger(a), with P(a | x, e) under the logger by a cross-fitted model.

    For embeddings whose P(e|a) nobody knows; where they are a few categories that depend on nothing but the action,
    `known_ratio` of a `learned_likelihood` is better and a thousand times faster. Blind to actions that the logger
    never plays: where only the target plays them, the mean of the ratio falls short of 1.

    Args:
        log: The log, with everything in its context that the logger chose by: without it the posterior is wrong.
        actions: The policies' probabilities of all actions.
        embedding: Logged embeddings as numbers, (N, D); categories as `one_hot` makes them.
        n_folds: At least 2.
        seed: Names the split.

    Raises:
        UserError: If shapes disagree or there are fewer clusters than folds.
    """
    if embedding.ndim != 2 or len(embedding) != log.n_rows or not np.isfinite(embedding).all():
        raise UserError(f"embedding has shape {embedding.shape}; expected finite numbers of shape ({log.n_rows}, D).")
    seen = np.concatenate([log.needed_context(), embedding], axis=1)
    posterior = cross_fitted(seen, log.action, actions.n_actions, log.clusters, n_folds, seed)
    posterior *= actions.logger > 0.0
    weight = np.where(actions.logger > 0.0, actions.weights(), 0.0)
    ratio: Floats = np.einsum("na,na->n", posterior, weight) / posterior.sum(axis=1)
    return ratio


def one_hot(embedding: Ints) -> Floats:
    """Categories (N, D) from 0 as columns of zeros and ones, (N, sum of the numbers of categories)."""
    return np.concatenate([np.eye(int(code.max()) + 1)[code] for code in embedding.T], axis=1)
