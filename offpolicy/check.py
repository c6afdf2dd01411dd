"""The contract of an estimator, shipped for people who add their own: `check_estimator(my_estimator)`.

It enumerates a small market (two contexts, four candidates, two slots, 24 slates in all) as a log in which every slate
occurs exactly as often as the logger would show it, so that the expectation of an estimator is its value on that log.
Estimators of single actions get the like with one action a row (`offpolicy.single.enumerated`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.estimator import Estimator
from offpolicy.estimators import at_strength, estimator
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm
from offpolicy.rows import take
from offpolicy.single.enumerated import enumerated_actions
from offpolicy.slates.pseudoinverse import moment_weights
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SINGLE_ACTION = {"actions", "embedding", "balanced"}  # columns that only rows of one action have

_SLATES = np.array(list(permutations(range(4), 2)))  # (12, 2)
_LOGGER = np.array([[4.0, 3.0, 2.0, 1.0], [1.0, 3.0, 4.0, 2.0]])  # (X, C); integers, so that slates occur whole times
_TARGET = np.array([[1.0, 2.0, 6.0, 1.5], [5.0, 0.5, 1.0, 3.0]])  # (X, C)
_ATTRACTION = np.array([[0.2, 0.5, 0.7, 0.1], [0.6, 0.3, 0.4, 0.8]])  # (X, C)
_EXAMINATION = np.array([0.9, 0.5])
_COPIES = 504  # with it every slate's share of a context is a whole number of rows
_REWARDS = (
    "reward", "q_logged", "q_target", "q_robust", "q_robust_target", "q_within",
    "q_within_target", "q_prefix", "q_next", "q_prefix_target", "q_click", "fitted", "q_state",
    "q_state_target", "blend_start",
)  # columns in the unit of the reward  # fmt: skip
_EXACT = 1e-9  # float64 sums of 10,080 rows err by about 1e-12


def check_estimator(given: str | Estimator) -> None:
    """Check that an estimator keeps the contract of the package.

    Self-replay (target = logger) gives the logged mean; the value on an enumerated log is the truth (both with weights
    left as they are, where an estimator reshapes them); influences have mean zero and predict the effect of leaving a
    row out; rows may come in any order; value and influence scale with the reward; inputs are left alone; a missing
    column raises.

    Args:
        given: A name in `ESTIMATORS`, or an estimator.

    Raises:
        AssertionError: Saying which promise is broken.
    """
    one = estimator(given) if isinstance(given, str) else given
    make = enumerated_actions if SINGLE_ACTION & set(one.needs) else enumerated_log
    evidence, truth = make(wrong_model=one.formula is not dm)
    plain = one if one.strength is None else at_strength(one, one.strength.none)
    _check_truth(plain, evidence, truth)
    _check_self_replay(plain, evidence)
    sample = take(evidence, np.random.default_rng(0).choice(evidence.n_rows, size=2_000, replace=False))
    _check_influence(one, sample)
    _check_rows_in_any_order(one, sample)
    _check_scale(one, sample)
    _check_inputs_left_alone(one, sample)
    _check_missing_columns(one, sample)


def enumerated_log(*, wrong_model: bool) -> tuple[Evidence, float]:
    """A log that holds every slate as often as the logger shows it, and the true value of the target policy.

    Rewards are expected clicks of a position-based model, under which joint and item-position weights are both right.

    Args:
        wrong_model: Whether the reward model errs (by a fifth, and by a constant), as a doubly robust estimator must
            bear; the direct method needs the right one.
    """
    logger, target = _plackett_luce(_LOGGER), _plackett_luce(_TARGET)
    times = np.rint(np.exp(logger.logp.sum(axis=1)) * 10 * _COPIES).astype(np.int64)  # (24,)
    reward = (_ATTRACTION[:, _SLATES] * _EXAMINATION).reshape(-1, 2)  # (24, K)
    value = (np.exp(target.logp.sum(axis=1)) * reward.sum(axis=1)).reshape(2, 12).sum(axis=1)  # (X,)
    factor, offset = (0.8, 0.05) if wrong_model else (1.0, 0.0)
    row = np.repeat(np.arange(len(times)), times)
    ahead = _next(target, reward)
    at_first, at_second = factor * np.repeat(value, 12) + 2 * offset, factor * ahead[:, 1] + offset  # values of states
    evidence = Evidence(
        reward=reward[row],
        logger=Conditional(logger.logp[row]),
        target=Conditional(target.logp[row]),
        logger_marginal=_marginal(logger, row),
        target_marginal=_marginal(target, row),
        q_logged=factor * reward[row] + offset,
        q_target=factor * value[row // 12] + 2 * offset,
        q_robust=factor * reward[row] + offset,
        q_robust_target=factor * value[row // 12] + 2 * offset,
        q_prefix=factor * reward[row] + offset,
        q_next=factor * ahead[row] + offset,
        blend=np.ones((len(row), 2)),
        blend_start=factor * ahead[row, 0] + offset,
        fitted=factor * value[row // 12] + 2 * offset,
        length=np.ones(len(row), dtype=np.int64),  # so that value per search and value per row are one
        q_prefix_target=factor * value[row // 12] + 2 * offset,
        q_click=value[row // 12],
        # the state at the second slot is what stands at the first
        state_ratio=np.exp(np.cumsum(target.logp - logger.logp, axis=1))[row],
        q_state=np.stack([at_first - at_second, at_second], axis=1)[row],
        q_state_target=at_first[row],
        pseudoinverse=_pseudoinverse(logger, target)[row],
        abstraction=np.exp((target.logp - logger.logp).sum(axis=1))[row],  # every slate is about itself
        behaviour=np.array(["cascade", "independent"])[row // 12],  # both are right here, and right for whom is given
        mixture=Conditional(logger.logp[row]),  # of one logger
        second_moment=np.ones(len(row)),  # of one stratum
        time=np.arange(len(row)) % 7,
        cluster=np.arange(len(row)) // 3,
    )
    return evidence, float(value.mean())


def _check_truth(one: Estimator, evidence: Evidence, truth: float) -> None:
    value = one(evidence).value
    assert abs(value - truth) < _EXACT, f"{one.name}: the enumerated value is {value!r}; the truth is {truth!r}"


def _check_self_replay(one: Estimator, evidence: Evidence) -> None:
    model = evidence.reward if one.formula is dm else evidence.q_logged
    replay = replace(
        evidence,
        target=evidence.logger,
        target_marginal=evidence.logger_marginal,
        q_logged=model,
        q_target=None if model is None else model.sum(axis=1),
        q_robust_target=None if evidence.q_robust is None else evidence.q_robust.sum(axis=1),
        q_within_target=None if evidence.q_within is None else evidence.q_within.sum(axis=1),
        q_next=evidence.q_prefix,
        blend_start=None if evidence.q_prefix is None else evidence.q_prefix[:, 0],
        fitted=evidence.reward.sum(axis=1),
        q_prefix_target=None if evidence.q_prefix is None else evidence.q_prefix.sum(axis=1),
        q_click=evidence.reward.sum(axis=1),
        state_ratio=None if evidence.state_ratio is None else np.ones(evidence.reward.shape),
        pseudoinverse=np.ones(evidence.n_rows),
        abstraction=np.ones(evidence.n_rows),
        actions=None if evidence.actions is None else replace(evidence.actions, target=evidence.actions.logger),
        embedding=None if evidence.embedding is None else np.ones(evidence.n_rows),
        balanced=None if evidence.balanced is None else np.ones(evidence.n_rows),
    )
    value, mean = one(replay).value, float(evidence.reward.sum(axis=1).mean())
    assert abs(value - mean) <= 1e-12, f"{one.name}: self-replay gives {value!r}; the logged mean is {mean!r}"


def _check_influence(one: Estimator, sample: Evidence) -> None:
    scores = one(sample)
    n_rows = sample.n_rows
    assert type(scores.value) is float, f"{one.name}: the value is a {type(scores.value).__name__}; expected float"
    assert scores.influence.shape == (n_rows,), f"{one.name}: influence {scores.influence.shape}; expected ({n_rows},)"
    assert scores.influence.dtype == np.float64, f"{one.name}: influence is {scores.influence.dtype}; expected float64"
    mean = float(scores.influence.mean())
    assert abs(mean) < _EXACT, f"{one.name}: influences have mean {mean:g}; expected 0"
    rows = np.arange(n_rows)
    without = np.array([one(take(sample, np.delete(rows, row))).value for row in rows[:40]])
    jackknife = (n_rows - 1) * (scores.value - without)
    # Leaving out one of N rows moves a ratio's denominator by w / N, here at most 16 / N: an error of second order.
    slack = 20.0 / n_rows * float(np.abs(jackknife).max()) + _EXACT
    worst = float(np.abs(jackknife - scores.influence[:40]).max())
    assert worst <= slack, f"{one.name}: an influence is off by {worst:g} from leaving its row out (allowed {slack:g})"


def _check_rows_in_any_order(one: Estimator, sample: Evidence) -> None:
    order = np.random.default_rng(1).permutation(sample.n_rows)
    scores, shuffled = one(sample), one(take(sample, order))
    assert abs(scores.value - shuffled.value) < _EXACT, f"{one.name}: the value depends on the order of the rows"
    same = np.allclose(scores.influence[order], shuffled.influence, rtol=0.0, atol=_EXACT)
    assert same, f"{one.name}: influences do not follow their rows"


def _check_scale(one: Estimator, sample: Evidence) -> None:
    columns = {name: column for name in _REWARDS if (column := getattr(sample, name)) is not None}
    scaled_columns: dict[str, Any] = {name: 8.0 * column for name, column in columns.items()}
    if sample.actions is not None and sample.actions.q is not None:
        scaled_columns["actions"] = replace(sample.actions, q=8.0 * sample.actions.q)
    scores = one(sample)
    scaled = one(replace(sample, **scaled_columns))
    assert abs(scaled.value - 8.0 * scores.value) < _EXACT, f"{one.name}: the value does not scale with the reward"
    same = np.allclose(scaled.influence, 8.0 * scores.influence, rtol=0.0, atol=_EXACT)
    assert same, f"{one.name}: influences do not scale with the reward"


def _check_inputs_left_alone(one: Estimator, sample: Evidence) -> None:
    before, after = _arrays(take(sample, np.arange(sample.n_rows))), _arrays(sample)
    one(sample)
    for name, column in before.items():
        assert np.array_equal(column, after[name]), f"{one.name}: it changed the column {name}"


def _check_missing_columns(one: Estimator, sample: Evidence) -> None:
    for need in one.needs:
        without: dict[str, Any] = {need: None}
        try:
            one(replace(sample, **without))
        except UserError:
            continue
        raise AssertionError(f"{one.name}: {need} is missing and it did not raise UserError")


def _arrays(evidence: Evidence) -> dict[str, npt.NDArray[Any]]:
    """Every array of the evidence by name, those of propensities and tables, too."""
    found: dict[str, npt.NDArray[Any]] = {}
    for field in dataclasses.fields(evidence):
        match getattr(evidence, field.name):
            case np.ndarray() as column:
                found[field.name] = column
            case Conditional(logp) | Marginal(logp, _):
                found[field.name] = logp
            case ActionTable(action, logger, target, q):
                found |= {"action": action, "logger table": logger, "target table": target}
                found |= {} if q is None else {"q": q}
    return found


def _next(target: Conditional, reward: Floats) -> Floats:
    """What each slot of the 24 slates earns if the target chooses it, given what stands above; (24, K)."""
    p, made = np.exp(target.logp).reshape(2, 12, 2), np.empty((2, 12, 2))
    r = reward.reshape(2, 12, 2)
    first = _SLATES[:, None, 0] == _SLATES[None, :, 0]  # (12, 12): slates with the same item on top
    slate = p.prod(axis=2)
    made[:, :, 0] = (slate * r[:, :, 0]).sum(axis=1, keepdims=True)
    made[:, :, 1] = (p[:, :, 1] * r[:, :, 1]) @ first
    return made.reshape(-1, 2)


def _plackett_luce(strength: Floats) -> Conditional:
    """Log-probabilities of all 12 slates in both contexts, (24, K)."""
    first = strength[:, _SLATES[:, 0]]
    second = strength[:, _SLATES[:, 1]]
    total = strength.sum(axis=1, keepdims=True)
    return Conditional(np.log(np.stack([first / total, second / (total - first)], axis=2)).reshape(-1, 2))


def _pseudoinverse(logger: Conditional, target: Conditional) -> Floats:
    """Weights of all 12 slates in both contexts, (24,)."""
    chances = [np.exp(policy.logp.sum(axis=1)).reshape(2, 12) for policy in (logger, target)]
    return moment_weights(chances[0], chances[1], _SLATES, 4).ravel()


def _marginal(policy: Conditional, row: Ints) -> Marginal:
    """Log-probability of the item at its slot, by summing over the slates that have it there."""
    slate = np.exp(policy.logp.sum(axis=1)).reshape(2, 12)
    shares = _SLATES[:, None, :] == _SLATES[None, :, :]  # (12, 12, K): slates that agree at the slot
    return Marginal(np.log(np.einsum("xs,tsk->xtk", slate, shares.astype(np.float64))).reshape(-1, 2)[row])
