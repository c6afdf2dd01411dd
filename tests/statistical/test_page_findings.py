"""What the named worlds of one page say of themselves: click models, bait, tastes, rewards; measured again.

Each was measured on two runs of 4,000 shoppers (seeds 101, 102), and what logs say on ten (101 to 110). Rankers are
compared over production's searches, by the exact expected reward of what they show there; what a log says, with the
truth of that log's own searches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import ESTIMATORS
from offpolicy.diagnostics import interference_z
from offpolicy.inference import clusters
from policies.baselines import Lexical
from policies.ranking import RankingPolicy
from policies.registry import named_policy
from scenarios.config import Estimation
from scenarios.evidence import join_log
from simenv.columns import take
from simenv.decision import Truth
from simenv.log import Log, write_log
from simenv.play import Step, play, shopper_range, truth
from simenv.twins import Ratio
from simenv.world import Page, World, policy_keys
from simenv.worlds import load_world
from simenv.worth import appeal, expected_reward, slate_items, worth

SEED, N = 7, 4_000
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Rule = Callable[[Page, Truth | None], npt.NDArray[np.floating]]
Values = dict[str, dict[str, Ratio]]  # by ranker, then by what is counted


@dataclass(frozen=True)
class Measured:
    """A number and its standard error, clustered by shopper."""

    value: float
    stderr: float


@dataclass(frozen=True)
class By:
    """A ranker by a function of the page and, for oracles, of the truth."""

    rule: Rule

    def score(self, page: Page, truth: Truth | None) -> npt.NDArray[np.float32]:
        return self.rule(page, truth).astype(np.float32)


def known(truth: Truth | None) -> Truth:
    assert truth is not None
    return truth


def by_attraction(page: Page, truth: Truth | None) -> npt.NDArray[np.floating]:
    return known(truth).attraction


def greedy(name: str, rule: Rule) -> RankingPolicy:
    return RankingPolicy(name, By(rule), 0.0, 0.0, sees_truth=True)


def measured(ratio: Ratio) -> Measured:
    return Measured(ratio.value, ratio.stderr)


def more(own: Ratio, base: Ratio) -> Measured:
    """By how much it is more than another, as a share of the other; over the same searches."""
    share = own.value / base.value
    influence = (own.influence() - share * base.influence()) / base.value
    return Measured(share - 1.0, float(influence.std(ddof=1) / np.sqrt(len(influence))))


def summed(shopper: npt.NDArray[np.int64], column: F64, n: int) -> F64:
    return np.bincount(shopper, column, n).astype(np.float64)


def gains(world: World, step: Step, slate: I32) -> dict[str, F64]:
    """What a page is expected to bring, (n,) each, and the bait of what stands first."""
    items = slate_items(step.page, slate)
    shown = worth(world, step.state, items)
    clicks = world.params.click_model.click_probability(appeal(world, shown)).astype(np.float64)
    sold = clicks * shown.cart * shown.buy
    return {
        "clicks": clicks.sum(axis=1),
        "purchases": sold.sum(axis=1),
        "euros": (sold * shown.price).sum(axis=1),
        "bait": world.catalogue.bait[np.maximum(items[:, 0], 0)].astype(np.float64),
    }


def over_pages(world: World, targets: Mapping[str, RankingPolicy], seed: int, n: int) -> Values:
    """What rankers bring a search over production's searches, and production itself."""
    logger = named_policy("production", world.catalogue.public())
    count = np.zeros(n)
    totals: dict[str, dict[str, F64]] = {name: {} for name in ("production", *targets)}
    for step in play(world, logger, seed, shopper_range(n)):
        who, hidden = step.state.shopper, truth(world, step.state, step.page)
        count += np.bincount(who, minlength=n)
        slates = {"production": step.decision.slate}
        for name, target in targets.items():
            keys = policy_keys(step.state, seed + 1)
            given = hidden if target.sees_truth else None
            slates[name] = target.act(step.page, world.params.n_slots, keys, given).slate
        for name, slate in slates.items():
            for column, gain in gains(world, step, slate).items():
                totals[name][column] = totals[name].get(column, np.zeros(n)) + np.bincount(who, gain, n)
    return {name: {column: Ratio(total, count) for column, total in each.items()} for name, each in totals.items()}


