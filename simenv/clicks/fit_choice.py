"""The likelihood of choice models: a page's items compete for one click, with each other and with none at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.clicks.ascent import F64, Local
from simenv.clicks.model import Bools

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ChoiceLikelihood:
    """P(click at k) = w[k] / (1 + sum_j w[j]), w[k] = prominence[k] * weight of the document in slot k.

    Parameters: logarithms of the prominence of the slots from the second, then of the documents' weights. Concave, so
    that there is one top (McFadden, "Conditional logit analysis of qualitative choice behavior", 1974).

    Attributes:
        document: (N, K) numbers from 0; `n_documents` for an empty slot, or a document that counts nothing.
        clicks: (N, K), one a page at most.
        n_documents: d.
    """

    document: I64
    clicks: Bools
    n_documents: int

    def start(self) -> F64:
        """All slots alike, and documents at their click rates."""
        shown = np.bincount(self.document.ravel(), minlength=self.n_documents + 1)[:-1]
        clicked = np.bincount(self.document[self.clicks], minlength=self.n_documents + 1)[:-1]
        weights = np.log((clicked + 0.5) / (shown - clicked + 1.0))
        return np.concatenate([np.zeros(self.document.shape[1] - 1), weights])

    def value(self, x: F64) -> float:
        """See `Likelihood.value`."""
        weight, total = self._weights(x)
        chosen = np.log(weight[self.clicks]).sum()
        return float(chosen - np.log(total).sum())

    def local(self, x: F64) -> Local:
        """See `Likelihood.local`; information times a vector u is the sum of p (u - sum p u) over the pages.

        What an item leaves to the others is summed and not subtracted from 1, of which nothing would be left where a
        document is always clicked.
        """
        weight, total = self._weights(x)
        share, rest = weight / total[:, None], (1.0 + _others(weight)) / total[:, None]

        def information(v: F64) -> F64:
            along = self._at(v)
            return self._add(share * (rest * along - _others(share * along)))

        scale = np.maximum(self._add(share * rest), 1e-200)
        return Local(self.value(x), self._add(np.where(self.clicks, rest, -share)), scale, information)

    def _weights(self, x: F64) -> tuple[F64, F64]:
        """Weights (N, K), 0 where nothing counts, and their sum with that of no click, (N,)."""
        weight = np.where(self.document < self.n_documents, np.exp(self._at(x)), 0.0)
        return weight, 1.0 + weight.sum(axis=1)

    def _at(self, x: F64) -> F64:
        """What parameters say at each slot of each page, (N, K)."""
        n_slots = self.document.shape[1]
        of_slot = np.concatenate([[0.0], x[: n_slots - 1]])
        of_document = np.append(x[n_slots - 1 :], 0.0)
        at: F64 = of_slot + of_document[self.document]
        return at

    def _add(self, terms: F64) -> F64:
        """Sums of terms (N, K) over each parameter's places."""
        by_document = np.bincount(self.document.ravel(), terms.ravel(), self.n_documents + 1)[:-1]
        return np.concatenate([terms.sum(axis=0)[1:], by_document])


def _others(terms: F64) -> F64:
    """Sums over the other slots of each page, (N, K), without subtracting."""
    nothing = np.zeros((len(terms), 1))
    above = np.cumsum(np.concatenate([nothing, terms[:, :-1]], axis=1), axis=1)
    below = np.cumsum(np.concatenate([nothing, terms[:, :0:-1]], axis=1), axis=1)[:, ::-1]
    both: F64 = above + below
    return both
