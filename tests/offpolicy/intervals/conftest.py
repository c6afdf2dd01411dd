"""Logs of one slot with given weights and rewards, and the case that an interval is made from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import Evidence, estimator
from offpolicy.inference import clusters, lift
from offpolicy.intervals.case import Case
from offpolicy.statistics import scores
from simenv.propensity import Conditional

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class MakeLog(Protocol):
    def __call__(
        self,
        weight: Floats,
        reward: Floats,
        max_weight: float | None = None,
        cluster: Ints | None = None,
        reward_range: tuple[float, float] | None = (0.0, 1.0),
    ) -> Evidence: ...


class MakeCase(Protocol):
    def __call__(self, evidence: Evidence, name: str = "ips", is_lift: bool = False) -> Case: ...


def weighted_log(
    weight: Floats,
    reward: Floats,
    max_weight: float | None = None,
    cluster: Ints | None = None,
    reward_range: tuple[float, float] | None = (0.0, 1.0),
) -> Evidence:
    """Propensities whose ratio is the weight; every row its own cluster where none is given."""
    logger = np.full((len(weight), 1), -np.log(max(float(weight.max()), 1.0)) - 1.0)
    with np.errstate(divide="ignore"):
        target = np.minimum(logger + np.log(weight)[:, None], 0.0)
    return Evidence(
        reward=np.asarray(reward, dtype=np.float64)[:, None],
        logger=Conditional(logger),
        target=Conditional(target),
        cluster=np.arange(len(weight)) if cluster is None else cluster,
        cluster_name="row" if cluster is None else "shopper",
        reward_range=reward_range,
        max_weight=max_weight,
    )


def case_of(evidence: Evidence, name: str = "ips", is_lift: bool = False) -> Case:
    one = estimator(name)
    terms = one.cut(evidence)
    statistics = one.formula(terms)
    if is_lift:
        statistics = lift(statistics, evidence)
    return Case(one, evidence, terms, statistics, scores(statistics), clusters(evidence), is_lift)


@pytest.fixture
def make_log() -> MakeLog:
    return weighted_log


@pytest.fixture
def make_case() -> MakeCase:
    return case_of
