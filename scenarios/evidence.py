"""Joining policies to a log: where a policy and logged rows become the columns that estimators see.

The log is read twice: once to fit the reward model, on at most MODEL_SEARCHES searches, and once to make the columns,
batch by batch; what is kept of a search is its columns, never its candidates or features. The logger's propensities are
computed again from the logged scores and must agree with what was logged to 1e-6; the marginals that item-position
weights need are computed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy import Evidence, estimator
from offpolicy.bounds import max_weight_from_floors
from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap, features
from policies.learning import in_half
from policies.ranking import Answered, slate_propensities
from scenarios.abstraction import category_weights
from scenarios.config import Estimation
from scenarios.foreseen import foreseen_weights
from scenarios.log_context import FEATURES, Around, around, segments, with_context
from scenarios.placebo import explorations, placebo
from scenarios.progress import Advance
from scenarios.pseudoinverse import pseudoinverse_weights
from scenarios.rewards import OWN, rewarded, slot_range
from scenarios.slate_models import SlateModels, expect, fit_models
from simenv import hashing
from simenv.catalogue import I64
from simenv.columns import join
from simenv.errors import UserError
from simenv.log import Log, LogBatch
from simenv.propensity import Conditional, Marginal

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Keep = Callable[[I64], npt.NDArray[np.bool_]] | None

REPLAY_TOLERANCE = 1e-6  # between logged and recomputed conditional log-probabilities
BATCH = 4096  # searches in memory with all their candidates' features
MODEL_SEARCHES = 100_000  # that the reward model is fitted on, at most


@dataclass(frozen=True)
class _Logged:
    """What the log says of some rows, once for all targets and rewards."""

    logger: F64  # (N, K)
    marginal: F64  # (N, K)
    shopper: I64  # (N,)
    estimated: npt.NDArray[np.bool_]  # (N,)


@dataclass(frozen=True)
class _Earned:
    """What the same rows earned by one reward, and its models' opinion of it."""

    reward: F64  # (N, K)
    q_logged: F64  # (N, K)
    q_prefix: F64  # (N, K)
    placebo: F64  # (N, K) NaN where the logger left nothing to chance


@dataclass(frozen=True)
class _Asked:
    """What one target policy says of the same rows."""

    conditional: F64  # (N, K)
    marginal: F64 | None  # (N, K); None where it cannot be computed
    pseudoinverse: F64  # (N,) NaN where no estimator asks for it
    abstraction: F64  # (N,) the same
    foreseen_joint: F64  # (N,) NaN where the target does not rank by scores
    foreseen_prefix: F64  # (N,)


@dataclass(frozen=True)
class _Expected:
    """What the models of one reward expect of slates of one target policy."""

    q_target: F64  # (N,)
    q_prefix: F64  # (N,)
    q_click: F64  # (N,) NaN where no estimator asks for a click model


@dataclass(frozen=True)
class Joined:
    """The evidence on each target, and what a reader should know about how it came to be."""

    evidence: Mapping[str, Evidence]
    notes: tuple[str, ...]
    marginal_error: float


@dataclass(frozen=True)
class Joining:
    """How a log is joined.

    Attributes:
        half: Only shoppers of that half (see `policies.learning.in_half`); all where None.
        settings: Folds of the reward model, slates drawn from each target per search.
        seed: Of the folds and of the drawn slates.
        rewards: Names in `scenarios.rewards.REWARDS`, or the world's own.
    """

    half: int | None
    settings: Estimation
    seed: int
    rewards: tuple[str, ...] = (OWN,)


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
    models = _models(log, feature_map, keep, joining)
    logged: list[_Logged] = []
    beside: list[Around] = []
    earned: dict[str, list[_Earned]] = {reward: [] for reward in models}
    asked: dict[str, list[_Asked]] = {name: [] for name in targets}
    expected: dict[tuple[str, str], list[_Expected]] = {(one, name): [] for one in models for name in targets}
    error, floor = 0.0, 1.0
    reads = any(target.reads_query for target in targets.values())
    for batch in log.batches(keep, batch=BATCH, want_query=reads):
        every = np.broadcast_to(np.arange(batch.page.candidates.shape[1]), batch.page.candidates.shape)
        x = features(feature_map, batch.page, every)  # (N, C, F)
        row, stated = _logged(batch)
        logged.append(row)
        beside.append(around(batch))
        for reward, fitted in models.items():
            earned[reward].append(_earned(rewarded(batch, reward), x, fitted))
        error, floor = max(error, stated), min(floor, float(batch.floor.min()))
        for name, target in targets.items():
            said = _answers(target, batch, settings, seed)
            answer, stated = _asked(said, target, batch, feature_map, settings)
            asked[name].append(answer)
            error = max(error, stated)
            for reward, fitted in models.items():
                expected[reward, name].append(_expected(said, batch, x, fitted))
        advance(len(batch))
    whole, context = join(logged), join(beside)
    answers = {name: join(parts) for name, parts in asked.items()}
    made: dict[str, Joined] = {}
    for reward, fitted in models.items():
        gains = join(earned[reward])
        by_name = {}
        for name, target in targets.items():
            one = _evidence(whole, gains, answers[name], join(expected[reward, name]), target, error)
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
    row, stated = _logged(batch)
    said = _answers(target, batch, settings, seed)
    answer, error = _asked(said, target, batch, feature_map, settings)
    gains, expected = _earned(batch, x, models), _expected(said, batch, x, models)
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


