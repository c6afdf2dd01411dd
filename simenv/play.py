"""Playing a fixed set of shoppers to their end under a policy.

Shoppers are played in blocks; inside a block every shopper goes page by page until they are gone. What comes out does
not depend on the block size, since every draw is named by the shopper. Logs, truth and learning all listen to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simenv.catalogue import I64
from simenv.decision import Decision, Policy, Truth
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

    Args:
        world: The market.
        policy: Who ranks.
        seed: The luck of the shoppers. Two policies under one seed face the same shoppers with the same luck.
        shoppers: (U,) ids.
        policy_seed: The policy's own luck; by default `seed`, under a stream that the market never uses.

    Yields:
        Steps, block after block, each block page after page.
    """
    own = seed if policy_seed is None else policy_seed
    for first in range(0, len(shoppers), BLOCK):
        state = begin(world, seed, shoppers[first : first + BLOCK])
        while len(state):
            page = observe(world, state)
            known = truth(world, state, page) if policy.sees_truth else None
            decision = policy.act(page, world.params.n_slots, policy_keys(state, own), known)
            after, outcome = step(world, state, page, decision.slate)
            yield Step(state, page, decision, outcome)
            over = outcome.gone | outcome.truncated
            state = keep(after, ~over) if over.any() else after


def truth(world: World, state: State, page: Page) -> Truth:
    """The hidden truth about every candidate of a page."""
    known = worth(world, state, page.candidates)
    struck = appeal(world, known)
    return Truth(
        attraction=struck.attraction,
        satisfaction=struck.satisfaction,
        value=click_values(world, known),
        relevance=known.relevance,
        state=state,
        click_model=world.params.click_model,
        n_slots=world.params.n_slots,
    )


def shopper_range(n: int, first: int = 0) -> I64:
    """Ids `first` to `first + n - 1`."""
    return np.arange(first, first + n, dtype=np.int64)
