"""Columns for many actions of few kinds: a ratio of kinds, and a model of what sets the actions of one kind apart.

Where thousands of actions fall into a few kinds, the logger shows every kind often and every action seldom. What a kind
is worth can then be weighed, and only what sets its actions apart is left to a model. Saito, Ren and Joachims,
"Off-policy evaluation for large action spaces via conjunct effect modeling" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable, check_expected
from offpolicy.evidence import Evidence
from offpolicy.reward_model import folds
from offpolicy.single.multinomial import check_folds
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # rows that say "alike" of each action, chosen on rows that no fit saw
FAMILIES = ("embedded", "within")  # cuts whose weights are of kinds


@dataclass(frozen=True)
class KindsModel:
    """q(x, a) = z . (base of a's kind + own of a), z = (1, standardised context).

    Attributes:
        base: (G, F + 1).
        own: (A, F + 1); 0 for an action that was never seen, which is then like its kind.
        kind: (A,).
        centre, scale: Of the context, (F,).
    """

    base: Floats
    own: Floats
    kind: Ints
    centre: Floats
    scale: Floats

    def expect(self, context: Floats) -> Floats:
        """Expected reward of every action, (n, F) to (n, A)."""
        made: Floats = _design(context, self.centre, self.scale) @ (self.base[self.kind] + self.own).T
        return made


def with_kinds(
    evidence: Evidence, kind: Ints | None = None, q: Floats | None = None, n_folds: int = 5, seed: int = 0
) -> Evidence:
    """Evidence with what `mips` and `offcem` need: the ratio of the logged action's kind, and a model within kinds.

    Args:
        evidence: Of single actions, with the table of all actions.
        kind: Kind of each action, (A,) integers from 0; that of the table where None.
        q: Expected reward of every action by a model that never saw the row's cluster, (N, A); fitted where None, in
            two steps (what sets an action apart within its kind, then what the kind is worth), ridge on the context.
        n_folds: At least 2, of that fit.
        seed: Names the split.

    Raises:
        UserError: If the table or the kinds are absent, or the logger gave a logged kind no probability.
    """
    table = evidence.actions
    kind = table.kind if kind is None and table is not None else kind
    if table is None or kind is None:
        raise UserError(
            "the table of all actions, or what kind each is, is absent. Make the evidence from tables of both policies "
            "and give kind, (A,); in a mapping: [actions] kinds = [...], one an action."
        )
    actions = replace(table, kind=kind)
    logger, target = (_by_kind(p, kind) for p in (table.logger, table.target))  # (N, G)
    logged = kind[table.action][:, None]
    ratio = np.take_along_axis(target, logged, 1)[:, 0] / np.take_along_axis(logger, logged, 1)[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        foreseen = np.where(target > 0.0, target**2 / logger, 0.0).sum(axis=1)
    if q is None:
        q = differences(actions, evidence.features, evidence.reward[:, 0], evidence.cluster, n_folds, seed)
    check_expected("q", q, table.logger.shape)
    return replace(
        evidence,
        actions=actions,
        embedding=ratio,
        foreseen={**evidence.foreseen, **dict.fromkeys(FAMILIES, foreseen)},
        q_within=np.take_along_axis(q, table.action[:, None], 1),
        q_within_target=np.einsum("na,na->n", table.target, q),
    )


def differences(
    actions: ActionTable, context: Floats | None, reward: Floats, cluster: Ints, n_folds: int = 5, seed: int = 0
) -> Floats:
    """Expected reward of every action, (N, A), by two-step models of the other folds of clusters.

    How much the actions of a kind are taken to be alike is chosen on the next fold, which the fit leaves out.

    Raises:
        UserError: If there are too few clusters.
    """
    check_folds(cluster, n_folds, 3)
    seen = np.zeros((len(reward), 0)) if context is None else context
    fold, q = folds(cluster, n_folds, seed), np.empty(actions.logger.shape)
    for held in range(n_folds):
        mine, beside = fold == held, fold == (held + 1) % n_folds
        if not mine.any():
            continue
        inner = ~mine & ~beside
        errors = []
        for penalty in PENALTIES:
            expected = fit_kinds(actions, seen, reward, inner, penalty).expect(seen[beside])
            off = reward[beside] - np.take_along_axis(expected, actions.action[beside][:, None], 1)[:, 0]
            errors.append(float(off @ off))
        q[mine] = fit_kinds(actions, seen, reward, ~mine, PENALTIES[int(np.argmin(errors))]).expect(seen[mine])
    return q


def fit_kinds(
    actions: ActionTable, context: Floats, reward: Floats, rows: npt.NDArray[np.bool_], penalty: float
) -> KindsModel:
    """The two steps on some rows.

    Pairs of rows of one context and kind, which would cancel what the kind is worth, are rare in logs: a regression on
    the context within each kind is taken off instead. What is left tells an action from the others of its kind; taken
    off in turn, it leaves what the kind is worth.
    """
    assert actions.kind is not None
    action, r, x = actions.action[rows], reward[rows], context[rows]
    centre, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    z, of, n_kinds = _design(x, centre, scale), actions.kind[action], int(actions.kind.max()) + 1
    base = _ridges(of, n_kinds, z, r, 1.0)
    own = _ridges(action, actions.n_actions, z, r - (z * base[of]).sum(axis=1), penalty)
    base = _ridges(of, n_kinds, z, r - (z * own[action]).sum(axis=1), 1.0)
    return KindsModel(base, own, actions.kind, centre, scale)


def _ridges(code: Ints, n_codes: int, z: Floats, r: Floats, penalty: float) -> Floats:
    """A ridge regression of its own for the rows of each code, (n_codes, F + 1); 0 where there are none."""
    made, order = np.zeros((n_codes, z.shape[1])), np.argsort(code, kind="stable")
    codes, starts = np.unique(code[order], return_index=True)
    for one, rows in zip(codes, np.split(order, starts[1:]), strict=True):
        own = z[rows]
        made[one] = np.linalg.solve(own.T @ own + penalty * np.eye(z.shape[1]), own.T @ r[rows])
    return made


def _by_kind(p: Floats, kind: Ints) -> Floats:
    made: Floats = p @ np.eye(int(kind.max()) + 1)[kind]
    return made


def _design(context: Floats, centre: Floats, scale: Floats) -> Floats:
    return np.column_stack([np.ones(len(context)), (context - centre) / scale])
