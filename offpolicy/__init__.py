"""Off-policy evaluation: evidence in, estimate out, with an interval one may believe and a verdict where one may not.

    from offpolicy import Evidence, evaluate
    for estimate in evaluate(Evidence(reward=..., logger=..., target=..., cluster=...)):
        print(estimate.record())

The package sees columns, never policies. `offpolicy.reward_model`, `offpolicy.obd`, `offpolicy.obd_fetch` and
`offpolicy.check` are imported by name where they are needed.
"""

from __future__ import annotations

from offpolicy.estimate import Estimate, evaluate
from offpolicy.estimator import Estimator
from offpolicy.estimators import ESTIMATORS, estimator
from offpolicy.evidence import Evidence
from offpolicy.statistics import Scores, Statistics
from offpolicy.verdict import THRESHOLDS, Thresholds

__all__ = [
    "ESTIMATORS",
    "THRESHOLDS",
    "Estimate",
    "Estimator",
    "Evidence",
    "Scores",
    "Statistics",
    "Thresholds",
    "estimator",
    "evaluate",
]
