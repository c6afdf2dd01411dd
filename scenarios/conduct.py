"""What a policy does to shoppers over their lives: what it is worth to each, and what it shows and how they fare.

Everybody who comes on day 0 counts, with nothing for the days after they left; nobody enters later. So a policy is paid
for whom it keeps, which a value per search does not say. Policies that face the same shoppers with the same luck can be
paired by shopper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.catalogue import I64
from simenv.decision import Policy
from simenv.mind import satiation_of
from simenv.play import Step, play
from simenv.truth import truth_seed
from simenv.world import World

F64 = npt.NDArray[np.float64]

# What is told of a policy, in order, and how a reader is told of it.
CONDUCT: dict[str, str] = {
    "visits": "visits a shopper",
    "returning": "visits after which the shopper comes back",
    "searches": "pages a shopper",
    "clicks": "clicks a page",
    "purchases": "purchases a shopper",
    "rating": "stars of what is shown",
    "quality": "hidden quality of what is shown",
    "bait": "hidden bait of what is shown",
    "categories": "categories on a page",
    "entropy": "entropy of the categories on a page, nats",
    "seen": "slots of a category that an earlier visit was shown",
    "satiation": "satiation with what is shown",
}


@dataclass(frozen=True)
class Conduct:
    """What came of a policy. worth: (U,) expected reward of each shopper's life. figures: by the names of CONDUCT."""

    worth: F64
    figures: dict[str, float]


def conduct(world: World, policy: Policy, seed: int, shoppers: I64) -> Conduct:
    """Play shoppers from day 0 to their end, or to the horizon.

    Args:
        world: The market; its `horizon_days` are those that count.
        policy: Who ranks.
        seed: `simenv.truth.truth_seed` of it is played: never the luck of a log or of a training.
        shoppers: (U,) ids, ascending.
    """
    worth, total = np.zeros(len(shoppers)), dict.fromkeys((*CONDUCT, "ended", "shown"), 0.0)
    seen = np.zeros(
        (len(shoppers), len(world.catalogue.departments)), dtype=np.int32
    )  # first visit that showed it, from 1
    for step in play(world, policy, truth_seed(seed), shoppers):
        who = np.searchsorted(shoppers, step.state.shopper)
        worth[who] += step.outcome.expected.sum(axis=1)
        for name, sum_of_page in _sums(world, step, seen, who).items():
            total[name] += sum_of_page
    return Conduct(worth, _figures(total, len(shoppers)))


def _sums(world: World, step: Step, seen: npt.NDArray[np.int32], who: I64) -> dict[str, float]:
    """Sums over the pages of a step; notes in `seen` what is shown."""
    outcome, catalogue, items = step.outcome, world.catalogue, step.outcome.items
    here, item = items >= 0, np.maximum(items, 0)
    category, visit = catalogue.category[item], step.state.visit + 1
    again = seen[who[:, None], category]
    alike = (category[:, :, None] == category[:, None, :]) & here[:, :, None] & here[:, None, :]
    filled = np.maximum(here.sum(axis=1, keepdims=True), 1)
    share = alike.sum(axis=2) / filled  # of the page, of each slot's category
    sums = {
        "visits": (step.state.step == 0).sum(),
        "ended": outcome.session_over.sum(),
        "returning": (outcome.session_over & ~outcome.gone).sum(),
        "searches": len(items),
        "clicks": outcome.clicked.sum(),
        "purchases": outcome.purchased.sum(),
        "shown": here.sum(),
        "rating": catalogue.rating[item][here].sum(dtype=np.float64),
        "quality": catalogue.quality[item][here].sum(dtype=np.float64),
        "bait": catalogue.bait[item][here].sum(dtype=np.float64),
        "categories": (1.0 / np.maximum(alike.sum(axis=2), 1))[here].sum(),
        "entropy": -(np.log(np.where(here, share, 1.0)) / filled).sum(),
        "seen": ((again > 0) & (again < visit[:, None]) & here).sum(),
        "satiation": satiation_of(step.state.mind, catalogue, items).sum(dtype=np.float64),
    }
    row, slot = np.nonzero(here)
    first = seen[who[row], category[row, slot]] == 0
    seen[who[row[first]], category[row[first], slot[first]]] = visit[row[first]]
    return {name: float(value) for name, value in sums.items()}


def _figures(total: dict[str, float], n_shoppers: int) -> dict[str, float]:
    per_slot, per_page = max(1.0, total["shown"]), max(1.0, total["searches"])
    unit = {"visits": n_shoppers, "searches": n_shoppers, "purchases": n_shoppers, "returning": total["ended"]}
    unit |= {"clicks": per_page, "categories": per_page, "entropy": per_page}
    return {name: total[name] / unit.get(name, per_slot) for name in CONDUCT}
