"""What an interval may be made from: one estimate with everything behind it, and what the reader asked for."""

from __future__ import annotations

from dataclasses import dataclass

from offpolicy.estimator import Estimator
from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters
from offpolicy.statistics import Scores, Statistics
from offpolicy.terms import Terms
from simenv.errors import UserError


@dataclass(frozen=True)
class Asked:
    """What the reader asked for.

    Attributes:
        level: Confidence level in (0, 1).
        seed: Names the luck of resampling.
        replicates: B, of a bootstrap.

    Raises:
        UserError: If the level is out of range, or replicates are too few for its tails.
    """

    level: float = 0.95
    seed: int = 0
    replicates: int = 1000

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise UserError(f"level is {self.level}; expected a number between 0 and 1, such as 0.95.")
        if self.replicates < 100:
            raise UserError(f"replicates is {self.replicates}; expected at least 100, and 1,000 for a 95% interval.")


@dataclass(frozen=True)
class Case:
    """One estimate with everything that an interval may be made from.

    Attributes:
        estimator: What made it.
        evidence: From what.
        terms: The evidence as this estimator cuts it, weights reshaped.
        statistics: What its formula made of each row; of the difference to the logger where `is_lift`.
        scores: Value and influences of the same.
        by: Clusters of the rows.
        is_lift: Whether this is the difference to the logger's mean on the same rows.
    """

    estimator: Estimator
    evidence: Evidence
    terms: Terms
    statistics: Statistics
    scores: Scores
    by: Clusters
    is_lift: bool = False
