"""Fitting click models to a log by maximum likelihood, with standard errors.

A log says, per page, which document stood in each slot and which were clicked. A document is whatever attraction is a
property of: an item, or better a pair of query and item. Nothing about the policy that ranked is needed, but documents
must have moved between slots: a log in which each stays in its place cannot tell examination from attraction.

Every document brings parameters of its own, so intervals of the global ones are sound only where documents are shown
often: with hundreds of impressions each they cover as they say, with 8 each a 95% interval of a position-based model
covered about 85% of the time and a dynamic Bayesian network's 67%. Merge rare documents, or leave them out by how often
they were shown (never by how often they were clicked).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from simenv.clicks.ascent import F64, Maximum, maximise, profile_covariance, variances
from simenv.clicks.fit_cells import probability
from simenv.clicks.fitted import Fitted, click_perplexity
from simenv.clicks.model import Bools
from simenv.clicks.posing import AT_BOUND, CLICK_FITS, Pages, Posed
from simenv.errors import UserError, unknown_name

UNSEEN = 1e-200  # complete-data information of a parameter that no page tells anything about


def fit_click_model(
    name: str, documents: npt.NDArray[np.integer], clicks: Bools, document_errors: bool = False
) -> Fitted:
    """Fit a click model to a log by maximum likelihood. Examination of the first slot is 1.

    Args:
        name: In `CLICK_FITS`.
        documents: (N, K) id of what stood in each slot, negative for an empty one.
        clicks: (N, K) bool.
        document_errors: Whether to compute standard errors of every document's parameters too; one linear system each.

    Raises:
        UserError: for an unknown model, columns that do not fit together, clicks that the model cannot make, or a log
            that cannot tell the model's parameters apart.
    """
    if name not in CLICK_FITS:
        raise unknown_name("click model to fit", name, CLICK_FITS)
    pages = _pages(documents, clicks)
    posed = CLICK_FITS[name](pages)
    if document_errors and not posed.tells_documents:
        raise UserError(
            f"a log tells attractions of '{name}' only as multiples of the most attractive document's, which have no "
            "standard errors of their own; fit 'multinomial-logit' for those of documents' odds."
        )
    top = maximise(posed.likelihood, posed.start)
    chance, n_global, n_kept = probability(top.x), posed.n_global, len(posed.kept)
    told = posed.tell(chance[:n_global])
    covariance = profile_covariance(top.local, n_global, told.held)
    if covariance is None:
        raise UserError(
            f"the log cannot tell the parameters of a {name} model apart: attraction explains as much as they do, or "
            "no page says anything about one of them. Log documents in several slots each (randomise the ranking), or "
            "log more pages."
        )
    covariance = told.slope @ covariance @ told.slope.T
    covariance[told.untold] = covariance[:, told.untold] = np.nan
    attraction, satisfaction = np.zeros(len(pages.ids)), None
    attraction[posed.kept] = chance[n_global : n_global + n_kept]
    if posed.satisfies:
        seen = top.local.scale[n_global + n_kept :] > UNSEEN
        satisfaction = np.full(len(pages.ids), np.nan)
        satisfaction[posed.kept[seen]] = chance[n_global + n_kept :][seen]
    model = posed.model(chance[:n_global])
    if posed.rescale is not None:
        model, attraction[posed.kept] = posed.rescale(chance[:n_global], chance[n_global : n_global + n_kept])
    errors = _document_errors(posed, top, told.held, len(pages.ids)) if document_errors else (None, None)
    fitted = Fitted(
        model=model,
        parameters=dict(zip(posed.names, told.values.tolist(), strict=True)),
        covariance=covariance,
        documents=pages.ids,
        attraction=attraction,
        satisfaction=satisfaction,
        attraction_stderr=errors[0],
        satisfaction_stderr=errors[1],
        log_likelihood=top.local.value,
        perplexity=np.zeros(0),
        n=len(clicks),
        n_steps=top.n_steps,
        gap=top.gap,
        converged=top.converged,
    )
    perplexity = click_perplexity(fitted.model, fitted.appeal(documents), clicks, documents >= 0)
    return dataclasses.replace(fitted, perplexity=perplexity)


def _pages(documents: npt.NDArray[np.integer], clicks: Bools) -> Pages:
    if documents.ndim != 2 or documents.shape != clicks.shape:
        raise UserError(
            f"documents have shape {documents.shape} and clicks {clicks.shape}; expected one (pages, slots) for both."
        )
    if clicks.dtype != np.bool_ or not np.issubdtype(documents.dtype, np.integer):
        raise UserError(
            f"documents are {documents.dtype} and clicks {clicks.dtype}; expected integer ids and bool. Convert with "
            "astype."
        )
    if (clicks & (documents < 0)).any():
        row = int(np.flatnonzero((clicks & (documents < 0)).any(axis=1))[0])
        raise UserError(f"page {row}: an empty slot (negative document) was clicked; give the clicked document's id.")
    if not clicks.any():
        raise UserError("the log has no clicks; there is nothing to fit.")
    ids, number = np.unique(documents, return_inverse=True)
    n_empty = int((ids < 0).sum())
    number = number.reshape(documents.shape) - n_empty
    ids = ids[n_empty:].astype(np.int64)
    return Pages(ids, np.where(number < 0, len(ids), number), clicks)


def _document_errors(posed: Posed, top: Maximum, held: Bools, n_documents: int) -> tuple[F64, F64 | None]:
    """Standard errors of attraction and satisfaction, (D,) each, with everything else profiled out."""
    n_global, n_kept = posed.n_global, len(posed.kept)
    fixed = np.zeros(len(top.x))
    fixed[:n_global] = held
    found = []
    for first in range(n_global, len(top.x), n_kept):
        p = probability(top.x[first : first + n_kept])
        inside = (p > AT_BOUND) & (p < 1.0 - AT_BOUND) & (top.local.scale[first : first + n_kept] > UNSEEN)
        error = np.full(n_documents, np.nan)
        variance = variances(top.local, first + np.flatnonzero(inside), fixed)
        slope = (p * (1.0 - p))[inside]
        error[posed.kept[inside]] = np.sqrt(variance) * slope
        found.append(error)
    return found[0], found[1] if posed.satisfies else None
