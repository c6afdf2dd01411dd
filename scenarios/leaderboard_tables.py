"""The arithmetic of the leaderboard: from estimates with known truths to scores, rankings, choices and the two bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from offpolicy.verdict import WORDS
from scenarios.folder import Row
from scenarios.headline import HEADLINES

TRUST, _, REFUSED = WORDS
Key = TypeVar("Key", bound=Hashable)
FAILS_BELOW = 0.85  # coverage of a 95% interval below which an estimator is said to fail in a cell
TRUST_GOAL, REFUSAL_GOAL = 0.93, 0.90
REFERENCE = "dr"  # what rules of choice are measured against


@dataclass(frozen=True)
class Judged:
    """One estimate of one log, with the truth that it was after; an end that an interval lacks is infinite."""

    seed: int
    target: str
    truth: float
    estimator: str
    value: float
    low: float
    high: float
    verdict: str
    is_chosen: bool = False  # by importance fitting, where that was asked for and the log has tables of all actions

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth; False where there is none."""
        return self.low <= self.truth <= self.high

    @property
    def width(self) -> float:
        """High minus low."""
        return self.high - self.low


def score_rows(cell: str, judged: Sequence[Judged], *, is_sound: bool = False) -> list[Row]:
    """A row a (target, estimator): how it did over the logs, and what its verdicts said."""
    rows: list[Row] = []
    for (target, estimator), each in _grouped(judged, lambda one: (one.target, one.estimator)).items():
        error = np.array([one.value - one.truth for one in each])
        holds = np.array([one.holds for one in each])
        words = [one.verdict for one in each]
        trusted = [one.holds for one in each if one.verdict == TRUST]
        coverage = float(holds.mean())
        rows.append(
            {
                "cell": cell,
                "sound": is_sound,
                "target": target,
                "estimator": estimator,
                "logs": len(each),
                "truth": each[0].truth,
                "bias": float(error.mean()),
                "sd": float(error.std(ddof=1)) if len(each) > 1 else float("nan"),
                "rmse": float(np.sqrt((error**2).mean())),
                "coverage": coverage,
                "width": float(np.mean([one.width for one in each])),
                **{word.replace(" ", "_"): words.count(word) / len(words) for word in WORDS},
                "trusted": len(trusted),
                "trusted_right": sum(trusted),
                "fails": coverage < FAILS_BELOW,
            }
        )
    return rows


def ranking_rows(cell: str, judged: Sequence[Judged]) -> list[Row]:
    """A row an estimator: does it order the targets of a log as the truth does, and what does choosing by it lose?

    Regret is the value of the best target minus that of the target with the highest estimate, as a share of the
    distance from the worst to the best. Nothing for a cell of one target.
    """
    truth = {one.target: one.truth for one in judged}
    best, worst = max(truth.values()), min(truth.values())
    if best <= worst:
        return []
    rows: list[Row] = []
    for estimator, each in _grouped(judged, lambda one: one.estimator).items():
        found = [
            {one.target: one.value for one in log}
            for log in _grouped(each, lambda one: one.seed).values()
            if all(math.isfinite(one.value) for one in log)
        ]
        if not found:
            continue
        rows.append(
            {
                "cell": cell,
                "estimator": estimator,
                "logs": len(found),
                "targets": len(truth),
                "rank_correlation": float(np.mean([rank_correlation(values, truth) for values in found])),
                "regret": float(np.mean([regret(values, truth) for values in found])) / (best - worst),
            }
        )
    return rows


def choice_rows(cell: str, judged: Sequence[Judged]) -> list[Row]:
    """A row a rule that chooses an estimator on each log: error where it answers, beside always taking `dr` there."""
    logs = _grouped(judged, lambda one: (one.seed, one.target))
    rows: list[Row] = []
    for rule, choose in RULES.items():
        own, theirs, holds, names = [], [], [], []
        for each in logs.values():
            usual = next((one for one in each if one.estimator == REFERENCE), None)
            taken = choose(each)
            if taken is None or usual is None or not math.isfinite(taken.value):
                continue
            scale = abs(taken.truth) or 1.0
            own.append(((taken.value - taken.truth) / scale) ** 2)
            theirs.append(((usual.value - usual.truth) / scale) ** 2)
            holds.append(taken.holds)
            names.append(taken.estimator)
        n = len(own)
        rows.append(
            {
                "cell": cell,
                "rule": rule,
                "logs": len(logs),
                "answered": n,
                "squared_error": float(np.mean(own)) if n else float("nan"),
                "squared_error_of_dr": float(np.mean(theirs)) if n else float("nan"),
                "held": sum(holds),
                "most_often": max(set(names), key=names.count) if n else "",
            }
        )
    return rows


