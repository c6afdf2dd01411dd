"""The table of `scenarios.bench_long_term`: what everybody is worth to a shop, against whom, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scenarios.conduct import CONDUCT
from scenarios.paired import Spread, over_seeds, paired

FUTURE, NO_FUTURE = "ppo-slate", "ppo-slate, gamma 0"
PRODUCTION, ORACLE, INDEX = "production", "myopic oracle", "long-horizon oracle"
BANDITS_NAMED = ("neural-linear", "position-aware", "linear")
ORDER = (PRODUCTION, *BANDITS_NAMED, NO_FUTURE, FUTURE, ORACLE, INDEX)


@dataclass(frozen=True)
class Record:
    """What one policy of one seed came to. value: per shopper. seconds: CPU, of training. figures: of `CONDUCT`."""

    seed: int
    name: str
    value: float
    seconds: float
    figures: dict[str, float]


def table(records: Sequence[Record]) -> list[dict[str, Any]]:
    """A row a policy, in the order of ORDER.

    Returns:
        Records of policy, seeds, value with low and high (95% t-interval over seeds, None with one), gain with gain_low
        and gain_high over the best bandit (paired by seed; the one of the highest mean; None for itself), seconds, and
        the mean of each figure of CONDUCT.
    """
    values = {name: {each.seed: each.value for each in records if each.name == name} for name in ORDER}
    best = best_bandit(records)
    rows = []
    for name in ORDER:
        own = [record for record in records if record.name == name]
        if not own:
            continue
        beside = [record.seed for record in own if best != name and record.seed in values.get(best, {})]
        gain = paired([values[name][s] for s in beside], [values[best][s] for s in beside]) if beside else None
        value = over_seeds([record.value for record in own])
        rows.append(
            {
                "policy": name, "seeds": value.seeds, "value": value.mean, **_ends("", value),
                "gain": None if gain is None else gain.mean, **_ends("gain_", gain),
                "seconds": float(np.mean([record.seconds for record in own])),
                **{figure: float(np.mean([record.figures[figure] for record in own])) for figure in CONDUCT},
            }
        )  # fmt: skip
    return rows


def best_bandit(records: Sequence[Record]) -> str:
    """The bandit that is worth most in the mean over seeds; empty where none was measured."""
    means = {
        name: float(np.mean([each.value for each in records if each.name == name]))
        for name in BANDITS_NAMED
        if any(each.name == name for each in records)
    }
    return max(means, key=lambda name: means[name]) if means else ""


def finding(rows: Sequence[dict[str, Any]]) -> str:
    """The answer in a sentence."""
    by_name = {row["policy"]: row for row in rows}
    base = next((row for row in rows if row["policy"] in BANDITS_NAMED and row["gain"] is None), None)
    if base is None or FUTURE not in by_name:
        return "Not everybody was measured."
    own = by_name[FUTURE]
    inside = "" if own["gain_low"] is None else f" [{own['gain_low']:+.2f}, {own['gain_high']:+.2f}]"
    far = own["gain_low"] is not None and own["gain_low"] > 0
    said = f"{own['policy']} is worth {own['gain']:+.2f}{inside} a shopper over {base['policy']} ({base['value']:.2f})"
    verdict = "it beats the best myopic bandit" if far else "that it beats the best myopic bandit is not shown"
    if ORACLE in by_name and INDEX in by_name:
        ceiling = by_name[INDEX]["value"] / by_name[ORACLE]["value"] - 1.0
        verdict += f"; with hidden truth, looking further is worth {ceiling:+.1%} over the myopic oracle"
    return f"{said}: {verdict}."


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Tables for people: values, then conduct with a column a policy."""
    lines = ["| | seeds | a shopper | 95% interval | over the best bandit | CPU s |", "|---|---:|---:|---|---|---:|"]
    for row in rows:
        inside = "" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
        gain = "" if row["gain"] is None else f"{row['gain']:+.2f}"
        if row["gain_low"] is not None:
            gain += f" [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}]"
        lines.append(
            f"| {row['policy']} | {row['seeds']} | {row['value']:.2f} | {inside} | {gain} | {row['seconds']:.0f} |"
        )
    lines += ["", f"| | {' | '.join(row['policy'] for row in rows)} |", f"|---{'|---:' * len(rows)}|"]
    for name, meaning in CONDUCT.items():
        lines.append(f"| {meaning} | {' | '.join(f'{row[name]:.3f}' for row in rows)} |")
    return "\n".join(lines)


def _ends(prefix: str, spread: Spread | None) -> dict[str, float | None]:
    """The ends of an interval by name; None where there is none."""
    known = spread is not None and spread.seeds > 1
    return {f"{prefix}low": spread.low if known and spread else None,
            f"{prefix}high": spread.high if known and spread else None}  # fmt: skip
