"""Looking further than the page: slate RL against myopic bandits, in value per shopper over thirty days.

Seed by seed, bandits learn from a log that production wrote, and RL learns in the market, with a future and without
one (gamma 0). All are played greedily for the same new shoppers of the seed with the same luck, from day 0 on, with
nothing for the days after a shopper left; differences are paired by seed. Yardsticks that see hidden truth say how much
there is to win at all: the myopic oracle, and the best index of `policies.index_search` that looks further.

    python -m scenarios.bench_long_term OUT --seeds 5
    slatelab report OUT

OUT becomes a run's folder. Each training is kept in it, so a measurement that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from policies.ranking import RankingPolicy
from scenarios.conduct import conduct
from scenarios.config import Learning, Logging, Scenario
from scenarios.folder import RunSummary, begin_run, end_run, write_run, write_table
from scenarios.long_term_table import (
    BANDITS_NAMED,
    FUTURE,
    INDEX,
    NO_FUTURE,
    ORACLE,
    PRODUCTION,
    Record,
    finding,
    markdown,
    table,
)
from simenv.worlds import load_world, world_params

TITLE = "Looking further than the page"
KEPT = "trained.jsonl"  # in the run's folder: a line a policy and seed
WORLD = "long-term"
BANDITS: dict[str, dict[str, Any]] = {
    # The settings of docs/contest.toml.
    "neural-linear": {"learning_rate": 8e-3, "batch": 512, "epochs": 10, "weight_decay": 1.0, "item_effects": True},
    "position-aware": {},
    "linear": {},
}
# Large batches and a lambda_ below 1: what a shopper brings much later is mostly luck.
PPO: dict[str, Any] = {"batch": 2048, "minibatch": 1024, "learning_rate": 0.01, "floor": 0.01}
LEARNERS: dict[str, dict[str, Any]] = {
    FUTURE: {**PPO, "gamma": 0.95, "lambda_": 0.9},
    NO_FUTURE: {**PPO, "gamma": 0.0},
}
TUNED_ON = 2_000  # shoppers on whom the long-horizon index is tuned


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        world: Name or file; its horizon is the one that counts.
        seeds: Trainings of each learner; seed 0 is not among them, settings were chosen on it.
        controls: How many of them train RL without a future, too.
        logged: Shoppers of a log; bandits learn from half of them.
        searches: Pages that RL plays, with a future and without.
        shoppers: Who judge, of each seed.
    """

    world: str = WORLD
    seeds: int = 5
    controls: int = 5
    logged: int = 27_000
    searches: int = 600_000
    shoppers: int = 4_000

    @property
    def numbers(self) -> range:
        """The seeds."""
        return range(1, self.seeds + 1)


def policies_of(plan: Plan, seed: int, work: Path) -> dict[str, Callable[[], RankingPolicy]]:
    """Everybody of a seed by name, made (and trained) when called, all greedy.

    Args:
        plan: How much.
        seed: Of logs and trainings.
        work: A folder for logs and models.
    """
    from policies.registry import named_policy

    catalogue = load_world(plan.world).catalogue.public()
    made: dict[str, Callable[[], RankingPolicy]] = {
        PRODUCTION: lambda: _greedy(named_policy(PRODUCTION, catalogue)),
        ORACLE: lambda: named_policy("oracle", catalogue),
        INDEX: lambda: _index(plan, seed),
    }
    made |= {name: partial(_bandit, plan, seed, name, work) for name in BANDITS}
    return made | {name: partial(_ppo, plan, seed, name) for name in LEARNERS}


def measured(plan: Plan, seed: int, name: str, make: Callable[[], RankingPolicy]) -> Record:
    """Train one policy and play it: a line of the kept file."""
    from simenv.play import shopper_range

    start = time.process_time()
    policy = make()
    seconds = time.process_time() - start
    came = conduct(load_world(plan.world), policy, seed, shopper_range(plan.shoppers))
    return Record(seed, name, float(came.worth.mean()), seconds, came.figures)