def bar_rows(scores: Sequence[Row]) -> list[Row]:
    """The two bars, and what they cost: sound estimates that are refused, and how many are trusted at all."""
    failing = [row for row in scores if row["fails"]]
    sound = [row for row in scores if row["sound"] and not row["fails"]]
    logs = sum(row["logs"] for row in sound)
    return [
        _bar(
            "trust is right",
            sum(row["trusted_right"] for row in scores),
            sum(row["trusted"] for row in scores),
            TRUST_GOAL,
            "of all trusted estimates, those whose 95% interval holds the truth",
        ),
        _bar(
            "failing cells are refused",
            sum(row["do_not_use"] > 0.5 for row in failing),
            len(failing),
            REFUSAL_GOAL,
            f"of all (cell, target, estimator) whose interval covers less than {FAILS_BELOW:.0%}, those with 'do not "
            "use' in most of their logs",
        ),
        _bar(
            "sound cells are trusted",
            round(sum(row["trust"] * row["logs"] for row in sound)),
            logs,
            float("nan"),
            "of the estimates that do not fail in beds where nothing is wrong, those with 'trust'",
        ),
        _bar(
            "sound cells are refused",
            round(sum(row["do_not_use"] * row["logs"] for row in sound)),
            logs,
            float("nan"),
            "of the same, those with 'do not use': what willingness to refuse costs",
        ),
    ]


def estimator_rows(scores: Sequence[Row], rankings: Sequence[Row]) -> list[Row]:
    """A row an estimator over all cells: medians of error and width beside `dr`, coverage, verdicts, ranking.

    Errors are compared with those of `dr` in the same cell and target, so that large markets count no more than small.
    """
    usual = {(row["cell"], row["target"]): row for row in scores if row["estimator"] == REFERENCE}
    rows: list[Row] = []
    for name in dict.fromkeys(row["estimator"] for row in scores):
        own = [row for row in scores if row["estimator"] == name]
        sound = [row for row in own if row["sound"]]
        ranked = [row for row in rankings if row["estimator"] == name]
        trusted = sum(row["trusted"] for row in own)
        rows.append(
            {
                "estimator": name,
                "cells": len(own),
                "failing": sum(row["fails"] for row in own),
                "sound_coverage": _mean([row["coverage"] for row in sound]),
                "relative_rmse": _median([_beside(row, usual, "rmse") for row in sound]),
                "relative_width": _median([_beside(row, usual, "width") for row in sound]),
                "trusted": trusted,
                "trusted_right": sum(row["trusted_right"] for row in own) / trusted if trusted else float("nan"),
                "refused": _mean([row["do_not_use"] for row in own]),
                "rank_correlation": _mean([row["rank_correlation"] for row in ranked]),
                "regret": _mean([row["regret"] for row in ranked]),
            }
        )
    return rows


def chosen_rows(choices: Sequence[Row]) -> list[Row]:
    """A row a rule over all cells: how often it answers, its error beside that of `dr` on the same logs, coverage.

    The error is the square root of the geometric mean over cells of the ratio of mean squared errors.
    """
    rows: list[Row] = []
    for rule in dict.fromkeys(row["rule"] for row in choices):
        own = [row for row in choices if row["rule"] == rule]
        told = [row for row in own if row["answered"] and row["squared_error_of_dr"] > 0 and row["squared_error"] > 0]
        logs, answered = sum(row["logs"] for row in own), sum(row["answered"] for row in own)
        if not answered and RULES.get(rule) is chosen_by_fitting:
            continue  # nobody asked for pseudo-logs
        ratios = [math.log(row["squared_error"] / row["squared_error_of_dr"]) / 2.0 for row in told]
        rows.append(
            {
                "rule": rule,
                "logs": logs,
                "answered": answered / logs if logs else float("nan"),
                "relative_error": math.exp(_mean(ratios)) if ratios else float("nan"),
                "worst": math.exp(max(ratios)) if ratios else float("nan"),
                "worst_in": max(told, key=lambda row: row["squared_error"] / row["squared_error_of_dr"])["cell"]
                if told
                else "",
                "coverage": sum(row["held"] for row in own) / answered if answered else float("nan"),
            }
        )
    return rows


