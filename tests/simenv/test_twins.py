"""What twins save, from the formulas."""

from __future__ import annotations

import math

import numpy as np

from simenv.twins import Ratio, difference

RNG = np.random.default_rng(0)
ONES = np.ones(4000)


def test_the_error_of_twins_is_that_of_the_paired_difference() -> None:
    a, b = RNG.normal(size=(2, 4000)) + 3.0 * RNG.normal(size=4000)
    found = difference(Ratio(a, ONES), Ratio(b, ONES))
    assert math.isclose(found.value, float(a.mean() - b.mean()))
    assert math.isclose(found.stderr, float((a - b).std(ddof=1) / np.sqrt(4000)))
    apart = (a.var(ddof=1) + b.var(ddof=1)) / (a - b).var(ddof=1)
    assert math.isclose(found.twins_save, float(apart))


def test_strangers_save_nothing() -> None:
    """Independent columns: the ratio is 1 within five standard errors, 2 r / sqrt(n) of the correlation r."""
    a, b = RNG.normal(size=(2, 4000))
    saved = difference(Ratio(a, ONES), Ratio(b, ONES)).twins_save
    assert abs(saved - 1.0) < 5 / np.sqrt(4000)


def test_a_policy_and_itself_have_no_error_to_save() -> None:
    a = Ratio(RNG.normal(size=50), ONES[:50])
    found = difference(a, a)
    assert found.value == found.stderr == 0.0
    assert math.isnan(found.twins_save)
