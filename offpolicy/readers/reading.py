"""What a reader hands over: the evidence on a target policy, or why there is none, and what it understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from offpolicy.clickmodel import ClickLog
from offpolicy.estimate import Estimate
from offpolicy.estimators import ESTIMATORS
from offpolicy.evidence import Evidence
from offpolicy.single.columns import makeable
from offpolicy.terms import item_position
from offpolicy.verdict import WORDS, Verdict
from simenv.errors import UserError

NO_WEIGHT = (
    "no counterfactual weight exists for this log: {why}. What another ranking would have earned where the logger "
    "never tried it is a matter of a model, not of weights. From now on log, for every page, the probability that "
    "each item had of its slot given the slots above when the page was drawn, and let the ranker explore (a little "
    "noise on its scores is enough); see docs/any-log.md"
)


@dataclass(frozen=True)
class Caveat:
    """Something that evaluation survives and a reader of the verdict must know.

    Attributes:
        text: One clause.
        rank: The best verdict it leaves: 1 `caution`, 2 `do not use`; 0 leaves it alone and is told as a note.
    """

    text: str
    rank: int = 1


@dataclass(frozen=True)
class Reading:
    """A log as a reader understood it.

    Attributes:
        source: What was read, for titles.
        understood: Pairs of a role and what was found for it, in the order in which a person would ask.
        evidence: By the name of the reward; empty where the log or the target gives no weights.
        caveats: For the verdicts.
        only: The estimators that the propensities allow, where they do not allow all.
        why_only: Why, as a clause.
        no_weight: Why there are no weights, as a clause; empty where there are.
        clicks: Pages, items and clicks, where a click model can be fitted to them.
        target_missing: Whether no target policy was given.
        ranking: What the target would show on each page of `clicks`, item codes, (N, K); None where it did not say.
        examination: Chance that each slot is looked at, where it is declared.
        unit: What a page is called.
    """

    source: str
    understood: tuple[tuple[str, str], ...]
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    caveats: tuple[Caveat, ...] = ()
    only: tuple[str, ...] = ()
    why_only: str = ""
    no_weight: str = ""
    clicks: ClickLog | None = None
    target_missing: bool = False
    ranking: npt.NDArray[np.int64] | None = None
    examination: tuple[float, ...] = ()
    unit: str = "search"

    def estimators(self, asked: list[str] | None) -> list[str] | None:
        """The estimators to compute: those asked for, or those that the propensities allow.

        Raises:
            UserError: If one is asked for that they do not allow, with the reason.
        """
        if self.no_weight:
            refused = [name for name in asked or [] if name.partition(":")[0] not in MODEL_ONLY]
            if refused:
                raise UserError(f"'{refused[0]}' is refused: {NO_WEIGHT.format(why=self.no_weight)}.")
        if not self.only:
            return asked
        refused = [name for name in asked or [] if name.partition(":")[0] not in self.only]
        if refused:
            raise UserError(f"'{refused[0]}' is refused: {self.why_only}. Those that can run: {', '.join(self.only)}.")
        return list(self.only) if asked is None else asked


MODEL_ONLY = ("pbm", "dm")  # those that a click model can feed


def runnable(evidence: Evidence, only: Iterable[str] = ()) -> list[str]:
    """Names of the estimators that have all their columns or can be given them (among `only`, where it names some).

    Those that need no column and are computed only on request are left out: they can always run.
    """
    allowed, able = tuple(only) or tuple(ESTIMATORS), makeable(evidence)
    return [
        name
        for name, one in ESTIMATORS.items()
        if name in allowed
        and (only or one.by_default or one.needs)
        and not set(one.missing(evidence)) - able
        and (only or one.terms is not item_position or evidence.n_slots > 1)
    ]


def with_caveats(estimates: list[Estimate], caveats: Iterable[Caveat]) -> list[Estimate]:
    """The same estimates, the reader's caveats among the reasons of their verdicts, which they may only make worse."""
    told = sorted((one for one in caveats if one.rank), key=lambda one: -one.rank)
    if not told:
        return estimates
    worst = max(one.rank for one in told)
    return [replace(one, verdict=_worse(one.verdict, worst, [one.text for one in told])) for one in estimates]


def _worse(verdict: Verdict, rank: int, texts: list[str]) -> Verdict:
    before = WORDS.index(verdict.word)
    old = () if before == 0 else verdict.reasons  # the reasons of `trust` are praise
    reasons = (*old, *texts) if before >= rank else (*texts, *old)
    return Verdict(WORDS[max(before, rank)], reasons)
