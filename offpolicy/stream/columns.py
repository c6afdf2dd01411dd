"""The columns that one pass sums up: of every estimator, of its weights, and of what the audit looks at.

They stand in named blocks, the same for every chunk of a log, so that sums of one chunk can be added to another's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.audit.calibration import BINS, played
from offpolicy.diagnostics import placebo_products
from offpolicy.estimator import Estimator
from offpolicy.evidence import Evidence
from offpolicy.stream.plan import Family, Plan
from offpolicy.terms import Terms, direct, joint

Floats = npt.NDArray[np.float64]

TOTAL = "total reward"
LOOKS = "looks at interference"
PLACEBO = "placebo"
RESIDUAL = "score residual and its square"
MODEL = "squared reward, squared error of the model, error, weighted error"
FEATURES = "features"
CALIBRATION = "how often actions are played beyond their probability"


def of_estimator(one: Estimator) -> str:
    """The block of an estimator's statistics: plain, above, below."""
    return f"estimator {one.name}"


def of_weight(family: int) -> str:
    """The block of the mean weight of a family that nobody reshaped, by its number in the plan."""
    return f"weight {family}"


def of_balance(family: int) -> str:
    """The block of (weight - 1) times each feature."""
    return f"balance {family}"


def of_segments(family: int) -> str:
    """The block of (weight - 1) in each segment that is looked at, 0 outside it."""
    return f"segments {family}"


def of_drift(family: int) -> str:
    """The block of (weight - 1) in each part of the time, 0 outside it."""
    return f"drift {family}"


def blocks_of(evidence: Evidence, plan: Plan, terms: dict[Family, Terms]) -> dict[str, Floats]:
    """All columns of some rows in blocks by name, (columns, n) each.

    Args:
        evidence: The rows.
        plan: What to sum up.
        terms: The rows as every family of the plan cuts them.
    """
    total = evidence.reward.sum(axis=1)
    made: dict[str, Floats] = {TOTAL: total[None]}
    for one in plan.members:
        own = one.formula(terms[(one.terms, one.strength, None if one.strength is None else one.at)])
        made[of_estimator(one)] = own.columns().T if own.n_ratios else own.plain[None]
    features = evidence.features.T if evidence.features is not None else np.zeros((len(plan.features), len(total)))
    segments, parts = _segments(evidence, plan), _parts(evidence, plan)
    for at, ((cut, strength, _), cuts) in enumerate(terms.items()):
        if strength is None:
            weight = row_weight(cuts)
            made[of_weight(at)] = weight[None]
            if cut is not direct:
                looked = {of_balance(at): features, of_segments(at): segments, of_drift(at): parts}
                made |= {name: (weight - 1.0) * columns for name, columns in looked.items() if len(columns)}
    if plan.features:
        made[FEATURES] = features
    return made | _beside(evidence, plan, total, terms)


def row_weight(terms: Terms) -> Floats:
    """The mean weight of each row's pieces, (n,)."""
    return terms.weight[:, 0] if terms.weight.shape[1] == 1 else terms.weight.mean(axis=1)


def _segments(evidence: Evidence, plan: Plan) -> Floats:
    """Which rows are in each segment that is looked at, (segments, n)."""
    looked = [evidence.segments[name] == value for name, value, _ in plan.survey.segments]
    return np.array(looked, dtype=np.float64).reshape(len(looked), evidence.n_rows)


def _parts(evidence: Evidence, plan: Plan) -> Floats:
    """Which rows are in each part of the time, (parts, n)."""
    n_parts = len(plan.survey.shares)
    if not n_parts or evidence.time is None:
        return np.zeros((n_parts, evidence.n_rows))
    part = np.searchsorted(np.array(plan.survey.edges), evidence.time, side="left")
    made: Floats = np.arange(n_parts)[:, None] == part
    return made.astype(np.float64)


def _beside(evidence: Evidence, plan: Plan, total: Floats, terms: dict[Family, Terms]) -> dict[str, Floats]:
    """What the audit looks at; zeros where these rows lack it, so that all chunks are alike."""
    made: dict[str, Floats] = {}
    n_rows, n_slots = evidence.n_rows, evidence.n_slots
    if "placebo" in plan.beside:
        made[PLACEBO] = np.zeros((n_slots, n_rows)) if evidence.placebo is None else evidence.placebo.T
        if plan.looks and n_slots > 1:
            products = [np.zeros((n_slots - 1, n_rows))] * 2
            if evidence.placebo is not None:
                products = [part.T for part in placebo_products(evidence)]
            made[LOOKS] = np.concatenate(products)
    if "score_residual" in plan.beside:
        residual = np.zeros(n_rows) if evidence.score_residual is None else evidence.score_residual
        made[RESIDUAL] = np.stack([residual, residual**2])
    if "actions" in plan.beside:
        made[CALIBRATION] = np.zeros((BINS, n_rows)) if evidence.actions is None else played(evidence.actions).surplus.T
    if "q_logged" in plan.beside:
        left = total - (total if evidence.q_logged is None else evidence.q_logged.sum(axis=1))
        weighed = [row_weight(cuts) for (cut, strength, _), cuts in terms.items() if cut is joint and strength is None]
        made[MODEL] = np.stack([total**2, left**2, left, left * weighed[0] if weighed else left])
    return made
