"""Likelihoods of models in which a click is a coin known but for its document and its cell.

Position-based and trust-bias models (a cell is a slot) and user browsing (a slot and the distance to the last click):
the log is a table of (cell, document): shown n times, clicked c times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.clicks.ascent import F64, Local

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """What a log says, as M counts. cell, document: (M,) numbers from 0. shown, clicked: (M,) counts."""

    n_cells: int
    n_documents: int
    cell: I64
    document: I64
    shown: F64
    clicked: F64

    def by_cell(self, weights: F64) -> F64:
        """Sums over each cell, (n_cells,)."""
        return add_up(self.cell, weights, self.n_cells)

    def by_document(self, weights: F64) -> F64:
        """Sums over each document, (n_documents,)."""
        return add_up(self.document, weights, self.n_documents)


def count_cells(cell: I64, document: I64, clicked: npt.NDArray[np.bool_], n_cells: int, n_documents: int) -> Cells:
    """Count impressions and clicks by cell and document; all arguments of one shape, real impressions only."""
    code, number = np.unique(cell * n_documents + document, return_inverse=True)
    return Cells(
        n_cells=n_cells,
        n_documents=n_documents,
        cell=code // n_documents,
        document=code % n_documents,
        shown=np.bincount(number).astype(np.float64),
        clicked=add_up(number, clicked.astype(np.float64), len(code)),
    )


@dataclass(frozen=True)
class ProductLikelihood:
    """P(click) = examination[cell] * attraction[document], the first cell's examination fixed at 1.

    Parameters: log-odds of examination of the other cells, then of attraction of the documents.
    """

    cells: Cells

    def start(self) -> F64:
        """Click rates of cells and of documents, each corrected for the other once."""
        cells = self.cells
        rate = (cells.by_cell(cells.clicked) + 0.5) / (cells.by_cell(cells.shown) + 1.0)
        examination = (rate / rate[0]).clip(0.05, 0.95)
        examination[0] = 1.0
        looked = cells.by_document(cells.shown * examination[cells.cell])
        attraction = ((cells.by_document(cells.clicked) + 0.05) / (looked + 0.1)).clip(1e-4, 0.95)
        return np.concatenate([log_odds(examination[1:]), log_odds(attraction)])

    def value(self, x: F64) -> float:
        """See `Likelihood.value`."""
        examination, attraction = self._split(x)
        p = examination[self.cells.cell] * attraction[self.cells.document]
        return _coins(self.cells, p)

    def local(self, x: F64) -> Local:
        """See `Likelihood.local`. r is the derivative by log p, q minus the second."""
        cells = self.cells
        examination, attraction = self._split(x)
        e, a = examination[cells.cell], attraction[cells.document]
        p = e * a
        unclicked = _unclicked(cells, p)
        r, q = cells.clicked - unclicked * p, unclicked * p / (1.0 - p).clip(1e-300)
        ee = q * (1.0 - e) ** 2 + r * e * (1.0 - e)
        ea = q * (1.0 - e) * (1.0 - a)
        aa = q * (1.0 - a) ** 2 + r * a * (1.0 - a)
        n_global = cells.n_cells - 1

        def information(u: F64) -> F64:
            by_cell, by_document = np.concatenate([[0.0], u[:n_global]])[cells.cell], u[n_global:][cells.document]
            return self._join(ee * by_cell + ea * by_document, ea * by_cell + aa * by_document)

        scale = self._join(cells.shown * e * (1.0 - e), cells.shown * a * (1.0 - a))
        return Local(_coins(cells, p), self._join(r * (1.0 - e), r * (1.0 - a)), scale + 1e-300, information)

    def _split(self, x: F64) -> tuple[F64, F64]:
        chance = probability(x)
        n_global = self.cells.n_cells - 1
        return np.concatenate([[1.0], chance[:n_global]]), chance[n_global:]

    def _join(self, of_cell: F64, of_document: F64) -> F64:
        return np.concatenate([self.cells.by_cell(of_cell)[1:], self.cells.by_document(of_document)])


@dataclass(frozen=True)
class TrustLikelihood:
    """P(click) = minus[cell] + (plus[cell] - minus[cell]) * attraction[document].

    Parameters, all log-odds: plus of every cell, minus of every cell, attraction of the documents. The same clicks come
    from any affine map of the attractions with the inverse map of plus and minus, so two directions are flat.
    """

    cells: Cells

    def start(self) -> F64:
        """The start of the product, with attractions spread between 0 and 1."""
        cells = self.cells
        chance = probability(ProductLikelihood(cells).start())
        examination, rate = np.append(1.0, chance[: cells.n_cells - 1]), chance[cells.n_cells - 1 :]
        low, high = 0.5 * rate.min(), min(1.1 * rate.max(), 1.0)
        attraction = ((rate - low) / (high - low)).clip(1e-4, 0.95)
        return log_odds(np.concatenate([(examination * high).clip(0.0, 0.95), examination * low, attraction]))

    def value(self, x: F64) -> float:
        """See `Likelihood.value`."""
        plus, minus, attraction = self._split(x)
        least = minus[self.cells.cell]
        return _coins(self.cells, least + (plus[self.cells.cell] - least) * attraction[self.cells.document])

    def local(self, x: F64) -> Local:
        """See `Likelihood.local`. g is the derivative by p and w minus the second; _1, _2 are by log-odds."""
        cells, n = self.cells, self.cells.n_cells
        plus, minus, attraction = self._split(x)
        u, m, a = plus[cells.cell], minus[cells.cell], attraction[cells.document]
        p = m + (u - m) * a
        u1, m1, a1 = u * (1.0 - u), m * (1.0 - m), a * (1.0 - a)
        clicked = np.divide(cells.clicked, p, out=np.zeros_like(p), where=cells.clicked > 0)
        unclicked = _unclicked(cells, p)
        g = clicked - unclicked
        w = np.divide(clicked, p, out=np.zeros_like(p), where=cells.clicked > 0)
        w += unclicked / (1.0 - p).clip(1e-300)
        by_u, by_m, by_a = a * u1, (1.0 - a) * m1, (u - m) * a1
        uu = w * by_u**2 - g * by_u * (1.0 - 2.0 * u)
        mm = w * by_m**2 - g * by_m * (1.0 - 2.0 * m)
        aa = w * by_a**2 - g * by_a * (1.0 - 2.0 * a)
        um, ua, ma = w * by_u * by_m, w * by_u * by_a - g * u1 * a1, w * by_m * by_a + g * m1 * a1

        def information(v: F64) -> F64:
            vu, vm, va = v[:n][cells.cell], v[n : 2 * n][cells.cell], v[2 * n :][cells.document]
            return self._join(uu * vu + um * vm + ua * va, um * vu + mm * vm + ma * va, ua * vu + ma * vm + aa * va)

        scale = self._join(cells.shown * by_u, cells.shown * by_m, cells.shown * a1) + 1e-300
        return Local(_coins(cells, p), self._join(g * by_u, g * by_m, g * by_a), scale, information)

    def _split(self, x: F64) -> tuple[F64, F64, F64]:
        chance, n = probability(x), self.cells.n_cells
        return chance[:n], chance[n : 2 * n], chance[2 * n :]

    def _join(self, of_plus: F64, of_minus: F64, of_document: F64) -> F64:
        cells = self.cells
        return np.concatenate([cells.by_cell(of_plus), cells.by_cell(of_minus), cells.by_document(of_document)])


def add_up(number: I64, weights: F64, size: int) -> F64:
    """Sums of weights by number, (size,)."""
    sums: F64 = np.bincount(number, weights, minlength=size).astype(np.float64, copy=False)
    return sums


def probability(x: F64) -> F64:
    """The probability whose log-odds are x."""
    p: F64 = 1.0 / (1.0 + np.exp(-x.clip(-700.0, 700.0)))
    return p


def log_odds(p: F64) -> F64:
    """The log-odds of probabilities inside (0, 1)."""
    x: F64 = np.log(p) - np.log1p(-p)
    return x


def _unclicked(cells: Cells, p: F64) -> F64:
    """(shown - clicked) / (1 - p), and 0 where everything was clicked, also at p = 1."""
    unclicked = cells.shown - cells.clicked
    return np.divide(unclicked, 1.0 - p, out=np.zeros_like(p), where=unclicked > 0)


def _coins(cells: Cells, p: F64) -> float:
    """Sum of clicked * log p + (shown - clicked) * log(1 - p), where 0 * log 0 is 0."""
    if p.min() < 0.0 or p.max() > 1.0:
        return -np.inf
    unclicked = cells.shown - cells.clicked
    with np.errstate(divide="ignore"):
        seen = np.log(p, out=np.zeros_like(p), where=cells.clicked > 0)
        unseen = np.log1p(-p, out=np.zeros_like(p), where=unclicked > 0)
    return float((cells.clicked * seen + unclicked * unseen).sum())
