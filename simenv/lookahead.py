"""Looking further than the page: candidate pages judged by playing the shopper to the end after each of them.

One step of policy improvement by rollout: each candidate page is worth its exact expected reward plus what a base
policy earns afterwards, the mean over imagined futures; the best is shown. With exact values this is never worse than
the base in expectation, since the base's own page is among the candidates. With few futures the means are noisy, and
the best of several is mostly lucky: so the best one is judged again, on futures of its own, and shown only where it is
better than the base's page by some standard errors.

The futures are imagined with luck of their own, the same for all candidates of a page (common random numbers). What the
shopper will really do is not looked at: of the state's key only what has already happened is read, the query that is on
the page. So the categories a shopper comes back for are imagined too, from everybody's, not from the shopper's own.

Bertsekas, Tsitsiklis and Wu, "Rollout algorithms for combinatorial optimization", 1997; Bertsekas and Castanon,
"Rollout algorithms for stochastic scheduling problems", 1999.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.columns import take
from simenv.decision import Policy, with_query
from simenv.play import truth
from simenv.world import Page, State, World, keep, observe, policy_keys, step

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

CONFIRM = 2  # times as many futures confirm the page that looked best as were needed to find it
AT_ONCE = 16_384  # futures that are played at once
LUCK = hashing.stream(0, "lookahead") >> 1  # the seed of all that is imagined; never one of a log or of truth


@dataclass(frozen=True)
class Lookahead:
    """How to look ahead.

    Attributes:
        base: Who goes on after the page, and whose page is shown where no other is surely better.
        others: Whose pages are tried beside it.
        futures: Imagined futures of each page, at least 2; CONFIRM times as many for the one that looks best.
        surely: Standard errors by which another page must be better.
    """

    base: Policy
    others: Sequence[Policy]
    futures: int = 16
    surely: float = 2.0


@dataclass(frozen=True)
class Chosen:
    """The pages to show, (N, K) positions, and by how much they are worth more than the base's, (N,).

    gain: mean over the confirming futures, 0 where the base's page stays.
    """

    slate: I32
    gain: F64


def choose_pages(world: World, lookahead: Lookahead, state: State, page: Page) -> Chosen:
    """The page for each row that is worth most with what follows it.

    Args:
        world: The market.
        lookahead: How.
        state: Where the shoppers are; hidden truth.
        page: What they see now, `observe(world, state)`.
    """
    slates = _candidate_pages(world, lookahead, state, page)  # (S, N, K)
    fresh = _fresh(slates)
    fresh[0] = fresh[1:].any(axis=0)  # where all pages are the base's there is nothing to judge
    n, luck = lookahead.futures, _luck(state, (1 + CONFIRM) * lookahead.futures)

    row, which = np.nonzero(fresh.T)
    worth = np.full((len(page), len(slates)), -np.inf)
    worth[row, which] = _worth(world, lookahead, state, page, row, slates[which, row], luck[:, :n]).mean(axis=1)
    best = worth.argmax(axis=1)  # the base's where it ties

    row = np.flatnonzero(best > 0)
    after = _worth(world, lookahead, state, page, row, slates[best[row], row], luck[:, n:])
    after -= _worth(world, lookahead, state, page, row, slates[0, row], luck[:, n:])
    mean, error = after.mean(axis=1), after.std(axis=1, ddof=1) / np.sqrt(CONFIRM * n)
    sure = mean > lookahead.surely * error
    slate, gain = slates[0].copy(), np.zeros(len(page))
    slate[row[sure]], gain[row[sure]] = slates[best[row], row][sure], mean[sure]
    return Chosen(slate, gain)


def _candidate_pages(world: World, lookahead: Lookahead, state: State, page: Page) -> I32:
    known, keys = truth(world, state, page), policy_keys(state, LUCK)
    if any(policy.reads_query for policy in (lookahead.base, *lookahead.others)):
        page = with_query(world, state, page)
    return np.stack([
        policy.act(page, world.params.n_slots, keys, known if policy.sees_truth else None).slate
        for policy in (lookahead.base, *lookahead.others)
    ])  # fmt: skip


def _fresh(slates: I32) -> npt.NDArray[np.bool_]:
    """Slates (S, N, K) that are like none before them, (S, N)."""
    fresh = np.ones(slates.shape[:2], dtype=bool)
    for s in range(1, len(slates)):
        fresh[s] = (slates[:s] != slates[s]).any(axis=2).all(axis=0)
    return fresh


def _worth(
    world: World, lookahead: Lookahead, state: State, page: Page, row: I64, slate: I32, luck: hashing.Keys
) -> F64:
    """What M pages with all that follows are worth in each future, (M, futures).

    row: (M,) whose page it is. slate: (M, K). luck: (N, futures), each row's.
    """
    worth = np.empty((len(row), luck.shape[1]))
    at_once = max(1, AT_ONCE // luck.shape[1])
    for first in range(0, len(row), at_once):
        part = slice(first, first + at_once)
        who = np.repeat(row[part], luck.shape[1])
        shown = np.repeat(slate[part], luck.shape[1], axis=0)
        total = _play(world, lookahead.base, take(state, who), luck[row[part]].ravel(), take(page, who), shown)
        worth[part] = total.reshape(-1, luck.shape[1])
    return worth


def _play(world: World, base: Policy, real: State, luck: hashing.Keys, page: Page, slate: I32) -> F64:
    """Expected reward of a page and of all that follows under the base policy, with imagined luck, (N,)."""
    imagined = dataclasses.replace(real, key=luck)
    total, alive = np.zeros(len(page)), np.arange(len(page))
    while True:
        after, outcome = step(world, imagined, page, slate)
        total[alive] += outcome.expected.sum(axis=1)
        stays = ~(outcome.gone | outcome.truncated)
        alive, imagined, real = alive[stays], keep(after, stays), keep(real, stays)
        if not len(alive):
            return total
        page = _observe(world, imagined, real, base.reads_query)
        known = truth(world, imagined, page) if base.sees_truth else None
        keys = hashing.absorb(policy_keys(imagined, LUCK), imagined.key.view(np.int64))
        slate = base.act(page, world.params.n_slots, keys, known).slate


def _observe(world: World, imagined: State, real: State, reads: bool = False) -> Page:
    """The page of an imagined state; further pages of the query that was really asked are those of that query."""
    asked = (imagined.visit == real.visit) & (imagined.search == real.search)
    state = dataclasses.replace(imagined, key=np.where(asked, real.key, imagined.key))
    page = observe(world, state)
    return with_query(world, state, page) if reads else page


def _luck(state: State, n: int) -> hashing.Keys:
    """Keys of `n` imagined futures of each row, (N, n), named by the page that the shopper is on: by nothing hidden."""
    return hashing.absorb(policy_keys(state, LUCK)[:, None], np.arange(n))
