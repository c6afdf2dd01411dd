"""Judging policies from a log: the second daily job, on SlateLab's logs and on Open Bandit's."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from offpolicy import Evidence, evaluate
from offpolicy.estimators import ESTIMATORS, estimator
from offpolicy.estimators import MODEL as MODEL_COLUMNS
from offpolicy.intervals.registry import interval_rule
from offpolicy.obd import read_obd
from offpolicy.planning import plan_of
from offpolicy.single.obd_model import with_click_rates
from policies.registry import load_policy
from scenarios.config import Estimation
from scenarios.evidence import join_log
from scenarios.folder import Row, RunSummary, begin_run, end_run, write_run, write_table
from scenarios.held_out import unseen_half
from scenarios.progress import Progress
from simenv.errors import UserError
from simenv.log import Log

CLICK = (0.0, 1.0)  # what one impression can earn
BINS = np.arange(-4.0, 4.01, 0.25)  # log10 of the weights in the histogram

HIDDEN_CONFOUNDER = (
    "The logging policy's choice depended on nothing but what is in the log (no hidden confounder): no data can check "
    "it."
)
POSITIONS = (
    "Item-position estimators (…-item): the reward at a slot depends on the item and the slot, not on what stands "
    "around it. Wrong where shoppers stop at the first good item. The log itself is asked: chance decides what the "
    "logger put first, and it must not move the rewards below."
)
PREFIXES = (
    "Prefix estimators (rips, cascade-dr): the reward at a slot does not depend on what stands below it, as where "
    "people read from the top. The log is asked the same way: chance must not move the rewards above."
)
MODEL = "The direct method (dm): the reward model is right. Its interval knows nothing of the model's error."
SAME_CONTEXTS = (
    "Values are per search over the logger's contexts: what deployment changes about who stays and asks again is not "
    "in them."
)
INDEPENDENT = "Shoppers are independent of each other; standard errors are clustered by shopper."
SHARED_STOCK = (
    "Shoppers take from the same shelves: what one buys is sold out for another. Values are over pages as the logger's "
    "sales left them, with as many shoppers as the log has. A policy that sells more would empty its own shelves; "
    "neither its estimate from this log shows that, nor an A/B test on the same shelves. Standard errors are clustered "
    "by shopper, as if shoppers were independent; in 60 plays of a scarce market values spread no wider than they say."
)


@dataclass(frozen=True)
class Wishes:
    """What the reader asks of intervals, and what is known before any log.

    Attributes:
        interval: Name in `offpolicy.intervals.registry.INTERVALS`.
        replicates: B, of a bootstrap.
        reward_range: Least and largest total reward of a row; what the log itself tells where None.
        max_weight: Largest weight of a row that the policies allow; what the logger's floor tells where None.
        width: How narrow an interval should be: says how many more searches that takes. None does not ask.
    """

    interval: str = "t"
    replicates: int = 1000
    reward_range: tuple[float, float] | None = None
    max_weight: float | None = None
    width: float | None = None

    def bounded(self, evidence: Evidence) -> Evidence:
        """The evidence with the declared bounds in place of those that it came with."""
        return replace(
            evidence,
            reward_range=self.reward_range or evidence.reward_range,
            max_weight=self.max_weight or evidence.max_weight,
        )

    def check(self, estimators: Sequence[str] | None) -> None:
        """Raise a `UserError` where a name is in no registry, before a log is read."""
        interval_rule(self.interval)
        for name in estimators or []:
            estimator(name)


@dataclass(frozen=True)
class Evaluation:
    """Estimates of one log, ready to print or to be written as a run folder.

    Attributes:
        name: What was evaluated, for titles.
        rows: One per estimate: source, policy and the estimate's record.
        weights: Histogram rows of the importance weights.
        plans: Where a width was asked for, how many more searches each estimate needs.
        assumptions, notes: Sentences for the reader.
        config, hashes: What it was made from.
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

    def records(self) -> list[dict[str, Any]]:
        """The estimates as flat records, in the order of the estimators."""
        return [{key: value for key, value in row.items() if key not in ("source", "policy")} for row in self.rows]

    def write(self, out: Path) -> Path:
        """Write a run folder of kind "evaluation".

        Raises:
            UserError: where `out` holds a finished run or something else.
        """
        begin_run(out, "evaluation")
        write_table(out, "estimates", [flat(row) for row in self.rows])
        write_table(out, "weights", self.weights)
        write_run(
            out,
            RunSummary(
                kind="evaluation",
                name=self.name,
                title=f"Off-policy evaluation: {self.name}",
                question="What would this policy have been worth on this log, and is the number to be believed?",
                finding=finding(self.rows),
                assumptions=self.assumptions,
                notes=self.notes,
                config=self.config,
                seeds={},
                hashes=self.hashes,
                started=self.started,
                wall_seconds=self.wall_seconds,
            ),
        )
        end_run(out)
        return out


