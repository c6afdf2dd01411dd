"""CLICK_FITS: each click model's fit as a problem of maximisation.

Every problem is over log-odds: those of the global probabilities first, then of the attraction of the documents that
were clicked, then, for dynamic Bayesian networks, of their satisfaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.clicks.ascent import F64, Likelihood
from simenv.clicks.cascade import Cascade
from simenv.clicks.chain_log import AfterClick, read_chain
from simenv.clicks.choice import MultinomialLogit, ProportionalChoice
from simenv.clicks.dependent_click import DependentClick
from simenv.clicks.dynamic_bayesian import DynamicBayesian, SimplifiedDynamicBayesian
from simenv.clicks.fit_cells import Cells, ProductLikelihood, TrustLikelihood, count_cells
from simenv.clicks.fit_chain import ChainLikelihood
from simenv.clicks.fit_choice import ChoiceLikelihood
from simenv.clicks.model import Bools, ClickModel
from simenv.clicks.position_based import PositionBased
from simenv.clicks.trust_bias import TrustBias
from simenv.clicks.user_browsing import UserBrowsing, last_click
from simenv.errors import UserError

I64 = npt.NDArray[np.int64]

MOST_ODDS = 2.0**38  # of an attraction that float64 still tells from 1
AT_BOUND = 1e-5  # a probability this close to 0 or 1 has run into it; Wald intervals mean nothing there


@dataclass(frozen=True)
class Pages:
    """A log with its documents numbered. ids: (D,) sorted. document: (N, K) numbers, D for an empty slot."""

    ids: I64
    document: I64
    clicks: Bools

    @property
    def n_slots(self) -> int:
        """K."""
        return int(self.clicks.shape[1])

    def clicked_documents(self) -> I64:
        """Numbers of the documents with clicks. The others have attraction 0 at every maximum but trust bias's."""
        clicked: I64 = np.unique(self.document[self.clicks])
        return clicked


@dataclass(frozen=True)
class Told:
    """What the global part of a fit says.

    values: (G,) estimates. slope: (G, P) their derivatives by the log-odds of the P global probabilities. held: (P,)
    probabilities that are taken as known when standard errors are computed. untold: (G,) estimates without one.
    """

    values: F64
    slope: F64
    held: Bools
    untold: Bools


def tell_probabilities(chance: F64) -> Told:
    """The global probabilities are the parameters; at a bound they have no standard error."""
    bound = (chance < AT_BOUND) | (chance > 1.0 - AT_BOUND)
    return Told(chance, np.diag(chance * (1.0 - chance)), bound, bound)


@dataclass(frozen=True)
class Posed:
    """A model's fit as a problem of maximisation over log-odds.

    n_global: P, probabilities at the front of the problem. kept: (d,) documents, whose attractions follow. satisfies:
    whether their satisfactions come after. names: (G,) of the parameters that `tell` makes of the (P,) probabilities.
    model: makes the model of the (P,) probabilities. rescale: where the model's scale follows from the documents: makes
    the model and the documents' attractions of the (P,) and the (d,) probabilities. tells_documents: whether a log
    tells attractions themselves and not only their ratios.
    """

    likelihood: Likelihood
    start: F64
    n_global: int
    kept: I64
    names: tuple[str, ...]
    model: Callable[[F64], ClickModel]
    tell: Callable[[F64], Told] = tell_probabilities
    satisfies: bool = False
    rescale: Callable[[F64, F64], tuple[ClickModel, F64]] | None = None
    tells_documents: bool = True


def fit_position_based(pages: Pages) -> Posed:
    """Examination of the slots from the second."""
    kept = pages.clicked_documents()
    likelihood = ProductLikelihood(_cells(pages, kept, np.arange(pages.n_slots), pages.n_slots))
    return Posed(
        likelihood=likelihood,
        start=likelihood.start(),
        n_global=pages.n_slots - 1,
        kept=kept,
        names=tuple(f"examination[{k + 1}]" for k in range(1, pages.n_slots)),
        model=lambda values: PositionBased((1.0, *values.tolist())),
    )


