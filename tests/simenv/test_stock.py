"""One shelf for all shoppers: frozen within a day, emptied by integer sums, the same for any block size and workers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import simenv.play
from simenv import stock
from simenv.check.ranker import UniformByHash
from simenv.columns import join, take
from simenv.market import Market, Stock
from simenv.params import Conversion
from simenv.play import Step, play, play_apart, play_day, shopper_range
from simenv.state import State
from simenv.world import World, begin, keep, make_world, observe
from simenv.worlds import world_params

N = 200
SEED = 3
# Few items, of which most clicks are bought: shelves run empty.
PARAMS = dataclasses.replace(
    world_params("tiny"),
    n_items=800,
    conversion=Conversion(cart_base=2.0, buy_base=2.0),
    market=Market(stock=Stock(units=4.0, restock_days=9)),
)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(PARAMS)


def in_order(steps: Step) -> Step:
    return take(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))


def lives(world: World, n: int = N) -> Step:
    return in_order(join(list(play(world, UniformByHash(), SEED, shopper_range(n)))))


def same_bytes(a: Step, b: Step) -> bool:
    return all(
        np.asarray(getattr(one, field.name)).tobytes() == np.asarray(getattr(other, field.name)).tobytes()
        for one, other in ((a.page, b.page), (a.outcome, b.outcome))
        for field in dataclasses.fields(one)
    )


@pytest.fixture(scope="module")
def together(world: World) -> Step:
    return lives(world)


@pytest.mark.parametrize("block", [1, 7])
def test_the_block_size_changes_nothing(
    world: World, together: Step, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simenv.play, "BLOCK", block)
    some = lives(world, 40) if block == 1 else lives(world)
    monkeypatch.undo()
    assert same_bytes(some, lives(world, 40) if block == 1 else together)


def test_the_order_in_which_shoppers_are_named_changes_nothing(world: World, together: Step) -> None:
    backwards = join(list(play(world, UniformByHash(), SEED, shopper_range(N)[::-1])))
    assert same_bytes(in_order(backwards), together)


def test_workers_that_exchange_the_sums_of_a_day_play_what_one_plays(world: World, together: Step) -> None:
    """Three workers with a third of the shoppers each; between days they tell each other integers and nothing else."""
    n_days = world.params.shoppers.horizon_days
    waiting: list[list[list[State]]] = [[[] for _ in range(n_days)] for _ in range(3)]
    for worker in range(3):
        crowd = begin(world, SEED, shopper_range(N)[worker::3])
        for day in range(n_days):
            waiting[worker][day].append(keep(crowd, crowd.day == day))
    shelves, steps = stock.first_shelves(world, N), []
    for day in range(n_days):
        told = []
        for by_day in waiting:
            sold = np.zeros(world.catalogue.n_items, dtype=np.int64)
            for played, later in play_day(world, UniformByHash(), SEED, by_day[day], shelves):
                stock.count_sold(played.page, played.outcome, sold)
                steps.append(played)
                for after in range(day + 1, n_days):
                    by_day[after].append(keep(later, later.day == after))
            told.append(sold)
        shelves = stock.next_shelves(world, shelves, np.sum(told, axis=0))
    assert same_bytes(in_order(join(steps)), together)


def test_what_is_offered_on_a_day_is_what_the_days_before_have_left(world: World, together: Step) -> None:
    """Shelves reckoned again from the log alone: full, less what was sold, filled up on the item's days."""
    shelves = stock.first_shelves(world, N)
    left = shelves.full.astype(np.int64)
    ran_out = False
    for day in range(world.params.shoppers.horizon_days):
        rows = together.page.day == day
        candidates = together.page.candidates[rows]
        assert (left[candidates[candidates >= 0]] > 0).all(), day
        first = rows & (together.page.page == 0)
        found = world.demand.search(keep(together.state, first)).candidates
        expected = np.where((found >= 0) & (left[np.maximum(found, 0)] > 0), found, -1)
        assert np.array_equal(together.page.candidates[first], expected), day
        ran_out |= bool((expected != found).any())
        sold = np.bincount(together.outcome.items[rows][together.outcome.purchased[rows]], minlength=len(left))
        left = np.maximum(left - sold, 0)
        shelves = stock.next_shelves(world, shelves, sold)
        filled = shelves.stock > left
        assert (shelves.stock[filled] == shelves.full[filled]).all()
        left = shelves.stock.astype(np.int64)
    assert ran_out


