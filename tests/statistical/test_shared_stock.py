"""Where two rankers share a shelf, an A/B test measures something else than the difference between two worlds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from policies.registry import named_policy
from simenv import hashing
from simenv.catalogue import I64
from simenv.decision import Decision, Policy, PropensityKind, Truth
from simenv.market import Market
from simenv.play import play, shopper_range
from simenv.propensity import Conditional
from simenv.world import Page, World, make_world
from simenv.worlds import world_params

N = 4_000
F64 = npt.NDArray[np.float64]


def in_b(shopper: I64) -> npt.NDArray[np.bool_]:
    """The arm that the hash of a shopper's id gives."""
    return hashing.uniform(hashing.absorb(hashing.stream(9, "arm"), shopper)) < 0.5


@dataclass(frozen=True)
class Split:
    """An A/B test as one policy: each shopper gets one of two rankers by hash."""

    a: Policy
    b: Policy
    name: str = "a/b test"
    temperature: float = 1.0
    floor: float = 0.0
    propensity_kind: PropensityKind = "exact"
    propensity_error: float = 0.0
    sees_truth: bool = True
    reads_query: bool = False

    def act(self, page: Page, n_slots: int, keys: hashing.Keys, truth: Truth | None = None) -> Decision:
        a, b = (policy.act(page, n_slots, keys, truth) for policy in (self.a, self.b))
        arm = in_b(page.shopper)[:, None]
        logp = Conditional(np.where(arm, b.logp.logp, a.logp.logp))
        return Decision(np.where(arm, b.slate, a.slate), logp, np.where(arm, b.scores, a.scores))

    def log_prob(self, page: Page, slate: npt.NDArray[np.int32], truth: Truth | None = None) -> Conditional:
        a, b = (policy.log_prob(page, slate, truth) for policy in (self.a, self.b))
        return Conditional(np.where(in_b(page.shopper)[:, None], b.logp, a.logp))


def purchases(world: World, policy: Policy) -> F64:
    """Expected purchases of each shopper's life, (N,)."""
    total = np.zeros(N)
    for step in play(world, policy, 1, shopper_range(N)):
        np.add.at(total, step.state.shopper, step.outcome.expected.sum(axis=1))
    return total


def interference(world: World) -> tuple[float, float, float]:
    """Lift in the A/B test, lift of the same shoppers between the two full worlds, and the standard error of their gap.

    Both contrasts are means over the same arms, under the same luck: arm B under B minus arm A under A. So where nobody
    touches anybody they are equal to the last bit, and the error is that of what interference adds.
    """
    catalogue = world.catalogue.public()
    a, b = named_policy("lexical", catalogue), named_policy("oracle", catalogue)
    test, all_a, all_b = (purchases(world, policy) for policy in (Split(a, b), a, b))
    arm = in_b(shopper_range(N))
    gap_a, gap_b = (test - all_a)[~arm], (test - all_b)[arm]
    error = float(np.hypot(gap_a.std() / np.sqrt(len(gap_a)), gap_b.std() / np.sqrt(len(gap_b))))
    return (
        float(test[arm].mean() - test[~arm].mean()),
        float(all_b[arm].mean() - all_a[~arm].mean()),
        error,
    )


@pytest.mark.slow
def test_an_ab_test_overstates_a_ranker_that_empties_the_shelf_and_only_where_there_is_a_shelf() -> None:
    """Beyond six standard errors with scarce stock (chance 1e-9); exactly nothing without stock."""
    params = world_params("scarce")
    test, worlds, error = interference(make_world(params))
    print(f"scarce: A/B test {test:.4f}, two worlds {worlds:.4f}, error of the gap {error:.4f}")
    assert test - worlds > 6 * error
    test, worlds, error = interference(make_world(dataclasses.replace(params, market=Market())))
    assert test == worlds
    assert error == 0
