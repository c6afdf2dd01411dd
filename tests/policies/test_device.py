"""The same code on the CPU and on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policies.device import resolve_device
from policies.examples import step_examples
from policies.neural import NEURAL_LINEAR, NeuralBandit
from policies.registry import named_policy
from simenv.errors import UserError
from simenv.play import play, shopper_range
from simenv.worlds import load_world


def trained(device: str) -> tuple[NeuralBandit, np.ndarray]:
    world = load_world("tiny")
    catalogue = world.catalogue.public()
    made = NEURAL_LINEAR.empty(catalogue, 3, {"seed": 1, "alpha": 0.5, "device": device})
    logger = named_policy("production", catalogue)
    steps = list(play(world, logger, 0, shopper_range(60)))
    for step in steps:
        made.update(step_examples(made.feature_map, step))
    made.finish()
    return made, made.score(steps[0].page, None)


def test_auto_is_the_cpu_where_there_is_no_gpu_and_cuda_is_refused_there() -> None:
    if torch.cuda.is_available():
        assert resolve_device("auto") == "cuda"
    else:
        assert resolve_device("auto") == "cpu"
        with pytest.raises(UserError, match="no CUDA device"):
            resolve_device("cuda")


@pytest.mark.gpu
def test_a_bandit_trained_on_a_gpu_ranks_like_one_trained_on_the_cpu() -> None:
    """Sums in another order drift over a thousand steps of float32; ranks of the scores must agree to .99."""
    there, scores_there = trained("cuda")
    here, scores_here = trained("cpu")
    assert next(there.net.parameters()).is_cuda
    assert np.corrcoef(scores_there.reshape(-1), scores_here.reshape(-1))[0, 1] > 0.99
    assert np.abs(there.tensors()["examination"] - here.tensors()["examination"]).max() < 0.1
