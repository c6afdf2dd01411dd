"""Retrieval answers words, not shoppers, and is mostly right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simenv.catalogue import generate_catalogue
from simenv.retrieval import FUZZY_HIT, PRIMARY_SHARE, retrieve
from simenv.world import World, begin, observe
from simenv.worlds import load_world

C = 50


@pytest.fixture(scope="module")
def world() -> World:
    return load_world("default")


def found(world: World, terms: list[list[int]], intent: list[int], days: list[int], n: int = C) -> np.ndarray:
    return retrieve(
        world.catalogue,
        world.lexicon.related,
        np.array(terms, np.int32),
        np.array(intent, np.int32),
        np.array(days, np.int32),
        n,
    )


@given(st.integers(30, 400), st.integers(1, 20), st.integers(0, 5), st.integers(1, 60), st.booleans())
def test_candidates_are_distinct_items_that_exist(n_items: int, n_brands: int, seed: int, c: int, named: bool) -> None:
    catalogue = generate_catalogue(n_items, n_brands, 3, seed)
    related = load_world("tiny").lexicon.related
    intent = np.arange(len(related), dtype=np.int32)
    brand = np.full(len(intent), seed % n_brands if named else -1, dtype=np.int32)
    terms = np.stack([np.where(intent % 3 == 0, -1, intent), brand, -np.ones_like(intent)], axis=1)
    items = retrieve(catalogue, related, terms, intent, np.zeros_like(intent), c)
    assert items.shape == (len(intent), c)
    assert ((items >= -1) & (items < n_items)).all()
    for row in items:
        real = row[row >= 0]
        assert len(np.unique(real)) == len(real)


def test_the_same_words_on_the_same_day_give_the_same_candidates_and_another_day_others(world: World) -> None:
    rows = found(world, [[3, 5, -1], [3, 5, -1], [3, 5, -1]], [3, 3, 3], [0, 0, 1])
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def test_a_page_does_not_depend_on_who_asks(world: World) -> None:
    """Shoppers with other tastes, patience and luck, but the same words and day, see the same candidates."""
    state = begin(world, 0, np.arange(4000, dtype=np.int64))
    page = observe(world, state)
    names = np.concatenate([page.query_terms, state.intent[:, :1], page.day[:, None]], axis=1)
    _, first, place = np.unique(names, axis=0, return_index=True, return_inverse=True)
    assert len(first) < 3000  # many do ask the same
    assert np.array_equal(page.candidates, page.candidates[first][place])


def test_a_recognised_category_fills_its_share_and_its_neighbours_the_rest(world: World) -> None:
    items = found(world, [[4, -1, -1]], [4], [0])[0]
    category = world.catalogue.category[items]
    n_primary = round(PRIMARY_SHARE * C)
    assert (category[:n_primary] == 4).all()
    assert len(np.unique(category[n_primary:])) == 1
    assert category[-1] in world.lexicon.related[4]


def test_a_recognised_brand_leads(world: World) -> None:
    category, brand = 4, int(np.bincount(world.catalogue.brand[world.catalogue.category == 4]).argmax())
    items = found(world, [[category, brand, -1]], [category], [0])[0]
    of_brand = (items >= 0) & (world.catalogue.brand[np.maximum(items, 0)] == brand)
    assert of_brand[:10].all()
    assert not of_brand[10 : round(PRIMARY_SHARE * C)].any()


def test_an_ambiguous_word_read_wrongly_still_finds_what_was_meant_in_second_place(world: World) -> None:
    items = found(world, [[4, -1, -1]], [9], [0])[0]
    assert (world.catalogue.category[items[round(PRIMARY_SHARE * C) :]] == 9).all()


def test_words_that_are_not_understood_find_their_category_as_often_as_fuzzy_matching_does(world: World) -> None:
    """2,400 days and categories; within four standard errors of FUZZY_HIT. A miss lands in a related category."""
    intent = np.tile(np.arange(24), 100)
    items = found(world, [[-1, -1, -1]] * 2400, intent.tolist(), np.repeat(np.arange(100), 24).tolist())
    primary = world.catalogue.category[items[:, 0]]
    hit = primary == intent
    assert abs(hit.mean() - FUZZY_HIT) < 4 * np.sqrt(FUZZY_HIT * (1 - FUZZY_HIT) / 2400)
    missed = zip(primary[~hit], intent[~hit], strict=True)
    assert all(category in world.lexicon.related[meant] for category, meant in missed)
    assert (world.catalogue.category[items[~hit, -1]] == intent[~hit]).all()


def test_retrieval_leaves_its_inputs_alone(world: World) -> None:
    state = begin(world, 0, np.arange(50, dtype=np.int64))
    shown = state.shown.copy()
    shown[:, :3] = True
    page = observe(world, dataclasses.replace(state, shown=shown))
    assert (page.candidates[:, :3] == -1).all()
    assert shown[:, 3:].sum() == 0
    assert np.array_equal(observe(world, state).candidates[:, 3:], page.candidates[:, 3:])
