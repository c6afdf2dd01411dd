"""The last clicks of a shopper: what a page tells of them, in both engines, and in logs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import simenv.play
from simenv.check.ranker import UniformByHash
from simenv.columns import join
from simenv.errors import UserError
from simenv.house import HouseSlots
from simenv.log import Log
from simenv.log.write import write_log
from simenv.params import Attraction, Conversion, WorldParams
from simenv.play import Step, play, shopper_range
from simenv.recent import OLDEST, after_clicks, no_recent
from simenv.vector_env import SearchVectorEnv
from simenv.world import make_world
from simenv.worlds import WORLDS

# Shoppers who click and buy a lot, on pages with places of the house.
BUSY = dataclasses.replace(
    WORLDS["tiny"],
    n_recent=4,
    attraction=Attraction(base=-2.5),
    conversion=Conversion(cart_base=-1.0),
    house=HouseSlots(sponsored=(1,)),
)
NAMES = ("recent", "recent_bought", "recent_age")


def lives(params: WorldParams, n: int = 120, backend: str = "numpy") -> Step:
    """Lives in the order of shopper and page."""
    steps = join(list(play(make_world(params, backend), UniformByHash(), 5, shopper_range(n))))  # type: ignore[arg-type]
    order = np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper))
    return simenv.columns.take(steps, order)


def full_page(params: WorldParams, step: Step, row: int) -> list[tuple[int, bool, bool]]:
    """(item, clicked, bought) of each place of the page, the house among the slots."""
    slots = list(
        zip(step.outcome.items[row].tolist(), step.outcome.clicked[row].tolist(), step.outcome.purchased[row].tolist(),
            strict=True)
    )  # fmt: skip
    own = zip(
        step.page.house[row].tolist(), step.outcome.house_clicked[row].tolist(),
        step.outcome.house_purchased[row].tolist(), strict=True,
    )  # fmt: skip
    for place, each in zip(params.house.places, own, strict=True):
        slots.insert(place, each)
    return slots


def test_a_page_tells_the_last_clicks_of_the_life_before_it() -> None:
    played = lives(BUSY)
    told: list[tuple[int, bool, int]] = []
    returned = full = of_house = 0
    for row in range(len(played.state)):
        if row and played.page.shopper[row] != played.page.shopper[row - 1]:
            told = []
        day = int(played.page.day[row])
        expected = [(item, bought, day - then) for item, bought, then in told[:4]]
        expected += [(-1, False, -1)] * (4 - len(expected))
        got = list(zip(*(getattr(played.page, name)[row].tolist() for name in NAMES), strict=True))
        assert got == expected, row
        returned += bool(told) and expected[0][2] > 0
        full += len(told) >= 4
        for item, clicked, bought in full_page(BUSY, played, row):
            if clicked:
                told.insert(0, (item, bought, day))
                of_house += item in played.page.house[row]
    assert min(returned, full, of_house) > 20  # the test has seen return visits, full lists and places of the house
    assert played.page.recent_bought.any()


@pytest.mark.parametrize("name", ["busy", "full"])
def test_both_engines_remember_the_same(name: str) -> None:
    pytest.importorskip("numba", reason="compiled worlds need numba")
    params = BUSY if name == "busy" else WORLDS["full"]
    one, other = lives(params, 60), lives(params, 60, "numba")
    assert len(one.state) == len(other.state)
    assert (one.page.recent >= 0).any()
    for each in NAMES:
        a, b = getattr(one.page, each), getattr(other.page, each)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b), each


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_it_does_not_depend_on_the_batch(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "numba":
        pytest.importorskip("numba", reason="compiled worlds need numba")
    whole = lives(BUSY, 50, backend)
    monkeypatch.setattr(simenv.play, "BLOCK", 7)
    parts = lives(BUSY, 50, backend)
    for name in NAMES:
        assert getattr(whole.page, name).tobytes() == getattr(parts.page, name).tobytes(), name


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_none_at_all_changes_nothing_else(backend: str) -> None:
    if backend == "numba":
        pytest.importorskip("numba", reason="compiled worlds need numba")
    on, off = lives(BUSY, 50, backend), lives(dataclasses.replace(BUSY, n_recent=0), 50, backend)
    assert off.page.recent.shape == off.page.recent_bought.shape == off.page.recent_age.shape == (len(off.page), 0)
    for one, other in ((on.page, off.page), (on.outcome, off.outcome)):
        for field in dataclasses.fields(one):
            if field.name not in (*NAMES, "query"):
                assert getattr(one, field.name).tobytes() == getattr(other, field.name).tobytes(), field.name


def test_the_last_place_of_a_page_is_the_latest_click() -> None:
    recent = no_recent(2, 3)
    items, clicked = np.array([[5, 6, 7, 8], [1, 2, 3, 4]], np.int32), np.array([[1, 0, 1, 1], [0, 0, 0, 0]], bool)
    bought = np.array([[0, 0, 1, 0], [0, 0, 0, 0]], bool)
    day = np.array([2, 2], np.int32)
    after = after_clicks(recent, items, clicked, bought, day)
    assert after.item.tolist() == [[8, 7, 5], [-1, -1, -1]]
    assert after.bought.tolist() == [[False, True, False], [False, False, False]]
    assert after.age(day + 3).tolist() == [[3, 3, 3], [-1, -1, -1]]
    assert (recent.item == -1).all()  # what was given is left alone
    again = after_clicks(after, items, np.array([[0, 1, 0, 0], [1, 0, 0, 0]], bool), bought, day + 1)
    assert again.item.tolist() == [[6, 8, 7], [1, -1, -1]]
    assert after.age(np.full(2, 100_000, np.int32)).max() == OLDEST


def test_fewer_than_no_clicks_are_refused() -> None:
    with pytest.raises(UserError, match="n_recent is -1"):
        dataclasses.replace(BUSY, n_recent=-1)


@pytest.mark.parametrize("n_recent", [4, 0])
def test_a_log_gives_them_back(n_recent: int, tmp_path: Path) -> None:
    params = dataclasses.replace(BUSY, n_recent=n_recent)
    played = lives(params)
    log = Log.open(
        write_log(make_world(params, "numpy"), "busy", UniformByHash(), 5, shopper_range(120), tmp_path / "log")
    )
    assert log.n_recent == n_recent
    rows = join(list(log.batches(batch=100)))
    for name in NAMES:
        a, b = getattr(rows.page, name), getattr(played.page, name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.array_equal(a, b), name


@pytest.mark.parametrize("n_recent", [4, 0])
def test_observations_hold_them_where_there_are_any(n_recent: int) -> None:
    env = SearchVectorEnv(6, dataclasses.replace(BUSY, n_recent=n_recent), "shopper")
    seen, _ = env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(40):
        assert env.observation_space.contains(seen)
        assert list(seen) == list(env.observation_space.spaces)
        seen, *_ = env.step(rng.permuted(np.tile(np.arange(8), (6, 1)), axis=1)[:, :3])
    assert ("recent" in seen) == (n_recent > 0)
    if n_recent:
        assert np.array_equal(seen["recent"], env.page.recent)
        assert (seen["recent"] >= 0).any()
