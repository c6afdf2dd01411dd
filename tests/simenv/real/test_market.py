"""A real market is a world like any other: its contract, its law of draws, its doors."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import simenv  # noqa: F401 - registers the environments
from simenv.asking import REFORMULATIONS
from simenv.check import check_vector_env, check_world
from simenv.check.ranker import UniformByHash
from simenv.columns import join
from simenv.errors import UserError
from simenv.intent_score import labelled_queries, pick, score_queries
from simenv.language import load_lexicon
from simenv.log import Log, write_log
from simenv.log.labels import read_labels
from simenv.market import Churn, Market, Prices, Seasons, Shock, Stock, Trends
from simenv.params import Filters
from simenv.play import play, shopper_range
from simenv.real.reading import MarketData
from simenv.world import State, World, begin, make_world, observe
from simenv.worlds import load_world, world_params


@pytest.fixture
def world(market: Path) -> World:
    return load_world(str(market))


def data_of(world: World) -> MarketData:
    """What the files of a world say."""
    from simenv.real.market import market_data

    assert world.params.source is not None
    return market_data(Path(world.params.source.path))[0]


def at_search(state: State, search: int) -> State:
    """The same visits at a later query."""
    return dataclasses.replace(state, search=np.full(len(state), search, dtype=np.int32))


def test_a_real_market_keeps_the_contract_of_worlds(world: World) -> None:
    check_world(world)


def test_its_vector_env_keeps_the_contract(market: Path) -> None:
    made = gymnasium.make_vec(
        "simenv/Search-v0", num_envs=3, vectorization_mode="vector_entry_point", world=str(market)
    )
    check_vector_env(made, n_steps=30)


def test_items_are_sorted_by_category_and_brand_and_ranges_find_them(world: World) -> None:
    catalogue, products = world.catalogue, data_of(world).products
    assert list(zip(products.category, products.brand, strict=True)) == sorted(
        zip(products.category, products.brand, strict=True)
    )
    for item in range(catalogue.n_items):
        category, brand = int(catalogue.category[item]), int(catalogue.brand[item])
        first, end = catalogue.range_start[category, brand : brand + 2]
        assert first <= item < end
    assert (catalogue.size == -1).all()
    assert catalogue.colour.min() == -1
    assert not catalogue.is_rated
    assert np.unique(catalogue.rating).size == 1
    # Standardised: mean 0 and standard deviation 1 up to float32.
    assert abs(catalogue.popularity.mean()) < 1e-6
    assert abs(catalogue.popularity.std() - 1.0) < 1e-6


def test_the_same_files_make_the_same_market_wherever_they_lie(market: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(market.parent, tmp_path / "elsewhere") / market.name
    here, there = world_params(str(market)), world_params(str(moved))
    assert here.digest() == there.digest()
    assert make_world(here).catalogue.digest() == make_world(there).catalogue.digest()
    products = moved.parent / "products.csv"
    products.write_text(products.read_text(encoding="utf-8").replace("city", "town"), encoding="utf-8")
    assert world_params(str(moved)).digest() != here.digest()


def test_a_changed_file_makes_another_world_in_the_same_process(market: Path) -> None:
    before = load_world(str(market))
    products = market.parent / "products.csv"
    products.write_text(products.read_text(encoding="utf-8").replace("city", "town"), encoding="utf-8")
    titles = load_world(str(market)).demand.titles(0, np.arange(20))
    assert any("town" in title for title in titles)
    assert not any("town" in title for title in before.demand.titles(0, np.arange(20)))


def test_a_judged_pair_has_its_grade_and_an_unjudged_one_a_guess_between(world: World) -> None:
    judged = data_of(world).judgements
    assert judged is not None
    query = np.zeros((len(judged.grade), world.demand.n_intent), dtype=np.int32)
    query[:, -1] = judged.query
    found = world.demand.relevance(query, judged.item[:, None].astype(np.int32))[:, 0]
    assert np.array_equal(found, judged.grade.astype(np.float32))
    everything = world.demand.relevance(query[:1], np.arange(-1, 20, dtype=np.int32)[None])[0]
    assert everything[0] == 0.0
    assert everything.min() >= 0.0
    assert everything.max() <= 1.0


def test_queries_are_asked_by_their_frequency(world: World) -> None:
    n = 20_000
    asked = begin(world, 3, np.arange(n)).intent[:, -1]
    share = data_of(world).queries.frequency / data_of(world).queries.frequency.sum()
    error = np.sqrt(share * (1 - share) / n)
    # Four standard errors of a share, for each of 12 shares.
    assert (np.abs(np.bincount(asked, minlength=len(share)) / n - share) < 4 * error).all()


def test_a_category_that_shoppers_are_tired_of_is_asked_for_less(world: World) -> None:
    """Passed over for sure, it comes only by the second draw: with the square of its share."""
    n, tired = 20_000, 1
    state = begin(world, 3, np.arange(n))
    share = (state.intent[:, 0] == tired).mean()
    reluctance = np.zeros((n, len(world.catalogue.departments)), dtype=np.float32)
    reluctance[:, tired] = 1.0
    again = world.demand.intents(state.key, state.visit, state.day, state.mind.favourite_brand, reluctance)
    # Four standard errors of a share.
    assert abs((again[:, 0] == tired).mean() - share**2) < 4 * np.sqrt(share**2 * (1 - share**2) / n)
    kept = state.intent[:, 0] != tired
    assert np.array_equal(again[kept], state.intent[kept])


def test_what_is_typed_is_a_line_of_the_list_and_terms_are_what_it_names(world: World) -> None:
    state = begin(world, 3, np.arange(300))
    page, strings = observe(world, state), world.demand.strings(state)
    assert set(strings) == set(data_of(world).queries.text)
    row = strings.index("Alfa running shoe")
    assert world.demand.words(0, tuple(page.query_terms[row].tolist())) == (
        ("category", "running shoe"), ("brand", "Alfa"),
    )  # fmt: skip
    assert (page.locale == load_lexicon().locales.index("en-GB")).all()


def test_who_asks_again_asks_something_alike(world: World) -> None:
    state = at_search(begin(world, 3, np.arange(300)), 1)
    first = world.demand.strings(at_search(state, 0))
    again = world.demand.strings(state)
    pairs = dict(zip(first, again, strict=True))
    assert pairs["coffee machine"] in {"small coffee machine", "machine for coffee capsules"}
    _, how = world.demand.kinds(state)
    assert {REFORMULATIONS[each] for each in how} == {"rephrase"}


def test_misspelt_queries_come_at_their_rate_and_are_corrected_next(world: World) -> None:
    rate, n = 0.3, 4000
    params = dataclasses.replace(world.params, queries=dataclasses.replace(world.params.queries, misspelling_rate=rate))
    wrong = make_world(params)
    state = begin(wrong, 3, np.arange(n))
    first, again = wrong.demand.strings(state), wrong.demand.strings(at_search(state, 1))
    listed = data_of(wrong).queries.text
    is_wrong = np.array([string not in listed for string in first])
    expected = np.array([1 - (1 - rate) ** len(listed[query].split()) for query in state.intent[:, -1]])
    # Four standard errors of the mean of draws with these chances.
    assert abs(is_wrong.mean() - expected.mean()) < 4 * np.sqrt((expected * (1 - expected)).sum()) / n
    _, how = wrong.demand.kinds(at_search(state, 1))
    for row in np.flatnonzero(is_wrong):
        assert again[row] == listed[state.intent[row, -1]]
        assert REFORMULATIONS[how[row]] == "correct"


def test_understanding_is_scored_as_in_an_invented_market(world: World) -> None:
    """The dictionary takes nothing for what it is not, and misses what is misspelt."""
    params = dataclasses.replace(world.params, queries=dataclasses.replace(world.params.queries, misspelling_rate=0.4))
    wrong = make_world(params)
    for search in (0, 1, 2):
        asked = labelled_queries(wrong, at_search(begin(wrong, 3, np.arange(500)), search))
        scores = score_queries(asked.recognised, asked)
        assert pick(scores, "category", "recall").value == pytest.approx(
            1 - (asked.misspelt[:, 0]).sum() / (asked.said[:, 0] >= 0).sum()
        )
        assert asked.misspelt.any() == (search == 0)


def test_letters_find_what_misspelt_words_do_not(world: World) -> None:
    from simenv.real.index import best

    scores = world.demand.answers.engine.index.scores("cofee mashine")  # type: ignore[attr-defined]
    assert (best(scores, "bm25", 4) == -1).all()
    titles = world.demand.titles(0, best(scores, "char-ngrams", 4))
    assert all("coffee machine" in title for title in titles)


def test_without_judgements_the_best_lexical_match_is_worth_most(market: Path) -> None:
    text = market.read_text(encoding="utf-8")
    start, end = text.index("[judgements]"), text.index("[world]")
    market.write_text('unjudged = "lexical"\n' + text[:start] + text[end:], encoding="utf-8")
    world = load_world(str(market))
    state = begin(world, 3, np.arange(50))
    found = world.demand.relevance(state.intent, np.tile(np.arange(20, dtype=np.int32), (50, 1)))
    assert (found.max(axis=1) == 1.0).all()
    assert (found.min(axis=1) == 0.0).all()


def test_a_page_is_drawn_with_real_titles_and_without_stars(market: Path) -> None:
    env = gymnasium.make("simenv/Search-v0", world=str(market), render_mode="ansi").unwrapped
    env.reset(seed=3)
    env.step(np.arange(3))
    text = str(env.render())
    titles = load_world(str(market)).demand.titles(0, np.arange(20))
    assert any(title in text for title in titles)
    assert "★" not in text
    drawn = gymnasium.make("simenv/Search-v0", world=str(market), render_mode="rgb_array").unwrapped
    drawn.reset(seed=3)
    drawn.step(np.arange(3))
    assert np.asarray(drawn.render()).shape[2] == 3


def test_its_log_reads_back_with_the_locale_and_the_terms_that_were_seen(world: World, tmp_path: Path) -> None:
    out = write_log(world, "real", UniformByHash(), 3, shopper_range(50), tmp_path / "log")
    log = Log.open(out)
    batch = next(iter(log.batches()))
    assert (batch.page.locale == load_lexicon().locales.index("en-GB")).all()
    assert batch.page.query_terms.max() < max(world.demand.n_values)
    assert log.manifest["world_hash"] == world.params.digest()
    labels = read_labels(log)
    assert labels.intent.shape == labels.recognised.shape
    assert pick(score_queries(labels.recognised, labels), "category", "recall").value == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filters": Filters(weight=1.0)}, "filters cannot be switched on in a real market"),
        ({"market": Market(seasons=Seasons())}, "market.seasons cannot be switched on"),
        ({"market": Market(trends=Trends())}, "market.trends of demand cannot be switched on"),
        ({"market": Market(shocks=(Shock("demand", day=1, size=1.0, target=0),))}, "market.shocks of demand cannot"),
    ],
)
def test_what_would_move_the_demand_of_a_real_market_is_refused(world: World, changes: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_world(dataclasses.replace(world.params, **changes))


def test_prices_stock_and_churn_move_a_real_market_too(world: World) -> None:
    lively = Market(churn=Churn(), stock=Stock(), prices=Prices())
    made = make_world(dataclasses.replace(world.params, market=lively))
    check_world(made)
    steps = join(list(play(made, UniformByHash(), 0, shopper_range(200))))
    assert steps.page.discount.any()
