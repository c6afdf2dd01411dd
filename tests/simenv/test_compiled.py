"""The compiled worlds equal the numpy definition: what is drawn bit for bit, what is computed to a few ulp.

Events may differ where a draw lies within 1e-6 of its threshold. The state after each page is taken from the
definition, so that one such event is counted once and does not become another life.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from simenv.abandonment import Abandonment
from simenv.check.ranker import UniformByHash
from simenv.clicks import Cascade
from simenv.columns import overwrite
from simenv.compiled.backend import with_backend
from simenv.compiled.days import CELLS, n_cells
from simenv.errors import UserError
from simenv.habits import Boredom, Habits, Influence, Loyalty, Satiation, Trust
from simenv.house import HouseSlots
from simenv.market import LIVELY, Market, Shock, Stock
from simenv.params import Conversion, Filters, Queries, Shoppers, WorldParams
from simenv.play import play
from simenv.postclick import PostClick
from simenv.stock import first_shelves
from simenv.vector_env import SearchVectorEnv
from simenv.world import Outcome, State, World, begin, make_world, observe, step
from simenv.worlds import WORLDS, load_world

pytest.importorskip("numba", reason="compiled worlds need numba")

DEFAULT = WORLDS["default"]
BELGIANS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5)
HABITS = {
    "influence": Influence, "satiation": Satiation, "boredom": Boredom, "loyalty": Loyalty, "trust": Trust,
}  # fmt: skip
MARKETS = {
    **{name: dataclasses.replace(Market(), **{name: getattr(LIVELY, name)}) for name in ("churn", "stock", "prices")},
    **{name: dataclasses.replace(Market(), **{name: getattr(LIVELY, name)}) for name in ("seasons", "trends")},
    "shocks": Market(shocks=(
        Shock("taste", day=3), Shock("demand", day=2, target=5), Shock("prices", day=4, size=0.3),
        Shock("supply", day=1, target=0),
    )),
}  # fmt: skip
EVERYTHING = dataclasses.replace(
    DEFAULT,
    habits=Habits.all_on(),
    market=LIVELY,
    house=HouseSlots(sponsored=(0, 5), pinned=(2,)),
    post_click=PostClick(dwell=25.0, returns=0.3),
    abandonment=Abandonment(good=0.5, bad=0.5),
    filters=Filters(weight=2.0),
    reward="net revenue",
    conversion=Conversion(cart_base=-2.4),
)
CASES = {
    **WORLDS,
    "bilingual": dataclasses.replace(DEFAULT, shoppers=Shoppers(locale_share=BELGIANS)),
    "long pages": dataclasses.replace(DEFAULT, n_candidates=100, n_slots=10, max_pages=4),
    "few items": dataclasses.replace(DEFAULT, n_items=700, n_brands=5, n_style=1),
    "a mix and a crowd of its own": dataclasses.replace(
        DEFAULT,
        queries=Queries(category_share=tuple(1.0 + 0.1 * place for place in range(64))),
        attraction=dataclasses.replace(DEFAULT.attraction, popularity=0.7),
    ),
    **{name: dataclasses.replace(DEFAULT, habits=Habits(**{name: one()})) for name, one in HABITS.items()},
    "boredom of brands": dataclasses.replace(DEFAULT, habits=Habits(boredom=Boredom(of="brand", tolerance=0.5))),
    **{f"market of {name}": dataclasses.replace(DEFAULT, market=market) for name, market in MARKETS.items()},
    "house": dataclasses.replace(DEFAULT, house=HouseSlots(sponsored=(0, 5), pinned=(2,))),
    "house, read from the top": dataclasses.replace(
        WORLDS["dbn"], house=HouseSlots(sponsored=(1, 2, 6), pinned=(0, 4)), reward="net revenue"
    ),
    "filters": dataclasses.replace(DEFAULT, filters=Filters(weight=20.0), queries=Queries(misspelling_rate=0.3)),
    "far filters": dataclasses.replace(DEFAULT, filters=Filters(weight=20.0, reach=1), n_items=100_000),
    "dwell": dataclasses.replace(DEFAULT, post_click=PostClick(dwell=25.0)),
    "sent back": dataclasses.replace(
        DEFAULT, post_click=PostClick(returns=0.3), reward="net revenue", conversion=Conversion(cart_base=-1.0)
    ),
    "abandonment": dataclasses.replace(DEFAULT, abandonment=Abandonment(good=0.7, bad=0.7)),
    "everything": EVERYTHING,
    "nothing found": dataclasses.replace(
        DEFAULT, queries=Queries(misspelling_rate=0.6, nothing_found=1.0), reward="purchases"
    ),
}

# A float32 result of a dozen roundings is off by as many half ulps; a sum of eight products loses a little more.
RELATIVE, ABSOLUTE = 24 * 2.0**-24, 4e-6
NEAR = 1e-6  # an event may differ where its draw lies this near to its threshold
CHANCE = 2.0 * NEAR * 40  # of a page to have such a draw among its at most 40: so few are expected


@functools.lru_cache(maxsize=1)
def pair(case: str) -> tuple[World, World]:
    """A world played by the definition, and by its twin."""
    plain = make_world(CASES[case], "numpy")
    return plain, with_backend(plain, "numba")


def leaves(columns: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Every array of nested columns, by name."""
    for field in dataclasses.fields(columns):
        value = getattr(columns, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value)
        elif value is not None:
            yield field.name, value


