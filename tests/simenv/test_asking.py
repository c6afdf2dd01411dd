"""How an intent becomes words: as real queries are made, and how shoppers ask again."""

from __future__ import annotations

import collections
import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from simenv import asking
from simenv.asking import INTENT_KINDS, Reformulation
from simenv.check.ranker import UniformByHash
from simenv.columns import take
from simenv.errors import UserError
from simenv.language import QueryParts, recognise
from simenv.language.words import BRAND, CATEGORY, FREE, SIZE, TERMS
from simenv.play import play, shopper_range
from simenv.world import State, World, begin, make_world, observe, step
from simenv.worlds import load_world, world_params

N = 20_000


@pytest.fixture(scope="module")
def world() -> World:
    return load_world("default")


@pytest.fixture(scope="module")
def state(world: World) -> State:
    return begin(world, 0, np.arange(N))


def in_locales(share: tuple[float, ...], **changes: float) -> World:
    params = world_params("default")
    return make_world(
        dataclasses.replace(
            params,
            shoppers=dataclasses.replace(params.shoppers, locale_share=share),
            queries=dataclasses.replace(params.queries, **changes),  # type: ignore[arg-type]
        )
    )


def at_search(state: State, search: int) -> State:
    return dataclasses.replace(state, search=np.full(len(state), search, np.int32))


def said(parts: QueryParts) -> npt.NDArray[np.bool_]:
    return np.concatenate([parts.terms >= 0, parts.free], axis=1)


def test_english_first_queries_have_the_length_and_make_up_of_real_ones(real_data: Path) -> None:
    """Of queries of two words and more, as the real set has none of one word.

    Within four standard errors of both samples together, plus what the design allows itself: a fifth of a word in the
    mean length, a hundredth in rare shares and three in those above a tenth (the simulated market is no copy of that
    shop).
    """
    labels = [
        json.loads(line)["labels"]
        for part in ("train", "dev", "test")
        for line in (real_data / "queryner" / f"{part}.jsonl").read_text().splitlines()
    ]
    assert min(map(len, labels)) == 2
    english = in_locales((1.0, *[0.0] * 9))
    state = begin(english, 0, np.arange(N))
    parts = english.demand.parts(state)
    length = np.array([len(query.split()) for query in english.demand.strings(state)])
    long = length >= 2
    real_length = np.array([len(query) for query in labels])
    allowed = 0.2 + 4 * np.hypot(length[long].std() / np.sqrt(long.sum()), real_length.std() / np.sqrt(len(labels)))
    assert abs(length[long].mean() - real_length.mean()) < allowed
    count = collections.Counter(name for query in labels for name in {label[2:] for label in query if label != "O"})
    columns = dict(zip((*TERMS, *FREE), said(parts)[long].T, strict=True))
    for name, label in [
        ("category", "core_product_type"),
        ("brand", "creator"),
        ("colour", "color"),
        ("size", "UoM"),
        ("material", "material"),
        ("audience", "department"),
        ("use", "occasion"),
        ("modifier", "modifier"),
        ("name", "product_name"),
        ("price", "price"),
    ]:
        share, real = columns[name].mean(), count[label] / len(labels)
        error = np.sqrt(share * (1 - share) / long.sum() + real * (1 - real) / len(labels))
        assert abs(share - real) < 4 * error + (0.03 if real > 0.1 else 0.01), (name, share, real)
    creators = [query for query in labels if any(label[2:] == "creator" for label in query)]
    real = np.mean([any(label[2:] == "core_product_type" for label in query) for query in creators])
    assert abs(columns["category"][columns["brand"]].mean() - real) < 0.06  # brands often stand alone, in both


