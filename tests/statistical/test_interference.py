"""The placebo of item-position weights: silent where clicks depend on the slot, loud where they cascade."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from offpolicy import Evidence
from offpolicy.diagnostics import interference_z, upward_z
from offpolicy.inference import clusters
from policies import plackett_luce
from policies.registry import named_policy
from scenarios.config import Estimation
from scenarios.evidence import join_log
from scenarios.placebo import surprise as surprise_of
from simenv import hashing
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.worlds import load_world


def test_the_surprise_has_mean_zero_over_what_could_stand_at_each_slot_in_the_same_rest() -> None:
    """By enumeration of all 120 ordered slates of 3 of 6, for every slot and every rest."""
    rng = np.random.default_rng(0)
    logw = plackett_luce.log_weights(rng.normal(size=(1, 6)).astype(np.float32) * 2.0, 1.0, 0.05)
    liking = rng.random((1, 6))
    slates = np.array(list(itertools.permutations(range(6), 3)), dtype=np.int32)
    n = len(slates)
    p = np.exp(plackett_luce.conditional(np.repeat(logw, n, 0), slates).prefix().joint)
    surprise = surprise_of(np.repeat(np.exp(logw), n, 0), slates, np.repeat(liking, n, 0))
    for slot in range(3):
        assert np.abs(surprise[:, slot]).max() > 0.1
        rests = np.delete(slates, slot, axis=1)
        for rest in set(map(tuple, rests)):
            same = (rests == rest).all(axis=1)
            assert abs((p[same] * surprise[same, slot]).sum()) < 1e-12


def enumerated_world(harm: tuple[int, int] | None, seed: int) -> Evidence:
    """20,000 slates of 3 of 6 by Plackett-Luce; where asked, one slot's item suppresses another's clicks."""
    rng = np.random.default_rng(seed)
    n = 20_000
    logw = plackett_luce.log_weights(rng.normal(size=(n, 6)).astype(np.float32), 1.0, 0.05)
    slate = plackett_luce.draw(logw, 3, hashing.absorb(seed, np.arange(n)), np.tile(np.arange(6), (n, 1)))
    liking = rng.uniform(0.1, 0.9, (n, 6))
    p = np.take_along_axis(liking, slate.astype(np.int64), axis=1) * np.array([0.9, 0.6, 0.4])
    if harm is not None:
        p[:, harm[1]] *= 1.0 - 0.6 * np.take_along_axis(liking, slate[:, harm[0], None].astype(np.int64), axis=1)[:, 0]
    conditional = plackett_luce.conditional(logw, slate)
    return Evidence(
        reward=(rng.random(p.shape) < p).astype(np.float64),
        logger=conditional,
        target=conditional,
        placebo=surprise_of(np.exp(logw), slate, liking),
        cluster=np.arange(n),
    )


@pytest.mark.parametrize("harm", [(0, 1), (1, 0), (1, 2), (2, 1)])
def test_whichever_slot_harms_its_neighbour_is_seen_and_nothing_is_seen_where_none_does(harm: tuple[int, int]) -> None:
    """The null is refused with probability .003 a log; all of 20 are calm. Harm is seen in every log."""
    z = [interference_z(e, clusters(e)) for e in (enumerated_world(harm, seed) for seed in range(5))]
    assert all(each is not None and each > 3.0 for each in z), z
    calm = [interference_z(e, clusters(e)) for e in (enumerated_world(None, seed) for seed in range(20))]
    assert all(each is not None and each < 3.0 for each in calm), calm


def test_only_what_moves_rewards_above_is_held_against_those_who_read_from_the_top() -> None:
    """A slot that harms the one below is what prefix weights are made for; one that harms the one above is not."""
    for harm in [(0, 1), (1, 2)]:
        calm = [upward_z(e, clusters(e)) for e in (enumerated_world(harm, seed) for seed in range(5))]
        assert all(each is not None and each < 3.0 for each in calm), calm
    for harm in [(1, 0), (2, 1)]:
        loud = [upward_z(e, clusters(e)) for e in (enumerated_world(harm, seed) for seed in range(5))]
        assert all(each is not None and each > 3.0 for each in loud), loud


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
    """30 logs of the default world: |z| is beyond 2.5 with probability .0124 each, so in at most 4 of 30 (five standard
    errors); the cascade is refused, beyond 3, in every one of 10 logs of about 7,000 searches."""
    null = np.array([z_of("default", seed, tmp_path / "null", 150) for seed in range(30)])
    print("null", null.round(2))
    assert (null > 2.5).sum() <= 4
    caught = np.array([z_of("cascade", seed, tmp_path / "cascade", 1000) for seed in range(10)])
    print("cascade", caught.round(1))
    assert (caught > 3.0).all()
