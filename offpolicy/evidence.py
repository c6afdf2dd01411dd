"""Evidence: the columns from which the value of a policy is estimated.

An estimator never meets a policy or a log. It sees, for each logged search, what was earned, how likely the logging
policy was to show what it showed, and how likely the target policy would have been. Everything is checked here, once,
where the columns come together; whoever holds an `Evidence` may believe its shapes and ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.audit.finding import Finding
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ClusterName = Literal["shopper", "session", "row"]
PropensityKind = Literal["exact", "estimated"]

CLUSTER_NAMES = ("shopper", "session", "row")
PROPENSITY_KINDS = ("exact", "estimated")

_TOTALS = (
    "q_target", "q_robust_target", "q_within_target", "q_prefix_target", "q_click", "pseudoinverse", "embedding",
    "balanced", "score_residual", "fitted", "second_moment", "q_state_target", "blend_start", "abstraction",
)  # fmt: skip
_ROUNDING = 1e-6  # a log-probability of a float32 log may exceed 0 by this
_FIRST_SLOT = 1e-4  # at slot 1 the marginal is the conditional; float32 logs agree far better than this


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a log says about a target policy: one row a search (or an impression), one column a slot.

    The estimand of every estimator of this package is the *value per row over the logger's contexts*: the mean total
    reward of a row had the target policy ranked the rows the logger met. It is not the value after deployment where
    what is shown moves who stays.

    Attributes:
        reward: Reward of each slot, shape (N, K), finite; any unit (clicks, revenue). Converted to float64.
        logger: log p of the logged slate under the logging policy, (N, K), finite and at most 0. An empty slot has 0.
        target: log p of the same logged slate under the target policy, (N, K), at most 0; -inf where the target never
            shows it.
        logger_marginal: log p of the item at its slot whatever stands above it; needed by item-position weights.
        target_marginal: The same under the target policy.
        q_logged: Reward of each logged slot as a reward model that never saw this row's shopper expects it, (N, K).
        q_target: Total reward of the row under the target policy by the same model, (N,).
        placebo: How attractive the item at each slot is, by any measure, minus its expectation under the logger given
            the context and the rest of the slate; (N, K). Chance alone moves it, so it must not move the rewards of
            other slots where item-position weights are right. None where it was not computed.
        actions: Probabilities of all actions, for single-action logs that hold them.
        q_prefix: Reward of each logged slot as a model expects it from what stands at the slot and above, (N, K).
        q_next: Where rows are sequences, what `q_prefix` expects when the target policy chooses the step, (N, K).
        q_prefix_target: Total reward of the row under the target policy by the same model, (N,).
        q_robust: Reward of each logged slot by a model fitted to leave doubly robust estimates little variance, (N, K).
        q_robust_target: Total reward of the row under the target policy by the same model, (N,).
        q_within: Reward of each logged slot by a model of differences between actions of one kind, (N, K).
        q_within_target: Total reward of the row under the target policy by the same model, (N,).
        q_click: Total reward of the row under the target policy as a fitted click model expects it, (N,).
        pseudoinverse: Weight of the whole row by the pseudoinverse of the logger's slate moments, (N,); may be < 0.
        abstraction: Ratio of the policies' chances of what the slate is about, (N,), at least 0.
        behaviour: How the shopper of each row reads a page, a name in `offpolicy.slates.behaviour.BEHAVIOURS`, (N,).
        embedding: Ratio of the policies' probabilities of the logged action's embedding, (N,), at least 0.
        balanced: A fitted classifier's ratio of the policies' probabilities of the logged pair of context and action,
            (N,), at least 0.
        score_residual: Score of what was shown minus its expectation under the logged propensities, summed over slots,
            (N,): mean 0 where the propensities are those that the slates were drawn with.
        features: Public features of the context, (N, F), finite; what balance is checked on.
        feature_names: Their names, F of them.
        segments: Columns to report by, each (N,): locale, device and the like.
        session: Which session the row belongs to, (N,) integers.
        step: Its place in the session, (N,) integers; larger is later.
        state: What of the past is known before the row, (N,) integers of any kind, where sequences are weighed by it.
        state_ratio: Weight of the state and the slate of each step, (N, K), of rows that are sequences.
        q_state: What each step earns by the values of its state and the next, (N, K).
        q_state_target: Value of the first state, (N,).
        length: Steps of each row, (N,), where a row is a sequence of searches (see `offpolicy.sequences`).
        blend: Share of the weight of each step that is followed before a model takes over, (N, K), 0 to 1.
        blend_start: What that model expects of each such row, (N,), spread as its sampling error is.
        fitted: Value of each such row by a model of what comes later, (N,).
        time: When the row was logged, (N,) integers of any unit, larger is later.
        stratum: Which of several loggers wrote the row, (N,) integers.
        mixture: log p of the logged slate under the mixture of all loggers, each by its share of the rows, (N, K).
        q_is_past_only: Whether the reward model of each row was fitted on earlier rows alone, as bets on doubly robust
            values need; cross-fitted folds are not.
        reward_range: Least and largest total reward that a row can have, the latter maybe infinite; None where it is
            not known.
        slot_range: Least and largest reward of one slot, the latter maybe infinite; None where it is not known.
        second_moment: E[w^2] of the row's stratum, (N,), made of propensities and not of what was drawn.
        foreseen: E_target[w | context] by family of weights ("joint", "prefix", "item_position"), (N,) each, mean over
            pieces: what the weights of the target's own slates are, seen in the log or not; inf beyond support.
        foreseen_square: The same of E_target[w^2 | context].
        max_weight: Largest weight of a whole row that the policies allow, whatever is logged; None where not known.
        cluster: Identifier of the independent unit each row belongs to, (N,) integers.
        cluster_name: What a cluster is. "row" must be declared and says that rows are taken for independent; "shopper"
            is the only one under which an estimate can be trusted.
        propensity_kind: "exact" where the logging policy reported its propensities, "estimated" where they were fitted.
        propensity_error: Calibration error of propensities that were fitted, on rows that the fit never saw: the mean
            absolute difference between predicted and observed frequency. None where they are exact.
        unit: What a row is, in the singular, for the name of the estimand.
        log_findings: Where rows are sequences, what the audit found of the searches that they are made of: how each
            slate was drawn is asked there, how whole sequences weigh is asked here.

    Raises:
        UserError: If a shape, type or range is wrong; the message names the row.
    """

    reward: Floats  # (N, K)
    logger: Conditional  # (N, K)
    target: Conditional  # (N, K)
    cluster: Ints  # (N,)
    cluster_name: ClusterName = "shopper"
    logger_marginal: Marginal | None = None  # (N, K)
    target_marginal: Marginal | None = None  # (N, K)
    q_logged: Floats | None = None  # (N, K)
    q_target: Floats | None = None  # (N,)
    placebo: Floats | None = None  # (N, K)
    actions: ActionTable | None = None
    q_prefix: Floats | None = None  # (N, K)
    q_next: Floats | None = None  # (N, K)
    q_prefix_target: Floats | None = None  # (N,)
    q_robust: Floats | None = None  # (N, K)
    q_robust_target: Floats | None = None  # (N,)
    q_within: Floats | None = None  # (N, K)
    q_within_target: Floats | None = None  # (N,)
    q_click: Floats | None = None  # (N,)
    pseudoinverse: Floats | None = None  # (N,)
    abstraction: Floats | None = None  # (N,)
    behaviour: npt.NDArray[np.str_] | None = None  # (N,)
    embedding: Floats | None = None  # (N,)
    balanced: Floats | None = None  # (N,)
    score_residual: Floats | None = None  # (N,)
    features: Floats | None = None  # (N, F)
    feature_names: tuple[str, ...] = ()
    segments: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)  # (N,) each
    session: Ints | None = None  # (N,)
    step: Ints | None = None  # (N,)
    state: Ints | None = None  # (N,)
    state_ratio: Floats | None = None  # (N, K)
    q_state: Floats | None = None  # (N, K)
    q_state_target: Floats | None = None  # (N,)
    length: Ints | None = None  # (N,)
    blend: Floats | None = None  # (N, K)
    blend_start: Floats | None = None  # (N,)
    fitted: Floats | None = None  # (N,)
    time: Ints | None = None  # (N,)
    stratum: Ints | None = None  # (N,)
    mixture: Conditional | None = None  # (N, K)
    q_is_past_only: bool = False
    second_moment: Floats | None = None  # (N,)
    reward_range: tuple[float, float] | None = None
    slot_range: tuple[float, float] | None = None
    max_weight: float | None = None
    foreseen: Mapping[str, Floats] = field(default_factory=dict)  # (N,) each
    foreseen_square: Mapping[str, Floats] = field(default_factory=dict)  # (N,) each
    propensity_kind: PropensityKind = "exact"
    propensity_error: float | None = None
    unit: str = "search"
    log_findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "reward", np.asarray(self.reward, dtype=np.float64))
        check_evidence(self)

    @property
    def n_rows(self) -> int:
        """N, the number of logged searches."""
        return int(self.reward.shape[0])

    @property
    def n_slots(self) -> int:
        """K, the number of slots of a slate; 1 for single-action logs."""
        return int(self.reward.shape[1])