def fit_trust_bias(pages: Pages) -> Posed:
    """P(click at k) = offset[k] + slope[k] * P(click in the first slot): all that a log can tell of a trust bias.

    With examination t, epsilon_plus p and epsilon_minus m it is slope[k] = t[k] (p[k] - m[k]) / (t[1] (p[1] - m[1])),
    offset[k] = t[k] m[k] - slope[k] t[1] m[1]; so an offset below 0 says that trust falls faster than attention. The
    model that is given is one of many with the same click probabilities: every slot examined, attraction on a scale
    of its own. Offsets have no standard error where more than one epsilon_minus is 0, slopes where more than one
    epsilon_plus is 1.
    """
    kept, n_slots = np.arange(len(pages.ids)), pages.n_slots
    likelihood = TrustLikelihood(_cells(pages, kept, np.arange(n_slots), n_slots))
    slots = range(2, n_slots + 1)
    return Posed(
        likelihood=likelihood,
        start=likelihood.start(),
        n_global=2 * n_slots,
        kept=kept,
        names=(*(f"offset[{k}]" for k in slots), *(f"slope[{k}]" for k in slots)),
        model=lambda chance: TrustBias(
            (1.0,) * n_slots, tuple(chance[:n_slots].tolist()), tuple(chance[n_slots:].tolist())
        ),
        tell=tell_trust,
    )


def tell_trust(chance: F64) -> Told:
    """Offsets and slopes of epsilon_plus and epsilon_minus, (2K,), and their derivatives.

    The scale of attraction is free: one epsilon_plus and one epsilon_minus are held to fix it, those at a bound first.
    """
    plus, minus = np.split(chance, 2)
    width = plus - minus
    slope = width / width[0]
    n_slots, n_free = len(plus), len(plus) - 1
    by_plus, by_minus = np.zeros((2 * n_free, n_slots)), np.zeros((2 * n_free, n_slots))
    for k in range(1, n_slots):
        of_offset, of_slope = by_plus[k - 1], by_plus[n_free + k - 1]
        of_slope[[k, 0]] = 1.0 / width[0], -slope[k] / width[0]
        by_minus[n_free + k - 1] = -of_slope
        of_offset[:] = -minus[0] * of_slope
        by_minus[k - 1] = minus[0] * of_slope
        by_minus[k - 1, [k, 0]] += 1.0, -slope[k]
    surely, never = plus > 1.0 - AT_BOUND, minus < AT_BOUND
    held_plus, held_minus = (bound if bound.any() else np.arange(n_slots) == 0 for bound in (surely, never))
    return Told(
        values=np.concatenate([minus - slope * minus[0], slope])[np.arange(2 * n_slots) % n_slots > 0],
        slope=np.concatenate([by_plus, by_minus], axis=1) * chance * (1.0 - chance),
        held=np.concatenate([held_plus, held_minus]),
        untold=np.repeat([never.sum() > 1, surely.sum() > 1], n_free),
    )


