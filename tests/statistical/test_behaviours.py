"""Published ordering: weights by each shopper's own behaviour against one behaviour for everybody.

Kiyohara, Uehara, Narita, Shimizu, Yamamoto and Saito (2023) drew mean squared errors for pages of 8 slots and 3 actions
and 1,000 to 32,000 rows of shoppers who read in different ways: whole-slate IPS errs most in small logs and its error
falls throughout (1.2 to .033), independent IPS stays where its bias leaves it (.20), RIPS falls and then stays (.125 to
.045), and adaptive IPS falls throughout, below all of them (.19 to .005 and .048 to .009, by how behaviours are known).

This is a generator of our own: shoppers are of three kinds by their first feature, the same action elsewhere on the
page crowds a reward out, and who hears what elsewhere is by kind. Orders are what is compared; an order counts where
the paired difference of squared errors is beyond 1.64 of its standard errors over the seeds (one-sided, 5%).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import ESTIMATORS, Evidence
from offpolicy.slates.behaviour import BEHAVIOURS
from simenv.propensity import Conditional, Marginal

pytestmark = pytest.mark.slow

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ACTIONS, SLOTS, FEATURES, SEEDS = 3, 8, 5, 40
KINDS = np.array(["independent", "cascade", "standard"])
HEARS = np.stack([BEHAVIOURS[kind](SLOTS) & ~np.eye(SLOTS, dtype=bool) for kind in KINDS]).astype(np.float64)
NAMES = ("ips", "ips-item", "rips", "aips, given", "aips")


def kind(x: Floats) -> Ints:
    """Thirds of the shoppers, (n,)."""
    return np.digitize(x[:, 0], [-0.43, 0.43])


def softmax(score: Floats) -> Floats:
    p = np.exp(score - score.max(axis=1, keepdims=True))
    return 0.9 * p / p.sum(axis=1, keepdims=True) + 0.1 / ACTIONS


def draw(p: Floats, rng: np.random.Generator) -> Ints:
    """Slates with replacement from p (n, A), (n, K)."""
    return (p.cumsum(axis=1)[:, None, :-1] < rng.random((len(p), SLOTS, 1))).sum(axis=2)


def chance(x: Floats, action: Ints, liking: Floats, between: Floats) -> Floats:
    """Chance of a reward at each slot, (n, K)."""
    alone = np.take_along_axis(x @ liking, action, 1)
    others = between[action[:, :, None], action[:, None, :]]  # (n, K, K)
    return 1.0 / (1.0 + np.exp(0.5 - alone - (others * HEARS[kind(x)]).sum(axis=2)))


def squared_errors(n_rows: int) -> Floats:
    """(SEEDS, estimators)."""
    return np.array(list(_squared_errors(n_rows)))


def _squared_errors(n_rows: int) -> Iterator[list[float]]:
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        liking = rng.normal(size=(FEATURES, ACTIONS))
        between = rng.normal(scale=0.3, size=(ACTIONS, ACTIONS)) - np.eye(ACTIONS)
        x = rng.normal(size=(20_000, FEATURES))
        truth = float(chance(x, draw(softmax(0.5 * x @ liking), rng), liking, between).sum(axis=1).mean())
        x = rng.normal(size=(n_rows, FEATURES))
        p, q = softmax(0.2 * x @ liking), softmax(0.5 * x @ liking)
        action = draw(p, rng)
        reward = (rng.random((n_rows, SLOTS)) < chance(x, action, liking, between)).astype(np.float64)
        logger, target = (np.log(np.take_along_axis(each, action, 1)) for each in (p, q))
        evidence = Evidence(
            reward=reward,
            logger=Conditional(logger),
            target=Conditional(target),
            logger_marginal=Marginal(logger),  # actions may be repeated, so slots are drawn independently
            target_marginal=Marginal(target),
            features=x,
            feature_names=tuple(f"x{f}" for f in range(FEATURES)),
            cluster=np.arange(n_rows),
        )
        given = replace(evidence, behaviour=KINDS[kind(x)])
        made = [ESTIMATORS[name.split(",")[0]](given if "given" in name else evidence).value for name in NAMES]
        yield [(value - truth) ** 2 for value in made]


def told(n_rows: int) -> tuple[dict[str, float], Floats, Floats]:
    """Mean squared errors, and z of the others' excess over both adaptive ones, (3,) each."""
    errors = squared_errors(n_rows)
    mean = dict(zip(NAMES, errors.mean(axis=0).round(5).tolist(), strict=True))
    excess = [errors[:, :3] - errors[:, [own]] for own in (3, 4)]
    given, learned = (each.mean(axis=0) / (each.std(axis=0, ddof=1) / np.sqrt(SEEDS)) for each in excess)
    print(n_rows, mean, given.round(1), learned.round(1))
    return mean, given, learned


def test_weights_by_each_shoppers_behaviour_err_least_as_published() -> None:
    small, given, _ = told(1_000)
    assert min(small[name] for name in NAMES[:3]) > small["aips, given"]
    assert given[1] > 1.64
    large, given, learned = told(16_000)
    assert min(given) > 1.64
    assert min(learned) > 1.64
    assert large["ips"] < 0.2 * small["ips"]
    assert large["ips-item"] > 0.5 * small["ips-item"]  # its bias stays
    assert large["aips"] < 0.2 * small["aips"]
