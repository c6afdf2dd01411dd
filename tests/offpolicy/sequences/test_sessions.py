"""Sessions: searches laid side by side, and the estimators of what a session is worth."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Evidence, evaluate
from offpolicy.sequences.evaluate import evaluate_sequences, place_of
from offpolicy.sequences.fitted_q import StepFeatures, cross_fitted_q, fitted_q
from offpolicy.sequences.sessions import lay_out, side_by_side
from simenv.errors import UserError
from simenv.propensity import Conditional

CLICK = np.array([[0.3, 0.6], [0.2, 0.8]])  # (step, action)
STAY = np.array([0.4, 0.8])  # (action,) chance that there is a second step
LOGGER, TARGET = np.array([0.5, 0.5]), np.array([0.2, 0.8])
COPIES = 10
OF_SESSIONS = [name for name, one in ESTIMATORS.items() if "length" in one.needs and name != "own-searches"]


@dataclass(frozen=True)
class Log:
    evidence: Evidence
    session: np.ndarray
    step: np.ndarray
    features: StepFeatures


def enumerated() -> Log:
    """Sessions of one or two steps, each path as often as the logger takes it; rewards are expected clicks."""
    paths: list[tuple[int, ...]] = []
    for first, second in itertools.product((0, 1), (0, 1)):
        times = LOGGER[first] * STAY[first] * LOGGER[second] * 20 * COPIES
        paths += [(first, second)] * round(times)
    for first in (0, 1):
        paths += [(first,)] * round(LOGGER[first] * (1 - STAY[first]) * 20 * COPIES)
    session = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    step = np.concatenate([np.arange(len(path)) for path in paths])
    action = np.concatenate([np.array(path) for path in paths])
    logged, target = np.zeros((len(action), 4)), np.zeros((len(action), 4))
    logged[np.arange(len(action)), 2 * step + action] = 1.0
    for a in (0, 1):
        target[np.arange(len(action)), 2 * step + a] = TARGET[a]
    evidence = Evidence(
        reward=CLICK[step, action][:, None],
        logger=Conditional(np.log(LOGGER[action])[:, None]),
        target=Conditional(np.log(TARGET[action])[:, None]),
        cluster=session.astype(np.int64),
        cluster_name="session",
    )
    return Log(evidence, session.astype(np.int64), step.astype(np.int64), StepFeatures(logged, target))


SECOND = float(TARGET @ CLICK[1])
VALUE = float(TARGET @ (CLICK[0] + STAY * SECOND))
SEARCHES = float(TARGET @ (1.0 + STAY))


WRONG = np.array([0.1, 0.9, 0.4, 0.3])  # a model of what comes later, far off


def sequences(log: Log) -> Evidence:
    layout = lay_out(log.session, log.step)
    made = fitted_q(side_by_side(log.evidence, layout, "session"), layout, log.features)
    q_prefix, q_next = layout.lay(log.features.logged) @ WRONG, layout.lay(log.features.target) @ WRONG
    return with_exact_states(
        replace(made, q_prefix=q_prefix, q_next=q_next, blend=np.ones(q_prefix.shape), blend_start=q_next[:, 0])
    )


def with_exact_states(whole: Evidence) -> Evidence:
    """The state is whether the session goes on, which is all that the past moves; its values are far off."""
    is_on = whole.length == 2
    on, gone = (TARGET @ chance / (LOGGER @ chance) for chance in (STAY, 1.0 - STAY))
    step = np.exp(whole.target.logp - whole.logger.logp)
    later = np.where(is_on, 0.7, 0.0)
    return replace(
        whole,
        state_ratio=step * np.column_stack([np.ones(len(step)), np.where(is_on, on, gone)]),
        q_state=np.column_stack([0.3 - later, later]),
        q_state_target=np.full(len(step), 0.3),
    )


@pytest.mark.parametrize(
    "name", [name for name, one in ESTIMATORS.items() if "length" in one.needs and name != "own-searches"]
)
def test_on_an_enumerated_log_every_estimator_of_sessions_is_exact(name: str) -> None:
    # float64 sums of 200 sessions; the self-normalised ones have mean weights of exactly 1 on the enumerated log; the
    # ridge of the fitted model moves its value by about 1e-8 of it
    assert ESTIMATORS[name](sequences(enumerated())).value == pytest.approx(VALUE, abs=1e-7)


def test_weights_over_searches_estimate_something_else() -> None:
    log = enumerated()
    over_the_loggers = ESTIMATORS["ips"](log.evidence).value
    after_deployment = ESTIMATORS["own-searches"](sequences(log)).value
    assert after_deployment == pytest.approx(VALUE / SEARCHES, abs=1e-12)
    n_second = LOGGER @ STAY
    expected = (TARGET @ CLICK[0] + n_second * SECOND) / (1.0 + n_second)
    assert over_the_loggers == pytest.approx(expected, abs=1e-12)
    assert abs(over_the_loggers - after_deployment) > 0.005


def test_a_discount_of_nothing_leaves_the_first_step() -> None:
    log = enumerated()
    layout = lay_out(log.session, log.step)
    made = fitted_q(side_by_side(log.evidence, layout, "session"), layout, log.features, discount=0.0)
    assert ESTIMATORS["fqe"](made).value == pytest.approx(float(TARGET @ CLICK[0]), abs=1e-7)


def test_a_fitted_model_makes_the_estimate_sharper_than_weights_alone() -> None:
    log = enumerated()
    layout = lay_out(log.session, log.step)
    made = cross_fitted_q(side_by_side(log.evidence, layout, "session"), layout, log.features)
    honest, weights = ESTIMATORS["sequence-dr"](made), ESTIMATORS["pdis"](made)
    assert honest.influence.std() < 0.7 * weights.influence.std()
    # unbiased, so within a few standard errors: rewards are expectations here, and what is left is the paths' luck
    assert abs(honest.value - VALUE) < 3 * honest.influence.std() / np.sqrt(len(honest.influence))


def test_steps_are_found_whatever_the_order_of_rows() -> None:
    log = enumerated()
    order = np.random.default_rng(0).permutation(len(log.session))
    layout, shuffled = lay_out(log.session, log.step), lay_out(log.session[order], log.step[order])
    assert np.array_equal(np.where(shuffled.row >= 0, order[shuffled.row], -1), layout.row)
    assert np.array_equal(layout.length, np.bincount(log.session))


def test_a_step_that_occurs_twice_is_refused_with_both_rows() -> None:
    with pytest.raises(UserError, match="log rows 1 and 3 are both step 1 of sequence 7"):
        lay_out(np.array([7, 7, 8, 7]), np.array([0, 1, 0, 1]))


def test_a_sequence_of_two_shoppers_is_refused() -> None:
    log = enumerated()
    both = np.zeros_like(log.session)
    with pytest.raises(UserError, match="expected each sequence within one cluster"):
        side_by_side(log.evidence, lay_out(both, np.arange(len(both))), "session")


def test_an_endless_sequence_is_refused() -> None:
    with pytest.raises(UserError, match=r"sequence 0 has 10,001 steps"):
        lay_out(np.zeros(10_001, dtype=np.int64), np.arange(10_001))


def test_estimators_of_sessions_refuse_evidence_on_searches() -> None:
    with pytest.raises(UserError, match="estimator 'pdis' needs length"):
        ESTIMATORS["pdis"](enumerated().evidence)


def test_searches_are_judged_by_session_and_by_shopper() -> None:
    log = enumerated()
    searches = replace(
        log.evidence, session=log.session, step=log.step, cluster=log.session // 2, cluster_name="shopper"
    )
    by_session = {one.estimator: one for one in evaluate_sequences(searches, "session")}
    by_shopper = {one.estimator: one for one in evaluate_sequences(searches, "shopper")}
    assert set(by_session) == {"pdis", "wpdis", "own-searches"}
    assert by_session["pdis"].interval.value == pytest.approx(VALUE, abs=1e-12)
    assert by_session["pdis"].rows == 2 * by_shopper["pdis"].rows
    assert by_shopper["pdis"].estimand.startswith("value per shopper")
    logged = float(log.evidence.reward.sum()) / len(log.session)
    lift = by_session["own-searches"].lift.value
    assert lift == pytest.approx(VALUE / SEARCHES - logged, abs=1e-12)


def test_with_a_reward_model_there_are_models_of_what_comes_later() -> None:
    log = enumerated()
    searches = replace(
        log.evidence,
        session=log.session,
        step=log.step,
        q_logged=log.evidence.reward,
        q_target=np.array([TARGET @ CLICK[0], SECOND])[log.step],
    )
    found = {one.estimator: one for one in evaluate_sequences(searches, "session")}
    assert {"sequence-dr", "fqe"} < set(found)
    assert found["fqe"].verdict.word != "trust"
    # one rate a step and slate, place and their product tell the four cells of this process apart: the model is exact
    assert found["fqe"].interval.value == pytest.approx(VALUE, abs=1e-6)
    assert abs(found["sequence-dr"].interval.value - VALUE) < 3 * found["sequence-dr"].interval.stderr


def test_places_are_counted_in_the_order_of_steps() -> None:
    layout = lay_out(np.array([3, 1, 3, 3]), np.array([9, 0, 2, 5]))
    assert place_of(layout.row, 4).tolist() == [2, 0, 0, 1]


def test_evidence_without_sessions_and_unknown_units_are_refused() -> None:
    with pytest.raises(UserError, match="which searches belong together"):
        evaluate_sequences(enumerated().evidence, "session")
    with pytest.raises(UserError, match="expected one of session, shopper"):
        evaluate_sequences(enumerated().evidence, "week")


def sticky(seed: int, share: float, n_sessions: int = 4000) -> Evidence:
    """Sessions of up to six searches with two slates; the logger shows the last slate again that often.

    What it logs is how often it shows a slate over all searches, one half: right for every search by itself, wrong for
    any two of one session.
    """
    rng = np.random.default_rng(seed)
    length = np.minimum(rng.geometric(0.4, n_sessions), 6)
    session = np.repeat(np.arange(n_sessions), length)
    step = np.concatenate([np.arange(n) for n in length])
    action = rng.integers(0, 2, len(session))
    for row in np.flatnonzero((step > 0) & (rng.random(len(session)) < share)):
        action[row] = action[row - 1]
    return Evidence(
        reward=(rng.random((len(action), 1)) < np.where(action == 1, 0.3, 0.2)[:, None]).astype(float),
        logger=Conditional(np.log(np.full((len(action), 1), 0.5))),
        target=Conditional(np.log(np.where(action == 1, 0.7, 0.3))[:, None]),
        cluster=session,
        features=rng.standard_normal((len(action), 2)),
        feature_names=("age", "hour"),
        segments={"locale": np.array(["de", "fr"])[session % 2]},
        time=session // 500,
        session=session,
        step=step,
    )


def test_a_logger_that_repeats_itself_is_seen_in_sessions_and_in_no_search() -> None:
    """Looks at |z| > 3, corrected for all of them, come up in fewer than .3% of sound logs: none of 20 is expected."""
    for seed in range(20):
        lie, sound = sticky(seed, 0.4), sticky(seed, 0.0)
        (by_search,), (by_session,) = evaluate(lie, ["ips"]), evaluate_sequences(lie, "session", ["pdis"])
        assert by_search.verdict.word == "trust"
        assert by_session.verdict.word == "do not use"
        assert "searches of a session" in "".join(one.said for one in by_session.findings if one.check == "drift")
        assert evaluate_sequences(sound, "session", ["pdis"])[0].verdict.word == "trust"


def test_what_is_wrong_with_searches_is_told_of_their_sessions_too() -> None:
    searches = replace(sticky(0, 0.0), score_residual=np.full(sticky(0, 0.0).n_rows, 0.1))
    (told,) = evaluate_sequences(searches, "session", ["pdis"])
    assert told.verdict.word == "do not use"
    assert "as sharp as their logged propensities say" in told.verdict.reasons[0]
    by_check = {one.check: one for one in told.findings}
    assert by_check["balance"].said.startswith("of 4 things")  # two features, two locales, of the first search


def test_few_sessions_are_counted_as_sessions() -> None:
    (told,) = evaluate_sequences(sticky(0, 0.0, n_sessions=90), "session", ["pdis"])
    assert any("effective sessions; fewer than" in reason for reason in told.verdict.reasons)
