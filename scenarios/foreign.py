"""Judging policies from logs that SlateLab did not write: mapped tables, Vowpal Wabbit's dsjson, OpenSearch's UBI.

A reader of `offpolicy.readers` makes the evidence; here a policy's name becomes a function, and estimates become rows.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from offpolicy import Evidence
from offpolicy.readers import modelled
from offpolicy.readers.mapped import read_mapped
from offpolicy.readers.mapping_file import read_mapping
from offpolicy.readers.reading import NO_WEIGHT, Caveat, Reading, runnable, with_caveats
from offpolicy.readers.ubi import read_ubi
from offpolicy.readers.vowpal import BUILTIN, read_dsjson
from offpolicy.single.columns import filled
from policies.registry import load_function
from scenarios.beyond import Beyond, beyond
from scenarios.config import Estimation
from scenarios.evaluate import HIDDEN_CONFOUNDER
from scenarios.evaluation import (
    Evaluation,
    Wishes,
    audit_rows,
    estimates,
    head_of,
    per_unit,
    plan_rows,
    segment_rows,
    weight_rows,
)
from scenarios.folder import Row
from simenv.errors import UserError, unknown_name

Format = Literal["mapped", "dsjson", "ubi"]

CONTEXTS = (
    "Values are over the logger's contexts: what deployment changes about who stays and asks again is not in them."
)
MODEL = "A reward model, where one is used: it never saw the rows that it is used on. The mapping says so; no data can."


@dataclass(frozen=True)
class ForeignLog:
    """A log and how to read it.

    Attributes:
        path: File or folder.
        format: Which reader.
        mapping: The mapping file, for "mapped".
        policy: The target: `module:function`, or a built-in of the reader; None where the log or nobody names one.
        shopper: For "dsjson": where an event names its shopper.
        examination: For "ubi": chance that each slot is looked at, relative to the first, where it is known.
    """

    path: Path
    format: Format
    mapping: Path | None = None
    policy: str | None = None
    shopper: str = ""
    examination: tuple[float, ...] = ()


def read_foreign(log: ForeignLog) -> Reading:
    """Read the log.

    Raises:
        UserError: for whatever is wrong with the log, the mapping or the policy, with the place.
    """
    if log.format == "mapped":
        if log.mapping is None:
            raise UserError("a table needs --mapping MAP.toml, which says what its columns are; see docs/any-log.md.")
        mapping = read_mapping(log.mapping)
        if log.policy is None or ":" in log.policy:
            return read_mapped(log.path, mapping, policy_function(log.policy), log.policy or "")
        from scenarios.mapped_model import model_caveats, model_function

        reading = read_mapped(log.path, mapping, model_function(log.policy, mapping, log.mapping), log.policy)
        return replace(reading, caveats=(*reading.caveats, *model_caveats(log.policy, mapping)))
    if log.mapping is not None:
        raise UserError(f"--mapping belongs to tables; a log of format {log.format} says itself what is what.")
    if not log.path.exists():
        raise UserError(f"{log.path} does not exist; expected a log: a file of JSON lines or a folder of such files.")
    if log.format == "ubi":
        return replace(read_ubi(log.path, policy_function(log.policy), log.policy or ""), examination=log.examination)
    builtin = log.policy if log.policy is None or ":" not in log.policy else None
    return read_dsjson(log.path, builtin or policy_function(log.policy), log.policy or "", log.shopper)


def dry_run(log: ForeignLog) -> tuple[list[tuple[str, str]], list[str]]:
    """What a reader understands of a log: pairs of a role and a sentence, and notes."""
    reading = read_foreign(log)
    told = list(reading.understood)
    if reading.no_weight:
        can = "only a click model (pbm)" if reading.clicks is not None else "nothing"
        told.append(("can run", f"{can}: {NO_WEIGHT.format(why=reading.no_weight)}"))
    elif not reading.evidence:
        told.append(("can run", "nothing yet: no target policy; name [target] in the mapping, or give --policy"))
    else:
        first = next(iter(reading.evidence.values()))
        names = runnable(first, reading.only)
        told.append(("can run", ", ".join(names) + (f" ({reading.why_only})" if reading.only else "")))
    return told, [caveat.text for caveat in reading.caveats]


def evaluate_foreign(
    log: ForeignLog, *, estimators: list[str] | None, level: float, seed: int, wishes: Wishes
) -> Evaluation:
    """Judge a target policy from somebody's log.

    Args:
        log: The log.
        estimators: Names; all that apply where None.
        level: Of the intervals.
        seed: Of a click model's folds, and of intervals that resample.
        wishes: Which intervals, and what is known of rewards and weights.

    Raises:
        UserError: for bad input, for estimators that the log cannot feed, and where nothing can be estimated at all.
    """
    started, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    wishes.check(estimators)
    wishes.refuse_models("where a mapping's [model] columns know the past alone, write past_only = true there")
    settings = Estimation(estimators=estimators, level=level, interval=wishes.interval, replicates=wishes.replicates)
    reading = _of_rewards(read_foreign(log), wishes.rewards)
    asked = reading.estimators(settings.estimators)
    _refuse(log, reading, wishes)
    asked_of = _Asked(settings, asked, seed, wishes)
    judged = {
        name: per_unit(wishes.bounded(filled(one, asked or (), seed)), wishes.per, seed, asked)
        for name, one in reading.evidence.items()
    }
    reading = replace(reading, evidence=judged)
    rows, weights, plans = (_by_model if reading.no_weight else _by_weights)(reading, _policy_name(log), asked_of)
    first = None if reading.no_weight else next(iter(reading.evidence.values()))
    head = head_of(reading.source, _policy_name(log), None)
    beside = Beyond() if reading.no_weight else beyond(head, reading.evidence, rows, wishes, level)
    return Evaluation(
        name=f"{_policy_name(log)} on {log.path.name}",
        rows=rows,
        weights=weights,
        assumptions=[modelled.ASSUMPTION, CONTEXTS] if reading.no_weight else [HIDDEN_CONFOUNDER, CONTEXTS, MODEL],
        notes=[caveat.text for caveat in reading.caveats],
        config={
            "log": str(log.path), "format": log.format, "mapping": str(log.mapping) if log.mapping else None,
            "policy": log.policy, **settings.model_dump(),
        },
        hashes={},
        started=started,
        wall_seconds=time.monotonic() - clock,
        plans=plans,
        audit=audit_rows(log.path.name, _policy_name(log), first) if first else [],
        segments=segment_rows(first, rows, wishes, level, seed) if first else [],
        sensitivity=beside.sensitivity,
        quantiles=beside.quantiles,
        unanswered=beside.unanswered,
        seeds={"folds and resampling": seed},
    )  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """What is asked of the estimates: settings, the estimators that may run, the seed, the reader's wishes."""

    settings: Estimation
    names: list[str] | None
    seed: int
    wishes: Wishes

    def rows(
        self, evidence: Evidence, caveats: Sequence[Caveat], head: Mapping[str, str], names: list[str] | None
    ) -> tuple[list[Row], list[Row]]:
        """The estimates as rows, with the caveats in their verdicts, and how many more searches each needs."""
        settings = self.settings.model_copy(update={"estimators": names})
        made = estimates(evidence, settings, self.seed)
        rows: list[Row] = [{**head, **one.record()} for one in with_caveats(made, caveats)]
        return rows, plan_rows(evidence, rows, self.wishes.width)


