"""Blends of weights and a reward model: their exact bias on an enumerated log, and what they are at their ends."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import estimator, evaluate
from offpolicy.estimate import values
from offpolicy.single.enumerated import EMBEDDING, LOGGER, REWARD, TARGET, enumerated_actions

ROUNDING = 1e-12  # sums of 3,200 numbers below 11
Q = REWARD @ EMBEDDING.T  # (X, A)
MODEL = 0.8 * Q + 0.05


@pytest.mark.parametrize("most", [0.0, 0.5, 2.0, 10.0, 50.0])
def test_adaptive_blending_is_biased_by_the_models_error_on_what_clipping_takes(most: float) -> None:
    evidence, truth = enumerated_actions(wrong_model=True)
    taken = np.maximum(TARGET - most * LOGGER, 0.0)
    bias = float((taken * (MODEL - Q)).sum(axis=1).mean())
    found = values(evidence, [f"cab:{most:g}"])[f"cab:{most:g}"]
    assert found == pytest.approx(truth + bias, abs=ROUNDING)


def test_doubly_robust_with_the_same_clip_has_the_same_bias_and_other_scores() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    own, other = estimator("cab:1")(evidence), estimator("clipped-dr:1")(evidence)
    assert own.value == pytest.approx(other.value, abs=ROUNDING)
    assert np.abs(own.influence - other.influence).max() > 0.05


def test_at_its_ends_adaptive_blending_is_the_direct_method_and_inverse_propensities() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    found = values(evidence, ["dm", "ips", "cab:0", "cab:inf"])
    assert found["cab:0"] == pytest.approx(found["dm"], abs=ROUNDING)
    assert found["cab:inf"] == pytest.approx(found["ips"], abs=ROUNDING)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_static_blend_has_its_share_of_the_direct_methods_bias(share: float) -> None:
    evidence, truth = enumerated_actions(wrong_model=True)
    bias = (1.0 - share) * float((TARGET * (MODEL - Q)).sum(axis=1).mean())
    found = values(evidence, [f"blend:{share:g}"])[f"blend:{share:g}"]
    assert found == pytest.approx(truth + bias, abs=ROUNDING)


def test_blends_are_never_trusted_and_say_how_far_they_stand_from_what_is_not_biased() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    for one in evaluate(evidence, ["cab", "cab:slope", "blend", "blend:slope"]):
        assert one.verdict.word != "trust"
        assert "from 'dr', which assumes less" in one.verdict.reasons[-1]
