"""Habits: off is exactly off, and what was planted is found again in how shoppers behave."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import simenv.world
import simenv.worth
from simenv import reacting
from simenv.check import check_world
from simenv.check.world import _leaves, _lives
from simenv.errors import UserError
from simenv.habits import Boredom, Habits, Influence, Loyalty, Satiation, Trust
from simenv.mind import after_days, boredom_of, click_shift, delivered, reluctance
from simenv.params import Conversion, Dynamics, Shoppers, WorldParams
from simenv.play import Step, shopper_range
from simenv.world import World, begin, make_world, observe, step
from simenv.worlds import world_params
from simenv.worth import worth

F64 = npt.NDArray[np.float64]

NAMES = tuple(field.name for field in dataclasses.fields(Habits))
SUBSETS = [frozenset(chosen) for n in range(len(NAMES) + 1) for chosen in itertools.combinations(NAMES, n)]
# Each habit with all its machinery running and no effect; what it keeps in mind may still differ.
IDLE = Habits(
    influence=Influence(rate=0.0),
    satiation=Satiation(click=0.0, cart=0.0, intent=0.0),
    boredom=Boredom(weight=0.0),
    loyalty=Loyalty(win=0.0, lose=0.0),
    trust=Trust(click=0.0, return_gain=0.0),
)
# What each habit may move even where it is idle.
KEPT = {"satiation": "state.mind.satiation", "boredom": "state.mind.recent", "trust": "state.mind.trust"}
# Small and busy: many purchases, many visits.
BUSY = dataclasses.replace(
    world_params("tiny"),
    conversion=Conversion(cart_base=-1.0, buy_base=1.0),
    shoppers=Shoppers(mean_gap_days=1.5),
    dynamics=Dynamics(return_base=0.7, return_gain=0.1),
)
STRONG = Habits(
    influence=Influence(rate=0.2),
    satiation=Satiation(half_life_days=8.0, click=0.8, cart=1.0, intent=0.9),
    boredom=Boredom(of="brand", tolerance=0.5, weight=0.7, half_life_days=6.0),
    loyalty=Loyalty(win=0.5, lose=0.4, quality=1.2),
    trust=Trust(start=0.5, rate=0.3, quality=0.8, bait=1.0, click=1.5, return_gain=0.4),
)


def busy(habits: Habits) -> World:
    """Played by the definition: equal bytes want one backend, and faults are planted in numpy."""
    return make_world(dataclasses.replace(BUSY, habits=habits), "numpy")


def chosen(on: frozenset[str], off: Habits) -> Habits:
    """The habits of STRONG that are on; the others as in `off`."""
    return dataclasses.replace(off, **{name: getattr(STRONG, name) for name in on})


@pytest.fixture(scope="module")
def lives() -> Step:
    """Whole lives with every habit on, in the order of (shopper, visit, step)."""
    return _lives(busy(STRONG), 5, shopper_range(1500))


def assert_off_is_off(on: frozenset[str]) -> None:
    """Of the habits that are not on, nothing is kept, and switching them on idly moves not one byte."""
    off, idle = (_lives(busy(chosen(on, other)), 2, shopper_range(40)) for other in (Habits(), IDLE))
    mind = off.state.mind
    assert (mind.satiation.shape[1] > 0) == ("satiation" in on), "satiation is kept where it is off"
    assert (mind.recent.shape[1] > 0) == ("boredom" in on), "clicks are counted where boredom is off"
    assert (np.ptp(mind.trust) > 0) == ("trust" in on), "trust moves where it is off"
    _, who, visits = np.unique(off.state.shopper, return_index=True, return_counts=True)
    changed = mind.favourite_brand != np.repeat(mind.favourite_brand[who], visits)
    assert changed.any() == ("loyalty" in on), "loyalties change where loyalty is off"
    kept = {KEPT[name] for name in KEPT if name not in on}
    idly = dict(_leaves(idle))
    for name, value in _leaves(off):
        assert name in kept or value.tobytes() == idly[name].tobytes(), f"{name} moves where a habit is idle"


@pytest.mark.parametrize("on", SUBSETS, ids=lambda on: "+".join(sorted(on)) or "none")
def test_whatever_is_on_the_rest_is_exactly_off(on: frozenset[str]) -> None:
    assert_off_is_off(on)


def test_a_habit_that_leaks_while_idle_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = simenv.worth.click_shift

    def leaking(habits: Habits, *arguments: Any) -> Any:
        shift = honest(habits, *arguments)
        return shift - 0.02 if habits.boredom is not None else shift

    monkeypatch.setattr(simenv.worth, "click_shift", leaking)
    with pytest.raises(AssertionError, match="moves where a habit is idle"):
        assert_off_is_off(frozenset())


def test_a_habit_that_takes_a_draw_of_another_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = simenv.world.page_key

    def shifted(key: Any, state: Any) -> Any:
        return honest(key + np.uint64(state.mind.recent.shape[1]), state)

    monkeypatch.setattr(simenv.world, "page_key", shifted)
    with pytest.raises(AssertionError, match="moves where a habit is idle"):
        assert_off_is_off(frozenset({"trust"}))


def test_a_mind_that_keeps_what_is_off_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = simenv.world.fresh_mind

    def hoarding(habits: Habits, *arguments: Any) -> Any:
        return honest(dataclasses.replace(habits, satiation=Satiation()), *arguments)

    monkeypatch.setattr(simenv.world, "fresh_mind", hoarding)
    with pytest.raises(AssertionError, match="satiation is kept where it is off"):
        assert_off_is_off(frozenset())


@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_satisfaction_that_gains_nothing_moves_no_return(rate: float) -> None:
    params = dataclasses.replace(BUSY, dynamics=Dynamics(return_gain=rate))
    world = make_world(params)
    state = begin(world, 0, shopper_range(5000))
    low, high = (reacting.returning(world, state, np.full(5000, s, np.float32), state.mind) for s in (0.0, 1.0))
    assert np.array_equal(low[0], high[0]) == (rate == 0.0)
    assert np.array_equal(low[1], high[1])


@pytest.mark.parametrize("habits", [Habits.all_on(), STRONG], ids=["all on", "strong"])
def test_a_world_with_every_habit_keeps_the_contract(habits: Habits) -> None:
    check_world(busy(habits))


def without(lives: Step, world: World) -> World:
    """The same market as told to people without the habits whose effect is to be measured."""
    return dataclasses.replace(world, params=dataclasses.replace(world.params, habits=Habits()))


def slope(p: F64, x: F64, happened: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Maximum-likelihood slope b of log-odds logit(p) + b x, by Newton's method, with its standard error."""
    b, offset = 0.0, np.log(p / (1.0 - p))
    for _ in range(30):
        q = 1.0 / (1.0 + np.exp(-offset - b * x))
        information = (x * x * q * (1.0 - q)).sum()
        b += (x * (happened - q)).sum() / information
    return b, float(information**-0.5)


