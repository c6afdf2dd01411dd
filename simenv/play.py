"""Playing a fixed set of shoppers to their end under a policy.

Shoppers are played in blocks; inside a block every shopper goes page by page until they are gone. Where they share
stock, everybody plays a day before anybody plays the next. What comes out does not depend on the block size, since
every draw is named by the shopper and sales are summed as integers. Logs, truth and learning all listen to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simenv import stock
from simenv.catalogue import I64
from simenv.clicks import Taken
from simenv.columns import join, take
from simenv.decision import Decision, Policy, Truth, with_query
from simenv.world import Outcome, Page, State, World, begin, keep, observe, policy_keys, step
from simenv.worth import appeal, click_values, worth

BLOCK = 2048  # shoppers that are in memory at once


@dataclass(frozen=True)
class Step:
    """One page for each shopper still there: hidden state, public page, what the policy did and what came of it."""

    state: State
    page: Page
    decision: Decision
    outcome: Outcome


def play(world: World, policy: Policy, seed: int, shoppers: I64, policy_seed: int | None = None) -> Iterator[Step]:
    """Play shoppers until every one of them is gone or past the horizon.

    In a market with stock they are the whole population and take from the same shelves, day by day; else the life of
    each is what it would be alone.

    Args:
        world: The market.
        policy: Who ranks.
        seed: The luck of the shoppers. Two policies under one seed face the same shoppers with the same luck.
        shoppers: (U,) ids.
        policy_seed: The policy's own luck; by default `seed`, under a stream that the market never uses.

    Yields:
        Steps, block after block, each block page after page; in a market with stock, day after day.
    """
    if world.params.market.stock is None:
        yield from play_apart(world, policy, seed, shoppers, policy_seed)
        return
    own = seed if policy_seed is None else policy_seed
    by_day: list[list[State]] = [[] for _ in range(world.params.shoppers.horizon_days)]
    for first in range(0, len(shoppers), BLOCK):
        _await(by_day, begin(world, seed, shoppers[first : first + BLOCK]))
    shelves = stock.first_shelves(world, len(shoppers))
    for today in by_day:
        sold = np.zeros(world.catalogue.n_items, dtype=np.int64)
        back: list[State] = []
        for played, later in play_day(world, policy, own, today, shelves) if today else ():
            stock.count_sold(played.page, played.outcome, sold)
            back.append(later)
            yield played
        today.clear()
        if back:
            _await(by_day, join(back))
        shelves = stock.next_shelves(world, shelves, sold)


def play_apart(
    world: World, policy: Policy, seed: int, shoppers: I64, policy_seed: int | None = None
) -> Iterator[Step]:
    """Play shoppers each in a market of their own; see `play`, and `simenv.stock` for what shelves hold then."""
    own = seed if policy_seed is None else policy_seed
    for first in range(0, len(shoppers), BLOCK):
        state = begin(world, seed, shoppers[first : first + BLOCK])
        while len(state):
            played, after = _page(world, policy, own, state, None)
            yield played
            over = played.outcome.gone | played.outcome.truncated
            state = keep(after, ~over) if over.any() else after


def play_day(
    world: World, policy: Policy, policy_seed: int, arriving: list[State], shelves: stock.Shelves
) -> Iterator[tuple[Step, State]]:
    """Play the visits of one day from one day's shelves.

    Several workers may each play a part of a day's shoppers; the sums of their sales make the next day's shelves.

    Args:
        world: The market.
        policy: Who ranks.
        policy_seed: The policy's own luck.
        arriving: Shoppers at the start of a visit of that day, in any number of parts above none.
        shelves: Of that day.

    Yields:
        Steps in the order of shoppers, block by block, each with the states of those whose visit ended there and who
        come back on a later day.
    """
    together = join(arriving)
    order = np.argsort(together.shopper, kind="stable")
    for first in range(0, len(order), BLOCK):
        state = take(together, order[first : first + BLOCK])
        while len(state):
            played, after = _page(world, policy, policy_seed, state, shelves)
            outcome = played.outcome
            yield played, keep(after, outcome.session_over & ~outcome.gone & ~outcome.truncated)
            state = keep(after, ~outcome.session_over)


def _page(
    world: World, policy: Policy, policy_seed: int, state: State, shelves: stock.Shelves | None
) -> tuple[Step, State]:
    page = observe(world, state, shelves)
    if policy.reads_query:
        page = with_query(world, state, page)
    known = truth(world, state, page) if policy.sees_truth else None
    decision = policy.act(page, world.params.n_slots, policy_keys(state, policy_seed), known)
    after, outcome = step(world, state, page, decision.slate)
    return Step(state, page, decision, outcome), after


def _await(by_day: list[list[State]], states: State) -> None:
    """Put shoppers to those who come on the same day."""
    for day in np.unique(states.day):
        by_day[day].append(keep(states, states.day == day))


def truth(world: World, state: State, page: Page) -> Truth:
    """The hidden truth about every candidate of a page."""
    known = worth(world, state, page.candidates)
    struck = appeal(world, known)
    return Truth(
        attraction=struck.attraction,
        satisfaction=struck.satisfaction,
        value=click_values(world, known),
        relevance=known.relevance,
        taken=Taken(appeal(world, worth(world, state, page.house)), world.params.house.places),
        state=state,
        click_model=world.params.click_model,
        n_slots=world.params.n_slots,
    )


def shopper_range(n: int, first: int = 0) -> I64:
    """Ids `first` to `first + n - 1`."""
    return np.arange(first, first + n, dtype=np.int64)
