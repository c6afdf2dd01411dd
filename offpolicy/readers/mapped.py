"""Any CSV, Parquet or JSON-lines log, by its mapping file, as evidence: the one place where roles become columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.audit.columns import score_residual
from offpolicy.clickmodel import ClickLog
from offpolicy.evidence import ClusterName, Evidence
from offpolicy.loggers import second_moments
from offpolicy.readers.both import (
    Chances,
    action_table,
    doubts,
    in_one_form,
    logger_chances,
    mixture_of,
    target_chances,
    unsupported,
    with_target,
)
from offpolicy.readers.context import Context, read_context
from offpolicy.readers.files import Columns, read_columns
from offpolicy.readers.mapping import Kind, LogMapping
from offpolicy.readers.pages import Pages, find_pages
from offpolicy.readers.reading import Caveat, Reading
from offpolicy.readers.target import TargetFunction, ask
from offpolicy.readers.understood import describe
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ITEM_POSITION = ("ips-item", "snips-item")
ONLY_MARGINALS = (
    "the log and the target give only marginal propensities (item at slot), from which the probability of a whole page "
    "cannot be made; each slot is read as a row of its own"
)


def read_mapped(
    path: Path, mapping: LogMapping, policy: TargetFunction | None = None, policy_name: str = "the function"
) -> Reading:
    """Read a log by its mapping.

    Args:
        path: File or folder.
        mapping: Columns to roles.
        policy: The target policy as a function of the log's columns; None where the mapping names its columns, or where
            there is none yet.
        policy_name: What the user calls it.

    Returns:
        Evidence by reward; none, and the reason, where the log gives no weights.

    Raises:
        UserError: Naming the file and row of what is wrong.
    """
    columns = read_columns(path, mapping.numeric, None if policy else mapping.wanted)
    return reading_of(columns, mapping, policy, policy_name)


def reading_of(
    columns: Columns,
    mapping: LogMapping,
    policy: TargetFunction | None = None,
    policy_name: str = "the function",
    *,
    is_part: bool = False,
) -> Reading:
    """As `read_mapped`, of columns that were read.

    Args:
        columns: The whole log, or a part of it.
        mapping: As for `read_mapped`.
        policy: As for `read_mapped`.
        policy_name: As for `read_mapped`.
        is_part: Whether these are some rows among many, in which a logger may have left nothing to chance.

    Raises:
        UserError: As `read_mapped`.
    """
    pages = find_pages(columns, mapping)
    shown = _shown(pages)
    rewards = {name: _rewards(pages, names, name, shown) for name, names in mapping.rewards.items()}
    context = read_context(pages)
    table = action_table(pages)
    answer = ask(policy, policy_name, _as_arrays(columns)) if policy else {}
    logger = logger_chances(pages, shown, table)
    target = target_chances(pages, shown, table, answer, policy_name)
    full = with_target(table, answer)
    caveats = (*context.caveats, *unsupported(pages, full), *doubts(pages, logger, shown))
    clicks = _clicks(pages, next(iter(rewards.values())), context)
    understood = () if is_part else describe(pages, shown, rewards, context, logger, target)
    no_weight = "" if is_part and logger else _no_weight(logger, shown)
    if no_weight or not target:
        return Reading(
            columns.source.name, understood, caveats=caveats, no_weight=no_weight, clicks=clicks,
            target_missing=not target, ranking=_ranking(pages, answer, clicks), examination=mapping.examination,
            unit=mapping.unit,
        )  # fmt: skip
    both = in_one_form(logger, target, shown, whole_pages=mapping.loggers is not None)
    mixture = mixture_of(pages, context, both.logger)
    evidence = {
        name: _evidence(pages, reward, context, _for_reward(pages, name, both), full, mixture)
        for name, reward in rewards.items()
    }
    only = ITEM_POSITION if both.form == "marginals" else ()
    if both.form == "marginals":
        caveats = (*caveats, Caveat("the reward of a slot was taken to depend on its item and place alone; unchecked"))
    return Reading(
        columns.source.name, understood, evidence, caveats, only, ONLY_MARGINALS if only else "", clicks=clicks
    )


def _shown(pages: Pages) -> Bools:
    """Where a slot shows something: an item where items are mapped, else any reward or propensity."""
    mapping = pages.mapping
    if mapping.layout != "wide":
        return pages.row >= 0
    if mapping.action and len(mapping.action) == pages.shape[1]:
        shown = pages.items()[0] >= 0
    else:
        lists = [
            *mapping.rewards.values(),
            *(chance.columns for chance in mapping.propensity if chance.kind != "whole"),
        ]
        slots = [pages.numbers(names, "slots") for names in lists if len(names) == pages.shape[1]]
        shown = np.ones(pages.shape, dtype=np.bool_)
        if slots and pages.shape[1] > 1:
            shown &= np.isfinite(slots).any(axis=0)
    hole = shown[:, 1:] & ~shown[:, :-1]
    if hole.any():
        page, slot = (int(place) for place in np.argwhere(hole)[0])
        raise UserError(
            f"{pages.place(page, slot)}: it is empty and the slot below is not; expected slots to be filled from the "
            "top."
        )
    return shown


def _rewards(pages: Pages, names: tuple[str, ...], name: str, shown: Bools) -> Floats:
    """Reward by slot, (N, K); one of the whole page stands at the last slot, whose prefix is the page."""
    n_pages, n_slots = pages.shape
    role = f"rewards.{name}"
    if pages.mapping.layout == "wide" and len(names) == 1:
        given = pages.numbers(names, role)
        made = np.zeros((n_pages, n_slots))
        made[:, -1] = given[:, 0]
        filled = np.zeros((n_pages, n_slots), dtype=np.bool_)
        filled[:, -1] = True
    else:
        given = pages.numbers(names, role)
        made, filled = np.where(shown, given, 0.0), shown
        unseen = ~shown & np.isfinite(given) & (given != 0.0)
        if unseen.any():
            page, slot = (int(place) for place in np.argwhere(unseen)[0])
            raise UserError(
                f"{pages.place(page, slot)}: {name} is {given[page, slot]:g} where nothing was shown; expected an "
                "item, or no reward."
            )
    bad = filled & ~np.isfinite(made)
    if bad.any():
        page, slot = (int(place) for place in np.argwhere(bad)[0])
        raise UserError(
            f"{pages.place(page, min(slot, len(names) - 1))}: {', '.join(names[:3])} (role '{role}') is "
            f"{'missing or not a number' if np.isnan(made[page, slot]) else made[page, slot]}; expected a finite "
            "number. Where nothing was earned write 0."
        )
    return made


def _no_weight(logger: Mapping[Kind, Floats], shown: Bools) -> str:
    if not logger:
        return "it has no propensities (the mapping has no [propensity])"
    if all(float(np.abs(logp).max()) < 1e-9 for logp in logger.values()):
        return "its logger was deterministic (every propensity is 1), so nothing else was ever tried"
    return ""


def _for_reward(pages: Pages, name: str, both: Chances) -> Chances:
    """The propensities that a reward can be weighed by: one of the whole page says nothing of its slots."""
    is_of_page = pages.mapping.layout == "wide" and len(pages.mapping.rewards[name]) == 1 and pages.shape[1] > 1
    if not is_of_page:
        return both
    if both.form == "marginals":
        raise UserError(
            f"reward '{name}' is of the whole page and propensities are marginal (item at slot): whole pages cannot be "
            "weighed by them. Log the reward of each slot, or conditional propensities."
        )
    return replace(both, logger_marginal=None, target_marginal=None)


def _evidence(
    pages: Pages, reward: Floats, context: Context, both: Chances, table: ActionTable | None, mixture: Floats | None
) -> Evidence:
    mapping, shown = pages.mapping, both.shown
    n_pages, n_slots = pages.shape
    page = np.repeat(np.arange(n_pages), n_slots)[shown.ravel()] if both.form == "marginals" else np.arange(n_pages)
    q_logged = pages.numbers(mapping.model_logged, "model.logged") if mapping.model_logged else None
    q_target = pages.whole(mapping.model_target, "model.target") if mapping.model_target else None
    stratum = None if context.stratum is None else context.stratum[page]
    logger, target = both.logger, both.target
    logger_marginal, target_marginal = both.logger_marginal, both.target_marginal
    cluster_name: ClusterName = context.cluster_name
    if both.form == "marginals":
        reward, logger, target = (column[shown][:, None] for column in (reward, logger, target))
        logger_marginal, target_marginal = logger, target
        q_logged = q_target = None  # of pages, and a row is a slot here
        cluster_name = "session" if cluster_name == "row" and n_slots > 1 else cluster_name  # a page is one draw
    elif both.form == "page":
        reward = reward.sum(axis=1, keepdims=True)
    if q_logged is not None:
        q_logged = np.where(shown, q_logged, 0.0)
        q_logged = q_logged.sum(axis=1, keepdims=True) if both.form == "page" else q_logged
    try:
        return Evidence(
            reward=reward,
            logger=Conditional(logger),
            target=Conditional(target),
            logger_marginal=None if logger_marginal is None else Marginal(logger_marginal),
            target_marginal=None if target_marginal is None else Marginal(target_marginal),
            q_logged=q_logged,
            q_target=q_target,
            q_is_past_only=mapping.model_is_past_only and q_target is not None,
            actions=table,
            score_residual=None if table is None else score_residual(table),
            features=None if context.features is None else context.features[page],
            feature_names=mapping.features,
            segments={name: column[page] for name, column in context.segments.items()},
            time=None if context.time is None else context.time[page],
            stratum=stratum,
            reward_range=mapping.reward_range if both.form != "marginals" else None,
            mixture=None if mixture is None else Conditional(mixture),
            second_moment=None if table is None or stratum is None else second_moments(table, stratum),
            max_weight=mapping.max_weight if both.form != "marginals" else None,
            cluster=context.cluster[page],
            cluster_name=cluster_name,
            propensity_kind="estimated" if mapping.estimated_propensities else "exact",
            unit="slot" if both.form == "marginals" and n_slots > 1 else mapping.unit,
        )
    except UserError as problem:
        raise UserError(f"{pages.columns.source}: {problem} (rows count from 0 over all pages of the log)") from None


def _clicks(pages: Pages, reward: Floats, context: Context) -> ClickLog | None:
    """What a click model needs, where the log says what was shown for which query and rewards are clicks."""
    mapping = pages.mapping
    if len(mapping.action) == 0 or mapping.query is None or not np.isin(reward, (0.0, 1.0)).all():
        return None
    item, names = pages.items()
    if item.shape != reward.shape:
        return None
    query, _ = pages.ids(mapping.query, "query")
    return ClickLog(query, item, reward, context.cluster, tuple(names))


def _ranking(pages: Pages, answer: Mapping[str, npt.NDArray[Any]], clicks: ClickLog | None) -> Ints | None:
    """What a function would show, as item codes of the click log, (N, K'); None where it did not say."""
    if clicks is None or "ranking" not in answer:
        return None
    given = answer["ranking"]
    by_page = given[pages.row] if given.ndim == 1 else given[pages.row[:, 0]]
    known = {name: code for code, name in enumerate(clicks.names)}
    flat = ["" if item is None else str(item) for item in by_page.ravel().tolist()]
    codes = np.array([known.get(item, len(known)) if item else -1 for item in flat], dtype=np.int64)
    return (
        np.where(pages.row < 0, -1, codes.reshape(by_page.shape)) if given.ndim == 1 else codes.reshape(by_page.shape)
    )


def _as_arrays(columns: Columns) -> dict[str, npt.NDArray[Any]]:
    return {name: columns.data.column(name).to_numpy() for name in columns.names}
