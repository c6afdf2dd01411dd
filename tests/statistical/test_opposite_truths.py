"""Two policies whose order depends on what is asked: per search over the logger's contexts, or per session.

A session has at most ten searches. One item is bait (clicked with .30, after which half leave), the other quality (.20,
a tenth leave); chances fade by .9 a search. The logger plays both alike; one target plays quality with .1, another with
.9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Evidence, evaluate
from offpolicy.inference import clusters, student
from offpolicy.sequences.fitted_q import StepFeatures, fitted_q
from offpolicy.sequences.sessions import lay_out, side_by_side
from offpolicy.statistics import Scores
from simenv.propensity import Conditional

CLICK, LEAVE = np.array([0.30, 0.20]), np.array([0.5, 0.1])  # bait, quality
FADE, LONGEST, SESSIONS = 0.9, 10, 5_000
SEEDS = 1_000


@dataclass(frozen=True)
class Truth:
    """Exact values of the target that plays quality with this probability."""

    over_the_loggers: float
    over_its_own: float
    session: float


def truth(p_quality: float) -> Truth:
    def chain(p: float) -> tuple[np.ndarray, np.ndarray]:
        play = np.array([1.0 - p, p])
        alive = (1.0 - play @ LEAVE) ** np.arange(LONGEST)
        return alive, (play @ CLICK) * FADE ** np.arange(LONGEST)

    (logger_alive, _), (alive, click) = chain(0.5), chain(p_quality)
    session = float(alive @ click)
    return Truth(float(logger_alive @ click / logger_alive.sum()), session / float(alive.sum()), session)


@dataclass(frozen=True)
class Log:
    session: np.ndarray
    step: np.ndarray
    action: np.ndarray
    click: np.ndarray

    def evidence(self, p_quality: float) -> Evidence:
        target = np.where(self.action == 1, p_quality, 1.0 - p_quality)
        return Evidence(
            reward=self.click[:, None],
            logger=Conditional(np.full((len(target), 1), np.log(0.5))),
            target=Conditional(np.log(target)[:, None]),
            cluster=self.session,
            cluster_name="session",
        )

    def sessions(self, p_quality: float) -> Evidence:
        return side_by_side(self.evidence(p_quality), lay_out(self.session, self.step), "session")

    def features(self, p_quality: float) -> StepFeatures:
        rows = np.arange(len(self.step))
        logged, target = np.zeros((2, len(rows), 2 * LONGEST))
        logged[rows, 2 * self.step + self.action] = 1.0
        target[rows, 2 * self.step], target[rows, 2 * self.step + 1] = 1.0 - p_quality, p_quality
        return StepFeatures(logged, target)


def play(seed: int) -> Log:
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 2, (SESSIONS, LONGEST))
    click = rng.random(action.shape) < CLICK[action] * FADE ** np.arange(LONGEST)
    stays = rng.random(action.shape) >= LEAVE[action]
    alive = np.concatenate([np.ones((SESSIONS, 1), dtype=bool), np.cumprod(stays, axis=1)[:, :-1] > 0], axis=1)
    session, step = np.nonzero(alive)
    return Log(session, step, action[session, step], click[session, step].astype(np.float64))


def test_the_order_of_two_policies_reverses_with_the_question() -> None:
    bait, quality = truth(0.1), truth(0.9)
    published = [(0.2396, 0.2599, 0.5638), (0.1735, 0.1542, 0.8575)]
    for one, numbers in ((bait, published[0]), (quality, published[1])):
        assert (one.over_the_loggers, one.over_its_own, one.session) == pytest.approx(numbers, abs=5e-5)
    assert bait.over_its_own > quality.over_its_own
    assert bait.session < quality.session


def test_weighing_whole_trajectories_is_never_trusted() -> None:
    found = evaluate(play(0).sessions(0.9), ["trajectory-is", "trajectory-wis", "pdis", "wpdis"])
    assert {one.verdict.word for one in found[:2]} <= {"caution", "do not use"}
    assert all(
        one.estimand == "value per session, the target ranking from its first search to its last" for one in found
    )


@pytest.mark.slow
def test_each_estimator_covers_its_own_estimand_and_no_other() -> None:
    hits: dict[str, list[bool]] = {}
    for seed in range(SEEDS):
        log = play(seed)
        for p in (0.1, 0.9):
            true = truth(p)

            def look(name: str, made: Scores, evidence: Evidence, value: float, p: float = p) -> None:
                found = student(made, clusters(evidence), 0.95)
                hits.setdefault(f"{name} {p}", []).append(found.low <= value <= found.high)

            searches, sessions = log.evidence(p), log.sessions(p)
            over_searches = ESTIMATORS["ips"](searches)
            look("ips, the logger's searches", over_searches, searches, true.over_the_loggers)
            look("ips, its own searches", over_searches, searches, true.over_its_own)
            look("pdis, session", ESTIMATORS["pdis"](sessions), sessions, true.session)
            look("wpdis, session", ESTIMATORS["wpdis"](sessions), sessions, true.session)
            look("own searches", ESTIMATORS["own-searches"](sessions), sessions, true.over_its_own)
            look("trajectory-is, session", ESTIMATORS["trajectory-is"](sessions), sessions, true.session)
    covered = {name: float(np.mean(each)) for name, each in hits.items()}
    print("\n" + "\n".join(f"{name}: {share:.3f}" for name, share in covered.items()))
    # The standard error of a coverage of .95 is .0069 here. Weights of sessions are skewed, which costs some of it.
    for p in (0.1, 0.9):
        assert 0.925 <= covered[f"ips, the logger's searches {p}"] <= 0.97
        assert covered[f"ips, its own searches {p}"] < 0.2
        for name in ("pdis, session", "wpdis, session", "own searches"):
            assert 0.88 <= covered[f"{name} {p}"] <= 0.97
    assert covered["trajectory-is, session 0.9"] < covered["pdis, session 0.9"]


@pytest.mark.slow
def test_fitted_q_returns_the_value_of_a_session() -> None:
    for p in (0.1, 0.9):
        values = []
        for seed in range(40):
            log = play(seed)
            sessions = fitted_q(log.sessions(p), lay_out(log.session, log.step), log.features(p))
            values.append(ESTIMATORS["fqe"](sessions).value)
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - truth(p).session) < 3.3 * error  # missed by chance once in a thousand