def check_evidence(evidence: Evidence) -> None:
    """Check every column of the evidence against what the estimators rely on.

    Raises:
        UserError: Naming the first bad column and row, what was expected, and what to do.
    """
    if evidence.reward.ndim != 2 or 0 in evidence.reward.shape:
        raise UserError(
            f"reward has shape {evidence.reward.shape}; expected (N, K) with at least one row and one slot. "
            "For one action a row give reward[:, None]."
        )
    shape = evidence.reward.shape
    _check_finite("reward", evidence.reward, shape)
    _check_propensity("logger", evidence.logger, Conditional, shape, has_shown=True)
    _check_propensity("target", evidence.target, Conditional, shape, has_shown=False)
    for name, marginal, conditional in (
        ("logger_marginal", evidence.logger_marginal, evidence.logger),
        ("target_marginal", evidence.target_marginal, evidence.target),
    ):
        if marginal is not None:
            _check_propensity(name, marginal, Marginal, shape, has_shown=name == "logger_marginal")
            _check_first_slot(name, marginal, conditional)
    slotwise = (
        "q_logged", "placebo", "q_robust", "q_within", "q_prefix", "q_next", "state_ratio", "q_state", "blend",
    )  # fmt: skip
    for name in slotwise:
        _check_optional(name, getattr(evidence, name), shape)
    for name in _TOTALS:
        _check_optional(name, getattr(evidence, name), shape[:1])
    if evidence.mixture is not None:
        _check_propensity("mixture", evidence.mixture, Conditional, shape, has_shown=True)
    _check_context(evidence, shape[0])
    for name, column in (*evidence.foreseen.items(), *evidence.foreseen_square.items()):
        if column.shape != shape[:1] or not column.min() >= 0.0:
            raise UserError(f"foreseen '{name}' has shape {column.shape}; expected {shape[:1]} weights of at least 0.")
    _check_bounds(evidence)
    _check_slot_range(evidence)
    _check_cluster(evidence.cluster, evidence.cluster_name, shape[0])
    if evidence.propensity_kind not in PROPENSITY_KINDS:
        raise UserError(f"propensity_kind is {evidence.propensity_kind!r}; expected one of {PROPENSITY_KINDS}.")
    if evidence.propensity_error is not None and not 0.0 <= evidence.propensity_error <= 1.0:
        raise UserError(f"propensity_error is {evidence.propensity_error:g}; expected a difference of probabilities.")


