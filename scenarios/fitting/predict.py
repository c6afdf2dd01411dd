"""Drawing worlds from the approximate posterior of a fit, and the logs that they would make."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.ranking import RankingPolicy
from scenarios.fitting.check import compare, frequent_locales, statistics
from scenarios.fitting.knobs import Knobs
from scenarios.fitting.market import Told
from scenarios.fitting.seen import Seen, seen_in_simulation
from scenarios.fitting.solve import Solution
from scenarios.fitting.summaries import fitted_clicks
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.params import Shoppers
from simenv.world import make_world

F64 = npt.NDArray[np.float64]
Row = dict[str, object]


@dataclass(frozen=True)
class Study:
    """A log that is imitated.

    Attributes:
        seen: The log.
        own: The items that its ids refer to.
        told: What it says outright.
        items: The items of the market that imitates it.
        policy: Who ranks there.
    """

    seen: Seen
    own: PublicCatalogue
    told: Told
    items: PublicCatalogue
    policy: RankingPolicy

    @property
    def n_shoppers(self) -> int:
        """Shoppers in the log."""
        return len(np.unique(self.seen.shopper))


def predict(
    study: Study, knobs: Knobs, solution: Solution, seeds: Sequence[int], advance: Callable[[], None]
) -> tuple[list[Row], list[Row]]:
    """The posterior predictive check: rows of statistics, and rows of the examination curve.

    Args:
        study: The log.
        knobs: What was moved.
        solution: Where to, and how surely.
        seeds: One a draw; the first number also draws the parameters.
        advance: Called after each draw.
    """
    locales = frequent_locales(study.seen)
    rng = np.random.default_rng(seeds[0])
    spread = _root(solution.covariance)
    drawn, curves = [], []
    for seed in seeds:
        params = knobs.params(solution.vector + spread @ rng.standard_normal(len(spread)))
        params = dataclasses.replace(params, shoppers=_with_drawn_shares(params.shoppers, study.n_shoppers, rng))
        made = seen_in_simulation(make_world(params), study.policy, seed, study.n_shoppers)
        drawn.append(statistics(made, study.items, locales))
        curves.append(_curve(made, study.items))
        advance()
    rows = compare(statistics(study.seen, study.own, locales), drawn)
    return rows, _curve_rows(_curve(study.seen, study.own), np.array(curves))


def _with_drawn_shares(shoppers: Shoppers, n: int, rng: np.random.Generator) -> Shoppers:
    """Shares of locales and devices as uncertain as n shoppers leave them: Dirichlet, with the counts as weights."""
    locale = rng.dirichlet(n * np.array(shoppers.locale_share) + 1e-6)
    device = rng.dirichlet(n * np.array(shoppers.device_share) + 1e-6)
    return dataclasses.replace(shoppers, locale_share=tuple(locale.tolist()), device_share=tuple(device.tolist()))


def _curve(seen: Seen, catalogue: PublicCatalogue) -> F64:
    """Examination by slot under a position-based model of merged documents, and click rates: (2, K)."""
    rate = seen.clicked.sum(axis=0) / np.maximum((seen.items >= 0).sum(axis=0), 1)
    try:
        curve = [1.0, *fitted_clicks("position-based", seen, catalogue).parameters.values()]
    except UserError:
        curve = [float("nan")] * len(rate)
    return np.array([curve, rate])


def _curve_rows(own: F64, drawn: F64) -> list[Row]:
    """Rows of the table `examination`; drawn: (draws, 2, K)."""
    rows: list[Row] = []
    for slot in range(own.shape[1]):
        made: Row = {"slot": slot + 1}
        for place, name in enumerate(("examination", "click_rate")):
            known = drawn[:, place, slot][np.isfinite(drawn[:, place, slot])]
            low, high = np.quantile(known, [0.05, 0.95]) if len(known) else (np.nan, np.nan)
            made |= {
                f"{name}_log": float(own[place, slot]),
                f"{name}_mean": float(known.mean()) if len(known) else float("nan"),
                f"{name}_low": float(low),
                f"{name}_high": float(high),
            }
        rows.append(made)
    return rows


def _root(covariance: F64) -> F64:
    """A square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root: F64 = vectors * np.sqrt(values.clip(0.0))
    return root
