"""The value now, from logs whose values drift: its bias as stated, its variance as stated, and who covers today."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Evidence, estimator, evaluate
from offpolicy.stream.plan import check_names
from simenv.errors import UserError
from simenv.propensity import Conditional

DAYS, PER_DAY = 28, 300
LOGGER, TARGET = np.array([0.5, 0.5]), np.array([0.2, 0.8])


def click(day: np.ndarray, shock: float = 0.0) -> np.ndarray:
    """Chance of a click of both actions by day, (n, 2): the second rises through the month, and jumps half-way."""
    risen = 0.2 * day / (DAYS - 1) if shock == 0.0 else shock * (day >= DAYS // 2)
    return np.stack([np.full(len(day), 0.3), 0.3 + risen], axis=1)


def enumerated() -> Evidence:
    """Both actions of each day as often as the logger plays them, with expected clicks for rewards."""
    day = np.repeat(np.arange(DAYS), 2)
    action = np.tile([0, 1], DAYS)
    return columns(day, action, click(day)[np.arange(len(day)), action])


def columns(day: np.ndarray, action: np.ndarray, reward: np.ndarray) -> Evidence:
    return Evidence(
        reward=reward[:, None].astype(np.float64),
        logger=Conditional(np.log(LOGGER[action])[:, None]),
        target=Conditional(np.log(TARGET[action])[:, None]),
        q_logged=np.full((len(day), 1), 0.3),
        q_target=np.full(len(day), 0.3),
        time=day.astype(np.int64),
        cluster=np.arange(len(day)),
    )


def drawn(seed: int, shock: float) -> Evidence:
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), PER_DAY)
    action = rng.integers(0, 2, len(day))
    return columns(day, action, rng.random(len(day)) < click(day, shock)[np.arange(len(day)), action])


def test_it_lags_behind_by_the_slope_times_the_mean_age_of_what_it_counts() -> None:
    evidence = enumerated()
    today = float(TARGET @ click(np.array([DAYS - 1]))[0])
    age = (DAYS - 1 - np.arange(DAYS)) / (DAYS - 1)
    for half_life in (0.05, 0.2, 1.0):
        count = np.exp2(-age / half_life)
        lag = 0.2 * TARGET[1] * float(count @ age / count.sum())
        for name in ("recent-ips", "recent-dr"):
            value = estimator(f"{name}:{half_life}")(evidence).value
            assert value == pytest.approx(today - lag, abs=1e-12)  # float64 sums of 56 rows
    # what the docstring says of short half-lives: the sum over days is the integral but for half a day
    count = np.exp2(-age / 0.2)
    assert count @ age / count.sum() == pytest.approx(0.2 / np.log(2.0), rel=0.2)
    assert estimator("recent-ips:inf")(evidence).value == pytest.approx(ESTIMATORS["ips"](evidence).value, abs=1e-12)


def test_it_rests_on_as_many_rows_as_it_says() -> None:
    evidence = replace(drawn(0, 0.0), target=Conditional(np.full((DAYS * PER_DAY, 1), np.log(0.5))))
    for half_life in (0.05, 0.1):  # all weights are 1, so the rows are those of the ages alone
        found = evaluate(evidence, [f"recent-ips:{half_life}"])[0]
        # counting whole days: the sum over days is the integral but for half a day in 2 h / ln 2 of 28
        share = found.diagnostics.effective_rows / evidence.n_rows
        assert share == pytest.approx(2.0 * half_life / np.log(2.0), abs=0.5 / DAYS)


def test_where_a_value_jumped_it_covers_today_and_the_plain_mean_does_not() -> None:
    today, names = float(TARGET @ click(np.array([DAYS - 1]), 0.3)[0]), ("ips", "recent-ips:0.06", "recent-dr:0.06")
    held = dict.fromkeys(names, 0)
    logs = 60
    for seed in range(logs):
        for one in evaluate(drawn(seed, 0.3), names):
            held[one.estimator] += one.interval.low <= today <= one.interval.high
            if one.estimator != "ips":
                assert one.verdict.word != "trust"
    print(held)
    assert held["ips"] == 0
    # a coverage of .95 falls below 49 of 60 with probability 1e-4; what is left of the time before the jump is 2^-8
    assert min(held[name] for name in names[1:]) >= 49


def test_its_lift_is_over_what_the_logger_earns_now() -> None:
    evidence = enumerated()
    found = evaluate(evidence, ["recent-ips:0.05"])[0]
    own = replace(evidence, target=evidence.logger)
    assert found.lift.value == pytest.approx(found.interval.value - estimator("recent-ips:0.05")(own).value, abs=1e-12)
    assert "at the end of the log" in found.estimand


def test_slope_takes_a_short_half_life_where_the_value_moved_and_the_whole_log_where_it_did_not() -> None:
    moved, still = (evaluate(drawn(1, shock), ["recent-ips:slope"])[0] for shock in (0.6, 1e-12))
    told = [reason for reason in (*moved.verdict.reasons, *still.verdict.reasons) if "was chosen by SLOPE" in reason]
    strength = [float(reason.partition("its strength, ")[2].partition(",")[0]) for reason in told]
    assert strength[0] <= 0.5 < strength[1]


def test_a_log_without_times_or_with_one_is_refused() -> None:
    evidence = enumerated()
    with pytest.raises(UserError, match="needs time"):
        evaluate(replace(evidence, time=None), ["recent-ips"])
    with pytest.raises(UserError, match="all rows have one time"):
        evaluate(replace(evidence, time=np.zeros(evidence.n_rows, dtype=np.int64)), ["recent-ips"])
    with pytest.raises(UserError, match=r"expected a number from 0\.001"):
        estimator("recent-ips:0")
    with pytest.raises(UserError, match="Evaluate it without streaming"):
        check_names(["recent-ips"], "t")


def test_counting_old_rows_less_takes_no_weight_away() -> None:
    """The last days happened to hold small weights; what is counted less is not clipped."""
    day = np.repeat(np.arange(DAYS), PER_DAY)
    action = np.where(day < DAYS - 4, np.tile([0, 1], len(day) // 2), np.arange(len(day)) % 10 < 4).astype(np.int64)
    (one,) = evaluate(columns(day, action, np.ones(len(day))), ["recent-ips:0.1"])
    assert estimator("recent-ips:0.1").cut(columns(day, action, np.ones(len(day)))).weight.mean() < 0.95
    assert one.diagnostics.lost_weight == 0.0
    assert not any("reshaping" in reason for reason in one.verdict.reasons)
