"""Joining policies to a log: where a policy and logged rows become the columns that estimators see.

The log is read twice: once to fit the reward model, on at most MODEL_SEARCHES searches, and once to make the columns,
batch by batch; what is kept of a search is its columns, never its candidates or features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy import Evidence
from offpolicy.bounds import max_weight_from_floors
from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap, features
from scenarios.batch_columns import (
    Asked,
    Earned,
    Expectation,
    Logged,
    answers_of,
    asked_of,
    earned_of,
    expected_of,
    logged_of,
)
from scenarios.config import Estimation
from scenarios.joining import BATCH, Joining, keep_half, models_of, range_of_slot
from scenarios.log_context import FEATURES, Around, around, segments, with_context
from scenarios.progress import Advance
from scenarios.rewards import OWN, rewarded
from scenarios.slate_models import SlateModels
from simenv.columns import join
from simenv.log import Log, LogBatch
from simenv.propensity import Conditional, Marginal

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Joined:
    """The evidence on each target, and what a reader should know about how it came to be."""

    evidence: Mapping[str, Evidence]
    notes: tuple[str, ...]
    marginal_error: float


def join_log(
    log: Log,
    targets: Mapping[str, AnyPolicy],
    half: int | None,
    settings: Estimation,
    seed: int,
    advance: Advance,
) -> Joined:
    """Read a log and make the evidence on each target policy, by the world's own reward.

    Args:
        log: The log.
        targets: Policies by name; none may see truth.
        half: As in `Joining`.
        settings: As in `Joining`.
        seed: As in `Joining`.
        advance: Told rows read.

    Raises:
        UserError: where the logged propensities cannot be recomputed from the logged scores, no row is left, or an
            estimator that is asked for cannot be fed from this log.
    """
    return join_rewards(log, targets, Joining(half, settings, seed), advance)[OWN]


def join_rewards(log: Log, targets: Mapping[str, AnyPolicy], joining: Joining, advance: Advance) -> dict[str, Joined]:
    """As `join_log`, by several rewards in one pass: propensities and drawn slates are computed once.

    Returns:
        The evidence by name of the reward.
    """
    feature_map = FeatureMap(log.catalogue())
    half, settings, seed = joining.half, joining.settings, joining.seed
    keep = keep_half(half)
    models = models_of(log, feature_map, keep, joining)
    logged: list[Logged] = []
    beside: list[Around] = []
    earned: dict[str, list[Earned]] = {reward: [] for reward in models}
    asked: dict[str, list[Asked]] = {name: [] for name in targets}
    expected: dict[tuple[str, str], list[Expectation]] = {(one, name): [] for one in models for name in targets}
    error, floor = 0.0, 1.0
    reads = any(target.reads_query for target in targets.values())
    for batch in log.batches(keep, batch=BATCH, want_query=reads):
        every = np.broadcast_to(np.arange(batch.page.candidates.shape[1]), batch.page.candidates.shape)
        x = features(feature_map, batch.page, every)  # (N, C, F)
        row, stated = logged_of(batch)
        logged.append(row)
        beside.append(around(batch))
        for reward, fitted in models.items():
            earned[reward].append(earned_of(rewarded(batch, reward), x, fitted))
        error, floor = max(error, stated), min(floor, float(batch.floor.min()))
        for name, target in targets.items():
            said = answers_of(target, batch, settings, seed)
            answer, stated = asked_of(said, target, batch, feature_map, settings)
            asked[name].append(answer)
            error = max(error, stated)
            for reward, fitted in models.items():
                expected[reward, name].append(expected_of(said, batch, x, fitted))
        advance(len(batch))
    whole, context = join(logged), join(beside)
    answers = {name: join(parts) for name, parts in asked.items()}
    made: dict[str, Joined] = {}
    for reward, fitted in models.items():
        gains = join(earned[reward])
        by_name = {}
        for name, target in targets.items():
            one = _evidence(whole, gains, answers[name], join(expected[reward, name]), target, error)
            one = replace(one, q_is_past_only=joining.past_only)
            by_name[name] = with_context(_bounded(one, log, reward, floor, target), context)
        made[reward] = Joined(by_name, fitted.notes, error)
    return made


def evidence_of_batch(
    batch: LogBatch, target: AnyPolicy, feature_map: FeatureMap, models: SlateModels, settings: Estimation, seed: int
) -> Evidence:
    """The evidence of some rows alone, for passes that keep sums and no columns; bounds of weights are not in it.

    Its segment "category" tells the head of these rows, not of all.

    Args:
        batch: The rows.
        target: The policy; it may not see truth.
        feature_map: Of the log's catalogue.
        models: Fitted by `fitted_on`.
        settings: As for `join_log`.
        seed: As for `join_log`.

    Raises:
        UserError: As `join_log`.
    """
    every = np.broadcast_to(np.arange(batch.page.candidates.shape[1]), batch.page.candidates.shape)
    x = features(feature_map, batch.page, every)  # (N, C, F)
    row, stated = logged_of(batch)
    said = answers_of(target, batch, settings, seed)
    answer, error = asked_of(said, target, batch, feature_map, settings)
    gains, expected = earned_of(batch, x, models), expected_of(said, batch, x, models)
    made = _evidence(row, gains, answer, expected, target, max(stated, error))
    beside = around(batch)
    residual = None if np.isnan(beside.residual).any() else beside.residual
    return replace(
        made,
        score_residual=residual,
        features=beside.features,
        feature_names=FEATURES,
        segments=segments(beside),
        time=beside.day,
    )


def _evidence(
    whole: Logged, earned: Earned, answer: Asked, expected: Expectation, target: AnyPolicy, error: float
) -> Evidence:
    estimated = bool(whole.estimated.any()) or target.propensity_kind == "estimated"
    return Evidence(
        reward=earned.reward,
        logger=Conditional(whole.logger),
        target=Conditional(answer.conditional),
        logger_marginal=Marginal(whole.marginal, error),
        target_marginal=None if answer.marginal is None else Marginal(answer.marginal, error),
        q_logged=earned.q_logged,
        q_target=expected.q_target,
        q_prefix=_unless_absent(earned.q_prefix),
        q_prefix_target=_unless_absent(expected.q_prefix),
        q_click=_unless_absent(expected.q_click),
        pseudoinverse=_unless_absent(answer.pseudoinverse),
        abstraction=_unless_absent(answer.abstraction),
        foreseen={
            family: column
            for family, column in (("joint", answer.foreseen_joint), ("prefix", answer.foreseen_prefix))
            if not np.isnan(column).any()
        },
        placebo=None if earned.placebo.shape[1] < 2 or np.isnan(earned.placebo).any() else earned.placebo,
        cluster=whole.shopper,
        propensity_kind="estimated" if estimated else "exact",
    )


def _bounded(evidence: Evidence, log: Log, reward: str, floor: float, target: AnyPolicy) -> Evidence:
    """The evidence with what is known before any log: the range of a row's reward, and the weight that floors allow."""
    of_slot = range_of_slot(log, reward)
    most: float | None = None
    if floor > 0.0 and evidence.propensity_kind == "exact":
        most = max_weight_from_floors(floor, log.manifest["n_candidates"], evidence.n_slots, target.floor)
    of_row = None if of_slot is None else (of_slot[0], of_slot[1] * evidence.n_slots)
    return replace(evidence, reward_range=of_row, slot_range=of_slot, max_weight=most)


def _unless_absent(column: F64) -> F64 | None:
    return None if np.isnan(column).all() else column