def run(plan: Plan, out: Path, tell: Callable[[str], object] = print) -> list[dict[str, Any]]:
    """Measure what the folder lacks and finish it; the rows of its table.

    Args:
        plan: How much.
        out: The run's folder.
        tell: Told of each policy.

    Raises:
        UserError: for an unknown world, or a folder that holds something else.
    """
    started, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    settings = {**asdict(plan), "bandits": BANDITS, "learners": LEARNERS, "digest": world_params(plan.world).digest()}
    same = {name: value for name, value in settings.items() if name not in ("seeds", "controls")}  # more may follow
    begin_run(out, hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest())
    path = out / KEPT
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [Record(**json.loads(line)) for line in lines]
    done = {(record.seed, record.name) for record in kept}
    with tempfile.TemporaryDirectory() as work:
        for seed, name, make in _jobs(plan, Path(work)):
            if (seed, name) in done:
                continue
            kept.append(measured(plan, seed, name, make))
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(kept[-1])) + "\n")
            tell(f"seed {seed}, {name}: {kept[-1].value:.3f} a shopper, {kept[-1].seconds:.0f} CPU-seconds")
    rows = table(kept)
    write_table(out, "long_term", rows)
    write_run(out, _summary(plan, settings, rows, started, time.monotonic() - clock))
    end_run(out)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m scenarios.bench_long_term")
    parser.add_argument("out", type=Path)
    parser.add_argument("--world", default=plan.world)
    for name in ("seeds", "controls", "logged", "searches", "shoppers"):
        parser.add_argument(f"--{name}", type=int, default=getattr(plan, name))
    given = vars(parser.parse_args(arguments))
    out: Path = given.pop("out")
    print(markdown(run(Plan(**given), out)))


def _jobs(plan: Plan, work: Path) -> Iterator[tuple[int, str, Callable[[], RankingPolicy]]]:
    """Everybody of every seed; the controls last, since the answer does not wait for them."""
    for seed in plan.numbers:
        made = policies_of(plan, seed, work / f"{seed}")
        yield from ((seed, name, make) for name, make in made.items() if name != NO_FUTURE)
    for seed in plan.numbers[: plan.controls]:
        yield seed, NO_FUTURE, policies_of(plan, seed, work / f"{seed}")[NO_FUTURE]


def _greedy(policy: RankingPolicy) -> RankingPolicy:
    return policy.with_exploration(0.0, 0.0)


def _index(plan: Plan, seed: int) -> RankingPolicy:
    """Tuned on shoppers of the seed after those who judge."""
    import numpy as np

    from policies.index_search import tune_pleasing
    from policies.oracles import pleasing

    others = np.arange(plan.shoppers, plan.shoppers + TUNED_ON)
    return pleasing(tune_pleasing(load_world(plan.world), seed, others).weight)


def _bandit(plan: Plan, seed: int, name: str, work: Path) -> RankingPolicy:
    from scenarios.candidates import logging_policy, seed_of
    from scenarios.progress import SilentProgress
    from scenarios.train import train_on_half
    from simenv.log import Log, write_log
    from simenv.play import shopper_range

    learner = Learning(policy=name, settings=BANDITS[name])
    scenario = Scenario(
        name="long-term", title=TITLE, question=TITLE, world=plan.world, seed=seed,
        logging=Logging(policy=PRODUCTION, shoppers=plan.logged), learners=[learner],
    )  # fmt: skip
    world, folder = load_world(plan.world), work / "log"
    if not folder.is_dir():
        work.mkdir(exist_ok=True)
        logger = logging_policy(scenario, world.catalogue.public())
        write_log(world, plan.world, logger, seed_of(scenario, "log"), shopper_range(plan.logged), folder)
    return _greedy(train_on_half(scenario, learner, world, Log.open(folder), 0, work / name, SilentProgress()))


def _ppo(plan: Plan, seed: int, name: str) -> RankingPolicy:
    from policies.rllib.ppo import PPOSettings
    from policies.rllib.train import train_ppo  # loads Ray

    settings = PPOSettings(**LEARNERS[name])
    scorer = train_ppo(plan.world, seed=seed, searches=plan.searches, device="cpu", settings=settings)
    return RankingPolicy(name, scorer, 0.0, 0.0)


def _summary(
    plan: Plan, settings: dict[str, Any], rows: list[dict[str, Any]], started: str, wall_seconds: float
) -> RunSummary:
    params = world_params(plan.world)
    return RunSummary(
        kind="benchmark",
        backend="auto",
        name="long-term",
        title=TITLE,
        question=f"{params.question} Over {params.shoppers.horizon_days} days, does slate RL beat a myopic bandit?",
        finding=finding(rows),
        assumptions=[
            "Value per shopper of those who come on day 0, with zeros after they left; nobody enters later.",
            "All are played greedily; intervals are 95% t-intervals over training seeds, whose judges are others, too.",
            "The long-horizon oracle is the best of one family of rules that see hidden truth: what the best policy on "
            "public information gets is not known.",
        ],
        notes=[
            f"Bandits ({', '.join(BANDITS_NAMED)}) learn from half of {plan.logged:,} logged shoppers, RL from "
            f"{plan.searches:,} pages of its own; {plan.shoppers:,} shoppers judge each seed."
        ],
        config=settings,
        seeds={f"seed {seed}": seed for seed in plan.numbers},
        hashes={"world": params.digest()},
        started=started,
        wall_seconds=wall_seconds,
    )


if __name__ == "__main__":
    main()
