"""Evidence from plain arrays: actions, rewards, propensities and a table of what the target policy would do.

Whoever holds a single-action log as numpy arrays needs no file format and no policy class: this is the door.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable, check_actions, check_expected, check_probabilities
from offpolicy.evidence import ClusterName, Evidence, PropensityKind
from simenv.errors import UserError
from simenv.propensity import Conditional

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SingleActionLog:
    """A log of N rows, one action a row, as arrays.

    Attributes:
        action: The action played, (N,), integers from 0.
        reward: What it earned, (N,), finite; integers and booleans are taken as numbers.
        propensity: Probability of the logged action under the logger, (N,), in (0, 1]; or of all actions, (N, A), each
            row summing to 1; None where nobody logged it (see `offpolicy.single.propensities.learned`).
        context: What was known before the action, (N, F), finite; None where nothing was.
        context_names: Names of the F features; numbered where left out.
        cluster: Which independent unit (shopper) a row belongs to, (N,) integers; None declares that every row is its
            own, which no verdict trusts.
        cluster_name: What a cluster is.
        propensity_kind: "estimated" where propensities were fitted.
        propensity_error: Their calibration error then.
        unit: What a row is, in the singular.

    Raises:
        UserError: If a shape, type or range is wrong; the message names the row.
    """

    action: Ints  # (N,)
    reward: Floats  # (N,)
    propensity: Floats | None = None  # (N,) or (N, A)
    context: Floats | None = None  # (N, F)
    context_names: tuple[str, ...] = ()
    cluster: Ints | None = None  # (N,)
    cluster_name: ClusterName = "shopper"
    propensity_kind: PropensityKind = "exact"
    propensity_error: float | None = None
    unit: str = "decision"

    def __post_init__(self) -> None:
        object.__setattr__(self, "reward", np.asarray(self.reward, dtype=np.float64))
        if self.context is not None:
            object.__setattr__(self, "context", np.asarray(self.context, dtype=np.float64))
        _check(self)

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.action)

    @property
    def clusters(self) -> Ints:
        """The cluster of each row, (N,); row numbers where none was given."""
        return np.arange(self.n_rows) if self.cluster is None else self.cluster

    def needed_context(self) -> Floats:
        """The context, (N, F).

        Raises:
            UserError: If there is none.
        """
        if self.context is None:
            raise UserError("the log has no context; expected (N, F) features that were known before the action.")
        return self.context


def evidence_of(log: SingleActionLog, target: Floats, q: Floats | None = None) -> Evidence:
    """The evidence of a single-action log on a target policy.

    Args:
        log: The log, with propensities.
        target: What the target policy would have done: probabilities of all actions, (N, A); or of the logged action
            alone, (N,), which leaves the direct method and its kin without what they need.
        q: Expected reward of every action by a model that never saw the row's shopper, (N, A), as
            `offpolicy.single.reward.expected_rewards` makes it; needs `target` as a table.

    Returns:
        Evidence of one slot; with `actions` where both policies' tables are given.

    Raises:
        UserError: If the log has no propensities, or a shape or range is wrong; the message names the row.
    """
    if log.propensity is None:
        raise UserError(
            "the log has no propensities. Fit them with offpolicy.single.propensities.learned(log, n_actions), which "
            "no verdict trusts, or log the probability that each action was drawn with."
        )
    is_table = log.propensity.ndim == 2 and target.ndim == 2
    actions = ActionTable(log.action, log.propensity, target, q) if is_table else None  # checks what it holds
    p_logger = _of_logged("the logger", log.propensity, log, is_checked=is_table)
    p_target = _of_logged("the target", target, log, is_checked=is_table)
    _check_logged(p_logger)
    with np.errstate(divide="ignore"):  # the target may never play it: log 0 is -inf
        logger, chosen = np.log(p_logger), np.log(p_target)
    q_logged = q_target = None
    if q is not None:
        if target.ndim != 2:
            raise UserError("q is given but target holds the logged action alone; expected a table (N, A) of both.")
        if not is_table:
            check_expected("q", q, target.shape)
        q_logged = _logged_entries(q, log.action)[:, None]
        q_target = np.einsum("na,na->n", target, q)
    names = log.context_names or tuple(
        f"context {j}" for j in range(0 if log.context is None else log.context.shape[1])
    )
    return Evidence(
        reward=log.reward[:, None],
        logger=Conditional(logger[:, None]),
        target=Conditional(chosen[:, None]),
        cluster=log.clusters,
        cluster_name="row" if log.cluster is None else log.cluster_name,
        q_logged=q_logged,
        q_target=q_target,
        actions=actions,
        features=log.context,
        feature_names=names,
        propensity_kind=log.propensity_kind,
        propensity_error=log.propensity_error,
        unit=log.unit,
    )


def _of_logged(name: str, p: Floats, log: SingleActionLog, *, is_checked: bool) -> Floats:
    """Probability of the logged action, (N,), from a table or from itself."""
    if p.dtype.kind != "f" or p.ndim not in (1, 2) or len(p) != log.n_rows:
        raise UserError(
            f"{name}'s probabilities are {p.dtype} of shape {p.shape}; expected floats of shape ({log.n_rows},) or "
            f"({log.n_rows}, A)."
        )
    if p.ndim == 1:
        if not (p.min() >= 0.0 and p.max() <= 1.0 + 1e-9):
            row = int(np.argmin((p >= 0.0) & (p <= 1.0 + 1e-9)))
            raise UserError(
                f"log row {row}: {name}'s propensity is {p[row]:g}; expected 0 < p <= 1. Was log-probability written "
                "instead? Convert with exp()."
            )
        return p
    if not is_checked:
        check_probabilities(name, p)
        check_actions(log.action, p.shape[1])
    return _logged_entries(p, log.action)


def _logged_entries(table: Floats, action: Ints) -> Floats:
    n_rows, n_actions = table.shape
    flat = np.arange(0, n_rows * n_actions, n_actions)
    flat += action
    return np.take(table, flat)


def _check_logged(p: Floats) -> None:
    if p.min() <= 0.0:
        row = int(p.argmin())
        raise UserError(
            f"log row {row}: the logger's propensity of the action it played is 0; expected 0 < p <= 1. Take the "
            "probability that the action was drawn with."
        )


def _check(log: SingleActionLog) -> None:
    n_rows = len(log.action)
    if log.action.ndim != 1 or log.action.dtype.kind not in "iu" or n_rows == 0:
        raise UserError(f"action is {log.action.dtype} of shape {log.action.shape}; expected integers of shape (N,).")
    if log.action.min() < 0:
        row = int(log.action.argmin())
        raise UserError(f"log row {row}: action is {log.action[row]}; expected an integer from 0.")
    if log.reward.shape != (n_rows,):
        raise UserError(f"reward has shape {log.reward.shape}; expected ({n_rows},), one a row as of action.")
    if log.context is not None:
        context = log.context
        if context.ndim != 2 or len(context) != n_rows or not np.isfinite(context).all():
            raise UserError(f"context has shape {context.shape}; expected finite numbers of shape ({n_rows}, F).")
        if log.context_names and len(log.context_names) != context.shape[1]:
            raise UserError(
                f"{len(log.context_names)} context_names for {context.shape[1]} features; expected one each."
            )