def over_log(
    name: str, target: RankingPolicy, seed: int, folder: Path, n: int, estimators: tuple[str, ...]
) -> dict[str, Measured]:
    """What estimators say of a ranker from production's log against the truth of the same searches, and the placebo."""
    world = load_world(name)
    logger = named_policy("production", world.catalogue.public())
    log = Log.open(write_log(world, name, logger, seed, shopper_range(n), folder / f"{name}{seed}"))
    joined = join_log(log, {"it": target}, None, Estimation(folds=2, target_slates=1), 0, lambda n=1: None)
    evidence = joined.evidence["it"]
    true = over_pages(world, {"it": target}, seed, n)
    truly, logger_truly = true["it"]["clicks"], true["production"]["clicks"]
    count = np.bincount(evidence.cluster, minlength=n).astype(np.float64)
    assert (count == truly.count).all()
    z = interference_z(evidence, clusters(evidence))
    found = {"truth": measured(truly), "true lift": more(truly, logger_truly), "z": Measured(z or 0.0, 1.0)}
    earned = Ratio(summed(evidence.cluster, evidence.reward.sum(axis=1), n), count)
    for each in estimators:
        scores = ESTIMATORS[each](evidence)
        said = Ratio(summed(evidence.cluster, scores.value + scores.influence, n), count)
        found[each], found[f"{each} off"] = measured(said), more(said, truly)
        found[f"{each} lift"] = more(said, earned)
    return found


def default(seed: int, folder: Path, n: int) -> dict[str, Measured]:
    world = load_world("default")
    catalogue = world.catalogue.public()
    targets = {name: named_policy(name, catalogue) for name in ("lexical", "oracle")}
    value = over_pages(world, targets, seed, n)
    told = over_log("default", targets["lexical"], seed, folder, n, ("dr-item",))
    return {name: measured(each["clicks"]) for name, each in value.items()} | told


def dependent(name: str) -> Callable[[int, Path, int], dict[str, Measured]]:
    def measure(seed: int, folder: Path, n: int) -> dict[str, Measured]:
        words = named_policy("lexical", load_world(name).catalogue.public())
        return over_log(name, words, seed, folder, n, ("dr-item", "dr"))

    return measure


def dbn(seed: int, folder: Path, n: int) -> dict[str, Measured]:
    """The best page, sorting by attraction, and by attraction as it would be without bait."""
    world = load_world("dbn")

    def without_bait(page: Page, truth: Truth | None) -> npt.NDArray[np.floating]:
        p = np.clip(known(truth).attraction, 1e-6, 1 - 1e-6)
        bait = world.catalogue.bait[np.maximum(page.candidates, 0)]
        logit: npt.NDArray[np.floating] = np.log(p / (1 - p)) - world.params.attraction.bait * bait
        return logit

    oracle = named_policy("oracle", world.catalogue.public())
    targets = {
        "oracle": oracle,
        "attraction": greedy("attraction", by_attraction),
        "no bait": greedy("no bait", without_bait),
    }
    value = over_pages(world, targets, seed, n)
    base = value["attraction"]
    return {
        "best page": more(value["oracle"]["clicks"], base["clicks"]),
        "best page sells": more(value["oracle"]["purchases"], base["purchases"]),
        "without bait": more(value["no bait"]["clicks"], base["clicks"]),
        "without bait sells": more(value["no bait"]["purchases"], base["purchases"]),
        **{f"{name} clicks": measured(each["clicks"]) for name, each in value.items()},
        **{f"{name} bait first": measured(each["bait"]) for name, each in value.items()},
    }


