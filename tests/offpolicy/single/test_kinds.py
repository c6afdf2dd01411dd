"""Kinds of actions: what `offcem` is right about and what biases it, and the model that it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.actions import ActionTable
from offpolicy.estimate import values
from offpolicy.rows import take
from offpolicy.single.columns import filled, makeable
from offpolicy.single.kinds import with_kinds
from offpolicy.warrant import foreseen_rows
from simenv.errors import UserError
from simenv.propensity import Conditional

ROUNDING = 1e-12  # sums of 200 numbers below 10
KIND = np.array([0, 0, 1, 1, 1])
LOGGER = np.array([[2.0, 3.0, 1.0, 1.0, 3.0], [1.0, 1.0, 4.0, 2.0, 2.0]]) / 10.0  # (X, A)
TARGET = np.array([[0.1, 0.1, 0.6, 0.1, 0.1], [0.7, 0.1, 0.0, 0.1, 0.1]])
Q = np.array([[0.2, 0.5, 0.7, 0.1, 0.4], [0.6, 0.3, 0.4, 0.9, 0.2]])  # expected reward, (X, A)
COPIES = 20


def enumerated() -> tuple[Evidence, np.ndarray]:
    """Every pair of context and action as often as the logger shows it; and the context of each row."""
    times = np.rint(LOGGER * 10 * COPIES).astype(np.int64)
    x, a = np.repeat(np.indices(times.shape).reshape(2, -1), times.ravel(), axis=1)
    evidence = Evidence(
        reward=Q[x, a][:, None],
        logger=Conditional(np.log(LOGGER[x, a])[:, None]),
        target=Conditional(np.log(np.maximum(TARGET[x, a], 1e-300))[:, None]),
        actions=ActionTable(a, LOGGER[x], TARGET[x], kind=KIND),
        cluster=np.arange(len(x)) // 2,
    )
    return evidence, x


def test_a_model_that_errs_between_kinds_alone_leaves_no_bias() -> None:
    evidence, x = enumerated()
    wrong = Q + np.array([[0.5, -0.3], [-0.7, 0.2]])[:, KIND]  # each kind in each context by another amount
    truth = float((TARGET * Q).sum(axis=1).mean())
    found = values(with_kinds(evidence, q=wrong[x]), ["offcem", "mips"])
    assert found["offcem"] == pytest.approx(truth, abs=ROUNDING)
    assert abs(found["mips"] - truth) > 0.05  # actions move the reward by themselves


def test_a_model_that_errs_within_kinds_biases_by_that_error_and_is_refused() -> None:
    evidence, x = enumerated()
    error = np.array([0.0, 0.8, 0.0, 0.6, -1.2])
    p_kind = [np.array([p[g == KIND].sum() for g in (0, 1)]) for p in (LOGGER[0], LOGGER[1], TARGET[0], TARGET[1])]
    bias = 0.0
    for context in (0, 1):
        for g in (0, 1):
            mine = g == KIND
            by_logger = (LOGGER[context, mine] * error[mine]).sum() / p_kind[context][g]
            bias += ((TARGET[context, mine] * error[mine]).sum() - p_kind[2 + context][g] * by_logger) / 2.0
    truth = float((TARGET * Q).sum(axis=1).mean())
    ready = replace(
        with_kinds(evidence, q=(Q + error)[x]), q_logged=evidence.reward, q_target=(TARGET * Q).sum(axis=1)[x]
    )
    assert abs(bias) > 0.05
    told = evaluate(ready, ["offcem"])[0]
    assert told.interval.value == pytest.approx(truth + bias, abs=ROUNDING)
    assert told.verdict.word == "do not use"
    assert any("from 'dr', which assumes less" in reason for reason in told.verdict.reasons)


def test_kinds_are_never_trusted_even_where_they_are_right() -> None:
    evidence, x = enumerated()
    ready = replace(with_kinds(evidence, q=Q[x]), q_logged=evidence.reward, q_target=(TARGET * Q).sum(axis=1)[x])
    assert evaluate(ready, ["offcem"])[0].verdict.word != "trust"


def test_effective_rows_are_foretold_of_kinds_and_not_of_actions() -> None:
    # the logger plays 1 of 50 actions that the target always plays, and its kind half of the time
    n, kind = 400, np.arange(50) % 2
    logger, target = np.full((n, 50), 1.0 / 50.0), np.tile(np.eye(50)[0], (n, 1))
    action = np.arange(n) % 50
    with np.errstate(divide="ignore"):
        evidence = Evidence(
            reward=np.ones((n, 1)),
            logger=Conditional(np.log(logger[:, :1])),
            target=Conditional(np.log(target[np.arange(n), action])[:, None]),
            actions=ActionTable(action, logger, target, kind=kind),
            cluster=np.arange(n),
        )
    ready = with_kinds(evidence, q=np.ones((n, 50)))
    assert foreseen_rows(ready, "within") == pytest.approx(n / 2.0)
    assert foreseen_rows(ready, "joint") == pytest.approx(n / 50.0)
    assert foreseen_rows(evidence, "within") is None  # absence is absence


def test_the_two_steps_find_what_sets_actions_of_one_kind_apart() -> None:
    rng = np.random.default_rng(0)
    n, kind = 6_000, np.arange(12) % 3
    own, base = rng.standard_normal(12), 3.0 * rng.standard_normal((3, 2))
    x, action = rng.standard_normal((n, 2)), rng.integers(12, size=n)
    uniform = np.full((n, 12), 1.0 / 12.0)
    q = (x @ base.T)[:, kind] + own
    reward = q[np.arange(n), action] + 0.5 * rng.standard_normal(n)
    logp = Conditional(np.log(uniform[:, :1]))
    evidence = Evidence(
        reward=reward[:, None], logger=logp, target=logp, actions=ActionTable(action, uniform, uniform, kind=kind),
        features=x, feature_names=("a", "b"), cluster=np.arange(n),
    )  # fmt: skip
    made = with_kinds(evidence)
    assert made.q_within is not None
    # 400 rows an action and noise .5: a level errs by .5 / sqrt(400) = .025, and each of two slopes as much again
    off = made.q_within[:, 0] - q[np.arange(n), action]
    assert np.sqrt((off**2).mean()) < 3.0 * 0.025 * np.sqrt(3.0)


def test_columns_are_made_for_those_who_ask_and_kinds_must_be_said() -> None:
    evidence, _ = enumerated()
    assert {"q_within", "embedding", "q_robust"} <= makeable(evidence)
    made = filled(evidence, ["offcem", "dr"])
    assert made.q_within is not None
    assert made.q_logged is not None
    assert made.q_robust is None
    assert filled(evidence, ["ips"]) is evidence
    part = take(made, np.arange(10))
    assert part.actions is not None
    assert np.array_equal(part.actions.kind, KIND)
    assert evidence.actions is not None
    nameless = replace(evidence, actions=replace(evidence.actions, kind=None))
    with pytest.raises(UserError, match=r"what kind each is, is absent.*\[actions\] kinds"):
        with_kinds(nameless)
    with pytest.raises(UserError, match="needs embedding and q_within"):
        evaluate(filled(nameless, ["offcem"]), ["offcem"])
    with pytest.raises(UserError, match="expected an integer from 0 for each of 5 actions"):
        replace(evidence.actions, kind=np.array([0, 1]))
