"""The action table: every action's probability, for single-action logs that hold them all.

Most estimators need only the logged action. A few ask what the policies would have done with the others: the switch
estimator, embeddings, the score of the logger. Slates have too many "actions" for such a table; it is for K = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDING = 1e-6  # by which a row of probabilities may miss 1


@dataclass(frozen=True)
class ActionTable:
    """Probabilities of all A actions in each row, and what a reward model expects of them.

    Attributes:
        action: The logged action, (N,), 0 to A - 1.
        logger: P(a | x) under the logging policy, (N, A), each row sums to 1.
        target: The same under the target policy, (N, A).
        q: Expected reward of each action by a model that never saw this row's shopper, (N, A); None without a model.
        kind: What kind of action each is (category, brand), (A,) integers from 0; None where nobody says.

    Raises:
        UserError: If a shape or a range is wrong; the message names the row.
    """

    action: Ints  # (N,)
    logger: Floats  # (N, A)
    target: Floats  # (N, A)
    q: Floats | None = None  # (N, A)
    kind: Ints | None = None  # (A,)

    def __post_init__(self) -> None:
        check_action_table(self)

    @property
    def n_actions(self) -> int:
        """A."""
        return int(self.logger.shape[1])

    def beyond_support(self) -> float:
        """Mean probability that the target plays an action which the logger never plays there."""
        never = self.logger == 0.0
        return float(np.where(never, self.target, 0.0).sum()) / len(self.action) if never.any() else 0.0

    def weights(self) -> Floats:
        """Target / logger for every action, (N, A); 0 where neither would play it, inf where only the target would."""
        with np.errstate(divide="ignore", invalid="ignore"):
            made = self.target / self.logger
        return np.where(self.target == 0.0, 0.0, made)


def check_action_table(table: ActionTable) -> None:
    """Check shapes, ranges and sums.

    Raises:
        UserError: Naming the first bad row, what was expected, and what to do.
    """
    for name, p in (("logger", table.logger), ("target", table.target)):
        check_probabilities(name, p)
    n_rows, n_actions = table.logger.shape
    if table.target.shape != table.logger.shape:
        raise UserError(f"target has shape {table.target.shape}; expected {table.logger.shape} as the logger's table.")
    if table.action.shape != (n_rows,) or table.action.dtype.kind not in "iu":
        raise UserError(
            f"action is {table.action.dtype} of shape {table.action.shape}; expected integers of shape ({n_rows},)."
        )
    check_actions(table.action, n_actions)
    if table.q is not None:
        check_expected("q", table.q, table.logger.shape)
    kind = table.kind
    if kind is not None and (kind.shape != (n_actions,) or kind.dtype.kind not in "iu" or kind.min() < 0):
        raise UserError(
            f"kind is {kind.dtype} of shape {kind.shape}; expected an integer from 0 for each of {n_actions} actions."
        )


def check_actions(action: Ints, n_actions: int) -> None:
    """Check that actions are 0 to A - 1.

    Raises:
        UserError: Naming the first bad row.
    """
    if action.min() < 0 or action.max() >= n_actions:
        row = int(((action < 0) | (action >= n_actions)).argmax())
        raise UserError(f"log row {row}: action is {action[row]}; expected 0 to {n_actions - 1}.")


def check_expected(name: str, q: Floats, shape: tuple[int, ...]) -> None:
    """Check a table of expected rewards (N, A): finite floats.

    Raises:
        UserError: If the shape is wrong, or naming the first bad row.
    """
    if q.shape != shape or q.dtype.kind != "f":
        raise UserError(f"{name} is {q.dtype} of shape {q.shape}; expected floats of shape {shape}.")
    if not np.isfinite(q.sum()) and not np.isfinite(q).all():  # the sum is cheap, and finite where all are
        row = int(np.argmin(np.isfinite(q).all(axis=1)))
        raise UserError(f"log row {row}: {name} holds a number that is not finite; expected the reward of each action.")


def check_probabilities(name: str, p: Floats) -> None:
    """Check a table of probabilities (N, A): numbers in [0, 1] whose rows sum to 1.

    Raises:
        UserError: Naming the first bad row.
    """
    if p.ndim != 2 or 0 in p.shape or p.dtype.kind != "f":
        raise UserError(f"{name}'s probabilities are {p.dtype} of shape {p.shape}; expected floats of shape (N, A).")
    allowed = max(ROUNDING, 1e-7 * p.shape[1])
    total = p @ np.ones(p.shape[1])  # (N,); many times faster than a sum over a short axis
    # Nothing negative and rows that sum to 1: then all is well, and what follows need not look at every entry.
    if p.min() >= 0.0 and np.abs(total - 1.0).max() <= allowed:
        return
    bad = ~((p >= 0.0) & (p <= 1.0 + ROUNDING)).all(axis=1)  # not-a-number is neither
    if bad.any():
        row = int(bad.argmax())
        value = p[row][~((p[row] >= 0.0) & (p[row] <= 1.0 + ROUNDING))][0]
        raise UserError(
            f"log row {row}: {name} gives an action probability {value:g}; expected numbers from 0 to 1. Were "
            "log-probabilities or scores written instead? Convert with exp() or a softmax."
        )
    row = int((np.abs(total - 1.0) > allowed).argmax())
    raise UserError(
        f"log row {row}: {name}'s action probabilities sum to {p[row].sum():.6g}; expected 1. Normalise them over "
        "the actions that could be played."
    )