def test_every_shelf_is_filled_up_once_in_its_days_and_not_all_on_one(world: World) -> None:
    """800 items on nine days: five standard errors of a share of a ninth are .056."""
    shelves = stock.first_shelves(world, 10_000)
    times = np.zeros(world.catalogue.n_items, dtype=int)
    everything = np.full(world.catalogue.n_items, 10**9)
    for _ in range(18):
        shelves = stock.next_shelves(world, shelves, everything)
        times += shelves.stock > 0
        assert abs((shelves.stock > 0).mean() - 1 / 9) < 0.056
    assert (times == 2).all()


def test_shelves_are_as_full_as_the_population_is_large(world: World) -> None:
    """units * shoppers / 1,000 in the mean: of 800 uniforms rounded, five standard errors are .09."""
    for n in (100, 1_000, 33_333):
        full = stock.first_shelves(world, n).full
        assert abs(full.mean() - 4.0 * n / 1000) < 0.09
        assert np.ptp(full) <= 1


def test_shoppers_of_one_day_do_not_touch_each_other(world: World) -> None:
    """From the same shelves, a shopper's day is the same alone and among the others."""
    shelves = stock.first_shelves(world, 60)  # one item in four is on the shelf
    everybody = begin(world, SEED, shopper_range(N))
    today = keep(everybody, everybody.day == 0)
    among = in_order(join([played for played, _ in play_day(world, UniformByHash(), SEED, [today], shelves)]))
    for shopper in today.shopper[:5]:
        alone = keep(today, today.shopper == shopper)
        own = in_order(join([played for played, _ in play_day(world, UniformByHash(), SEED, [alone], shelves)]))
        assert same_bytes(own, take(among, among.state.shopper == shopper))


def test_one_who_buys_leaves_less_to_others_on_later_days_only(world: World) -> None:
    few = lives(world, 150)
    scarce = dataclasses.replace(PARAMS, market=Market(stock=Stock(units=1.0, restock_days=9)))
    less = in_order(join(list(play(make_world(scarce), UniformByHash(), SEED, shopper_range(150)))))
    assert less.outcome.purchased.sum() < few.outcome.purchased.sum()


def test_played_apart_the_rest_of_the_market_empties_shelves_whatever_the_rows_do(world: World) -> None:
    """On day 0 all shelves are full; then as many as the share of an exponential pace says are empty.

    With s days since filling, P(empty) = P(exponential > sold_out_days / (s * exp(popularity))).
    """
    full = make_world(dataclasses.replace(PARAMS, market=Market()))
    state = begin(world, SEED, np.arange(2_000))
    state = dataclasses.replace(state, day=np.zeros_like(state.day))
    assert np.array_equal(observe(world, state).candidates, observe(full, state).candidates)
    items = np.arange(800, dtype=np.int32)[None]
    out = np.concatenate([stock.sold_out(world, items, np.array([day], np.int32), None) for day in range(9, 90)])
    pace = np.exp(world.catalogue.popularity.astype(float))
    expected = np.mean([np.exp(-6.0 / (np.maximum(since, 1e-9) * pace)) for since in range(9)], axis=0)
    # 800 items by nine independent times: five standard errors of a share of about .4 are below .03.
    assert abs(out.mean() - expected.mean()) < 0.03
    steps = in_order(join(list(play_apart(world, UniformByHash(), SEED, shopper_range(50)))))
    alone = join(list(play_apart(world, UniformByHash(), SEED, np.array([7]))))
    assert same_bytes(in_order(alone), take(steps, steps.state.shopper == 7))
