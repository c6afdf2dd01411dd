"""Judging a policy from the logs of several loggers together: SlateLab's own logs, one folder or more.

Each row is weighed by the logger that wrote it (`ips`, the naive combination), which always works; each logger's rows
also by how much they can tell (`weighted-ips`, `stable-ips`). To weigh a row by all loggers at once (`mixture-ips`, the
balanced combination) every logger must say how likely it would have shown what another one showed: its policy is asked
again, after it gave back the propensities of its own rows.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy import Evidence
from offpolicy.loggers import log_mixture
from offpolicy.rows import stack
from policies.exploration.slotwise import AnyPolicy
from policies.registry import POLICIES, load_policy
from scenarios.beyond import beyond
from scenarios.config import Estimation
from scenarios.evaluate import HIDDEN_CONFOUNDER, MODEL, POSITIONS, PREFIXES, SAME_CONTEXTS
from scenarios.evaluation import Evaluation, Wishes, audit_rows, estimate_rows, head_of, segment_rows, weight_rows
from scenarios.evidence import join_rewards
from scenarios.folder import Row
from scenarios.held_out import unseen_half
from scenarios.joining import BATCH, Joining, keep_half
from scenarios.native_log import few
from scenarios.progress import Progress
from scenarios.rewards import OWN, check_rewards
from simenv.errors import UserError
from simenv.log import Log
from simenv.log.schema import CATALOGUE_FILE
from simenv.propensity import Conditional

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

OF_ALL = ("mixture-ips", "mixture-snips", "mixture-dr")  # need every logger's probability of every row
OF_EACH = ("weighted-ips",)
REPLAYED = 1e-4  # between logged and recomputed log-probabilities: networks may differ by some 1e-6 a score
CHOSEN_BEFORE = (
    "Loggers were chosen beforehand: none learned from the rows of another, or of its own (mixture-ips, weighted-ips)."
)


@dataclass(frozen=True)
class Loggers:
    """Logs and who wrote them.

    Attributes:
        logs: Folders.
        policies: By the name that the logs' column `policy` has: registry name, saved model or module:function.
    """

    logs: tuple[Path, ...]
    policies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Log:
    """One of the logs.

    Attributes:
        log: The log.
        half: The shoppers that the policy may be judged on; all where None.
        logger: Name of the logger of each row, (N,).
    """

    log: Log
    half: int | None
    logger: npt.NDArray[np.str_]


def evaluate_several(
    loggers: Loggers, policy: str, settings: Estimation, seed: int, progress: Progress, wishes: Wishes
) -> Evaluation:
    """Judge one policy from the rows of all loggers.

    Args:
        loggers: The logs, and who wrote them.
        policy: Registry name, saved model, or module:function.
        settings: Estimators (those of `ips` and what weighs several loggers where None), level, interval.
        seed: Of the reward models' folds, and of intervals that resample.
        progress: Told rows read.
        wishes: Segments, rewards, what is known of rewards and weights.

    Raises:
        UserError: for bad input; for logs of different markets; where an estimator that is asked for needs loggers
            that nobody can ask again.
    """
    started, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    wishes.check(settings.estimators)
    check_rewards(wishes.rewards)
    if (wishes.per, wishes.width, wishes.reward_model, wishes.refits) != ("search", None, "folds", None):
        raise UserError(
            "--per, --width, --reward-model past and --refits are told of one log at a time; leave them out, or give "
            "one --log."
        )
    opened = [Log.open(path) for path in loggers.logs]
    _check_alike(opened)
    target = load_policy(policy, opened[0].catalogue(), opened[0].manifest["n_slots"])
    if target.sees_truth:
        raise UserError(f"policy '{policy}' ranks by hidden truth, which a log does not hold; it cannot be judged.")
    halves = [unseen_half(policy, log) for log in opened]
    logs = [_of_log(log, half) for log, (half, _) in zip(opened, halves, strict=True)]
    logp, why = _asked_again(logs, loggers.policies, settings, progress)
    names = _names(settings, why)
    joined = _joined(logs, target, Joining(None, settings, seed, wishes.rewards or (OWN,)), progress)
    by_reward = {reward: wishes.bounded(_together(logs, own, logp)) for reward, own in joined.items()}
    rows: list[Row] = []
    for reward, evidence in by_reward.items():
        head = head_of("logs", target.name, reward if wishes.rewards else None)
        for asked in names:
            asked_of = settings.model_copy(update={"estimators": asked})
            rows += [{**head, **row} for row in estimate_rows("logs", target.name, evidence, asked_of, seed)]
    beside = beyond(head_of("logs", target.name, None), by_reward, rows, wishes, settings.level)
    first = next(iter(by_reward.values()))
    return Evaluation(
        name=f"{target.name} on {', '.join(log.folder.name for log in opened)}",
        rows=rows,
        weights=weight_rows("logs", target.name, first),
        assumptions=[HIDDEN_CONFOUNDER, CHOSEN_BEFORE, POSITIONS, PREFIXES, MODEL, SAME_CONTEXTS],
        notes=[*(note for _, notes in halves for note in notes), *_told(logs), *([why] if why else [])],
        config={
            "logs": [str(path) for path in loggers.logs], "loggers": dict(loggers.policies), "policy": policy,
            **settings.model_dump(),
        },
        hashes={f"log {log.folder.name}": log.digest for log in opened},
        started=started,
        wall_seconds=time.monotonic() - clock,
        audit=audit_rows("logs", target.name, first),
        segments=segment_rows(first, rows, wishes, settings.level, seed),
        sensitivity=beside.sensitivity,
        quantiles=beside.quantiles,
        unanswered=beside.unanswered,
    )  # fmt: skip


def _names(settings: Estimation, why: str) -> list[list[str] | None]:
    """Lists of estimators to compute: those asked for, or the usual ones and then those of several loggers.

    Raises:
        UserError: If one is asked for that needs what could not be had.
    """
    if settings.estimators is None:
        return [None, [*(() if why else OF_ALL), *OF_EACH]]
    refused = [name for name in settings.estimators if why and name in OF_ALL]
    if refused:
        raise UserError(f"'{refused[0]}' is refused: {why}")
    return [settings.estimators]


def _check_alike(logs: Sequence[Log]) -> None:
    """Logs that are judged together are of one market."""
    first = logs[0]
    for log in logs[1:]:
        for name in ("n_slots", "n_candidates", "n_style", "reward"):
            one, other = first.manifest.get(name), log.manifest.get(name)
            if one != other:
                raise UserError(
                    f"'{first.folder}' has {name} {one} and '{log.folder}' {other}; expected logs of one market. "
                    "Evaluate them one by one."
                )
        if (first.folder / CATALOGUE_FILE).read_bytes() != (log.folder / CATALOGUE_FILE).read_bytes():
            raise UserError(
                f"'{first.folder}' and '{log.folder}' have different catalogues, so the same id is two items. Evaluate "
                "them one by one."
            )


def _of_log(log: Log, half: int | None) -> _Log:
    names = [columns["policy"] for columns in few(log, half, "shopper", "policy")]
    if not names:
        raise UserError(f"no row of '{log.folder}' is left to evaluate on; all of it was learned from.")
    return _Log(log, half, np.concatenate(names))


def _joined(logs: Sequence[_Log], target: AnyPolicy, joining: Joining, progress: Progress) -> dict[str, list[Evidence]]:
    """The evidence of each log, by reward; reward models are of each log's own rows."""
    advance = progress.task("read the logs", sum(len(one.logger) for one in logs))
    made: dict[str, list[Evidence]] = {}
    for one in logs:
        own = join_rewards(one.log, {target.name: target}, replace(joining, half=one.half), advance)
        for reward, joined in own.items():
            made.setdefault(reward, []).append(joined.evidence[target.name])
    return made


