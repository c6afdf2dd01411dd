"""What a world owes its users: lives that depend on nobody else, honest probabilities, and secrets that stay secret."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.abandonment import Ending
from simenv.calendar import unlisted
from simenv.catalogue import I32, I64
from simenv.check.ranker import UniformByHash
from simenv.clicks import check_click_model
from simenv.columns import join, take
from simenv.language.words import TERMS
from simenv.play import Step, play_apart, shopper_range
from simenv.world import Page, World, begin, make_world, observe, step

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FLOAT_TOLERANCE = 1e-6  # of the market's floats between batch sizes
HIDDEN = {
    "key", "traits", "taste", "mind", "intent", "shown", "satisfaction", "visit_satisfaction", "quality", "bait",
    "satisfied", "ending",
}  # fmt: skip
N_AMONG, N_ALONE, N_MANY = 50, 5, 400  # shoppers played together, alone, and for the test of expectations


def check_world(world: World, seed: int = 0) -> None:
    """Prove that a world keeps the contract of `simenv.world`, under a ranker that shows candidates in random order.

    Built again it is the same; the same seed gives the same bytes and another seed others. A shopper's whole life is
    the same alone and among fifty others. A page shows nothing hidden and does not change with what is hidden.
    Candidates are distinct, enough, and never come back within one query; retrieval does not look at the slate.
    Rewards agree with their exact expectations within four standard errors, clustered by shopper. Clicks happen where
    somebody looked, carts where somebody clicked, purchases from carts. Nobody exceeds the pages and queries
    allowed, days increase from visit to visit, and every life ends once. Nothing is offered on a day on which it is
    not listed. The click model passes its own check. Where shoppers share stock, each is played apart here (see
    `simenv.stock`).

    Args:
        world: The market, see `simenv.world.make_world`.
        seed: The shoppers' luck.

    Raises:
        AssertionError: naming the property that fails.
    """
    check_click_model(world.params.click_model, n_draws=20_000, n_slots=min(4, world.params.n_slots))
    again = make_world(world.params).catalogue.digest()
    assert again == world.catalogue.digest(), "the same parameters make another catalogue"
    many = _lives(world, seed, shopper_range(N_MANY))
    _check_lives_alone(world, seed)
    _check_seeds(world, seed)
    _check_nothing_hidden(world, many)
    _check_candidates(world, many)
    _check_retrieval_is_blind(world, seed)
    _check_outcomes(world, many)
    _check_expectations(many)
    _check_time(world, many)


def _lives(world: World, seed: int, shoppers: I64, policy_seed: int | None = None) -> Step:
    """Whole lives as one set of columns, in the order of (shopper, visit, step)."""
    steps = join(list(play_apart(world, UniformByHash(), seed, shoppers, policy_seed)))
    return take(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))


def _check_lives_alone(world: World, seed: int) -> None:
    together = _lives(world, seed, shopper_range(N_AMONG))
    for shopper in shopper_range(N_ALONE, first=N_AMONG // 2):
        alone = _lives(world, seed, np.array([shopper]))
        among = take(together, together.state.shopper == shopper)
        named = dict(_leaves(among))
        for name, value in _leaves(alone):
            assert value.shape == named[name].shape, f"rows are independent: shopper {shopper} lives on among others"
            same = (
                np.allclose(value, named[name], rtol=FLOAT_TOLERANCE, atol=FLOAT_TOLERANCE)
                if np.issubdtype(value.dtype, np.floating)
                else np.array_equal(value, named[name])
            )
            assert same, f"rows are independent: {name} of shopper {shopper} differs alone and among others"


def _check_seeds(world: World, seed: int) -> None:
    shoppers = shopper_range(N_ALONE)
    first, second = (dict(_leaves(_lives(world, seed, shoppers))) for _ in range(2))
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), f"same seed, same bytes: {name} differs"
    other = dict(_leaves(_lives(world, seed + 1, shoppers)))
    assert first["page.candidates"].tobytes() != other["page.candidates"].tobytes(), "another seed changes nothing"


def _check_nothing_hidden(world: World, lives: Step) -> None:
    for columns in (Page, type(world.catalogue.public())):
        leaked = HIDDEN & {field.name for field in dataclasses.fields(columns)}
        assert not leaked, f"hidden truth stays hidden: {columns.__name__} has {sorted(leaked)}"
    state = take(lives.state, slice(None, None, 5))  # in the midst of lives, on all pages
    page = observe(world, state)
    moved = dataclasses.replace(
        state,
        taste=-state.taste,
        satisfaction=1 - state.satisfaction,
        visit_satisfaction=1 - state.visit_satisfaction,
        mind=dataclasses.replace(
            state.mind,
            favourite_brand=state.mind.favourite_brand[::-1],
            trust=1 - state.mind.trust,
            satiation=state.mind.satiation + 1,
            recent=state.mind.recent + 1,
        ),
        traits=dataclasses.replace(
            state.traits,
            segment=state.traits.segment[::-1],
            taste=-state.traits.taste,
            price_taste=-state.traits.price_taste,
            patience=1 - state.traits.patience,
            gap_days=2 * state.traits.gap_days,
        ),
    )
    seen = dict(_leaves(page))
    for name, value in _leaves(observe(world, moved)):
        assert np.array_equal(value, seen[name]), f"hidden truth stays hidden: {name} of the page depends on it"


def _check_candidates(world: World, lives: Step) -> None:
    params, page = world.params, lives.page
    candidates = page.candidates
    assert candidates.shape[1] == params.n_candidates, (
        f"{candidates.shape[1]} candidates a row; n_candidates is {params.n_candidates}"
    )
    assert candidates.min() >= -1, "candidates are item ids, or -1 for a hole"
    assert candidates.max() < world.catalogue.n_items, "candidates are ids of items that exist"
    absent = unlisted(world.calendar, world.catalogue, candidates, page.day)
    assert absent is None or not (absent & (candidates >= 0)).any(), "a candidate is not listed on its day"
    assert not page.discount[candidates < 0].any(), "a hole has a discount"
    assert not _repeats(candidates).any(), "candidates are distinct in a row"
    real = (candidates >= 0).sum(axis=1)
    first = page.page == 0
    plain = (page.filters < 0).all(axis=1)
    found = real[first & plain & (real > 0)]  # a query may find nothing at all, and few items match a filter
    _check_filters(world, page)
    assert params.market.makes_holes or (found >= params.n_slots).all(), (
        f"a first page has {found.min()} candidates for {params.n_slots} slots; the catalogue is too small"
    )
    assert (real[~first] >= 1).all(), "a later page without any candidate was opened"
    pages = params.max_pages
    shown = np.full((len(page), pages, params.n_slots), -1, dtype=np.int32)
    rows = np.arange(len(page))
    for back in range(pages):  # the pages of one query follow each other
        at = page.page - back
        have = at >= 0
        shown[rows[have], at[have]] = lives.outcome.items[rows[have] - back]
    assert not _repeats(shown.reshape(len(page), -1)).any(), "a candidate is shown twice on the pages of one query"


def _check_filters(world: World, page: Page) -> None:
    """What is offered under a filter has its value."""
    catalogue = world.catalogue
    for place, name in enumerate(TERMS):
        rows = np.flatnonzero(page.filters[:, place] >= 0)
        own = getattr(catalogue, name)[np.maximum(page.candidates[rows], 0)]
        wrong = (page.candidates[rows] >= 0) & (own != page.filters[rows, place : place + 1])
        assert not wrong.any(), f"a candidate does not match the filter on its {name}"


def _check_retrieval_is_blind(world: World, seed: int) -> None:
    """Under two rankers, with the same luck, a query gets the same candidates; page 2 lacks page 1.

    What was shown may change what a shopper wants later, so queries are the same where their intents are.
    """
    found: list[dict[tuple[int, ...], I32]] = []
    for policy_seed in (seed, seed + 1):
        lives = _lives(world, seed, shopper_range(N_AMONG), policy_seed)
        first = take(lives, lives.page.page == 0)
        page = first.page
        asked = np.stack([page.shopper, page.visit, page.day, page.search], axis=1)
        names = np.concatenate([asked, first.state.intent], axis=1).tolist()
        found.append({tuple(name): row for name, row in zip(names, page.candidates, strict=True)})
    common = found[0].keys() & found[1].keys()
    assert all(np.array_equal(found[0][name], found[1][name]) for name in common), (
        "retrieval never depends on the policy: other slates led to other candidates of the same query"
    )
    state = begin(world, seed, shopper_range(N_MANY))
    page = observe(world, state)
    decision = UniformByHash().act(page, world.params.n_slots, hashing.absorb(seed, state.shopper))
    after, outcome = step(world, state, page, decision.slate)
    rows = np.flatnonzero(after.page == 1)
    left = page.candidates[rows].copy()
    left[(left[:, :, None] == outcome.items[rows][:, None, :]).any(axis=2)] = -1
    assert np.array_equal(observe(world, take(after, rows)).candidates, left), (
        "page 2 offers the candidates of page 1, in their order, without those shown"
    )


def _check_outcomes(world: World, lives: Step) -> None:
    outcome = lives.outcome
    shown = outcome.items >= 0
    price = world.catalogue.price[np.maximum(outcome.items, 0)] * np.exp(_discounts(lives))
    assert not (outcome.clicked & ~outcome.examined).any(), "a slot was clicked that nobody examined"
    assert not (outcome.clicked & ~shown).any(), "an empty slot was clicked"
    assert not (outcome.carted & ~outcome.clicked).any(), "an item is in the cart that nobody clicked"
    assert not (outcome.purchased & ~outcome.carted).any(), "an item was bought that is not in the cart"
    assert np.allclose(outcome.revenue, np.where(outcome.purchased, price, 0.0), rtol=FLOAT_TOLERANCE, atol=0.0), (
        "revenue is the day's price of purchases"
    )
    assert not (outcome.satisfied & ~outcome.clicked).any(), "an item satisfied that nobody clicked"
    assert not (outcome.returned & ~outcome.purchased).any(), "an item was sent back that nobody bought"
    assert not ((outcome.dwell > 0) & ~outcome.clicked).any(), "an item was looked at that nobody clicked"
    assert not (outcome.dwell < 0).any(), "an item was looked at for less than no time"
    assert not _repeats(np.concatenate([outcome.items, lives.page.house], axis=1)).any(), "an item is twice on a page"
    assert not (outcome.house_clicked & (lives.page.house < 0)).any(), "an empty place of the house was clicked"
    assert not (outcome.ad_revenue[~outcome.house_clicked] != 0).any(), "a seller paid for no click"
    ended = outcome.ending != Ending.NEXT_PAGE
    ended &= outcome.ending != Ending.ASKED_AGAIN
    assert np.array_equal(ended, outcome.session_over), "a session is over where its last page ended it, and only there"
    counts = {
        "clicks": outcome.clicked,
        "purchases": outcome.purchased,
        "revenue": outcome.revenue,
        "net revenue": np.where(outcome.returned, 0.0, outcome.revenue),
    }
    reward = counts[world.params.reward]
    assert np.array_equal(outcome.reward, reward), f"the reward is not what the world counts ({world.params.reward})"


def _discounts(lives: Step) -> npt.NDArray[np.float64]:
    """The public discount of what was shown, (N, K)."""
    places = np.maximum(lives.decision.slate, 0).astype(np.int64)
    return np.take_along_axis(lives.page.discount, places, axis=1).astype(np.float64)


def _check_expectations(lives: Step) -> None:
    residual = (lives.outcome.reward - lives.outcome.expected).sum(axis=1)
    _, cluster = np.unique(lives.state.shopper, return_inverse=True)
    of_shopper = np.bincount(cluster, residual)
    error = np.sqrt((of_shopper**2).sum())
    assert error > 0, "rewards equal their expectations exactly, so the world has no luck"
    assert abs(of_shopper.sum()) <= 4.0 * error, (
        f"rewards agree with their expectations: they differ by {of_shopper.sum() / error:.1f} standard errors"
    )


def _check_time(world: World, lives: Step) -> None:
    params, page, outcome = world.params, lives.page, lives.outcome
    assert page.page.max() < params.max_pages, f"a query has more than max_pages = {params.max_pages} pages"
    limit = params.dynamics.max_searches
    assert page.search.max() < limit, f"a visit has more than max_searches = {limit} queries"
    assert page.day.min() >= 0, "a day is negative"
    assert page.day.max() < params.shoppers.horizon_days, "somebody searches after the horizon"
    assert page.time.min() >= 0, "a time is before midnight"
    assert page.time.max() < 86_400, "a time is after midnight"
    follows = page.shopper[1:] == page.shopper[:-1]
    over = outcome.session_over[:-1]
    visit, day = np.diff(page.visit), np.diff(page.day)
    assert (visit[follows] == over[follows]).all(), "a visit goes on until its session is over, and no further"
    assert (day[follows & over] > 0).all(), "days increase between visits"
    assert (day[follows & ~over] == 0).all(), "a visit stays within its day"
    last = np.append(~follows, True)
    assert np.array_equal(outcome.gone | outcome.truncated, last), "a life ends once, at its last page"
    assert not (outcome.gone & outcome.truncated).any(), "a shopper is gone and past the horizon at once"


def _repeats(items: I32) -> npt.NDArray[np.bool_]:
    """Rows that hold an id twice."""
    ranked = np.sort(items, axis=1)
    twice: npt.NDArray[np.bool_] = ((ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] >= 0)).any(axis=1)
    return twice


def _leaves(columns: DataclassInstance, prefix: str = "") -> list[tuple[str, npt.NDArray[Any]]]:
    """Every array of nested columns with its dotted name."""
    found: list[tuple[str, npt.NDArray[Any]]] = []
    for field in dataclasses.fields(columns):
        value = getattr(columns, field.name)
        name = prefix + field.name
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found += _leaves(value, f"{name}.")
        elif isinstance(value, np.ndarray):
            found.append((name, value))
    return found
