"""Choosing among estimators by the log itself: PAS-IF, policy-adaptive selection by importance fitting.

The log is split by chance into two parts whose loggers are known and differ as the target differs from the logger. What
the first part earned can be counted, and estimated from the second: so estimators are judged. A row goes to the first
part with probability rho(x, a), and with k(x) = E_logger[rho | x] the two loggers are

    first = logger * rho / k,    second = logger * (1 - rho) / (1 - k),    rho / (1 - rho) = e^level * w(x, a)^power

Level and power are fitted so that first / second resembles w = target / logger and the first part has about its share.
Udagawa, Kiyohara, Narita, Saito and Tateno, "Policy-adaptive estimator selection for off-policy evaluation" (2023), who
fit rho by a network. Contexts of the two parts differ where k does; the count weighs them as the second part has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.estimate import values
from offpolicy.estimators import estimator
from offpolicy.evidence import Evidence
from offpolicy.rows import take
from offpolicy.single.columns import filled, makeable
from simenv.errors import UserError
from simenv.hashing import absorb, stream, uniform
from simenv.propensity import Conditional

Floats = npt.NDArray[np.float64]

SHARE = 0.2  # of rows, in the first part
_FITTED_ON = 1_000  # rows; two numbers need no more
_KEEP_SHARE = 0.02  # what a first part that is e times too small costs, in units of the weights' second moment


@dataclass(frozen=True)
class Split:
    """How rows are told apart.

    Attributes:
        level, power: Of the odds.
        rho: Probability of each action's rows to go to the first part, (N, A).
        k: Probability of the row's context to do so under the logger, (N,).
        misfit: E[(w - first / second)^2] / E[w^2] under the logger: how far the parts are from the question asked.
    """

    level: float
    power: float
    rho: Floats
    k: Floats
    misfit: float


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        estimator: The one with the least error.
        errors: Root of the mean squared difference to what was counted, by name in the order asked; inf where an
            estimator had no value. All of them hold the luck of what was counted, which is alike for all.
        split: How rows were told apart.
        splits: How often they were.
    """

    estimator: str
    errors: dict[str, float]
    split: Split
    splits: int


def choose(evidence: Evidence, names: Sequence[str], splits: int = 20, seed: int = 0, *, refit: bool = False) -> Choice:
    """The estimator that errs least on pseudo-logs made of the log.

    Its value and interval are then those of that estimator on the whole log, which know nothing of the choice.

    Args:
        evidence: Of single actions, with the table of all actions.
        names: Estimators, maybe with strengths.
        splits: How often the log is split.
        seed: Of the splits and of models that are fitted on them.
        refit: Whether to fit the reward model anew on each second part, as is right where it was fitted on this log:
            one that has seen the first part flatters the direct method.

    Raises:
        UserError: If there is no table of all actions, an estimator cannot be fed from it, or the target plays nothing
            that the logger plays.
    """
    if evidence.actions is None:
        raise UserError(
            "choosing by importance fitting needs the table of all actions of both policies; make the evidence with "
            "offpolicy.single.arrays.evidence_of, or name [actions] in the mapping."
        )
    able = makeable(evidence)
    unfed = [name for name in names if not set(estimator(name).needs) <= able]
    if unfed or not names:
        raise UserError(
            f"{', '.join(unfed) or 'no estimator'}: pseudo-logs cannot feed that. Expected estimators that need no "
            f"more than {', '.join(sorted(able))}."
        )
    split = fit_split(evidence.actions)
    squared = {name: [] for name in names}  # type: dict[str, list[float]]
    for number in range(splits):
        luck = uniform(absorb(stream(seed, f"importance fitting {number}"), np.arange(evidence.n_rows)))
        counted, pseudo = parts_of(evidence, split, luck, refit=refit)
        found = values(filled(pseudo, names, seed), names)
        for name in names:
            squared[name].append((found[name] - counted) ** 2)
    errors = {name: _root_mean(each) for name, each in squared.items()}
    return Choice(min(errors, key=lambda name: errors[name]), errors, split, splits)


