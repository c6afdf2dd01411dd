"""The verdict: whether an estimate should be believed, and why not.

The thresholds are published here, in one place, and every threshold that was crossed becomes a reason in words. They
are rules of thumb, chosen so that what is below them is known to mislead: at 54 effective rows and half an effective
positive a nominal 95% interval was measured to cover 39%.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from offpolicy.audit.finding import Finding
from offpolicy.diagnostics import Diagnostics
from offpolicy.estimator import Estimator
from offpolicy.evidence import Evidence

Word = Literal["trust", "caution", "do not use"]

WORDS: tuple[Word, Word, Word] = ("trust", "caution", "do not use")


@dataclass(frozen=True)
class Thresholds:
    """Where trust ends and where use ends. Caution applies beyond the first of a pair, refusal beyond the second.

    Attributes:
        mean_weight_z: |z| of the mean weight: 3.3 happens by chance in 0.1% of sound logs, 5 in one of a million.
        mean_weight_off: How far from 1 the mean weight must be as well, so that huge logs are not refused for nothing.
        effective_positives: Rewarded rows the estimate rests on. With 100 the standard error of a rate is a tenth of
            it; with fewer than 10 the interval itself is not known.
        effective_rows: Rows the estimate rests on; below 100 the mean of skewed weights is far from normal.
        max_weight_share: One row's share of all weight.
        clusters: Effective number of independent shoppers, (sum n)^2 / sum n^2 over their rows: a clustered standard
            error is too small where there are few, or where a few have most of the rows (bots).
        weight_error: Relative error of the weights that computed marginals state for themselves.
        beyond_support: Probability that the target plays what the logger never plays. Nothing is known of that part but
            what a reward model guesses, so with a model the estimate is only to be read with caution.
        lost_weight: Share of the weight that reshaping took from an estimator without a reward model to stand in: where
            rewards are alike everywhere, that is how far it falls short.
        rival_z: |z| of the difference to an estimator that assumes less, where that one is not itself refused.
        variance_share: One cluster's share of the squared influences. Rewards of a heavy tail, of which a log holds
            one large one, had .40 to .48 at the median and covered 77% to 83%; sound logs had at most .2.
        neighbours: Variance of rows side by side over that of independent rows, where rows are taken for independent:
            at 1.5 an interval is a fifth too narrow and covers 89%.
        unseen_bias: What the bias of an estimator that is biased by design may be, in half-widths of the narrower of
            its two intervals, the value's and the lift's: the difference to its rival plus a standard error of it.
            Beyond 1 the interval may miss by its bias alone; at .5 it still covers 83%, below which estimators are
            said to fail. What is not biased by design, but has no test of its assumption except its rival (`pi`), is
            not trusted beyond the first and never refused for it.
        foreseen_rows: As `effective_rows`, of what the policies foretell in place of what was seen.
        foreseen_carriers: Rewarded rows that the policies foretell to carry the variance. The skewness of so few costs
            a symmetric 95% interval .25 / carriers of its coverage: 25 cost one point in a hundred (the rule of
            Cochran, "Sampling techniques", 1977, n > 25 skewness^2). It costs trust and never use: where weights have
            a smooth heavy tail in place of a rare large one, half a carrier was enough for 97% and .1 for 90%.
        interference_z: |z|, corrected for several looks, of rewards on the placebo of other slots, for what assumes
            that slots do not touch each other, or those above. Its mean is exactly 0 where that holds, so past 3 it is
            refused.
    """

    mean_weight_z: tuple[float, float] = (3.3, 5.0)
    mean_weight_off: float = 0.02
    effective_positives: tuple[float, float] = (100.0, 10.0)
    effective_rows: tuple[float, float] = (500.0, 100.0)
    max_weight_share: tuple[float, float] = (0.05, 0.25)
    clusters: tuple[float, float] = (40.0, 10.0)
    weight_error: tuple[float, float] = (0.01, 0.05)
    beyond_support: tuple[float, float] = (0.001, 0.01)
    lost_weight: tuple[float, float] = (0.05, 0.25)
    rival_z: tuple[float, float] = (3.0, 5.0)
    variance_share: tuple[float, float] = (0.2, 0.4)
    neighbours: tuple[float, float] = (1.25, 1.5)
    unseen_bias: tuple[float, float] = (0.5, 1.0)
    foreseen_rows: tuple[float, float] = (500.0, 100.0)
    foreseen_carriers: tuple[float, float] = (25.0, 0.0)
    interference_z: tuple[float, float] = (2.5, 3.0)


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Verdict:
    """One of `trust`, `caution`, `do not use`, and the reasons for it, worst first."""

    word: Word
    reasons: tuple[str, ...]


TOLD_ELSEWHERE = ("support", "reward model")  # findings that a threshold here tells already, or that only inform
_NOT_ITS_OWN = "a slot's reward is not its own here"


def judge(
    estimator: Estimator,
    evidence: Evidence,
    diagnostics: Diagnostics,
    n_clusters: float,
    rival_z: float = 0.0,
    interference_z: float | None = None,
    findings: Sequence[Finding] = (),
    thresholds: Thresholds = THRESHOLDS,
) -> Verdict:
    """Say whether an estimate should be believed.

    Args:
        estimator: What made the estimate.
        evidence: What it was made from.
        diagnostics: How much of the evidence it rests on.
        n_clusters: Effective number of independent clusters.
        rival_z: z of the difference to the rival estimator; 0 where there is no usable one.
        interference_z: `offpolicy.diagnostics.interference_z`, or `upward_z` for what assumes that only slots below do
            not matter; None where it could not be computed.
        findings: What the audit found that bears on this estimator.
        thresholds: Where trust and use end.
    """
    found = [*_measured(diagnostics, evidence, n_clusters, thresholds), *_declared(estimator, evidence)]
    rank = _above(abs(rival_z), thresholds.rival_z)
    if rank:
        found.append((rank, f"it is {_errors(rival_z)} from '{estimator.rival}', which assumes less"))
    if (estimator.slotwise or estimator.prefixwise) and evidence.n_slots > 1:
        found += _interference(interference_z, estimator.prefixwise, thresholds)
    found += [*_left_out(estimator, diagnostics, thresholds), *_by_design(estimator, diagnostics, thresholds)]
    found += [(one.rank, one.said) for one in findings if one.rank and one.check not in TOLD_ELSEWHERE]
    worst = max((rank for rank, _ in found), default=0)
    reasons = tuple(reason for _, reason in sorted(found, key=lambda pair: -pair[0]))
    if not reasons:
        reasons = (
            f"{diagnostics.effective_rows:,.0f} effective rows, {diagnostics.effective_positives:,.1f} effective "
            f"positives, mean weight {diagnostics.mean_weight:.3f} ({diagnostics.mean_weight_z:+.1f} standard errors "
            "from 1)",
        )
    return Verdict(WORDS[worst], reasons)


def _errors(z: float) -> str:
    """How many standard errors; where next to nothing varies their number is one of rounding."""
    return f"{z:+.1f} standard errors" if abs(z) < 1000.0 else "more than 1,000 standard errors"


def _measured(
    seen: Diagnostics, evidence: Evidence, n_clusters: float, limits: Thresholds
) -> Iterator[tuple[int, str]]:
    if seen.unsupported:
        yield 2, "no common support: the target policy could never have shown what the logger showed"
    row = "row" if evidence.length is None else evidence.unit
    rank = _above(abs(seen.mean_weight_z), limits.mean_weight_z)
    if rank and abs(seen.mean_weight - 1.0) > limits.mean_weight_off:
        yield (
            rank,
            (
                f"mean weight {seen.mean_weight:.3f} is {_errors(seen.mean_weight_z)} from 1 (limit "
                f"{limits.mean_weight_z[rank - 1]:g}): propensities are wrong or the logger lacks support"
            ),
        )
    for count, limit, what in (
        (seen.effective_positives, limits.effective_positives, "effective positives"),
        (seen.effective_rows, limits.effective_rows, f"effective {row}s"),
        (n_clusters, limits.clusters, f"effective {evidence.cluster_name} clusters"),
    ):
        rank = _below(count, limit)
        if rank:
            yield rank, f"{_count(count)} {what}; fewer than {limit[rank - 1]:g}"
    rank = _above(seen.max_weight_share, limits.max_weight_share)
    if rank:
        limit_share = limits.max_weight_share[rank - 1]
        yield rank, f"one {row} carries {seen.max_weight_share:.1%} of all weight; more than {limit_share:.0%}"
    yield from _of_the_interval(seen, evidence, limits)
    rank = _above(seen.weight_error, limits.weight_error)
    if rank:
        yield rank, f"computed marginals put an error of {seen.weight_error:.1%} on the weights"


def _of_the_interval(seen: Diagnostics, evidence: Evidence, limits: Thresholds) -> Iterator[tuple[int, str]]:
    rank = _above(seen.variance_share, limits.variance_share)
    if rank:
        yield (
            rank,
            f"one {evidence.cluster_name} makes {seen.variance_share:.0%} of the variance: the next may double it",
        )
    rank = _above(seen.neighbours, limits.neighbours)
    if rank:
        yield (
            rank,
            f"rows side by side are alike: sums of them vary {seen.neighbours:.1f} times as much as if independent",
        )
    rank = _below(seen.foreseen_rows, limits.foreseen_rows)
    if rank:
        yield (
            rank,
            f"the policies foretell {_count(seen.foreseen_rows)} effective rows, whatever the log happens to hold; "
            f"fewer than {limits.foreseen_rows[rank - 1]:g}",
        )
    rank = _below(seen.foreseen_carriers, limits.foreseen_carriers)
    if rank:
        yield (
            rank,
            f"the policies foretell {_count(seen.foreseen_carriers)} rewarded rows that carry the variance; fewer than "
            f"{limits.foreseen_carriers[rank - 1]:g}: a log that lacks them looks sound",
        )


def _by_design(estimator: Estimator, seen: Diagnostics, limits: Thresholds) -> Iterator[tuple[int, str]]:
    rank = _above(seen.unseen_bias, limits.unseen_bias)
    why = "it is biased by design"
    if not estimator.never_trust:
        rank, why = min(rank, 1), "what it assumes has no test but its rival"
    if rank and math.isinf(seen.unseen_bias):
        yield rank, f"{why}, and nothing in this log that assumes less can say by how much"
    elif rank:
        times = f"{seen.unseen_bias:.1f}" if seen.unseen_bias < 100.0 else "more than 100"  # of next to no width
        yield (
            rank,
            f"for all that the log can say, its bias may be {times} times the half-width of its narrower interval, the "
            "value's or the lift's",
        )


def _left_out(estimator: Estimator, seen: Diagnostics, limits: Thresholds) -> Iterator[tuple[int, str]]:
    rank = _above(seen.beyond_support, limits.beyond_support)
    if rank:
        told = f"{seen.beyond_support:.1%} of the target's probability is on actions that the logger never plays"
        yield (1, f"{told}: the reward model alone speaks of them") if estimator.has_model else (rank, told)
    rank = _above(seen.lost_weight, limits.lost_weight)
    if rank and not estimator.has_model:
        yield rank, f"reshaping took away {seen.lost_weight:.0%} of the weight, and nothing stands in"


def _interference(z: float | None, above_only: bool, limits: Thresholds) -> Iterator[tuple[int, str]]:
    moved = "those above it" if above_only else "others"
    if z is None:
        yield 1, f"whether what stands in one slot moves the rewards of {moved} was not checked (there is no placebo)"
        return
    rank = _above(abs(z), limits.interference_z)
    if rank:
        yield (
            rank,
            (
                f"what stands in one slot moves the rewards of {moved} (z = {z:.1f}, limit "
                f"{limits.interference_z[rank - 1]:g}): "
                + ("a slot's reward is not settled by what stands there and above" if above_only else _NOT_ITS_OWN)
            ),
        )


def _declared(estimator: Estimator, evidence: Evidence) -> Iterator[tuple[int, str]]:
    if estimator.never_trust:
        yield 1, estimator.never_trust
    if evidence.cluster_name != "shopper":
        yield 1, f"{evidence.cluster_name}s, not shoppers, are taken for independent: the interval may be too narrow"
    if evidence.propensity_kind == "estimated":
        error = "" if evidence.propensity_error is None else f" (calibration error {evidence.propensity_error:.3g})"
        yield 1, f"propensities were estimated, not logged{error}: the interval ignores their error"


def _above(value: float, limits: tuple[float, float]) -> int:
    return int(value > limits[0]) + int(value > limits[1])


def _below(value: float, limits: tuple[float, float]) -> int:
    return int(value < limits[0]) + int(value < limits[1])


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 1000.0 else f"{value:,.1f}"