@pytest.mark.parametrize(
    ("name", "weight"), [("satiation", -0.8), ("boredom", -0.7), ("trust", 1.5), ("satiation of carts", -1.0)]
)
def test_the_planted_weight_of_a_habit_is_found_again_in_whole_lives(name: str, weight: float) -> None:
    """A logistic regression of what happened on the level, beside the odds without it; within four standard errors.

    What happens on a page depends on the past through its levels alone, so errors of pages do not add up.
    """
    habit = name.split()[0]
    world = busy(Habits(**{habit: getattr(STRONG, habit)}))
    lives = _lives(world, 5, shopper_range(2500))
    known = worth(without(lives, world), lives.state, lives.outcome.items)
    outcome = lives.outcome
    of = outcome.clicked if name.endswith("carts") else outcome.examined & (outcome.items >= 0)
    mind, items = lives.state.mind, outcome.items
    level = {
        "satiation": simenv.mind.satiation_of(mind, world.catalogue, items),
        "boredom": boredom_of(world.params.habits, mind, world.catalogue, items),
        "trust": np.broadcast_to((mind.trust - STRONG.trust.start)[:, None], items.shape),  # type: ignore[union-attr]
    }[habit]
    p, happened = (known.cart, outcome.carted) if name.endswith("carts") else (known.attraction, outcome.clicked)
    got, error = slope(p[of].astype(np.float64), level[of].astype(np.float64), happened[of])
    assert error < abs(weight) / 4, "too few purchases and clicks to see anything"
    assert abs(got - weight) < 4 * error, f"{got:.3f} +- {error:.3f}, planted {weight}"


def test_a_purchase_lowers_the_odds_of_the_next_click_in_its_category_by_its_weight_and_of_no_other() -> None:
    world = busy(Habits(satiation=STRONG.satiation))
    state = begin(world, 0, shopper_range(400))
    items = observe(world, state).candidates
    wanted = state.intent[:, 0]
    mind = dataclasses.replace(state.mind, satiation=np.eye(64, dtype=np.float32)[wanted])
    before, after = (
        worth(world, each, items).attraction.astype(np.float64)
        for each in (state, dataclasses.replace(state, mind=mind))
    )
    own = (items >= 0) & (world.catalogue.category[np.maximum(items, 0)] == wanted[:, None])
    odds = after[own] / (1 - after[own]) / (before[own] / (1 - before[own]))
    np.testing.assert_allclose(odds, np.exp(-0.8), rtol=1e-4)  # odds of float32 probabilities
    assert np.array_equal(after[~own], before[~own])


