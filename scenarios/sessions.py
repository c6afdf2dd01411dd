"""What the last clicks of a shopper are worth to a ranker, and who reads them best: a measurement over worlds.

Seed by seed, each with a log of its own by fresh shoppers, session models of every kind are trained on the log, then a
neural-linear ranker for each way to know the shopper: not at all, by the history in the mean, by what a session model
reads, by both. All of one seed learn from the same searches and are judged by the true value of their rankings on the
same new shoppers, so differences between ways are paired by seed.

    python -m scenarios.sessions OUT.jsonl --worlds default boredom --seeds 5

Each world and seed adds one line to OUT, and what OUT has already is not measured again; the tables come at the end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from policies.examples import Examples, in_features_of, step_examples
from policies.features import FeatureMap
from policies.persistence import LearnedFrom
from policies.ranking import RankingPolicy
from policies.registry import named_policy, new_learner
from policies.session.encoder import READERS
from policies.session.saving import save_session
from policies.session.training import Course, train_session
from simenv.catalogue import PublicCatalogue
from simenv.columns import join
from simenv.decision import Policy
from simenv.play import play, shopper_range
from simenv.truth import on_logger_contexts
from simenv.world import World, make_world
from simenv.worlds import world_params

LOGGER = "production"
RANKER, EXPLORATION = "neural-linear", (0.3, 0.01)  # temperature and floor under which it is judged
FIRST_SEED = 300
CONFIDENCE = 0.95
NOBODY, HISTORY = "nothing", "history"
WAYS: dict[str, dict[str, Any]] = {
    NOBODY: {"personal": False},
    HISTORY: {"personal": True},
    "counts": {"personal": False, "session": "counts"},
    **{kind: {"personal": False, "session": kind} for kind in READERS},
    "history + counts": {"personal": True, "session": "counts"},
    **{f"history + {kind}": {"personal": True, "session": kind} for kind in READERS},
}
PAIRS = (
    (HISTORY, NOBODY), *((kind, NOBODY) for kind in READERS), *((kind, HISTORY) for kind in READERS),
    ("history + counts", HISTORY), *((f"history + {kind}", HISTORY) for kind in READERS),
    *((f"history + {kind}", "history + counts") for kind in READERS), ("gru", "transformer"),
    ("history + gru", "history + transformer"),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        learning: Shoppers whose searches everybody of a seed learns from.
        judged: New shoppers, on whose pages under the logger rankings are judged.
    """

    learning: int = 6_000
    judged: int = 1_200


def measured(world: World, seed: int, plan: Plan) -> dict[str, float]:
    """The true value per search over the logger's contexts, of the logger and of a ranker for each of WAYS."""
    catalogue, own = world.catalogue.public(), FIRST_SEED + seed
    logger = named_policy(LOGGER, catalogue)
    whole = FeatureMap(catalogue)
    seen = join([step_examples(whole, step) for step in play(world, logger, own, shopper_range(plan.learning))])
    with tempfile.TemporaryDirectory() as folder:
        learned = LearnedFrom("", world.params.digest(), own, None, len(seen))
        saved = _session_models(seen, catalogue, own, learned, Path(folder))
        targets: dict[str, Policy] = {way: _ranker(way, saved, seen, catalogue, own) for way in WAYS}
    judged = shopper_range(plan.judged, first=plan.learning)
    ratios = on_logger_contexts(world, logger, targets, own, judged, n_draws=1)
    return {name: ratio.value for name, ratio in ratios.items()}


def differences(values: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """For each of PAIRS the difference in per cent of the other, paired by seed, with its t-interval.

    Args:
        values: `measured`, once a seed; at least two.
    """
    records = []
    for own, other in PAIRS:
        gain = np.array([100.0 * (found[own] / found[other] - 1.0) for found in values])
        half = stats.t.ppf(0.5 + CONFIDENCE / 2, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
        mean = float(gain.mean())
        records.append(
            {"own": own, "other": other, "gain": mean, "low": mean - half, "high": mean + half, "seeds": len(gain)}
        )
    return records


def tables(lines: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: the value of each way in each world, and the differences."""
    worlds = list(dict.fromkeys(line["world"] for line in lines))
    found = {world: [line["values"] for line in lines if line["world"] == world] for world in worlds}
    found = {world: values for world, values in found.items() if len(values) > 1}
    head = f"| | {' | '.join(f'{world} ({len(values)})' for world, values in found.items())} |"
    rule = "|---" * (len(found) + 1) + "|"
    rows = [head, rule]
    for way in (LOGGER, *WAYS):
        cells = [f"{np.mean([each[way] for each in values]):.4f}" for values in found.values()]
        rows.append(f"| {way} | {' | '.join(cells)} |")
    rows += ["", head, rule]
    by_world = [differences(values) for values in found.values()]
    for p, (own, other) in enumerate(PAIRS):
        cells = [f"{each[p]['gain']:+.1f} [{each[p]['low']:+.1f}, {each[p]['high']:+.1f}]" for each in by_world]
        rows.append(f"| {own} less {other} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what OUT lacks, then print the tables of all that it holds."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.sessions")
    parser.add_argument("out", type=Path)
    parser.add_argument("--worlds", nargs="+", default=["default"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--learning", type=int, default=Plan.learning)
    parser.add_argument("--judged", type=int, default=Plan.judged)
    given = parser.parse_args(arguments)
    plan = Plan(given.learning, given.judged)
    lines = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(line["world"], line["seed"]) for line in lines}
    for seed in range(given.seeds):
        for name in given.worlds:
            if (name, seed) in done:
                continue
            line = {"world": name, "seed": seed, **vars(plan)}
            line["values"] = measured(make_world(world_params(name)), seed, plan)
            lines.append(line)
            with given.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
    print(tables(lines))


def _session_models(
    seen: Examples, catalogue: PublicCatalogue, seed: int, learned: LearnedFrom, folder: Path
) -> dict[str, str]:
    """Folders of a session model of each kind."""
    made = {}
    for kind in READERS:
        net = train_session(seen, catalogue, Course(kind=kind, seed=seed)).net
        made[kind] = str(save_session(net, folder / kind, learned))
    return made


def _ranker(way: str, saved: Mapping[str, str], seen: Examples, catalogue: PublicCatalogue, seed: int) -> RankingPolicy:
    """A ranker that has learned, with what it may know of the shopper."""
    asked = dict(WAYS[way])
    if "session" in asked:
        asked["session"] = saved.get(asked["session"], asked["session"])
    learner = new_learner(RANKER, catalogue, seen.reward.shape[1], seed, settings=asked)
    learner.update(in_features_of(learner.feature_map, seen))
    learner.finish()
    return RankingPolicy(way, learner, *EXPLORATION)


if __name__ == "__main__":
    main()
