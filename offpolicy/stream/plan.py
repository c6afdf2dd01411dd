"""The plan of one pass: which estimators are summed up, with the rivals that they are compared with.

A plan is names alone, so that it can be sent to a worker and can name a saved state. What is not a sum is refused here,
with what to do instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from offpolicy.estimator import Estimator
from offpolicy.estimators import BY_SLOT, ESTIMATORS, estimator
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm
from offpolicy.inference import lift
from offpolicy.slates.behaviour import adaptive
from offpolicy.stream.survey import NOTHING, Survey
from offpolicy.terms import Terms
from simenv.errors import UserError

IN_ONE_PASS = ("t", "normal", "bootstrap")  # intervals that sums alone give
OF_ALL_ROWS = (
    "length", "mixture", "second_moment", "balanced", "embedding", "q_robust", "q_within", "time",
)  # columns that are made of a whole log  # fmt: skip
BESIDE = ("placebo", "score_residual", "features", "q_logged", "actions")  # that an audit looks at, where they are

Family = tuple[Callable[[Evidence], Terms], object, float | None]


@dataclass(frozen=True)
class Plan:
    """What one pass sums up.

    Attributes:
        asked: Names of the estimators to report.
        rivals: Names of others that these are compared with.
        beside: Columns of evidence that the audit looks at.
        features: Names of the features.
        replicates: B, of a bootstrap; 0 for none.
        seed: Names its luck.
        survey: What is known of the whole log.
    """

    asked: tuple[str, ...]
    rivals: tuple[str, ...]
    beside: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    replicates: int = 0
    seed: int = 0
    survey: Survey = NOTHING

    @property
    def members(self) -> tuple[Estimator, ...]:
        """All estimators whose columns are summed, in their order."""
        return tuple(estimator(name) for name in (*self.asked, *self.rivals))

    @property
    def families(self) -> dict[Family, Estimator]:
        """Families of weights in their order, each with an estimator that cuts it; what is reshaped also as it was."""
        made: dict[Family, Estimator] = {}
        for one in self.members:
            plain = replace(one, strength=None)
            made.setdefault(family(plain), plain)
            made.setdefault(family(one), one)
        return made

    @property
    def looks(self) -> bool:
        """Whether an estimator needs to know that slots do not touch each other."""
        return any(one.slotwise or one.prefixwise for one in self.members)

    def rivals_of(self, one: Estimator) -> list[Estimator]:
        """Those that assume less, and less again, of those that the log can feed."""
        summed = (*self.asked, *self.rivals)
        return [rival for rival in _chain(one) if rival.name in summed]

    @property
    def pairs(self) -> list[tuple[Family, Family]]:
        """Families of weights that are compared row by row: how many rewarded rows their estimates differ by."""
        found: dict[tuple[Family, Family], None] = {}
        for name in self.asked:
            one = estimator(name)
            if one.formula is not dm:
                found.update({(family(one), family(rival)): None for rival in self.rivals_of(one)})
        return list(found)


def plan_of(
    evidence: Evidence,
    estimators: list[str] | None,
    replicates: int = 0,
    seed: int = 0,
    survey: Survey = NOTHING,
) -> Plan:
    """The plan for a log of which some rows are at hand.

    Args:
        evidence: Some rows, which tell what columns there are.
        estimators: Names; those that run by default and that the columns can feed where None.
        replicates: B, of a bootstrap; 0 for none.
        seed: Names its luck.
        survey: What is known of the whole log; where nothing is, clusters must be in order, and time and segments are
            not looked at.

    Raises:
        UserError: If a name is unknown, lacks a column, or is not made of sums.
    """
    if estimators is None:
        chosen = [
            one
            for one in ESTIMATORS.values()
            if one.by_default and not one.missing(evidence) and not (one.terms in BY_SLOT and evidence.n_slots == 1)
        ]
    else:
        chosen = [_allowed(name) for name in estimators]
        for one in chosen:
            one.require(evidence)
    asked = tuple(dict.fromkeys(one.name for one in chosen))
    rivals = [rival.name for one in chosen for rival in _chain(one) if not rival.missing(evidence)]
    beside = tuple(name for name in BESIDE if getattr(evidence, name) is not None)
    others = tuple(name for name in dict.fromkeys(rivals) if name not in asked)
    return Plan(asked, others, beside, evidence.feature_names, replicates, seed, survey)


def check_names(estimators: list[str] | None, interval: str) -> None:
    """Refuse what one pass cannot make, before a log is read.

    Raises:
        UserError: Saying why, and what to do.
    """
    for name in estimators or []:
        _allowed(name)
    if interval not in IN_ONE_PASS:
        from offpolicy.intervals.registry import interval_rule

        raise UserError(
            f"the interval '{interval_rule(interval).name}' is not made of sums: it needs all rows of the log at once, "
            f"for some of them in an order fixed beforehand. In one pass: {', '.join(IN_ONE_PASS)}. Else evaluate "
            "without streaming, on as many shoppers as memory holds."
        )


def family(one: Estimator) -> Family:
    """What tells the weights of an estimator from others."""
    return one.terms, one.strength, None if one.strength is None else one.at


def _allowed(name: str) -> Estimator:
    one = estimator(name)
    if one.tuning:
        raise UserError(
            f"'{name}': a strength that the log chooses takes 2 passes, one to choose and one to estimate. Choose it "
            f"by evaluating '{name}' on some of the shoppers, without streaming, then name the number here, as in "
            f"'{name.partition(':')[0]}:100'."
        )
    for need in one.needs:
        if need in OF_ALL_ROWS:
            raise UserError(
                f"estimator '{name}' needs {need}, which is made of whole sessions or of all rows of a log "
                f"({one.passes} passes and more) and not of one row after another. Evaluate it without streaming."
            )
    if one.terms is adaptive:
        raise UserError(f"'{name}' weighs by behaviours, which are learned from all rows. Evaluate without streaming.")
    if one.against is not lift:
        raise UserError(f"the lift of '{name}' is not a difference to a mean over rows. Evaluate without streaming.")
    return one


def _chain(one: Estimator) -> list[Estimator]:
    found, name = [], one.rival
    while name:
        found.append(ESTIMATORS[name])
        name = ESTIMATORS[name].rival
    return found
