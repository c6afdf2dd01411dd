"""Weights of states in place of weights of the past: what `state-dr` needs, for long sequences.

The weight of a step is a product over all that led to it, and products of many ratios are useless. Where a state tells
all of the past that moves what comes later, the product may be replaced by its mean in that state,

    W_t(s) = E[W_{t-1} w_{t-1} | s_t = s] = P_target(s_t = s) / P_logger(s_t = s),

which does not grow with the horizon. Xie, Ma and Wang, "Towards optimal off-policy evaluation for reinforcement
learning with marginalized importance sampling" (2019). Values of states by the same tables make it doubly robust, and
its interval honest where the state is enough: Kallus and Uehara, "Double reinforcement learning for efficient
off-policy evaluation in Markov decision processes" (2020). Where something unseen carries over from step to step it is
biased without a trace in its own numbers; only weights of the whole past, `pdis`, can contradict it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.reward_model import folds
from offpolicy.sequences.sessions import Layout
from offpolicy.single.multinomial import check_folds
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

GONE = 0  # the state behind the last step of a sequence
_PRIOR = 1.0  # rows that say of each state what all states of the step say


def states_of(evidence: Evidence, layout: Layout) -> Ints:
    """What of the past is known before each step, (T, H) integers; GONE behind the last.

    The column `state` where the evidence has one; else the segments of the search and whether the sequence has earned
    something already. The place of a step is known besides: every step has tables of its own.

    Args:
        evidence: One row a search.
        layout: Of the same rows.
    """
    there = layout.row >= 0
    if evidence.state is not None:
        own = np.unique(evidence.state, return_inverse=True)[1].reshape(-1)
        return np.where(there, own[np.maximum(layout.row, 0)] + 1, GONE)
    earned = np.cumsum(layout.lay(evidence.reward.sum(axis=1)) != 0.0, axis=1) > 0
    before = np.concatenate([np.zeros((len(earned), 1), dtype=np.bool_), earned[:, :-1]], axis=1)
    code = np.zeros(evidence.n_rows, dtype=np.int64)
    for column in evidence.segments.values():
        values, own = np.unique(column, return_inverse=True)
        code = np.unique(code * len(values) + own.reshape(-1), return_inverse=True)[1].reshape(-1)
    return np.where(there, 2 * code[np.maximum(layout.row, 0)] + before + 1, GONE)


def with_states(evidence: Evidence, state: Ints, n_folds: int = 5, seed: int = 0) -> Evidence:
    """Evidence on sequences with the columns of `state-dr`, by tables of the other folds of clusters for each fold.

    Args:
        evidence: Of sequences, from `side_by_side`.
        state: Of each step, (T, H), GONE behind the last.
        n_folds: At least 2.
        seed: Names the split.

    Raises:
        UserError: If shapes disagree or there are fewer clusters than folds.
    """
    if state.shape != evidence.reward.shape or state.dtype.kind not in "iu" or state.min() < 0:
        raise UserError(
            f"state is {state.dtype} of shape {state.shape}; expected integers from 0, {evidence.reward.shape}."
        )
    check_folds(evidence.cluster, n_folds, 2)
    step = np.exp(evidence.target.logp - evidence.logger.logp, dtype=np.float64)
    fold = folds(evidence.cluster, n_folds, seed)
    ratio, gain = np.empty(step.shape), np.empty(step.shape)
    start = np.empty(len(step))
    for held in range(n_folds):
        mine, others = fold == held, fold != held
        if not mine.any() or not others.any():
            continue
        ratio[mine] = _weights(state, step, others)[mine] * step[mine]
        value = _values(state, step, evidence.reward, others)[mine]
        after = np.concatenate([value[:, 1:], np.zeros((len(value), 1))], axis=1)
        gain[mine], start[mine] = value - after, value[:, 0]
    return replace(evidence, state_ratio=ratio, q_state=gain, q_state_target=start)


def _weights(state: Ints, step: Floats, learn: Bools) -> Floats:
    """W_t of each row's state, (T, H), by the rows to learn from, among which it has mean 1 at every step.

    Without that, what the mean of one step is off by chance is carried on to all that follow.
    """
    made = np.ones(step.shape)
    for t in range(1, step.shape[1]):
        carried = made[:, t - 1] * step[:, t - 1]
        made[:, t] = _means(state[:, t], carried, np.ones(len(carried)), learn)
        mean = float(made[learn, t].mean())
        made[:, t] /= mean if mean > 0.0 else 1.0
    return made


def _values(state: Ints, step: Floats, reward: Floats, learn: Bools) -> Floats:
    """What a sequence still earns from each row's state on, the target choosing, (T, H); 0 where it is gone."""
    made, after = np.zeros(step.shape), np.zeros(len(step))
    for t in range(step.shape[1] - 1, -1, -1):
        made[:, t] = _means(state[:, t], step[:, t] * (reward[:, t] + after), step[:, t], learn)
        made[state[:, t] == GONE, t] = 0.0
        after = made[:, t]
    return made


def _means(code: Ints, above: Floats, below: Floats, learn: Bools) -> Floats:
    """Sum of `above` over sum of `below` among the rows to learn from with the same code, for every row."""
    size = int(code.max()) + 1
    sums, counts = (np.bincount(code[learn], column[learn], size) for column in (above, below))
    total = float(counts.sum())
    overall = float(sums.sum()) / total if total > 0.0 else 0.0
    made: Floats = ((sums + _PRIOR * overall) / (counts + _PRIOR))[code]
    return made
