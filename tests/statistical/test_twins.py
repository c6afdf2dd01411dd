"""Twins against independent plays: the difference is the same, its variance smaller, as much as the table says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from policies.registry import named_policy
from simenv.clicks import CLICK_MODELS
from simenv.decision import Policy
from simenv.play import shopper_range
from simenv.truth import lives
from simenv.twins import Ratio, difference
from simenv.world import World, make_world
from simenv.worlds import world_params

N_SHOPPERS, N_PLAYS = 60, 60
ALPHA = 1e-4


def world_of(click_model: str) -> World:
    """The tiny market under another click model."""
    return make_world(dataclasses.replace(world_params("tiny"), click_model=CLICK_MODELS[click_model](3)))


def value(world: World, policy: Policy, seed: int) -> Ratio:
    """Value per shopper of one play."""
    return lives(world, {"": policy}, seed, shopper_range(N_SHOPPERS))[""].per_shopper()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("click_model", "one", "other"),
    [
        ("position-based", "production", "lexical"),
        ("position-based", "oracle", "uniform"),
        ("cascade", "production", "popularity"),
        ("dbn", "oracle", "production"),
        ("multinomial-logit", "oracle", "production"),
    ],
)
def test_twins_measure_the_same_difference_with_fewer_shoppers(click_model: str, one: str, other: str) -> None:
    """60 plays of 60 shoppers as twins, and as many with nothing in common.

    The variance of the differences is smaller for twins (F-test at 1e-4); the ratio of the two variances is what
    `twins_save` says, within the F distribution's own spread at 1e-4; the mean differences agree within four standard
    errors of both.
    """
    world = world_of(click_model)
    a, b = (named_policy(name, world.catalogue.public()) for name in (one, other))
    told, twins, apart = [], np.empty(N_PLAYS), np.empty(N_PLAYS)
    for play in range(N_PLAYS):
        own, base = value(world, a, play), value(world, b, play)
        found = difference(own, base)
        told.append(found)
        twins[play] = found.value
        apart[play] = own.value - value(world, b, 10_000 + play).value
    ratio = apart.var(ddof=1) / twins.var(ddof=1)
    saved = np.mean([each.stderr_apart**2 for each in told]) / np.mean([each.stderr**2 for each in told])
    reach = stats.f.ppf([ALPHA, 1.0 - ALPHA], N_PLAYS - 1, N_PLAYS - 1)
    print(f"{click_model}: {one} over {other}: twins save {saved:.2f} x, seen {ratio:.2f} x")
    assert ratio > reach[1]
    assert reach[0] < ratio / saved < reach[1]
    error = np.sqrt((twins.var(ddof=1) + apart.var(ddof=1)) / N_PLAYS)  # an upper bound: they share one play
    assert abs(twins.mean() - apart.mean()) < 4 * error
