"""How much looking further than the page can bring at all in a world: rankers that see hidden truth, side by side.

Each index of `policies.indices` is tried at several weights on the same shoppers with the same luck as the myopic
oracle; the best weight of each, and the oracle that plays the shoppers on from several pages, are judged on others.
Where none of them finds anything, there is little for a learner to look for.

    python -m scenarios.bench_ceiling WORLD --shoppers 100000 --ahead 1000
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from policies.indices import AIMS, index
from policies.oracles import LookaheadOracle, pleasing
from policies.ranking import RankingPolicy
from simenv.catalogue import I64
from simenv.lookahead import Lookahead
from simenv.truth import Life, lives
from simenv.twins import difference
from simenv.world import World
from simenv.worlds import load_world

# Weights that are tried, in clicks a unit of the aim.
GRID: dict[str, tuple[float, ...]] = {
    "satisfaction": (-1.0, -0.5, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.5, 1.0, 4.0),
    "purchase": (-4.0, -2.0, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 2.0, 4.0),
    "satiation": (-0.3, -0.1, -0.03, 0.03, 0.1, 0.3),
    "repetition": (-0.15, -0.1, -0.03, -0.01, 0.01, 0.03),
    "taste": (-0.1, -0.03, -0.01, 0.01, 0.03, 0.1),
}
# Whose pages looking ahead tries beside those of the best indices: some that differ from the myopic oracle's.
ALSO = (("satisfaction", -0.5), ("satisfaction", 1.0), ("purchase", -2.0), ("repetition", -0.1), ("taste", 0.1))
MYOPIC, AHEAD = "myopic oracle", "looking ahead"
SURELY = 2.0  # standard errors by which an index must have gained to be what looking ahead goes on with


@dataclass(frozen=True)
class Plan:
    """How much is played.

    Attributes:
        seed: Of the shoppers' luck.
        tuned_on: Shoppers on whom weights are chosen; those who judge come after them.
        shoppers: Who judge the indices.
        ahead: Who judge looking ahead, which plays hundreds of lives for each of theirs; 0 leaves it out.
        futures: That are imagined of each page.
    """

    seed: int = 1
    tuned_on: int = 20_000
    shoppers: int = 100_000
    ahead: int = 1_000
    futures: int = 32


@dataclass(frozen=True)
class Row:
    """What a policy is worth over the myopic oracle of the same shoppers.

    judged: False where the weight was still being chosen. gain, stderr: of the myopic oracle's value per shopper.
    """

    policy: str
    judged: bool
    shoppers: int
    value: float
    gain: float
    stderr: float
    visits: float
    pages: float
    purchases: float


def ceiling(world: World, plan: Plan, tell: Callable[[Row], object] = lambda row: None) -> list[Row]:
    """Every index at every weight; then the best of each, and looking ahead, on other shoppers.

    Args:
        world: The market.
        plan: How much.
        tell: Told each row.
    """
    rows: list[Row] = []
    best: dict[str, tuple[Row, float]] = {}  # of each aim, with its weight
    tuning = _Judge(world, plan.seed, np.arange(plan.tuned_on), False)
    for aim in AIMS:
        for weight in GRID[aim]:
            rows.append(tuning.row(index(world, aim, weight)))
            tell(rows[-1])
            if aim not in best or rows[-1].gain > best[aim][0].gain:
                best[aim] = rows[-1], weight
    chosen = {aim: index(world, aim, weight) for aim, (_, weight) in best.items()}
    judge = _Judge(world, plan.seed, plan.tuned_on + np.arange(plan.shoppers), True)
    for policy in (_myopic(), *chosen.values()):
        rows.append(judge.row(policy))
        tell(rows[-1])
    if plan.ahead:
        aim, (row, _) = max(best.items(), key=lambda one: one[1][0].gain)
        base = chosen[aim] if row.gain > SURELY * row.stderr else _myopic()
        others = [_myopic(), *chosen.values(), *(index(world, *one) for one in ALSO)]
        oracle = LookaheadOracle(world, Lookahead(base, others, plan.futures))
        some = _Judge(world, plan.seed, plan.tuned_on + np.arange(plan.ahead), True)
        rows.append(some.row(RankingPolicy(f"{AHEAD} from {base.name}", oracle, 0.0, sees_truth=True)))
        tell(rows[-1])
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """A table for people."""
    lines = [
        "| | shoppers | a shopper | over the myopic oracle | visits | pages | purchases |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.policy}{'' if row.judged else ' (tried)'} | {row.shoppers:,} | {row.value:.3f} | "
            f"{row.gain:+.2%} ± {row.stderr:.2%} | {row.visits:.3f} | {row.pages:.3f} | {row.purchases:.3f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table as it grows."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m scenarios.bench_ceiling")
    parser.add_argument("world")
    for name in ("seed", "tuned_on", "shoppers", "ahead", "futures"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(plan, name))
    given = vars(parser.parse_args(arguments))
    world = load_world(given.pop("world"))
    head = markdown([])
    print(head)
    ceiling(world, Plan(**given), lambda row: print(markdown([row])[len(head) + 1 :], flush=True))


class _Judge:
    """The same shoppers with the same luck for everybody, beside the myopic oracle."""

    def __init__(self, world: World, seed: int, shoppers: I64, judged: bool) -> None:
        self._world, self._seed, self._shoppers, self._judged = world, seed, shoppers, judged
        self._base = self._life(_myopic())

    def row(self, policy: RankingPolicy) -> Row:
        life = self._life(policy)
        own, base = life.per_shopper(), self._base.per_shopper()
        gain = difference(own, base)
        return Row(
            policy=policy.name, judged=self._judged, shoppers=len(self._shoppers), value=own.value,
            gain=gain.value / base.value, stderr=gain.stderr / base.value,
            visits=float(life.sessions.mean()), pages=float(life.searches.mean()),
            purchases=float(life.purchases.mean()),
        )  # fmt: skip

    def _life(self, policy: RankingPolicy) -> Life:
        return lives(self._world, {"": policy}, self._seed, self._shoppers)[""]


def _myopic() -> RankingPolicy:
    policy = pleasing(0.0)
    return RankingPolicy(MYOPIC, policy.scorer, 0.0, sees_truth=True)


if __name__ == "__main__":
    main()
