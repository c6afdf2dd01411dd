"""A page of results in people's words: as plain data, and as text. `simenv.draw` makes a picture of the same data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from simenv.calendar import prices
from simenv.catalogue import I32
from simenv.columns import take
from simenv.house import full_page
from simenv.shoppers import DEVICES
from simenv.world import Outcome, Page, State, World
from simenv.worth import click_values, worth

Mark = Literal["", "examined", "clicked", "carted", "bought", "returned"]

BAR = 10  # characters of a full bar of true worth


@dataclass(frozen=True)
class Card:
    """One result.

    Attributes:
        title, price: As the shopper's locale writes them.
        brand: The brand's name.
        rating: Stars, 1 to 5; None in a shop without ratings.
        colour: The item's internal colour name, "" for none.
        examined, clicked, carted, bought: What the shopper did. Whether a result was examined is hidden truth, which no
            log of a real shop holds.
        returned: Whether what was bought was sent back.
        off: Whole per cent that the day's price is below the catalogue's, as shops print it; 0 where it is not.
        placed: "sponsored" or "pinned" for what the market placed itself, "" for the policy's results.
        worth: Hidden: the expected reward of the result once examined, as a share of the best candidate's; None where
            truth was not asked for.
    """

    title: str
    price: str
    brand: str
    rating: float | None
    colour: str
    examined: bool
    clicked: bool
    carted: bool
    bought: bool
    worth: float | None
    returned: bool = False
    placed: str = ""
    off: int = 0

    @property
    def mark(self) -> Mark:
        """The furthest that the shopper went with this result."""
        if self.returned:
            return "returned"
        if self.bought:
            return "bought"
        if self.carted:
            return "carted"
        if self.clicked:
            return "clicked"
        return "examined" if self.examined else ""


@dataclass(frozen=True)
class ResultPage:
    """One page of one search.

    Attributes:
        locale: For example "de-DE".
        query: As typed.
        understood: (kind, word) of what a plain dictionary recognises in the query, words in the shopper's language.
        filters: (kind, word) of the filters that the shopper has set, in the same words.
        where: Day, time and device.
        place: Which page of which search of which visit, counted from 1.
        is_first: Whether it is the first page of its query.
        n_results: Candidates that the engine found for this page.
        n_slots: K + H, places of the page.
        cards: K + H results from the top, None for an empty slot; nothing at all where no page was shown yet.
        ending: What came after: "leaves", "goes on", "looks further" (at the next page), "asks again" or "sets a
            filter"; "" where no page was shown yet.
    """

    locale: str
    query: str
    understood: tuple[tuple[str, str], ...]
    where: str
    place: str
    is_first: bool
    n_results: int
    n_slots: int
    cards: tuple[Card | None, ...]
    ending: str
    filters: tuple[tuple[str, str], ...] = ()


def read_page(
    world: World, state: State, page: Page, row: int, outcome: Outcome | None = None, show_truth: bool = False
) -> ResultPage:
    """One row's page, for people.

    Args:
        world: The market.
        state: The state that `page` was observed from.
        page: The page.
        row: Which row.
        outcome: What came of showing it; None before that.
        show_truth: Whether to say how good each result truly was.
    """
    one = slice(row, row + 1)
    state, page = take(state, one), take(page, one)
    locale = world.demand.locales[int(page.locale[0])]
    minutes = int(page.time[0]) // 60
    return ResultPage(
        locale=locale,
        query=world.demand.strings(state)[0],
        understood=world.demand.words(int(page.locale[0]), tuple(page.query_terms[0].tolist())),
        where=f"day {page.day[0]}, {minutes // 60:02d}:{minutes % 60:02d}, {DEVICES[int(page.device[0])]}",
        place=f"visit {page.visit[0] + 1}, search {page.search[0] + 1}, page {page.page[0] + 1}",
        is_first=bool(page.page[0] == 0),
        n_results=int((page.candidates >= 0).sum()),
        n_slots=world.params.n_shown,
        cards=() if outcome is None else _cards(world, state, page, take(outcome, one), show_truth),
        ending="" if outcome is None else ("leaves" if outcome.session_over[row] else "goes on"),
        filters=world.demand.words(int(page.locale[0]), tuple(page.filters[0].tolist())),
    )


def with_next(page: ResultPage, is_same_query: bool, n_filters: int = 0) -> ResultPage:
    """The page of a shopper who went on, saying how.

    Args:
        page: The page.
        is_same_query: Whether the next one is a further page of the same query.
        n_filters: How many filters are set on the next one.
    """
    again = "sets a filter" if n_filters > len(page.filters) else "asks again"
    return dataclasses.replace(page, ending="looks further" if is_same_query else again)


def page_text(page: ResultPage) -> str:
    """The page as plain text: the query, what was understood, and a line a result with what the shopper did."""
    words = ", ".join(f"{kind} {word}" for kind, word in page.understood) or "nothing"
    lines = [
        f"[{page.locale}] {page.query}" + "".join(f"  [{kind}: {word}]" for kind, word in page.filters),
        f"  understood: {words}",
        f"  {page.where}; {page.place}; {page.n_results} results",
    ]
    for slot, card in enumerate(page.cards, start=1):
        if card is None:
            lines.append(f"{slot:3d}. -")
            continue
        worth = "" if card.worth is None else f"  worth {_bar(card.worth)}"
        rating = "" if card.rating is None else f"{stars(card.rating)} {card.rating:.1f}"
        off = f"[-{card.off}%]  " if card.off else ""
        placed = f"[{card.placed}]  " if card.placed else ""
        told = f"{rating}{worth}  {off}{placed}{card.mark}"
        lines.append(f"{slot:3d}. {card.title:<56.56} {card.price:>11}  {told}".rstrip())
    if page.ending:
        lines.append(f"  the shopper {page.ending}")
    return "\n".join(lines)


def stars(rating: float) -> str:
    """Five stars, as many of them full as the rating says when rounded."""
    full = int(rating + 0.5)
    return "★" * full + "☆" * (5 - full)


def price_text(locale: str, price: float) -> str:
    """A price in euros as the locale writes it, without separators of thousands."""
    language = locale.partition("-")[0]
    if language == "en":
        return f"€{price:.2f}"
    amount = f"{price:.2f}".replace(".", ",")
    return f"€ {amount}" if language == "nl" else f"{amount} €"


def _cards(world: World, state: State, page: Page, outcome: Outcome, show_truth: bool) -> tuple[Card | None, ...]:
    catalogue, locale, house = world.catalogue, int(page.locale[0]), world.params.house
    items = full_page(house, outcome.items, page.house)
    price = prices(world.calendar, catalogue, items, page.day)[0][0].tolist()
    usual = catalogue.price[np.maximum(items[0], 0)].tolist()
    names = world.demand.titles(locale, np.maximum(items[0], 0))
    worths = _worth(world, state, page, items).tolist() if show_truth else [None] * len(items[0])
    placed = dict(zip(house.places, house.labels(), strict=True))
    events = {
        "examined": full_page(house, outcome.examined, outcome.house_examined),
        "clicked": full_page(house, outcome.clicked, outcome.house_clicked),
        "carted": full_page(house, outcome.carted, outcome.house_carted),
        "bought": full_page(house, outcome.purchased, outcome.house_purchased),
        "returned": full_page(house, outcome.returned, np.zeros_like(outcome.house_clicked)),
    }
    return tuple(
        None
        if item < 0
        else Card(
            title=names[slot],
            price=price_text(world.demand.locales[locale], price[slot]),
            brand=catalogue.brands[catalogue.brand[item]],
            rating=float(catalogue.rating[item]) if catalogue.is_rated else None,
            colour=world.demand.colours[catalogue.colour[item]] if catalogue.colour[item] >= 0 else "",
            worth=worths[slot],
            placed=placed.get(slot, ""),
            off=max(0, round(100 * (1 - price[slot] / usual[slot]))),
            **{name: bool(happened[0, slot]) for name, happened in events.items()},
        )
        for slot, item in enumerate(items[0].tolist())
    )


def _worth(world: World, state: State, page: Page, items: I32) -> npt.NDArray[np.float64]:
    """(K,) expected reward of examined items, as a share of the best candidate's."""
    known = [worth(world, state, each) for each in (page.candidates, items)]
    best, shown = ((each.attraction * click_values(world, each))[0] for each in known)
    top = max(best.max(), shown.max())  # the market may have placed the best itself
    return shown / top if top > 0 else np.zeros_like(shown)


def _bar(share: float) -> str:
    full = round(share * BAR)
    return "▰" * full + "▱" * (BAR - full)
