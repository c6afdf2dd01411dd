"""The estimators, each one formula, and the registry that names them.

A formula takes `Terms` and returns the value and one *influence* a row: how much that row moves the value, times N, to
first order. Influences have mean zero, and everything that comes after (standard errors, intervals, lifts) is made
from them by one shared piece. A ratio is linearised, so its denominator is never taken for a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.terms import Terms, direct, item_position, joint
from simenv.errors import UserError, unknown_name

Floats = npt.NDArray[np.float64]

MODEL = ("q_logged", "q_target")
MARGINALS = ("logger_marginal", "target_marginal")


@dataclass(frozen=True)
class Scores:
    """What a formula returns.

    Attributes:
        value: The estimate; NaN where it is not defined.
        influence: (N,), mean zero: N times what each row adds to the value's error, to first order.
    """

    value: float
    influence: Floats  # (N,)


def ips(terms: Terms) -> Scores:
    """Inverse propensity scoring: V = 1/N sum_i sum_j w_ij r_ij.

    Unbiased where the logged propensities are right and the logger could show whatever the target shows. Its variance
    grows with the square of the weights: useless where few rows carry them. Horvitz and Thompson, "A generalization of
    sampling without replacement from a finite universe" (1952); slot by slot: Li, Abbasi-Yadkori, Kveton,
    Muthukrishnan, Vinay and Wen, "Offline evaluation of ranking policies with click models" (2018).
    """
    return _mean(_total(terms.weight * terms.reward))


def snips(terms: Terms) -> Scores:
    """Self-normalised IPS: V = sum_j (sum_i w_ij r_ij) / (sum_i w_ij).

    Consistent where IPS is, with a bias of order 1/N, and never outside the range of the rewards; less variance where
    rewards have a large mean. Undefined (NaN) where the logger showed nothing that the target could show. Influence of
    a row: sum_j w_ij (r_ij - V_j) / mean(w_j). Swaminathan and Joachims, "The self-normalized estimator for
    counterfactual learning" (2015).
    """
    mean_weight = terms.weight.mean(axis=0)  # (J,)
    if (mean_weight == 0.0).any():
        return Scores(float("nan"), np.full(len(terms.weight), np.nan))
    value = (terms.weight * terms.reward).mean(axis=0) / mean_weight  # (J,)
    influence = _total(terms.weight * (terms.reward - value) / mean_weight)
    return Scores(float(value.sum()), influence)


def dm(terms: Terms) -> Scores:
    """Direct method: V = 1/N sum_i q_target_i.

    Right where the reward model is, and nowhere else; its interval knows nothing of the model's error, so it is never
    trusted. Its strength is a small variance. Dudik, Langford and Li, "Doubly robust policy evaluation and learning"
    (2011), section 2.
    """
    return _mean(terms.model()[1])


def dr(terms: Terms) -> Scores:
    """Doubly robust: V = 1/N sum_i [q_target_i + sum_j w_ij (r_ij - q_logged_ij)].

    Unbiased where IPS is, whatever the cross-fitted reward model says; the better the model, the less variance. It does
    not respect the range of the rewards: a click rate can come out negative. Dudik, Langford and Li, "Doubly robust
    policy evaluation and learning" (2011).
    """
    q_logged, q_target = terms.model()
    return _mean(q_target + _total(terms.weight * (terms.reward - q_logged)))


@dataclass(frozen=True)
class Estimator:
    """A named estimator: how it cuts the evidence, its formula, and what it asks of the world.

    Attributes:
        name: Registry key.
        terms: Cuts the evidence: `joint`, `item_position` or `direct`.
        formula: Terms in, scores out.
        needs: Optional columns of `Evidence` it cannot do without.
        assumption: What no data can check and a reader must believe.
        paper: Where it comes from.
        estimand: What it estimates; `{unit}` is filled in with the unit of the evidence.
        never_trust: Why no estimate of it may be called `trust`; empty where it may.
        slotwise: Whether it assumes that the reward of a slot depends on its own item and place alone.
        rival: Estimator of the same value that assumes less; where it is usable and the two disagree, the assumption
            is wrong. Empty if there is none.
    """

    name: str
    terms: Callable[[Evidence], Terms]
    formula: Callable[[Terms], Scores]
    needs: tuple[str, ...]
    assumption: str
    paper: str
    estimand: str = "value per {unit} over the logger's contexts"
    never_trust: str = ""
    slotwise: bool = False
    rival: str = ""

    def missing(self, evidence: Evidence) -> tuple[str, ...]:
        """The columns it needs and the evidence lacks."""
        return tuple(need for need in self.needs if getattr(evidence, need) is None)

    def require(self, evidence: Evidence) -> None:
        """Raise a `UserError` that names the missing columns, if any is missing."""
        missing = self.missing(evidence)
        if missing:
            raise UserError(
                f"estimator '{self.name}' needs {' and '.join(missing)}, which the evidence does not have. "
                "Add them, or choose an estimator that does without."
            )

    def __call__(self, evidence: Evidence) -> Scores:
        """The value and the influence of each row.

        Raises:
            UserError: If a needed column is missing.
        """
        self.require(evidence)
        return self.formula(self.terms(evidence))


_LOGGED = "slates were drawn with the logged propensities, and nothing unlogged moved both the slate and its reward"
_SLOTWISE = _LOGGED + "; the reward of a slot depends on its item and position only (false under a cascade)"
_IPS = "Horvitz and Thompson 1952"
_SNIPS = "Swaminathan and Joachims 2015"
_DR = "Dudik, Langford and Li 2011"
_LI = "Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen 2018"

ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator
    for estimator in (
        Estimator("ips", joint, ips, (), _LOGGED, _IPS),
        Estimator("snips", joint, snips, (), _LOGGED, _SNIPS),
        Estimator(
            "dm",
            direct,
            dm,
            MODEL,
            "the reward model is right wherever the target policy goes",
            _DR,
            never_trust="it rests on the reward model alone and its interval ignores the model's error",
            slotwise=True,
            rival="dr",
        ),
        Estimator("dr", joint, dr, MODEL, _LOGGED, _DR),
        Estimator("ips-item", item_position, ips, MARGINALS, _SLOTWISE, _LI, slotwise=True, rival="ips"),
        Estimator(
            "snips-item", item_position, snips, MARGINALS, _SLOTWISE, f"{_LI}; {_SNIPS}", slotwise=True, rival="snips"
        ),
        Estimator(
            "dr-item", item_position, dr, MARGINALS + MODEL, _SLOTWISE, f"{_LI}; {_DR}", slotwise=True, rival="dr"
        ),
    )
}


def estimator(name: str) -> Estimator:
    """The estimator of that name.

    Raises:
        UserError: If there is none; suggests the nearest.
    """
    if name not in ESTIMATORS:
        raise unknown_name("estimator", name, ESTIMATORS)
    return ESTIMATORS[name]


def _mean(per_row: Floats) -> Scores:
    value = float(per_row.mean())
    return Scores(value, per_row - value)


def _total(pieces: Floats) -> Floats:
    return pieces[:, 0] if pieces.shape[1] == 1 else pieces.sum(axis=1)