def keep_half(half: int | None) -> Keep:
    """Which shoppers are judged on: those of a half, all where None."""
    return None if half is None else (lambda shopper: in_half(shopper, half))


def fitted_on(log: Log, feature_map: FeatureMap, keep: Keep, settings: Estimation, seed: int) -> SlateModels:
    """The reward models of the world's own reward, fitted on whole shoppers until there are enough searches."""
    return _models(log, feature_map, keep, Joining(None, settings, seed))[OWN]


def _models(log: Log, feature_map: FeatureMap, keep: Keep, joining: Joining) -> dict[str, SlateModels]:
    """By reward; fitted on whole shoppers in the log's order, until there are enough searches."""
    x, shopper = [], []
    reward: dict[str, list[F64]] = {name: [] for name in joining.rewards}
    n = 0
    for batch in log.batches(keep, batch=BATCH):
        x.append(features(feature_map, batch.page, batch.slate))
        for name, parts in reward.items():
            parts.append(rewarded(batch, name).reward)
        shopper.append(batch.page.shopper)
        n += len(batch)
        if n >= MODEL_SEARCHES:
            break
    if not n:
        raise UserError(
            f"no row of '{log.folder}' is left to evaluate on; the log is empty or all of it was learned from."
        )
    settings, seen, who = joining.settings, np.concatenate(x), np.concatenate(shopper)
    want_clicks = _is_asked("q_click", settings)
    return {
        name: fit_models(seen, np.concatenate(parts), who, settings.folds, joining.seed, want_clicks=want_clicks)
        for name, parts in reward.items()
    }


def _is_asked(column: str, settings: Estimation) -> bool:
    """Whether an estimator that is asked for by name needs a column that is not computed otherwise."""
    return any(column in estimator(name).needs for name in settings.estimators or [])


def _evidence(
    whole: _Logged, earned: _Earned, answer: _Asked, expected: _Expected, target: AnyPolicy, error: float
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
        q_prefix=earned.q_prefix,
        q_prefix_target=expected.q_prefix,
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
    of_slot = slot_range(reward, log.manifest.get("reward", ""))
    most: float | None = None
    if floor > 0.0 and evidence.propensity_kind == "exact":
        most = max_weight_from_floors(floor, log.manifest["n_candidates"], evidence.n_slots, target.floor)
    of_row = None if of_slot is None else (of_slot[0], of_slot[1] * evidence.n_slots)
    return replace(evidence, reward_range=of_row, slot_range=of_slot, max_weight=most)


def _unless_absent(column: F64) -> F64 | None:
    return None if np.isnan(column).all() else column


def _logged(batch: LogBatch) -> tuple[_Logged, float]:
    marginal, error = _logger_marginal(batch)
    return _Logged(batch.logp.logp, marginal, batch.page.shopper, batch.estimated), error


def _earned(batch: LogBatch, x: npt.NDArray[np.float32], models: SlateModels) -> _Earned:
    shopper = batch.page.shopper
    expected = expect(models, shopper, _at(x, batch.slate), batch.slate >= 0)
    liking = models.slot.expect(shopper, x, slot=0)
    return _Earned(batch.reward, expected.slot, expected.prefix, placebo(batch, liking))


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


def _answers(target: AnyPolicy, batch: LogBatch, settings: Estimation, seed: int) -> Answered:
    """One policy's propensities of a batch's slates, and slates of its own."""
    key = hashing.absorb(hashing.stream(seed, "target slates"), batch.row)
    return target.answered(batch.page, batch.slate, [hashing.absorb(key, m) for m in range(settings.target_slates)])


def _asked(
    said: Answered, target: AnyPolicy, batch: LogBatch, feature_map: FeatureMap, settings: Estimation
) -> tuple[_Asked, float]:
    marginal, error = (None, 0.0) if said.marginal is None else (said.marginal.logp, said.marginal.error)
    weights, about = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
    if _is_asked("pseudoinverse", settings):
        weights = pseudoinverse_weights(batch, target, said)
    if _is_asked("abstraction", settings):
        about = category_weights(batch, target, said, feature_map)
    whole, above = foreseen_weights(batch, target, said)
    return _Asked(said.conditional.logp, marginal, weights, about, whole, above), error


def _expected(said: Answered, batch: LogBatch, x: npt.NDArray[np.float32], models: SlateModels) -> _Expected:
    """What the models expect of the policy's own slates, by their mean."""
    worth = [expect(models, batch.page.shopper, _at(x, slate), slate >= 0) for slate in said.slates]
    return _Expected(
        q_target=np.mean([each.slot for each in worth], axis=0).sum(axis=1),
        q_prefix=np.mean([each.prefix for each in worth], axis=0).sum(axis=1),
        q_click=np.mean([each.clicks for each in worth], axis=0).sum(axis=1),
    )


def _at(x: npt.NDArray[np.float32], slate: I32) -> npt.NDArray[np.float32]:
    """Features of the slate's items, (N, K, F); of the first candidate at empty slots."""
    return x[np.arange(len(x))[:, None], np.maximum(slate, 0)]
