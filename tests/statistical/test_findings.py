"""What the named worlds say of themselves: the main number of each question, measured again.

Each was measured on three runs of 5,000 shoppers (seeds 101, 102, 103) with one change at a time: whoever is compared
explores as much as the other. The trust, retention and scarce worlds have tests of their own (`test_long_run`,
`test_shared_stock`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from policies.baselines import Lexical, Production
from policies.ranking import RankingPolicy
from policies.registry import named_policy
from simenv.catalogue import PublicCatalogue, price_spread
from simenv.columns import join, take
from simenv.decision import Truth
from simenv.habits import Habits
from simenv.house import HouseSlots
from simenv.invented import InventedDemand
from simenv.language import recognised_terms
from simenv.market import Market
from simenv.params import Reward
from simenv.play import Step, play, shopper_range, truth
from simenv.retrieval import retrieve
from simenv.understanding import understood
from simenv.world import Page, World, make_world, policy_keys
from simenv.worlds import load_world, world_params
from simenv.worth import expected_reward

SEED, N = 7, 4_000
F64 = npt.NDArray[np.float64]
Column = Callable[[Step], npt.NDArray[np.generic]]
Score = Callable[[Page], npt.NDArray[np.floating]]


@dataclass(frozen=True)
class Measured:
    """A number and each shopper's influence on it, (N,), mean zero."""

    value: float
    influence: F64

    @property
    def stderr(self) -> float:
        return float(self.influence.std(ddof=1) / np.sqrt(N))

    def over(self, base: Measured) -> Measured:
        """By how much it is more than another, as a share of the other; twins."""
        share = self.value / base.value
        return Measured(share - 1.0, (self.influence - share * base.influence) / base.value)


@dataclass(frozen=True)
class By:
    """A ranker by a function of the page."""

    rule: Score

    def score(self, page: Page, truth: Truth | None) -> npt.NDArray[np.float32]:
        return self.rule(page).astype(np.float32)


def value(step: Step) -> F64:
    total: F64 = step.outcome.expected.sum(axis=1)
    return total


def one(step: Step) -> F64:
    return np.ones(len(step.state))


def ranker(world: World, like: str, rule: Score) -> RankingPolicy:
    """Explores as a named policy does, so that only its scores differ."""
    return dataclasses.replace(named_policy(like, world.catalogue.public()), name="changed", scorer=By(rule))


def sums(world: World, policy: RankingPolicy, **columns: Column) -> dict[str, F64]:
    """Columns of the pages, summed for each shopper."""
    found = {name: np.zeros(N) for name in columns}
    for step in play(world, policy, SEED, shopper_range(N)):
        for name, column in columns.items():
            np.add.at(found[name], step.state.shopper, column(step))
    return found


def ratio(total: F64, count: F64) -> Measured:
    share = float(total.sum() / count.sum())
    return Measured(share, (total - share * count) / count.mean())


def a_search(world: World, policy: RankingPolicy) -> Measured:
    found = sums(world, policy, total=value, count=one)
    return ratio(found["total"], found["count"])


def item(page: Page) -> npt.NDArray[np.int32]:
    return np.maximum(page.candidates, 0)


def churn() -> dict[str, Measured]:
    world = load_world("churn")
    catalogue = world.catalogue.public()
    assert world.calendar.first_day is not None
    new, words = world.calendar.first_day > 0, Lexical(catalogue)

    def of(items: Callable[[Step], npt.NDArray[np.int32]], which: npt.NDArray[np.bool_]) -> Column:
        return lambda step: (step.state.day >= 14) * ((items(step) >= 0) & which[items(step)]).sum(axis=1)

    def averaged(page: Page) -> npt.NDArray[np.floating]:
        popularity = np.where(new[item(page)], 0.0, catalogue.popularity[item(page)])
        return words.score(page, None) + 0.5 * popularity

    every = np.ones_like(new)
    production = named_policy("production", catalogue)
    shown, offered = (lambda step: step.outcome.items), (lambda step: step.page.candidates)
    found = sums(
        world, production, total=value, count=one, new=of(shown, new), shown=of(shown, every),
        new_offered=of(offered, new), offered=of(offered, every),
    )  # fmt: skip
    base = ratio(found["total"], found["count"])
    return {
        "share of slots": ratio(found["new"], found["shown"]),
        "share of candidates": ratio(found["new_offered"], found["offered"]),
        "taken for average": a_search(world, ranker(world, "production", averaged)).over(base),
    }


