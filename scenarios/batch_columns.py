"""The columns of some logged rows: what the log says of them, what they earned, what a target policy says of them.

The logger's propensities are computed again from the logged scores and must agree with what was logged to 1e-6; the
marginals that item-position weights need are computed here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap
from policies.ranking import Answered, slate_propensities
from scenarios.abstraction import category_weights
from scenarios.config import Estimation
from scenarios.foreseen import foreseen_weights
from scenarios.joining import is_asked
from scenarios.placebo import explorations, placebo
from scenarios.pseudoinverse import pseudoinverse_weights
from scenarios.slate_models import SlateModels, expect
from simenv import hashing
from simenv.catalogue import I64
from simenv.errors import UserError
from simenv.log import LogBatch

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

REPLAY_TOLERANCE = 1e-6  # between logged and recomputed conditional log-probabilities


@dataclass(frozen=True)
class Logged:
    """What the log says of some rows, once for all targets and rewards."""

    logger: F64  # (N, K)
    marginal: F64  # (N, K)
    shopper: I64  # (N,)
    estimated: npt.NDArray[np.bool_]  # (N,)


@dataclass(frozen=True)
class Earned:
    """What the same rows earned by one reward, and its models' opinion of it."""

    reward: F64  # (N, K)
    q_logged: F64  # (N, K)
    q_prefix: F64  # (N, K)
    placebo: F64  # (N, K) NaN where the logger left nothing to chance


@dataclass(frozen=True)
class Asked:
    """What one target policy says of the same rows."""

    conditional: F64  # (N, K)
    marginal: F64 | None  # (N, K); None where it cannot be computed
    pseudoinverse: F64  # (N,) NaN where no estimator asks for it
    abstraction: F64  # (N,) the same
    foreseen_joint: F64  # (N,) NaN where the target does not rank by scores
    foreseen_prefix: F64  # (N,)


@dataclass(frozen=True)
class Expectation:
    """What the models of one reward expect of slates of one target policy."""

    q_target: F64  # (N,)
    q_prefix: F64  # (N,)
    q_click: F64  # (N,) NaN where no estimator asks for a click model


def logged_of(batch: LogBatch) -> tuple[Logged, float]:
    """What the log says of the rows, and the stated error of the logger's marginals."""
    marginal, error = _logger_marginal(batch)
    return Logged(batch.logp.logp, marginal, batch.page.shopper, batch.estimated), error


def earned_of(batch: LogBatch, x: npt.NDArray[np.float32], models: SlateModels) -> Earned:
    """What the rows earned, and the models' opinion of it; x: features of all candidates, (N, C, F)."""
    shopper = batch.page.shopper
    expected = expect(models, shopper, at(x, batch.slate), batch.slate >= 0)
    liking = models.slot.expect(shopper, x, slot=0)
    return Earned(batch.reward, expected.slot, expected.prefix, placebo(batch, liking))


def _logger_marginal(batch: LogBatch) -> tuple[F64, float]:
    """The logger's marginals from its logged scores, after checking that its propensities are what they say."""
    made, error = np.empty(batch.slate.shape), 0.0
    for temperature, floor, rows in explorations(batch.temperature, batch.floor):
        conditional, marginal = slate_propensities(
            batch.scores[rows], temperature, floor, batch.slate[rows], want_marginal=True
        )
        assert marginal is not None
        off = np.abs(conditional.logp - batch.logp.logp[rows]).max(axis=1) > REPLAY_TOLERANCE
        off &= ~batch.estimated[rows]
        if off.any():
            row = rows[np.argmax(off)]
            raise UserError(
                f"log row {batch.row[row]}: the logged log-probabilities {batch.logp.logp[row].round(4).tolist()} are "
                f"not those of the logged scores, temperature {temperature} and floor {floor}. Expected equality to "
                f"{REPLAY_TOLERANCE}. Log the numbers that the slate was drawn from."
            )
        made[rows], error = marginal.logp, max(error, marginal.error)
    return made, error


def answers_of(target: AnyPolicy, batch: LogBatch, settings: Estimation, seed: int) -> Answered:
    """One policy's propensities of a batch's slates, and slates of its own."""
    key = hashing.absorb(hashing.stream(seed, "target slates"), batch.row)
    return target.answered(batch.page, batch.slate, [hashing.absorb(key, m) for m in range(settings.target_slates)])


def asked_of(
    said: Answered, target: AnyPolicy, batch: LogBatch, feature_map: FeatureMap, settings: Estimation
) -> tuple[Asked, float]:
    """What a policy says of the rows, and the stated error of its marginals."""
    marginal, error = (None, 0.0) if said.marginal is None else (said.marginal.logp, said.marginal.error)
    weights, about = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
    if is_asked("pseudoinverse", settings):
        weights = pseudoinverse_weights(batch, target, said)
    if is_asked("abstraction", settings):
        about = category_weights(batch, target, said, feature_map)
    whole, above = foreseen_weights(batch, target, said)
    return Asked(said.conditional.logp, marginal, weights, about, whole, above), error


def expected_of(said: Answered, batch: LogBatch, x: npt.NDArray[np.float32], models: SlateModels) -> Expectation:
    """What the models expect of the policy's own slates, by their mean."""
    worth = [expect(models, batch.page.shopper, at(x, slate), slate >= 0) for slate in said.slates]
    return Expectation(
        q_target=np.mean([each.slot for each in worth], axis=0).sum(axis=1),
        q_prefix=np.mean([each.prefix for each in worth], axis=0).sum(axis=1),
        q_click=np.mean([each.clicks for each in worth], axis=0).sum(axis=1),
    )


def at(x: npt.NDArray[np.float32], slate: I32) -> npt.NDArray[np.float32]:
    """Features of the slate's items, (N, K, F); of the first candidate at empty slots."""
    return x[np.arange(len(x))[:, None], np.maximum(slate, 0)]
