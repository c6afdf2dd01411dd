"""Who ranks in the simulations that imitate a log: its own logging policy where that is known, else a stand-in.

The stand-in is Plackett-Luce over a linear score of public features, fitted by least squares to what the log says its
policy ranked by: scores over temperature, within each page. How much of them it explains is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from policies.ranking import RankingPolicy
from policies.registry import POLICIES, named_policy
from simenv.catalogue import PublicCatalogue
from simenv.decision import Truth
from simenv.log import Log
from simenv.state import Page

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
MOST_ROWS = 20_000


@dataclass(frozen=True)
class LinearScore:
    """A linear score of public features of query, candidate and history; see `features`."""

    catalogue: PublicCatalogue
    weights: F64

    def score(self, page: Page, truth: Truth | None) -> F32:
        """See `policies.ranking.Scorer`."""
        made: F32 = (features(self.catalogue, page) @ self.weights).astype(np.float32)
        return made


def features(catalogue: PublicCatalogue, page: Page) -> F64:
    """(N, C, 8) public features.

    Matches of the category and of other terms, popularity, stars, price and its square, place in the engine's order,
    fit of the style with the history.
    """
    item, terms = np.maximum(page.candidates, 0), page.query_terms
    others = sum(
        (getattr(catalogue, name)[item] == terms[:, place, None]) & (terms[:, place, None] >= 0)
        for place, name in enumerate(("brand", "colour", "size", "material", "audience", "use"), start=1)
    )
    n_style = catalogue.style.shape[1]
    columns = (
        catalogue.category[item] == terms[:, :1],
        others,
        catalogue.popularity[item],
        catalogue.rating[item] - 3.7,
        catalogue.price_z[item],
        catalogue.price_z[item] ** 2,
        np.broadcast_to(-np.log1p(np.arange(item.shape[1])), item.shape),
        np.einsum("ncd,nd->nc", catalogue.style[item], page.history[:, :n_style]),
    )
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=2)


def logger_of(log: Log, own: PublicCatalogue, market: PublicCatalogue) -> tuple[RankingPolicy, str]:
    """The ranker for simulations in a market, and a sentence that says who it is.

    Args:
        log: The log.
        own: The items of the log.
        market: The items of the market that is simulated.
    """
    name = str(pq.read_table(log.parts[0], columns=["policy"])["policy"][0].as_py())
    first = next(log.batches(batch=MOST_ROWS))
    temperature, floor = float(np.median(first.temperature)), float(np.median(first.floor))
    if name in POLICIES and not POLICIES[name].learns and not POLICIES[name].sees_truth:
        policy = named_policy(name, market).with_exploration(temperature, floor)
        return policy, f"The simulations are ranked by the log's own policy, '{name}', as it explored."
    made = features(own, first.page)
    usable = np.isfinite(first.scores) & (first.page.candidates >= 0)
    centred = _centred(made, usable[:, :, None])[usable]
    scores = np.where(usable, first.scores, 0.0).astype(np.float64) / np.maximum(first.temperature, 1e-9)[:, None]
    wanted = _centred(scores, usable)[usable]
    weights: F64 = np.linalg.lstsq(centred, wanted, rcond=None)[0].astype(np.float64)
    left, all_of_it = float(((wanted - centred @ weights) ** 2).sum()), float((wanted**2).sum())
    explained = 1.0 - left / all_of_it if all_of_it > 0 else 1.0
    return RankingPolicy("stand-in", LinearScore(market, weights), 1.0, floor), (
        f"The simulations are ranked by a stand-in for the log's policy '{name}', which is no fixed policy of the "
        f"registry: Plackett-Luce over a linear score of public features that explains {explained:.0%} of "
        "the logged scores' variance within pages. What it does not explain is not imitated."
    )


def _centred(values: F64, usable: npt.NDArray[np.bool_]) -> F64:
    """Values minus their mean over the usable candidates of the page."""
    count = np.maximum(usable.sum(axis=1, keepdims=True), 1)
    centred: F64 = values - (values * usable).sum(axis=1, keepdims=True) / count
    return centred
