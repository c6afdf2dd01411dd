"""Judging policies from a log: the second daily job, on SlateLab's logs and on Open Bandit's."""

from __future__ import annotations

import datetime
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from offpolicy.estimators import ESTIMATORS, estimator
from offpolicy.estimators import MODEL as MODEL_COLUMNS
from offpolicy.intervals.case import Asked
from offpolicy.obd import read_obd
from offpolicy.single.columns import filled
from offpolicy.single.obd_model import with_click_rates
from policies.registry import load_policy
from scenarios.beyond import beyond
from scenarios.config import Estimation
from scenarios.evaluation import (
    Evaluation,
    Wishes,
    audit_rows,
    estimate_rows,
    head_of,
    per_unit,
    plan_rows,
    segment_rows,
    weight_rows,
)
from scenarios.evidence import join_rewards
from scenarios.folder import Row
from scenarios.held_out import unseen_half
from scenarios.joining import MODEL_SEARCHES, Joining
from scenarios.progress import Progress
from scenarios.refits import Shown, read_shown, refit_rule
from scenarios.rewards import OWN, check_rewards
from simenv.errors import UserError
from simenv.log import Log

AS_USUAL = Wishes()
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
REFITTED = (
    "The direct method (dm): the reward model is right. Its interval is of the model's variance, not of its bias."
)
SAME_CONTEXTS = (
    "Values are per search over the logger's contexts: what deployment changes about who stays and asks again is not "
    "in them."
)
PAST = (
    "The reward model of each shopper was fitted on those who came before. The log was read twice: at most "
    f"{MODEL_SEARCHES:,} searches for the models, one for each doubling of the shoppers, then all searches. 'dm', and "
    "what weighs by prefix with a model, are left out."
)
SEQUENCES = (
    "Values per session or shopper follow the policy's own searches. Sequences must be whole in the log; the model of "
    "what comes later (fqe; magic where weights vary much) must be right: intervals know nothing of its error."
)
INDEPENDENT = "Shoppers are independent of each other; standard errors are clustered by shopper."
SHARED_STOCK = (
    "Shoppers take from the same shelves: what one buys is sold out for another. Values are over pages as the logger's "
    "sales left them, with as many shoppers as the log has. A policy that sells more would empty its own shelves; "
    "neither its estimate from this log shows that, nor an A/B test on the same shelves. Standard errors are clustered "
    "by shopper, as if shoppers were independent; in 60 plays of a scarce market values spread no wider than they say."
)