def test_kinds_of_intent_come_in_their_shares_and_ask_in_their_ways(world: World, state: State) -> None:
    """Shares within five standard errors."""
    kind, reformulation = world.demand.kinds(state)
    queries_of = world.params.queries
    parts = world.demand.parts(state)
    assert (reformulation == Reformulation.FIRST).all()
    for place, name in enumerate(INTENT_KINDS):
        share = getattr(queries_of, name).share
        assert abs((kind == place).mean() - share) < 5 * np.sqrt(share * (1 - share) / N)
    navigational, focused, exploratory = (kind == place for place in range(3))
    assert (parts.terms[navigational, BRAND] >= 0).all()
    assert (parts.terms[exploratory, BRAND] < 0).all()
    n_terms = (parts.terms >= 0).sum(axis=1)
    assert n_terms[exploratory].mean() < n_terms[focused].mean()
    assert said(parts)[~exploratory].any(axis=1).all()


def test_few_categories_and_brands_are_asked_for_often_and_many_rarely(state: State) -> None:
    category = np.sort(np.bincount(state.intent[:, CATEGORY], minlength=64))[::-1] / N
    brand = state.intent[:, BRAND]
    brands = np.sort(np.bincount(brand[brand >= 0], minlength=48))[::-1]
    assert category[:6].sum() > 0.25
    assert category[32:].sum() < 0.4
    assert (category > 0).all()
    assert brands[:12].sum() > 0.35 * brands.sum()
    assert (brands > 0).all()


def test_a_later_query_corrects_what_was_misspelt_and_misspells_it_never_again(world: World, state: State) -> None:
    ever = np.zeros((N, len(TERMS)), bool)
    for search in range(world.params.dynamics.max_searches - 1):
        before, after = (world.demand.parts(at_search(state, search + more)) for more in (0, 1))
        _, how = world.demand.kinds(at_search(state, search + 1))
        wrong = before.misspelt.any(axis=1)
        assert np.array_equal(how == Reformulation.CORRECT, wrong)
        assert wrong.sum() > 20
        assert np.array_equal(after.terms[wrong], before.terms[wrong])
        assert np.array_equal(after.free[wrong], before.free[wrong])
        assert not after.misspelt[wrong].any()
        ever |= before.terms >= 0
        assert not (after.misspelt & ever).any()  # only words that are typed for the first time
        assert not after.misspelt[:, SIZE].any()


def test_each_way_of_asking_again_does_what_its_name_says(world: World, state: State) -> None:
    ways: collections.Counter[int] = collections.Counter()
    for search in range(1, world.params.dynamics.max_searches):
        before, after = (world.demand.parts(at_search(state, search - less)) for less in (1, 0))
        _, how = world.demand.kinds(at_search(state, search))
        ways.update(how.tolist())
        more, fewer = said(after) & ~said(before), said(before) & ~said(after)
        same_words = before.category_variant == after.category_variant
        for way, added, dropped, words in [
            (Reformulation.CORRECT, 0, 0, True),
            (Reformulation.SPECIALISE, 1, 0, True),
            (Reformulation.GENERALISE, 0, 1, True),
            (Reformulation.REPHRASE, 0, 0, False),
            (Reformulation.SWITCH, 0, 0, True),
        ]:
            rows = how == way
            assert (more[rows].sum(axis=1) == added).all(), way
            assert (fewer[rows].sum(axis=1) == dropped).all(), way
            assert way == Reformulation.SWITCH or (same_words[rows] == words).all(), way
            assert ((before.locale == after.locale)[rows] == (way != Reformulation.SWITCH)).all()
        lacking = (how == Reformulation.SPECIALISE) & (before.terms[:, CATEGORY] < 0)
        assert (after.terms[lacking, CATEGORY] >= 0).all()  # the product type before all else
        assert (after.terms[how == Reformulation.GENERALISE, CATEGORY] >= -1).all()
        assert said(after)[how == Reformulation.GENERALISE].any(axis=1).all()
    assert not ways[Reformulation.FILTER]  # nobody sets one in this world
    assert min(ways[way] for way in Reformulation if way not in (Reformulation.FIRST, Reformulation.FILTER)) > 100