def _check_propensity(
    name: str, given: Conditional | Marginal, expected: type, shape: tuple[int, ...], *, has_shown: bool
) -> None:
    if type(given) is not expected:
        raise UserError(
            f"{name} is a {type(given).__name__} propensity; expected {expected.__name__}. The propensities of a slate "
            "are not interchangeable: one in place of another biases the estimate without a warning."
        )
    logp = given.logp
    if logp.shape != shape or logp.dtype.kind != "f":
        raise UserError(f"{name}.logp is {logp.dtype} of shape {logp.shape}; expected floats of shape {shape}.")
    if np.isnan(logp).any():
        raise UserError(f"{_place(np.isnan(logp))}: {name}'s log-probability is not a number; expected log p <= 0.")
    if logp.max() > _ROUNDING:
        place, value = _place(logp > _ROUNDING), float(logp[logp > _ROUNDING][0])
        raise UserError(
            f"{place}: {name}'s propensity is {np.exp(min(value, 700.0)):.6g} (log-probability {value:.6g}); expected "
            "0 < p <= 1, so log p <= 0. Was a probability written instead of its logarithm? Convert with numpy.log()."
        )
    if has_shown and logp.min() == -np.inf:
        raise UserError(
            f"{_place(logp == -np.inf)}: {name}'s propensity is 0, but the logger showed this; expected 0 < p <= 1. "
            "Take the propensity that was logged when the slate was drawn."
        )


