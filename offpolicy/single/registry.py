"""The lines of the registry that blend weights with a reward model, most of them for single actions."""

from __future__ import annotations

import numpy as np

from offpolicy import weights
from offpolicy.estimator import LOGGED, Estimator, Strength
from offpolicy.formulas import cab, dr
from offpolicy.single.cuts import above, rest, robust, tabled, within
from offpolicy.terms import joint

_MODEL = ("q_logged", "q_target")
_CAB = "Su, Wang, Santacatterina and Joachims 2019"
_SAITO = "Saito, Ren and Joachims 2023"
_FARAJTABAR = "Farajtabar, Chow and Ghavamzadeh 2018"
_BLENDED = "the reward model stands in for a part of the weights, and its error there biases it unseen"
_CLIPPED = Strength(
    weights.clip, 10.0, np.inf, 0.0, np.inf, (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0), above,
    does="weights above 10 are cut to 10, and the reward model speaks for what was cut",
)  # fmt: skip
_STATIC = Strength(
    weights.scale, 0.5, 1.0, 0.0, 1.0, (0.9, 0.75, 0.5, 0.25, 0.1), rest,
    does="half of the value is by weights, the rest is the reward model's",
)  # fmt: skip

SINGLE_ACTIONS = (
    Estimator(
        "cab",
        tabled,
        cab,
        ("actions", *_MODEL),
        LOGGED,
        _CAB,
        never_trust=_BLENDED,
        rival="dr",
        strength=_CLIPPED,
        at=_CLIPPED.default,
        by_default=False,
        passes=2,
    ),
    Estimator(
        "blend",
        joint,
        cab,
        _MODEL,
        LOGGED,
        _CAB,
        never_trust=_BLENDED,
        rival="dr",
        strength=_STATIC,
        at=_STATIC.default,
        by_default=False,
        passes=2,
    ),
    Estimator("mrdr", robust, dr, ("q_robust", "q_robust_target"), LOGGED, _FARAJTABAR, by_default=False, passes=2),
    Estimator(
        "offcem",
        within,
        dr,
        ("embedding", "q_within", "q_within_target"),
        f"{LOGGED}; the reward model is right about differences between actions of one kind",
        _SAITO,
        never_trust="where its model errs between actions of one kind it is biased by an amount the log cannot tell",
        rival="dr",
        by_default=False,
        passes=2,
    ),
)