def fit_user_browsing(pages: Pages) -> Posed:
    """Examination by slot and distance to the last click; where there is none, the distance is the slot's number."""
    kept, slots = pages.clicked_documents(), np.arange(pages.n_slots)
    distance = slots + 1 - last_click(pages.clicks)
    n_cells = pages.n_slots * (pages.n_slots + 1) // 2
    cells = _cells(pages, kept, slots * (slots + 1) // 2 + distance - 1, n_cells)
    names = [f"examination[{k + 1}][{d}]" for k in range(pages.n_slots) for d in range(1, k + 2)]
    never = np.flatnonzero(cells.by_cell(cells.shown) == 0)
    if len(never):
        raise UserError(
            f"the log has no page that tells {names[never[0]]} (slot, distance to the last click above); log more "
            "pages or fit fewer slots."
        )
    likelihood = ProductLikelihood(cells)

    def model(values: F64) -> ClickModel:
        table = np.concatenate([[1.0], values]).tolist()
        return UserBrowsing(tuple(tuple(table[k * (k + 1) // 2 :][: k + 1]) for k in range(pages.n_slots)))

    return Posed(likelihood, likelihood.start(), n_cells - 1, kept, tuple(names[1:]), model)


def fit_cascade(pages: Pages) -> Posed:
    """The chance to go on without a click."""
    most = int(pages.clicks.sum(axis=1).max())
    if most > 1:
        raise UserError(
            f"a page has {most} clicks and a cascade allows one; fit 'dbn' or 'dependent-click', or keep the first."
        )
    return _chain(pages, AfterClick.STOP, True, ("continuation",), lambda values: Cascade(float(values[0])))


def fit_dependent_click(pages: Pages) -> Posed:
    """The chance to go on after a click in each slot but the last."""
    names = tuple(f"continuation[{k + 1}]" for k in range(pages.n_slots - 1))
    return _chain(pages, AfterClick.SLOT, False, names, lambda values: DependentClick((*values.tolist(), 1.0)))


def fit_dbn(pages: Pages) -> Posed:
    """The chance to go on where nothing satisfied."""
    return _chain(pages, AfterClick.ITEM, True, ("continuation",), lambda values: DynamicBayesian(float(values[0])))


def fit_simplified_dbn(pages: Pages) -> Posed:
    """No global parameters: attraction and satisfaction of every document."""
    return _chain(pages, AfterClick.ITEM, False, (), lambda values: SimplifiedDynamicBayesian())


def fit_multinomial_logit(pages: Pages) -> Posed:
    """Prominence of the slots from the second; that of the first and the weight of no click are 1.

    Where a document is clicked so surely that its odds pass `MOST_ODDS`, all weights are divided to bring it there.
    """

    def rescale(chance: F64, kept: F64) -> tuple[ClickModel, F64]:
        weights = odds(kept)
        down = min(1.0, MOST_ODDS / float(weights.max()))
        return MultinomialLogit(down, (1.0, *odds(chance).tolist())), down * weights / (1.0 + down * weights)

    posed = _choice(pages, lambda chance: MultinomialLogit(1.0, (1.0, *odds(chance).tolist())))
    return dataclasses.replace(posed, rescale=rescale)


def fit_proportional(pages: Pages) -> Posed:
    """Prominence of the slots from the second, that of the first is 1.

    A log tells weights only as multiples of that of no click: the most attractive document is given attraction 1.
    """

    def rescale(chance: F64, kept: F64) -> tuple[ClickModel, F64]:
        weights = odds(kept)
        most = float(weights.max())
        return ProportionalChoice(1.0 / most, (1.0, *odds(chance).tolist())), weights / most

    posed = _choice(pages, lambda chance: ProportionalChoice(1.0, (1.0, *odds(chance).tolist())))
    return dataclasses.replace(posed, rescale=rescale, tells_documents=False)


def odds(chance: F64) -> F64:
    """Odds of probabilities: the positive numbers whose logarithms a problem is over."""
    ratio: F64 = chance / (1.0 - chance)
    return ratio


def tell_odds(chance: F64) -> Told:
    """The odds of the global probabilities are the parameters."""
    bound = (chance < AT_BOUND) | (chance > 1.0 - AT_BOUND)
    return Told(odds(chance), np.diag(odds(chance)), bound, bound)


CLICK_FITS: dict[str, Callable[[Pages], Posed]] = {
    "position-based": fit_position_based,
    "trust-bias": fit_trust_bias,
    "cascade": fit_cascade,
    "dependent-click": fit_dependent_click,
    "simplified-dbn": fit_simplified_dbn,
    "dbn": fit_dbn,
    "user-browsing": fit_user_browsing,
    "multinomial-logit": fit_multinomial_logit,
    "proportional": fit_proportional,
}


def _choice(pages: Pages, model: Callable[[F64], ClickModel]) -> Posed:
    most = int(pages.clicks.sum(axis=1).max())
    if most > 1:
        raise UserError(f"a page has {most} clicks and a choice is of one; fit 'position-based', or keep the first.")
    kept = pages.clicked_documents()
    likelihood = ChoiceLikelihood(_renumber(pages, kept), pages.clicks, len(kept))
    names = tuple(f"prominence[{k + 1}]" for k in range(1, pages.n_slots))
    return Posed(likelihood, likelihood.start(), len(names), kept, names, model, tell=tell_odds)


def _renumber(pages: Pages, kept: I64) -> I64:
    """Documents numbered among those kept, `len(kept)` for all others and for empty slots: (N, K)."""
    number = np.full(len(pages.ids) + 1, len(kept))
    number[kept] = np.arange(len(kept))
    return number[pages.document]


def _cells(pages: Pages, kept: I64, cell: I64, n_cells: int) -> Cells:
    document = _renumber(pages, kept)
    real = document < len(kept)
    cells = np.broadcast_to(cell, document.shape)
    return count_cells(cells[real], document[real], pages.clicks[real], n_cells, len(kept))


def _chain(
    pages: Pages, after_click: AfterClick, tires: bool, names: tuple[str, ...], model: Callable[[F64], ClickModel]
) -> Posed:
    kept = pages.clicked_documents()
    likelihood = ChainLikelihood(read_chain(_renumber(pages, kept), pages.clicks, len(kept), after_click, tires))
    satisfies = after_click is AfterClick.ITEM
    return Posed(likelihood, likelihood.start(), len(names), kept, names, model, satisfies=satisfies)
