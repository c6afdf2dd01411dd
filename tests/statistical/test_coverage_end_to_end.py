"""From the market to the verdict: intervals of whole pipelines against a truth from other shoppers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offpolicy import evaluate
from policies.registry import named_policy
from scenarios.config import Estimation
from scenarios.evidence import join_log
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.truth import LOGGER_CONTEXTS, on_logger_contexts, values
from simenv.worlds import load_world

LOGS, SHOPPERS = 50, 150


@pytest.mark.slow
def test_lift_intervals_of_fifty_logs_hold_the_truth(tmp_path: Path) -> None:
    """A coverage of .95 falls below .82 in 50 logs with probability below 1e-3 (four standard errors of .031)."""
    world = load_world("tiny")
    catalogue = world.catalogue.public()
    logger, target = named_policy("production", catalogue), named_policy("lexical", catalogue)
    ratios = on_logger_contexts(world, logger, {"lexical": target}, 99, shopper_range(8000))
    truth = next(each for each in values(ratios, logger.name, LOGGER_CONTEXTS) if each.policy == "lexical")
    held: dict[str, list[bool]] = {}
    for seed in range(LOGS):
        log = Log.open(write_log(world, "tiny", logger, seed, shopper_range(SHOPPERS), tmp_path / str(seed)))
        joined = join_log(log, {"it": target}, None, Estimation(folds=2), 0, lambda n=1: None)
        for estimate in evaluate(joined.evidence["it"]):
            held.setdefault(estimate.estimator, []).append(estimate.lift.low <= truth.lift <= estimate.lift.high)
    coverage = {name: float(np.mean(each)) for name, each in held.items()}
    print(coverage, "truth", truth.lift, "+-", truth.lift_stderr)
    for name in ("dr", "rips", "cascade-dr", "ips-item", "snips-item", "dr-item"):
        assert coverage[name] >= 0.82, (name, coverage[name])
