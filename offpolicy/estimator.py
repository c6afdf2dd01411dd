"""What an estimator is: a cut of the evidence, a formula, and what they ask of the world."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.inference import lift
from offpolicy.statistics import Scores, Statistics, scores
from offpolicy.terms import Terms
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

LOGGED = "slates were drawn with the logged propensities, and nothing unlogged moved both the slate and its reward"

_TOTALS_OF_MODELS = {"q_target", "q_robust_target", "q_within_target"}

SOURCES = {
    "actions": "the probabilities of all actions, and what a reward model expects of them, by "
    "offpolicy.single.arrays.evidence_of",
    "embedding": "a ratio by offpolicy.single.embeddings, from what is known of each action's embedding",
    "abstraction": "a ratio of chances of what a slate is about, by offpolicy.slates.abstraction; in SlateLab's own "
    "logs it is made where a page has few slates",
    "state_ratio": "weights of states, by offpolicy.sequences.states (value per session or shopper)",
    "q_within": "a model of differences within kinds of actions, by offpolicy.single.kinds.with_kinds",
    "q_robust": "a model fitted to leave little variance, by offpolicy.single.robust.with_robust_model",
    "balanced": "a classifier's ratio by offpolicy.single.balance",
    "q_logged": "what a reward model expects; a mapping names its columns under [model], and a value per session or "
    "shopper has models of its own",
    "logger_marginal": "chances of an item at a slot, whatever stands above; of a mapping, propensities of the kind "
    "'marginal', which feed ips-item and snips-item alone",
    "second_moment": "what slates drawn from the target would weigh, from the probabilities of all actions ([actions] "
    "of a mapping) or SlateLab's own logs",
    "length": "searches of one session in order; ask for --per session or shopper",
    "q_click": "a click model, for a policy that returns rankings (docs/any-log.md)",
}  # where columns come from that no reader of logs fills by itself


@dataclass(frozen=True)
class Strength:
    """One number that an estimator reshapes its weights by: `name:number` sets another one than the default.

    Attributes:
        reshape: Weights (N, J) and the number to weights.
        default: What the bare name takes.
        none: The number that leaves weights as they are.
        low, high: The range it must lie in.
        grid: Candidates for tuning, from the least biased to the most; `none` comes before them, unless it is one.
        beyond: What the reward model is left with at a strength, (N,), where it takes over what weights no longer
            carry; None where the formula's own terms say all.
        remake: Makes terms of terms where a strength is of whole rows and not of weights, in place of `reshape`.
        does: What it does to weights at `default`, in plain words.
    """

    reshape: Callable[[Floats, float], Floats]
    default: float
    none: float
    low: float
    high: float
    grid: tuple[float, ...]
    beyond: Callable[[Terms, float], Floats] | None = None
    remake: Callable[[Terms, float], Terms] | None = None
    does: str = ""


@dataclass(frozen=True)
class Estimator:
    """A named estimator: how it cuts the evidence, its formula, and what it asks of the world.

    Attributes:
        name: Registry key.
        terms: Cuts the evidence: `joint`, `item_position`, `prefix`, `direct` and others.
        formula: Terms in, statistics out.
        needs: Optional columns of `Evidence` it cannot do without.
        assumption: What no data can check and a reader must believe.
        paper: Where it comes from.
        estimand: What it estimates; `{unit}` is filled in with the unit of the evidence.
        never_trust: Why no estimate of it may be called `trust`; empty where it may.
        slotwise: Whether it assumes that the reward of a slot depends on its own item and place alone.
        prefixwise: Whether it assumes that the reward of a slot does not depend on what stands below it.
        only_rival: Whether nothing in a log but its rival can contradict what it assumes; item-position and prefix
            weights have the placebo.
        rival: Estimator of the same value that assumes less, which may have a rival of its own; where one of these is
            usable and disagrees, the assumption is wrong. Empty if there is none.
        against: Turns its statistics into those of the difference to the logger.
        strength: What its weights are reshaped by; None where they are left as they are.
        at: The number that it is reshaped by now; NaN where it is still to be tuned.
        tuning: Name of the rule that chooses the number, "" where it is given.
        by_default: Whether it is computed where no estimators are named.
        passes: How often the rows of a log are read, cross-fitting of a reward model included.
    """

    name: str
    terms: Callable[[Evidence], Terms]
    formula: Callable[[Terms], Statistics]
    needs: tuple[str, ...]
    assumption: str
    paper: str
    estimand: str = "value per {unit} over the logger's contexts"
    never_trust: str = ""
    slotwise: bool = False
    prefixwise: bool = False
    only_rival: bool = False
    rival: str = ""
    against: Callable[[Statistics, Evidence], Statistics] = lift
    strength: Strength | None = None
    at: float = float("nan")
    tuning: str = ""
    by_default: bool = True
    passes: int = 1

    @property
    def has_model(self) -> bool:
        """Whether a reward model stands in for what weights do not carry."""
        return bool(_TOTALS_OF_MODELS & set(self.needs)) or (
            self.strength is not None and self.strength.beyond is not None
        )

    @property
    def is_untested(self) -> bool:
        """Whether its bias is known by its rival alone: by design, or for want of any other test."""
        return bool(self.never_trust) or self.only_rival

    def cut(self, evidence: Evidence) -> Terms:
        """The evidence cut into terms, their weights reshaped where this estimator does that.

        Raises:
            UserError: If a needed column is missing.
        """
        self.require(evidence)
        return self.reshaped(self.terms(evidence))

    def reshaped(self, terms: Terms) -> Terms:
        """Terms with reshaped weights; the same where this estimator leaves them alone.

        Raises:
            UserError: If its strength is still to be tuned.
        """
        if self.strength is None:
            return terms
        if math.isnan(self.at):
            raise UserError(
                f"'{self.name}' has no strength yet. Let offpolicy.evaluate choose it, or offpolicy.tuning.tuned."
            )
        if self.strength.remake is not None:
            return self.strength.remake(terms, self.at)
        made = replace(terms, weight=self.strength.reshape(terms.weight, self.at))
        return made if self.strength.beyond is None else replace(made, q_target=self.strength.beyond(terms, self.at))

    def missing(self, evidence: Evidence) -> tuple[str, ...]:
        """The columns it needs and the evidence lacks."""
        return tuple(need for need in self.needs if getattr(evidence, need) is None)

    def require(self, evidence: Evidence) -> None:
        """Raise a `UserError` that names the missing columns, if any is missing."""
        missing = self.missing(evidence)
        if missing:
            where = " ".join(f"{need}: {SOURCES[need]}." for need in missing if need in SOURCES)
            raise UserError(
                f"estimator '{self.name}' needs {' and '.join(missing)}, which the evidence does not have. "
                f"Add them, or choose an estimator that does without.{' ' if where else ''}{where}"
            )

    def __call__(self, evidence: Evidence) -> Scores:
        """The value and the influence of each row.

        Raises:
            UserError: If a needed column is missing.
        """
        return scores(self.statistics(evidence))

    def statistics(self, evidence: Evidence) -> Statistics:
        """What the formula makes of each row.

        Raises:
            UserError: If a needed column is missing.
        """
        return self.formula(self.cut(evidence))
