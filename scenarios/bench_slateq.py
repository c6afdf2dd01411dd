"""SlateQ on interest evolution, as in its paper's table: myopic, SARSA and Q-learning, each with its slate optimisers.

Seed by seed, every variant is trained in the market and then serves without exploring; all are judged on the same new
users with the same luck, so that differences between rows are paired by seed. A row is named METHOD-[TARGET-]SERVING:
MYOP looks at no future, SARSA values the slates that were shown, QL the best ones; TS, GS and OS are top-k, greedy and
optimal slates when serving, TT, GT and OT the same in the target of learning.

    python -m scenarios.bench_slateq OUT.jsonl --seeds 5 --variants 3

Each training adds a line to OUT, and what OUT has already is not trained again; the table comes at the end.
`slatelab bench slateq` trains a shorter, single seed of each.

Ie, Jain, Wang, Narvekar, Agarwal, Wu, Cheng, Chandra and Boutilier, "SlateQ: A tractable decomposition for
reinforcement learning with recommendation sets", 2019, for the published returns of 300,000 training steps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.paired import Spread, over_seeds, paired
from scenarios.progress import Advance
from simenv.peers.play import Lives, play
from simenv.peers.rankers import Ranker
from simenv.peers.worlds import PEER_WORLDS

SLATEQ = "slateq"
WORLD = "interest-evolution"
BASE = "MYOP-TS"  # what the others are compared with: the better of the myopic rows
MAIN = ("myopic", "QL-OT")  # trained on every seed; the other variants on fewer
JUDGED_FROM = 10_000  # seeds of the users who judge; those of training are below

# Settings of `policies.rllib.slateq_train.SlateQSettings` of each training, and its rows: name, serving, published.
TRAININGS: dict[str, tuple[dict[str, Any], tuple[tuple[str, str, float | None], ...]]] = {
    "myopic": (
        {"gamma": 0.0, "serve": "greedy"},
        (("MYOP-TS", "top-k", 166.3), ("MYOP-GS", "greedy", 166.3), ("MYOP-OS", "optimal", None)),
    ),
    "SARSA-TS": ({"method": "sarsa", "serve": "top-k"}, (("SARSA-TS", "top-k", 168.4),)),
    "SARSA-GS": ({"method": "sarsa", "serve": "greedy"}, (("SARSA-GS", "greedy", 172.1),)),
    "QL-TT": ({"optimiser": "top-k", "serve": "top-k"}, (("QL-TT-TS", "top-k", 168.4),)),
    "QL-GT": ({"optimiser": "greedy", "serve": "greedy"}, (("QL-GT-GS", "greedy", 172.9),)),
    "QL-OT": (
        {"optimiser": "optimal", "serve": "optimal"},
        (("QL-OT-TS", "top-k", 169.0), ("QL-OT-GS", "greedy", 173.8), ("QL-OT-OS", "optimal", 174.6)),
    ),
}
RANKERS: dict[str, float | None] = {"random": 159.2, "myopic": None, "topic-quality": None, "oracle": None}
AS_RANKED = "by rule: "  # before the names of the rows of RANKERS


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        seeds: Trainings of myopic and of optimal Q-learning.
        variants: Trainings of the others; at most `seeds`.
        pages: Training pages of each.
        users: Who judge, for each seed.
    """

    seeds: int = 1
    variants: int = 1
    pages: int = 100_000
    users: int = 1_000

    def trainings(self) -> list[tuple[int, str]]:
        """Seeds and names, in order."""
        return [(seed, name) for seed in range(self.seeds) for name in TRAININGS
                if name in MAIN or seed < self.variants]  # fmt: skip


def trained(name: str, seed: int, plan: Plan) -> list[dict[str, Any]]:
    """Train one variant and let it serve: a record for each of its rows.

    Returns:
        Records of row, seed, value (mean minutes a user), length (mean pages a user), pages and CPU seconds of
        training.
    """
    from policies.rllib.slateq_train import SlateQRun, SlateQSettings, train_slateq  # loads Ray

    settings, rows = TRAININGS[name]
    start = time.process_time()
    trainer = train_slateq(SlateQRun(WORLD, seed, plan.pages), SlateQSettings(**settings))
    seconds = time.process_time() - start
    records = []
    for row, serve, _ in rows:
        lives = _judged(trainer.ranker(serve), seed, plan)
        records.append(_record(row, seed, lives, trainer.searches, seconds))
    return records


def ranked(seed: int, plan: Plan) -> list[dict[str, Any]]:
    """What rankers that learn nothing bring with the same users: a record each."""
    rankers = PEER_WORLDS[WORLD].rankers
    return [_record(f"{AS_RANKED}{name}", seed, _judged(rankers[name], seed, plan), 0, 0.0) for name in RANKERS]


