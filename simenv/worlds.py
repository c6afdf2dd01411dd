"""WORLDS: the named markets.

A world is registered by one line; `gymnasium.make("simenv/Search-v0", world=NAME)` and every scenario find it here.
Wherever a name is taken, the path of a world file (`simenv.world_file`) or of a real market (`simenv.real.mapping`) is
taken too.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

from simenv.abandonment import Abandonment
from simenv.clicks import CLICK_MODELS, Cascade
from simenv.compiled.backend import Backend
from simenv.errors import UserError, unknown_name
from simenv.habits import Boredom, Habits, Influence, Satiation, Trust
from simenv.house import HouseSlots
from simenv.market import LIVELY, Churn, Market, Prices, Seasons, Shock, Stock
from simenv.params import Attraction, Conversion, Dynamics, Filters, Shoppers, WorldParams
from simenv.postclick import PostClick
from simenv.real.mapping import is_mapping
from simenv.world import World, make_world
from simenv.world_file import SUFFIX, read_world

_FULL_QUESTION = (
    "Everything is on: do the mechanisms add up, or get in each other's way? Of the clicks that a search brings "
    "production in `default`, the house alone leaves 63%, habits 95%, the market 98%, abandonment 100%, filters 101%: "
    "multiplied 59%, and all together 59%. The myopic oracle keeps 53% either way."
)
_DEFAULT = WorldParams(
    question="How much does ranking by hidden taste add to a lexical and popularity ranker, and can a log tell? In "
    "words' order a search brings 0.61 clicks, in production's 0.63, in the myopic oracle's 1.51. Words lose 3.9%, and "
    "ten logs of 4,000 shoppers say 4.0% (+-0.2; one log +-0.5)."
)

WORLDS: dict[str, WorldParams] = {
    "default": _DEFAULT,
    "cascade": dataclasses.replace(
        _DEFAULT,
        question="What happens to item-position weights when shoppers stop at the first attractive item? They "
        "exaggerate: words lose 2.0% of production's clicks, and ten logs of 4,000 shoppers say 3.6% (+-0.2); joint "
        "weights say 2.8% (+-0.5). The placebo sees it, z = 24.",
        click_model=Cascade(continuation=0.95),
    ),
    "dbn": dataclasses.replace(
        _DEFAULT,
        question="Where the item that satisfies ends the page, is clickbait at the top still worth its clicks? More: "
        "the page of most clicks opens with bait; it gets 11.6% (+-0.1) more than sorting by attraction and sells 48% "
        "less. Sorting as if there were no bait costs 2.4% of the clicks and sells 2.5% more.",
        click_model=CLICK_MODELS["dbn"](50),
    ),
    "ubm": dataclasses.replace(
        _DEFAULT,
        question="Where a click draws the eye to the slots below it, how far off are item-position weights? Not far: "
        "on ten logs of 4,000 shoppers they value words 0.9% (+-0.3) too high, joint weights 0.8% (+-0.9). The placebo "
        "sees it all the same, z = 7.",
        click_model=CLICK_MODELS["user-browsing"](50),
    ),
    "choice": dataclasses.replace(
        _DEFAULT,
        question="Where the items of a page compete for one click, does anything but joint weights find its value? On "
        "ten logs of 4,000 shoppers item-position weights value words 2.4% (+-0.3) too low, joint weights 1.2% "
        "(+-0.6); the placebo sees it, z = 12.",
        click_model=CLICK_MODELS["multinomial-logit"](50),
    ),
    "impersonal": dataclasses.replace(
        _DEFAULT,
        question="Does personalisation claim a gain where nobody has a taste of their own? No: clicked styles add 23% "
        "to words in `default` and -0.5% (+-0.1) here; the oracle gains 48% by tastes there, and 0 here.",
        attraction=Attraction(base=-3.6, taste=0.0, price=0.0, loyalty=0.0),
        conversion=Conversion(cart_taste=0.0),
        shoppers=Shoppers(loyal_share=0.0),
        dynamics=Dynamics(taste_drift=0.0),
    ),
    "clickbait": dataclasses.replace(
        _DEFAULT,
        question="Does a ranker that goes by clicks sell less where bait draws them? A third less: by attraction a "
        "search sells 0.145, by attraction * P(purchase | click) 0.215, with 19% fewer clicks.",
        attraction=Attraction(bait=1.2, quality=0.0),
        conversion=Conversion(cart_base=-4.2, cart_quality=1.2),
    ),
    "revenue": dataclasses.replace(
        _DEFAULT,
        question="Which ranking earns most, when the reward is rare and heavy-tailed? By expected revenue a search "
        "earns 5.4 euros, 11.4% (+-0.1) more than by clicks; by expected purchases 6.1% (+-0.1) more.",
        reward="revenue",
    ),
    "trust": dataclasses.replace(
        _DEFAULT,
        question=(
            "Clickbait pays today and costs the return: what is not showing it worth? Over 28 days the myopic "
            "oracle earns 7.5 clicks a shopper; ranked by attraction * exp(0.6 quality - 0.9 bait) they bring "
            "13.6, 81% more (standard error 1.7%)."
        ),
        attraction=Attraction(bait=1.0, quality=0.0),
        shoppers=Shoppers(mean_gap_days=2.0),
        dynamics=Dynamics(return_base=0.8, return_gain=0.1),
        habits=Habits(trust=Trust(start=0.6, rate=0.2, quality=0.8, bait=1.2, click=2.0, return_gain=1.0)),
    ),
    "retention": dataclasses.replace(
        _DEFAULT,
        question=(
            "Few things satisfy, and who is satisfied comes back: are today's clicks the right aim? Over 28 days "
            "the myopic oracle earns 12.3 clicks a shopper; ranked by attraction * (1 + P(cart | click)) they "
            "bring 14.6, 19% more (standard error 1.0%)."
        ),
        attraction=Attraction(quality=0.0),
        conversion=Conversion(cart_base=-6.0, cart_quality=3.5, buy_base=3.0),
        shoppers=Shoppers(mean_gap_days=1.5),
        dynamics=Dynamics(return_base=0.2, return_gain=1.1),
    ),
    "satiation": dataclasses.replace(
        _DEFAULT,
        question=(
            "Who has bought wants no more of it for a while: what does a sale cost? Under the myopic oracle a "
            "search brings 1.20 clicks, and 1.36 where nothing sates; over 28 days a shopper clicks 9% and buys "
            "10% less."
        ),
        conversion=Conversion(cart_base=-2.4),
        shoppers=Shoppers(mean_gap_days=1.5),
        dynamics=Dynamics(return_base=0.8, return_gain=0.15),
        habits=Habits(satiation=Satiation(half_life_days=20.0, click=2.5, cart=1.0, intent=0.3)),
    ),
    "long-term": dataclasses.replace(
        _DEFAULT,
        question=(
            "Satisfaction brings back and purchases sate: does a policy that learns for thirty days beat one that "
            "learns for the click? The myopic oracle earns 12.1 clicks a shopper, the best index that adds "
            "satisfaction 13.7; PPO with a future 8.0, the best bandit 7.5 (+0.50 +-0.12, 95%, five seeds)."
        ),
        attraction=Attraction(quality=0.0),
        conversion=Conversion(cart_base=-6.0, cart_quality=3.5, buy_base=3.0),
        shoppers=Shoppers(mean_gap_days=1.5, horizon_days=30),
        dynamics=Dynamics(return_base=0.2, return_gain=1.1),
        habits=Habits(satiation=Satiation()),
    ),
    "boredom": dataclasses.replace(
        _DEFAULT,
        question=(
            "Who clicked much in a category is bored by it for days: how far does that wear out a good ranking? "
            "The myopic oracle gets 1.13 clicks a search, and 1.38 where nothing bores; the more one clicks the "
            "more: -14% a shopper, and -10.5% where production ranks greedily."
        ),
        shoppers=Shoppers(mean_gap_days=1.5),
        dynamics=Dynamics(return_base=0.8, return_gain=0.15),
        habits=Habits(boredom=Boredom(of="category", tolerance=2.0, weight=1.0, half_life_days=7.0)),
    ),
    "influence": dataclasses.replace(
        _DEFAULT,
        question=(
            "Taste follows what is shown: does one ranking for all make all alike? By their last search the "
            "variance of tastes has shrunk to 31% under pages that are not personal, and to 48% "
            "under the myopic oracle."
        ),
        shoppers=Shoppers(mean_gap_days=1.5),
        dynamics=Dynamics(taste_drift=0.0, return_base=0.8, return_gain=0.15),
        habits=Habits(influence=Influence(rate=0.1)),
    ),
    "sponsored": dataclasses.replace(
        _DEFAULT,
        question=(
            "The shop fills three of eight places itself, two of them with advertisements: what does the ranking lose? "
            "On eight places of its own the myopic oracle gets 1.63 clicks a search and production 0.79; on the five "
            "that are left 0.88 and 0.40. The house gets 0.36 clicks and 0.18 euros."
        ),
        house=HouseSlots(sponsored=(0, 5), pinned=(2,)),
    ),
    "returns": dataclasses.replace(
        _DEFAULT,
        question=(
            "Is what sells best what stays sold? Ranked by expected revenue a search sells for 9.0 euros, and 6.3 of "
            "them stay (+-0.07); by expected revenue less returns it sells for 8.4, and 6.8 stay. Ranked by "
            "attraction, 46% of purchases come back and 3.9 euros stay."
        ),
        reward="net revenue",
        attraction=Attraction(bait=1.2, quality=0.0),
        conversion=Conversion(cart_base=-3.4, cart_quality=0.6),
        post_click=PostClick(dwell=25.0, returns=0.08, regret=1.5),
        abandonment=Abandonment(good=0.3, bad=0.3),
    ),
    "facets": dataclasses.replace(
        _DEFAULT,
        question=(
            "A filter says what the query did not: how much of the ranking's work does it do? With it the same "
            "searches bring production 29% more clicks (0.54 to 0.69), random order 34%, and the myopic oracle, whose "
            "choice it narrows, 2% (1.41 to 1.44); standard errors are 1%, 1% and 0.4%."
        ),
        filters=Filters(weight=4.0),
        dynamics=Dynamics(page_down=0.25),
    ),
    "churn": dataclasses.replace(
        _DEFAULT,
        question="What does ranking by past sales cost where items come and go? New items, little today: production "
        "gives them 5% of the slots in its last two weeks, where 33% of the candidates are new, and taking them for "
        "average moves its clicks by -0.1% (+-0.1).",
        market=Market(churn=Churn(new_share=0.4, gone_share=0.2)),
    ),
    "scarce": dataclasses.replace(
        _DEFAULT,
        question="Does an A/B test tell the truth where both arms take from one shelf? Ranking by truth instead of "
        "words sells .131 more a search where everybody gets it; the test says .155.",
        reward="purchases",
        n_items=1600,
        conversion=Conversion(cart_base=-2.4),
        market=Market(stock=Stock(units=0.5, restock_days=7)),
    ),
    "sale": dataclasses.replace(
        _DEFAULT,
        question="What is it worth to know today's price? Little: production sells 2.5% (+-0.2) more when it counts "
        "the week's discounts too, 4.7% (+-0.3) when it counts the catalogue's prices, and 4.8% (+-0.2) when it counts "
        "today's.",
        reward="purchases",
        conversion=Conversion(cart_base=-3.4, buy_price=0.8),
        market=Market(prices=Prices(step=0.05, sale_share=0.2, sale_depth=0.4)),
    ),
    "season": dataclasses.replace(
        _DEFAULT,
        question="Can two seasons be compared instead of two rankers? Production earns 14% more than words in either "
        "half; swapped in half-way it seems to earn 1% (+-2) more, and without seasons 8% (+-2) more.",
        reward="revenue",
        conversion=Conversion(cart_base=-3.4),
        shoppers=Shoppers(horizon_days=56),
        market=Market(seasons=Seasons(strength=1.0, period_days=56)),
    ),
    "shock": dataclasses.replace(
        _DEFAULT,
        question="How fast does personalisation follow when everybody's taste moves overnight? Clicked styles add 16% "
        "to words before it, 21% in the three days after, 30% later; who knows the new taste adds 83% at once.",
        market=Market(shocks=(Shock("taste", day=14, size=4.0),)),
    ),
    "full": dataclasses.replace(
        _DEFAULT,
        question=_FULL_QUESTION,
        habits=Habits.all_on(),
        market=LIVELY,
        house=HouseSlots(sponsored=(0, 5), pinned=(2,)),
        post_click=PostClick(dwell=25.0, returns=0.08),
        abandonment=Abandonment(good=0.3, bad=0.3),
        filters=Filters(weight=1.0),
    ),
    "tiny": dataclasses.replace(
        _DEFAULT,
        question="Is everything wired up? Small enough to enumerate: 8 candidates, 3 slots. In each of 8,615 searches "
        "the oracle's page is the best of all 336. It brings 0.65 clicks, production's 0.44, the average one 0.31.",
        n_items=1600,
        n_brands=8,
        n_style=3,
        n_candidates=8,
        n_slots=3,
    ),
}


def load_world(name: str, backend: Backend = "auto") -> World:
    """The market of that name or file, built once per process; see `make_world` for the backend.

    Raises:
        UserError: for a name that is not in WORLDS, a file that describes no world, or a backend that cannot play it.
    """
    return _market(world_params(name), backend)


def world_params(name: str) -> WorldParams:
    """The parameters of a named world, or of what a path that ends in .toml describes.

    That is a real market where the file has a table [products] (see `simenv.real.mapping`), else a world file (see
    `simenv.world_file`).

    Raises:
        UserError: for a name that is not in WORLDS, or a file that describes no world.
    """
    if name.endswith(SUFFIX):
        if is_mapping(Path(name)):
            from simenv.real.market import market_params

            return market_params(Path(name), WORLDS["default"])
        return read_world(Path(name), WORLDS)
    if name not in WORLDS:
        if (Path(name) / "market.toml").is_file():
            raise UserError(f"'{name}' is a folder; a real market is named by its file: {Path(name) / 'market.toml'}.")
        _refuse_peer(name)
        raise unknown_name("world", name, WORLDS)
    return WORLDS[name]


def _refuse_peer(name: str) -> None:
    """Raise for a market of a peer: listed with the worlds, it has states and actions of its own for Gymnasium alone.

    Imported late, for whoever names a world of ours needs none of them.
    """
    from simenv.peers.worlds import PEER_WORLDS

    if name in PEER_WORLDS:
        raise UserError(
            f"the world '{name}' is a market of its own kind, which no policy, log or scenario of ours fits. "
            f'Play it in Python: gymnasium.make("{PEER_WORLDS[name].env}"); its rankers are in simenv.peers.worlds.'
        )


@lru_cache(maxsize=8)
def _market(params: WorldParams, backend: Backend) -> World:
    """By parameters, not by name: a file may change while a process runs."""
    return make_world(params, backend)
