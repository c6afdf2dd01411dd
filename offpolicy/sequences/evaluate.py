"""Evaluate sequences: from evidence on searches to estimates of what sessions, or shoppers' whole stays, are worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from offpolicy.estimate import Estimate, evaluate
from offpolicy.evidence import Evidence
from offpolicy.sequences.blend import with_blend
from offpolicy.sequences.fitted_q import StepFeatures, cross_fitted_q, fitted_q, model_noise
from offpolicy.sequences.sessions import lay_out, side_by_side
from offpolicy.sequences.states import states_of, with_states
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNITS = ("session", "shopper")
DEFAULT = ("pdis", "wpdis", "own-searches")
BY_STATE = {"state-dr", "state-step-dr"}  # they need tables of their own, made where they are asked for
WITH_MODEL = ("pdis", "wpdis", "sequence-dr", "magic", "own-searches", "fqe")


def evaluate_sequences(
    evidence: Evidence,
    unit: str,
    estimators: Sequence[str] | None = None,
    level: float = 0.95,
    interval: str = "t",
    seed: int = 0,
    replicates: int = 1000,
) -> list[Estimate]:
    """Estimate what the target policy earns over whole sequences of searches.

    Args:
        evidence: One row a search, with `session` and `step`; where it has a reward model's columns, models of what
            comes later are fitted on them.
        unit: "session", or "shopper" for all sessions of a shopper, one after the other.
        estimators: Names of estimators of sequences; those that the evidence can feed where None.
        level: Of the intervals.
        interval: Name in `offpolicy.intervals.registry.INTERVALS`.
        seed: Of cross-fitting and of intervals that resample.
        replicates: B, of a bootstrap.

    Raises:
        UserError: If the evidence lacks sessions, the unit is unknown, or as `offpolicy.evaluate`.
    """
    whole = sequences_for(evidence, unit, seed, estimators)
    names = names_for(whole) if estimators is None else estimators
    return evaluate(whole, names, level, interval, seed, replicates)


def names_for(whole: Evidence) -> tuple[str, ...]:
    """The estimators of sequences that such evidence can feed."""
    return DEFAULT if whole.fitted is None else WITH_MODEL


def sequences_for(evidence: Evidence, unit: str, seed: int, estimators: Sequence[str] | None) -> Evidence:
    """As `sequences_of`, with what these estimators need; those of every evaluation where None."""
    return sequences_of(evidence, unit, seed, by_state=bool(BY_STATE & set(estimators or ())))


def sequences_of(evidence: Evidence, unit: str, seed: int = 0, *, by_state: bool = False) -> Evidence:
    """Evidence on searches as evidence on sequences, with models of what comes later where a reward model is there.

    Args:
        evidence: One row a search, with `session` and `step`.
        unit: What a sequence is.
        seed: Of cross-fitting.
        by_state: Whether to add weights and values of states (`offpolicy.sequences.states`).

    Raises:
        UserError: If the evidence lacks sessions, the unit is unknown, or clusters are too few to fit anything.
    """
    if unit not in UNITS:
        raise UserError(f"unit is '{unit}'; expected one of {', '.join(UNITS)}.")
    if evidence.session is None or evidence.step is None:
        raise UserError(
            f"a value per {unit} needs to know which searches belong together, in which order. Logs in SlateLab's own "
            "format say so, mapped ones do not: leave out --per, or fill session and step of the evidence in Python."
        )
    if unit == "session":
        layout = lay_out(evidence.session, evidence.step)
    else:
        order = np.lexsort((evidence.step, evidence.session, evidence.cluster))
        place = np.empty(evidence.n_rows, dtype=np.int64)
        place[order] = np.arange(evidence.n_rows)
        layout = lay_out(evidence.cluster, place)
    whole = side_by_side(evidence, layout, unit)
    if by_state:
        whole = with_states(whole, states_of(evidence, layout), seed=seed)
    if evidence.q_logged is None or evidence.q_target is None:
        return whole
    features = step_features(evidence, place_of(layout.row, evidence.n_rows))
    modelled = fitted_q(cross_fitted_q(whole, layout, features, seed), layout, features)
    return with_blend(modelled, model_noise(whole, layout, features), seed)


def step_features(evidence: Evidence, place: Ints) -> StepFeatures:
    """Features of a step: what a reward model expects of its slate, how far in the sequence it stands, both together.

    Args:
        evidence: One row a search, with a reward model's columns.
        place: Steps before each row in its sequence, (N,).
    """
    assert evidence.q_logged is not None
    assert evidence.q_target is not None
    late = np.log1p(place)
    context = np.empty((evidence.n_rows, 0)) if evidence.features is None else evidence.features

    def of(q: Floats) -> Floats:
        return np.column_stack([np.ones(len(q)), q, late, q * late, context])

    return StepFeatures(of(evidence.q_logged.sum(axis=1)), of(evidence.q_target))


def place_of(row: Ints, n_rows: int) -> Ints:
    """Place of each row in its sequence, (N,), from a layout's row numbers (T, H)."""
    made = np.zeros(n_rows, dtype=np.int64)
    sequence, step = np.nonzero(row >= 0)
    made[row[sequence, step]] = step
    return made