def measured_slateq(plan: Plan, advance: Advance | None = None) -> list[dict[str, Any]]:
    """The table of a plan, see `table`.

    Args:
        plan: How much.
        advance: Told after each training.
    """
    records = [record for seed in range(plan.seeds) for record in ranked(seed, plan)]
    for seed, name in plan.trainings():
        records += trained(name, seed, plan)
        if advance is not None:
            advance(1)
    return table(records)


def table(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each way to rank.

    Args:
        records: Of `trained` and `ranked`, of one plan.

    Returns:
        Records of row, seeds, value with low and high (95% t-interval over seeds, None with one), length, gain with
        gain_low and gain_high (over BASE, paired by seed), pages, seconds (CPU, training), published.
    """
    published = {f"{AS_RANKED}{name}": value for name, value in RANKERS.items()}
    published |= {row: value for _, rows in TRAININGS.values() for row, _, value in rows}
    base = {record["seed"]: record["value"] for record in records if record["row"] == BASE}
    made = []
    for row in published:
        own = [record for record in records if record["row"] == row]
        if not own:
            continue
        value = over_seeds([each["value"] for each in own])
        beside = [each for each in own if each["seed"] in base]
        gain = None
        if beside and row != BASE:
            gain = paired([each["value"] for each in beside], [base[each["seed"]] for each in beside])
        made.append(
            {
                "row": row, "seeds": value.seeds, "value": value.mean, **_ends("", value),
                "length": float(np.mean([each["length"] for each in own])),
                "gain": None if gain is None else gain.mean, **_ends("gain_", gain),
                "pages": int(np.mean([each["pages"] for each in own])),
                "seconds": float(np.mean([each["seconds"] for each in own])), "published": published[row],
            }
        )  # fmt: skip
    return made


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table for people."""
    lines = [
        f"| | seeds | minutes a user | 95% interval | pages a user | over {BASE} | published | CPU s |",
        "|---|---:|---:|---|---:|---|---:|---:|",
    ]
    for row in rows:
        inside = "" if row["low"] is None else f"{row['low']:.1f} to {row['high']:.1f}"
        gain = "" if row["gain"] is None else f"{row['gain']:+.1f}"
        if row["gain_low"] is not None:
            gain += f" [{row['gain_low']:+.1f}, {row['gain_high']:+.1f}]"
        cells = [
            row["row"], str(row["seeds"]), f"{row['value']:.1f}", inside, f"{row['length']:.1f}", gain,
            "" if row["published"] is None else f"{row['published']:.1f}",
            f"{row['seconds']:.0f}" if row["pages"] else "",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what OUT lacks, then print the table of all that it holds."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.bench_slateq")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", type=int, default=3)
    parser.add_argument("--pages", type=int, default=300_000)
    parser.add_argument("--users", type=int, default=2_000)
    given = parser.parse_args(arguments)
    plan = Plan(given.seeds, given.variants, given.pages, given.users)
    kept = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    size = {"pages": plan.pages, "users": plan.users}
    done = {(line["seed"], line["name"]) for line in kept if line["plan"] == size}
    jobs: list[tuple[int, str]] = [*((seed, "") for seed in range(plan.seeds)), *plan.trainings()]
    for seed, name in jobs:
        if (seed, name) in done:
            continue
        records = trained(name, seed, plan) if name else ranked(seed, plan)
        kept.append({"seed": seed, "name": name, "plan": size, "records": records})
        with given.out.open("a") as file:
            file.write(json.dumps(kept[-1]) + "\n")
    print(markdown(table([record for line in kept if line["plan"] == size for record in line["records"]])))


def _judged(ranker: Ranker, seed: int, plan: Plan) -> Lives:
    return play(PEER_WORLDS[WORLD].world.fastest(), ranker, JUDGED_FROM + seed, np.arange(plan.users))


def _record(row: str, seed: int, lives: Lives, pages: int, seconds: float) -> dict[str, Any]:
    return {"row": row, "seed": seed, "value": lives.mean, "length": float(lives.steps.mean()), "pages": pages,
            "seconds": seconds}  # fmt: skip


def _ends(prefix: str, spread: Spread | None) -> dict[str, float | None]:
    """The ends of an interval by name; None where there is none."""
    known = spread is not None and spread.seeds > 1
    return {f"{prefix}low": spread.low if known and spread else None,
            f"{prefix}high": spread.high if known and spread else None}  # fmt: skip


if __name__ == "__main__":
    main()
