"""Intervals against an enumerated truth: shoppers whose number of searches tells of their worth, 20 slates, floors.

Over 600 logs the coverage of a sound 95% interval has a standard error of .0089. Bootstraps must lie within three of
.95; betting promises at least 95% and must not lie three below.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import Evidence, estimator
from offpolicy.bounds import max_weight_from_floors
from offpolicy.inference import Interval, clusters
from offpolicy.intervals.betting import running
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.registry import INTERVALS
from offpolicy.statistics import scores
from simenv.propensity import Conditional

pytestmark = pytest.mark.slow

Floats = npt.NDArray[np.float64]

LOGS, SHOPPERS = 600, 800
CANDIDATES, SLOTS, CONTEXTS = 5, 2, 40
LOGGER_FLOOR, TARGET_FLOOR = 0.5, 0.2
SLATES = np.array(list(permutations(range(CANDIDATES), SLOTS)))  # (20, K)
FREQUENT, RARELY, OFTEN = 0.3, (1, 2), (3, 5)  # share of frequent shoppers; searches of the others and of them
KEENNESS = np.array([0.6, 1.4])  # of the others, of the frequent


def plackett_luce(score: Floats, floor: float) -> Floats:
    """Conditional log-probabilities of all slates in all contexts, (X, 20, K)."""
    strength = np.exp(score)
    weight = (1.0 - floor) * strength / strength.sum(axis=1, keepdims=True) + floor / CANDIDATES
    first, second = weight[:, SLATES[:, 0]], weight[:, SLATES[:, 1]]
    return np.log(np.stack([first, second / (1.0 - first)], axis=2))


class Market:
    """Contexts with everything enumerated; the true value per search."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        liking = rng.standard_normal((CONTEXTS, CANDIDATES))
        self.logger = plackett_luce(0.5 * liking, LOGGER_FLOOR)
        self.target = plackett_luce(2.0 * liking, TARGET_FLOOR)
        self.click = np.array([0.4, 0.2]) / (1.0 + np.exp(-liking[:, SLATES]))  # (X, 20, K)
        shown = np.exp(self.target.sum(axis=2))  # (X, 20)
        once = float((shown * self.click.sum(axis=2)).sum(axis=1).mean())
        searches = np.array([(1 - FREQUENT) * np.mean(RARELY), FREQUENT * np.mean(OFTEN)])
        self.truth = once * float(searches @ KEENNESS / searches.sum())

    def logs(self, n_logs: int) -> Iterator[Evidence]:
        cumulative = np.cumsum(np.exp(self.logger.sum(axis=2)), axis=1)
        cumulative[:, -1] = 1.0
        for seed in range(n_logs):
            rng = np.random.default_rng(seed)
            is_frequent = rng.random(SHOPPERS) < FREQUENT
            searches = np.where(
                is_frequent, rng.integers(OFTEN[0], OFTEN[1] + 1, SHOPPERS), rng.integers(1, 3, SHOPPERS)
            )
            shopper = np.repeat(np.arange(SHOPPERS), searches)
            context = rng.integers(CONTEXTS, size=len(shopper))
            slate = (cumulative[context] <= rng.random((len(shopper), 1))).sum(axis=1)
            chance = self.click[context, slate] * KEENNESS[is_frequent.astype(int)][shopper][:, None]
            yield Evidence(
                reward=(rng.random(chance.shape) < chance) * 1.0,
                logger=Conditional(self.logger[context, slate]),
                target=Conditional(self.target[context, slate]),
                cluster=shopper,
                reward_range=(0.0, 2.0),
                max_weight=max_weight_from_floors(LOGGER_FLOOR, CANDIDATES, SLOTS, TARGET_FLOOR),
            )


def case_of(evidence: Evidence, name: str) -> Case:
    one = estimator(name)
    terms = one.cut(evidence)
    statistics = one.formula(terms)
    return Case(one, evidence, terms, statistics, scores(statistics), clusters(evidence))


def test_bootstraps_cover_95_percent_and_betting_at_least_that() -> None:
    market = Market()
    rules = ("t", "bootstrap", "bca", "betting", "sequence")
    hits: dict[tuple[str, str], int] = {(name, rule): 0 for name in ("ips", "snips") for rule in rules}
    width: dict[tuple[str, str], float] = dict.fromkeys(hits, 0.0)
    for seed, evidence in enumerate(market.logs(LOGS)):
        for name in ("ips", "snips"):
            case = case_of(evidence, name)
            for rule in rules:
                found: Interval = INTERVALS[rule].make(case, Asked(seed=seed, replicates=1_000))
                hits[name, rule] += found.low <= market.truth <= found.high
                width[name, rule] += (found.high - found.low) / LOGS
    covered = {key: count / LOGS for key, count in hits.items()}
    for key, share in covered.items():
        print(f"{key[0]:>6} {key[1]:>10}: covers {share:.3f}, width {width[key] / width[key[0], 't']:.2f} of t")
    assert all(0.923 <= covered[name, rule] <= 0.977 for name, rule in hits if rule in ("t", "bootstrap", "bca"))
    assert all(covered[name, rule] >= 0.923 for name, rule in hits if rule in ("betting", "sequence"))
    assert all(width[name, "betting"] < 2.5 * width[name, "t"] for name in ("ips", "snips"))


def rows_of(weight: Floats, reward: Floats, bound: float | None) -> Evidence:
    """One slot a row, every row its own cluster."""
    logger = np.full((len(weight), 1), -np.log(weight.max()) - 1.0)
    return Evidence(
        reward=reward[:, None],
        logger=Conditional(logger),
        target=Conditional(np.minimum(logger + np.log(weight)[:, None], 0.0)),
        cluster=np.arange(len(weight)),
        cluster_name="row",
        reward_range=(0.0, 1.0),
        max_weight=bound,
    )


def test_betting_on_a_tenth_is_as_narrow_as_the_authors_code() -> None:
    """Bernoulli(.1), n = 1,000, alpha = .05 two-sided, 500 seeds: the authors' mean width is .0476."""
    width, covered = np.empty(500), 0
    for seed in range(500):
        reward = (np.random.default_rng(seed).random(1_000) < 0.1) * 1.0
        found = INTERVALS["betting"].make(case_of(rows_of(np.ones(1_000), reward, 1.0), "ips"), Asked())
        width[seed] = found.high - found.low
        covered += found.low <= 0.1 <= found.high
    print(f"mean width {width.mean():.4f}, covers {covered / 500:.3f}")
    assert 0.044 <= width.mean() <= 0.053
    assert covered / 500 >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 500)


def test_betting_covers_the_heavy_tail_at_every_time_and_the_normal_interval_does_not() -> None:
    """Weights .5 and 20,000 with mean 1, clicks of .05, 20,000 rows; 300 logs: a standard error of .0126."""
    hits = {"normal": 0, "betting": 0, "at every time": 0}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        weight = np.where(rng.random(20_000) < 0.5 / (2e4 - 0.5), 2e4, 0.5)
        case = case_of(rows_of(weight, (rng.random(20_000) < 0.05) * 1.0, None), "ips")
        for rule in ("normal", "betting"):
            found = INTERVALS[rule].make(case, Asked())
            hits[rule] += found.low <= 0.05 <= found.high
        steps = running(case, Asked(), times=4)
        hits["at every time"] += bool(((steps.low <= 0.05) & (steps.high >= 0.05)).all())
    print(hits)
    assert hits["normal"] / 300 < 0.1
    assert hits["betting"] / 300 >= 0.95
    assert hits["at every time"] / 300 >= 0.95
