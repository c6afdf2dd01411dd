"""Rows that are read each in its own way: exact under what is given, and what is learned from a log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import ESTIMATORS, Evidence, evaluate
from offpolicy.slates.behaviour import BEHAVIOURS, learned_behaviour, log_weights
from offpolicy.stream.plan import check_names
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal
from tests.offpolicy.slates.test_reward_structures import CONTEXTS, REWARDS, SLATES, expected, market

READ = ("independent", "cascade", "all")  # the reward structure of each context
RIGHT = np.repeat(["independent", "cascade", "standard"], len(SLATES))


def mixed() -> tuple[Evidence, npt.NDArray[np.float64], float]:
    """Every slate of three contexts, each of which is read in its own way."""
    return market(np.stack([REWARDS[name][context] for context, name in enumerate(READ)]))


def test_with_the_behaviour_of_each_row_it_is_unbiased_where_no_other_small_weight_is() -> None:
    evidence, chance, truth = mixed()
    assert len(READ) == CONTEXTS
    given = replace(evidence, behaviour=RIGHT)
    for name in ("aips", "snaips"):
        assert abs(expected(name, given, chance) - truth) < 1e-12  # float64 sums of 180 rows
    for name in ("rips", "ips-item"):
        assert abs(expected(name, evidence, chance) - truth) > 1e-3
    swapped = replace(evidence, behaviour=np.roll(RIGHT, len(SLATES)))
    assert abs(expected("aips", swapped, chance) - truth) > 1e-3


def test_its_weights_are_those_of_the_estimators_that_believe_in_one_behaviour() -> None:
    evidence, _, _ = mixed()
    for behaviour, name in (("independent", "ips-item"), ("cascade", "rips"), ("standard", "ips")):
        given = replace(evidence, behaviour=np.full(evidence.n_rows, behaviour))
        assert np.allclose(
            ESTIMATORS["aips"].statistics(given).plain, ESTIMATORS[name].statistics(evidence).plain, rtol=0, atol=1e-12
        )


def test_what_does_not_follow_from_the_log_is_refused() -> None:
    evidence, _, _ = mixed()  # slates without repetition: slots are not drawn one without the other
    with pytest.raises(UserError, match=r"slot 2 hears slots \[2, 3\]"):
        log_weights(evidence, np.triu(np.ones((3, 3), dtype=bool)))
    with pytest.raises(UserError, match="Did you mean 'cascade'"):
        ESTIMATORS["aips"](replace(evidence, behaviour=np.full(evidence.n_rows, "casade")))
    with pytest.raises(UserError, match="behaviours, which are learned from all rows"):
        check_names(["aips"], "t")


def drawn(n_rows: int, seed: int = 0) -> Evidence:
    """Slots drawn one without the other; shoppers on phones hear what stands above, others nothing."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 2, (n_rows, 3))
    is_phone = rng.random(n_rows) < 0.5
    above = np.cumsum(action, axis=1) - action
    chance = 0.3 + 0.4 * action - 0.25 * above * is_phone[:, None] * action
    logger = np.full((n_rows, 3), np.log(0.5))
    target = np.log(np.where(action == 1, 0.8, 0.2))
    return Evidence(
        reward=(rng.random((n_rows, 3)) < chance).astype(np.float64),
        logger=Conditional(logger),
        target=Conditional(target),
        logger_marginal=Marginal(logger),
        target_marginal=Marginal(target),
        cluster=np.arange(n_rows),
        features=rng.normal(size=(n_rows, 1)),
        feature_names=("noise",),
        segments={"device": np.where(is_phone, "phone", "desktop")},
    )


def test_the_tree_finds_who_hears_what_stands_above() -> None:
    evidence = drawn(20_000)
    found, device = learned_behaviour(evidence), evidence.segments["device"]
    hears = np.array([BEHAVIOURS[name](3)[2, :2].all() for name in found.tolist()])
    assert hears[device == "phone"].all()
    assert (found[device == "desktop"] == "independent").all()
    assert np.array_equal(found, learned_behaviour(evidence))
    assert evaluate(evidence, ["aips"])[0].verdict.word != "trust"


def test_the_behaviour_of_a_row_is_not_chosen_by_its_own_reward() -> None:
    evidence = drawn(2_000)
    found = learned_behaviour(evidence)
    reward = evidence.reward.copy()
    reward[7] = 1000.0 * (1.0 - reward[7])  # would turn any tree that sees it
    assert learned_behaviour(replace(evidence, reward=reward))[7] == found[7]