def _by_weights(reading: Reading, policy: str, asked: _Asked) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of estimates, of weights and of plans from the evidence on each reward."""
    rows: list[Row] = []
    plans: list[Row] = []
    several = len(reading.evidence) > 1 or bool(asked.wishes.rewards)
    for reward, evidence in reading.evidence.items():
        head = head_of(reading.source, policy, reward if several else None)
        own_rows, own_plans = asked.rows(evidence, reading.caveats, head, asked.names)
        rows, plans = rows + own_rows, plans + own_plans
    return rows, weight_rows(reading.source, policy, next(iter(reading.evidence.values()))), plans


def _by_model(reading: Reading, policy: str, asked: _Asked) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of a click model's estimates; there are no weights."""
    if reading.clicks is None or reading.ranking is None:
        raise UserError(
            f"{NO_WEIGHT.format(why=reading.no_weight)}. For a model's estimate, which is never to be trusted, map the "
            "query, the items and clicks, and give --policy module:function that returns {'ranking': ...}."
        )
    evidence, caveats = modelled.modelled(reading, asked.seed)
    evidence = asked.wishes.bounded(evidence)
    why = Caveat(NO_WEIGHT.format(why=reading.no_weight))
    head = {"source": reading.source, "policy": policy}
    rows, plans = asked.rows(evidence, (why, *caveats, *reading.caveats), head, asked.names or ["pbm"])
    return rows, [], plans


def _of_rewards(reading: Reading, names: Sequence[str]) -> Reading:
    """The reading with the rewards that are asked for, in that order; all where none is named."""
    if not names or not reading.evidence:
        return reading
    for name in names:
        if name not in reading.evidence:
            raise unknown_name("reward", name, reading.evidence)
    return replace(reading, evidence={name: reading.evidence[name] for name in dict.fromkeys(names)})


def _refuse(log: ForeignLog, reading: Reading, wishes: Wishes) -> None:
    """Refuse what this log cannot answer, before anything is computed."""
    if not reading.no_weight and reading.target_missing:
        raise UserError(_no_target(log))
    if len(reading.evidence) > 1 and wishes.reward_range is not None:
        raise UserError(
            f"--reward-range is the range of one reward; the log has {', '.join(reading.evidence)}. Leave only that "
            "reward in the mapping's [rewards], or leave --reward-range out."
        )
    if not reading.no_weight:
        return
    if wishes.by is not None:
        raise UserError("segments are told by weights, and this log has none (no propensities); leave out --by.")
    for what, option, is_asked in (
        ("a quantile", "--quantile", wishes.quantile is not None),
        (f"a value per {wishes.per}", "--per", wishes.per != "search"),
    ):
        if is_asked:
            raise UserError(f"{NO_WEIGHT.format(why=reading.no_weight)}; {what} needs weights. Leave out {option}.")


def _no_target(log: ForeignLog) -> str:
    if log.format == "dsjson":
        return f"no target policy is given: --policy module:function, or one of {', '.join(BUILTIN)}."
    return "no target policy is given: name its columns as [target] in the mapping, or give --policy module:function."


def _policy_name(log: ForeignLog) -> str:
    return log.policy or "target"


def policy_function(spec: str | None) -> Callable[[Any], Any] | None:
    """The function that a user named as module:function; its module is looked for in the current folder too."""
    if spec is None:
        return None
    if ":" not in spec:
        raise UserError(
            f"policy '{spec}' cannot rank on this log: saved models and registry names rank the candidates of a page, "
            "which only a mapped log that is read whole can tell, by [ranker] in its mapping. Give module:function "
            "(docs/any-log.md), or name the target's columns in the mapping."
        )
    return load_function(spec)
