"""Pseudoinverse weights of a batch of a log: where policies' scores become the columns that the estimator asks for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.slates.pseudoinverse import plackett_luce_weights, uniform_weights
from policies import plackett_luce
from policies.exploration.slotwise import AnyPolicy
from policies.ranking import Answered
from simenv.errors import UserError
from simenv.log import LogBatch

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

EVEN = 1e-9  # by which log-weights of a uniform logger may differ
GREEDY = 40.0  # log of how much likelier a greedy target's next item is than all that follow it


def pseudoinverse_weights(batch: LogBatch, target: AnyPolicy, said: Answered) -> F64:
    """Weights (N,) of a batch: in closed form where the logger was uniform, by enumeration elsewhere.

    Args:
        batch: Logged searches.
        target: The policy to judge.
        said: What it says of them.

    Raises:
        UserError: where the logger was greedy, or not uniform on a page with too many slates to enumerate; or where the
            policy has no scores.
    """
    if said.scores is None or said.marginal is None:
        raise UserError(
            f"policy '{target.name}' chooses slot by slot, without one score a candidate; the pseudoinverse needs "
            "scores. Leave out 'pi' and 'snpi'."
        )
    scores, at_slot = said.scores, said.marginal.logp
    if (batch.temperature == 0.0).any():
        row = int((batch.temperature == 0.0).argmax())
        raise UserError(
            f"log row {batch.row[row]}: the logger was greedy, so pairs of slots say nothing of other slates; the "
            "pseudoinverse needs a logger that explored."
        )
    logw = logger_weights(batch)
    here = batch.page.candidates >= 0
    spread = np.where(here, logw, -np.inf).max(axis=1) - np.where(here, logw, np.inf).min(axis=1)
    even = (spread <= EVEN) | ~here.any(axis=1)
    made = np.empty(len(batch))
    if even.any():
        anywhere = _anywhere(target, scores[even], batch.slate[even])
        n_shown = (batch.slate[even] >= 0).sum(axis=1)
        made[even] = uniform_weights(here[even].sum(axis=1), n_shown, np.exp(at_slot[even]), anywhere)
    if not even.all():
        uneven = ~even
        made[uneven] = plackett_luce_weights(
            np.exp(logw[uneven]), np.exp(target_weights(target, scores[uneven])), batch.slate[uneven]
        )
    return made


def logger_weights(batch: LogBatch) -> F64:
    """Log-weights of the candidates under the logger, (N, C); of rows that were not drawn greedily."""
    logw = np.empty(batch.scores.shape)
    for temperature, floor in sorted(set(zip(batch.temperature.tolist(), batch.floor.tolist(), strict=True))):
        rows = (batch.temperature == temperature) & (batch.floor == floor)
        logw[rows] = plackett_luce.log_weights(batch.scores[rows], temperature, floor)
    return logw


def _anywhere(target: AnyPolicy, scores: F32, slate: npt.NDArray[np.int32]) -> F64:
    """The target's chance of each logged item at any slot, (n, K)."""
    if target.temperature > 0:
        return plackett_luce.inclusion(plackett_luce.log_weights(scores, target.temperature, target.floor), slate)
    best = plackett_luce.top(scores, slate.shape[1])
    made: F64 = (slate[:, :, None] == best[:, None, :]).any(axis=2).astype(np.float64)
    return made


def target_weights(target: AnyPolicy, scores: F32) -> F64:
    """Log-weights (n, C); a greedy ranker's fall so steeply that its own slate is certain to 1e-17."""
    if target.temperature > 0:
        return plackett_luce.log_weights(scores, target.temperature, target.floor)
    order = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(np.isneginf(scores), -np.inf, -GREEDY * order)