def _check_first_slot(name: str, marginal: Marginal, conditional: Conditional) -> None:
    bad = np.abs(np.exp(marginal.logp[:, 0]) - np.exp(conditional.logp[:, 0])) > marginal.error + _FIRST_SLOT
    if bad.any():
        row = int(bad.argmax())
        raise UserError(
            f"log row {row}, slot 1: {name} has p = {np.exp(marginal.logp[row, 0]):.6g}, the conditional has "
            f"{np.exp(conditional.logp[row, 0]):.6g}; nothing stands above slot 1, so the two are equal there. Do both "
            "come from the same policy, in the same order of rows?"
        )


def _check_optional(name: str, column: Floats | None, shape: tuple[int, ...]) -> None:
    if column is not None:
        _check_finite(name, column, shape)


def _check_context(evidence: Evidence, n_rows: int) -> None:
    if evidence.actions is not None and (evidence.n_slots != 1 or len(evidence.actions.action) != n_rows):
        raise UserError(
            f"actions is a table of {len(evidence.actions.action)} rows beside {n_rows} rows of {evidence.n_slots} "
            "slots; expected one slot and as many rows."
        )
    if evidence.features is not None:
        _check_finite("features", evidence.features, (n_rows, len(evidence.feature_names)))
    columns = {
        "session": evidence.session,
        "step": evidence.step,
        "state": evidence.state,
        "length": evidence.length,
        "time": evidence.time,
        "stratum": evidence.stratum,
        "behaviour": evidence.behaviour,
        **evidence.segments,
    }
    for name, column in columns.items():
        if column is not None and column.shape != (n_rows,):
            raise UserError(f"{name} has shape {column.shape}; expected ({n_rows},), one entry a row.")


def _check_bounds(evidence: Evidence) -> None:
    if evidence.reward_range is not None:
        low, high = evidence.reward_range
        total = evidence.reward.sum(axis=1)
        bad = (total < low - _ROUNDING) | (total > high + _ROUNDING)
        if not low < high or bad.any():
            row = int(bad.argmax())
            raise UserError(
                f"reward_range is ({low:g}, {high:g}); log row {row} has a total reward of {total[row]:g}. Expected a "
                "range that holds every reward which can occur, seen or not."
            )
    if evidence.max_weight is not None and not evidence.max_weight >= 1.0:
        raise UserError(f"max_weight is {evidence.max_weight:g}; expected at least 1, since weights have mean 1.")


def _check_slot_range(evidence: Evidence) -> None:
    if evidence.slot_range is not None:
        low, high = evidence.slot_range
        bad = (evidence.reward < low - _ROUNDING) | (evidence.reward > high + _ROUNDING)
        if not low < high or bad.any():
            raise UserError(
                f"slot_range is ({low:g}, {high:g}); {_place(bad)} has a reward of "
                f"{evidence.reward.ravel()[int(bad.argmax())]:g}. Expected a range that holds every reward of a slot."
            )


def _check_finite(name: str, column: Floats, shape: tuple[int, ...]) -> None:
    if column.shape != shape or column.dtype.kind != "f":
        raise UserError(f"{name} is {column.dtype} of shape {column.shape}; expected floats of shape {shape}.")
    bad = ~np.isfinite(column)
    if bad.any():
        raise UserError(f"{_place(bad)}: {name} is {column[bad][0]}; expected a finite number.")


def _check_cluster(cluster: Ints, cluster_name: str, n_rows: int) -> None:
    if cluster_name not in CLUSTER_NAMES:
        raise UserError(f"cluster_name is {cluster_name!r}; expected one of {CLUSTER_NAMES}.")
    if cluster.shape != (n_rows,) or cluster.dtype.kind not in "iu":
        raise UserError(f"cluster is {cluster.dtype} of shape {cluster.shape}; expected integers of shape ({n_rows},).")
    if cluster_name == "row" and not (np.diff(cluster) > 0).all():
        ids, counts = np.unique(cluster, return_counts=True)
        if counts.max() > 1:
            raise UserError(
                f"cluster {ids[counts.argmax()]} occurs {counts.max()} times though cluster_name is 'row', where every "
                "row is its own. Name the cluster 'shopper' or 'session', or remove duplicate rows."
            )


def _place(bad: npt.NDArray[np.bool_]) -> str:
    first = np.unravel_index(int(bad.argmax()), bad.shape)
    return f"log row {first[0]}" + (f", slot {first[1] + 1}" if bad.ndim == 2 and bad.shape[1] > 1 else "")
