"""Joining policies to a log: where a policy and logged rows become the columns that estimators see.

The log is read twice: once to fit the reward model, on at most MODEL_SEARCHES searches, and once to make the columns,
batch by batch; what is kept of a search is its columns, never its candidates or features. The logger's propensities are
computed again from the logged scores and must agree with what was logged to 1e-6; the marginals that item-position
weights need are computed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy import Evidence, estimator
from offpolicy.bounds import max_weight_from_floors
from policies import plackett_luce
from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap, features
from policies.learning import in_half
from policies.ranking import slate_propensities
from scenarios.config import Estimation
from scenarios.foreseen import foreseen_weights
from scenarios.log_context import Around, around, with_context
from scenarios.progress import Advance
from scenarios.pseudoinverse import pseudoinverse_weights
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

# Of a slot's reward, by what the log's manifest says it counts; net revenue can be below 0 by any amount.
SLOT_RANGES = {"clicks": (0.0, 1.0), "purchases": (0.0, 1.0), "revenue": (0.0, np.inf)}


@dataclass(frozen=True)
class _Logged:
    """What the log says of some rows, once for all targets."""

    reward: F64  # (N, K)
    logger: F64  # (N, K)
    marginal: F64  # (N, K)
    q_logged: F64  # (N, K)
    q_prefix: F64  # (N, K)
    placebo: F64  # (N, K) NaN where the logger left nothing to chance
    shopper: I64  # (N,)
    estimated: npt.NDArray[np.bool_]  # (N,)


@dataclass(frozen=True)
class _Asked:
    """What one target policy says of the same rows."""

    conditional: F64  # (N, K)
    marginal: F64 | None  # (N, K); None where it cannot be computed
    q_target: F64  # (N,)
    q_prefix: F64  # (N,)
    q_click: F64  # (N,) NaN where no estimator asks for a click model
    pseudoinverse: F64  # (N,) NaN where no estimator asks for it
    foreseen_joint: F64  # (N,) NaN where the target does not rank by scores
    foreseen_prefix: F64  # (N,)


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
    """Read a log and make the evidence on each target policy.

    Args:
        log: The log.
        targets: Policies by name; none may see truth.
        half: Only shoppers of that half (see `policies.learning.in_half`); all where None.
        settings: Folds of the reward model, slates drawn from each target per search.
        seed: Of the folds and of the drawn slates.
        advance: Told rows read.

    Raises:
        UserError: where the logged propensities cannot be recomputed from the logged scores, no row is left, or an
            estimator that is asked for cannot be fed from this log.
    """
    feature_map = FeatureMap(log.catalogue())
    keep: Keep = None if half is None else (lambda shopper: in_half(shopper, half))
    models = _models(log, feature_map, keep, settings, seed)
    logged: list[_Logged] = []
    beside: list[Around] = []
    asked: dict[str, list[_Asked]] = {name: [] for name in targets}
    error, floor = 0.0, 1.0
    reads = any(target.reads_query for target in targets.values())
    for batch in log.batches(keep, batch=BATCH, want_query=reads):
        every = np.broadcast_to(np.arange(batch.page.candidates.shape[1]), batch.page.candidates.shape)
        x = features(feature_map, batch.page, every)  # (N, C, F)
        row, stated = _logged(batch, x, models)
        logged.append(row)
        beside.append(around(batch))
        error, floor = max(error, stated), min(floor, float(batch.floor.min()))
        for name, target in targets.items():
            answer, stated = _ask(target, batch, x, models, settings, seed)
            asked[name].append(answer)
            error = max(error, stated)
        advance(len(batch))
    whole, context = join(logged), join(beside)
    made = {name: _evidence(whole, join(answers), targets[name], error) for name, answers in asked.items()}
    return Joined(
        {name: with_context(_bounded(one, log, floor, targets[name]), context) for name, one in made.items()},
        models.notes,
        error,
    )


def _models(log: Log, feature_map: FeatureMap, keep: Keep, settings: Estimation, seed: int) -> SlateModels:
    """Fit on whole shoppers in the log's order, until there are enough searches."""
    x, reward, shopper = [], [], []
    n = 0
    for batch in log.batches(keep, batch=BATCH):
        x.append(features(feature_map, batch.page, batch.slate))
        reward.append(batch.reward)
        shopper.append(batch.page.shopper)
        n += len(batch)
        if n >= MODEL_SEARCHES:
            break
    if not n:
        raise UserError(
            f"no row of '{log.folder}' is left to evaluate on; the log is empty or all of it was learned from."
        )
    columns = np.concatenate(x), np.concatenate(reward), np.concatenate(shopper)
    return fit_models(*columns, settings.folds, seed, want_clicks=_is_asked("q_click", settings))