def test_who_is_sated_comes_for_something_else_as_often_as_planted() -> None:
    """Everybody has bought once in every category: 1 - exp(-0.9) draw again, and rarely draw the same."""
    world, n = busy(Habits(satiation=STRONG.satiation)), 20_000
    state = begin(world, 0, shopper_range(n))
    mind = dataclasses.replace(state.mind, satiation=np.ones((n, 64), dtype=np.float32))
    chance = reluctance(world.params.habits, mind)
    np.testing.assert_allclose(chance, 1 - np.exp(-0.9), rtol=1e-6)
    draw = world.demand.intents
    plain = draw(state.key, state.visit, state.day, mind.favourite_brand, reluctance(world.params.habits, state.mind))
    moved = draw(state.key, state.visit, state.day, mind.favourite_brand, chance)
    assert np.array_equal(plain, state.intent)
    (edges,) = world.demand.category_edges  # type: ignore[attr-defined]
    share = np.diff(edges, prepend=0.0) / edges[-1]
    p = chance[:, 0] * (1 - share[plain[:, 0]])
    changed = moved[:, 0] != plain[:, 0]
    assert abs((changed - p).sum()) < 4 * np.sqrt((p * (1 - p)).sum())
    assert np.array_equal(moved[~changed], plain[~changed])


def test_levels_are_what_was_bought_and_clicked_before_halved_by_the_days_since(lives: Step) -> None:
    """Computed again from the whole past of 60 shoppers, to float32."""
    catalogue, outcome = busy(STRONG).catalogue, lives.outcome
    assert outcome.purchased.sum() > 1000
    for shopper in range(60):
        rows = np.flatnonzero(lives.state.shopper == shopper)
        bought, clicked = np.zeros(64), np.zeros(len(catalogue.brands))
        day = lives.state.day[rows[0]]
        for row in rows:
            days = lives.state.day[row] - day
            bought, clicked, day = bought * 0.5 ** (days / 8.0), clicked * 0.5 ** (days / 6.0), lives.state.day[row]
            np.testing.assert_allclose(lives.state.mind.satiation[row], bought, rtol=1e-5)
            np.testing.assert_allclose(lives.state.mind.recent[row], clicked, rtol=1e-5)
            np.add.at(bought, catalogue.category[outcome.items[row, outcome.purchased[row]]], 1.0)
            np.add.at(clicked, catalogue.brand[outcome.items[row, outcome.clicked[row]]], 1.0)


def test_levels_halve_with_every_half_life_and_not_within_a_day() -> None:
    world = busy(STRONG)
    mind = begin(world, 0, shopper_range(3)).mind
    full = dataclasses.replace(mind, satiation=mind.satiation + 4, recent=mind.recent + 4)
    later = after_days(STRONG, full, np.array([0, 8, 12], dtype=np.int32))
    np.testing.assert_allclose(later.satiation[:, 0], [4.0, 2.0, 4 * 0.5**1.5], rtol=1e-6)
    np.testing.assert_allclose(later.recent[:, 0], [4.0, 4 * 0.5 ** (8 / 6), 1.0], rtol=1e-6)
    assert np.array_equal(full.satiation, mind.satiation + 4)


def test_boredom_begins_beyond_what_is_tolerated_and_only_for_the_kind() -> None:
    habits = Habits(boredom=Boredom(of="category", tolerance=3.0, weight=0.5))
    world = busy(habits)
    state = begin(world, 0, shopper_range(4))
    recent = state.mind.recent.copy()
    recent[:, 5] = [0.0, 3.0, 3.5, 5.0]
    mind = dataclasses.replace(state.mind, recent=recent)
    own, other = (
        int(np.flatnonzero(world.catalogue.category == 5)[0]),
        int(np.flatnonzero(world.catalogue.category == 6)[0]),
    )
    items = np.tile(np.array([own, other, -1], dtype=np.int32), (4, 1))
    shift = click_shift(habits, mind, world.catalogue, items)
    np.testing.assert_allclose(shift, [[0, 0, 0], [0, 0, 0], [-0.25, 0, 0], [-1.0, 0, 0]])


def test_trust_steps_towards_what_each_click_delivered_and_stays_a_share(lives: Step) -> None:
    assert STRONG.trust is not None
    catalogue, rows = busy(STRONG).catalogue, np.flatnonzero(lives.state.shopper[1:] == lives.state.shopper[:-1])
    trust = lives.state.mind.trust
    assert trust.min() >= 0
    assert trust.max() <= 1
    expected = trust[rows].astype(np.float64)
    good = delivered(STRONG.trust, catalogue, np.maximum(lives.outcome.items[rows], 0))
    for k in range(good.shape[1]):
        expected += np.where(lives.outcome.clicked[rows, k], 0.3 * (good[:, k] - expected), 0.0)
    np.testing.assert_allclose(trust[rows + 1], expected, rtol=1e-5)
    best, worst = np.argmax(catalogue.quality - catalogue.bait), np.argmin(catalogue.quality - catalogue.bait)
    assert delivered(STRONG.trust, catalogue, np.array([best]))[0] > 0.95
    assert delivered(STRONG.trust, catalogue, np.array([worst]))[0] < 0.05


