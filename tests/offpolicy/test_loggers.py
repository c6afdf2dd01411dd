"""Several loggers: exact by enumeration; right under drift with the logged propensities, wrong with others (T14)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence, estimator, evaluate
from offpolicy.actions import ActionTable
from offpolicy.loggers import log_mixture
from offpolicy.readers.mapped import read_mapped
from offpolicy.readers.mapping_file import mapping_of
from simenv.errors import UserError
from simenv.propensity import Conditional

NAMES = ["ips", "mixture-ips", "weighted-ips", "stable-ips"]
LOGGERS = np.array([[0.8, 0.15, 0.05], [0.1, 0.3, 0.6]])  # (J, A)
TARGET = np.array([0.2, 0.2, 0.6])
WORTH = np.array([0.1, 0.5, 0.3])
TRUTH = float(TARGET @ WORTH)


def evidence_of(action: np.ndarray, stratum: np.ndarray, reward: np.ndarray) -> Evidence:
    logp = np.log(LOGGERS)
    return Evidence(
        reward=reward[:, None],
        logger=Conditional(logp[stratum, action][:, None]),
        target=Conditional(np.log(TARGET)[action][:, None]),
        mixture=Conditional(log_mixture(logp.T[action], stratum)[:, None]),
        stratum=stratum,
        second_moment=(TARGET**2 / LOGGERS).sum(axis=1)[stratum],
        cluster=np.arange(len(action)),
    )


def actions_of(evidence: Evidence) -> np.ndarray:
    """The actions, by their probabilities under the logger that took them."""
    assert evidence.stratum is not None
    return np.abs(LOGGERS[evidence.stratum] - np.exp(evidence.logger.logp)).argmin(axis=1)


def drawn(n_rows: int, seed: int, share: float = 0.5) -> Evidence:
    rng = np.random.default_rng(seed)
    stratum = (np.arange(n_rows) >= share * n_rows).astype(np.int64)  # one logger after the other
    action = (rng.random(n_rows)[:, None] > np.cumsum(LOGGERS, axis=1)[stratum]).sum(axis=1)
    return evidence_of(action, stratum, (rng.random(n_rows) < WORTH[action]).astype(np.float64))


def test_every_estimator_is_exact_on_a_log_that_holds_everything_as_often_as_it_happens() -> None:
    copies = np.rint(LOGGERS * np.array([[20], [60]])).astype(np.int64)  # (J, A), whole numbers
    stratum, action = (np.repeat(code.ravel(), copies.ravel()) for code in np.indices(copies.shape))
    enumerated = evidence_of(action, stratum, WORTH[action])
    for name in [*NAMES, "mixture-snips"]:
        assert estimator(name)(enumerated).value == pytest.approx(TRUTH, rel=1e-12)


def test_sharing_what_loggers_know_narrows_the_interval() -> None:
    found = {one.estimator: one for one in evaluate(drawn(20_000, 0), NAMES)}
    errors = {name: one.interval.stderr for name, one in found.items()}
    assert errors["mixture-ips"] < 0.75 * errors["ips"]
    assert errors["weighted-ips"] < errors["ips"]
    for one in found.values():
        assert abs(one.interval.value - TRUTH) < 4 * one.interval.stderr


def test_a_drifting_logger_is_weighed_by_what_was_logged_and_by_nothing_else() -> None:
    """T14: with the first logger's table for all rows the value is wrong and the mean weight says so."""
    evidence = drawn(20_000, 1)
    right = evaluate(evidence, ["ips"])[0]
    assert abs(right.interval.value - TRUTH) < 4 * right.interval.stderr
    prior = Conditional(np.log(LOGGERS[0])[actions_of(evidence)][:, None])
    wrong = evaluate(replace(evidence, logger=prior), ["ips"])[0]
    assert abs(wrong.interval.value - TRUTH) > 10 * wrong.interval.stderr
    assert wrong.verdict.word == "do not use"
    assert "mean weight" in wrong.verdict.reasons[0]


@pytest.mark.slow
def test_intervals_cover_for_loggers_of_unequal_shares() -> None:
    covered = np.zeros((600, len(NAMES)))
    for seed in range(len(covered)):
        found = evaluate(drawn(3_000, seed, share=0.8), NAMES)
        covered[seed] = [one.interval.low <= TRUTH <= one.interval.high for one in found]
    assert (np.abs(covered.mean(axis=0) - 0.95) < 3.5 * 0.0089).all()  # of 600 seeds


def test_a_bandit_that_learns_is_covered_by_stable_weights() -> None:
    """Batches whose logger turns to what earned most so far: value near the truth, whatever it settled on."""
    error = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sums, counts = np.zeros(3), np.zeros(3)
        parts = []
        for batch in range(10):
            best = int(np.argmax(sums / np.maximum(counts, 1))) if batch else 0
            p = np.full(3, 0.1 / 3) + 0.9 * (np.arange(3) == best) if batch else np.full(3, 1 / 3)
            action = rng.choice(3, size=200, p=p)
            reward = (rng.random(200) < WORTH[action]).astype(np.float64)
            np.add.at(sums, action, reward)
            np.add.at(counts, action, 1.0)
            parts.append((action, reward, p[action], np.full(200, (TARGET**2 / p).sum())))
        action, reward, chance, square = (np.concatenate(part) for part in zip(*parts, strict=True))
        evidence = Evidence(
            reward=reward[:, None],
            logger=Conditional(np.log(chance)[:, None]),
            target=Conditional(np.log(TARGET)[action][:, None]),
            second_moment=square,
            cluster=np.arange(len(action)),
        )
        found = evaluate(evidence, ["ips", "stable-ips"])
        error.append([(one.interval.value - TRUTH, one.interval.stderr) for one in found])
    off = np.array(error)  # (seeds, estimators, 2)
    bias, spread = off[:, :, 0].mean(axis=0), off[:, :, 0].std(axis=0)
    assert (np.abs(bias) < 4 * spread / np.sqrt(60)).all()
    assert spread[1] < spread[0]