def _together(logs: Sequence[_Log], parts: Sequence[Evidence], logp: F64 | None) -> Evidence:
    """All rows, each with its stratum (a log and a logger), who it belongs to, and what weighs several loggers."""
    whole = stack(parts)
    rows = [len(one.logger) for one in logs]
    own = _codes(np.concatenate([one.logger for one in logs]))
    stratum = _codes(np.repeat(np.arange(len(logs)), rows) * (int(own.max()) + 1) + own)
    # Simulated shoppers of two seeds are two people under one id; real ones are the same.
    seeds = np.repeat(_codes(np.array([str(one.log.seed) for one in logs])), rows)
    _, cluster = np.unique(np.column_stack([seeds, whole.cluster]), axis=0, return_inverse=True)
    moment = None
    if "joint" in whole.foreseen:  # E[w^2] of a stratum is what slates that the target would show weigh on average
        moment = (np.bincount(stratum, weights=whole.foreseen["joint"]) / np.bincount(stratum))[stratum]
    mixture = None
    if logp is not None:
        mixture = np.zeros(whole.reward.shape)
        mixture[:, 0] = np.minimum(log_mixture(logp, own), 0.0)
    return replace(
        whole,
        cluster=cluster.ravel().astype(np.int64),
        stratum=stratum,
        second_moment=moment,
        mixture=None if mixture is None else Conditional(mixture),
    )