def evaluate_native(
    log: Path,
    policy: str,
    *,
    estimators: list[str] | None,
    level: float,
    seed: int,
    progress: Progress,
    wishes: Wishes = Wishes(),
) -> Evaluation:
    """Judge one policy from a log in SlateLab's format.

    Args:
        log: The log's folder.
        policy: Registry name, saved model, or module:function.
        estimators: Names; all that apply where None.
        level: Of the intervals.
        seed: Of the reward model's folds, and of intervals that resample.
        progress: Told rows read.
        wishes: Which intervals.

    Raises:
        UserError: for bad input, and for a model that learned from the very shoppers it would be judged on.
    """
    started, clock = _now(), time.monotonic()
    wishes.check(estimators)
    opened = Log.open(log)
    half, notes = unseen_half(policy, opened)
    target = load_policy(policy, opened.catalogue(), opened.manifest["n_slots"])
    if target.sees_truth:
        raise UserError(f"policy '{policy}' ranks by hidden truth, which a log does not hold; it cannot be judged.")
    settings = Estimation(estimators=estimators, level=level, interval=wishes.interval, replicates=wishes.replicates)
    advance = progress.task("read the log", opened.n_rows if half is None else None)
    joined = join_log(opened, {target.name: target}, half, settings, seed, advance)
    evidence = wishes.bounded(joined.evidence[target.name])
    rows = estimate_rows("log", target.name, evidence, settings, seed)
    return Evaluation(
        name=f"{target.name} on {log.name}",
        rows=rows,
        weights=weight_rows("log", target.name, evidence),
        assumptions=[
            HIDDEN_CONFOUNDER,
            POSITIONS,
            PREFIXES,
            MODEL,
            SAME_CONTEXTS,
            *([SHARED_STOCK] if opened.shares_stock else []),
        ],
        notes=[*notes, *joined.notes],
        config={
            "log": str(log),
            "policy": policy,
            "temperature": target.temperature,
            "floor": target.floor,
            "reward_range": [end if math.isfinite(end) else None for end in evidence.reward_range or ()],
            "max_weight": evidence.max_weight,
            **settings.model_dump(),
        },
        hashes={"log": opened.digest, "world": opened.world_hash},
        started=started,
        wall_seconds=time.monotonic() - clock,
        plans=plan_rows(evidence, rows, wishes.width),
    )


def evaluate_open_bandit(
    log: Path,
    target_table: str,
    *,
    campaign: str | None,
    estimators: list[str] | None,
    level: float,
    wishes: Wishes = Wishes(),
) -> Evaluation:
    """Judge a table of target probabilities from an Open Bandit log.

    Args:
        log: A csv, its folder, or the data set's folder (the random policy's log is taken).
        target_table: A csv (item_id, position_1..3) or "uniform".
        campaign: Where the folder holds several.
        estimators: Names; all that apply where None.
        level: Of the intervals.
        wishes: Which intervals.
    """
    started, clock = _now(), time.monotonic()
    wishes.check(estimators)
    evidence = wishes.bounded(replace(read_obd(log, target_table, campaign=campaign), reward_range=CLICK))
    asked = {need for name in estimators or [] for need in estimator(name).needs}
    notes = []
    if asked & {*MODEL_COLUMNS, "actions"}:
        evidence = with_click_rates(evidence, log, target_table, campaign, want_table="actions" in asked)
        notes.append(
            "The reward model is the smoothed click rate of each item at each position in other folds of rows."
        )
    settings = Estimation(estimators=estimators, level=level, interval=wishes.interval, replicates=wishes.replicates)
    source = f"open bandit {campaign}" if campaign else "open bandit"
    policy = "uniform" if target_table == "uniform" else Path(target_table).stem
    rows = estimate_rows(source, policy, evidence, settings)
    return Evaluation(
        name=f"{policy} on {log.name}",
        rows=rows,
        weights=weight_rows(source, policy, evidence),
        assumptions=[HIDDEN_CONFOUNDER, "Impressions are independent: the small sample names no shoppers."],
        notes=notes,
        config={
            "log": str(log),
            "target_table": target_table,
            "campaign": campaign,
            "level": level,
            "interval": wishes.interval,
            "max_weight": evidence.max_weight,
        },
        hashes={},
        started=started,
        wall_seconds=time.monotonic() - clock,
        plans=plan_rows(evidence, rows, wishes.width),
    )


