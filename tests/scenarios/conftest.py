"""What tests of scenarios share: a small log of the tiny market."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.registry import named_policy
from simenv.log import write_log
from simenv.play import shopper_range
from simenv.world import World
from simenv.worlds import load_world

SEED = 11


@pytest.fixture(scope="session")
def tiny() -> World:
    """The market of 8 candidates and 3 slots."""
    return load_world("tiny")


@pytest.fixture(scope="session")
def log_folder(tiny: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 shoppers under the production ranker; tests leave it as it is."""
    out = tmp_path_factory.mktemp("logs") / "log"
    return write_log(tiny, "tiny", named_policy("production", tiny.catalogue.public()), SEED, shopper_range(200), out)