def differing(one: Any, other: Any) -> np.ndarray:
    """Rows (N,) in which an integer or a flag differs; floats of the other rows are equal to a few ulp."""
    pairs = [(name, a, b) for (name, a), (_, b) in zip(leaves(one), leaves(other), strict=True)]
    differs = np.zeros(len(pairs[0][1]), dtype=bool)
    for name, a, b in pairs:
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        if a.dtype.kind != "f":
            differs |= (a != b).reshape(len(a), -1).any(axis=1)
    for name, a, b in pairs:
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a[~differs], b[~differs], rtol=RELATIVE, atol=ABSOLUTE, err_msg=name)
    return differs


def follow(world: World, seed: int, after: State, outcome: Outcome) -> State:
    """The states after a page, with new shoppers in the rows whose own are gone or past the horizon."""
    rows = np.flatnonzero(outcome.gone | outcome.truncated)
    return overwrite(after, rows, begin(world, seed, 1000 + after.shopper[rows])) if len(rows) else after


def slates_of(world: World, n: int, rng: np.random.Generator) -> np.ndarray:
    """Random slates (N, K); some positions repeat and some are out of range."""
    slates = np.argsort(rng.random((n, world.params.n_candidates)), axis=1)[:, : world.params.n_slots]
    slates[::5, -1] = slates[::5, 0]
    slates[::11, 0] = -1
    slates[::13, 0] = world.params.n_candidates
    return slates


@pytest.mark.parametrize(("n", "seed"), [(1, 1), (7, 2), (500, 3)])
@pytest.mark.parametrize("case", CASES)
def test_the_twin_plays_every_world_as_the_definition_does(case: str, n: int, seed: int) -> None:
    plain, twin = pair(case)
    assert (plain.backend, twin.backend) == ("numpy", "numba")
    rng, ids = np.random.default_rng(seed), np.arange(seed, n + seed)
    state = begin(plain, seed, ids)
    assert not differing(state, begin(twin, seed, ids)).any()
    n_pages, n_other = 0, 0
    for _ in range(12):
        page = observe(plain, state)
        assert not differing(page, observe(twin, state)).any(), "queries and candidates come from hashes alone"
        slates = slates_of(plain, n, rng)
        (after, outcome), (other_after, other) = step(plain, state, page, slates), step(twin, state, page, slates)
        n_pages, n_other = n_pages + n, n_other + int((differing(after, other_after) | differing(outcome, other)).sum())
        state = follow(plain, seed, after, outcome)
    assert n_other <= 3.0 + 5.0 * n_pages * CHANCE


def test_whole_lives_in_the_vector_env_are_the_same() -> None:
    envs = [SearchVectorEnv(64, "tiny", episode="shopper", backend=each) for each in ("numpy", "numba")]
    seen = [env.reset(seed=4)[0] for env in envs]
    rng = np.random.default_rng(0)
    for _ in range(60):
        for name in seen[0]:
            np.testing.assert_allclose(seen[0][name], seen[1][name], rtol=RELATIVE, atol=ABSOLUTE, err_msg=name)
        slates = slates_of(envs[0].world, 64, rng).clip(0, 7)
        (seen_0, *told_0, info_0), (seen_1, *told_1, info_1) = [env.step(slates) for env in envs]
        for one, other in zip(told_0, told_1, strict=True):
            assert np.array_equal(one, other)
        assert info_0.keys() == info_1.keys()
        assert all(np.array_equal(info_0[name], info_1[name]) for name in info_0)
        seen = [seen_0, seen_1]


