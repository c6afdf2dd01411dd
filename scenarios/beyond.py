"""What stands beside an estimate that is told first: how far it bends, and what a search earns beyond its mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offpolicy import Evidence
from offpolicy.audit.sensitivity import clipping, confounded, weakest_confounder
from offpolicy.estimators import estimator
from offpolicy.objectives.quantiles import check_share, quantile, tail_mean
from scenarios.evaluation import Wishes
from scenarios.folder import Row
from scenarios.headline import HEADLINES, headline
from simenv.errors import UserError

GAMMAS = (1.1, 1.25, 1.5)  # factors on the odds of what was shown, that a hidden confounder may have moved
MOST = 20.0  # no confounder beyond is looked for


def sensitivity_rows(head: Mapping[str, str], evidence: Evidence, rows: Sequence[Row]) -> list[Row]:
    """How the number told first moves with its largest weights clipped, and under a hidden confounder.

    All of it is of the self-normalised estimate with that estimator's weights, which is what bounds exist for.

    Args:
        head: Columns that stand before the others.
        evidence: What the estimates were made from.
        rows: The estimates, of one reward.

    Returns:
        Rows of sensitivity.csv: "clipping" (share, at, value), "confounder" (gamma, low, high) and "weakest confounder"
        (gamma; None where not even MOST explains the lift). Empty where no estimate by weights was made.
    """
    told = headline(rows) or next((row for row in rows if row["estimator"] in HEADLINES), None)
    if told is None:
        return []
    terms = estimator(told["estimator"]).terms(evidence)
    logged = float(evidence.reward.sum(axis=1).mean())
    cuts = clipping(terms)
    if not math.isfinite(cuts[0].value):
        return []
    empty = dict.fromkeys(("share", "at", "gamma", "value", "low", "high"))
    own = {**head, "estimator": told["estimator"], "logger": logged}
    made: list[Row] = [
        {**own, "asked": "clipping", **empty, "share": cut.share, "at": cut.at, "value": cut.value} for cut in cuts
    ]
    for gamma in GAMMAS:
        low, high = confounded(terms, gamma)
        made.append({**own, "asked": "confounder", **empty, "gamma": gamma, "low": low, "high": high})
    weakest = weakest_confounder(terms, logged, MOST)
    gamma_or_none = weakest if math.isfinite(weakest) else None
    return [*made, {**own, "asked": "weakest confounder", **empty, "gamma": gamma_or_none}]


def quantile_rows(head: Mapping[str, str], evidence: Evidence, p: float | None, level: float) -> list[Row]:
    """The p-quantile of a row's total reward and the mean beyond it, beside the logger's; empty where not asked for.

    Raises:
        UserError: If p is out of range, or the quantile sits on an atom.
    """
    if p is None:
        return []
    made: list[Row] = []
    check_share(p)
    total = evidence.reward.sum(axis=1)
    own = float(np.quantile(total, p, method="inverted_cdf"))
    past = own + float(np.maximum(total - own, 0.0).mean()) / (1.0 - p)
    for name, ask, logged in (("quantile", quantile, own), ("mean beyond", tail_mean, past)):
        one = ask(evidence, p, level)
        made.append(
            {**head, "what": name, "p": p, "value": one.value, "low": one.low, "high": one.high, "level": level,
             "logger": logged}
        )  # fmt: skip
    return made


@dataclass(frozen=True)
class Beyond:
    """Rows of sensitivity.csv and of quantiles.csv, and what was asked and has no answer."""

    sensitivity: tuple[Row, ...] = ()
    quantiles: tuple[Row, ...] = ()
    unanswered: tuple[str, ...] = ()


def beyond(
    head: Mapping[str, str], by_reward: Mapping[str, Evidence], rows: Sequence[Row], wishes: Wishes, level: float
) -> Beyond:
    """What stands beside the estimates of each reward; a reward whose quantile sits on an atom is left unanswered.

    Raises:
        UserError: If a quantile was asked for that no reward has.
    """
    sensitivity: list[Row] = []
    quantiles: list[Row] = []
    refused: dict[str, UserError] = {}
    for reward, evidence in by_reward.items():
        own = {**head, "reward": reward}
        if wishes.per == "search":
            sensitivity += sensitivity_rows(own, evidence, [row for row in rows if row.get("reward", reward) == reward])
        try:
            quantiles += quantile_rows(own, evidence, wishes.quantile, level)
        except UserError as error:
            refused[reward] = error
    if refused and not quantiles:
        raise next(iter(refused.values()))
    return Beyond(tuple(sensitivity), tuple(quantiles), tuple(f"{one}: {error}" for one, error in refused.items()))
