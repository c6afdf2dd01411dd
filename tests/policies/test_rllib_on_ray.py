"""What needs Ray: the configuration as an algorithm, and runners in other processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.registry import new_learner
from simenv.errors import UserError
from simenv.worlds import load_world

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_here")]


def config(runners: int) -> Any:
    from policies.rllib.ppo import SlatePPOConfig

    made = SlatePPOConfig().environment(env_config={"world": "tiny", "seed": 3})
    made.training(train_batch_size_per_learner=200, minibatch_size=100).rl_module(model_config={"hidden": 8})
    return made.env_runners(num_env_runners=runners, num_envs_per_env_runner=16)


def test_the_configuration_is_an_algorithm_with_a_remote_runner() -> None:
    algorithm = config(1).build_algo()
    result = algorithm.train()
    algorithm.stop()
    told = result["learners"]["default_policy"]
    assert result["env_runners"]["num_env_steps_sampled"] >= 200
    assert result["env_runners"]["episode_len_mean"] >= 1
    assert 0.0 < told["slate_kl"] < told["slate_entropy"] < np.log(8 * 7 * 6)


def test_the_algorithm_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    from ray.rllib.algorithms.algorithm import Algorithm

    algorithm = config(0).build_algo()
    algorithm.train()
    algorithm.save_to_path(tmp_path)
    algorithm.stop()
    again = Algorithm.from_checkpoint(tmp_path)
    assert again.train()["training_iteration"] == 2
    again.stop()


def test_what_the_runner_leaves_out_is_refused_before_anything_starts() -> None:
    with pytest.raises(UserError, match="on_episode_step"):
        config(1).callbacks(on_episode_step=lambda **_: None).build_algo()
    with pytest.raises(UserError, match="tinny"):
        config(1).environment(env_config={"world": "tinny"}).build_algo()


def test_a_training_with_a_remote_runner_learns_and_goes_on_with_the_learners_own_weights(tmp_path: Path) -> None:
    from policies.checkpoint import read_checkpoint, write_checkpoint
    from policies.rllib.train import PPOSettings, new_ppo
    from policies.rllib.trainer import Assignment

    def trainer() -> Any:
        assignment = Assignment("ppo-slate", "tiny", 3, 600, (1.0, 0.01), runners=1)
        return new_ppo(assignment, PPOSettings(batch=300, minibatch=128, hidden=8), rows=16)

    first, again = trainer(), trainer()
    try:
        first.step()
        write_checkpoint(tmp_path / "it.checkpoint", {}, {"trainer": first.state()})
        again.load_state(read_checkpoint(tmp_path / "it.checkpoint", {}).part("trainer", again.state()))
        weights = [each.scorer().tensors()["linear.weight"] for each in (first, again)]
        again.step()
        weights.append(again.scorer().tensors()["linear.weight"])
        learned = again.state()["net"].linear.weight.detach().numpy()
    finally:
        first.close()
        again.close()
    start = new_learner("ppo-slate", load_world("tiny").catalogue.public(), 3, seed=3)
    assert not np.array_equal(start.tensors()["linear.weight"], weights[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])
    np.testing.assert_array_equal(weights[2], learned)


def test_slateq_from_a_log_is_an_algorithm(tmp_path: Path) -> None:
    from policies.registry import named_policy
    from policies.rllib.slateq_offline import SlateCQLConfig
    from simenv.log.write import write_log
    from simenv.play import shopper_range

    world = load_world("tiny")
    production = named_policy("production", world.catalogue.public())
    folder = write_log(world, "tiny", production, 5, shopper_range(100), tmp_path / "log")
    made = SlateCQLConfig().offline_data(input_=folder).training(alpha=0.5, train_batch_size_per_learner=64)
    algorithm = made.rl_module(model_config={"hidden": 8}).build_algo()
    told = [algorithm.train()["learners"]["default_policy"] for _ in range(2)]
    algorithm.save_to_path(tmp_path / "algorithm")
    algorithm.stop()
    assert told[0]["choice_loss"] != told[1]["choice_loss"]
    assert np.isfinite(told[1]["penalty"])


def test_the_python_of_the_docs_runs(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", (repository / "docs" / "rllib.md").read_text("utf-8"), flags=re.DOTALL)
    assert len(code) >= 2
    for block in code:
        exec(compile(block, "docs/rllib.md", "exec"), {})
    episode_return, slate_kl = map(float, capsys.readouterr().out.split())
    assert episode_return > 0
    assert slate_kl > 0