def test_trust_moves_the_chance_to_come_back_as_planted() -> None:
    """Least squares of coming back on trust, beside the chance without it; within four standard errors."""
    world = busy(Habits(trust=STRONG.trust))
    state = begin(world, 0, shopper_range(40_000))
    trust = np.linspace(0, 1, len(state), dtype=np.float32)
    mind = dataclasses.replace(state.mind, trust=trust)
    satisfaction = np.full(len(state), 0.5, dtype=np.float32)
    returns, _ = reacting.returning(world, state, satisfaction, mind)  # 0.75 +- 0.2, inside (0, 1)
    x = trust - 0.5
    got = (x * (returns - 0.75)).sum() / (x * x).sum()
    assert abs(got - 0.4) < 4 * np.sqrt(0.25 / (x * x).sum())


def test_loyalties_are_won_and_lost_as_often_as_planted() -> None:
    """Over pages with one purchase of 2,500 lives, within four standard errors of the sums."""
    loyalty = STRONG.loyalty
    assert loyalty is not None
    world = busy(Habits(loyalty=loyalty))
    lives = _lives(world, 5, shopper_range(2500))
    same = np.append(lives.state.shopper[1:] == lives.state.shopper[:-1], False)
    rows = np.flatnonzero(same & (lives.outcome.purchased.sum(axis=1) == 1))
    item = lives.outcome.items[rows, lives.outcome.purchased[rows].argmax(axis=1)]
    brand, before = world.catalogue.brand[item], lives.state.mind.favourite_brand[rows]
    after = lives.state.mind.favourite_brand[rows + 1]
    pleases = 1 / (1 + np.exp(-1.2 * world.catalogue.quality[item].astype(np.float64)))
    own = before == brand
    for happened, p in (
        ((after == brand)[~own], 0.5 * pleases[~own]),
        ((after == -1)[own], 0.4 * (1 - pleases[own])),
    ):
        assert len(p) > 200
        assert abs((happened - p).sum()) < 4 * np.sqrt((p * (1 - p)).sum())
    assert np.array_equal(after[(after != brand) & ~own], before[(after != brand) & ~own])
    idle = np.flatnonzero(same & ~lives.outcome.purchased.any(axis=1))
    assert np.array_equal(lives.state.mind.favourite_brand[idle], lives.state.mind.favourite_brand[idle + 1])


def test_what_was_looked_at_pulls_taste_and_what_was_not_does_not() -> None:
    """Without drift, so that clicks pull no further than looks; to float32."""
    world = make_world(
        dataclasses.replace(BUSY, habits=Habits(influence=Influence(0.2)), dynamics=Dynamics(taste_drift=0.0))
    )
    state = begin(world, 0, shopper_range(2000))
    after, outcome = step(world, state, observe(world, state), np.tile(np.arange(3), (2000, 1)))
    seen = outcome.examined & (outcome.items >= 0)
    style = world.catalogue.style[np.maximum(outcome.items, 0)] * seen[:, :, None]
    count = seen.sum(axis=1)
    mean = style.sum(axis=1) / np.maximum(count, 1)[:, None]
    rate = np.where(count > 0, 0.2, 0.0)[:, None]
    np.testing.assert_allclose(after.taste, state.taste + rate * (mean - state.taste), rtol=1e-4, atol=1e-5)
    unclicked = (count > 0) & ~outcome.clicked.any(axis=1)
    assert unclicked.any()
    assert (after.taste[unclicked] != state.taste[unclicked]).any(axis=1).all()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Influence(rate=1.5), "influence rate is 1.5; expected a number between 0 and 1"),
        (lambda: Satiation(half_life_days=0.0), "satiation half_life_days is 0.0"),
        (lambda: Satiation(intent=-1.0), "satiation intent is -1.0; expected a number at least 0"),
        (lambda: Boredom(of="colour"), "boredom is of 'colour'; expected 'category' or 'brand'"),  # type: ignore[arg-type]
        (lambda: Loyalty(win=0.7, lose=0.5), "loyalty lose is 0.5; expected a number between 0 and 0.3"),
        (lambda: Trust(start=-0.1), "trust start is -0.1"),
    ],
)
def test_numbers_that_make_no_habit_are_refused(made: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        made()


def test_worlds_differ_by_their_habits() -> None:
    digests = {dataclasses.replace(BUSY, habits=chosen(on, Habits())).digest() for on in SUBSETS}
    assert len(digests) == len(SUBSETS)
    assert isinstance(WorldParams("?").habits, Habits)