def _is_asked(column: str, settings: Estimation) -> bool:
    """Whether an estimator that is asked for by name needs a column that is not computed otherwise."""
    return any(column in estimator(name).needs for name in settings.estimators or [])


def _evidence(whole: _Logged, answer: _Asked, target: AnyPolicy, error: float) -> Evidence:
    estimated = bool(whole.estimated.any()) or target.propensity_kind == "estimated"
    return Evidence(
        reward=whole.reward,
        logger=Conditional(whole.logger),
        target=Conditional(answer.conditional),
        logger_marginal=Marginal(whole.marginal, error),
        target_marginal=None if answer.marginal is None else Marginal(answer.marginal, error),
        q_logged=whole.q_logged,
        q_target=answer.q_target,
        q_prefix=whole.q_prefix,
        q_prefix_target=answer.q_prefix,
        q_click=_unless_absent(answer.q_click),
        pseudoinverse=_unless_absent(answer.pseudoinverse),
        foreseen={
            family: column
            for family, column in (("joint", answer.foreseen_joint), ("prefix", answer.foreseen_prefix))
            if not np.isnan(column).any()
        },
        placebo=None if whole.placebo.shape[1] < 2 or np.isnan(whole.placebo).any() else whole.placebo,
        cluster=whole.shopper,
        propensity_kind="estimated" if estimated else "exact",
    )


def _bounded(evidence: Evidence, log: Log, floor: float, target: AnyPolicy) -> Evidence:
    """The evidence with what is known before any log: the range of a row's reward, and the weight that floors allow."""
    slot_range = SLOT_RANGES.get(log.manifest.get("reward", ""))
    most: float | None = None
    if floor > 0.0 and evidence.propensity_kind == "exact":
        most = max_weight_from_floors(floor, log.manifest["n_candidates"], evidence.n_slots, target.floor)
    reward_range = None if slot_range is None else (slot_range[0], slot_range[1] * evidence.n_slots)
    return replace(evidence, reward_range=reward_range, slot_range=slot_range, max_weight=most)


def _unless_absent(column: F64) -> F64 | None:
    return None if np.isnan(column).all() else column


def _logged(batch: LogBatch, x: npt.NDArray[np.float32], models: SlateModels) -> tuple[_Logged, float]:
    marginal, error = _logger_marginal(batch)
    shopper = batch.page.shopper
    expected = expect(models, shopper, _at(x, batch.slate), batch.slate >= 0)
    return _Logged(
        reward=batch.reward,
        logger=batch.logp.logp,
        marginal=marginal,
        q_logged=expected.slot,
        q_prefix=expected.prefix,
        placebo=_placebo(batch, models.slot.expect(shopper, x, slot=0)),
        shopper=shopper,
        estimated=batch.estimated,
    ), error


def _logger_marginal(batch: LogBatch) -> tuple[F64, float]:
    """The logger's marginals from its logged scores, after checking that its propensities are what they say."""
    made, error = np.empty(batch.slate.shape), 0.0
    for temperature, floor, rows in _explorations(batch.temperature, batch.floor):
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


