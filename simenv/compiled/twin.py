"""A world with compiled doors. Importing this file needs numba."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.calendar import Calendar
from simenv.catalogue import I32, I64, Catalogue
from simenv.clicks import Appeal
from simenv.compiled.arriving import Arrived
from simenv.compiled.arriving import begin as arrive
from simenv.compiled.days import too_large
from simenv.compiled.numbers import REWARDS
from simenv.compiled.observing import Seen
from simenv.compiled.observing import observe as look
from simenv.compiled.shown import After, Shown
from simenv.compiled.stepping import Shelf, show_page, turn_page
from simenv.compiled.tables import Tables, here_of, tables_of
from simenv.invented import InventedDemand
from simenv.mind import Mind, fresh_mind
from simenv.params import WorldParams
from simenv.recent import Recent, no_recent
from simenv.shoppers import Traits
from simenv.state import Demand, Outcome, Page, State, World

_NO_SHELVES = np.empty(0, dtype=np.int32)


def supported(world: World) -> str | None:
    """What the kernels do not know of a world, in a few words; None where they can play it."""
    if type(world.demand) is not InventedDemand:
        return "its demand is not the invented one"
    if world.demand.params is not world.params or world.demand.catalogue is not world.catalogue:
        return "its demand was made for other parameters or another catalogue"
    if world.params.reward not in REWARDS:
        return f"no kernel knows its reward '{world.params.reward}'"
    return too_large(world) or _unknown(world.params)


# Every parameter that the kernels know. Of any other they know only that it is off at its default.
_KNOWN: dict[str, tuple[str, ...]] = {
    "": (
        "question", "seed", "n_items", "n_brands", "n_style", "n_candidates", "n_slots", "max_pages", "n_recent",
        "reward", "click_model", "shoppers", "queries", "attraction", "conversion", "dynamics", "habits", "market",
        "house", "post_click", "abandonment", "filters",
    ),
    "habits": ("influence", "satiation", "boredom", "loyalty", "trust"),
    "market": ("churn", "stock", "prices", "seasons", "trends", "shocks"),
    "house": ("sponsored", "pinned", "advertised", "bid", "bid_spread", "prediction_noise", "pinned_share"),
    "post_click": ("dwell", "dwell_utility", "dwell_spread", "returns", "regret"),
    "abandonment": ("good", "bad", "relevant", "price_gap", "useless"),
    "filters": ("weight", "reach"),
    "shoppers": (
        "n_segments", "segment_spread", "taste_spread", "loyal_share", "locale_share", "device_share", "mean_gap_days",
        "horizon_days",
    ),
    "queries": (
        "navigational", "focused", "exploratory", "misspelling_rate", "specialise", "generalise", "rephrase",
        "switch_language", "nothing_found", "category_share",
    ),
    "attraction": ("base", "relevance", "taste", "price", "loyalty", "quality", "bait", "popularity"),
    "conversion": (
        "cart_base", "cart_relevance", "cart_taste", "cart_quality", "buy_base", "buy_price", "satisfaction_odds",
    ),
    "dynamics": (
        "page_down", "reformulate", "max_searches", "taste_drift", "satisfaction_memory", "return_base", "return_gain",
    ),
}  # fmt: skip


def _unknown(params: WorldParams) -> str | None:
    for group, known in _KNOWN.items():
        values = getattr(params, group) if group else params
        for field in dataclasses.fields(values):
            if field.name not in known and getattr(values, field.name) != _default(field):
                return f"no kernel knows its {group + '.' if group else ''}{field.name}"
    return None


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@dataclass(frozen=True, eq=False)
class CompiledWorld:
    """The three doors of one world, compiled. Make it with `compile_world`; see `simenv.world` for what they do.

    n_sated, n_recent: how many levels of satiation and of recent clicks a mind has.
    """

    params: WorldParams
    catalogue: Catalogue
    demand: Demand
    calendar: Calendar
    tables: Tables
    n_sated: int
    n_recent: int

    def is_of(self, world: World) -> bool:
        """Whether the world is still the one that these tables were made of."""
        return (
            self.params is world.params
            and self.catalogue is world.catalogue
            and self.demand is world.demand
            and self.calendar is world.calendar
        )

    def begin(self, seed: int, shoppers: I64) -> State:
        """See `simenv.world.begin`."""
        n, n_style = len(shoppers), self.params.n_style
        arrived = Arrived(
            key=np.empty(n, np.uint64), day=np.empty(n, np.int32), intent=self._terms(n),
            locale=np.empty(n, np.int8), device=np.empty(n, np.int8), segment=np.empty(n, np.int32),
            taste=np.empty((n, n_style), np.float32), price_taste=np.empty(n, np.float32),
            favourite_brand=np.empty(n, np.int32), patience=np.empty(n, np.float32), gap_days=np.empty(n, np.float32),
            satiation=np.zeros((n, self.n_sated), np.float32),
        )  # fmt: skip
        streams = np.array([hashing.stream(seed, "shopper"), hashing.stream(seed, "traits")], dtype=np.uint64)
        shoppers = np.ascontiguousarray(shoppers, dtype=np.int64)
        arrive(self.tables, streams, shoppers, arrived)
        zeros = np.zeros(n, dtype=np.int32)
        traits = Traits(
            locale=arrived.locale, device=arrived.device, segment=arrived.segment, taste=arrived.taste,
            price_taste=arrived.price_taste, patience=arrived.patience, gap_days=arrived.gap_days,
        )  # fmt: skip
        return State(
            key=arrived.key, shopper=shoppers, visit=zeros, day=arrived.day, search=zeros, page=zeros,
            step=zeros, traits=traits,
            taste=traits.taste, mind=fresh_mind(self.params.habits, self.catalogue, arrived.favourite_brand),
            intent=arrived.intent, shown=np.zeros((n, self.params.n_candidates), dtype=bool),
            history=np.zeros((n, n_style + 1), dtype=np.float32), history_weight=np.zeros(n, dtype=np.float32),
            last_brand=np.full(n, -1, dtype=np.int32), recent=no_recent(n, self.params.n_recent),
            satisfaction=np.full(n, 0.5, dtype=np.float32),
            visit_satisfaction=np.zeros(n, dtype=np.float32),
        )  # fmt: skip

    def observe(self, state: State, stock: I32 | None) -> Page:
        """See `simenv.world.observe`."""
        n, n_candidates = len(state), self.params.n_candidates
        seen = Seen(
            locale=np.empty(n, np.int8), time=np.empty(n, np.int32), terms=self._terms(n), filters=self._terms(n),
            candidates=np.empty((n, n_candidates), np.int32), house=np.empty((n, self.params.house.n), np.int32),
            discount=(np.empty if len(self.tables.days.price_spread) else np.zeros)((n, n_candidates), np.float32),
            history=np.empty((n, self.params.n_style + 1), np.float32),
            recent_age=np.full((n, self.params.n_recent), -1, np.int16),
            room=np.empty((2, n_candidates), np.int32), race=np.empty(n_candidates, np.uint32),
        )  # fmt: skip
        look(self.tables, here_of(state), _NO_SHELVES if stock is None else stock, seen)
        return Page(
            shopper=state.shopper, visit=state.visit, day=state.day, time=seen.time, search=state.search,
            page=state.page, locale=seen.locale, device=state.traits.device, query_terms=seen.terms,
            filters=seen.filters, candidates=seen.candidates, house=seen.house, history=seen.history,
            history_weight=state.history_weight, last_brand=state.last_brand, discount=seen.discount,
            recent=state.recent.item, recent_bought=state.recent.bought, recent_age=seen.recent_age,
        )  # fmt: skip

    def step(self, state: State, page: Page, slate: npt.NDArray[np.integer]) -> tuple[State, Outcome]:
        """See `simenv.world.step`."""
        here = here_of(state)
        shelf = Shelf(
            np.ascontiguousarray(page.candidates, dtype=np.int32), np.ascontiguousarray(page.house, dtype=np.int32)
        )
        positions = np.ascontiguousarray(slate, dtype=np.int64)
        shown = self._shown(len(state))
        after = self._after(shown, state.recent)
        show_page(self.tables, here, shelf, positions, shown)
        if not len(self.tables.examination):
            self._click(shown)
        turn_page(self.tables, here, shelf, positions, shown, after)
        mind = Mind(
            favourite_brand=after.favourite_brand, trust=after.trust, satiation=after.satiation, recent=after.recent
        )
        next_state = State(
            key=state.key, shopper=state.shopper, visit=after.visit, day=after.day, search=after.search,
            page=after.page, step=after.step, traits=state.traits, taste=after.taste, mind=mind, intent=after.intent,
            shown=after.shown, history=after.history, history_weight=after.history_weight,
            last_brand=after.last_brand,
            recent=Recent(after.recent_item, after.recent_bought, after.recent_day),
            satisfaction=after.satisfaction, visit_satisfaction=after.visit_satisfaction,
        )  # fmt: skip
        return next_state, self._outcome(after)

    def _outcome(self, after: After) -> Outcome:
        return Outcome(
            items=after.items, examined=after.examined, clicked=after.clicked, carted=after.carted,
            purchased=after.purchased, satisfied=after.satisfied, dwell=after.dwell, returned=after.returned,
            revenue=after.revenue, reward=after.reward, expected=after.expected,
            house_examined=after.house_examined, house_clicked=after.house_clicked, house_carted=after.house_carted,
            house_purchased=after.house_purchased, ad_revenue=after.ad_revenue, ending=after.ending,
            session_over=after.session_over, gone=after.gone, truncated=after.truncated,
        )  # fmt: skip

    def _click(self, shown: Shown) -> None:
        """Clicks and their probability by a click model in numpy, from the kernel's uniforms."""
        model, appeal = self.params.click_model, Appeal(shown.attraction, shown.satisfaction)
        shown.examined[:], shown.clicked[:] = model.sample(appeal, shown.u_examine, shown.u_item)
        satisfied = model.satisfied(appeal, shown.u_examine, shown.u_item, shown.clicked)
        if satisfied is not None:
            shown.satisfied[:] = satisfied
        shown.click[:] = model.click_probability(appeal)

    def _terms(self, n: int) -> npt.NDArray[np.int32]:
        return np.empty((n, len(self.demand.n_values)), np.int32)

    def _shown(self, n: int) -> Shown:
        f32, f64, flags, shape = np.float32, np.float64, np.bool_, (n, self.params.n_shown)
        told = (0, 0) if len(self.tables.examination) else shape  # what only click models in numpy are told
        return Shown(
            items=np.empty(shape, np.int32), relevance=np.empty(shape, f32), match=np.empty(shape, f32),
            examined=np.empty(shape, flags), clicked=np.empty(shape, flags), satisfied=np.zeros(shape, flags),
            carted=np.zeros(shape, flags), purchased=np.zeros(shape, flags), click=np.empty(shape, f64),
            attraction=np.empty(told, f32), satisfaction=np.empty(told, f32), u_examine=np.empty(told, f64),
            u_item=np.empty(told, f64), chosen=np.empty(shape[1], np.uint64),
            taste=np.empty(self.params.n_style, f32),
        )  # fmt: skip

    def _after(self, shown: Shown, recent: Recent) -> After:
        n, params, n_style = len(shown.items), self.params, self.params.n_style
        i32, f32, f64, flags = np.int32, np.float32, np.float64, np.bool_
        slots, places = (n, params.n_slots), (n, params.house.n)

        def own(column: Any) -> Any:
            return np.zeros(slots, column.dtype) if params.house.n else column

        return After(
            items=own(shown.items), examined=own(shown.examined), clicked=own(shown.clicked),
            satisfied=own(shown.satisfied), carted=own(shown.carted), purchased=own(shown.purchased),
            revenue=np.zeros(slots, f64), reward=np.zeros(slots, f64), expected=np.empty(slots, f64),
            dwell=np.zeros(slots, f32), returned=np.zeros(slots, flags), house_examined=np.empty(places, flags),
            house_clicked=np.zeros(places, flags), house_carted=np.zeros(places, flags),
            house_purchased=np.zeros(places, flags), ad_revenue=np.zeros(places, f64), ending=np.empty(n, np.int8),
            session_over=np.empty(n, flags), gone=np.empty(n, flags), truncated=np.empty(n, flags),
            visit=np.empty(n, i32), day=np.empty(n, i32), search=np.empty(n, i32), page=np.empty(n, i32),
            step=np.empty(n, i32), taste=np.empty((n, n_style), f32), favourite_brand=np.empty(n, i32),
            trust=np.empty(n, f32), satiation=np.empty((n, self.n_sated), f32),
            recent=np.empty((n, self.n_recent), f32),
            intent=self._terms(n),
            shown=np.empty((n, params.n_candidates), flags), history=np.empty((n, n_style + 1), f32),
            history_weight=np.empty(n, f32), last_brand=np.empty(n, i32), recent_item=recent.item.copy(),
            recent_bought=recent.bought.copy(), recent_day=recent.day.copy(), satisfaction=np.empty(n, f32),
            visit_satisfaction=np.empty(n, f32),
        )  # fmt: skip


def compile_world(world: World) -> World:
    """The same world with compiled doors where `supported`; else the world as it is."""
    if supported(world) is not None or type(world.demand) is not InventedDemand:
        return world
    tables = tables_of(world, world.demand)
    nobody = fresh_mind(world.params.habits, world.catalogue, np.empty(0, np.int32))
    widths = nobody.satiation.shape[1], nobody.recent.shape[1]
    twin = CompiledWorld(world.params, world.catalogue, world.demand, world.calendar, tables, *widths)
    return dataclasses.replace(world, twin=twin)
