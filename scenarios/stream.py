"""Judging a policy from a log of any size: one pass, memory that does not grow, on this process or on many workers.

What is kept of a log are sums, which `offpolicy.stream` makes and merges. A native log is read once more before, for
the reward models, on at most MODEL_SEARCHES searches; a mapped one brings its model's columns along.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from offpolicy.audit.finding import Finding
from offpolicy.estimate import Estimate
from offpolicy.evidence import Evidence
from offpolicy.readers.mapping_file import read_mapping
from offpolicy.stream.finish import audit, finish
from offpolicy.stream.mapped_log import NOT_SEEN, open_mapped
from offpolicy.stream.parts import Source, read_all
from offpolicy.stream.plan import Plan, check_names, plan_of
from offpolicy.stream.survey import Survey
from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap
from policies.registry import load_policy
from scenarios.config import Estimation
from scenarios.evaluate import HIDDEN_CONFOUNDER, MODEL, POSITIONS, PREFIXES, SAME_CONTEXTS, SHARED_STOCK
from scenarios.evaluation import Evaluation
from scenarios.folder import Row
from scenarios.foreign import CONTEXTS, policy_function
from scenarios.foreign import MODEL as GIVEN_MODEL
from scenarios.held_out import unseen_half
from scenarios.joining import MODEL_SEARCHES, fitted_on, keep_half
from scenarios.native_log import NativeLog, first_chunk
from scenarios.progress import Progress
from simenv.errors import UserError
from simenv.log import Log


@dataclass(frozen=True)
class Streaming:
    """How a large log is read.

    Attributes:
        workers: Ray tasks at a time; 0 reads in this process, None as many as the cluster that RAY_ADDRESS names has.
        state: Folder that keeps what was read, so that a pass that was stopped goes on; None for none.
    """

    workers: int | None = 0
    state: Path | None = None


def evaluate_stream(
    log: Path,
    policy: str | None,
    *,
    mapping: Path | None,
    settings: Estimation,
    seed: int,
    progress: Progress,
    streaming: Streaming = Streaming(),
) -> Evaluation:
    """Judge one policy from a log that need not fit into memory.

    Args:
        log: A log in SlateLab's format; with a mapping, a Parquet file or a folder of them.
        policy: As for `scenarios.evaluate.evaluate_native`; module:function or None with a mapping.
        mapping: The mapping file; None for a native log.
        settings: Estimators, level, interval and replicates.
        seed: Of the reward model's folds, and of the bootstrap.
        progress: Told rows read.
        streaming: Workers and the folder of states.

    Raises:
        UserError: for bad input, and for what is not made of sums.
    """
    started, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    check_names(settings.estimators, settings.interval)
    judged = _native if mapping is None else _mapped
    made = judged(_Pass(log, policy, mapping, settings, seed, progress, streaming))
    return replace(made, started=started, wall_seconds=time.monotonic() - clock)


@dataclass(frozen=True)
class _Read:
    """What one pass told."""

    estimates: list[Estimate]
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Pass:
    """What was asked of one evaluation."""

    log: Path
    policy: str | None
    mapping: Path | None
    settings: Estimation
    seed: int
    progress: Progress
    streaming: Streaming

    def plan(self, first: Evidence, survey: Survey) -> Plan:
        """What to sum up, by what columns the first rows have and what is known of the whole log."""
        replicates = self.settings.replicates if self.settings.interval == "bootstrap" else 0
        return plan_of(first, self.settings.estimators, replicates, self.seed, survey)

    def estimates(self, source: Source, plan: Plan) -> _Read:
        """Read the log, on workers or here."""
        advance = self.progress.task("read the log", sum(part.rows for part in source.parts))
        if self.streaming.workers == 0:
            gathered, notes = read_all(source, plan, self.streaming.state, advance)
        else:
            from offpolicy.stream.on_ray import read_on_ray

            gathered, notes = read_on_ray(source, plan, self.streaming.workers, self.streaming.state, advance)
        estimates = finish(gathered, plan, self.settings.level, self.settings.interval)
        return _Read(estimates, audit(gathered, plan), notes)

    def evaluation(self, name: str, rows: list[Row]) -> Evaluation:
        """The estimates of one log."""
        return Evaluation(
            name=f"{name} on {self.log.name}",
            rows=rows,
            weights=[],
            assumptions=[],
            notes=[],
            config={
                "log": str(self.log),
                "policy": self.policy,
                "mapping": str(self.mapping) if self.mapping else None,
                "stream": True,
                "workers": self.streaming.workers,
                **self.settings.model_dump(),
            },
            hashes={},
            started="",
            wall_seconds=0.0,
        )


def _native(asked: _Pass) -> Evaluation:
    if asked.policy is None:
        raise UserError(
            "a native log needs --policy: a name from `slatelab list policies`, a saved model's folder, or "
            "module:function."
        )
    opened = Log.open(asked.log)
    half, notes = unseen_half(asked.policy, opened)
    target = load_policy(asked.policy, opened.catalogue(), opened.manifest["n_slots"])
    if target.sees_truth:
        raise UserError(
            f"policy '{asked.policy}' ranks by hidden truth, which a log does not hold; it cannot be judged."
        )
    models = fitted_on(opened, FeatureMap(opened.catalogue()), keep_half(half), asked.settings, asked.seed)
    source = NativeLog(opened, target, half, models, asked.settings, asked.seed, _digest_of(asked.policy, target))
    plan = asked.plan(first_chunk(source).evidence, source.survey())
    read = asked.estimates(source, plan)
    head = {"source": "log", "policy": target.name}
    rows: list[Row] = [{**head, **one.record()} for one in read.estimates]
    shared = [SHARED_STOCK] if opened.shares_stock else []
    passes = (
        f"The log was read twice: at most {MODEL_SEARCHES:,} searches for the reward models, then all rows once, in "
        f"{len(source.parts):,} parts; days and segments were looked up before."
    )
    return replace(
        asked.evaluation(target.name, rows),
        assumptions=[HIDDEN_CONFOUNDER, POSITIONS, PREFIXES, MODEL, SAME_CONTEXTS, *shared],
        notes=[*notes, *models.notes, passes, *read.notes],
        audit=[{**head, **one.record()} for one in read.audit],
        hashes={"log": opened.digest, "world": opened.world_hash},
    )


def _mapped(asked: _Pass) -> Evaluation:
    assert asked.mapping is not None
    mapping = read_mapping(asked.mapping)
    function, name = policy_function(asked.policy), asked.policy or "target"
    rows: list[Row] = []
    found: list[Row] = []
    notes: list[str] = []
    for reward in mapping.rewards:
        source = open_mapped(asked.log, mapping, reward, function, _named(asked.policy))
        reading = source.first()
        allowed = replace(asked, settings=asked.settings.model_copy(
            update={"estimators": reading.estimators(asked.settings.estimators)}
        ))  # fmt: skip
        plan = allowed.plan(reading.evidence[reward], source.survey())
        read = allowed.estimates(source, plan)
        head = {"source": asked.log.name, "policy": name, **({"reward": reward} if len(mapping.rewards) > 1 else {})}
        rows += [{**head, **one.record()} for one in read.estimates]
        found = found or [{"source": asked.log.name, "policy": name, **one.record()} for one in read.audit]
        notes += read.notes
    several = f" {len(mapping.rewards)} times, once for each reward" if len(mapping.rewards) > 1 else " once"
    return replace(
        asked.evaluation(name, rows),
        assumptions=[HIDDEN_CONFOUNDER, CONTEXTS, GIVEN_MODEL],
        notes=[f"The log was read{several}.", NOT_SEEN, *notes],
        audit=found,
    )


def _digest_of(policy: str, target: AnyPolicy) -> str:
    """What changes where a policy does: its files, its source, or its name and how much it explores."""
    state = hashlib.sha256(f"{policy} {target.name} {target.temperature} {target.floor}".encode())
    if Path(policy).is_dir():
        for path in sorted(file for file in Path(policy).rglob("*") if file.is_file()):
            state.update(path.name.encode() + path.read_bytes())
    elif ":" in policy:
        state.update(_named(policy).encode())
    return state.hexdigest()


def _named(policy: str | None) -> str:
    """A function's name, with its module's source, so that a state made with other code is not taken for its own."""
    if policy is None or ":" not in policy:
        return policy or ""
    file = getattr(importlib.import_module(policy.partition(":")[0]), "__file__", None)
    return f"{policy} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}" if file else policy
