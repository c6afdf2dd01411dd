"""The placebo of item-position weights: silent where clicks depend on the slot, loud where they cascade."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from offpolicy.diagnostics import interference_z
from offpolicy.inference import clusters
from policies import plackett_luce
from policies.registry import named_policy
from scenarios.config import Estimation
from scenarios.evidence import _surprise, join_log
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.worlds import load_world


def test_the_surprise_has_mean_zero_over_what_could_stand_first_above_the_same_rest() -> None:
    """By enumeration of all 120 ordered slates of 3 of 6, for every rest."""
    rng = np.random.default_rng(0)
    logw = plackett_luce.log_weights(rng.normal(size=(1, 6)).astype(np.float32) * 2.0, 1.0, 0.05)
    liking = rng.random((1, 6))
    slates = np.array(list(itertools.permutations(range(6), 3)), dtype=np.int32)
    n = len(slates)
    p = np.exp(plackett_luce.conditional(np.repeat(logw, n, 0), slates).prefix().joint)
    surprise = _surprise(np.repeat(np.exp(logw), n, 0), slates, np.repeat(liking, n, 0))
    assert np.abs(surprise).max() > 0.1
    for rest in set(map(tuple, slates[:, 1:])):
        same = (slates[:, 1:] == rest).all(axis=1)
        assert abs((p[same] * surprise[same]).sum()) < 1e-12


def z_of(world_name: str, seed: int, folder: Path, n_shoppers: int) -> float:
    world = load_world(world_name)
    logger = named_policy("production", world.catalogue.public())
    log = Log.open(write_log(world, world_name, logger, seed, shopper_range(n_shoppers), folder / f"{seed}"))
    target = {"uniform": named_policy("uniform", world.catalogue.public())}
    evidence = join_log(log, target, None, Estimation(folds=2, target_slates=1), 0, lambda n=1: None).evidence[
        "uniform"
    ]
    z = interference_z(evidence, clusters(evidence))
    assert z is not None
    return z


@pytest.mark.slow
def test_the_placebo_is_silent_under_position_bias_and_loud_under_a_cascade(tmp_path: Path) -> None:
    """30 logs of the default world: z has mean 0 and deviation 1 within four standard errors (1/sqrt(30), 1/sqrt(60));
    the cascade is caught beyond the limit of 5 in every one of 10 logs of about 7,000 searches."""
    null = np.array([z_of("default", seed, tmp_path / "null", 150) for seed in range(30)])
    print("null", null.mean(), null.std(ddof=1))
    assert abs(null.mean()) < 4.0 / np.sqrt(30)
    assert abs(null.std(ddof=1) - 1.0) < 4.0 / np.sqrt(60)
    caught = np.array([z_of("cascade", seed, tmp_path / "cascade", 1000) for seed in range(10)])
    print("cascade", caught.round(1))
    assert (caught < -5.0).all()
