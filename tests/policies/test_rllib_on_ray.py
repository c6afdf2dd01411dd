"""What needs Ray: configurations as algorithms, and runners in other processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


def test_the_algorithm_comes_back_from_its_checkpoint_and_meets_others(tmp_path: Path) -> None:
    from ray.rllib.algorithms.algorithm import Algorithm

    def luck(played: Any) -> int:
        made: int = played.env_runner.env.unwrapped.market.luck
        return made

    algorithm = config(0).build_algo()
    algorithm.train()
    algorithm.save_to_path(tmp_path)
    algorithm.stop()
    again = Algorithm.from_checkpoint(tmp_path)
    assert again.train()["training_iteration"] == 2
    assert luck(again) != luck(algorithm)  # who was learned from is not met again
    again.stop()


@pytest.mark.parametrize("method", ["q-learning", "sarsa"])
def test_slateqs_configuration_is_an_algorithm_with_a_remote_runner(method: str) -> None:
    from policies.rllib.slateq import ENVIRONMENT, SlateQConfig

    made = SlateQConfig().environment(ENVIRONMENT, env_config={"world": "interest-evolution"}).debugging(seed=3)
    made.env_runners(num_env_runners=1, num_envs_per_env_runner=64, rollout_fragment_length=8)
    made.training(method=method, num_steps_sampled_before_learning_starts=500, train_batch_size=128)
    algorithm = made.build_algo()
    results = [algorithm.train() for _ in range(2)]
    kept = algorithm.replay.size
    algorithm.stop()
    learned = results[-1]["learners"]["default_policy"]
    assert np.isfinite(learned["value_loss"])
    assert 0.0 < learned["choice_loss"] < 1.5  # nats; four ways to choose, evenly, are 1.39
    sampled = results[-1]["env_runners"]["num_env_steps_sampled_lifetime"]
    assert kept <= sampled
    assert (kept == sampled) == (method == "q-learning")  # SARSA leaves out pages whose next slate is unknown


def test_slateq_that_comes_back_fills_its_memory_before_it_learns_on(tmp_path: Path) -> None:
    from ray.rllib.algorithms.algorithm import Algorithm

    from policies.rllib.slateq import SlateQConfig

    def weights(algorithm: Any) -> Any:
        return algorithm.learner_group.get_weights()["default_policy"]

    made = SlateQConfig().environment(env_config={"world": "tiny", "seed": 3}).rl_module(model_config={"hidden": 8})
    made.env_runners(num_envs_per_env_runner=32, rollout_fragment_length=8)
    made.training(num_steps_sampled_before_learning_starts=300, train_batch_size=64)
    algorithm = made.build_algo()
    for _ in range(2):
        algorithm.train()
    algorithm.save_to_path(tmp_path)
    algorithm.stop()
    again = Algorithm.from_checkpoint(tmp_path)
    before = weights(again)
    again.train()
    kept = again.replay.size
    waited = weights(again)
    again.train()
    learned = weights(again)
    again.stop()
    assert 0 < kept < 300
    assert all(np.array_equal(waited[name], value) for name, value in before.items())
    assert not all(np.array_equal(learned[name], value) for name, value in before.items())


def test_appos_configuration_is_an_algorithm_whose_learners_module_is_saved_and_comes_back(tmp_path: Path) -> None:
    """The thread of its learner goes on while a checkpoint is written; what comes back goes on learning."""
    from ray.rllib.algorithms.algorithm import Algorithm

    from policies.rllib.appo import SlateAPPOConfig

    made = SlateAPPOConfig().environment(env_config={"world": "tiny", "seed": 3})
    made.training(train_batch_size_per_learner=200).rl_module(model_config={"hidden": 8})
    made.env_runners(num_env_runners=1, num_envs_per_env_runner=20)
    algorithm = made.reporting(min_time_s_per_iteration=1).build_algo()
    results = [algorithm.train()]
    while "learners" not in results[-1]:  # its runner is still to start
        assert len(results) < 60
        results.append(algorithm.train())
    algorithm.save_to_path(tmp_path)
    algorithm.stop()
    told = results[-1]["learners"]["default_policy"]
    assert 0.0 < told["slate_kl"] < told["slate_entropy"] < np.log(8 * 7 * 6)
    assert told["num_target_updates"] >= 1
    again = Algorithm.from_checkpoint(tmp_path)
    assert again.train()["training_iteration"] == len(results) + 1
    again.stop()


def appo() -> Any:
    from policies.rllib.appo import APPOSettings
    from policies.rllib.train import new_appo
    from policies.rllib.trainer import Assignment

    assignment = Assignment("appo-slate", "tiny", 3, 900, (1.0, 0.01), runners=1)
    return new_appo(assignment, APPOSettings(batch=100, hidden=8), rows=20)


def test_appos_runners_play_on_and_one_that_dies_or_goes_on_meets_others(tmp_path: Path) -> None:
    import ray

    from policies.checkpoint import read_checkpoint, write_checkpoint

    def luck(played: Any) -> list[int]:
        made: list[int] = played.player.runners.group.foreach_env_runner(
            lambda runner: runner.env.unwrapped.market.luck, local_env_runner=False
        )
        return made

    first, again = appo(), appo()
    try:
        first.step()
        group = first.player.runners.group
        assert group.num_in_flight_async_reqs() == 1  # asked for before the update, with the weights of before
        met = luck(first)
        write_checkpoint(tmp_path / "it.checkpoint", {}, {"trainer": first.state()})
        ray.kill(next(iter(group._worker_manager.actors().values())), no_restart=False)
        first.step()
        assert luck(first) != met
        first.close()
        again.load_state(read_checkpoint(tmp_path / "it.checkpoint", {}).part("trainer", again.state()))
        assert again.searches >= 100
        again.step()
        assert luck(again) != met
    finally:
        first.close()
        again.close()


def test_what_the_runner_leaves_out_is_refused_before_anything_starts() -> None:
    with pytest.raises(UserError, match="on_episode_step"):
        config(1).callbacks(on_episode_step=lambda **_: None).build_algo()
    with pytest.raises(UserError, match="tinny"):
        config(1).environment(env_config={"world": "tinny"}).build_algo()


def ppo() -> Any:
    from policies.rllib.train import PPOSettings, new_ppo
    from policies.rllib.trainer import Assignment

    assignment = Assignment("ppo-slate", "tiny", 3, 900, (1.0, 0.01), runners=1)
    return new_ppo(assignment, PPOSettings(batch=300, minibatch=128, hidden=8), rows=16)


def slateq() -> Any:
    from policies.rllib.slateq_train import SlateQRun, SlateQSettings, SlateQTrainer

    settings = SlateQSettings(batch=64, warm_up=200, capacity=500, copy_every=2, hidden=8)
    return SlateQTrainer(SlateQRun("tiny", 3, 900, num_envs=32, runners=2), settings)


@pytest.mark.parametrize("new", [ppo, slateq])
def test_a_training_with_remote_runners_goes_on_as_if_it_had_never_stopped(new: Any, tmp_path: Path) -> None:
    from policies.checkpoint import read_checkpoint, write_checkpoint

    first, again = new(), new()
    try:
        first.step()
        write_checkpoint(tmp_path / "it.checkpoint", {}, {"trainer": first.state()})
        stopped = first.scorer().tensors()
        first.step()
        first.close()
        again.load_state(read_checkpoint(tmp_path / "it.checkpoint", {}).part("trainer", again.state()))
        gone_on = again.scorer().tensors()
        again.step()
        again.close()
    finally:
        first.close()
        again.close()
    whole, made = first.scorer().tensors(), again.scorer().tensors()
    weight = next(name for name in whole if name.endswith("weight"))
    assert not np.array_equal(stopped[weight], whole[weight])
    for name in whole:
        np.testing.assert_array_equal(stopped[name], gone_on[name])
        np.testing.assert_array_equal(whole[name], made[name])


@pytest.mark.parametrize(
    ("policy", "settings", "figure"),
    [
        ("slateq", "{hidden = 8, batch = 64, warm_up = 300, capacity = 500, copy_every = 2}", "value_loss"),
        ("appo-slate", "{hidden = 8, batch = 500, rows = 50}", "slate_kl"),
    ],
)
def test_policies_train_with_runners_on_the_command_line(
    policy: str, settings: str, figure: str, tmp_path: Path
) -> None:
    """The same files and figures as in one process: a model that loads, event files, and no checkpoint left."""
    from policies.persistence import load_model, read_card
    from slatelab.main import call

    scenario = f"""
        title = "A test"
        question = "Does it play elsewhere?"
        world = "tiny"
        [[learners]]
        policy = "{policy}"
        searches = 3000
        settings = {settings}
    """
    (tmp_path / "it.toml").write_text(scenario)
    line = ["--quiet", "train", str(tmp_path / "it.toml"), "--policy", policy, "--out", str(tmp_path / "model")]
    line += ["--runners", "1", "--checkpoint-every", "1000", "--tensorboard", str(tmp_path / "scalars")]
    assert call(line) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.toml", "model", "scalars"]
    assert len(list((tmp_path / "scalars").iterdir())) == 1
    card = read_card(tmp_path / "model")
    assert card["metrics"]["searches"] >= 3000
    assert np.isfinite(card["metrics"][figure])
    assert load_model(tmp_path / "model", load_world("tiny").catalogue.public(), 3).name == policy


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
