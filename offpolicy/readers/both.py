"""Both policies' propensities of a mapped log: from its columns, its table of all actions, or a function's answer.

What they are said to be is checked against what they look like, and they are put into the one form that both have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable, check_probabilities
from offpolicy.loggers import log_mixture
from offpolicy.readers import chances
from offpolicy.readers.chances import Given
from offpolicy.readers.context import Context
from offpolicy.readers.mapping import Kind, Scale
from offpolicy.readers.pages import Pages
from offpolicy.readers.reading import Caveat
from simenv.errors import UserError, unknown_name

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Answers = Mapping[str, npt.NDArray[Any]]

_TABLE = 1e-4  # between a logged propensity and the table of all actions, written with few decimals


@dataclass(frozen=True)
class Chances:
    """Both policies' propensities in the form that they share."""

    logger: Floats  # (N, K) or (N, 1)
    target: Floats
    logger_marginal: Floats | None
    target_marginal: Floats | None
    form: str  # "slots", "page" or "marginals"
    shown: Bools  # (N, K) where a slot is not empty


def action_table(pages: Pages) -> ActionTable | None:
    """The table of all actions, its target that of the log where it has one (else the logger's, never used)."""
    mapping = pages.mapping
    if mapping.actions is None:
        return None
    logger = np.stack([pages.columns.numbers(name, "actions.logger") for name in mapping.actions.logger], axis=1)
    _check_table(pages, "logger", logger)
    target = logger
    if mapping.actions.target:
        target = np.stack([pages.columns.numbers(name, "actions.target") for name in mapping.actions.target], axis=1)
        _check_table(pages, "target", target)
    codes, values = pages.ids(mapping.action[0], "action")
    place = {value: at for at, value in enumerate(mapping.actions.values)}
    own = np.array([place.get(str(value), -1) for value in values], dtype=np.int64)
    action = own[codes]
    if (action < 0).any():
        page = int((action < 0).argmax())
        raise UserError(
            f"{pages.place(page)}: action is {values[codes[page]]!r}; expected one of [actions] values: "
            f"{', '.join(mapping.actions.values[:8])}."
        )
    kinds = mapping.actions.kinds
    kind = np.unique(np.array(kinds), return_inverse=True)[1].astype(np.int64) if kinds else None
    return ActionTable(action, logger, target, kind=kind)


def logger_chances(pages: Pages, shown: Bools, table: ActionTable | None) -> dict[Kind, Floats]:
    """The logger's log-probabilities by kind; none where the log has none.

    Raises:
        UserError: Naming the first row whose propensity is wrong, or is not what the table of all actions says.
    """
    given = chances.from_columns(pages, pages.mapping.propensity, "propensity")
    made = chances.checked(pages, given, shown, by_logger=True)
    if table is None:
        return made
    own = np.take_along_axis(table.logger, table.action[:, None], axis=1)
    if not made:
        return chances.checked(
            pages, [Given(own, "conditional", "probability", "actions.logger")], shown, by_logger=True
        )
    logged = np.exp(next(iter(made.values())))
    off = np.abs(logged - own)[:, 0] > _TABLE
    if off.any():
        page = int(off.argmax())
        raise UserError(
            f"{pages.place(page)}: propensity is {logged[page, 0]:g}, but [actions] logger gives the action "
            f"{own[page, 0]:g}; expected the same number. Are the actions in the order of the columns?"
        )
    return made


def target_chances(
    pages: Pages, shown: Bools, table: ActionTable | None, answer: Answers, name: str
) -> dict[Kind, Floats]:
    """The target's log-probabilities by kind: a function's answer, or columns; none where nobody gives them."""
    mapping = pages.mapping
    numbers = {key: value for key, value in answer.items() if key != "ranking"}
    if numbers:
        given = [_answered(pages, key, value, table, name) for key, value in numbers.items()]
    else:
        given = chances.from_columns(pages, mapping.target, "target")
        if table is not None and not given and mapping.actions is not None and mapping.actions.target:
            own = np.take_along_axis(table.target, table.action[:, None], axis=1)
            given = [Given(own, "conditional", "probability", "actions.target")]
    return chances.checked(pages, given, shown, by_logger=False)


def doubts(pages: Pages, logger: Mapping[Kind, Floats], shown: Bools) -> tuple[Caveat, ...]:
    """Refuse conditionals that are called marginals; doubt marginals that are called conditionals."""
    seen = None if pages.mapping.kind_is_certain else chances.looks_otherwise(logger, shown)
    if seen is None:
        return ()
    kind, why = seen
    if kind == "conditional":
        raise UserError(
            f'[propensity] says kind = "marginal", but {why}: these are conditionals (each slot given those above). '
            'Say kind = "conditional", or kind_is_certain = true if you know better.'
        )
    return (Caveat(f"propensities are called conditional, but {why}, as marginals (or independent slots) have it"),)


