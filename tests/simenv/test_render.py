"""Rendering: what is drawn is what happened, in letters that every locale can read."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from simenv.draw import font, page_image, page_pixels
from simenv.env import SearchEnv
from simenv.house import HouseSlots
from simenv.params import Conversion, Filters
from simenv.postclick import PostClick
from simenv.render import price_text, stars
from simenv.vector_env import SearchVectorEnv
from simenv.worlds import WORLDS, load_world


def played(mode: str, n: int = 6, n_steps: int = 1, show_truth: bool = False) -> SearchVectorEnv:
    env = SearchVectorEnv(n, "tiny", render_mode=mode, show_truth=show_truth)
    env.reset(seed=0)
    for _ in range(n_steps):
        env.step(np.tile(np.arange(3), (n, 1)))
    return env


def test_before_the_first_step_only_the_query_is_shown() -> None:
    env = played("ansi", n_steps=0)
    pages = env.render()
    assert pages is not None
    for row, (text, query) in enumerate(zip(pages, env.query_strings(), strict=True)):
        assert isinstance(text, str)
        first, second, *rest = text.splitlines()
        assert first == f"[{load_world('tiny').demand.locales[env.page.locale[row]]}] {query}"
        assert second.startswith("  understood: ")
        assert len(rest) == 1
        assert env.result_page(row).cards == ()


def test_after_a_step_the_page_that_was_shown_is_told_with_what_came_of_it() -> None:
    env = SearchVectorEnv(60, "tiny", render_mode="ansi")
    env.reset(seed=0)
    marks: set[str] = set()
    for _ in range(6):
        asked, over = env.query_strings(), env._over
        *_, info = env.step(np.tile(np.arange(3), (60, 1)))
        pages = env.render()
        assert pages is not None
        assert env.outcome is not None
        for row, text in enumerate(pages):
            assert isinstance(text, str)
            if over[row]:  # a new episode: its own query and nothing shown
                assert text.splitlines()[0].endswith(env.query_strings()[row])
                assert len(text.splitlines()) == 3
                continue
            assert text.splitlines()[0].endswith(f"] {asked[row]}")
            page = env.result_page(row)
            for slot, card in enumerate(page.cards):
                if card is None:
                    assert info["items"][row, slot] == -1
                    continue
                did = (card.examined, card.clicked, card.carted, card.bought)
                assert did == tuple(
                    bool(column[row, slot])
                    for column in (env.outcome.examined, info["clicked"], info["carted"], info["purchased"])
                )
                assert card.worth is None
                line = text.splitlines()[3 + slot]
                assert card.title[:50] in line
                assert card.price in line
                assert line.endswith(card.mark)
                marks.add(card.mark)
            assert (page.ending == "leaves") == env.outcome.session_over[row]
    assert marks == {"", "examined", "clicked", "carted", "bought"}


def test_truth_is_told_only_where_it_was_asked_for() -> None:
    told = played("ansi", show_truth=True)
    worth = [card.worth for row in range(6) for card in told.result_page(row).cards if card is not None]
    assert all(share is not None and 0.0 < share <= 1.0 for share in worth)
    assert "worth" in str(told.render())
    assert "worth" not in str(played("ansi").render())


def test_how_the_shopper_goes_on_is_what_the_next_page_is() -> None:
    env = SearchVectorEnv(80, "tiny", render_mode="ansi")
    env.reset(seed=1)
    env.step(np.tile(np.arange(3), (80, 1)))
    endings = [env.result_page(row).ending for row in range(80)]
    for row, ending in enumerate(endings):
        if ending == "looks further":
            assert env.page.page[row] == 1
        if ending == "asks again":
            assert (env.page.page[row], env.page.search[row]) == (0, 1)
    assert set(endings) == {"leaves", "looks further", "asks again"}


def test_pictures_have_one_size_and_one_look() -> None:
    env = SearchEnv("default", render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(4):
        *_, over, _, _ = env.step(np.arange(5))
        pictures.append(env.render())
        if over:
            env.reset()
    first = pictures[0]
    assert isinstance(first, np.ndarray)
    assert (first.shape, first.dtype) == ((654, 480, 3), np.uint8)
    assert all(isinstance(each, np.ndarray) and each.shape == first.shape for each in pictures)
    again = SearchEnv("default", render_mode="rgb_array")
    again.reset(seed=0)
    assert np.array_equal(first, np.asarray(again.render()))
    assert not np.array_equal(first, np.asarray(pictures[1]))


def test_marks_and_worth_can_be_seen() -> None:
    """Each thing that a shopper did, and each thing that is told, changes the picture."""
    env = played("rgb_array")
    page = env.result_page(0)
    card = next(card for card in page.cards if card is not None)
    plain = dataclasses.replace(card, examined=False, clicked=False, carted=False, bought=False)
    steps = [
        plain,
        dataclasses.replace(plain, examined=True),
        dataclasses.replace(plain, examined=True, clicked=True),
        dataclasses.replace(plain, examined=True, clicked=True, carted=True),
        dataclasses.replace(plain, examined=True, clicked=True, carted=True, bought=True),
        dataclasses.replace(plain, worth=0.7),
    ]
    pictures = [page_pixels(dataclasses.replace(page, cards=(each, *page.cards[1:]))).tobytes() for each in steps]
    pictures.append(page_pixels(dataclasses.replace(page, cards=(None, *page.cards[1:]))).tobytes())
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("n_slots", [1, 6, 7, 20])
def test_pages_of_every_length_and_words_of_every_width_are_drawn(n_slots: int) -> None:
    world = dataclasses.replace(WORLDS["default"], n_slots=n_slots)
    env = SearchEnv(world, render_mode="rgb_array", show_truth=True)
    env.reset(seed=0)
    env.step(np.arange(n_slots))
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    assert picture.shape[0] % 2 == 0
    page = env.rows.result_page(0)
    cards = tuple(card and dataclasses.replace(card, title="Donaudampfschifffahrt " * 9) for card in page.cards)
    words = tuple((kind, "ß" * 80) for kind in ("category", "brand", "colour"))
    long = page_image(dataclasses.replace(page, query="w" * 300, understood=words, cards=cards), typed=290)
    assert (long.width, long.height) == (picture.shape[1], picture.shape[0])


def test_a_gymnasium_recording_gets_its_frames() -> None:
    env = gymnasium.make("simenv/Search-v0", world="tiny", render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(np.arange(3))
    frames = env.render()
    assert isinstance(frames, list)
    assert len(frames) == 2


def test_nothing_is_kept_for_who_does_not_look() -> None:
    silent = SearchVectorEnv(2, "tiny")
    silent.reset(seed=0)
    silent.step(np.tile(np.arange(3), (2, 1)))
    assert silent.render() is None
    assert silent._shown is None
    with pytest.raises(ResetNeeded, match="rendering"):
        SearchVectorEnv(1, "tiny", render_mode="ansi").render()


@pytest.mark.parametrize(
    ("locale", "text"), [("en-GB", "€1234.50"), ("de-DE", "1234,50 €"), ("nl-BE", "€ 1234,50"), ("fr-BE", "1234,50 €")]
)
def test_prices_are_written_as_the_locale_writes_them(locale: str, text: str) -> None:
    assert price_text(locale, 1234.5) == text


def test_stars_are_rounded() -> None:
    assert [stars(rating) for rating in (1.0, 3.4, 3.5, 5.0)] == ["★☆☆☆☆", "★★★☆☆", "★★★★☆", "★★★★★"]


def test_every_letter_of_every_locale_can_be_drawn(repository: Path) -> None:
    """A letter that the font lacks is drawn as its sign for missing letters."""
    files = list((repository / "simenv" / "language" / "data").rglob("*.toml"))
    letters = set("".join(path.read_text(encoding="utf-8") for path in files)) - {"\n"}
    letters = {each for letter in letters for each in (letter, *letter.upper(), *letter.lower())}
    letters |= set("éßłąęśźżćńóåäöæœçñ¿¡ÿŁ€–—…★✓·")
    for bold in (False, True):
        face = font(24, bold)
        missing = bytes(face.getmask("\U0010fffd"))
        assert [letter for letter in sorted(letters) if bytes(face.getmask(letter)) == missing] == []
        assert bytes(face.getmask("漢")) == missing  # the check finds what is not there
    assert {"ß", "é"} <= letters


def test_the_fonts_bring_their_licence() -> None:
    licence = resources.files("simenv").joinpath("fonts", "LICENSE_DEJAVU").read_text(encoding="utf-8")
    assert "Bitstream Vera" in licence
    assert "Permission is hereby granted" in licence


def test_what_the_market_placed_set_and_took_back_is_marked() -> None:
    params = dataclasses.replace(
        WORLDS["tiny"],
        n_candidates=16,
        house=HouseSlots(sponsored=(0,), pinned=(2,)),
        post_click=PostClick(returns=0.5),
        filters=Filters(weight=5.0),
        conversion=Conversion(cart_base=0.0),
    )
    env = SearchVectorEnv(60, params, render_mode="ansi")
    env.reset(seed=0)
    texts: list[str] = []
    endings: set[str] = set()
    pages = []
    for _ in range(12):
        env.step(np.tile(np.arange(3), (60, 1)))
        texts += [str(text) for text in env.render() or ()]
        pages += [env.result_page(row) for row in range(60)]
    assert env.outcome is not None
    endings = {page.ending for page in pages}
    assert "sets a filter" in endings
    shown = [page for page in pages if page.cards]
    for page in shown:
        assert len(page.cards) == page.n_slots == 5
        assert [card.placed if card else "" for card in page.cards][1::2] == ["", ""]
        assert all(
            card is None or card.placed == ("sponsored", "", "pinned", "", "")[k] for k, card in enumerate(page.cards)
        )
    every = "\n".join(texts)
    for mark in ("[sponsored]", "[pinned]", "  returned"):
        assert mark in every
    chips = next(page for page in shown if page.filters)
    kind, word = chips.filters[0]
    assert f"  [{kind}: {word}]" in every
    plain = dataclasses.replace(chips, filters=())
    assert page_pixels(chips).tobytes() != page_pixels(plain).tobytes()
    card = next(card for page in shown for card in page.cards if card is not None and card.placed)
    marks = {
        page_pixels(dataclasses.replace(chips, cards=(each, *chips.cards[1:]))).tobytes()
        for each in (card, dataclasses.replace(card, placed=""), dataclasses.replace(card, bought=True, returned=True))
    }
    assert len(marks) == 3


def test_a_price_below_the_catalogues_says_by_how_much() -> None:
    """The per cent on the page are the day's price over the catalogue's, from 0.5 on; only cheaper items carry them."""
    env = SearchVectorEnv(60, "sale", render_mode="ansi")
    env.reset(seed=0)
    env.step(np.tile(np.arange(env.world.params.n_slots), (60, 1)))
    assert env.outcome is not None
    catalogue, marked = env.world.catalogue, 0
    texts = env.render() or ()
    for row, text in enumerate(texts):
        for card, item in zip(env.result_page(row).cards, env.outcome.items[row].tolist(), strict=True):
            if card is None:
                continue
            paid = float(re.sub(r"[^\d.]", "", card.price.replace(",", ".")))
            # Both prices are rounded: half a cent, and half a per cent.
            assert abs(paid - (1 - card.off / 100) * catalogue.price[item]) < 0.005 + 0.006 * catalogue.price[item]
            marked += card.off > 0
            assert not card.off or f"[-{card.off}%]" in str(text)
    assert 20 < marked < 280  # of 300 places
    plain = SearchVectorEnv(5, "tiny", render_mode="ansi")
    plain.reset(seed=0)
    plain.step(np.tile(np.arange(3), (5, 1)))
    assert all("%]" not in str(text) for text in plain.render() or ())
