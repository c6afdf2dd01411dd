"""Vowpal Wabbit's decision-service JSON (dsjson) as evidence: one action (cb), one a slot (ccb), or slates.

One line is one event. In cb `a` lists action numbers from 1 and `p` their probabilities in that order; in ccb and
slates each entry of `_outcomes` has `_a` (numbers from 0, the chosen one first) and `_p`. In ccb a slot chooses among
what the slots above left, so probabilities are conditional and each slot has its own cost; in slates the slots choose
independently and the cost is of the page. Rewards are negative costs.

Only the numbers of an event are kept; the event itself is shown to the target policy and forgotten.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.audit.columns import score_residual
from offpolicy.evidence import Evidence
from offpolicy.readers.dsjson import Event, parse_event
from offpolicy.readers.files import files_of, json_lines
from offpolicy.readers.reading import Caveat, Reading
from simenv.errors import UserError, unknown_name
from simenv.propensity import Conditional

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
EventPolicy = Callable[[Sequence[dict[str, Any]]], Sequence[Any]]

UNIFORM, GREEDY = "uniform", "logged-greedy"
BUILTIN = (UNIFORM, GREEDY)

_CHUNK = 2048  # events that a policy is asked about at once
_LARGEST_TABLE = 50_000_000  # cells of a table of all actions


@dataclass(frozen=True)
class _Row:
    """What is kept of an event."""

    event: Event
    target: tuple[Floats, ...]  # by slot, of every action it could have had


def read_dsjson(path: Path, policy: EventPolicy | str | None, name: str = "", shopper: str = "") -> Reading:
    """Read a dsjson log and ask a target policy about every event.

    Args:
        path: A .ndjson, .jsonl or .json file, or a folder.
        policy: "uniform", "logged-greedy" (what the logger thought best), or a function from a list of events to one
            entry each: the probabilities of all actions in the order of `c._multi` (cb), or such a list for each slot
            (ccb: what stands above has 0; slates: the slot's own actions). None: only look.
        name: What the user calls it.
        shopper: Where an event names its shopper, as `c.GUser.id`; rows are taken for independent where empty.

    Raises:
        UserError: Naming the file and line of what is wrong.
    """
    if type(policy) is str and policy not in BUILTIN:
        raise unknown_name("policy for a Vowpal Wabbit log (or give module:function)", policy, BUILTIN)
    rows: list[_Row] = []
    waiting: list[tuple[Event, dict[str, Any]]] = []
    skipped = {"dangling": 0, "skipped": 0}
    files = [path] if path.is_file() else files_of(path)
    for file in files:
        for number, line in json_lines(file):
            event = parse_event(f"{file.name}, line {number}", line, shopper, skipped)
            if event is None:
                continue
            if rows and event.kind != rows[0].event.kind:
                raise UserError(
                    f"{event.place}: a {event.kind} event in a log of {rows[0].event.kind}; expected one kind."
                )
            waiting.append((event, line))
            if len(waiting) == _CHUNK:
                rows += _asked(waiting, policy, name)
                waiting = []
    rows += _asked(waiting, policy, name)
    if not rows:
        raise UserError(f"{path} holds no labelled event; expected lines with _label_cost or _outcomes.")
    if len({row.event.kind for row in rows}) > 1:
        raise UserError(
            f"{path} mixes {', '.join(sorted({row.event.kind for row in rows}))} events; expected one kind."
        )
    return _reading(path, rows, skipped, has_target=policy is not None)


def _asked(waiting: list[tuple[Event, dict[str, Any]]], policy: EventPolicy | str | None, name: str) -> list[_Row]:
    if policy is None or not waiting:
        return [_Row(event, ()) for event, _ in waiting]
    if policy == UNIFORM:
        return [_Row(event, tuple(_even(np.isfinite(p)) for p in event.chance)) for event, _ in waiting]
    if policy == GREEDY:
        return [_Row(event, tuple(_even(p == np.nanmax(p)) for p in event.chance)) for event, _ in waiting]
    assert type(policy) is not str
    try:
        answers = list(policy([line for _, line in waiting]))  # type: ignore[operator]
    except Exception as problem:  # whatever a user's code may raise
        raise UserError(f"policy '{name}' failed with {type(problem).__name__}: {problem}") from problem
    if len(answers) != len(waiting):
        raise UserError(
            f"policy '{name}' returned {len(answers)} answers for {len(waiting)} events; expected one each."
        )
    return [_Row(event, _answer(event, answer, name)) for (event, _), answer in zip(waiting, answers, strict=True)]


def _even(which: npt.NDArray[np.bool_]) -> Floats:
    """The same probability for all of these."""
    made: Floats = which / which.sum()
    return made


def _answer(event: Event, answer: Any, name: str) -> tuple[Floats, ...]:
    """A policy's answer on one event, checked."""
    slots = [answer] if event.kind == "cb" else answer
    made = []
    try:
        made = [np.asarray(slot, dtype=np.float64) for slot in slots]
    except (TypeError, ValueError):
        made = []
    if len(made) != len(event.chance) or any(p.shape != own.shape for p, own in zip(made, event.chance, strict=False)):
        raise UserError(
            f"{event.place}: policy '{name}' returned {str(answer)[:80]}; expected probabilities of "
            f"{' and '.join(str(len(own)) for own in event.chance)} actions."
        )
    for k, (p, own) in enumerate(zip(made, event.chance, strict=True)):
        if not (p >= 0.0).all() or abs(p.sum() - 1.0) > 1e-6:
            raise UserError(
                f"{event.place}, slot {k + 1}: policy '{name}' returned probabilities {str(p.tolist())[:80]}, which "
                f"sum to {p.sum():g}; expected numbers from 0 to 1 that sum to 1."
            )
        if (p[np.isnan(own)] > 0.0).any():
            raise UserError(
                f"{event.place}, slot {k + 1}: policy '{name}' gives a chance to an action that stands above already; "
                "expected 0 for those, and the rest to sum to 1."
            )
    return tuple(made)


def _reading(path: Path, rows: list[_Row], skipped: dict[str, int], *, has_target: bool) -> Reading:
    events = [row.event for row in rows]
    kind = events[0].kind
    n_slots = max(len(event.chance) for event in events)
    logger, target, reward = (np.zeros((len(rows), n_slots)) for _ in range(3))
    with np.errstate(divide="ignore"):
        for n, row in enumerate(rows):
            for k, chosen in enumerate(row.event.chosen):
                logger[n, k] = row.event.logged[k]
                target[n, k] = row.target[k][chosen] if row.target else 1.0
            logger[n, len(row.event.chosen) :] = target[n, len(row.event.chosen) :] = 1.0
            if kind == "slates":
                reward[n, -1] = -row.event.cost[0]  # of the page, where all weights are whole
            else:
                reward[n, : len(row.event.cost)] = [-cost for cost in row.event.cost]
        logger, target = np.log(logger), np.log(target)
    cluster, named = _clusters(events)
    understood = _understood(path, events, n_slots, reward + 0.0, np.exp(logger), named, skipped)
    caveats = _caveats(rows, skipped)
    no_weight = "its logger was deterministic (every probability is 1)" if float(np.abs(logger).max()) < 1e-9 else ""
    if no_weight or not has_target:
        return Reading(path.name, understood, caveats=caveats, no_weight=no_weight, target_missing=not has_target)
    times = [event.time for event in events]
    table = _table(rows) if kind == "cb" else None
    evidence = Evidence(
        reward=reward + 0.0,  # a cost of 0 is a reward of 0 and not of -0
        logger=Conditional(logger),
        target=Conditional(target),
        pseudoinverse=(np.exp(target - logger) - 1.0).sum(axis=1) + 1.0 if kind == "slates" else None,
        actions=table,
        score_residual=None if table is None else score_residual(table),
        time=None if None in times else np.array(times, dtype=np.int64),
        cluster=cluster,
        cluster_name="shopper" if named else "row",
        unit="event",
    )
    return Reading(path.name, understood, {"reward": evidence}, caveats, unit="event")


def _table(rows: list[_Row]) -> ActionTable | None:
    """Both policies' chances of all actions, where the log has the logger's; missing actions have 0 in both."""
    n_actions = max(len(row.event.chance[0]) for row in rows)
    if not all(row.event.is_whole for row in rows) or n_actions * len(rows) > _LARGEST_TABLE:
        return None
    logger, target = np.zeros((2, len(rows), n_actions))
    for n, row in enumerate(rows):
        logger[n, : len(row.event.chance[0])] = row.event.chance[0] / row.event.chance[0].sum()
        target[n, : len(row.target[0])] = row.target[0] / row.target[0].sum()
    return ActionTable(np.array([row.event.chosen[0] for row in rows]), logger, target)


def _clusters(events: list[Event]) -> tuple[Ints, bool]:
    if events[0].shopper is None:
        return np.arange(len(events)), False
    codes: dict[str, int] = {}
    return np.array([codes.setdefault(str(event.shopper), len(codes)) for event in events], dtype=np.int64), True


def _caveats(rows: list[_Row], skipped: dict[str, int]) -> tuple[Caveat, ...]:
    made = [
        Caveat(f"{n:,} lines were passed over ({what})", 0)
        for what, n in (("outcomes without their event", skipped["dangling"]), ("_skipLearn", skipped["skipped"]))
        if n
    ]
    first: dict[str, Event] = {}
    again = [row.event for row in rows if row.event.id and first.setdefault(row.event.id, row.event) is not row.event]
    if again:
        text = f"{len(again):,} events repeat an EventId (first: {again[0].place}): were they delivered twice?"
        made.append(Caveat(text))
    return tuple(made)


def _understood(
    path: Path, events: list[Event], n_slots: int, reward: Floats, p: Floats, named: bool, skipped: dict[str, int]
) -> tuple[tuple[str, str], ...]:
    counts = sorted({len(chance) for event in events for chance in event.chance})
    total = reward.sum(axis=1)
    times = [event.time for event in events if event.time is not None]
    return (
        ("log", f"{path.name}: {len(events):,} {events[0].kind} events, {sum(skipped.values()):,} lines passed over"),
        ("slots", f"{n_slots}; from {counts[0]} to {counts[-1]} actions"),
        (
            "cluster",
            f"{len({event.shopper for event in events}):,} shoppers"
            if named
            else "each event by itself: nothing names a shopper, so events are assumed independent, which no data here "
            "can check and which forbids 'trust'; --shopper c.PATH names one",
        ),
        ("reward", f"{total.mean():.4g} an event (negative cost), from {total.min():g} to {total.max():g}"),
        ("propensity", f"conditional, from {p.min():.3g} to {p.max():.3g}"),
        ("time", f"{_day(min(times))} to {_day(max(times))}" if times else "missing"),
    )


def _day(instant: int) -> str:
    return datetime.datetime.fromtimestamp(instant / 1_000_000, tz=datetime.UTC).isoformat(timespec="seconds")