def in_one_form(
    logger: Mapping[Kind, Floats], target: Mapping[Kind, Floats], shown: Bools, *, whole_pages: bool = False
) -> Chances:
    """Both in the most telling form that they share: conditionals, else whole pages, else marginals.

    Args:
        logger: Log-probabilities by kind.
        target: The same.
        shown: Where a slot is not empty.
        whole_pages: Whether whole pages are wanted, as mixtures of loggers are.

    Raises:
        UserError: If they share none.
    """
    slots = chances.conditional(logger, shown), chances.conditional(target, shown)
    if slots[0] is not None and slots[1] is not None and not whole_pages:
        marginal = logger.get("marginal"), target.get("marginal")
        if marginal[0] is None or marginal[1] is None:
            marginal = None, None
        return Chances(slots[0], slots[1], marginal[0], marginal[1], "slots", shown)
    pages = chances.whole(logger, shown), chances.whole(target, shown)
    if pages[0] is not None and pages[1] is not None:
        return Chances(pages[0], pages[1], None, None, "page", shown)
    if "marginal" in logger and "marginal" in target and not whole_pages:
        return Chances(logger["marginal"], target["marginal"], None, None, "marginals", shown)
    raise UserError(
        f"the logger's propensities are {', '.join(logger)}, the target's {', '.join(target)}; these cannot be "
        "divided by one another. Expected conditional, prefix or whole for both, or marginal for both."
    )


def mixture_of(pages: Pages, context: Context, logp_logger: Floats) -> Floats | None:
    """Log-probability of each page under the mixture of all loggers, (N, 1), where the log has them all.

    Raises:
        UserError: If a logger has no column, or a row's own logger gives it another probability than was logged.
    """
    columns = pages.mapping.loggers
    if columns is None:
        return None
    if context.stratum is None:
        raise UserError("[loggers] needs columns.logger, the column that says which of them wrote a row.")
    for name in context.stratum_names:
        if name not in columns:
            raise unknown_name("logger in [loggers] that wrote rows,", name, columns)
    p = np.stack([pages.whole(columns[name], f"loggers.{name}") for name in context.stratum_names], axis=1)  # (N, J)
    own = np.take_along_axis(p, context.stratum[:, None], axis=1)
    off = ~((p >= 0.0) & (p <= 1.0 + 1e-6)).all(axis=1) | (np.abs(own - np.exp(logp_logger)) > _TABLE * own)[:, 0]
    if off.any():
        page = int(off.argmax())
        raise UserError(
            f"{pages.place(page)}: [loggers] gives the page {p[page].round(6).tolist()} "
            f"({', '.join(context.stratum_names)}); expected probabilities, that of its own logger equal to the "
            f"propensity {np.exp(logp_logger[page, 0]):g}."
        )
    with np.errstate(divide="ignore"):
        return log_mixture(np.log(p), context.stratum)[:, None]


def with_target(table: ActionTable | None, answer: Answers) -> ActionTable | None:
    """The table with the target's probabilities, or none where the target does not tell all of them."""
    if table is None or table.target is not table.logger:
        return table
    if "action_probabilities" not in answer:
        return None
    return replace(table, target=answer["action_probabilities"])


def _answered(pages: Pages, key: str, value: npt.NDArray[Any], table: ActionTable | None, name: str) -> Given:
    """One entry of a function's answer as propensities of the pages."""
    if key == "action_probabilities":
        if table is None or value.shape != table.logger.shape:
            raise UserError(
                f"policy '{name}' returned action_probabilities of shape {value.shape}; expected (rows, actions) of "
                "[actions] in the mapping."
            )
        _check_table(pages, f"policy '{name}'", value)
        own = np.take_along_axis(value, table.action[:, None], axis=1)
        return Given(own, "conditional", "probability", key)
    scale: Scale = "log" if key.startswith("logp_") else "probability"
    kind = cast(Kind, key.partition("_")[2])
    by_row = value[:, None] if value.ndim == 1 else value
    expected = pages.shape[1] if pages.mapping.layout == "wide" and kind != "whole" else 1
    if by_row.shape[1] != expected:
        raise UserError(
            f"policy '{name}': {key} has shape {value.shape}; expected {expected} "
            f"number{'s' if expected > 1 else ''} a row of the file."
        )
    if pages.mapping.layout == "wide" or kind == "whole":
        return Given(by_row[pages.row[:, 0]], kind, scale, f"policy '{name}' {key}")
    return Given(by_row[pages.row, 0], kind, scale, f"policy '{name}' {key}")


def _check_table(pages: Pages, name: str, p: Floats) -> None:
    try:
        check_probabilities(name, p)
    except UserError as problem:
        bad = ~(np.isfinite(p) & (p >= 0.0)).all(axis=1) | (np.abs(p.sum(axis=1) - 1.0) > 1e-6)
        raise UserError(f"{pages.place(int(bad.argmax()))}: {problem}") from None


def unsupported(pages: Pages, table: ActionTable | None) -> tuple[Caveat, ...]:
    """A caveat where the target plays what the logger never could; needs all actions of both."""
    if table is None:
        return ()
    outside = np.where(table.logger == 0.0, table.target, 0.0).sum(axis=1)
    share = float(outside.mean())
    if share <= 1e-9:
        return ()
    text = (
        f"the target plays what the logger never could in {share:.2%} of its choices (first: "
        f"{pages.place(int((outside > 0.0).argmax()))}): what that earns is not in the log"
    )
    return (Caveat(text, 2 if share > 0.05 else 1),)