def fit_split(actions: ActionTable, share: float = SHARE) -> Split:
    """Fit level and power of the odds.

    Args:
        actions: Both policies' probabilities.
        share: Of rows, in the first part.

    Raises:
        UserError: If the target plays nothing that the logger plays.
    """
    from scipy.optimize import minimize  # deferred: importing it costs more than answering `--help`

    weight = np.where(actions.logger > 0.0, actions.target / np.where(actions.logger > 0.0, actions.logger, 1.0), 0.0)
    if not weight.any():
        raise UserError("the target plays nothing that the logger plays; no part of the log is like it.")
    rows = np.linspace(0, len(weight) - 1, min(len(weight), _FITTED_ON)).astype(np.int64)
    w, p = weight[rows], actions.logger[rows]
    scale = float((p * w * w).sum(axis=1).mean())

    def loss(at: Floats) -> float:
        rho, k = _rho(w, p, float(at[0]), float(np.exp(at[1])))
        return _misfit(w, p, rho, k) / scale + _KEEP_SHARE * float(np.log(max(k.mean(), 1e-12) / share)) ** 2

    start = np.array([np.log(share / (1.0 - share)), 0.0])
    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-5, "maxiter": 200})
    level, power = float(found.x[0]), float(np.exp(found.x[1]))
    rho, k = _rho(weight, actions.logger, level, power)
    return Split(level, power, rho, k, _misfit(w, p, rho[rows], k[rows]) / scale)


def parts_of(evidence: Evidence, split: Split, luck: Floats, *, refit: bool = False) -> tuple[float, Evidence]:
    """What the first part earned, by counting, and the second part as evidence on the first part's logger.

    Args:
        evidence: With the table of all actions.
        split: Of the same rows.
        luck: Uniform, (N,).
        refit: Whether to leave the reward model out.

    Raises:
        UserError: If a part has no row.
    """
    table = evidence.actions
    assert table is not None
    is_first = luck < np.take_along_axis(split.rho, table.action[:, None], 1)[:, 0]
    others = np.flatnonzero(~is_first & (split.k > 0.0))
    if not is_first.any() or not len(others):
        raise UserError(f"a part of the log of {evidence.n_rows} rows is empty; log more to choose by.")
    odds = (1.0 - split.k[is_first]) / split.k[is_first]
    counted = float((odds * evidence.reward[is_first, 0]).sum() / odds.sum())
    rho, k = split.rho[others], split.k[others, None]
    rest = take(evidence, others)
    assert rest.actions is not None
    logger = rest.actions.logger * (1.0 - rho) / (1.0 - k)
    target = rest.actions.logger * rho / k
    q = None if refit else rest.actions.q
    action = rest.actions.action[:, None]
    with np.errstate(divide="ignore"):
        logp_logger, logp_target = (np.log(np.take_along_axis(p, action, 1)) for p in (logger, target))
    return counted, Evidence(
        reward=rest.reward,
        logger=Conditional(logp_logger),
        target=Conditional(logp_target),
        cluster=rest.cluster,
        cluster_name=rest.cluster_name,
        actions=replace(rest.actions, logger=logger, target=target, q=q),
        q_logged=None if q is None else np.take_along_axis(q, action, 1),
        q_target=None if q is None else np.einsum("na,na->n", target, q),
        features=rest.features,
        feature_names=rest.feature_names,
        unit=rest.unit,
    )


def _rho(weight: Floats, logger: Floats, level: float, power: float) -> tuple[Floats, Floats]:
    with np.errstate(over="ignore"):
        odds = np.minimum(np.exp(level) * weight**power, 1e6)  # a row that must go leaves nothing to weigh
    rho = odds / (1.0 + odds)
    return rho, np.einsum("na,na->n", logger, rho)


def _misfit(weight: Floats, logger: Floats, rho: Floats, k: Floats) -> float:
    ratio = rho / (1.0 - rho) * ((1.0 - k) / np.maximum(k, 1e-300))[:, None]
    return float((logger * (weight - ratio) ** 2).sum(axis=1).mean())


def _root_mean(squared: list[float]) -> float:
    mean = float(np.mean(squared))
    return float(np.sqrt(mean)) if np.isfinite(mean) else float("inf")
