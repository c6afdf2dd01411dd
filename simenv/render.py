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
from simenv.shoppers import DEVICES
from simenv.world import Outcome, Page, State, World
from simenv.worth import click_values, worth

Mark = Literal["", "examined", "clicked", "carted", "bought"]

BAR = 10  # characters of a full bar of true worth


@dataclass(frozen=True)
class Card:
    """One result.

    Attributes:
        title, price: As the shopper's locale writes them.
        brand: The brand's name.
        rating: Stars, 1 to 5.
        colour: The item's internal colour name, "" for none.
        examined, clicked, carted, bought: What the shopper did. Whether a result was examined is hidden truth, which no
            log of a real shop holds.
        worth: Hidden: the expected reward of the result once examined, as a share of the best candidate's; None where
            truth was not asked for.
    """

    title: str
    price: str
    brand: str
    rating: float
    colour: str
    examined: bool
    clicked: bool
    carted: bool
    bought: bool
    worth: float | None

    @property
    def mark(self) -> Mark:
        """The furthest that the shopper went with this result."""
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
        where: Day, time and device.
        place: Which page of which search of which visit, counted from 1.
        is_first: Whether it is the first page of its query.
        n_results: Candidates that the engine found for this page.
        n_slots: K.
        cards: K results, None for an empty slot; nothing at all where no page was shown yet.
        ending: What came after: "leaves", "goes on", "looks further" (at the next page) or "asks again"; "" where no
            page was shown yet.
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
        n_slots=world.params.n_slots,
        cards=() if outcome is None else _cards(world, state, page, take(outcome, one), show_truth),
        ending="" if outcome is None else ("leaves" if outcome.session_over[row] else "goes on"),
    )


def with_next(page: ResultPage, is_same_query: bool) -> ResultPage:
    """The page of a shopper who went on, saying how: to the next page of the same query, or with another query."""
    return dataclasses.replace(page, ending="looks further" if is_same_query else "asks again")


def page_text(page: ResultPage) -> str:
    """The page as plain text: the query, what was understood, and a line a result with what the shopper did."""
    words = ", ".join(f"{kind} {word}" for kind, word in page.understood) or "nothing"
    lines = [
        f"[{page.locale}] {page.query}",
        f"  understood: {words}",
        f"  {page.where}; {page.place}; {page.n_results} results",
    ]
    for slot, card in enumerate(page.cards, start=1):
        if card is None:
            lines.append(f"{slot:3d}. -")
            continue
        worth = "" if card.worth is None else f"  worth {_bar(card.worth)}"
        lines.append(
            f"{slot:3d}. {card.title:<56.56} {card.price:>11}  {stars(card.rating)} {card.rating:.1f}{worth}"
            f"  {card.mark}".rstrip()
        )
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
    catalogue, locale = world.catalogue, int(page.locale[0])
    items = outcome.items[0]
    price = prices(world.calendar, catalogue, outcome.items, page.day)[0][0].tolist()
    names = world.demand.titles(locale, np.maximum(items, 0))
    worths = _worth(world, state, page, outcome.items).tolist() if show_truth else [None] * len(items)
    return tuple(
        None
        if item < 0
        else Card(
            title=names[slot],
            price=price_text(world.demand.locales[locale], price[slot]),
            brand=catalogue.brands[catalogue.brand[item]],
            rating=float(catalogue.rating[item]),
            colour=world.demand.colours[catalogue.colour[item]] if catalogue.colour[item] >= 0 else "",
            examined=bool(outcome.examined[0, slot]),
            clicked=bool(outcome.clicked[0, slot]),
            carted=bool(outcome.carted[0, slot]),
            bought=bool(outcome.purchased[0, slot]),
            worth=worths[slot],
        )
        for slot, item in enumerate(items.tolist())
    )


def _worth(world: World, state: State, page: Page, items: I32) -> npt.NDArray[np.float64]:
    """(K,) expected reward of examined items, as a share of the best candidate's."""
    known = [worth(world, state, each) for each in (page.candidates, items)]
    best, shown = ((each.attraction * click_values(world, each))[0] for each in known)
    return shown / best.max() if best.max() > 0 else np.zeros_like(shown)


def _bar(share: float) -> str:
    full = round(share * BAR)
    return "▰" * full + "▱" * (BAR - full)