def _explorations(temperature: F64, floor: F64) -> Iterator[tuple[float, float, npt.NDArray[np.int64]]]:
    """Each (temperature, floor) that a logger used, with the rows where it did."""
    for one, other in sorted(set(zip(temperature.tolist(), floor.tolist(), strict=True))):
        yield one, other, np.flatnonzero((temperature == one) & (floor == other))


def _ask(
    target: AnyPolicy,
    batch: LogBatch,
    x: npt.NDArray[np.float32],
    models: SlateModels,
    settings: Estimation,
    seed: int,
) -> tuple[_Asked, float]:
    """One policy's propensities of a batch's slates, and what the models expect of slates of its own."""
    key = hashing.absorb(hashing.stream(seed, "target slates"), batch.row)
    said = target.answered(batch.page, batch.slate, [hashing.absorb(key, m) for m in range(settings.target_slates)])
    worth = [expect(models, batch.page.shopper, _at(x, slate), slate >= 0) for slate in said.slates]
    marginal, error = (None, 0.0) if said.marginal is None else (said.marginal.logp, said.marginal.error)
    weights = np.full(len(batch), np.nan)
    if _is_asked("pseudoinverse", settings):
        weights = pseudoinverse_weights(batch, target, said)
    joint, prefix = foreseen_weights(batch, target, said)
    return _Asked(
        conditional=said.conditional.logp,
        marginal=marginal,
        q_target=np.mean([each.slot for each in worth], axis=0).sum(axis=1),
        q_prefix=np.mean([each.prefix for each in worth], axis=0).sum(axis=1),
        q_click=np.mean([each.clicks for each in worth], axis=0).sum(axis=1),
        pseudoinverse=weights,
        foreseen_joint=joint,
        foreseen_prefix=prefix,
    ), error


def _at(x: npt.NDArray[np.float32], slate: I32) -> npt.NDArray[np.float32]:
    """Features of the slate's items, (N, K, F); of the first candidate at empty slots."""
    return x[np.arange(len(x))[:, None], np.maximum(slate, 0)]


def _placebo(batch: LogBatch, liking: F64) -> F64:
    """The reward model's liking (N, C) of each slot's item, minus its expectation given the rest of the slate; (N, K).

    NaN for a greedy logger, which leaves nothing to chance.
    """
    made = np.full(batch.slate.shape, np.nan)
    for temperature, floor, rows in _explorations(batch.temperature, batch.floor):
        if temperature > 0:
            weight = np.exp(plackett_luce.log_weights(batch.scores[rows], temperature, floor))
            made[rows] = _surprise(weight, batch.slate[rows], liking[rows])
    return made


def _surprise(weight: F64, slate: I32, liking: F64) -> F64:
    """Liking of each slot's item minus its mean over what the logger could have put there in the same rest, (n, K).

    Given the rest, the item at slot k was j with probability proportional to
    w_j * prod_{m>k} 1 / (1 - w_j - sum of the weights of the rest above slot m). Rows with empty slots are 0.
    """
    n_slots = slate.shape[1]
    every, full = np.arange(len(slate)), (slate >= 0).all(axis=1)
    place = np.maximum(slate, 0).astype(np.int64)
    own = np.take_along_axis(weight, place, axis=1)  # (n, K)
    made = np.zeros(slate.shape)
    for k in range(n_slots):
        chance, taken = weight.copy(), weight + own[:, :k].sum(axis=1, keepdims=True)
        for m in range(k + 1, n_slots):
            chance /= np.maximum(1.0 - taken, 1e-12)
            taken += own[:, m : m + 1]
        np.put_along_axis(chance, np.delete(place, k, axis=1), 0.0, axis=1)
        mean = (chance * np.where(chance > 0, liking, 0.0)).sum(axis=1) / np.maximum(chance.sum(axis=1), 1e-300)
        made[:, k] = np.where(full, liking[every, place[:, k]] - mean, 0.0)
    return made
