"""Evidence from plain arrays: the same numbers as by hand, and a message with the row for what cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offpolicy import evaluate
from offpolicy.estimate import values
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.single.reward import expected_rewards
from simenv.errors import UserError

N, A = 400, 3


def arrays(seed: int = 0) -> tuple[SingleActionLog, np.ndarray, np.ndarray]:
    """A log with the logger's table and contexts, the target's table, q."""
    rng = np.random.default_rng(seed)
    logger, target = rng.dirichlet(np.full(A, 3.0), (2, N))
    action = (rng.random((N, 1)) > np.cumsum(logger, axis=1)[:, :-1]).sum(axis=1)
    reward = rng.random(N) < 0.2 + 0.2 * action
    log = SingleActionLog(action=action, reward=reward, propensity=logger, context=rng.standard_normal((N, 2)))
    return log, target, rng.random((N, A))


def test_five_estimates_from_arrays_are_what_a_loop_over_rows_gives() -> None:
    log, target, q = arrays()
    assert log.propensity is not None
    found = values(evidence_of(log, target, q), ["ips", "snips", "dm", "dr", "switch:1"])
    ips = dm = dr = weights = switch = 0.0
    for i in range(N):
        a, r = log.action[i], log.reward[i]
        w = target[i, a] / log.propensity[i, a]
        model = sum(target[i, b] * q[i, b] for b in range(A))
        ips, weights, dm, dr = ips + w * r, weights + w, dm + model, dr + model + w * (r - q[i, a])
        left = [b for b in range(A) if target[i, b] / log.propensity[i, b] > 1.0]
        switch += (w * r if w <= 1.0 else 0.0) + sum(target[i, b] * q[i, b] for b in left)
    expected = {"ips": ips / N, "snips": ips / weights, "dm": dm / N, "dr": dr / N, "switch:1": switch / N}
    assert found == pytest.approx(expected, abs=1e-12)  # sums of 400 products of order one


def test_the_logged_propensity_alone_gives_the_same_but_for_what_needs_all_actions() -> None:
    log, target, q = arrays()
    assert log.propensity is not None
    alone = replace(log, propensity=log.propensity[np.arange(N), log.action])
    names = ["ips", "snips", "dm", "dr", "sndr", "dros"]
    assert values(evidence_of(alone, target, q), names) == values(evidence_of(log, target, q), names)
    with pytest.raises(UserError, match=r"'switch' needs actions, which .* offpolicy\.single\.arrays\.evidence_of"):
        values(evidence_of(alone, target, q), ["switch"])
    with pytest.raises(UserError, match="has no q"):
        values(evidence_of(log, target), ["switch"])
    chosen = target[np.arange(N), log.action]
    assert values(evidence_of(alone, chosen), ["ips"]) == values(evidence_of(log, target), ["ips"])
    with pytest.raises(UserError, match="target holds the logged action alone"):
        evidence_of(alone, chosen, q)


def test_without_clusters_rows_are_declared_independent_and_nothing_is_trusted() -> None:
    log, target, q = arrays()
    assert evidence_of(log, target, q).cluster_name == "row"
    assert all(one.verdict.word != "trust" for one in evaluate(evidence_of(log, target, q)))
    clustered = replace(log, cluster=np.arange(N) // 2)
    assert evidence_of(clustered, target, q).cluster_name == "shopper"
    assert evaluate(evidence_of(clustered, target, q), ["ips"])[0].estimand.startswith("value per decision")


def test_what_the_evidence_gets_is_what_the_log_holds() -> None:
    log, target, q = arrays()
    evidence = evidence_of(log, target, q)
    assert evidence.features is log.context
    assert evidence.feature_names == ("context 0", "context 1")
    assert evidence.actions is not None
    assert evidence.actions.q is q


def with_entry(table: np.ndarray, row: int, value: float) -> np.ndarray:
    changed = table.copy()
    changed[row, 0] = value
    return changed


def test_bad_tables_of_probabilities_name_the_row() -> None:
    log, target, q = arrays()
    for table, complaint in (
        (np.log(target), "log row 0: the target gives an action probability .* log-probabilities"),
        (with_entry(target, 7, np.nan), "log row 7: the target gives an action probability nan"),
        (with_entry(target, 7, target[7, 0] + 0.1), "log row 7: the target's action probabilities sum to 1.1"),
        (target[:5], "the target's probabilities are float64 of shape"),
    ):
        with pytest.raises(UserError, match=complaint):
            evidence_of(replace(log, propensity=np.full(N, 0.5)), table, None)
    with pytest.raises(UserError, match="log row 3: q holds a number that is not finite"):
        evidence_of(log, target, with_entry(q, 3, np.inf))
    with pytest.raises(UserError, match=r"q is float64 of shape \(5, 3\)"):
        evidence_of(log, target, q[:5])
    with pytest.raises(UserError, match="action is 9; expected 0 to 2"):
        evidence_of(replace(log, action=np.where(np.arange(N) == 2, 9, log.action)), target)
    with pytest.raises(UserError, match="the log has no propensities"):
        evidence_of(replace(log, propensity=None), target)


def test_bad_logs_name_the_row_and_what_was_expected() -> None:
    log, _, _ = arrays()
    for change, complaint in (
        ({"action": log.action.astype(float)}, "action is float64"),
        ({"action": log.action - 1}, "action is -1; expected an integer from 0"),
        ({"reward": log.reward[:-1]}, r"reward has shape \(399,\); expected \(400,\)"),
        ({"context": np.full((N, 2), np.nan)}, "expected finite numbers"),
        ({"context_names": ("one",)}, "1 context_names for 2 features"),
    ):
        with pytest.raises(UserError, match=complaint):
            replace(log, **change)


def test_the_reward_model_learns_actions_and_context_out_of_fold() -> None:
    rng = np.random.default_rng(0)
    context, action = rng.standard_normal((4_000, 2)), rng.integers(0, A, 4_000)
    p = 1.0 / (1.0 + np.exp(1.0 - context @ [1.0, -0.5] - np.array([0.0, 0.5, 1.0])[action]))
    log = SingleActionLog(action=action, reward=rng.random(4_000) < p, context=context)
    fitted = expected_rewards(log, A)
    assert fitted.notes == ()
    # 4,000 rewards fix 5 numbers: the error of a fitted probability is about sqrt(5 * p(1-p) / 4000) = .016
    assert np.sqrt(((fitted.q[np.arange(4_000), action] - p) ** 2).mean()) < 0.03
    flipped = log.reward.copy()
    flipped[17] = 1.0 - flipped[17]
    again = expected_rewards(replace(log, reward=flipped), A)
    assert np.array_equal(fitted.q[17], again.q[17])
    assert not np.array_equal(fitted.q, again.q)
    bare = expected_rewards(replace(log, context=None), A)
    level = np.array([log.reward[action == a].mean() for a in range(A)])
    assert np.abs(bare.q - level).max() < 0.03  # a level an action, by models of four fifths of the rows


ROWS = st.lists(st.tuples(st.floats(1e-6, 1.0), st.floats(0.0, 1.0)), min_size=2, max_size=60)  # logger, target


@settings(max_examples=40)
@given(ROWS, st.sampled_from(["t", "normal"]))
def test_a_constant_reward_of_one_is_one_with_an_interval_of_no_width(
    drawn: list[tuple[float, float]], rule: str
) -> None:
    propensity, target = np.array(drawn).T
    target[0] = max(target[0], 1e-3)  # some support
    nothing = np.zeros(len(target), dtype=np.int64)
    log = SingleActionLog(action=nothing, reward=np.ones(len(target)), propensity=propensity)
    (one,) = evaluate(evidence_of(log, target), ["snips"], interval=rule)
    assert [one.interval.value, one.interval.low, one.interval.high] == pytest.approx([1.0, 1.0, 1.0], abs=1e-9)
    assert [one.lift.low, one.lift.high] == pytest.approx([0.0, 0.0], abs=1e-9)
