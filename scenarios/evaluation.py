"""An evaluation: estimates of one log with all that belongs beside them, as rows of tables and as a run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from offpolicy import Evidence
from offpolicy.audit.checks import audit
from offpolicy.estimate import Estimate, evaluate_by
from offpolicy.estimators import estimator
from offpolicy.inference import clusters
from offpolicy.intervals.case import Asked
from offpolicy.intervals.registry import IntervalRule, interval_rule
from offpolicy.objectives.segments import evaluate_segments
from offpolicy.planning import plan_of
from offpolicy.sequences.evaluate import UNITS, names_for, sequences_for
from offpolicy.sequences.terms import per_step
from offpolicy.terms import joint
from scenarios.config import Estimation
from scenarios.folder import Row, RunSummary, begin_run, end_run, write_run, write_table
from scenarios.headline import finding, headline
from simenv.errors import UserError, unknown_name

REWARD_MODELS = ("folds", "past")
BINS = np.arange(-4.0, 4.01, 0.25)  # log10 of the weights in the histogram


@dataclass(frozen=True)
class Wishes:
    """What the reader asks of intervals, and what is known before any log.

    Attributes:
        interval: Name in `offpolicy.intervals.registry.INTERVALS`.
        replicates: B, of a bootstrap.
        reward_range: Least and largest total reward of a row; what the log itself tells where None.
        max_weight: Largest weight of a row that the policies allow; what the logger's floor tells where None.
        width: How narrow an interval should be: says how many more searches that takes. None does not ask.
        by: A column of segments to tell values and lifts by; None tells the whole alone.
        per: What a value is of: a search, a session or a shopper.
        rewards: What searches are judged by; the log's own reward (all of a mapping's) where empty.
        quantile: Also tell this quantile of a search's reward and the mean beyond it; None does not ask.
        reward_model: Of whom the reward model of a shopper knows: "folds" of other shoppers, or the "past" alone.
        refits: How often the direct method's reward model is fitted again on a resampled log; None does not ask.
    """

    interval: str = "t"
    replicates: int = 1000
    reward_range: tuple[float, float] | None = None
    max_weight: float | None = None
    width: float | None = None
    by: str | None = None
    per: str = "search"
    rewards: tuple[str, ...] = ()
    quantile: float | None = None
    reward_model: str = REWARD_MODELS[0]
    refits: int | None = None

    def bounded(self, evidence: Evidence) -> Evidence:
        """The evidence with the declared bounds in place of those that it came with."""
        return replace(
            evidence,
            reward_range=self.reward_range or evidence.reward_range,
            max_weight=self.max_weight or evidence.max_weight,
        )

    def check(self, estimators: Sequence[str] | None) -> None:
        """Raise a `UserError` where a name is in no registry or two wishes exclude each other, before a log is read."""
        if self.per not in ("search", *UNITS):
            raise UserError(f"value per '{self.per}' is not known; expected search, {' or '.join(UNITS)}.")
        if self.per != "search" and (self.by, self.width, self.quantile) != (None, None, None):
            raise UserError(
                "segments, planning and quantiles are per search; leave out --by, --width and --quantile, or "
                f"--per {self.per}."
            )
        if len(self.rewards) > 1 and self.reward_range is not None:
            raise UserError("--reward-range is of one reward; leave it out, or give one name to --rewards.")
        if self.reward_model not in REWARD_MODELS:
            raise unknown_name("reward model", self.reward_model, REWARD_MODELS)
        if self.reward_model == "past" and self.per != "search":
            raise UserError(f"--reward-model past is per search; leave it out, or --per {self.per}.")
        if self.refits is not None:
            self._check_refits(estimators)
        interval_rule(self.interval)
        for name in estimators or []:
            estimator(name)
        self._check_numbers()

    def refuse_models(self, do: str) -> None:
        """Raise a `UserError` where a model of the past, or refits, are asked of a log that no model is fitted on."""
        if self.reward_model == "past":
            raise UserError(f"--reward-model past needs a log in SlateLab's own format; {do}.")
        if self.refits is not None:
            raise UserError(
                "--refits needs a log in SlateLab's own format, where the reward model is ours; leave it out."
            )

    def _check_refits(self, estimators: Sequence[str] | None) -> None:
        if (self.per, self.reward_model) != ("search", "folds"):
            raise UserError("--refits is of 'dm', per search and of cross-fitted models; leave it out, or the others.")
        if estimators is not None and "dm" not in estimators:
            raise UserError("--refits is of 'dm', which --estimators leaves out; name it, or leave out --refits.")

    def _check_numbers(self) -> None:
        if self.reward_range is not None and not self.reward_range[0] < self.reward_range[1]:
            low, high = self.reward_range
            raise UserError(f"--reward-range is {low:g},{high:g}; expected the least reward first, then the largest.")
        if self.max_weight is not None and not self.max_weight >= 1.0:
            raise UserError(f"--max-weight is {self.max_weight:g}; expected at least 1, since weights have mean 1.")
        if self.width is not None and not self.width > 0.0:
            raise UserError(f"--width is {self.width:g}; expected a number above 0: how far low and high may be apart.")


@dataclass(frozen=True)
class Evaluation:
    """Estimates of one log, ready to print or to be written as a run folder.

    Attributes:
        name: What was evaluated, for titles.
        rows: One per estimate: source, policy and the estimate's record.
        weights: Histogram rows of the importance weights.
        plans: Where a width was asked for, how many more searches each estimate needs.
        audit: What the log itself says of its propensities and of the weights.
        segments: Where they were asked for, values and lifts by segment.
        sensitivity: How far the number told first bends: clipped weights, a hidden confounder.
        quantiles: Where one was asked for, a quantile of a row's reward and the mean beyond it.
        unanswered: What was asked for and has no answer, with the reason.
        assumptions, notes: Sentences for the reader.
        config, hashes: What it was made from.
        seeds: Of the folds of reward models and of what is drawn; empty where nothing is.
        started, wall_seconds: When and how long.
    """

    name: str
    rows: Sequence[Row]
    weights: Sequence[Row]
    assumptions: Sequence[str]
    notes: Sequence[str]
    config: Mapping[str, Any]
    hashes: Mapping[str, str]
    started: str
    wall_seconds: float
    plans: Sequence[Row] = ()
    audit: Sequence[Row] = ()
    segments: Sequence[Row] = ()
    sensitivity: Sequence[Row] = ()
    quantiles: Sequence[Row] = ()
    unanswered: Sequence[str] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)

    def records(self) -> list[dict[str, Any]]:
        """The estimates as flat records, in the order of the estimators."""
        return [{key: value for key, value in row.items() if key not in ("source", "policy")} for row in self.rows]

    def write(self, out: Path) -> Path:
        """Write a run folder of kind "evaluation".

        Raises:
            UserError: where `out` holds a finished run or something else.
        """
        begin_run(out, "evaluation")
        write_table(out, "estimates", [flat(_by_reward(row, row)) for row in self.rows])
        write_table(out, "weights", [_by_reward(row, self.rows[0]) for row in self.weights])
        if self.audit:
            write_table(out, "audit", self.audit)
        if self.segments:
            write_table(out, "by_segment", [flat(row) for row in self.segments])
        if self.sensitivity:
            write_table(out, "sensitivity", self.sensitivity)
        if self.quantiles:
            write_table(out, "quantiles", self.quantiles)
        write_run(
            out,
            RunSummary(
                kind="evaluation",
                name=self.name,
                title=f"Off-policy evaluation: {self.name}",
                question="What would this policy have been worth on this log, and is the number to be believed?",
                finding=finding(self.rows),
                assumptions=self.assumptions,
                notes=[*self.notes, *self.unanswered],
                config=self.config,
                seeds=self.seeds,
                hashes=self.hashes,
                started=self.started,
                wall_seconds=self.wall_seconds,
            ),
        )
        end_run(out)
        return out


def per_unit(evidence: Evidence, per: str, seed: int, estimators: Sequence[str] | None) -> Evidence:
    """Evidence on searches as evidence on what a value is asked for: itself, or on sessions or shoppers.

    It holds what these estimators need; what those of every evaluation need where None.

    Raises:
        UserError: If it does not say which searches belong together.
    """
    return evidence if per == "search" else sequences_for(evidence, per, seed, estimators)


def estimates(
    evidence: Evidence, settings: Estimation, seed: int = 0, instead: Mapping[str, IntervalRule] = MappingProxyType({})
) -> list[Estimate]:
    """Judge evidence on searches or on sequences of them.

    Args:
        evidence: The columns.
        settings: Which estimators and which interval.
        seed: Of resampling.
        instead: Rules of intervals in its place, by name of the estimator.
    """
    names = settings.estimators
    if names is None and evidence.length is not None:
        names = list(names_for(evidence))
    asked = Asked(settings.level, seed, settings.replicates)
    return evaluate_by(evidence, names, interval_rule(settings.interval), asked, instead)


def estimate_rows(
    source: str,
    policy: str,
    evidence: Evidence,
    settings: Estimation,
    seed: int = 0,
    instead: Mapping[str, IntervalRule] = MappingProxyType({}),
) -> list[Row]:
    """The estimates as rows of the table estimates.csv, reasons still a list; arguments as for `estimates`."""
    made = estimates(evidence, settings, seed, instead)
    return [{"source": source, "policy": policy, **one.record()} for one in made]


def audit_rows(source: str, policy: str, evidence: Evidence) -> list[Row]:
    """What the log itself says of its propensities, and of the weights of whole slates or of sequences of them."""
    terms = joint(evidence) if evidence.length is None else per_step(evidence)
    found = audit(evidence, terms, clusters(evidence))
    return [{"source": source, "policy": policy, **finding.record()} for finding in found]


def segment_rows(evidence: Evidence, rows: Sequence[Row], wishes: Wishes, level: float, seed: int) -> list[Row]:
    """Values and lifts by segment, by the estimator that is told first; empty where no segments were asked for.

    Of several rewards they are of the first, which the rows then name.

    Raises:
        UserError: If the log has no such segments, or none large enough.
    """
    if wishes.by is None:
        return []
    first = [row for row in rows if row.get("reward") == rows[0].get("reward")]
    told = headline(first) or first[0]
    head = {"reward": told["reward"]} if "reward" in told else {}
    found = evaluate_segments(evidence, wishes.by, told["estimator"], level, seed).estimates
    return [{**head, **one.record()} for one in found]


def plan_rows(evidence: Evidence, rows: Sequence[Row], width: float | None) -> list[Row]:
    """How many more searches each estimate needs for an interval of that width; empty where none was asked for.

    An estimate whose interval lacks an end has the reason in place of numbers.

    Raises:
        UserError: If the width is not above 0.
    """
    if width is None:
        return []
    rewards = ({"reward": row["reward"]} if "reward" in row else {} for row in rows)
    return [{**reward, **plan_of(evidence, row, width)} for reward, row in zip(rewards, rows, strict=True)]


def head_of(source: str, policy: str, reward: str | None) -> Row:
    """The columns that stand before an estimate's; the reward is told where several could be meant."""
    return {"source": source, "policy": policy, **({} if reward is None else {"reward": reward})}


