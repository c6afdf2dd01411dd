"""The checks of an audit, each a question that the log itself can answer, and the registry that names them.

Weights that have mean 1 are not yet right: a wrong propensity table that logger and target share cancels in every
weight. So the logger is also asked for itself: whether it drew as it says (score residual, calibration, placebo),
whether weighting keeps what no policy can move (balance), whether that holds at all times (drift), and whether the mean
of such weights can be learned from a sample (tail). What no check can see is named in `UNSEEN`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.audit.calibration import chance_of, gaps, played
from offpolicy.audit.finding import Finding, Outcome, missing, outcome_of, single_look
from offpolicy.audit.rows import arrival, repeats
from offpolicy.audit.tail import pareto_k
from offpolicy.diagnostics import effective
from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, standard_error
from offpolicy.terms import Terms

Floats = npt.NDArray[np.float64]

UNSEEN = (
    "The logger's choice depended on nothing but what is in the log: a logger that saw more leaves no trace in its own "
    "propensities."
)

RARE = 50  # rows of a segment's value below which it is not looked at
CARRYING = 500.0  # effective sequences below which the mean weight of a step is not looked at: thin evidence is told so
BLOCKS = 8  # of time
MOST = 100  # values of segments that are looked at, those with most rows


@dataclass(frozen=True)
class Limits:
    """Where a check is strained and where it fails; |z| is corrected for the number of looks."""

    z: tuple[float, float] = (3.0, 5.0)  # chance alone passes 3 in .3% of sound logs, 5 in one of a million
    tail: tuple[float, float] = (0.7, math.inf)  # few effective rows refuse what a heavy tail spoils
    unsupported: tuple[float, float] = (0.0, 0.02)  # share of the target's choices that the logger never makes


LIMITS = Limits()


@dataclass(frozen=True)
class Check:
    """A named check.

    Attributes:
        name: Registry key.
        look: Evidence, weights, clusters in; a finding out.
        asks: The question, for people.
        weighs: Whether it is about the weights of one estimator, or about the log whoever weighs it.
    """

    name: str
    look: Callable[[Evidence, Terms, Clusters], Finding]
    asks: str
    weighs: bool = False


def score_residual(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """Mean of the log-likelihood's slope in the logger's sharpness: 0 where slates were drawn as logged."""
    column = evidence.score_residual
    if column is None:
        return missing("score residual", "the scores (or all actions' propensities) of the logger")
    return residual_found(_z_of(column, by), float(column.mean()), float(column @ column) / len(column))


def residual_found(z: float, mean: float, spread: float) -> Finding:
    """What a score residual's z, mean and mean square say."""
    sharper = 1.0 + mean / spread if spread > 0.0 else 1.0
    said = f"choices are {sharper:.2f} times as sharp as their logged propensities say (z = {z:+.1f})"
    return Finding("score residual", outcome_of(abs(z), LIMITS.z), sharper, said)


