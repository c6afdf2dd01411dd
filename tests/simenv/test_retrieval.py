"""Retrieval answers words, not shoppers, and is mostly right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simenv.catalogue import generate_catalogue
from simenv.columns import take
from simenv.retrieval import FUZZY_HIT, PRIMARY_SHARE, Understood, retrieve
from simenv.world import World, begin, observe
from simenv.worlds import load_world

C = 50


@pytest.fixture(scope="module")
def world() -> World:
    return load_world("default")


def found(world: World, asked: list[tuple[int, int, int]], days: list[int], n: int = C) -> np.ndarray:
    """Candidates for (primary, secondary, brand) on a day."""
    primary, secondary, brand = np.array(asked, np.int32).T
    nothing = np.zeros(len(asked), bool)
    return retrieve(world.catalogue, Understood(primary, secondary, brand, nothing), np.array(days, np.int32), n)


@given(st.integers(30, 400), st.integers(1, 20), st.integers(0, 5), st.integers(1, 60), st.booleans())
def test_candidates_are_distinct_items_that_exist(n_items: int, n_brands: int, seed: int, c: int, named: bool) -> None:
    catalogue = generate_catalogue(n_items, n_brands, 3, seed)
    related = load_world("tiny").demand.lexicon.related
    category = np.arange(len(related), dtype=np.int32)
    brand = np.full(len(category), seed % n_brands if named else -1, dtype=np.int32)
    unnamed = named & (category % 3 == 0)
    asked = Understood(
        np.where(unnamed, -1, category), np.where(unnamed, -1, related[:, 0]).astype(np.int32), brand, category == 5
    )
    items = retrieve(catalogue, asked, np.zeros_like(category), c)
    assert items.shape == (len(category), c)
    assert ((items >= -1) & (items < n_items)).all()
    assert (items[5] == -1).all()
    for row in items:
        real = row[row >= 0]
        assert len(np.unique(real)) == len(real)


def test_the_same_words_on_the_same_day_give_the_same_candidates_and_another_day_others(world: World) -> None:
    rows = found(world, [(3, 4, 5)] * 3, [0, 0, 1])
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def test_a_page_does_not_depend_on_who_asks(world: World) -> None:
    """Shoppers with other intents, tastes and luck, but the same well-spelt string and day, see the same candidates."""
    state = begin(world, 0, np.arange(4000, dtype=np.int64))
    page, parts = observe(world, state), world.demand.parts(state)
    told = ~parts.misspelt.any(axis=1)
    names = [f"{page.day[row]} {page.locale[row]} {query}" for row, query in enumerate(world.demand.strings(state))]
    _, first, place = np.unique(np.array(names)[told], return_index=True, return_inverse=True)
    candidates, intent = page.candidates[told], state.intent[told, 0]
    assert len(first) < told.sum()  # many do ask the same
    assert (intent != intent[first][place]).any()  # some of them mean something else by an ambiguous word
    assert np.array_equal(candidates, candidates[first][place])


def test_a_recognised_category_fills_its_share_and_its_second_reading_the_rest(world: World) -> None:
    items = found(world, [(4, 14, -1)], [0])[0]
    category = world.catalogue.category[items]
    n_primary = round(PRIMARY_SHARE * C)
    assert (category[:n_primary] == 4).all()
    assert (category[n_primary:] == 14).all()


def test_a_recognised_brand_leads(world: World) -> None:
    category, brand = 4, int(np.bincount(world.catalogue.brand[world.catalogue.category == 4]).argmax())
    items = found(world, [(category, 5, brand)], [0])[0]
    of_brand = (items >= 0) & (world.catalogue.brand[np.maximum(items, 0)] == brand)
    assert of_brand[:10].all()
    assert not of_brand[10 : round(PRIMARY_SHARE * C)].any()


def test_a_brand_without_a_product_is_answered_from_the_whole_brand(world: World) -> None:
    items = found(world, [(-1, -1, 3)], [0])[0]
    assert (world.catalogue.brand[items[items >= 0]] == 3).all()
    assert len(np.unique(world.catalogue.category[items[items >= 0]])) > 5


def test_both_meanings_of_an_ambiguous_word_are_retrieved_whoever_says_it(world: World) -> None:
    state = begin(world, 0, np.arange(8000, dtype=np.int64))
    page, parts = observe(world, state), world.demand.parts(state)
    meant = parts.terms[:, 0]
    misread = (meant >= 0) & ~parts.misspelt[:, 0] & (page.query_terms[:, 0] != meant)
    assert misread.sum() > 20
    second = world.catalogue.category[page.candidates[misread][:, -1]]
    assert np.array_equal(second, meant[misread])


def test_misspelt_words_find_their_category_as_often_as_matching_by_letters_does(world: World) -> None:
    """Within four standard errors of FUZZY_HIT. A miss lands in a related category."""
    state = begin(world, 0, np.arange(20_000, dtype=np.int64))
    page, parts = observe(world, state), world.demand.parts(state)
    wrong = parts.misspelt[:, 0] & (parts.terms[:, 1] < 0)
    primary, meant = world.catalogue.category[page.candidates[wrong][:, 0]], parts.terms[wrong, 0]
    hit = primary == meant
    assert abs(hit.mean() - FUZZY_HIT) < 4 * np.sqrt(FUZZY_HIT * (1 - FUZZY_HIT) / wrong.sum())
    assert all(
        found in world.demand.lexicon.related[one] for found, one in zip(primary[~hit], meant[~hit], strict=True)
    )


def test_nothing_is_found_only_where_no_word_was_known(world: World) -> None:
    """Within four standard errors of `nothing_found` among misspelt brands; the same free words share their luck."""
    state = begin(world, 0, np.arange(60_000, dtype=np.int64))
    page, parts = observe(world, state), world.demand.parts(state)
    none = (page.candidates < 0).all(axis=1)
    lost = (page.query_terms < 0).all(axis=1) & (parts.terms[:, 0] < 0)
    can = lost & (parts.misspelt[:, 1] | parts.free.any(axis=1))
    assert not none[~can].any()
    share = world.params.queries.nothing_found
    alone = can & parts.misspelt[:, 1]
    assert alone.sum() > 100
    assert abs(none[alone].mean() - share) < 4 * np.sqrt(share * (1 - share) / alone.sum())
    outcome: dict[tuple[int, str], set[bool]] = {}
    for row, query in zip(np.flatnonzero(can & ~alone), world.demand.strings(take(state, can & ~alone)), strict=True):
        outcome.setdefault((int(page.locale[row]), query), set()).add(bool(none[row]))
    assert len(outcome) < (can & ~alone).sum()  # some ask the same
    assert {len(found) for found in outcome.values()} == {1}  # and the words alone decide
    assert {True, False} == set.union(*outcome.values())


def test_a_query_without_brand_or_product_is_answered_from_the_whole_shop(world: World) -> None:
    items = found(world, [(-1, -1, -1)], [0])[0]
    assert (items >= 0).all()
    assert len(np.unique(world.catalogue.category[items])) > 10


def test_retrieval_leaves_its_inputs_alone(world: World) -> None:
    state = begin(world, 0, np.arange(50, dtype=np.int64))
    shown = state.shown.copy()
    shown[:, :3] = True
    page = observe(world, dataclasses.replace(state, shown=shown))
    assert (page.candidates[:, :3] == -1).all()
    assert shown[:, 3:].sum() == 0
    assert np.array_equal(observe(world, state).candidates[:, 3:], page.candidates[:, 3:])
