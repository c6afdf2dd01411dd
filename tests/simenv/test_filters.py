"""Filters: who sets them, that everything offered has their value, and that they go with the query."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simenv.asking import Reformulation
from simenv.catalogue import generate_catalogue
from simenv.check.ranker import UniformByHash
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.invented import InventedDemand
from simenv.language.words import TERMS
from simenv.params import Filters
from simenv.play import Step, play, shopper_range
from simenv.retrieval import Understood, retrieve_filtered
from simenv.world import World, begin, make_world, observe
from simenv.worlds import load_world, world_params


@pytest.fixture(scope="module")
def facets() -> World:
    return load_world("facets")


@pytest.fixture(scope="module")
def played(facets: World) -> Step:
    steps = join(list(play(facets, UniformByHash(), 0, shopper_range(1500))))
    return take(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))


def test_nobody_filters_in_the_default_world() -> None:
    page = join(list(play(load_world("default"), UniformByHash(), 0, shopper_range(200)))).page
    assert (page.filters == -1).all()
    assert page.filters.shape == (len(page), len(TERMS))


def test_a_filter_says_what_is_wanted_and_was_not_said_beside_the_same_words(facets: World, played: Step) -> None:
    _, how = facets.demand.kinds(played.state)
    page, rows = played.page, np.flatnonzero((how == Reformulation.FILTER) & (played.page.page == 0))
    assert len(rows) > 200
    same_visit = (page.shopper[rows] == page.shopper[rows - 1]) & (page.visit[rows] == page.visit[rows - 1])
    assert same_visit.all()
    before, after = page.filters[rows - 1], page.filters[rows]
    assert ((after >= 0).sum(axis=1) == (before >= 0).sum(axis=1) + 1).all()
    assert ((before < 0) | (before == after)).all()
    assert (after[:, 0] < 0).all()
    assert ((after < 0) | (after == played.state.intent[rows])).all()
    assert isinstance(facets.demand, InventedDemand)
    said = facets.demand.parts(take(played.state, rows)).terms
    assert not ((after >= 0) & (said >= 0)).any()
    now, then = (facets.demand.strings(take(played.state, at)) for at in (rows, rows - 1))
    assert now == then


def test_filters_go_with_the_next_query_and_stay_on_its_pages(facets: World, played: Step) -> None:
    _, how = facets.demand.kinds(played.state)
    assert (played.page.filters[how != Reformulation.FILTER] == -1).all()
    assert (played.page.filters[how == Reformulation.FILTER] >= 0).any(axis=1).all()
    rows = np.flatnonzero(played.page.page > 0)
    assert np.array_equal(played.page.filters[rows], played.page.filters[rows - 1])


def test_filters_are_set_as_often_as_their_weight_says() -> None:
    """Second queries of English shoppers where all ways are open and nothing is misspelt; within five errors."""
    params = world_params("default")
    params = dataclasses.replace(
        params,
        filters=Filters(weight=1.5),
        queries=dataclasses.replace(params.queries, misspelling_rate=0.0, switch_language=0.0),
    )
    world = make_world(params)
    assert isinstance(world.demand, InventedDemand)
    state = begin(world, 0, np.arange(30_000))
    said = world.demand.parts(state)
    wanted = (state.intent[:, 1:] >= 0) & (said.terms[:, 1:] < 0)
    n_words = (said.terms >= 0).sum(axis=1) + said.free.sum(axis=1)
    is_open = wanted.any(axis=1) & (said.terms[:, 0] >= 0) & (n_words > 1)
    _, how = world.demand.kinds(dataclasses.replace(state, search=np.ones_like(state.search)))
    q = params.queries
    share = 1.5 / (1.5 + q.specialise + q.generalise + q.rephrase)
    assert is_open.sum() > 1000
    found = (how[is_open] == Reformulation.FILTER).mean()
    assert abs(found - share) < 5 * np.sqrt(share * (1 - share) / is_open.sum())


def test_everything_offered_has_the_value_and_more_of_it_than_the_plain_query_found(
    facets: World, played: Step
) -> None:
    rows = np.flatnonzero((played.page.filters >= 0).any(axis=1) & (played.page.page == 0))
    page = take(played.page, rows)
    for place, name in enumerate(TERMS):
        own = getattr(facets.catalogue, name)[np.maximum(page.candidates, 0)]
        wanted = page.filters[:, place : place + 1]
        assert ((wanted < 0) | (page.candidates < 0) | (own == wanted)).all()
    plain = played.page.candidates[rows - 1][played.page.page[rows - 1] == 0]
    first = take(page, played.page.page[rows - 1] == 0)
    one = (first.filters >= 0).sum(axis=1) == 1
    matched = np.zeros(plain.shape, dtype=bool)
    for place, name in enumerate(TERMS):
        wanted = first.filters[:, place : place + 1]
        matched |= (wanted >= 0) & (plain >= 0) & (getattr(facets.catalogue, name)[np.maximum(plain, 0)] == wanted)
    assert (first.candidates >= 0).sum(axis=1)[one].mean() > 2 * matched.sum(axis=1)[one].mean()


@given(
    st.integers(60, 600), st.integers(1, 12), st.integers(0, 5), st.integers(1, 40), st.integers(1, 6), st.booleans()
)
def test_filtered_candidates_are_all_that_match_as_far_as_there_are_any(
    n_items: int, n_brands: int, seed: int, c: int, place: int, brand_only: bool
) -> None:
    """Against a search through the whole catalogue: matching items of the two categories, as many as fit."""
    catalogue = generate_catalogue(n_items, n_brands, 3, seed)
    category = np.unique(catalogue.category)[:20].astype(np.int32)
    other = np.roll(category, 1)
    unnamed = np.full_like(category, -1)
    primary, secondary = (unnamed, unnamed) if brand_only else (category, other)
    own = (catalogue.category, catalogue.brand, catalogue.colour, catalogue.size, catalogue.material,
           catalogue.audience, catalogue.use)  # fmt: skip
    filters = np.full((len(category), 7), -1, np.int32)
    values = own[place][np.searchsorted(catalogue.category, category)]  # of the category's first item
    filters[:, place] = np.maximum(values, 0)
    asked = Understood(primary, secondary, unnamed, np.zeros(len(category), bool))
    items = retrieve_filtered(catalogue, asked, filters, np.zeros_like(category), (c, 10_000))
    assert items.shape == (len(category), c)
    for row in range(len(category)):
        fits = own[place] == filters[row, place]
        if not brand_only:
            fits &= np.isin(catalogue.category, [primary[row], secondary[row]])
        real = items[row][items[row] >= 0]
        assert len(np.unique(real)) == len(real)
        assert fits[real].all()
        assert len(real) == min(c, fits.sum())
        assert (items[row][len(real) :] == -1).all()


def test_all_who_asked_alike_under_the_same_filters_find_the_same() -> None:
    params = dataclasses.replace(world_params("facets"), filters=Filters(weight=50.0))
    world = make_world(params)
    state = begin(world, 1, np.arange(20_000))
    page = observe(world, dataclasses.replace(state, search=np.ones_like(state.search), day=np.zeros_like(state.day)))
    rows = np.flatnonzero((page.filters >= 0).any(axis=1))
    strings = world.demand.strings(take(dataclasses.replace(state, search=np.ones_like(state.search)), rows))
    seen: dict[tuple[str, int, bytes], bytes] = {}
    for row, words in zip(rows, strings, strict=True):
        name = (words, int(page.locale[row]), page.filters[row].tobytes())
        found = page.candidates[row].tobytes()
        assert seen.setdefault(name, found) == found
    assert len(seen) < len(rows) - 20


def test_weights_below_nought_are_refused() -> None:
    with pytest.raises(UserError, match="filters: weight is -1"):
        Filters(weight=-1)
    with pytest.raises(UserError, match="filters: reach is 0"):
        Filters(reach=0)