def sale() -> dict[str, Measured]:
    world = load_world("sale")
    catalogue = world.catalogue.public()
    plain, spread = (
        Production(catalogue),
        price_spread(catalogue.price, catalogue.category, len(world.catalogue.departments)),
    )

    def today(page: Page) -> npt.NDArray[np.floating]:
        return catalogue.price_z[item(page)] + page.discount / spread[catalogue.category[item(page)]]

    rules: dict[str, Score] = {
        "discounts": lambda page: plain.score(page, None) - page.discount,
        "catalogue's prices": lambda page: plain.score(page, None) - 0.6 * catalogue.price_z[item(page)],
        "today's prices": lambda page: plain.score(page, None) - 0.3 * today(page),
    }
    base = a_search(world, named_policy("production", catalogue))
    return {name: a_search(world, ranker(world, "production", rule)).over(base) for name, rule in rules.items()}


def season() -> dict[str, Measured]:
    def halves(world: World, name: str) -> tuple[Measured, Measured]:
        def early(step: Step) -> npt.NDArray[np.bool_]:
            return step.state.day < 28

        found = sums(
            world, named_policy(name, world.catalogue.public()),
            total=lambda step: early(step) * value(step), count=early,
            later=lambda step: ~early(step) * value(step), later_count=lambda step: ~early(step),
        )  # fmt: skip
        return ratio(found["total"], found["count"]), ratio(found["later"], found["later_count"])

    world = load_world("season")
    still = make_world(dataclasses.replace(world.params, market=Market()))
    (words, words_later), (production, production_later) = halves(world, "lexical"), halves(world, "production")
    return {
        "first half": production.over(words),
        "second half": production_later.over(words_later),
        "swapped": production_later.over(words),
        "swapped without seasons": halves(still, "production")[1].over(halves(still, "lexical")[0]),
    }


def shock() -> dict[str, Measured]:
    world = load_world("shock")
    catalogue = world.catalogue.public()
    words = Lexical(catalogue)
    assert world.calendar.taste is not None
    way = world.calendar.taste[20]

    def clicked(page: Page) -> npt.NDArray[np.floating]:
        style = np.einsum("nmd,nd->nm", catalogue.style[item(page)], page.history[:, :-1])
        return words.score(page, None) + style

    def knowing(page: Page) -> npt.NDArray[np.floating]:
        moved = 0.5 * (page.day >= 14)[:, None] * way
        return clicked(page) + np.einsum("nmd,nd->nm", catalogue.style[item(page)], moved)

    def in_parts(policy: RankingPolicy) -> list[Measured]:
        columns: dict[str, Column] = {}
        for part, (low, high) in enumerate([(0, 14), (14, 17), (17, 99)]):
            columns[f"total {part}"] = lambda step, a=low, b=high: (
                ((step.state.day >= a) & (step.state.day < b)) * value(step)
            )  # type: ignore[misc]
            columns[f"count {part}"] = lambda step, a=low, b=high: (step.state.day >= a) & (step.state.day < b)  # type: ignore[misc]
        found = sums(world, policy, **columns)
        return [ratio(found[f"total {part}"], found[f"count {part}"]) for part in range(3)]

    base = in_parts(named_policy("lexical", catalogue))
    style, known = (in_parts(ranker(world, "lexical", rule)) for rule in (clicked, knowing))
    return {
        "before": style[0].over(base[0]),
        "three days after": style[1].over(base[1]),
        "later": style[2].over(base[2]),
        "known at once": known[1].over(base[1]),
    }


