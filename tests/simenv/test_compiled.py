"""The compiled worlds equal the numpy definition: what is drawn bit for bit, what is computed to a few ulp.

Events may differ where a draw lies within 1e-6 of its threshold. The state after each page is taken from the
definition, so that one such event is counted once and does not become another life.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from simenv.clicks import Cascade
from simenv.compiled.backend import with_backend
from simenv.errors import UserError
from simenv.habits import Habits
from simenv.params import Queries, Shoppers, WorldParams
from simenv.vector_env import SearchVectorEnv
from simenv.world import World, begin, make_world, observe, step
from simenv.worlds import WORLDS, load_world

supported = pytest.importorskip("simenv.compiled.twin", reason="compiled worlds need numba").supported

DEFAULT = WORLDS["default"]
BELGIANS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5)
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
    "nothing found": dataclasses.replace(
        DEFAULT, queries=Queries(misspelling_rate=0.6, nothing_found=1.0), reward="purchases"
    ),
}

# A float32 result of a dozen roundings is off by as many half ulps; a sum of eight products loses a little more.
RELATIVE, ABSOLUTE = 24 * 2.0**-24, 4e-6
NEAR = 1e-6  # an event may differ where its draw lies this near to its threshold
CHANCE = 2.0 * NEAR * 40  # of a page to have such a draw among its at most 40: so few are expected


def leaves(columns: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Every array of nested columns, by name."""
    for field in dataclasses.fields(columns):
        value = getattr(columns, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value)
        else:
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


def slates_of(world: World, n: int, rng: np.random.Generator) -> np.ndarray:
    """Random slates (N, K); some positions repeat and some are out of range."""
    slates = np.argsort(rng.random((n, world.params.n_candidates)), axis=1)[:, : world.params.n_slots]
    slates[::5, -1] = slates[::5, 0]
    slates[::11, 0] = -1
    slates[::13, 0] = world.params.n_candidates
    return slates


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("n", "seed"), [(1, 1), (7, 2), (300, 3)])
def test_the_twin_plays_every_world_as_the_definition_does(case: str, n: int, seed: int) -> None:
    plain = make_world(CASES[case], "numpy")
    if supported(plain) is not None:
        pytest.skip(f"played by numpy: {supported(plain)}")
    twin = with_backend(plain, "numba")
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
        state = after
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


def test_worlds_with_habits_are_played_by_the_definition() -> None:
    with pytest.raises(UserError, match="no kernel knows its habits"):
        make_world(dataclasses.replace(WORLDS["tiny"], habits=Habits.all_on()), "numba")
    assert make_world(dataclasses.replace(WORLDS["tiny"], habits=Habits.all_on())).backend == "numpy"


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
