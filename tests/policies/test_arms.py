"""Plain bandits over arms: what they choose by, what they learn, and that choosing teaches nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policies.arms import NEURAL_RULES, Arms, LinearArms, NeuralArms
from policies.full_posterior import FullPosterior
from simenv.errors import UserError

RULES = ("LinUCB", "LinTS", *NEURAL_RULES)


def made(rule: str, seed: int = 0) -> Arms:
    if rule in ("LinUCB", "LinTS"):
        return LinearArms((2, 2), rule == "LinTS", 1.0, seed)
    return NeuralArms((2, 2), rule, {"hidden": (8, 8), "n_members": 3}, seed)


def played(rule: str, seed: int, rounds: int = 250) -> list[int]:
    """Arms chosen where arm 0 is right exactly if the first number is above the second."""
    rng, policy, chosen = np.random.default_rng(1), made(rule, seed), []
    for _ in range(rounds):
        x = rng.normal(size=2).astype(np.float32)
        arm = policy.choose(x)
        policy.learn(x, arm, float(arm == int(x[1] > x[0])))
        chosen.append(arm == int(x[1] > x[0]))
    return chosen


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_learns_which_arm_is_right(rule: str) -> None:
    """Chance is right half the time; of the last 100 rounds at least 85 must be."""
    chosen = played(rule, 0)
    assert sum(chosen[-100:]) >= 85
    assert chosen[:40] == played(rule, 0, 40)


@pytest.mark.parametrize("rule", RULES)
def test_choosing_changes_no_belief(rule: str) -> None:
    """Two arms are asked again and again; what they would be given for next is the same network and precision."""
    policy, x = made(rule), np.array([0.5, -0.2], dtype=np.float32)
    policy.learn(x, 1, 1.0)
    if isinstance(policy, NeuralArms):
        before = {**policy.belief.tensors()}
        weights = {name: each.clone() for name, each in policy.belief.net.state_dict().items()}  # type: ignore[attr-defined]
    else:
        before = {str(k): each.mean.numpy().copy() for k, each in enumerate(policy.beliefs)}  # type: ignore[attr-defined]
        weights = {}
    for _ in range(20):
        policy.choose(x)
    if isinstance(policy, NeuralArms):
        after = policy.belief.tensors()
        assert all(torch.equal(each, policy.belief.net.state_dict()[name]) for name, each in weights.items())  # type: ignore[attr-defined]
    else:
        after = {str(k): each.mean.numpy() for k, each in enumerate(policy.beliefs)}  # type: ignore[attr-defined]
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_an_unknown_rule_or_setting_is_refused() -> None:
    with pytest.raises(UserError, match="NeuralTS"):
        NeuralArms((2, 2), "NeuralTZ", {}, 0)
    with pytest.raises(UserError, match="width"):
        NeuralArms((2, 2), "NeuralTS", {"widht": 1.0}, 0)


def test_the_full_posterior_is_bayesian_regression_with_unknown_noise() -> None:
    """One run and one arm against the formulas, 50 rounds; each run and arm has its own."""
    rng, policy = np.random.default_rng(0), FullPosterior(3, 2, 2, seed=0)
    kept: list[tuple[np.ndarray, float]] = []
    for t in range(50):
        x, arm = rng.normal(size=(3, 2)), np.array([t % 2, 0, 1])
        y = x[:, 0] + rng.normal(size=3)
        policy.learn(x, arm, y)
        if t % 2 == 0:
            kept.append((np.append(x[0], 1.0), float(y[0])))
    z, y = np.array([each for each, _ in kept]), np.array([each for _, each in kept])
    precision = z.T @ z + 0.25 * np.eye(3)
    mean = np.linalg.solve(precision, z.T @ y)
    assert np.allclose(policy.mean[0, 0], mean)
    assert np.allclose(policy.root[0, 0].T @ policy.root[0, 0], np.linalg.inv(precision))
    assert policy.sums.weight.tolist() == [[25.0, 25.0], [50.0, 0.0], [0.0, 50.0]]
    assert float(policy.square[0, 0]) == pytest.approx(float(y @ y))