def habit(name: str) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    on, off = load_world(name), make_world(dataclasses.replace(world_params(name), habits=Habits()))
    for who in ("oracle", "production"):
        lives = [
            sums(
                world, dataclasses.replace(named_policy(who, world.catalogue.public()), temperature=0.0, floor=0.0),
                total=value, count=one, bought=lambda step: step.outcome.purchased.sum(axis=1),
            )
            for world in (on, off)
        ]  # fmt: skip
        a_shopper = [ratio(life["total"], np.ones(N)) for life in lives]
        bought = [ratio(life["bought"], np.ones(N)) for life in lives]
        found[f"{who} with"], found[f"{who} without"] = (ratio(life["total"], life["count"]) for life in lives)
        found[f"{who} a shopper"], found[f"{who} buys"] = a_shopper[0].over(a_shopper[1]), bought[0].over(bought[1])
    return found


def influence() -> dict[str, Measured]:
    """Variance of tastes at the last search over that at the first."""
    world, found = load_world("influence"), {}
    for name in ("production", "oracle"):
        first, last = (np.full((N, world.params.n_style), np.nan) for _ in range(2))
        for step in play(world, named_policy(name, world.catalogue.public()), SEED, shopper_range(N)):
            who = step.state.shopper
            last[who] = step.state.taste
            first[who] = np.where(np.isnan(first[who]), step.state.taste, first[who])
        spread = [((taste - taste.mean(axis=0)) ** 2).sum(axis=1) for taste in (last, first)]
        found[name] = ratio(*spread)
    return found


def sponsored() -> dict[str, Measured]:
    world, found = load_world("sponsored"), {}
    alone = make_world(dataclasses.replace(world.params, house=HouseSlots(), n_slots=8))
    for name in ("oracle", "production"):
        policy = named_policy(name, world.catalogue.public())
        life = sums(
            world, policy, total=value, count=one, house=lambda step: step.outcome.house_clicked.sum(axis=1),
            euros=lambda step: step.outcome.ad_revenue.sum(axis=1),
        )  # fmt: skip
        found[f"{name} on eight"], found[f"{name} on five"] = (
            a_search(alone, policy),
            ratio(life["total"], life["count"]),
        )
        found[f"house under {name}"], found[f"euros under {name}"] = (
            ratio(life[column], life["count"]) for column in ("house", "euros")
        )
    return found


def returns() -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    rewards: tuple[Reward, ...] = ("revenue", "net revenue", "clicks")
    for reward in rewards:  # what the oracle ranks by
        world = make_world(dataclasses.replace(world_params("returns"), reward=reward))
        catalogue: PublicCatalogue = world.catalogue.public()
        life = sums(
            world, named_policy("oracle", catalogue), count=one, sold=lambda step: step.outcome.revenue.sum(axis=1),
            stays=lambda step: (step.outcome.revenue * ~step.outcome.returned).sum(axis=1),
            bought=lambda step: step.outcome.purchased.sum(axis=1), back=lambda step: step.outcome.returned.sum(axis=1),
        )  # fmt: skip
        found[f"sold by {reward}"] = ratio(life["sold"], life["count"])
        found[f"stays by {reward}"] = ratio(life["stays"], life["count"])
        found[f"back by {reward}"] = ratio(life["back"], life["bought"])
    return found