def clicked_styles(world: World) -> RankingPolicy:
    """Words, and the styles that the shopper clicked; explores as words do."""
    catalogue = world.catalogue.public()
    words = Lexical(catalogue)

    def rule(page: Page, truth: Truth | None) -> npt.NDArray[np.floating]:
        style = catalogue.style[np.maximum(page.candidates, 0)]
        liked: npt.NDArray[np.floating] = np.einsum("nmd,nd->nm", style, page.history[:, :-1])
        return words.score(page, None) + liked

    return dataclasses.replace(named_policy("lexical", catalogue), name="clicked", scorer=By(rule))


def impersonal(seed: int, folder: Path, n: int) -> dict[str, Measured]:
    """What tastes add to the oracle, and clicked styles to words; and the same in the default world."""
    found: dict[str, Measured] = {}
    for name in ("impersonal", "default"):
        world = load_world(name)

        def item_alone(page: Page, truth: Truth | None, w: World = world) -> npt.NDArray[np.floating]:
            item, weights = np.maximum(page.candidates, 0), w.params.attraction
            logit: npt.NDArray[np.floating] = weights.relevance * known(truth).relevance
            logit = logit + weights.quality * w.catalogue.quality[item] + weights.bait * w.catalogue.bait[item]
            return logit - weights.price * w.catalogue.price_z[item] ** 2

        catalogue = world.catalogue.public()
        targets = {
            "oracle": named_policy("oracle", catalogue), "item": greedy("item", item_alone),
            "words": named_policy("lexical", catalogue), "clicked": clicked_styles(world),
        }  # fmt: skip
        value = {each: columns["clicks"] for each, columns in over_pages(world, targets, seed, n).items()}
        found[f"{name}: taste adds"] = more(value["oracle"], value["item"])
        found[f"{name}: clicked styles add"] = more(value["clicked"], value["words"])
    return found


def rewarded(name: str) -> Callable[[int, Path, int], dict[str, Measured]]:
    """What is sold where the best page is that of most clicks, of most purchases, of most euros.

    Under position bias it is sorted by attraction times what a click brings.
    """

    def measure(seed: int, folder: Path, n: int) -> dict[str, Measured]:
        world = load_world(name)

        def by_sales(page: Page, truth: Truth | None) -> npt.NDArray[np.floating]:
            items = worth(world, known(truth).state, page.candidates)
            return items.attraction * items.cart * items.buy

        def by_euros(page: Page, truth: Truth | None) -> npt.NDArray[np.floating]:
            return by_sales(page, truth) * worth(world, known(truth).state, page.candidates).price

        rules = {"clicks": by_attraction, "purchases": by_sales, "euros": by_euros}
        value = over_pages(world, {each: greedy(each, rule) for each, rule in rules.items()}, seed, n)
        found: dict[str, Measured] = {}
        for column in ("clicks", "purchases", "euros", "bait"):
            for ranker, columns in value.items():
                found[f"{column} by {ranker}"] = measured(columns[column])
                found[f"more {column} by {ranker}"] = more(columns[column], value["clicks"][column])
        return found

    return measure


def tiny(seed: int, folder: Path, n: int) -> dict[str, Measured]:
    """Every page of every search of an eighth of the shoppers, written out."""
    n //= 8
    world = load_world("tiny")
    catalogue = world.catalogue.public()
    pages = np.array(list(permutations(range(8), 3)), dtype=np.int32)
    logger, oracle = named_policy("production", catalogue), named_policy("oracle", catalogue)
    totals = {name: np.zeros(n) for name in ("count", "best", "mean", "oracle", "production", "short")}
    for step in play(world, logger, seed, shopper_range(n)):
        who, rows = step.state.shopper, len(step.state)
        every = take(step, np.repeat(np.arange(rows), len(pages)))
        shown = expected_reward(world, every.state, every.page, np.tile(pages, (rows, 1))).sum(axis=1)
        shown = shown.reshape(rows, len(pages))
        hidden = truth(world, step.state, step.page)
        chosen = oracle.act(step.page, 3, policy_keys(step.state, seed), hidden).slate
        own = expected_reward(world, step.state, step.page, chosen).sum(axis=1)
        columns = {
            "count": np.ones(rows), "best": shown.max(axis=1), "mean": shown.mean(axis=1), "oracle": own,
            "production": step.outcome.expected.sum(axis=1), "short": (own < shown.max(axis=1) - 1e-6).astype(float),
        }  # fmt: skip
        for name, column in columns.items():
            totals[name] += np.bincount(who, column, n)
    count = totals.pop("count")
    return {name: measured(Ratio(total, count)) for name, total in totals.items()} | {
        "searches": Measured(count.sum(), 0.0)
    }


