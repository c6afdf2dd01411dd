"""Numbers as a reader sees them."""

from __future__ import annotations

import math

import pytest

from reports.numbers import count, decimals_for, duration, fixed, interval, number, percent, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0045669, "0.004567"), (1643.2, "1,643"), (0.0, "0"), (-0.25, "−0.2500"), (math.nan, "–"), (math.inf, "∞")],
)
def test_a_number_has_four_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_one_exploded_value_does_not_round_the_others_away() -> None:
    assert decimals_for([0.0045, 0.0047, 0.0039, 1310.0, math.nan]) == 6


def test_a_rounded_zero_has_no_sign() -> None:
    assert fixed(-0.0001, 2) == "0.00"
    assert signed(0.0001, 2) == "0.00"
    assert signed(0.5, 1) == "+0.5"
    assert signed(-0.5, 1) == "−0.5"


def test_small_counts_keep_a_decimal() -> None:
    assert (count(4.83), count(1643.4), count(12.0), count(math.nan)) == ("4.8", "1,643", "12", "–")


def test_shares_intervals_and_times_read_well() -> None:
    assert percent(0.668) == "67%"
    assert (percent(0.0), percent(0.0004), percent(-0.2)) == ("0%", "<1%", "−20%")
    assert interval(-0.1, 0.25, 2) == "[−0.10, 0.25]"
    assert interval(math.nan, math.nan, 2) == "–"
    assert (interval(0.25, math.nan, 2), interval(math.nan, 0.25, 2)) == ("≥ 0.25", "≤ 0.25")
    assert (duration(3.21), duration(263.4), duration(7300)) == ("3.2 s", "4 min 23 s", "2 h 1 min")
