"""Joining policies to a log: where a policy and logged rows become the columns that estimators see.

The logger's propensities are computed again from the logged scores and must agree with what was logged to 1e-6; the
marginals that item-position weights need are computed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy import Evidence
from offpolicy.reward_model import FoldModels, fit_folds
from policies import plackett_luce
from policies.features import FeatureMap, features
from policies.learning import in_half
from policies.ranking import RankingPolicy, slate_propensities
from scenarios.config import Estimation
from scenarios.progress import Advance
from simenv import hashing
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.log import Log, LogBatch
from simenv.propensity import Conditional, Marginal
from simenv.world import Page

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

REPLAY_TOLERANCE = 1e-6  # between logged and recomputed conditional log-probabilities
MODEL_CHUNK = 2048  # searches whose candidate features are in memory at once


@dataclass(frozen=True)
class _Target:
    """What one policy says of some logged rows: propensities of the logged slates, and slates of its own."""

    conditional: F64  # (N, K)
    marginal: F64  # (N, K)
    drawn: I32  # (N, M, K) positions


@dataclass(frozen=True)
class _Part:
    """One batch of the log with what is needed of it."""

    page: Page
    slate: I32
    reward: F64
    logger: F64
    logger_marginal: F64
    scores: npt.NDArray[np.float32]
    temperature: F64
    floor: F64
    features: npt.NDArray[np.float32]
    estimated: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Joined:
    """The evidence on each target, and what a reader should know about how it came to be."""

    evidence: Mapping[str, Evidence]
    notes: tuple[str, ...]
    marginal_error: float


def join_log(
    log: Log,
    targets: Mapping[str, RankingPolicy],
    half: int | None,
    settings: Estimation,
    seed: int,
    advance: Advance,
) -> Joined:
    """Read a log once and make the evidence on each target policy.

    Args:
        log: The log.
        targets: Policies by name; none may see truth.
        half: Only shoppers of that half (see `policies.learning.in_half`); all where None.
        settings: Folds of the reward model, slates drawn from each target per search.
        seed: Of the folds and of the drawn slates.
        advance: Told rows read.

    Raises:
        UserError: where the logged propensities cannot be recomputed from the logged scores, or no row is left.
    """
    feature_map = FeatureMap(log.catalogue())
    keep = None if half is None else (lambda shopper: in_half(shopper, half))
    parts: list[_Part] = []
    told: dict[str, list[_Target]] = {name: [] for name in targets}
    error = 0.0
    for batch in log.batches(keep, batch=8192):
        marginal, stated = _logger_marginal(batch)
        error = max(error, stated)
        parts.append(
            _Part(
                page=batch.page,
                slate=batch.slate,
                reward=batch.reward,
                logger=batch.logp.logp,
                logger_marginal=marginal,
                scores=batch.scores,
                temperature=batch.temperature,
                floor=batch.floor,
                features=features(feature_map, batch.page, batch.slate),
                estimated=batch.estimated,
            )
        )
        for name, target in targets.items():
            answer, stated = _ask(target, batch, settings.target_slates, seed)
            told[name].append(answer)
            error = max(error, stated)
        advance(len(batch))
    if not parts:
        raise UserError(
            f"no row of '{log.folder}' is left to evaluate on; the log is empty or all of it was learned from."
        )
    whole = join(parts)
    shown = whole.slate >= 0
    models = fit_folds(whole.features, whole.reward, whole.page.shopper, settings.folds, seed)
    rows = np.arange(len(shown))
    q_logged = models.expect(rows, whole.features) * shown
    exact = not whole.estimated.any()
    placebo = _placebo(models, feature_map, whole)
    found = {}
    for name, pieces in told.items():
        answer = join(pieces)
        found[name] = Evidence(
            reward=whole.reward,
            logger=Conditional(whole.logger),
            target=Conditional(answer.conditional),
            logger_marginal=Marginal(whole.logger_marginal, error),
            target_marginal=Marginal(answer.marginal, error),
            q_logged=q_logged,
            q_target=_expected_reward(models, feature_map, whole.page, answer.drawn),
            placebo=placebo,
            cluster=whole.page.shopper,
            propensity_kind="exact" if exact and targets[name].propensity_kind == "exact" else "estimated",
        )
    return Joined(found, models.notes, error)


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


def _ask(target: RankingPolicy, batch: LogBatch, n_slates: int, seed: int) -> tuple[_Target, float]:
    """One policy's propensities of a batch's slates, and slates that it draws itself."""
    scores = target.scores(batch.page)
    conditional, marginal = slate_propensities(scores, target.temperature, target.floor, batch.slate, True)
    assert marginal is not None
    n_slots = batch.slate.shape[1]
    if target.temperature == 0:
        drawn = plackett_luce.top(scores, n_slots)[:, None, :]
    else:
        logw = plackett_luce.log_weights(scores, target.temperature, target.floor)
        key = hashing.absorb(hashing.stream(seed, "target slates"), batch.row)
        drawn = np.stack(
            [plackett_luce.draw(logw, n_slots, hashing.absorb(key, m), batch.page.candidates) for m in range(n_slates)],
            axis=1,
        )
    return _Target(conditional.logp, marginal.logp, drawn), marginal.error


def _placebo(models: FoldModels, feature_map: FeatureMap, whole: _Part) -> F64 | None:
    """The reward model's liking of the item at slot 1, minus its expectation given the rest of the slate; (N,).

    None for a greedy logger, which leaves nothing to chance, and for slates of one slot.
    """
    n, n_slots = whole.slate.shape
    if n_slots < 2 or (whole.temperature == 0).any():
        return None
    made = np.zeros(n)
    n_candidates = whole.page.candidates.shape[1]
    for first in range(0, n, MODEL_CHUNK):
        rows = np.arange(first, min(first + MODEL_CHUNK, n))
        every = np.broadcast_to(np.arange(n_candidates), (len(rows), n_candidates))
        liking = models.expect(rows, features(feature_map, take(whole.page, rows), every), slot=0)  # (n, C)
        logw = np.empty(liking.shape)
        for temperature, floor, group in _explorations(whole.temperature[rows], whole.floor[rows]):
            logw[group] = plackett_luce.log_weights(whole.scores[rows][group], temperature, floor)
        made[rows] = _surprise(np.exp(logw), whole.slate[rows], liking)
    return made


def _surprise(weight: F64, slate: I32, liking: F64) -> F64:
    """Liking of the first item minus its mean over what the logger could have put first above the same rest, (n,).

    Given the items s_2 .. s_K below, the first was j with probability proportional to
    w_j * prod_{m=2..K} 1 / (1 - w_j - w_{s_2} - ... - w_{s_{m-1}}). Rows with empty slots are 0.
    """
    every, full = np.arange(len(slate)), (slate >= 0).all(axis=1)
    below = np.maximum(slate, 0).astype(np.int64)
    chance, taken = weight.copy(), weight.copy()
    for m in range(1, slate.shape[1]):
        chance /= np.maximum(1.0 - taken, 1e-12)
        taken += weight[every, below[:, m], None]
    np.put_along_axis(chance, below[:, 1:], 0.0, axis=1)
    mean = (chance * np.where(chance > 0, liking, 0.0)).sum(axis=1) / np.maximum(chance.sum(axis=1), 1e-300)
    return np.where(full, liking[every, below[:, 0]] - mean, 0.0)


def _expected_reward(models: FoldModels, feature_map: FeatureMap, page: Page, drawn: I32) -> F64:
    """The reward model's expectation of the target's slates, (N,), in chunks."""
    n, n_slates, n_slots = drawn.shape
    made = np.empty(n)
    for first in range(0, n, MODEL_CHUNK):
        rows = np.arange(first, min(first + MODEL_CHUNK, n))
        flat = drawn[rows].reshape(len(rows), -1)
        x = features(feature_map, take(page, rows), flat).reshape(len(rows), n_slates, n_slots, -1)
        worth = models.expect(rows, x) * (drawn[rows] >= 0)
        made[rows] = worth.sum(axis=2).mean(axis=1)
    return made
