"""A small single-action market as a log in which everything occurs exactly as often as the logger makes it occur.

Two contexts, four actions, three embeddings: the expectation of an estimator is its value on this log. The reward
follows from context and embedding alone, so that weights of embeddings are right, too; one weight is 11, beyond the
limit of the switch estimator.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.evidence import Evidence
from simenv.propensity import Conditional, Marginal

Floats = npt.NDArray[np.float64]

LOGGER = np.array([[8.0, 7.0, 4.0, 1.0], [1.0, 5.0, 8.0, 6.0]]) / 20.0  # (X, A)
TARGET = np.array([[0.1, 0.2, 0.15, 0.55], [0.25, 0.3, 0.05, 0.4]])  # (X, A)
EMBEDDING = np.array([[2.0, 1.0, 1.0], [0.0, 3.0, 1.0], [1.0, 2.0, 1.0], [1.0, 0.0, 3.0]]) / 4.0  # (A, E)
REWARD = np.array([[0.2, 0.5, 0.7], [0.6, 0.1, 0.4]])  # (X, E)
COPIES = 40  # of the 80 that make every triple of context, action and embedding a whole number of rows


def enumerated_actions(*, wrong_model: bool) -> tuple[Evidence, float]:
    """The log with every column that a single-action estimator can ask for, and the target's true value.

    Args:
        wrong_model: Whether the reward model errs (by a fifth, and by a constant).
    """
    times = np.rint(LOGGER[:, :, None] * EMBEDDING * 80 * COPIES).astype(np.int64)  # (X, A, E)
    x, a, e = np.repeat(np.indices(times.shape).reshape(3, -1), times.ravel(), axis=1)
    q = REWARD @ EMBEDDING.T  # (X, A)
    truth = float((TARGET * q).sum(axis=1).mean())
    factor, offset = (0.8, 0.05) if wrong_model else (1.0, 0.0)
    model = factor * q + offset
    logger, target = np.log(LOGGER[x, a])[:, None], np.log(TARGET[x, a])[:, None]
    by_embedding = factor * REWARD + offset  # wrong between embeddings only: all that an action does is in them
    evidence = Evidence(
        reward=REWARD[x, e][:, None],
        logger=Conditional(logger),
        target=Conditional(target),
        logger_marginal=Marginal(logger),
        target_marginal=Marginal(target),
        q_logged=model[x, a][:, None],
        q_target=(TARGET * model).sum(axis=1)[x],
        actions=ActionTable(a, LOGGER[x], TARGET[x], model[x]),
        embedding=((TARGET @ EMBEDDING) / (LOGGER @ EMBEDDING))[x, e],
        q_within=by_embedding[x, e][:, None],
        q_within_target=((TARGET @ EMBEDDING) * by_embedding).sum(axis=1)[x],
        balanced=(TARGET / LOGGER)[x, a],
        cluster=np.arange(len(x)) // 3,
        unit="decision",
    )
    return evidence, truth
