"""Columns that are made only where an estimator is asked for that needs them: each is a fit, or a pass, of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from offpolicy.estimators import estimator
from offpolicy.evidence import Evidence
from offpolicy.single.arrays import SingleActionLog
from offpolicy.single.kinds import with_kinds
from offpolicy.single.reward import expected_rewards
from offpolicy.single.robust import with_robust_model

OF_TABLE = ("actions", "q_logged", "q_target", "q_robust", "q_robust_target")
OF_KINDS = ("embedding", "q_within", "q_within_target")


def makeable(evidence: Evidence) -> frozenset[str]:
    """Columns that `filled` can make of this evidence."""
    if evidence.actions is None:
        return frozenset()
    return frozenset(OF_TABLE if evidence.actions.kind is None else (*OF_TABLE, *OF_KINDS))


def filled(evidence: Evidence, names: Iterable[str], seed: int = 0) -> Evidence:
    """Evidence with the columns that these estimators need and it lacks, as far as its table of actions can make them.

    Args:
        evidence: Of single actions with the table of all actions; other evidence is left as it is.
        names: Estimators, maybe with strengths.
        seed: Of the folds of all models.

    Raises:
        UserError: If there are too few clusters for a model that is needed.
    """
    able, needs = makeable(evidence), {need for name in names for need in estimator(name).needs}
    if evidence.actions is None:
        return evidence
    lacks = {need for need in needs & able if getattr(evidence, need) is None}
    if ("actions" in needs and evidence.actions.q is None) or lacks & {"q_logged", "q_target"}:
        evidence = with_rewards(evidence, seed)
    if lacks & {"q_robust", "q_robust_target"}:
        evidence = with_robust_model(evidence, seed=seed)
    if lacks & set(OF_KINDS):
        evidence = with_kinds(evidence, seed=seed)
    return evidence


def with_rewards(evidence: Evidence, seed: int = 0) -> Evidence:
    """Evidence whose table says what a cross-fitted model expects of every action; `dm` and `dr` read it where absent.

    Raises:
        UserError: If there is no table, or too few clusters.
    """
    table = evidence.actions
    assert table is not None
    log = SingleActionLog(
        action=table.action,
        reward=evidence.reward[:, 0],
        propensity=table.logger,
        context=evidence.features,
        cluster=evidence.cluster,
    )
    q = expected_rewards(log, table.n_actions, seed=seed).q
    made = replace(evidence, actions=replace(table, q=q))
    if evidence.q_logged is not None and evidence.q_target is not None:
        return made
    q_logged = np.take_along_axis(q, table.action[:, None], 1)
    return replace(made, q_logged=q_logged, q_target=np.einsum("na,na->n", table.target, q))
