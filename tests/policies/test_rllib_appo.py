"""APPO over slates without Ray: its targets, its target network, whole snapshots, and what its trainer refuses."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simenv.errors import UserError

pytestmark = pytest.mark.ray
MODULE = "default_policy"


def small(**settings: Any) -> Any:
    """A configuration in the tiny world whose V-trace reads a batch in one piece."""
    from policies.rllib.appo import APPOSettings, appo_config

    config = appo_config("tiny", 1, 1000, 8, APPOSettings(hidden=8, batch=40, **settings))
    return config.env_runners(num_env_runners=0, rollout_fragment_length=500)


class HerePlayer:
    """The runner of this process in the place of those of others."""

    def __init__(self, config: Any) -> None:
        from policies.rllib.players import LocalPlayer

        self.local = LocalPlayer(config)
        self.play, self.close = self.local.play, self.local.close

    def standing(self) -> dict[str, Any]:
        return {}

    def go_on_from(self, standing: dict[str, Any]) -> None:
        pass


def trainer(**settings: Any) -> Any:
    from policies.rllib.train import PPOTrainer

    config = small(**settings)
    return PPOTrainer(config, 200, HerePlayer(config.copy(copy_frozen=False)), "appo-slate")


def learner_and_episodes(**settings: Any) -> tuple[Any, Any]:
    from policies.rllib.runner import BatchedEnvRunner

    config = small(**settings)
    runner = BatchedEnvRunner(config=config)
    learner = config.build_learner(spaces=runner.get_spaces())
    learner.shutdown()
    runner.set_state({"rl_module": learner.module.get_state(inference_only=True)})
    return learner, runner.sample(num_timesteps=40)


def updated(learner: Any, episodes: Any, trained: int = 0) -> None:
    """What the learner's thread does, after so many steps that were learned from."""
    from ray.rllib.core.learner.learner import Learner
    from ray.rllib.utils.metrics import NUM_ENV_STEPS_TRAINED_LIFETIME

    Learner.update(learner, episodes=episodes, timesteps={NUM_ENV_STEPS_TRAINED_LIFETIME: trained})


def weights(net: Any) -> Any:
    return np.concatenate([each.detach().numpy().ravel() for each in net.parameters()])