def evaluate_native(
    log: Path,
    policy: str,
    *,
    estimators: list[str] | None,
    level: float,
    seed: int,
    progress: Progress,
    wishes: Wishes = AS_USUAL,
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
    check_rewards(wishes.rewards)
    opened = Log.open(log)
    half, notes = unseen_half(policy, opened)
    target = load_policy(policy, opened.catalogue(), opened.manifest["n_slots"])
    if target.sees_truth:
        raise UserError(f"policy '{policy}' ranks by hidden truth, which a log does not hold; it cannot be judged.")
    settings = Estimation(estimators=estimators, level=level, interval=wishes.interval, replicates=wishes.replicates)
    advance = progress.task("read the log", opened.n_rows if half is None else None)
    joining = Joining(half, settings, seed, wishes.rewards or (OWN,), wishes.reward_model == "past")
    joined = join_rewards(opened, {target.name: target}, joining, advance)
    by_reward = {
        str(opened.manifest.get("reward", OWN)) if reward == OWN else reward: per_unit(
            wishes.bounded(one.evidence[target.name]), wishes.per, seed, estimators
        )
        for reward, one in joined.items()
    }
    rows: list[Row] = []
    plans: list[Row] = []
    shown: Shown | None = None
    for reward, one in by_reward.items():
        head = head_of("log", target.name, reward if wishes.rewards else None)
        instead = {}
        if wishes.refits is not None:
            shown = shown or read_shown(opened, target, joining, one.n_rows)
            instead = {"dm": refit_rule(one, shown, Asked(level, seed, wishes.refits), progress)}
        made = estimate_rows("log", target.name, one, settings, seed, instead)
        own: list[Row] = [{**head, **row} for row in made]
        rows, plans = rows + own, plans + plan_rows(one, own, wishes.width)
    beside = beyond(head_of("log", target.name, None), by_reward, rows, wishes, level)
    evidence = next(iter(by_reward.values()))
    return Evaluation(
        name=f"{target.name} on {log.name}",
        rows=rows,
        weights=weight_rows("log", target.name, evidence),
        assumptions=[*_assumed(rows, wishes), *([SHARED_STOCK] if opened.shares_stock else [])],
        notes=[
            *notes,
            *_of_models(wishes),
            *dict.fromkeys(note for one in joined.values() for note in one.notes),
        ],
        config={
            "log": str(log),
            "policy": policy,
            "rewards": list(by_reward),
            "temperature": target.temperature,
            "floor": target.floor,
            "reward_range": [end if math.isfinite(end) else None for end in evidence.reward_range or ()],
            "max_weight": evidence.max_weight,
            "reward_model": wishes.reward_model,
            **settings.model_dump(),
        },
        hashes={"log": opened.digest, "world": opened.world_hash},
        started=started,
        wall_seconds=time.monotonic() - clock,
        plans=plans,
        audit=audit_rows("log", target.name, evidence),
        segments=segment_rows(evidence, rows, wishes, level, seed),
        sensitivity=beside.sensitivity,
        quantiles=beside.quantiles,
        unanswered=beside.unanswered,
        seeds={"folds and resampling": seed},
    )


def evaluate_open_bandit(
    log: Path,
    target_table: str,
    *,
    campaign: str | None,
    estimators: list[str] | None,
    level: float,
    wishes: Wishes = AS_USUAL,
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
    wishes.refuse_models("leave it out, and ask for ips or snips by betting")
    if wishes.rewards:
        raise UserError("an Open Bandit log knows clicks alone; leave out --rewards.")
    evidence = wishes.bounded(replace(read_obd(log, target_table, campaign=campaign), reward_range=CLICK))
    asked = {need for name in estimators or [] for need in estimator(name).needs}
    notes = []
    if asked & {*MODEL_COLUMNS, "actions", "q_robust"}:
        table = bool(asked & {"actions", "q_robust"})
        evidence = with_click_rates(evidence, log, target_table, campaign, want_table=table)
        evidence = filled(evidence, estimators or [])
        notes.append(
            "The reward model is the smoothed click rate of each item at each position in other folds of rows."
        )
    settings = Estimation(estimators=estimators, level=level, interval=wishes.interval, replicates=wishes.replicates)
    source = f"open bandit {campaign}" if campaign else "open bandit"
    policy = "uniform" if target_table == "uniform" else Path(target_table).stem
    rows = estimate_rows(source, policy, evidence, settings)
    beside = beyond(head_of(source, policy, None), {"clicks": evidence}, rows, wishes, level)
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
        audit=audit_rows(source, policy, evidence),
        segments=segment_rows(evidence, rows, wishes, level, 0),
        sensitivity=beside.sensitivity,
        quantiles=beside.quantiles,
        unanswered=beside.unanswered,
    )


def _of_models(wishes: Wishes) -> list[str]:
    """What a reader should know of reward models that are not the usual ones, and how often the log was read."""
    told = [PAST] if wishes.reward_model == "past" else []
    if wishes.refits is not None:
        told.append(f"dm's model was fitted again {wishes.refits:,} times, for which the log was read a third time.")
    return told


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


ESTIMATOR_NAMES = tuple(ESTIMATORS)


def _assumed(rows: list[Row], wishes: Wishes) -> list[str]:
    """What the estimates of a native log assume: of these estimators and no others."""
    names = {str(row["estimator"]).split(":")[0] for row in rows}
    told = {
        POSITIONS: any(name.endswith("-item") for name in names),
        PREFIXES: any("rips" in name or "cascade" in name for name in names),
        MODEL if wishes.refits is None else REFITTED: "dm" in names,
        SAME_CONTEXTS: any("logger's contexts" in row["estimand"] for row in rows),
        SEQUENCES: wishes.per != "search",
    }
    return [HIDDEN_CONFOUNDER, *(words for words, holds in told.items() if holds)]
