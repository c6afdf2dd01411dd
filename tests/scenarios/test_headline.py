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


def _row(name: str, verdict: str) -> Row:
    return {
        "policy": "new", "estimator": name, "verdict": verdict, "reasons": ["8.7 effective shoppers"], "value": 1.0,
        "lift": 0.1, "lift_low": 0.0, "lift_high": 0.2, "level": 0.95,
    }  # fmt: skip


def test_a_finding_that_refuses_the_usual_estimates_names_those_to_be_read_with_caution() -> None:
    said = finding([_row("pdis", "do not use"), _row("fqe", "caution")])
    assert said == (
        "Of new only fqe may be read, with caution; no other estimate should be used: 8.7 effective shoppers."
    )


def test_a_finding_that_refuses_all_names_nothing_else() -> None:
    assert finding([_row("pdis", "do not use")]).endswith("should be used: 8.7 effective shoppers.")


def test_a_finding_of_estimates_that_are_never_told_first_does_not_refuse_them() -> None:
    assert finding([_row("recent-dr-item", "caution")]).startswith(
        "Estimates of new are to be read with caution (recent"
    )
    assert finding([_row("mixture-ips", "trust")]).startswith("mixture-ips puts new at 1.0000")