def _by_reward(row: Row, estimate: Row) -> Row:
    """A row whose log is told together with the reward of an estimate, so that reports keep rewards apart."""
    return {**row, "source": f"{row['source']}, {estimate['reward']}"} if "reward" in estimate else row


def flat(row: Row) -> Row:
    """A row as CSV holds it."""
    return {key: "; ".join(value) if key == "reasons" else value for key, value in row.items()}


def weight_rows(source: str, policy: str, evidence: Evidence) -> list[Row]:
    """Histograms of log10 weights, joint and item-position, as rows of weights.csv. The first bin holds all below.

    Of sequences they are the weights of whole ones.
    """
    kinds = {"joint": evidence.target.prefix().joint - evidence.logger.prefix().joint}
    if evidence.target_marginal is not None and evidence.logger_marginal is not None and evidence.n_slots > 1:
        kinds["item-position"] = (evidence.target_marginal.logp - evidence.logger_marginal.logp).reshape(-1)
    rows: list[Row] = []
    for kind, logw in kinds.items():
        log10 = np.clip(logw / np.log(10.0), BINS[0], BINS[-1] - 1e-9)
        counts, _ = np.histogram(log10, BINS)
        rows += [
            {"source": source, "policy": policy, "kind": kind, "log10_low": float(low), "log10_high": float(high),
             "count": int(count)}
            for low, high, count in zip(BINS[:-1], BINS[1:], counts, strict=True)
        ]  # fmt: skip
    return rows
