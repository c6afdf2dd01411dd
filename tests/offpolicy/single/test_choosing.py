"""Importance fitting: pseudo-logs are like the question that is asked, and what is chosen by them errs least."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence, estimator, evaluate
from offpolicy.actions import ActionTable
from offpolicy.single.choosing import Split, choose, fit_split, parts_of
from simenv.errors import UserError
from simenv.propensity import Conditional

N, A, X = 1_200, 5, 12
RNG = np.random.default_rng(5)
WORTH = RNG.uniform(0.1, 0.9, (X, A))
LOGGER = RNG.dirichlet(np.full(A, 4.0), X)
TARGET = RNG.dirichlet(np.full(A, 2.0), X)


def log(seed: int, model: np.ndarray = WORTH) -> Evidence:
    rng = np.random.default_rng(seed)
    x = rng.integers(X, size=N)
    action = (LOGGER[x].cumsum(axis=1) > rng.random((N, 1))).argmax(axis=1)
    q = model[x]
    with np.errstate(divide="ignore"):
        return Evidence(
            reward=(rng.random(N) < WORTH[x, action]).astype(np.float64)[:, None],
            logger=Conditional(np.log(LOGGER[x, action])[:, None]),
            target=Conditional(np.log(TARGET[x, action])[:, None]),
            actions=ActionTable(action, LOGGER[x], TARGET[x], q),
            q_logged=q[np.arange(N), action][:, None],
            q_target=(TARGET[x] * q).sum(axis=1),
            cluster=np.arange(N),
        )


def test_the_loggers_of_both_parts_differ_about_as_target_and_logger_do() -> None:
    evidence = log(0)
    assert evidence.actions is not None
    split = fit_split(evidence.actions)
    assert split.misfit < 0.1  # what is not fitted of the weights, as a share of their second moment
    assert 0.1 < split.k.mean() < 0.3
    _, pseudo = parts_of(evidence, split, np.random.default_rng(0).random(N))
    assert pseudo.actions is not None
    for p in (pseudo.actions.logger, pseudo.actions.target):
        assert np.allclose(p.sum(axis=1), 1.0, atol=1e-9)
    ratio = split.rho / (1.0 - split.rho) * ((1.0 - split.k) / split.k)[:, None]
    assert np.corrcoef(ratio.ravel(), evidence.actions.weights().ravel())[0, 1] > 0.95


def test_what_is_counted_in_one_part_is_what_weights_estimate_in_the_other() -> None:
    # both are unbiased for the first part's logger over the second part's contexts, so their difference has mean 0
    gaps = []
    for seed in range(30):
        evidence = log(seed)
        assert evidence.actions is not None
        split = fit_split(evidence.actions)
        counted, pseudo = parts_of(evidence, split, np.random.default_rng(1_000 + seed).random(N))
        gaps.append(estimator("ips")(pseudo).value - counted)
    # the count is a ratio: its own bias, of the order of 1 / 240 rows times its spread, is far below the error here
    assert abs(np.mean(gaps)) < 3.3 * np.std(gaps, ddof=1) / np.sqrt(len(gaps))  # missed by chance once in a thousand


def test_the_count_weighs_contexts_as_the_other_part_has_them() -> None:
    evidence = log(0)
    is_odd = np.arange(N) % 2 == 1
    k = np.where(is_odd, 0.6, 0.1)  # odd rows, which alone earn anything, go to the first part far more often
    split = Split(0.0, 1.0, np.repeat(k[:, None], A, axis=1), k, 0.0)
    earning = replace(evidence, reward=is_odd[:, None].astype(np.float64))
    counted, pseudo = parts_of(earning, split, np.random.default_rng(0).random(N))
    # .4 of the odd and .9 of the even rows stay; the 60 even rows of the first part, 9 each, make an error of .03
    assert counted == pytest.approx(0.4 / 1.3, abs=0.1)
    assert pseudo.reward.mean() == pytest.approx(0.4 / 1.3, abs=0.05)  # of 780 rows


def test_a_right_model_is_chosen_and_a_wrong_one_is_not() -> None:
    right = choose(log(0), ["ips", "dm"])
    assert right.estimator == "dm"
    wrong = choose(log(0, WORTH + 0.4), ["dm", "ips"])
    assert wrong.estimator == "ips"
    assert wrong.errors["dm"] > 2.0 * wrong.errors["ips"]
    assert choose(log(0), ["ips", "dm"]).errors == right.errors  # the same seed, the same luck


def test_models_are_fitted_anew_where_they_learned_from_the_log() -> None:
    fitted = choose(log(0, WORTH + 0.4), ["dm", "ips", "mrdr"], splits=3, refit=True)
    given = choose(log(0, WORTH + 0.4), ["dm", "ips"], splits=3)
    assert fitted.errors["dm"] < given.errors["dm"] / 2.0  # what was wrong with the given model is not used
    assert fitted.errors["ips"] == given.errors["ips"]


def test_what_cannot_be_asked_of_pseudo_logs_is_told() -> None:
    evidence = log(0)
    with pytest.raises(UserError, match="needs the table of all actions"):
        choose(replace(evidence, actions=None), ["ips"])
    with pytest.raises(UserError, match="balanced-ips: pseudo-logs cannot feed that"):
        choose(evidence, ["ips", "balanced-ips"])
    with pytest.raises(UserError, match="no estimator"):
        choose(evidence, [])
    apart = ActionTable(np.zeros(3, dtype=np.int64), np.tile([1.0, 0.0], (3, 1)), np.tile([0.0, 1.0], (3, 1)))
    with pytest.raises(UserError, match="plays nothing that the logger plays"):
        fit_split(apart)


def test_a_strength_can_be_chosen_on_pseudo_logs() -> None:
    wrong = log(0, WORTH + 0.4)
    assert wrong.actions is not None
    told = evaluate(wrong, ["cab:pas-if"])[0]
    assert told.estimator == "cab:pas-if"
    assert any("was chosen by PAS-IF among 8 on these very rows (22 passes" in why for why in told.verdict.reasons)
    names = [f"cab:{at:g}" for at in (np.inf, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)]
    chosen = choose(wrong, names).estimator
    assert told.interval.value == evaluate(wrong, [chosen])[0].interval.value
    assert chosen != "cab:1"  # which leaves a quarter of the weight to a model that is off by .4
    with pytest.raises(UserError, match="needs the table of all actions"):
        evaluate(replace(wrong, actions=None), ["dros:pas-if"])