def test_a_query_asked_again_is_another_string(world: World, state: State) -> None:
    some = take(state, np.arange(4_000))
    for search in range(1, 4):
        before, after = world.demand.strings(at_search(some, search - 1)), world.demand.strings(at_search(some, search))
        # "gourde" is a word of the same phrase in both languages of Belgium now and then: nothing else stays.
        _, how = world.demand.kinds(at_search(some, search))
        same = np.array([one == other for one, other in zip(before, after, strict=True)])
        assert not same[how != Reformulation.SWITCH].any()


def test_belgians_alone_switch_and_as_often_as_the_world_says() -> None:
    """Within five standard errors, of those with nothing to correct."""
    world = in_locales((0.5, *[0.0] * 7, 0.25, 0.25), misspelling_rate=0.0, switch_language=0.4)
    state = at_search(begin(world, 0, np.arange(8_000)), 1)
    _, how = world.demand.kinds(state)
    belgian = np.isin(state.traits.locale, (8, 9))
    switches = how == Reformulation.SWITCH
    assert not switches[~belgian].any()
    assert abs(switches[belgian].mean() - 0.4) < 5 * np.sqrt(0.24 / belgian.sum())
    page = observe(world, state)
    assert np.array_equal(page.locale[switches], 17 - state.traits.locale[switches])
    assert np.array_equal(page.locale[~switches], state.traits.locale[~switches])
    for query, at, terms in zip(
        world.demand.strings(state), page.locale.tolist(), page.query_terms.tolist(), strict=True
    ):
        assert list(recognise(world.demand.lexicon, world.catalogue.brands, at, query)) == terms


def test_off_is_exactly_off() -> None:
    world = in_locales((1.0, *[0.0] * 9), misspelling_rate=0.0, generalise=0.0, rephrase=0.0, nothing_found=0.0)
    state = at_search(begin(world, 0, np.arange(4_000)), 3)
    _, how = world.demand.kinds(state)
    page = observe(world, state)
    assert not world.demand.parts(state).misspelt.any()
    # Where nothing is left to add, another word for the product is all that remains.
    assert set(how) == {Reformulation.SPECIALISE, Reformulation.REPHRASE}
    assert (page.candidates >= 0).any(axis=1).all()


def test_a_query_depends_on_its_own_visit_only(world: World, state: State) -> None:
    mixed = dataclasses.replace(state, search=(state.shopper % 5).astype(np.int32))
    whole = world.demand.parts(mixed)
    which = np.arange(N - 1, 0, -177)
    part = world.demand.parts(take(mixed, which))
    for field in dataclasses.fields(whole):
        assert np.array_equal(getattr(part, field.name), getattr(whole, field.name)[which]), field.name


def test_who_finds_nothing_sees_an_empty_page_and_asks_again_or_leaves(world: World) -> None:
    met = 0
    for one in play(world, UniformByHash(), 3, shopper_range(3_000)):
        empty = (one.page.candidates < 0).all(axis=1)
        met += int(empty.sum())
        assert (one.decision.slate[empty] == -1).all()
        assert (one.decision.logp.logp[empty] == 0).all()
        for name in ("clicked", "reward", "expected", "revenue"):
            assert not getattr(one.outcome, name)[empty].any(), name
        after, _ = step(world, one.state, one.page, one.decision.slate)
        stays = empty & ~one.outcome.session_over
        assert (after.search[stays] == one.state.search[stays] + 1).all()
    assert met > 50


def test_a_world_with_an_impossible_chance_is_refused() -> None:
    params = world_params("default")
    odd = dataclasses.replace(params.queries.focused, says_category=1.2)
    with pytest.raises(UserError, match="focused has a share or chance outside"):
        make_world(dataclasses.replace(params, queries=dataclasses.replace(params.queries, focused=odd)))


def test_the_tables_name_every_kind_and_way() -> None:
    assert [way.name.lower() for way in Reformulation] == list(asking.REFORMULATIONS)