def _asked_again(
    logs: Sequence[_Log], given: Mapping[str, str], settings: Estimation, progress: Progress
) -> tuple[F64 | None, str]:
    """Log-probability of each row's slate under every logger, (N, J); none, and the reason, where one cannot be asked.

    Raises:
        UserError: If a logger is named that wrote no row.
    """
    names = sorted({str(name) for one in logs for name in np.unique(one.logger)})
    unknown = [name for name in given if name not in names]
    if unknown:
        raise UserError(f"--logger '{unknown[0]}' wrote no row; the logs were written by {', '.join(names)}.")
    if settings.estimators is not None and not set(OF_ALL) & set(settings.estimators):
        return None, ""
    # A learner's name says how it was made, not which model of it wrote the rows.
    lost = [name for name in names if name not in given and (name not in POLICIES or POLICIES[name].learns)]
    if lost:
        return None, (
            f"a log says what its logger '{lost[0]}' gave to what it showed itself, not what it would have given to "
            f"what others showed. Name the policy: --logger {lost[0]}=MODEL_FOLDER (or module:function)."
        )
    catalogue, n_slots = logs[0].log.catalogue(), logs[0].log.manifest["n_slots"]
    policies = {name: load_policy(given.get(name, name), catalogue, n_slots) for name in names}
    advance = progress.task("ask the loggers again", sum(len(one.logger) for one in logs))
    made = []
    for one in logs:
        for logp, why in _replayed(one, policies):
            if why:
                return None, f"{why} Name the very policy: --logger NAME=MODEL_FOLDER (or module:function)."
            made.append(logp)
            advance(len(logp))
    return np.concatenate(made), ""


def _replayed(one: _Log, policies: Mapping[str, AnyPolicy]) -> Iterator[tuple[F64, str]]:
    """Of each batch log-probabilities of its slates under every logger, (n, J), and whose are not those logged."""
    first, reads = 0, any(policy.reads_query for policy in policies.values())
    for batch in one.log.batches(keep_half(one.half), BATCH, reads):
        logged, wrote = batch.logp.logp.sum(axis=1), one.logger[first : first + len(batch)]
        columns, why = [], ""
        for name, policy in policies.items():
            logp = policy.log_prob(batch.page, batch.slate).logp.sum(axis=1)
            off = (wrote == name) & (np.abs(logp - logged) > REPLAYED)
            if off.any():
                at = int(np.argmax(off))
                why = (
                    f"policy '{policy.name}' is not the logger '{name}' as it was: row {batch.row[at]} of "
                    f"'{one.log.folder}' has log-probability {logged[at]:.4f}, and the policy says {logp[at]:.4f}."
                )
            columns.append(np.where(wrote == name, logged, logp))
        yield np.stack(columns, axis=1), why
        first += len(batch)


def _codes(column: npt.NDArray[Any]) -> I64:
    """Numbers from 0 in the order of the values."""
    return np.unique(column, return_inverse=True)[1].astype(np.int64)


def _told(logs: Sequence[_Log]) -> list[str]:
    """How many rows each logger wrote."""
    told = []
    for one in logs:
        names, counts = np.unique(one.logger, return_counts=True)
        who = ", ".join(f"'{name}' {count:,}" for name, count in zip(names, counts.tolist(), strict=True))
        told.append(f"Searches of {one.log.folder.name} by logger: {who}.")
    return told
