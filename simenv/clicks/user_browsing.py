"""The user browsing model: a click draws the eye to what stands below it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.clicks.model import Appeal, Bools, Floats, require_probabilities
from simenv.errors import UserError


@dataclass(frozen=True)
class UserBrowsing:
    """Examination depends on the slot and on the distance to the last click above it.

    P(examined at k | clicks above) = examination[k][d - 1], where d = k - r for the last click r above k, and d = k + 1
    where there is none (k and r count from 0). P(click at k) = that * attraction[k]. Slots may be skipped and any
    number clicked. A click depends on the clicks above and so on the items above, never on those below: prefix weights
    identify the value of a ranking. Right where people jump on from what they clicked; wrong where a satisfying click
    ends the search.

    Dupret and Piwowarski, "A user browsing model to predict search engine click data from past observations", 2008.

    Attributes:
        examination: One row a slot, row k with k + 1 probabilities, by distance from 1 to k + 1.
    """

    examination: tuple[tuple[float, ...], ...]
    name: str = "user-browsing"
    identified_by: str = "prefix"

    def __post_init__(self) -> None:
        """Refuse rows of the wrong length and what is no probability."""
        for k, row in enumerate(self.examination):
            require_probabilities(f"examination in row {k + 1}", row)
            if len(row) != k + 1:
                raise UserError(
                    f"examination has {len(row)} numbers in row {k + 1}; expected {k + 1}, one for each distance to "
                    "the last click, the largest for none."
                )

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`."""
        attractive = u_item < appeal.attraction
        table = self._table(appeal.attraction)
        examined = np.empty(attractive.shape, dtype=bool)
        last = np.zeros(len(attractive), dtype=np.int64)
        for k in range(attractive.shape[1]):
            examined[:, k] = u_examine[:, k] < table[k, last]
            last[examined[:, k] & attractive[:, k]] = k + 1
        return examined, examined & attractive

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`. This model knows nothing of satisfaction."""
        return None

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        p = self._table(appeal.attraction)[np.arange(clicks.shape[1]), last_click(clicks)] * appeal.attraction
        with np.errstate(divide="ignore"):
            logp: Floats = np.where(clicks, np.log(p), np.log1p(-p)).sum(axis=1)
        return logp

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`. A recursion over where the last click was, (N, K + 1)."""
        attraction = appeal.attraction
        table = self._table(attraction)
        n_rows, n_slots = attraction.shape
        last = np.zeros((n_rows, n_slots + 1))
        last[:, 0] = 1.0
        probability = np.empty((n_rows, n_slots))
        for k in range(n_slots):
            clicks = last[:, : k + 1] * table[k, : k + 1] * attraction[:, k, None]
            probability[:, k] = clicks.sum(axis=1)
            last[:, : k + 1] -= clicks
            last[:, k + 1] = probability[:, k]
        return probability

    def _table(self, attraction: Floats) -> npt.NDArray[np.float64]:
        """Examination of slot k by one plus the slot of the last click, 0 for none: (K, K + 1)."""
        n_slots = attraction.shape[1]
        if n_slots > len(self.examination):
            raise UserError(
                f"the slate has {n_slots} slots and examination is given for {len(self.examination)}; give one row "
                "for each slot."
            )
        table = np.zeros((n_slots, n_slots + 1))
        for k in range(n_slots):
            table[k, : k + 1] = self.examination[k][::-1]
        return table


def last_click(clicks: Bools) -> npt.NDArray[np.int64]:
    """One plus the slot of the last click above each slot, 0 where there is none: (N, K)."""
    numbers = np.where(clicks, np.arange(1, clicks.shape[1] + 1), 0)
    last = np.zeros(clicks.shape, dtype=np.int64)
    last[:, 1:] = np.maximum.accumulate(numbers, axis=1)[:, :-1]
    return last