def placebo(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """How attractive what was shown is, against what the logged propensities would show: 0 in every slot."""
    if evidence.placebo is None:
        return missing("placebo", "a reward model's liking of all candidates")
    return placebo_found([_z_of(column, by) for column in evidence.placebo.T])


def placebo_found(looks: list[float]) -> Finding:
    """What the z of each slot's placebo say."""
    worst = max(looks, key=abs)
    z = single_look(worst, len(looks))
    slot = looks.index(worst) + 1
    more = "more" if worst > 0 else "less"
    said = f"furthest off is slot {slot}: {more} attractive items than the logged propensities say (z = {z:.1f})"
    return Finding("placebo", outcome_of(z, LIMITS.z), worst, said)


def calibration(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """Where an action was to be played with probability p, it is played with that frequency."""
    table = evidence.actions
    if table is None:
        return missing("calibration", "the propensities of all actions")
    seen = played(table)
    expected = seen.expected.mean(axis=0)
    errors = [standard_error(column - column.mean(), by) for column in seen.surplus.T]
    chance = chance_of(expected, (seen.expected**2).mean(axis=0), len(table.action))
    return calibration_found(gaps(seen.surplus.mean(axis=0), np.array(errors), expected, chance))


def calibration_found(looks: list[tuple[float, float]]) -> Finding:
    """What the z and the relative gap of each bin of propensities say."""
    z = single_look(max((one for one, _ in looks), key=abs), len(looks))
    gap = max((one for _, one in looks), key=abs)
    said = f"actions are played up to {abs(gap):.1%} {'more' if gap > 0 else 'less'} often than logged (z = {z:.1f})"
    return Finding("calibration", outcome_of(z, LIMITS.z), gap, said)


def support(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """The logger can play whatever the target plays."""
    table = evidence.actions
    if table is None:
        return missing("support", "the propensities of all actions")
    return support_found(float(np.where(table.logger == 0.0, table.target, 0.0).sum(axis=1).mean()))


def support_found(lost: float) -> Finding:
    """What the target's probability of what the logger never plays says."""
    said = f"{lost:.2%} of what the target plays is never played by the logger"
    return Finding("support", outcome_of(lost, LIMITS.unsupported), lost, said)


def balance(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """Weights keep what no policy can move: E[w phi(x)] = E[phi(x)], for features and for shares of segments."""
    weight = terms.of_row if terms.anywhere is None else terms.anywhere
    looks = [(name, _z_of((weight - 1.0) * (phi - phi.mean()), by)) for name, phi in _contexts(evidence)]
    return balance_found(looks)


def balance_found(looks: list[tuple[str, float]]) -> Finding:
    """What the z of several things, by their names, say."""
    if not looks:
        return missing("balance", "features of the context, or segments")
    name, worst = max(looks, key=lambda look: round(abs(look[1]), 6))  # two halves of a log weigh the same: the first
    z = single_look(worst, len(looks))
    said = f"of {len(looks)} things that no ranking can move, weighting moves {name} most (z = {z:.1f})"
    return Finding("balance", outcome_of(z, LIMITS.z), worst, said)


def drift(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """The mean weight is 1 at all times, and at every step of sequences, not only on the whole."""
    if evidence.time is None and evidence.length is None:
        return missing("drift", "the time of each row")
    blocks = [] if evidence.time is None else time_blocks(evidence.time)
    column = (terms.of_row if terms.at_any_time is None else terms.at_any_time) - 1.0
    parts = [np.where(block, column, 0.0) for block in blocks]
    means = [float(part.mean()) for part in parts]
    errors = [standard_error(part - mean, by) for part, mean in zip(parts, means, strict=True)]
    steps = list(_step_looks(evidence, terms, by))
    return drift_found(means, errors, [float(block.mean()) for block in blocks], steps)


def drift_found(
    means: Sequence[float],
    errors: Sequence[float],
    shares: Sequence[float],
    steps: Sequence[tuple[str, float]] = (),
) -> Finding:
    """What weights less 1 say, block by block of the time; none where all rows have one time.

    Each is measured by its own standard error, or by that of an average block where that is larger: the few large
    weights that a block happened to miss are missing from its own standard error, too. By that alone, 2 to 4% of sound
    logs with lognormal weights were strained.

    Args:
        means: Sum over the block's rows over the number of all rows.
        errors: Clustered standard errors of these.
        shares: Of the rows, that the blocks have.
        steps: Of sequences, where else was looked, and the z there.
    """
    average = math.sqrt(sum(error * error for error in errors) / max(len(errors), 1))
    of_blocks = [
        _over(mean, max(error, average * math.sqrt(len(means) * share)))
        for mean, error, share in zip(means, errors, shares, strict=True)
    ]
    looks = [(f"in part {n} of {len(of_blocks)} of the time", z) for n, z in enumerate(of_blocks, start=1)]
    looks += steps
    if not looks:
        return Finding("drift", "not checked", None, "all rows have one time")
    where, worst = max(looks, key=lambda look: abs(look[1]))
    z = single_look(worst, len(looks))
    return Finding("drift", outcome_of(z, LIMITS.z), worst, f"weights are furthest from mean 1 {where} (z = {z:.1f})")


def tail(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """The weights have a mean and a variance that a sample of this size can show."""
    return tail_found(pareto_k(terms.of_row))


def tail_found(k: float) -> Finding:
    """What the shape of a tail says."""
    if math.isnan(k):
        return Finding("tail", "passed", None, "the weights have no tail")
    size = "they may have no mean" if k > 1.0 else "no sample settles their mean" if k > 0.7 else "light enough"
    end = "; below 0 they have an upper end" if k < 0.0 else ""
    said = f"the tail of the weights has Pareto shape k = {k:.2f}: {size}{end}"
    return Finding("tail", outcome_of(k, LIMITS.tail), k, said)


def reward_model(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """How much of the rewards' spread the model explains on shoppers it never saw, and what is left to correct."""
    if evidence.q_logged is None or evidence.q_target is None:
        return missing("reward model", "a reward model")
    total, expected = evidence.reward.sum(axis=1), evidence.q_logged.sum(axis=1)
    return model_found(
        float(((total - total.mean()) ** 2).mean()),
        float(((total - expected) ** 2).mean()),
        float((terms.of_row * (total - expected)).mean()),
    )


def model_found(spread: float, missed: float, left: float) -> Finding:
    """What the rewards' variance, the model's mean squared error and the weights' correction say."""
    if spread == 0.0:
        return Finding("reward model", "not checked", None, "not checked: all rewards are alike")
    explained = 1.0 - missed / spread
    outcome: Outcome = "passed" if explained >= 0.0 else "strained"
    said = f"the reward model explains {explained:.1%} of the spread out of fold; weights correct it by {left:+.4g}"
    return Finding("reward model", outcome, explained, said)


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check("support", support, "Can the logger play whatever the target plays?"),
        Check("score residual", score_residual, "Were slates drawn as sharply as their propensities say?"),
        Check("calibration", calibration, "Is what was to be played with probability p played that often?"),
        Check("placebo", placebo, "Is what was shown as attractive as the propensities say?"),
        Check("repeats", repeats, "Was each row drawn, and none logged twice?"),
        Check("arrival", arrival, "Had the rewards of the last rows arrived?"),
        Check("balance", balance, "Do the weights keep what no ranking can move?", weighs=True),
        Check("drift", drift, "Do the weights have mean 1 at all times?", weighs=True),
        Check("tail", tail, "Can a sample of this size show the mean of such weights?", weighs=True),
        Check("reward model", reward_model, "Does the reward model explain anything on shoppers it never saw?"),
    )
}


def audit(evidence: Evidence, terms: Terms, by: Clusters) -> tuple[Finding, ...]:
    """All checks, in the order of the registry.

    Args:
        evidence: The columns.
        terms: The weights of one family, (N, J).
        by: Clusters of the same rows.
    """
    log = iter(of_the_log(evidence, terms, by))
    return tuple(check.look(evidence, terms, by) if check.weighs else next(log) for check in CHECKS.values())


def of_the_log(evidence: Evidence, terms: Terms, by: Clusters) -> tuple[Finding, ...]:
    """The checks of the log whoever weighs it, in their order; of sequences, what was found of their searches."""
    if evidence.log_findings:
        return evidence.log_findings
    return tuple(check.look(evidence, terms, by) for check in CHECKS.values() if not check.weighs)


def time_blocks(time: npt.NDArray[np.int64]) -> list[npt.NDArray[np.bool_]]:
    """Up to BLOCKS masks of rows, in the order of time, of about equally many rows; none where all times are one."""
    edges = np.unique(np.quantile(time, np.linspace(0.0, 1.0, BLOCKS + 1)[1:-1]))
    block = np.searchsorted(edges, time, side="left")
    found = np.unique(block)
    return [block == one for one in found] if len(found) > 1 else []


def _step_looks(evidence: Evidence, terms: Terms, by: Clusters) -> Iterator[tuple[str, float]]:
    """Mean of the running weights at each step that enough sequences reach and carry.

    Each search by itself may be weighed right and their product wrong: where a logger repeats itself within a session
    and logs how often it shows a slate over all sessions.
    """
    if evidence.length is None or terms.weight.shape[1] != evidence.n_slots:
        return
    for step, weight in enumerate(terms.weight.T, start=1):
        is_there = int((evidence.length >= step).sum()) >= RARE
        if is_there and effective(weight) >= CARRYING:
            yield f"after {step} searches of a {evidence.unit}", _z_of(weight - 1.0, by)


def _contexts(evidence: Evidence) -> Iterator[tuple[str, Floats]]:
    """Named columns (N,) that no policy can move."""
    if evidence.features is not None:
        for name, column in zip(evidence.feature_names, evidence.features.T, strict=True):
            if column.min() < column.max():
                yield f"the mean of {name}", column
    counts = {}
    for name, segment in evidence.segments.items():
        values, count = np.unique(segment, return_counts=True)
        counts[name] = dict(zip(values.tolist(), count.tolist(), strict=True))
    for name, value, _ in large_segments(counts, evidence.n_rows):
        yield f"the share of {name} = {value}", (evidence.segments[name] == value).astype(np.float64)


def large_segments(counts: Mapping[str, Mapping[str, int]], n_rows: int) -> list[tuple[str, str, int]]:
    """The segments to look at: name, value and rows of those that have enough, at most MOST, by name and value.

    Args:
        counts: Rows by value, by name.
        n_rows: N.
    """
    found = [
        (name, value, own[value])
        for name, own in counts.items()
        for value in sorted(own)
        if RARE <= own[value] <= n_rows - RARE
    ]
    largest = set(sorted(found, key=lambda one: -one[2])[:MOST])
    return [one for one in found if one in largest]


def _z_of(column: Floats, by: Clusters) -> float:
    """Mean of a column over its clustered standard error."""
    mean = float(column.mean())
    return _over(mean, standard_error(column - mean, by))


def _over(mean: float, stderr: float) -> float:
    if abs(mean) <= 1e-9 * max(1.0, stderr):
        return 0.0
    return mean / stderr if stderr > 0.0 else math.copysign(math.inf, mean)