def test_a_row_does_not_depend_on_the_batch_that_it_is_played_in() -> None:
    world = load_world("dbn", "numba")
    slates = slates_of(world, 50, np.random.default_rng(0))
    state = begin(world, 9, np.arange(50))
    after, _ = step(world, state, observe(world, state), slates)
    alone = begin(world, 9, np.array([33]))
    alone, _ = step(world, alone, observe(world, alone), slates[33:34])
    for (name, many), (_, one) in zip(leaves(after), leaves(alone), strict=True):
        assert np.array_equal(many[33:34], one), name


def test_a_click_model_of_the_users_own_is_asked_in_numpy() -> None:
    class Mine(Cascade):
        """Nobody but this test knows it."""

    params = dataclasses.replace(WORLDS["tiny"], click_model=Mine(continuation=0.5))
    plain, twin = make_world(params, "numpy"), make_world(params, "numba")
    state, slates = begin(plain, 0, np.arange(200)), slates_of(plain, 200, np.random.default_rng(0))
    page = observe(plain, state)
    assert differing(step(plain, state, page, slates)[1], step(twin, state, page, slates)[1]).sum() <= 3


def test_a_world_that_was_changed_falls_back_to_the_definition() -> None:
    world = make_world(WORLDS["tiny"], "numba")
    changed = dataclasses.replace(world, params=dataclasses.replace(world.params, reward="revenue"))
    assert changed.backend == "numpy"
    with pytest.raises(UserError, match="other parameters"):
        with_backend(changed, "numba")
    assert with_backend(changed, "auto").backend == "numpy"


def test_a_market_too_large_for_tables_of_its_days_is_played_by_the_definition() -> None:
    long = dataclasses.replace(WORLDS["tiny"], market=LIVELY, shoppers=Shoppers(horizon_days=2**16))
    assert n_cells(dataclasses.replace(make_world(WORLDS["tiny"], "numpy"), params=long)) > CELLS


def test_given_shelves_are_read_as_the_definition_reads_them() -> None:
    plain = make_world(dataclasses.replace(EVERYTHING, n_items=1600, market=Market(stock=Stock(units=0.3))), "numpy")
    twin, shelves = with_backend(plain, "numba"), first_shelves(plain, 1000)
    state = begin(plain, 1, np.arange(200))
    page = observe(plain, state, shelves)
    assert not differing(page, observe(twin, state, shelves)).any()
    assert (page.candidates != observe(plain, state).candidates).any()


def test_whole_lives_that_share_stock_are_the_same() -> None:
    params = dataclasses.replace(EVERYTHING, n_items=1600, market=dataclasses.replace(LIVELY, stock=Stock(units=0.5)))
    plain = make_world(params, "numpy")
    pairs = zip(
        *(play(world, UniformByHash(), 0, np.arange(300)) for world in (plain, with_backend(plain, "numba"))),
        strict=True,
    )
    n = 0
    for one, other in pairs:
        n += len(one.state)
        for a, b in ((one.state, other.state), (one.page, other.page), (one.outcome, other.outcome)):
            assert not differing(a, b).any(), "of so few draws none lies on its threshold"
    assert n > 1000


def test_a_mechanism_that_the_kernels_do_not_know_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Tomorrow(WorldParams):
        """Parameters with a mechanism that nobody compiled yet."""

        gravity: float = 0.0

    on = Tomorrow(**{**vars(WORLDS["tiny"]), "gravity": 9.8})
    with pytest.raises(UserError, match="gravity"):
        make_world(on, "numba")
    assert make_world(on).backend == "numpy"
    assert make_world(dataclasses.replace(on, gravity=0.0)).backend == "numba"


def test_an_unknown_backend_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'numba'"):
        SearchVectorEnv(1, "tiny", backend="numbar")  # type: ignore[arg-type]
