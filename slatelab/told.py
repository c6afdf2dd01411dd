"""What `slatelab evaluate` prints: estimates with reasons, plans, the audit, segments, what a reader understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from slatelab.output import interval, number, print_json, print_result, print_table, stdout_kept_clean

if TYPE_CHECKING:
    from scenarios.evaluation import Evaluation
    from scenarios.foreign import ForeignLog


def print_dry_run(log: ForeignLog, as_json: bool) -> None:
    """Print what a reader understood of a log, role by role, and what can be computed from it."""
    from scenarios.foreign import dry_run

    with stdout_kept_clean():
        told, notes = dry_run(log)
    if as_json:
        print_json({"understood": [{"role": role, "found": found} for role, found in told], "notes": notes})
        return
    print_table(["role", "understood as"], [[role, found] for role, found in told], wrap=["understood as"])
    for note in notes:
        print_result(f"note: {note}")


def print_evaluation(evaluation: Evaluation, as_json: bool) -> None:
    """Print an evaluation: estimates by reward and what belongs beside them, or all of it as one JSON object."""
    records = evaluation.records()
    if as_json:
        beside = {
            "audit": evaluation.audit,
            "plans": evaluation.plans,
            "segments": evaluation.segments,
            "sensitivity": evaluation.sensitivity,
            "quantiles": evaluation.quantiles,
            "unanswered": evaluation.unanswered,
            "notes": evaluation.notes,
        }
        print_json({"estimates": records} | {name: list(rows) for name, rows in beside.items() if rows})
        return
    for reward in dict.fromkeys(record.get("reward") for record in records):
        if reward is not None:
            print_result(f"Reward: {reward}")
        print_estimates([record for record in records if record.get("reward") == reward])
    print_plans(evaluation.plans)
    print_quantiles(evaluation.quantiles, evaluation.unanswered)
    print_sensitivity(evaluation.sensitivity)
    print_audit(evaluation.audit)
    print_segments(evaluation.segments)
    for note in evaluation.notes:
        print_result(f"note: {note}")


def print_estimates(records: Sequence[Mapping[str, Any]]) -> None:
    """Print the estimates as a table, how to read it, and the reasons of every verdict that is less than `trust`."""
    rule = ",\n".join(dict.fromkeys(str(record["interval"]) for record in records))
    columns = [
        "estimator",
        "value",
        f"interval\n({rule})",
        "lift",
        "lift interval",
        "effective\nrows",
        "effective\npositives",
        "verdict",
    ]
    rows = [
        [
            record["estimator"],
            number(record["value"]),
            interval(record["low"], record["high"]),
            number(record["lift"]),
            interval(record["lift_low"], record["lift_high"]),
            number(record["effective_rows"]),
            number(record["effective_positives"], digits=3),
            record["verdict"],
        ]
        for record in records
    ]
    print_table(columns, rows, right=columns[1:-1], wrap=[columns[2], "lift interval"])
    print_result("")
    names_by_reading: dict[str, list[str]] = {}
    for record in records:
        names_by_reading.setdefault(_reading(record), []).append(record["estimator"])
    for line, names in names_by_reading.items():
        print_result(line if len(names_by_reading) == 1 else f"{', '.join(names)}: {line}")
    names_by_reason: dict[str, list[str]] = {}
    for record in records:
        if record["reasons"]:
            told = f"{record['verdict']}: {'; '.join(record['reasons'])}"
            names_by_reason.setdefault(told, []).append(record["estimator"])
    for told, names in names_by_reason.items():
        print_result(f"{', '.join(names)}: {told}")


def print_audit(audit: Sequence[Mapping[str, Any]]) -> None:
    """Print what the log says of its own propensities: what passed by name, what did not in words."""
    for outcome in ("passed", "not checked"):
        names = [row["check"] for row in audit if row["outcome"] == outcome]
        if names:
            print_result(f"audit, {outcome}: {', '.join(names)}")
    for row in audit:
        if row["outcome"] in ("strained", "failed"):
            print_result(f"audit, {row['outcome']}: {row['check']}: {row['said']}")


def print_segments(segments: Sequence[Mapping[str, Any]]) -> None:
    """Print values and lifts by segment."""
    if not segments:
        return
    name = segments[0]["column"]
    columns = [name, "rows", "value", "lift", "lift interval\n(all at once)", "p\n(Holm)", "verdict"]
    rows = [
        [
            row["segment"],
            f"{row['rows']:,}",
            number(row["value"]),
            number(row["lift"]),
            interval(row["lift_low"], row["lift_high"]),
            number(row["p"], digits=2),
            row["verdict"],
        ]
        for row in segments
    ]
    print_result("")
    print_table(columns, rows, right=columns[1:-1])
    of = f", of {segments[0]['reward']}" if "reward" in segments[0] else ""
    print_result(f"By {name}{of}, by {segments[0]['estimator']}.")


def print_plans(plans: Sequence[Mapping[str, Any]]) -> None:
    """Print how many more searches each estimate needs, where a width was asked for."""
    for plan in plans:
        if plan["more_rows"] is None:
            told = plan["caveat"]
        elif plan["more_rows"] == 0:
            told = f"the interval is {number(plan['width_now'])} wide, no more than {number(plan['width'])}"
        else:
            told = f"{plan['more_rows']:,} more searches of the same mix for an interval {number(plan['width'])} wide"
            told += f" (now {number(plan['width_now'])})" + (f"; {plan['caveat']}" if plan["caveat"] else "")
        print_result(f"{_of_reward(plan)}{plan['estimator']}: {told}")


def print_quantiles(quantiles: Sequence[Mapping[str, Any]], unanswered: Sequence[str]) -> None:
    """Print a quantile of a row's reward and the mean beyond it, beside the logger's; and what has no such answer."""
    for row in quantiles:
        what = f"{row['p']:g} quantile" if row["what"] == "quantile" else f"mean beyond the {row['p']:g} quantile"
        print_result(
            f"{row['reward']}, {what}: {number(row['value'])} ({interval(row['low'], row['high'])}), the logger's "
            f"{number(row['logger'])}"
        )
    for line in unanswered:
        print_result(line)


def print_sensitivity(sensitivity: Sequence[Mapping[str, Any]]) -> None:
    """Print how far the number told first bends, a sentence on clipping and one on a hidden confounder a reward."""
    rewards = list(dict.fromkeys(row["reward"] for row in sensitivity))
    for reward in rewards:
        head = "sensitivity" if len(rewards) == 1 else f"sensitivity, {reward}"
        rows = [row for row in sensitivity if row["reward"] == reward]
        cuts = [row for row in rows if row["asked"] == "clipping"]
        told = "; ".join(f"{number(row['value'])} with the largest {100 * row['share']:g}% clipped" for row in cuts[1:])
        print_result(
            f"{head}: {number(cuts[0]['value'])} by the weights of {cuts[0]['estimator']}, self-normalised; {told}"
        )
        print_result(f"{head}: {_confounder(rows)}")


def _confounder(rows: Sequence[Mapping[str, Any]]) -> str:
    """How strong a hidden confounder would have to be, and what one of the middle strength would allow."""
    gamma = next(row["gamma"] for row in rows if row["asked"] == "weakest confounder")
    bounds = [row for row in rows if row["asked"] == "confounder"]
    middle = bounds[len(bounds) // 2]
    how = "by no factor up to 20" if gamma is None else f"by a factor of {number(gamma, digits=3)}"
    return (
        f"something unlogged that moved the odds of what was shown {how} explains all of the distance to the logger's "
        f"{number(rows[0]['logger'])}; by {middle['gamma']:g} it could be {interval(middle['low'], middle['high'])}"
    )


def _of_reward(row: Mapping[str, Any]) -> str:
    return f"{row['reward']}, " if "reward" in row else ""


def _reading(record: Mapping[str, Any]) -> str:
    """Return how the numbers of one record are to be read."""
    return (
        f"Estimated: {record['estimand']}; {record['rows']:,} rows; {100 * record['level']:g}% intervals "
        f"({record['interval']}), errors clustered by {record['cluster']}; lift over the logger on the same rows."
    )