def rank_correlation(values: Mapping[str, float], truth: Mapping[str, float]) -> float:
    """Spearman's rank correlation of estimated and true values; ties share their mean rank, and all alike gives 0."""
    from scipy.stats import rankdata  # deferred: importing it costs more than answering `--help`

    names = sorted(truth)
    one, other = (rankdata([each[name] for name in names]) for each in (values, truth))
    one, other = one - one.mean(), other - other.mean()
    size = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / size if size > 0.0 else 0.0


def regret(values: Mapping[str, float], truth: Mapping[str, float]) -> float:
    """True value of the best minus that of whoever has the highest estimate; the mean over ties."""
    top = max(values.values())
    chosen = [truth[name] for name, value in values.items() if value == top]
    return max(truth.values()) - sum(chosen) / len(chosen)


def always(name: str) -> Callable[[Sequence[Judged]], Judged | None]:
    """The rule that takes one estimator whatever its verdict."""
    return lambda each: next((one for one in each if one.estimator == name), None)


def headline(each: Sequence[Judged]) -> Judged | None:
    """The first that is trusted in the order of `scenarios.headline.HEADLINES`, else the first with caution."""
    found = {(one.estimator, one.verdict): one for one in each}
    for word in WORDS[:2]:
        for name in HEADLINES:
            if (name, word) in found:
                return found[name, word]
    return None


def narrowest_trusted(each: Sequence[Judged]) -> Judged | None:
    """The narrowest interval among the trusted."""
    return min((one for one in each if one.verdict == TRUST), key=lambda one: one.width, default=None)


def narrowest(each: Sequence[Judged]) -> Judged | None:
    """The narrowest interval of all, whatever its verdict: what nobody should do."""
    return min(each, key=lambda one: one.width, default=None)


def agreeing(each: Sequence[Judged]) -> Judged | None:
    """SLOPE over estimators (Su, Srinath and Krishnamurthy 2020): from the widest not refused to the narrowest.

    The last one up to which all intervals, twice as wide, share a point.
    """
    told = sorted((one for one in each if one.verdict != REFUSED), key=lambda one: -one.width)
    low, high, taken = -math.inf, math.inf, None
    for one in told:
        low, high = max(low, one.low - one.width / 2.0), min(high, one.high + one.width / 2.0)
        if low > high:
            break
        taken = one
    return taken


def chosen_by_fitting(each: Sequence[Judged]) -> Judged | None:
    """PAS-IF: what errs least on pseudo-logs of the log (`offpolicy.single.choosing`)."""
    return next((one for one in each if one.is_chosen), None)


RULES: dict[str, Callable[[Sequence[Judged]], Judged | None]] = {
    "always dr": always("dr"),
    "first trusted": headline,
    "narrowest trusted": narrowest_trusted,
    "narrowest that agrees": agreeing,
    "least error on pseudo-logs": chosen_by_fitting,
    "narrowest of all": narrowest,
}


def _beside(row: Row, usual: Mapping[tuple[str, str], Row], column: str) -> float:
    other = usual.get((row["cell"], row["target"]))
    return row[column] / other[column] if other is not None and other[column] > 0.0 else float("nan")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else float("nan")


def _bar(name: str, count: int, n: int, goal: float, meaning: str) -> Row:
    share = count / n if n else float("nan")
    reach = 1.96 * math.sqrt(share * (1.0 - share) / n) if n else float("nan")
    return {"bar": name, "count": count, "of": n, "share": share, "error": reach, "goal": goal, "meaning": meaning}


def _grouped(judged: Iterable[Judged], key: Callable[[Judged], Key]) -> dict[Key, list[Judged]]:
    found: dict[Key, list[Judged]] = {}
    for one in judged:
        found.setdefault(key(one), []).append(one)
    return found