def facets() -> dict[str, Measured]:
    """First pages with a filter, and what the engine finds for the same words without it; production's searches."""
    world, found = load_world("facets"), {}
    demand, catalogue = world.demand, world.catalogue
    assert isinstance(demand, InventedDemand)

    def unfiltered(step: Step) -> Page:
        parts, nothing_found = demand.parts(step.state), world.params.queries.nothing_found
        terms = recognised_terms(demand.lexicon, parts)
        read = understood(parts, terms, demand.lexicon, demand.other_meaning, catalogue.seed, nothing_found)
        candidates = retrieve(catalogue, read, step.state.day, world.params.n_candidates)
        return dataclasses.replace(step.page, candidates=candidates)

    logger = named_policy("production", catalogue.public())
    played = [
        take(step, np.flatnonzero((step.page.filters >= 0).any(axis=1) & (step.page.page == 0)))
        for step in play(world, logger, SEED, shopper_range(N))
    ]
    steps = join([step for step in played if len(step.state)])
    count = np.bincount(steps.state.shopper, minlength=N).astype(np.float64)
    for name in ("production", "uniform", "oracle"):
        policy = named_policy(name, catalogue.public())
        both = []
        for page in (steps.page, unfiltered(steps)):
            known = truth(world, steps.state, page) if policy.sees_truth else None
            slate = policy.act(page, world.params.n_slots, policy_keys(steps.state, 9), known).slate
            worth = expected_reward(world, steps.state, page, slate).sum(axis=1)
            both.append(ratio(np.bincount(steps.state.shopper, worth, N), count))
        found[f"{name} with"], found[name] = both[0], both[0].over(both[1])
    return found


MEASURES: dict[str, Callable[[], dict[str, Measured]]] = {
    "churn": churn, "sale": sale, "season": season, "shock": shock, "satiation": lambda: habit("satiation"),
    "boredom": lambda: habit("boredom"), "influence": influence, "sponsored": sponsored, "returns": returns,
    "facets": facets,
}  # fmt: skip
# What was found and its standard error.
FOUND: dict[str, dict[str, tuple[float, float]]] = {
    "churn": {
        "share of slots": (0.0492, 0.0007), "share of candidates": (0.3345, 0.0010),
        "taken for average": (-0.0011, 0.0008),
    },
    "sale": {
        "discounts": (0.0254, 0.0017), "catalogue's prices": (0.0465, 0.0027), "today's prices": (0.0483, 0.0024),
    },
    "season": {
        "first half": (0.1391, 0.0032), "second half": (0.1351, 0.0128), "swapped": (0.0067, 0.0169),
        "swapped without seasons": (0.0793, 0.0180),
    },
    "shock": {
        "before": (0.1639, 0.0027), "three days after": (0.2113, 0.0115), "later": (0.3041, 0.0104),
        "known at once": (0.8287, 0.0131),
    },
    "satiation": {
        "oracle with": (1.1962, 0.0031), "oracle without": (1.3641, 0.0026), "oracle a shopper": (-0.0862, 0.0018),
        "oracle buys": (-0.0990, 0.0024),
    },
    "boredom": {
        "oracle with": (1.1253, 0.0032), "oracle without": (1.3754, 0.0025), "oracle a shopper": (-0.1446, 0.0019),
        "production a shopper": (-0.1050, 0.0016),
    },
    "influence": {"production": (0.3096, 0.0030), "oracle": (0.4780, 0.0028)},
    "sponsored": {
        "oracle on eight": (1.6333, 0.0036), "production on eight": (0.7942, 0.0022),
        "oracle on five": (0.8838, 0.0019), "production on five": (0.4008, 0.0011),
        "house under oracle": (0.3609, 0.0020), "euros under oracle": (0.1823, 0.0013),
    },
    "returns": {
        "sold by revenue": (8.971, 0.079), "stays by revenue": (6.324, 0.064), "sold by net revenue": (8.382, 0.075),
        "stays by net revenue": (6.801, 0.066), "stays by clicks": (3.925, 0.049), "back by clicks": (0.4602, 0.0036),
    },
    "facets": {"production": (0.287, 0.010), "uniform": (0.342, 0.012), "oracle": (0.020, 0.004)},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_a_named_world_shows_what_it_says(name: str) -> None:
    """On shoppers who were not among the measured, within four standard errors of the difference of the two."""
    measured = MEASURES[name]()
    for label, (found, error) in FOUND[name].items():
        again = measured[label]
        print(f"{name}: {label} {again.value:.4f} +- {again.stderr:.4f}, was {found:.4f} +- {error:.4f}")
        assert abs(again.value - found) < 4 * np.hypot(again.stderr, error), label