MEASURES: dict[str, Callable[[int, Path, int], dict[str, Measured]]] = {
    "default": default, "cascade": dependent("cascade"), "dbn": dbn, "ubm": dependent("ubm"),
    "choice": dependent("choice"), "impersonal": impersonal, "clickbait": rewarded("clickbait"),
    "revenue": rewarded("revenue"), "tiny": tiny,
}  # fmt: skip
# What was found and its standard error.
FOUND: dict[str, dict[str, tuple[float, float]]] = {
    "default": {
        "lexical": (0.6064, 0.0011), "production": (0.6310, 0.0011), "oracle": (1.5090, 0.0019),
        "true lift": (-0.0389, 0.0009), "dr-item lift": (-0.0405, 0.0015), "dr-item off": (-0.0007, 0.0026),
    },
    "cascade": {
        "true lift": (-0.0201, 0.0006), "dr-item lift": (-0.0363, 0.0016), "dr lift": (-0.0281, 0.0046),
        "z": (23.5, 0.3),
    },
    "ubm": {"dr-item off": (0.0094, 0.0026), "dr off": (0.0075, 0.0085), "z": (6.7, 0.3)},
    "choice": {"dr-item off": (-0.0240, 0.0025), "dr off": (-0.0118, 0.0064), "z": (11.7, 0.3)},
    "dbn": {
        "best page": (0.1165, 0.0006), "best page sells": (-0.4801, 0.0015), "without bait": (-0.0245, 0.0002),
        "without bait sells": (0.0249, 0.0007), "oracle bait first": (0.984, 0.005),
        "attraction bait first": (0.635, 0.006),
    },
    "impersonal": {
        "default: taste adds": (0.4775, 0.0039), "default: clicked styles add": (0.2289, 0.0035),
        "impersonal: clicked styles add": (-0.0050, 0.0007), "impersonal: taste adds": (0.0, 1e-9),
    },
    "clickbait": {
        "purchases by clicks": (0.1447, 0.0008), "purchases by purchases": (0.2154, 0.0011),
        "more clicks by purchases": (-0.1868, 0.0008), "more purchases by purchases": (0.4886, 0.0034),
        "bait by clicks": (1.565, 0.006),
    },
    "revenue": {
        "euros by euros": (5.376, 0.046), "more euros by euros": (0.1139, 0.0012),
        "more euros by purchases": (0.0611, 0.0011),
    },
    "tiny": {
        "oracle": (0.6496, 0.0077), "mean": (0.3118, 0.0040), "production": (0.4440, 0.0057), "short": (0.0, 0.0),
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_a_named_world_of_one_page_shows_what_it_says(name: str, tmp_path: Path) -> None:
    """On shoppers who were not among the measured, within four standard errors of the difference of the two."""
    again = MEASURES[name](SEED, tmp_path, N)
    for label, (found, error) in FOUND[name].items():
        own = again[label]
        print(f"{name}: {label} {own.value:.4f} +- {own.stderr:.4f}, was {found:.4f} +- {error:.4f}")
        assert abs(own.value - found) <= 4 * np.hypot(own.stderr, error)
