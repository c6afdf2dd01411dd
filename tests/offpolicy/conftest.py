"""A small log that the tests of estimators share."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pytest

from offpolicy import Evidence
from simenv.propensity import Conditional, Marginal


class MakeEvidence(Protocol):
    def __call__(self, n_rows: int = 500, n_slots: int = 3, seed: int = 0, rows_each: int = 5) -> Evidence: ...


def random_evidence(n_rows: int = 500, n_slots: int = 3, seed: int = 0, rows_each: int = 5) -> Evidence:
    """Independent slots of two items each, whose propensities are right by construction.

    Where slots are independent the marginal is the conditional.
    """
    rng = np.random.default_rng(seed)
    p_logger, p_target = rng.uniform(0.3, 0.7, (2, n_rows, n_slots))
    first = rng.random((n_rows, n_slots)) < p_logger
    logger = np.log(np.where(first, p_logger, 1.0 - p_logger))
    target = np.log(np.where(first, p_target, 1.0 - p_target))
    return Evidence(
        reward=(rng.random((n_rows, n_slots)) < np.where(first, 0.4, 0.2)).astype(np.float64),
        logger=Conditional(logger),
        target=Conditional(target),
        logger_marginal=Marginal(logger),
        target_marginal=Marginal(target),
        q_logged=np.where(first, 0.35, 0.25),
        q_target=(0.25 + 0.1 * p_target).sum(axis=1),
        cluster=np.arange(n_rows) // rows_each,
    )


@pytest.fixture
def make_evidence() -> MakeEvidence:
    return random_evidence
