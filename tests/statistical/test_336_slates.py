"""Coverage where the truth is known: 8 candidates, 3 slots, 336 slates, everything enumerated.

A sound 95% interval covers the truth in 95% of logs. Over 2,000 logs the coverage itself has a standard error of
sqrt(.95 * .05 / 2000) = .0049, so 93.5% to 96.5% is three of them to either side. And the test must bite: what is
known to be biased has to fail it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import ESTIMATORS, Evidence
from offpolicy.inference import clusters, student
from offpolicy.slates.pseudoinverse import moment_weights
from simenv.propensity import Conditional, Marginal

pytestmark = pytest.mark.slow

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Coverage = dict[tuple[float, str], float]

CANDIDATES, SLOTS, CONTEXTS, ROWS, LOGS = 8, 3, 200, 2_000, 2_000
GAINS = (0.25, 0.75, 1.25, 2.0)
EXAMINATION = np.array([0.9, 0.6, 0.4])
SLATES = np.array(list(permutations(range(CANDIDATES), SLOTS)))  # (336, K)
JOINT = ("ips", "snips", "dr")
ITEM = ("ips-item", "snips-item", "dr-item")
PREFIX = ("rips", "snrips", "cascade-dr", "cascade-sndr")
PSEUDOINVERSE = ("pi", "snpi")
CONSISTENT = JOINT + PREFIX + ITEM + PSEUDOINVERSE


@dataclass(frozen=True)
class Policy:
    """Exact propensities of every slate in every context."""

    conditional: Floats  # (X, 336, K) log-probabilities
    marginal: Floats  # (X, 336, K)
    slate: Floats  # (X, 336) probabilities


@dataclass(frozen=True)
class Problem:
    """Contexts, the logger, one target for each gain, and two click models told as exact click probabilities."""

    logger: Policy
    targets: dict[float, Policy]
    position_based: Floats  # (X, 336, K)
    cascade: Floats  # (X, 336, K)
    pseudoinverse: dict[float, Floats]  # (X, 336) for each target


def plackett_luce(logits: Floats) -> Policy:
    """Exact propensities of all 336 slates: conditionals by definition, marginals by summing over slates."""
    strength = np.exp(logits)[:, SLATES]  # (X, 336, K)
    taken = np.cumsum(strength, axis=2) - strength
    conditional = np.log(strength / (np.exp(logits).sum(axis=1)[:, None, None] - taken))
    slate = np.exp(conditional.sum(axis=2))
    at_slot = (SLATES[:, :, None] == np.arange(CANDIDATES)).astype(np.float64)  # (336, K, C)
    marginal = np.einsum("xs,skc->xkc", slate, at_slot)
    return Policy(conditional, np.log(marginal[:, np.arange(SLOTS), SLATES]), slate)


@pytest.fixture(scope="module")
def problem() -> Problem:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((CONTEXTS, CANDIDATES))
    logits = 0.5 * x + 0.3 * rng.standard_normal((CONTEXTS, CANDIDATES))
    click = EXAMINATION / (1.0 + np.exp(1.0 - x[:, SLATES]))  # (X, 336, K)
    unclicked = np.cumprod(1.0 - click, axis=2) / (1.0 - click)  # no click above: a cascade stops at the first click
    logger, targets = plackett_luce(logits), {gain: plackett_luce(logits + gain * x) for gain in GAINS}
    weights = {gain: moment_weights(logger.slate, each.slate, SLATES, CANDIDATES) for gain, each in targets.items()}
    return Problem(logger, targets, click, click * unclicked, weights)


def logs(problem: Problem, click: Floats, n_logs: int) -> Iterator[tuple[Ints, Ints, Floats]]:
    """One log a seed from 0: contexts (N,), slates (N,) and clicks (N, K)."""
    cumulative = np.cumsum(problem.logger.slate, axis=1)
    cumulative[:, -1] = 1.0
    for seed in range(n_logs):
        rng = np.random.default_rng(seed)
        context = rng.integers(CONTEXTS, size=ROWS)
        slate = (cumulative[context] <= rng.random((ROWS, 1))).sum(axis=1)
        if click is problem.cascade:
            yield context, slate, cascade_clicks(problem.position_based[context, slate], rng)
        else:
            yield context, slate, (rng.random((ROWS, SLOTS)) < click[context, slate]).astype(np.float64)


def cascade_clicks(chance: Floats, rng: np.random.Generator) -> Floats:
    """The first success from the top is the only click."""
    would = rng.random(chance.shape) < chance
    return (would & (np.cumsum(would, axis=1) == 1)).astype(np.float64)


def coverage(
    problem: Problem,
    click: Floats,
    names: tuple[str, ...],
    n_logs: int = LOGS,
    *,
    conditional_as_marginal: bool = False,
) -> Coverage:
    """Share of logs whose 95% interval holds the enumerated truth, for each gain and estimator."""
    totals = {gain: (target.slate * click.sum(axis=2)).sum(axis=1) for gain, target in problem.targets.items()}  # (X,)
    hits = {(gain, name): 0 for gain in GAINS for name in names}
    row = np.arange(ROWS)
    logger = problem.logger
    for context, slate, clicks in logs(problem, click, n_logs):
        at = (context, slate)
        for gain, target in problem.targets.items():
            evidence = Evidence(
                reward=clicks,
                logger=Conditional(logger.conditional[at]),
                target=Conditional(target.conditional[at]),
                logger_marginal=Marginal((logger.conditional if conditional_as_marginal else logger.marginal)[at]),
                target_marginal=Marginal((target.conditional if conditional_as_marginal else target.marginal)[at]),
                q_logged=0.8 * click[at],
                q_target=0.8 * totals[gain][context],
                q_prefix=0.8 * click[at],
                q_prefix_target=0.8 * totals[gain][context],
                pseudoinverse=problem.pseudoinverse[gain][at],
                cluster=row,
                cluster_name="row",
            )
            by, truth = clusters(evidence), totals[gain].mean()
            for name in names:
                found = student(ESTIMATORS[name](evidence), by, 0.95)
                hits[gain, name] += found.low <= truth <= found.high
    return {key: count / n_logs for key, count in hits.items()}


def show(title: str, covered: Coverage, names: tuple[str, ...]) -> None:
    print(f"\n{title}\n  g     " + "".join(f"{name:>12}" for name in names))
    for gain in GAINS:
        print(f"  {gain:<6g}" + "".join(f"{covered[gain, name]:>12.4f}" for name in names))


def test_all_weights_cover_95_percent_where_clicks_depend_on_the_place_alone(problem: Problem) -> None:
    covered = coverage(problem, problem.position_based, CONSISTENT)
    show("position-based clicks, right weights", covered, CONSISTENT)
    outside = {key: share for key, share in covered.items() if not 0.935 <= share <= 0.965}
    assert not outside


def test_conditionals_in_place_of_marginals_lose_coverage_as_the_target_moves_away(problem: Problem) -> None:
    covered = coverage(problem, problem.position_based, ITEM, conditional_as_marginal=True, n_logs=500)
    show("position-based clicks, conditionals used as marginals", covered, ITEM)
    for name in ITEM:
        assert covered[1.25, name] <= 0.91
        assert covered[2.0, name] <= 0.91
        assert covered[2.0, name] < covered[0.25, name]


def test_item_position_weights_fail_under_a_cascade_and_joint_and_prefix_weights_do_not(problem: Problem) -> None:
    # 1,000 logs: the standard error of a coverage is .007, so a sound interval lies above .93 and below .97.
    covered = coverage(problem, problem.cascade, CONSISTENT, n_logs=1_000)
    show("cascade clicks", covered, CONSISTENT)
    assert all(covered[0.75, name] < 0.93 for name in ITEM)
    assert all(0.93 < covered[gain, name] < 0.97 for gain in GAINS for name in JOINT + PREFIX)
