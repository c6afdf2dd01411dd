"""What every test shares: quiet surroundings, fixed draws, one Ray at a time, and the folder of real data."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).parent.parent
REAL_DATA = REPOSITORY.parent / "shared" / "data"

# Before anything imports matplotlib or Ray, and inherited by what the tests start.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# The same examples in every run, and no deadline: on a busy machine a slow example is not a wrong one.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests that start Ray to one worker."""
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs CUDA where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device; torch finds none here")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that lies beside the repository, where there is one."""
    if not REAL_DATA.is_dir():
        pytest.skip("needs the real data sets in ../shared/data, which the repository does not ship")
    return REAL_DATA


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Ray on this machine for the tests of a module; ended after them, since sweeps start their own."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()
