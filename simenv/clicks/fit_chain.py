"""Likelihoods of models that read from the top: cascade, dependent click, dynamic Bayesian networks.

What is hidden is how far below its last click a page was read. Given the clicks, the chance of having read down to each
slot follows from one recursion up and one down the page, and with it the exact gradient (Fisher's identity) and the
exact observed information (Louis, "Finding the observed information matrix when using the EM algorithm", 1982):
complete-data information minus the variance of the complete-data gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.clicks.ascent import F64, Local
from simenv.clicks.chain_log import AfterClick, Chain, Tails
from simenv.clicks.fit_cells import add_up, log_odds, probability

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Read:
    """One group of tails at one point. attraction, reached: (L, n), reached given the clicks. logp: (n,).

    onward: (n,) chance to read on after the last click; 1 where there is none.
    """

    tails: Tails
    attraction: F64
    reached: F64
    onward: F64
    logp: F64


@dataclass(frozen=True)
class Sums:
    """Sums over a log, added up in place.

    gradient, scale: (M,), see `Local`. complete: (M,) diagonal of the complete-data information given the clicks;
    cross: (D,) its entries between the continuation and each satisfaction.
    """

    gradient: F64
    scale: F64
    complete: F64
    cross: F64

    def add_coins(self, at: slice, heads: F64, tosses: F64, chance: F64 | float) -> None:
        """Tosses of the coins whose log-odds stand at `at`, some of which were heads."""
        information = tosses * chance * (1.0 - chance)
        self.gradient[at] += heads - tosses * chance
        self.scale[at] += information
        self.complete[at] += information


@dataclass(frozen=True)
class ChainLikelihood:
    """The log-likelihood of a chain.

    Parameters, all log-odds: the globals (see `Chain.n_global`), the documents' attraction, and for AfterClick.ITEM
    their satisfaction.
    """

    chain: Chain

    def start(self) -> F64:
        """Attraction as if everything below the last click had been left unseen by half."""
        chain = self.chain
        unseen = np.zeros(chain.n_documents + 1)
        for tails in chain.tails:
            unseen += np.bincount(tails.documents.ravel(), minlength=len(unseen))
        looked = chain.clicks + chain.skips + 0.5 * unseen[:-1]
        attraction = ((chain.clicks + 0.05) / (looked + 0.1)).clip(1e-4, 0.95)
        parts = [np.full(int(chain.tires), 2.0), np.zeros(chain.n_global - int(chain.tires)), log_odds(attraction)]
        if chain.after_click is AfterClick.ITEM:
            parts.append(log_odds(1.0 - (chain.passes + 0.5) / (chain.clicks + 1.0)))
        return np.concatenate(parts)

    def value(self, x: F64) -> float:
        """See `Likelihood.value`."""
        return self._known(x) + sum(float(read.logp.sum()) for read in self._read(x))

    def local(self, x: F64) -> Local:
        """See `Likelihood.local`."""
        chain, satisfaction = self.chain, self._satisfaction
        go, _, a, s = self._split(x)
        sums = self._known_sums(x)
        reads = self._read(x)
        for read in reads:
            self._add_tail(sums, read, go, a)
            if read.tails.last >= 0 and chain.after_click is AfterClick.SLOT:
                self._add_entry_by_slot(sums, read)
            elif read.tails.last >= 0:
                self._add_entry_by_item(sums, read, go, s)

        def information(u: F64) -> F64:
            image = sums.complete * u
            if chain.tires and chain.after_click is AfterClick.ITEM:
                image[0] += float(sums.cross @ u[satisfaction])
                image[satisfaction] += sums.cross * u[0]
            for read in reads:
                image -= self._variance(read, u, go, s)
            return image

        value = self._known(x) + sum(float(read.logp.sum()) for read in reads)
        return Local(value, sums.gradient, sums.scale, information)

    @property
    def _attraction(self) -> slice:
        return slice(self.chain.n_global, self.chain.n_global + self.chain.n_documents)

    @property
    def _satisfaction(self) -> slice:
        return slice(self.chain.n_global + self.chain.n_documents, None)

    def _known_sums(self, x: F64) -> Sums:
        """What the known part of the log adds: every event in it is a coin of one parameter."""
        chain = self.chain
        go, slot, a, s = self._split(x)
        sums = Sums(np.zeros_like(x), np.full_like(x, 1e-300), np.full_like(x, 1e-300), np.zeros(chain.n_documents))
        sums.add_coins(self._attraction, chain.clicks, chain.clicks + chain.skips, a)
        if chain.tires:
            passes = float(chain.passes.sum()) if chain.after_click is AfterClick.ITEM else 0.0
            sums.add_coins(slice(0, 1), np.array([chain.n_skips + passes]), np.array([chain.n_skips + passes]), go)
        if chain.after_click is AfterClick.SLOT:
            at = slice(int(chain.tires), chain.n_global)
            sums.add_coins(at, chain.passes_at[:-1], chain.passes_at[:-1], slot[:-1])
        if chain.after_click is AfterClick.ITEM:
            sums.add_coins(self._satisfaction, np.zeros_like(s), chain.passes, s)
        return sums

    def _add_tail(self, sums: Sums, read: Read, go: float, a: F64) -> None:
        """Slots that were reached without a click, and steps from one to the next."""
        documents, e = read.tails.documents, read.reached
        seen = self._sum(documents, e)
        sums.add_coins(self._attraction, np.zeros_like(seen), seen, a)
        if self.chain.tires:
            steps, tries = np.array([e[1:].sum()]), np.array([e[:-1].sum()])
            sums.add_coins(slice(0, 1), steps, tries, go)

    def _add_entry_by_slot(self, sums: Sums, read: Read) -> None:
        """Going on after the last click, a coin of the slot."""
        m = int(self.chain.tires) + read.tails.last
        n = np.array([float(len(read.onward))])
        sums.add_coins(slice(m, m + 1), np.array([read.reached[0].sum()]), n, float(read.onward[0]))

    def _add_entry_by_item(self, sums: Sums, read: Read, go: float, s: F64) -> None:
        """Going on after the last click, which happens with probability onward = go * (1 - satisfaction)."""
        tails, on, lam, si = read.tails, read.reached[0], read.onward, s[read.tails.clicked]
        at = self._satisfaction
        stop = (1.0 - on) / (1.0 - lam)
        sums.gradient[at] += self._by_clicked(tails, stop * lam * si - on * si)
        sums.scale[at] += self._by_clicked(tails, si * (1.0 - si))
        bend = stop * lam * si * ((1.0 - 2.0 * si) - lam * si / (1.0 - lam))
        sums.complete[at] += self._by_clicked(tails, on * si * (1.0 - si) - bend)
        if self.chain.tires:
            sums.gradient[0] += float((on * (1.0 - go) - stop * lam * (1.0 - go)).sum())
            sums.scale[0] += len(on) * go * (1.0 - go)
            bend = stop * lam * (1.0 - go) * ((1.0 - 2.0 * go) + lam * (1.0 - go) / (1.0 - lam))
            sums.complete[0] += float((on * go * (1.0 - go) + bend).sum())
            sums.cross[:] -= self._by_clicked(tails, stop * lam * si * (1.0 - go) / (1.0 - lam))

    def _variance(self, read: Read, u: F64, go: float, s: F64) -> F64:
        """The variance of the complete-data gradient of one group of tails, times u.

        The gradient is sum_j 1[slot j reached] v_j; the indicators have covariance e_max(j,k) - e_j e_k.
        """
        chain, tails, e = self.chain, read.tails, read.reached
        t = -read.attraction * np.append(u[self._attraction], 0.0)[tails.documents]
        if chain.tires:
            t[:-1] -= go * u[0]
            t[1:] += u[0]
        image = np.zeros_like(u)
        entry_go = entry_item = np.zeros(0)
        if tails.last >= 0 and chain.after_click is AfterClick.SLOT:
            t[0] += u[int(chain.tires) + tails.last]
        elif tails.last >= 0:
            entry_item = -s[tails.clicked] / (1.0 - read.onward)
            t[0] += entry_item * u[self._satisfaction][tails.clicked]
            if chain.tires:
                entry_go = (1.0 - go) / (1.0 - read.onward)
                t[0] += entry_go * u[0]
        weighted = e * t
        upto = np.cumsum(weighted, axis=0)
        w = e * (np.cumsum(t, axis=0) - upto[-1]) + (upto[-1] - upto)
        image[self._attraction] = self._sum(tails.documents, -read.attraction * w)
        if chain.tires:
            image[0] = float(w[1:].sum() - go * w[:-1].sum())
        if tails.last >= 0 and chain.after_click is AfterClick.SLOT:
            image[int(chain.tires) + tails.last] += float(w[0].sum())
        elif tails.last >= 0:
            image[self._satisfaction] = self._by_clicked(tails, entry_item * w[0])
            if chain.tires:
                image[0] += float(entry_go @ w[0])
        return image

    def _read(self, x: F64) -> list[Read]:
        """Up the page the chance of no more clicks, down it the chance of having been there given no more clicks."""
        go, slot, attraction, s = self._split(x)
        chances = np.append(attraction, 0.0)
        reads = []
        for tails in self.chain.tails:
            a = chances[tails.documents]
            length, n = a.shape
            nothing, moves_on = 1.0 - a, np.empty_like(a)
            for j in range(length - 2, -1, -1):
                further = go * nothing[j + 1]
                either = 1.0 - go + further
                moves_on[j] = further / either
                nothing[j] *= either
            reached = np.empty_like(a)
            onward = np.ones(n)
            if tails.last >= 0:
                onward = go * (1.0 - s[tails.clicked]) if len(s) else np.full(n, slot[tails.last])
            total = 1.0 - onward + onward * nothing[0]
            reached[0] = onward * nothing[0] / total
            for j in range(length - 1):
                reached[j + 1] = reached[j] * moves_on[j]
            reads.append(Read(tails, a, reached, onward, np.log(total)))
        return reads

    def _known(self, x: F64) -> float:
        chain = self.chain
        go, slot, a, s = self._split(x)
        value = _dot(chain.clicks, a) + _dot(chain.skips, 1.0 - a)
        if chain.tires:
            value += _dot(np.array([chain.n_skips]), np.array([go]))
        if chain.after_click is AfterClick.SLOT:
            value += _dot(chain.passes_at, slot)
        if chain.after_click is AfterClick.ITEM:
            value += _dot(chain.passes, go * (1.0 - s))
        return value

    def _split(self, x: F64) -> tuple[float, F64, F64, F64]:
        """Continuation; after a click at each slot (K,), the last one 1; attraction (D,); satisfaction (D,) or ()."""
        chain, p = self.chain, probability(x)
        go = float(p[0]) if chain.tires else 1.0
        slot = np.append(p[int(chain.tires) : chain.n_global], 1.0)
        documents = p[chain.n_global :]
        return go, slot, documents[: chain.n_documents], documents[chain.n_documents :]

    def _sum(self, documents: I64, weights: F64) -> F64:
        d = self.chain.n_documents
        return add_up(documents.ravel(), weights.ravel(), d + 1)[:d]

    def _by_clicked(self, tails: Tails, weights: F64) -> F64:
        return add_up(tails.clicked, weights, self.chain.n_documents)


def _dot(counts: F64, p: F64) -> float:
    """Sum of counts * log p, where 0 * log 0 is 0."""
    return float(counts @ np.log(np.where(counts > 0, p, 1.0)))
