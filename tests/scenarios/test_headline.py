"""What is told first, and in which words."""

from __future__ import annotations

import pytest

from scenarios.folder import Row
from scenarios.headline import finding, holds


def row(lift: float, reach: float) -> Row:
    return {
        "policy": "ours", "estimator": "ips", "value": 0.64, "lift": lift, "lift_low": lift - reach,
        "lift_high": lift + reach, "level": 0.95, "verdict": "trust", "reasons": [""],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lift", "reach", "said"),
    [
        (0.02, 0.01, "the evidence carries it"),
        (0.02, 0.03, "not told apart from the logger"),
        (8e-18, 6e-18, "not told apart from the logger"),  # on its own log, propensities rounded on their way
        (-8e-18, 6e-18, "not told apart from the logger"),
    ],
)
def test_a_lift_is_told_apart_from_none_beyond_chance_and_rounding(lift: float, reach: float, said: str) -> None:
    assert said in finding([row(lift, reach)])


def test_an_interval_without_ends_holds_nothing_and_an_end_that_lacks_excludes_nothing() -> None:
    without: Row = {"value": 0.64, "lift_low": None, "lift_high": None}
    from_below: Row = {"value": 0.64, "lift_low": -0.1, "lift_high": None}
    assert not holds(without, 0.0)
    assert holds(from_below, 5.0)
    assert not holds(from_below, -0.2)
