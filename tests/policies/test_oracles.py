"""Oracles show the page they say: the best now, the most pleasing, the one that is worth most with what follows."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pytest

from policies.index_search import Tuned, long_horizon_oracles, tune_pleasing
from policies.oracles import LookaheadOracle, pleasing, slate_scores
from policies.ranking import RankingPolicy
from policies.registry import named_policy
from simenv import hashing
from simenv.clicks import CLICK_MODELS
from simenv.columns import join, take
from simenv.house import HouseSlots
from simenv.lookahead import Lookahead, _observe, choose_pages
from simenv.params import Reward
from simenv.play import Step, play, shopper_range, truth
from simenv.truth import lives
from simenv.twins import Difference, difference
from simenv.world import World, make_world, observe, step
from simenv.worlds import world_params
from simenv.worth import expected_reward


def tiny_with(
    click_model: str = "position-based",
    reward: Reward = "clicks",
    max_pages: int = 2,
    house: HouseSlots = HouseSlots(),  # noqa: B008 (frozen)
) -> World:
    """Another market of 8 candidates and 3 slots."""
    params = dataclasses.replace(world_params("tiny"), reward=reward, max_pages=max_pages, house=house)
    return make_world(dataclasses.replace(params, click_model=CLICK_MODELS[click_model](3 + house.n)))


def met(world: World, n_shoppers: int = 40) -> Step:
    """Pages that shoppers meet under the production ranker."""
    logger = named_policy("production", world.catalogue.public())
    return join(list(play(world, logger, 3, shopper_range(n_shoppers))))


def looking(world: World, futures: int = 8, surely: float = 1.0) -> Lookahead:
    """From the myopic oracle, among the pages of two other weights and of the production ranker."""
    production = dataclasses.replace(named_policy("production", world.catalogue.public()), temperature=0.0, floor=0.0)
    return Lookahead(pleasing(0.0), [pleasing(-0.5), pleasing(2.0), production], futures, surely)


@pytest.mark.parametrize("house", [HouseSlots(), HouseSlots(sponsored=(1,), pinned=(3,))], ids=["", "house"])
@pytest.mark.parametrize("reward", ["clicks", "revenue"])
@pytest.mark.parametrize("click_model", CLICK_MODELS)
def test_no_page_is_worth_more_than_the_oracles(click_model: str, reward: Reward, house: HouseSlots) -> None:
    """Against all filled slates of each page, 336 at most, under every click model, also where the market fills places
    between the slots; float32 agrees to 1e-6."""
    world = tiny_with(click_model, reward, house=house)
    steps = take(met(world), slice(0, None, 9))
    oracle = named_policy("oracle", world.catalogue.public())
    known = truth(world, steps.state, steps.page)
    slate = oracle.act(steps.page, 3, hashing.absorb(0, steps.page.shopper), known).slate
    worth = expected_reward(world, steps.state, steps.page, slate).sum(axis=1)
    best = np.zeros(len(worth))
    for other in permutations(range(8), 3):
        page = np.tile(np.array(other, dtype=np.int32), (len(worth), 1))
        filled = (steps.page.candidates[:, other] >= 0).all(axis=1)
        best = np.maximum(
            best, np.where(filled, expected_reward(world, steps.state, steps.page, page).sum(axis=1), 0.0)
        )
    full = (steps.page.candidates >= 0).sum(axis=1) >= 3
    assert full.sum() > 20
    np.testing.assert_allclose(worth[full], best[full], rtol=1e-6)


def test_scores_rank_the_slate_they_are_made_from() -> None:
    slate = np.array([[4, 0, 2], [1, -1, -1]], dtype=np.int32)
    worth = np.array([[0.1, 9.0, 0.2, 1e6, 0.0], [0.0, 0.3, -2.0, 0.0, 0.0]])
    order = np.argsort(-slate_scores(slate, worth), axis=1, kind="stable")
    assert order[0].tolist() == [4, 0, 2, 3, 1] or order[0].tolist() == [4, 0, 2, 1, 3]
    assert order[1, 0] == 1


def test_weight_zero_is_the_myopic_oracle(tiny: World) -> None:
    steps = met(tiny)
    known, keys = truth(tiny, steps.state, steps.page), hashing.absorb(0, steps.page.shopper)
    oracle = named_policy("oracle", tiny.catalogue.public())
    assert np.array_equal(
        pleasing(0.0).act(steps.page, 3, keys, known).slate, oracle.act(steps.page, 3, keys, known).slate
    )


def test_looking_ahead_does_not_look_at_the_shoppers_own_luck() -> None:
    """Other luck for all that is still to come, the same choice: bit for bit.

    With one page a query, all that hangs on the key is still to come; another key is another future.
    """
    world = tiny_with(max_pages=1)
    steps = met(world)
    other = dataclasses.replace(steps.state, key=hashing.absorb(steps.state.key, 77))
    lookahead = looking(world)
    chosen = choose_pages(world, lookahead, steps.state, steps.page)
    again = choose_pages(world, lookahead, other, steps.page)
    assert np.array_equal(chosen.slate, again.slate)
    assert np.array_equal(chosen.gain, again.gain)
    assert (chosen.gain > 0).any()  # somewhere something was chosen
    really = [step(world, state, steps.page, chosen.slate)[1].clicked for state in (steps.state, other)]
    assert not np.array_equal(*really)  # the luck that was not looked at does matter


def test_further_pages_of_a_query_are_those_of_that_query(tiny: World) -> None:
    """What was asked has happened: with other luck the second page still has the candidates the first one left."""
    steps = met(tiny)
    imagined = dataclasses.replace(steps.state, key=hashing.absorb(steps.state.key, 77))
    after, _ = step(tiny, imagined, steps.page, steps.decision.slate)
    turns = np.flatnonzero((after.page > 0) & (after.visit == imagined.visit) & (after.search == imagined.search))
    page = take(_observe(tiny, after, steps.state), turns)
    left = np.where(take(after, turns).shown, -1, take(steps.page, turns).candidates)
    # Candidates shown before the first of the two pages are holes in both.
    assert np.array_equal(page.candidates, left)
    assert not np.array_equal(take(observe(tiny, after), turns).candidates, left)


def test_a_row_looks_ahead_alone(tiny: World) -> None:
    steps = met(tiny)
    together = choose_pages(tiny, looking(tiny), steps.state, steps.page)
    some = np.arange(0, len(steps.state), 11)
    apart = choose_pages(tiny, looking(tiny), take(steps.state, some), take(steps.page, some))
    assert np.array_equal(apart.slate, together.slate[some])
    assert np.array_equal(apart.gain, together.gain[some])


@pytest.mark.slow
def test_looking_ahead_from_a_weak_base_is_better_than_the_base(tiny: World) -> None:
    """Twins; the gain must be above four standard errors, so that chance passes once in thirty thousand times."""
    base = dataclasses.replace(named_policy("production", tiny.catalogue.public()), temperature=0.0, floor=0.0)
    gain = twins_gain(tiny, base, Lookahead(base, [pleasing(0.0), pleasing(2.0)], futures=4, surely=1.0), 80)
    assert gain.value > 4 * gain.stderr


@pytest.mark.slow
def test_looking_ahead_loses_nothing_to_the_myopic_oracle(tiny: World) -> None:
    """In a market where nothing above it was found, no loss beyond four standard errors and one percent of 4.8."""
    gain = twins_gain(tiny, pleasing(0.0), looking(tiny, futures=16, surely=2.0), 200)
    assert gain.value > -(4 * gain.stderr + 0.048)


def test_where_no_weight_is_better_the_index_is_myopic(tiny: World) -> None:
    """In tiny satisfied shoppers search less; weights far from 0 all lose."""
    tuned = tune_pleasing(tiny, 1, shopper_range(150), grid=(-4.0, 16.0))
    assert (tuned.weight, tuned.gain) == (0.0, 0.0)
    assert tuned.unit == pytest.approx(1.0, abs=0.1)  # a click is worth a click
    both = long_horizon_oracles(tiny, tuned)
    assert list(both) == ["oracle-index", "oracle-long"]
    assert all(policy.sees_truth and policy.temperature == 0 for policy in both.values())


def test_tuning_is_repeatable(tiny: World) -> None:
    first, again = (tune_pleasing(tiny, 1, shopper_range(20), grid=(-1.0, 1.0)) for _ in range(2))
    assert first == again
    assert isinstance(first, Tuned)


def twins_gain(world: World, base: RankingPolicy, lookahead: Lookahead, n: int) -> Difference:
    """Value per shopper of looking ahead over its base."""
    long = RankingPolicy("long", LookaheadOracle(world, lookahead), 0.0, sees_truth=True)
    played = lives(world, {"base": base, "long": long}, 5, shopper_range(n))
    return difference(played["long"].per_shopper(), played["base"].per_shopper())