def estimate_rows(source: str, policy: str, evidence: Evidence, settings: Estimation, seed: int = 0) -> list[Row]:
    """The estimates as rows of the table estimates.csv, reasons still a list; the seed is of resampling."""
    return [
        {"source": source, "policy": policy, **estimate.record()}
        for estimate in evaluate(
            evidence, settings.estimators, settings.level, settings.interval, seed, settings.replicates
        )
    ]


def plan_rows(evidence: Evidence, rows: Sequence[Row], width: float | None) -> list[Row]:
    """How many more searches each estimate needs for an interval of that width; empty where none was asked for.

    An estimate whose interval lacks an end has the reason in place of numbers.

    Raises:
        UserError: If the width is not above 0.
    """
    return [] if width is None else [plan_of(evidence, row, width) for row in rows]


def flat(row: Row) -> Row:
    """A row as CSV holds it."""
    return {key: "; ".join(value) if key == "reasons" else value for key, value in row.items()}


def weight_rows(source: str, policy: str, evidence: Evidence) -> list[Row]:
    """Histograms of log10 weights, joint and item-position, as rows of weights.csv. The first bin holds all below."""
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


# What is told first: what needs the least to be right comes first, never the narrowest interval.
HEADLINES = ("dr-item", "snips-item", "ips-item", "cascade-dr", "snrips", "rips", "dr", "snips", "ips")


def headline(rows: Sequence[Row]) -> Row | None:
    """The estimate to tell first: the first in HEADLINES that is trusted, else the first to be read with caution.

    Estimates that may never be trusted (the direct method) are never told first, nor those whose lift has no interval
    at all. None where nothing is left.
    """
    has_ends = [row for row in rows if row["lift_low"] is not None or row["lift_high"] is not None]
    by_name = {row["estimator"]: row for row in reversed(has_ends)}  # of several rewards the first is told
    told = [by_name[name] for name in HEADLINES if name in by_name]
    for word in ("trust", "caution"):
        for row in told:
            if row["verdict"] == word:
                return row
    return None


def finding(rows: Sequence[Row]) -> str:
    """One sentence: the most believable estimate, or that none is."""
    best = headline(rows)
    if best is None:
        worst = min(rows, key=lambda row: HEADLINES.index(row["estimator"]) if row["estimator"] in HEADLINES else 99)
        return f"No estimate of {worst['policy']} from this log should be used: {worst['reasons'][0]}."
    said = (
        f"{best['estimator']} puts {best['policy']} at {best['value']:.4f}, {best['lift']:+.4f} against the logger "
        f"({best['level']:.0%} interval {lift_ends(best, 1.0, '+.4f')})"
    )
    if best["verdict"] == "trust":
        return f"{said}; the evidence carries it."
    return f"{said}; to be read with caution: {best['reasons'][0]}."


def holds(row: Row, lift: float) -> bool:
    """Whether the interval of a row's lift holds a number; an end that it lacks excludes nothing.

    False where there is no interval at all.
    """
    low, high = row["lift_low"], row["lift_high"]
    if low is None and high is None:
        return False
    return (low is None or low <= lift) and (high is None or lift <= high)


def lift_ends(row: Row, scale: float, form: str) -> str:
    """Both ends of the interval of a row's lift, times a scale and as a format says, or the one end it has."""
    low, high = row["lift_low"], row["lift_high"]
    if high is None:
        return f"{low * scale:{form}} or more"
    return f"{high * scale:{form}} or less" if low is None else f"{low * scale:{form}} to {high * scale:{form}}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


ESTIMATOR_NAMES = tuple(ESTIMATORS)
