"""What a contest found: the share of the gap that each closes, who beats whom, and why where they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scenarios.config import Learning
from scenarios.contest_cell import GREEDY
from scenarios.folder import Row
from scenarios.paired import BETTER, over_seeds, paired

SLIGHT = 0.05  # of the gap: what personalisation is worth where it is hardly worth anything

Values = dict[tuple[str, str, str], list[float]]  # by world, policy and play, in the order of the seeds


def gap_rows(values: Sequence[Row], worlds: Sequence[Row]) -> list[Row]:
    """A row a (world, policy, play): the mean value and the share of the gap, from the logger to the best public one.

    Shares of fixed rankers have no interval: nothing about them hangs on the training seed. `share` is NaN where the
    best public ranking is not better than the logger.
    """
    role = {row["policy"]: row["role"] for row in values}
    rows: list[Row] = []
    for (world, policy, play), of_seeds in _by_name(values).items():
        line = _line(worlds, world)
        base, gap = line["logger_value"], line["best_public"] - line["logger_value"]
        share = over_seeds([(value - base) / gap if gap > 0 else float("nan") for value in of_seeds])
        rows.append(
            {
                "world": world,
                "policy": policy,
                "role": role[policy],
                "play": play,
                "seeds": len(of_seeds),
                "value": over_seeds(of_seeds).mean,
                "share": share.mean,
                "low": share.low,
                "high": share.high,
            }
        )
    return rows


def pair_rows(
    comparisons: Sequence[tuple[str, Sequence[str]]],
    values: Sequence[Row],
    worlds: Sequence[Row],
    learners: Sequence[Learning],
) -> list[Row]:
    """A row a (world, play, policy, rival): the difference with its paired interval, in words, and why it is no gain.

    A fixed ranker has one value; it is the same under every seed.
    """
    found = _by_name(values)
    rows: list[Row] = []
    told = {learner.title: learner for learner in learners}
    for line in worlds:
        for policy, rivals in comparisons:
            for rival in rivals:
                for play in sorted({play for world, name, play in found if (world, name) == (line["world"], policy)}):
                    own, other = _abreast(found[line["world"], policy, play], found[line["world"], rival, play])
                    apart = paired(own, other)
                    is_ahead = apart.verdict == BETTER
                    rows.append(
                        {
                            "world": line["world"],
                            "play": play,
                            "policy": policy,
                            "rival": rival,
                            "seeds": apart.seeds,
                            "difference": apart.mean,
                            "low": apart.low,
                            "high": apart.high,
                            "verdict": apart.verdict,
                            "why": "" if is_ahead else _why(line, told.get(policy), told.get(rival), own, other),
                        }
                    )
    return rows


def finding(pairs: Sequence[Row], gaps: Sequence[Row], worlds: Sequence[Row]) -> str:
    """The sentences on top: who beats all rivals in how many worlds, and how far it gets in the first one."""
    greedy = [row for row in pairs if row["play"] == GREEDY]
    told = []
    for policy in dict.fromkeys(row["policy"] for row in greedy):
        own = [row for row in greedy if row["policy"] == policy]
        rivals = list(dict.fromkeys(row["rival"] for row in own))
        wins = {rival: {row["world"] for row in own if (row["rival"], row["verdict"]) == (rival, BETTER)}
                for rival in rivals}  # fmt: skip
        each = ", ".join(f"{rival} in {len(wins[rival])}" for rival in rivals)
        every = len(set.intersection(*wins.values()))
        alike = "" if len(rivals) == 1 else f", all of them in {every}"
        told.append(f"{policy} beats {each}{alike}, of {len(worlds)} worlds")
    first = worlds[0]
    gap = first["best_public"] - first["logger_value"]
    if gap <= 0:
        told.append(f"in {first['world']} the best ranking on public information is not better than {first['logger']}")
        return f"Played greedily, {'; '.join(told)}."
    for policy in dict.fromkeys(row["policy"] for row in greedy):
        own_gap = next(
            row for row in gaps if (row["world"], row["policy"], row["play"]) == (first["world"], policy, GREEDY)
        )
        told.append(
            f"in {first['world']} {policy} closes {own_gap['share']:.0%} (95% {own_gap['low']:.0%} to "
            f"{own_gap['high']:.0%}) of the gap from {first['logger']} to the best ranking on public information"
        )
    further = (first["oracle"] - first["best_public"]) / gap
    told.append(f"the hidden-taste oracle lies a further {further:.0%} of that gap above it")
    return f"Played greedily, {'; '.join(told)}."


def _why(
    line: Row, policy: Learning | None, rival: Learning | None, own: Sequence[float], other: Sequence[float]
) -> str:
    """What the run itself can say about a comparison that was not won; facts, of which none need be the cause."""
    gap = line["best_public"] - line["logger_value"]
    if gap <= 0:
        return "the best public ranking is not better than the logger here: there is no gap to close"
    own_share, other_share = ((over_seeds(each).mean - line["logger_value"]) / gap for each in (own, other))
    facts = [f"closes {own_share:.0%} of the gap, its rival {other_share:.0%}"]
    if policy is not None and rival is not None and _is_personal(policy) and not _is_personal(rival):
        worth = (line["best_public"] - line["best_impersonal"]) / gap
        slight = "hardly anything personal is to be known: " if worth < SLIGHT else "there was something to win: "
        facts.append(f"{slight}what shoppers clicked is worth {worth:.0%} of the gap to the best public ranking")
    if line["reward"] != "clicks":
        facts.append(f"learners learn clicks, and this world counts {line['reward']}")
    if line["click_model"] != "position-based":
        facts.append(f"clicks are taken for position-based, and here they are {line['click_model']}")
    return "; ".join(facts)


def _is_personal(learner: Learning) -> bool:
    """Whether it knows what its shopper clicked: by the history in the mean, or by what reads the last clicks."""
    return bool(learner.settings.get("personal", True)) or learner.settings.get("session") is not None


def _by_name(values: Sequence[Row]) -> Values:
    found: Values = {}
    for row in values:
        found.setdefault((row["world"], row["policy"], row["play"]), []).append(row["value"])
    return found


def _abreast(own: Sequence[float], other: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Both with an entry a seed; what has only one, for it learns nothing, has it under every seed."""
    n = max(len(own), len(other))
    return [*own] * (n if len(own) == 1 else 1), [*other] * (n if len(other) == 1 else 1)


def _line(worlds: Sequence[Row], world: str) -> Mapping[str, float]:
    return next(row for row in worlds if row["world"] == world)
