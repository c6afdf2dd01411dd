"""A finding: one thing that was looked at in a log, what was seen, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

Outcome = Literal["passed", "strained", "failed", "not checked"]

OUTCOMES: tuple[Outcome, ...] = ("passed", "strained", "failed", "not checked")


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Attributes:
        check: Its name, as in `offpolicy.audit.checks.CHECKS`.
        outcome: "strained" costs trust, "failed" use; "not checked" says that a column was missing.
        figure: The number it rests on, in the unit that `said` names; None where there is none.
        said: One sentence for the reader.
    """

    check: str
    outcome: Outcome
    figure: float | None
    said: str

    @property
    def rank(self) -> int:
        """0 passed or not checked, 1 strained, 2 failed."""
        return {"passed": 0, "not checked": 0, "strained": 1, "failed": 2}[self.outcome]

    def record(self) -> dict[str, str | float | None]:
        """As a row of a table."""
        return {"check": self.check, "outcome": self.outcome, "figure": self.figure, "said": self.said}


def outcome_of(value: float, limits: tuple[float, float]) -> Outcome:
    """Passed up to the first limit, strained up to the second, failed beyond."""
    return OUTCOMES[int(value > limits[0]) + int(value > limits[1])]


def single_look(strongest: float, looks: int) -> float:
    """The largest |z| of several looks as the |z| of a single one, by Bonferroni's inequality."""
    normal = NormalDist()
    p = looks * 2.0 * normal.cdf(-abs(strongest))
    if p >= 1.0:
        return 0.0
    return abs(strongest) if p < 1e-280 else -normal.inv_cdf(p / 2.0)


def missing(check: str, what: str) -> Finding:
    """A check that lacks what it looks at."""
    return Finding(check, "not checked", None, f"not checked: the evidence lacks {what}")