def test_what_the_sampling_cut_off_is_bootstrapped_and_what_ended_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where who played is who learns, V-trace's target is the chunk's return: sum of gamma^k r, and the value after it.

    The value is 3 everywhere. Only steps that were played are among the chunks: the row in which the market starts an
    episode anew is in none. float32 sums of at most 7 terms below 10: 1e-5. RLlib's own learner fails here.
    """
    from ray.rllib.algorithms.appo.torch import appo_torch_learner

    targets = []
    vtrace = appo_torch_learner.vtrace_torch

    def seen(**given: Any) -> Any:
        made = vtrace(**given)
        targets.append(made[0].T.ravel().numpy())
        return made

    monkeypatch.setattr(appo_torch_learner, "vtrace_torch", seen)
    learner, episodes = learner_and_episodes(gamma=0.9)
    net = learner.module[MODULE].unwrapped().net
    with torch.no_grad():
        net.value_head.weight.zero_()
        net.value_head.bias.fill_(3.0)
    expected, is_played = [], []
    for episode in episodes:
        after, returns = 0.0 if episode.is_terminated else 3.0, []
        for reward in episode.get_rewards()[::-1]:
            after = reward + 0.9 * after
            returns.append(after)
        expected += [*returns[::-1], 0.0]
        is_played += [True] * len(returns) + [False]
    assert {episode.is_terminated for episode in episodes} == {True, False}
    assert 40 <= sum(is_played) < 48
    updated(learner, episodes)
    (made,) = targets
    np.testing.assert_allclose(made[: len(expected)][is_played], np.array(expected)[is_played], atol=1e-5)


def test_the_target_network_is_copied_every_so_many_batches_and_runners_go_without() -> None:
    learner, episodes = learner_and_episodes(target_every=2, epochs=2)
    module = learner.module[MODULE].unwrapped()
    runners = module.get_state(inference_only=True)
    assert not any(name.startswith("target") for name in runners)
    assert any(name.startswith("target") for name in module.get_state())
    start = weights(module.net)
    np.testing.assert_array_equal(weights(module.target), start)
    updated(learner, copy.deepcopy(episodes), trained=80)  # 40 pages, learned from twice
    np.testing.assert_array_equal(weights(module.target), start)
    assert not np.array_equal(weights(module.net), start)
    updated(learner, episodes, trained=160)
    np.testing.assert_array_equal(weights(module.target), weights(module.net))


def test_a_state_is_never_read_in_the_middle_of_a_step_and_is_no_window_on_what_follows() -> None:
    """Who asks while the optimiser writes waits until it has; and the state does not move with the next update."""
    learner, episodes = learner_and_episodes()
    net, optimiser = learner.module[MODULE].unwrapped().net, learner.get_optimizer(MODULE)
    states: list[Any] = []
    asking = threading.Thread(target=lambda: states.append(learner.get_state()))
    step, waited = optimiser.step, []

    def slow_step() -> None:
        step()
        if not asking.ident:
            asking.start()
            asking.join(timeout=0.3)
            waited.append(asking.is_alive())

    optimiser.step = slow_step
    updated(learner, copy.deepcopy(episodes))
    asking.join()
    optimiser.step = step
    assert waited == [True]
    held = states[0]["rl_module"][MODULE]["net.linear.weight"].copy()
    np.testing.assert_array_equal(held, net.linear.weight.detach().numpy())
    updated(learner, episodes)
    np.testing.assert_array_equal(held, states[0]["rl_module"][MODULE]["net.linear.weight"])
    assert not np.array_equal(held, net.linear.weight.detach().numpy())


def test_a_trainer_learns_without_a_thread_and_goes_on_with_weights_target_and_optimiser(tmp_path: Path) -> None:
    from policies.checkpoint import read_checkpoint, write_checkpoint

    before = threading.active_count()
    first, again = trainer(target_every=3), trainer(target_every=3)
    assert threading.active_count() == before
    figures = [first.step() for _ in range(2)][-1]
    assert np.isfinite(list(figures.values())).all()
    assert 0.0 < figures["slate_kl"] < figures["slate_entropy"] < np.log(8 * 7 * 6)
    write_checkpoint(tmp_path / "it.checkpoint", {}, {"trainer": first.state()})
    again.load_state(read_checkpoint(tmp_path / "it.checkpoint", {}).part("trainer", again.state()))
    one, two = first.state(), again.state()
    assert one["searches"] == two["searches"] >= 80
    assert not np.array_equal(weights(one["net"]), weights(one["targets"][0]))
    for mine, theirs in ((one["net"], two["net"]), (one["targets"][0], two["targets"][0])):
        np.testing.assert_array_equal(weights(mine), weights(theirs))
    moments = [
        np.concatenate([each["exp_avg"].numpy().ravel() for each in state["optimizer"].state.values()])
        for state in (one, two)
    ]
    np.testing.assert_array_equal(*moments)
    again.step()
    assert again.scorer().kind == "appo-slate"
    for each in (first, again):
        each.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "'appo-slate' plays in other processes while this one learns; say how many with --runners N"),
        ({"settings": {"minibatch": 100}}, "policy 'appo-slate' has no setting 'minibatch'"),
        ({"searches": 0}, "expected at least 1"),
        ({"world": "tinny"}, "tinny"),
    ],
)
def test_what_a_user_can_get_wrong_is_said_before_anything_starts(change: dict[str, Any], message: str) -> None:
    from policies.rllib.trainer import Assignment, new_trainer

    arguments: dict[str, Any] = {"policy": "appo-slate", "world": "tiny", "seed": 0, "searches": 10} | change
    with pytest.raises(UserError, match=message):
        new_trainer(Assignment(**arguments, exploration=(1.0, 0.01)))