def test_a_log_with_all_loggers_probabilities_makes_the_mixture(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import pandas as pd

    evidence = drawn(400, 2)
    own, action = np.exp(evidence.logger.logp[:, 0]), actions_of(evidence)
    columns = {
        "who": np.array(["old", "new"])[evidence.stratum], "user": np.arange(400), "p": own, "q": TARGET[action],
        "won": evidence.reward[:, 0], "p_old": LOGGERS[0][action], "p_new": LOGGERS[1][action],
    }  # fmt: skip
    given = {
        "layout": "single",
        "columns": {"shopper": "user", "logger": "who"},
        "rewards": {"won": "won"},
        "propensity": {"columns": "p", "scale": "probability"},
        "target": {"columns": "q", "scale": "probability"},
        "loggers": {"old": "p_old", "new": "p_new"},
    }
    pd.DataFrame(columns).to_csv(tmp_path / "log.csv", index=False)
    read = read_mapped(tmp_path / "log.csv", mapping_of(given)).evidence["won"]
    assert estimator("mixture-ips")(read).value == pytest.approx(estimator("mixture-ips")(evidence).value, rel=1e-9)
    columns["p_old"][3] = 0.5
    pd.DataFrame(columns).to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(UserError, match=r"row 3 \(line 5\): \[loggers\] gives the page"):
        read_mapped(tmp_path / "log.csv", mapping_of(given))


def with_tables(evidence: Evidence, loggers: np.ndarray) -> Evidence:
    """The same with times, a feature, and both policies' tables."""
    assert evidence.stratum is not None
    n, action = evidence.n_rows, actions_of(evidence)
    return replace(
        evidence,
        actions=ActionTable(action, loggers[evidence.stratum], np.tile(TARGET, (n, 1))),
        time=np.arange(n),
        features=np.random.default_rng(0).standard_normal((n, 1)) + evidence.stratum[:, None],
        feature_names=("season",),
    )


def test_loggers_one_after_another_are_no_drift_of_their_weights() -> None:
    """Each logger alone has another mean weight than all together, and other searches stand around it."""
    found = {one.estimator: one for one in evaluate(with_tables(drawn(20_000, 0), LOGGERS), NAMES)}
    for one in found.values():
        assert next(each for each in one.findings if each.check == "drift").outcome == "passed"
    # The season moved with the logger: a mixture of all is wrong about it, what weighs each row by its own is not.
    assert {name for name, one in found.items() if one.verdict.word != "trust"} == {"mixture-ips"}
    still = replace(with_tables(drawn(20_000, 0), LOGGERS), features=None, feature_names=())
    assert {one.verdict.word for one in evaluate(still, NAMES)} == {"trust"}
    wrong = replace(still, logger=Conditional(np.log(LOGGERS[0])[actions_of(still)][:, None]))
    assert {one.verdict.word for one in evaluate(wrong, ["weighted-ips", "stable-ips"])} == {"do not use"}


def test_what_policies_foretell_counts_a_logger_that_hardly_explores_as_little_as_its_weights_do() -> None:
    """The first logger plays the target's favourite in 1 of 100,000; the second plays all alike, so half the log does.

    Of 4,000 rows the policies foretell .2 to weights of each row's own logger; to weighted ones those of the second
    logger, 2,000 / E[w^2] = 2,000 / (.44 * 3).
    """
    loggers = np.array([[0.5, 0.5 - 1e-5, 1e-5], [1 / 3, 1 / 3, 1 / 3]])
    rng = np.random.default_rng(0)
    stratum = np.repeat([0, 1], 2_000)
    action = np.where(stratum == 0, rng.integers(0, 2, 4_000), rng.integers(0, 3, 4_000))
    evidence = replace(
        evidence_of(action, stratum, (rng.random(4_000) < WORTH[action]).astype(np.float64)),
        logger=Conditional(np.log(loggers[stratum, action])[:, None]),
        mixture=Conditional(log_mixture(np.log(loggers).T[action], stratum)[:, None]),
        actions=ActionTable(action, loggers[stratum], np.tile(TARGET, (4_000, 1))),
        second_moment=(TARGET**2 / loggers).sum(axis=1)[stratum],
    )
    found = {one.estimator: one for one in evaluate(evidence, NAMES)}
    assert found["ips"].diagnostics.foreseen_rows == pytest.approx(2.0 / (0.36 / 1e-5) * 4_000, rel=1e-3)
    assert found["weighted-ips"].diagnostics.foreseen_rows == pytest.approx(2_000 / 1.32, rel=1e-3)
    assert found["mixture-ips"].diagnostics.foreseen_rows == np.inf  # nobody computed it
    assert found["ips"].verdict.word == "do not use"
    assert found["weighted-ips"].verdict.word == found["mixture-ips"].verdict.word == "trust"
    for name in ("weighted-ips", "mixture-ips"):
        assert found[name].interval.low <= TRUTH <= found[name].interval.high
