"""Learning from a log once, our way and RLlib's own: the work that benchmarks time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.offline.offline_prelearner import OfflinePreLearner
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils import unflatten_dict

from policies.rllib.module import DEFAULT_SLATES, SlateModule
from policies.rllib.offline import log_spaces
from policies.rllib.offline_data import Reading, windows
from policies.rllib.offline_training import offline_trainer
from policies.rllib.trainer import Assignment
from simenv.log.read import Log

BATCH = 1024  # pages a gradient, of both


def learn_once(folder: Path) -> int:
    """Read a log, batch it and learn MARWIL from each page once; how many pages it had."""
    log = Log.open(folder)
    settings = {"passes": 1, "batch": BATCH}
    trainer = offline_trainer(Assignment("marwil-slate", "", 0, 0, (1.0, 0.01), settings, log=log))
    while trainer.searches < trainer.budget:
        trainer.step()
    return trainer.searches


def plain_rows(folder: Path, n: int) -> dict[str, npt.NDArray[np.generic]]:
    """The first n pages of a log in the columns that RLlib's own reader takes, observations flat already."""
    pages = next(windows(Log.open(folder), Reading(gamma=0.0)))
    return {
        "obs": pages.observation[:n],
        "actions": pages.slate[:n],
        "rewards": pages.returns[:n],
        "new_obs": pages.observation[:n],
        "terminateds": np.ones(n, dtype=bool),
        "truncateds": np.zeros(n, dtype=bool),
        "eps_id": pages.row[:n].astype(str).astype(object),
    }


def learn_once_by_rllib(folder: Path, rows: dict[str, npt.NDArray[np.generic]]) -> int:
    """RLlib's own episodes and connectors in this process, and its MARWIL; reading and Ray are not even counted.

    Returns:
        How many pages were learned from.
    """
    log = Log.open(folder)
    spec = RLModuleSpec(SlateModule, *log_spaces(log), model_config={**DEFAULT_SLATES, "log": str(folder)})
    config = MARWILConfig().training(train_batch_size_per_learner=BATCH).rl_module(rl_module_spec=spec)
    shared = MultiRLModuleSpec(rl_module_specs={DEFAULT_MODULE_ID: spec})
    learner = config.learner_class(config=config, module_spec=shared)
    learner.build()
    config.rl_module(rl_module_spec=shared)
    reader = OfflinePreLearner(config=config, spaces=log_spaces(log))
    n = len(rows["obs"])
    for first in range(0, n, BATCH):
        made = unflatten_dict(reader({name: column[first : first + BATCH] for name, column in rows.items()}))
        batch = {name: SampleBatch(columns) for name, columns in made.items()}
        learner.update(
            batch=MultiAgentBatch(batch, env_steps=BATCH), timesteps={"num_env_steps_sampled_lifetime": first}
        )
    return n
