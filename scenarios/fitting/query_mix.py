"""Which categories a log's shoppers look for: the world's mix, seen through a dictionary.

A first query shows the category that a dictionary reads in it, which is not always the one that was meant, and shoppers
come back for favourites of their own. With M the chance to read h where g was meant, and f the share of favourites,

    P(read h) = sum over g of M[h, g] (f / G + (1 - f) share[g])

and the share is the maximum of its posterior by EM, under a Dirichlet prior that is worth one query a category and has
the default world's mix. Visits of one shopper are alike, so they count as fewer: counts are divided by the design
effect. Intervals come from shoppers drawn again.

Right where words are read as the lexicon says and favourites are any category; a log whose shoppers repeat themselves
more or less than `simenv.invented.FAVOURITE` says is told by the check.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.fitting.seen import Seen
from simenv.invented import FAVOURITE, category_shares
from simenv.language import Lexicon
from simenv.params import Queries

F64 = npt.NDArray[np.float64]
LEAST_QUERIES = 200  # with a category that was read
DRAWS = 200
ITERATIONS = 300


@dataclass(frozen=True)
class QueryMix:
    """The fitted mix.

    share: (G,) of each category among intents that follow no favourite. drawn: (B, G) the same, shoppers drawn again.
    """

    share: F64
    drawn: F64


def fit_query_mix(seen: Seen, lexicon: Lexicon, seed: int) -> QueryMix | None:
    """The mix of a log; None where too few of its queries say a category, or it speaks of other categories.

    Args:
        seen: The log.
        lexicon: What its terms refer to.
        seed: Of the shoppers that are drawn again.
    """
    counts = read_counts(seen, len(lexicon.categories))
    if counts is None or counts.sum() < LEAST_QUERIES:
        return None
    rng = np.random.default_rng(seed)
    n = len(counts)
    weights = rng.multinomial(n, np.full(n, 1.0 / n), DRAWS).astype(np.float64)
    made = _most_probable(
        np.concatenate([counts.sum(axis=0)[None, :], weights @ counts]) / design_effect(counts),
        readings(seen, lexicon),
        category_shares(Queries(), lexicon),
    )
    return QueryMix(made[0], made[1:])


def read_counts(seen: Seen, n_categories: int) -> F64 | None:
    """First queries by shopper and the category that was read, (U, G); None where a category is none of the G."""
    first = (seen.n_words > 0) & (seen.query_terms[:, 0] >= 0)
    category = seen.query_terms[first, 0]
    if int(category.max(initial=0)) >= n_categories:
        return None
    _, shopper = np.unique(seen.shopper, return_inverse=True)
    n = int(shopper.max()) + 1
    flat = np.bincount(shopper[first] * n_categories + category, minlength=n * n_categories)
    return flat.reshape(n, n_categories).astype(np.float64)


def readings(seen: Seen, lexicon: Lexicon) -> F64:
    """M[h, g], (G, G): the chance that a dictionary reads h where g was meant and said, in the log's locales."""
    n_categories = len(lexicon.categories)
    often = np.bincount(seen.locale[seen.n_words > 0], minlength=len(lexicon.locales)).astype(np.float64)
    often /= often.sum()
    made = np.zeros((n_categories, n_categories))
    for locale in np.flatnonzero(often).tolist():
        for meant in range(n_categories):
            n = int(lexicon.n_variants[locale, meant])
            read = lexicon.word_recognised[locale, meant, :n]
            np.add.at(made[:, meant], read[read >= 0], often[locale] / n)
    return made


def design_effect(counts: F64) -> float:
    """How many times the variance of shares is what independent queries would have; 1 at least."""
    total = counts.sum()
    share = counts.sum(axis=0) / total
    clustered = ((counts - share * counts.sum(axis=1, keepdims=True)) ** 2).sum()
    return max(1.0, float(clustered / max(total * (share * (1.0 - share)).sum(), 1e-300)))


def _most_probable(counts: F64, reading: F64, prior: F64) -> F64:
    """(B, G) shares from counts (B, G)."""
    n_categories = len(prior)
    imagined = n_categories * prior / prior.sum()
    share = np.broadcast_to(prior / prior.sum(), counts.shape)
    for _ in range(ITERATIONS):
        meant = FAVOURITE / n_categories + (1.0 - FAVOURITE) * share
        read = np.maximum(meant @ reading.T, 1e-300)
        popular = (counts / read) @ reading * (1.0 - FAVOURITE) * share
        again = popular + imagined
        share = again / again.sum(axis=1, keepdims=True)
    return share
