"""Open Bandit's small files: what their loggers did, what can be said from them, and coverage with clicks made up.

With 38 to 69 clicks a file the real clicks can rank nobody. The real propensities can: clicks drawn from known rates
under a logger that draws as the real one did must be covered as often as the interval says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.obd import find_csv, read_impressions, read_obd, read_table
from simenv.propensity import Conditional

SEEDS = 400
ROWS = 10_000


def table(data: Path, campaign: str) -> np.ndarray:
    return read_table(data / "obd" / "derived" / f"bts_action_dist_{campaign}_seed12345_nsim1000000.csv")


@pytest.mark.parametrize(("campaign", "items"), [("all", 80), ("men", 34)])
def test_the_random_logger_is_uniform_at_every_slot(real_data: Path, campaign: str, items: int) -> None:
    seen = read_impressions(find_csv(real_data / "obd", "random", campaign))
    assert np.ptp(seen.propensity) < 1e-9
    assert seen.propensity[0] == pytest.approx(1 / items, rel=1e-4)  # written with five decimals or more
    for position in (1, 2, 3):
        counts = np.bincount(seen.item[seen.position == position], minlength=items)
        expected = counts.sum() / items
        chi_square = float(((counts - expected) ** 2).sum() / expected)
        freedom = items - 1
        # Chi-square has mean f and variance 2f; beyond 4.5 standard deviations once in 100,000 uniform logs.
        assert abs(chi_square - freedom) < 4.5 * np.sqrt(2 * freedom)


CASES = [
    # behaviour, campaign, target, effective rows of 10,000, effective positives, verdict
    ("random", "all", "bts", 1643, (4, 6), "do not use"),
    ("random", "men", "bts", 2471, (10, 15), "caution"),
    ("bts", "men", "uniform", 656, (10, 100), "caution"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:3])))
def test_verdicts_on_the_real_clicks_are_what_their_number_allows(real_data: Path, case: tuple) -> None:  # type: ignore[type-arg]
    behaviour, campaign, target, rows, positives, verdict = case
    log = real_data / "obd" / behaviour / campaign
    path = real_data / "obd" / "derived" / f"bts_action_dist_{campaign}_seed12345_nsim1000000.csv"
    ips = evaluate(read_obd(log, "uniform" if target == "uniform" else path), ["ips"])[0]
    assert ips.diagnostics.effective_rows == pytest.approx(rows, abs=0.6)
    assert positives[0] < ips.diagnostics.effective_positives < positives[1]
    assert ips.verdict.word == verdict


@pytest.mark.slow
@pytest.mark.parametrize("is_uniform_logger", [True, False], ids=["uniform logger", "thompson logger"])
def test_made_up_clicks_on_real_propensities_are_covered(real_data: Path, *, is_uniform_logger: bool) -> None:
    """The real positions and the real table, as target or as logger; click rates of 2% to 20% by item and position.

    As a logger the table has probabilities down to 3e-5: a few of its items are seen once or never in a log.
    """
    thompson = table(real_data, "all")
    uniform = np.full(thompson.shape, 1 / len(thompson))
    logger, target = (uniform, thompson) if is_uniform_logger else (thompson, uniform)
    position = read_impressions(find_csv(real_data / "obd", "random", "all")).position - 1
    rate = np.random.default_rng(0).uniform(0.02, 0.2, target.shape)
    truth = float((target * rate).sum(axis=0)[position].mean())
    edges = np.cumsum(logger, axis=0).T  # (positions, items)
    covered = np.zeros((SEEDS, 2))
    for seed in range(SEEDS):
        draw = np.random.default_rng(seed)
        item = np.empty(ROWS, dtype=np.int64)
        for k, own in enumerate(edges):
            here = position == k
            item[here] = np.minimum(np.searchsorted(own, draw.random(int(here.sum()))), len(own) - 1)
        evidence = made_up(draw, rate[item, position], logger[item, position], target[item, position])
        covered[seed] = [one.interval.low <= truth <= one.interval.high for one in evaluate(evidence, NAMES)]
    # .95 with 400 seeds errs by .011.
    assert (covered.mean(axis=0) > 0.95 - 3.5 * 0.011).all()
    assert (covered.mean(axis=0) < 0.95 + 3.5 * 0.011).all()


NAMES = ["ips", "snips"]


def made_up(draw: np.random.Generator, rate: np.ndarray, logger: np.ndarray, target: np.ndarray) -> Evidence:
    """A log of clicks drawn at these rates, whose rows stand for shoppers."""
    return Evidence(
        reward=(draw.random(len(rate)) < rate).astype(np.float64)[:, None],
        logger=Conditional(np.log(logger)[:, None]),
        target=Conditional(np.log(target)[:, None]),
        cluster=np.arange(len(rate)),
    )
