"""What fitting a click model to a log gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from simenv.clicks.model import Appeal, Bools, ClickModel
from simenv.errors import UserError, unknown_name

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A click model fitted to a log.

    Attributes:
        model: The model at the estimates; its name is the key in `CLICK_FITS`.
        parameters: Estimates of the global parameters by name; slots count from 1.
        covariance: (G, G) of these, from the observed information with every document's parameters profiled out; NaN
            for a parameter at its bound.
        documents: (D,) sorted ids.
        attraction: (D,) of each document, for `model`; 0 for one that was never clicked.
        satisfaction: (D,) where the model has it; NaN for a document whose clicks cannot tell.
        attraction_stderr: (D,) where asked for; NaN at a bound.
        satisfaction_stderr: (D,) likewise.
        log_likelihood: Of the log, natural logarithm.
        perplexity: (K,) per slot, of clicks given the slate alone, in the log that was fitted: 1 is clairvoyance, 2 a
            fair coin.
        n: Pages.
        n_steps: Steps of the climb.
        gap: Log-likelihood that the last step still promised.
        converged: Whether that is as good as nothing. If not, believe nothing here.
    """

    model: ClickModel
    parameters: Mapping[str, float]
    covariance: F64
    documents: npt.NDArray[np.int64]
    attraction: F64
    satisfaction: F64 | None
    attraction_stderr: F64 | None
    satisfaction_stderr: F64 | None
    log_likelihood: float
    perplexity: F64
    n: int
    n_steps: int
    gap: float
    converged: bool

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors of the global parameters, NaN at a bound."""
        return dict(zip(self.parameters, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    def interval(self, parameter: str, level: float = 0.95) -> tuple[float, float]:
        """The Wald interval of a global parameter.

        Raises:
            UserError: for a parameter that the model does not have.
        """
        if parameter not in self.parameters:
            raise unknown_name("parameter", parameter, self.parameters)
        width = NormalDist().inv_cdf(0.5 + level / 2) * self.stderr[parameter]
        return self.parameters[parameter] - width, self.parameters[parameter] + width

    def appeal(self, documents: npt.NDArray[np.integer]) -> Appeal:
        """The fitted appeal of documents (N, K), negative for an empty slot.

        Where the log cannot tell the satisfaction of a document it gets the average of the others.

        Raises:
            UserError: for a document that the log does not have.
        """
        at = np.searchsorted(self.documents, documents).clip(max=len(self.documents) - 1)
        unknown = (documents >= 0) & (self.documents[at] != documents)
        if unknown.any():
            raise UserError(
                f"document {documents[unknown][0]} was not in the log that the click model was fitted to; fit it to a "
                "log that shows it, or leave it out."
            )
        satisfaction = np.zeros(len(self.documents))
        if self.satisfaction is not None:
            told = self.satisfaction[np.isfinite(self.satisfaction)]
            satisfaction = np.nan_to_num(self.satisfaction, nan=float(told.mean()) if len(told) else 0.5)
        return Appeal(np.where(documents >= 0, self.attraction[at], 0.0), satisfaction[at])


def click_perplexity(model: ClickModel, appeal: Appeal, clicks: Bools, filled: Bools) -> F64:
    """Perplexity per slot, (K,): 2 to the average of -log2 P(click or no click at the slot | slate).

    Only slots that are `filled` (N, K) count; one that never is has NaN. What could not happen makes it infinite.
    """
    p = model.click_probability(appeal).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -np.log2(np.where(clicks, p, 1.0 - p), out=np.zeros_like(p), where=filled)
        perplexity: F64 = np.exp2(bits.sum(axis=0) / filled.sum(axis=0))
    return perplexity
