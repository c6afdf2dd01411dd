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
from scenarios.fitting.query_mix import QueryMix, read_counts
from scenarios.fitting.seen import Seen, seen_in_simulation
from scenarios.fitting.solve import Solution
from scenarios.fitting.summaries import fitted_clicks
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language import load_lexicon
from simenv.params import WorldParams
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


@dataclass(frozen=True)
class Predicted:
    """Tables of the check: `predictive` statistics, the examination curve, the mix of queries (empty if not fitted)."""

    statistics: list[Row]
    examination: list[Row]
    query_mix: list[Row]


def predict(
    study: Study, knobs: Knobs, solution: Solution, seeds: Sequence[int], advance: Callable[[], None]
) -> Predicted:
    """The posterior predictive check.

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
    drawn, curves, mixes = [], [], []
    for seed in seeds:
        params = knobs.params(solution.vector + spread @ rng.standard_normal(len(spread)))
        params = _with_drawn_shares(params, study, rng)
        made = seen_in_simulation(make_world(params), study.policy, seed, study.n_shoppers)
        drawn.append(statistics(made, study.items, locales))
        curves.append(_curve(made, study.items))
        mixes.append(_mix(made))
        advance()
    return Predicted(
        compare(statistics(study.seen, study.own, locales), drawn),
        _curve_rows(_curve(study.seen, study.own), np.array(curves)),
        [] if study.told.mix is None else _mix_rows(_mix(study.seen), np.array(mixes), study.told.mix),
    )


def _with_drawn_shares(params: WorldParams, study: Study, rng: np.random.Generator) -> WorldParams:
    """Shares as uncertain as the log leaves them.

    Of locales and devices: Dirichlet, with the counts as weights. Of categories: shoppers drawn again.
    """
    n, shoppers, mix = study.n_shoppers, params.shoppers, study.told.mix
    locale = rng.dirichlet(n * np.array(shoppers.locale_share) + 1e-6)
    device = rng.dirichlet(n * np.array(shoppers.device_share) + 1e-6)
    queries = params.queries
    if mix is not None:
        share = mix.drawn[rng.integers(len(mix.drawn))]
        queries = dataclasses.replace(queries, category_share=tuple(share.tolist()))
    return dataclasses.replace(
        params,
        queries=queries,
        shoppers=dataclasses.replace(
            shoppers, locale_share=tuple(locale.tolist()), device_share=tuple(device.tolist())
        ),
    )


def _mix(seen: Seen) -> F64:
    """Share of each category among first queries in which one was read, (G,); NaN where none was."""
    n_categories = len(load_lexicon().categories)
    counts = read_counts(seen, n_categories)
    total = np.zeros(n_categories) if counts is None else counts.sum(axis=0)
    return total / total.sum() if total.sum() > 0 else np.full(n_categories, np.nan)


def _mix_rows(own: F64, drawn: F64, mix: QueryMix) -> list[Row]:
    """Rows of the table `query_mix`, the most asked first; drawn: (draws, G)."""
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    share_low, share_high = np.quantile(mix.drawn, [0.025, 0.975], axis=0)
    names = load_lexicon().categories
    return [
        {
            "category": names[place],
            "log": float(own[place]),
            "mean": float(drawn[:, place].mean()),
            "low": float(low[place]),
            "high": float(high[place]),
            "share": float(mix.share[place]),
            "share_low": float(share_low[place]),
            "share_high": float(share_high[place]),
        }
        for place in np.argsort(-own, kind="stable").tolist()
    ]


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
