"""Some rows of a log, as columns in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.catalogue import I32, I64
from simenv.propensity import Conditional
from simenv.world import Page


@dataclass(frozen=True)
class LogBatch:
    """Some rows of a log. (N,) unless said; names, units and ranges as in docs/log-schema.md.

    row: number of each row in the whole log. clicked, carted, purchased, returned: (N, K) bool. dwell: (N, K) float32
    seconds. revenue, reward: (N, K) float64. house_clicked, house_purchased: (N, H) bool. ad_revenue: (N, H) float64.
    """

    row: I64
    session: I64
    step: I32
    page: Page
    scores: npt.NDArray[np.float32]  # (N, C)
    temperature: npt.NDArray[np.float64]
    floor: npt.NDArray[np.float64]
    slate: I32  # (N, K)
    logp: Conditional
    clicked: npt.NDArray[np.bool_]
    carted: npt.NDArray[np.bool_]
    purchased: npt.NDArray[np.bool_]
    dwell: npt.NDArray[np.float32]
    returned: npt.NDArray[np.bool_]
    revenue: npt.NDArray[np.float64]
    reward: npt.NDArray[np.float64]
    estimated: npt.NDArray[np.bool_]  # the logger's propensities are estimates
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    house_clicked: npt.NDArray[np.bool_]
    house_purchased: npt.NDArray[np.bool_]
    ad_revenue: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """Number of rows, N."""
        return len(self.row)
