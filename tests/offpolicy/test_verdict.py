"""The verdict is willing to say no, and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from offpolicy import ESTIMATORS, Evidence
from offpolicy.audit.finding import Finding
from offpolicy.diagnostics import Diagnostics
from offpolicy.verdict import Verdict, judge

MakeEvidence = Callable[..., Evidence]

SOUND = Diagnostics(
    effective_rows=5_000, effective_positives=400, mean_weight=1.0, mean_weight_z=0.5, max_weight_share=0.001
)


def verdict(
    evidence: Evidence,
    diagnostics: Diagnostics = SOUND,
    name: str = "ips",
    rival_z: float = 0.0,
    interference_z: float | None = None,
) -> Verdict:
    return judge(ESTIMATORS[name], evidence, diagnostics, 1_000, rival_z, interference_z)


def test_a_sound_estimate_is_trusted_and_says_on_what_grounds(make_evidence: MakeEvidence) -> None:
    found = verdict(make_evidence())
    assert found.word == "trust"
    assert "5,000 effective rows, 400.0 effective positives" in found.reasons[0]


@pytest.mark.parametrize(
    ("change", "word", "reason"),
    [
        ({"mean_weight_z": -3.4, "mean_weight": 0.97}, "caution", "standard errors from 1 (limit 3.3)"),
        (
            {"mean_weight_z": float("-inf"), "mean_weight": 0.5},
            "do not use",
            "is more than 1,000 standard errors from 1",
        ),
        ({"mean_weight_z": 5.1, "mean_weight": 1.03}, "do not use", "standard errors from 1 (limit 5)"),
        ({"effective_positives": 99.0}, "caution", "99 effective positives; fewer than 100"),
        ({"effective_positives": 4.77}, "do not use", "4.8 effective positives; fewer than 10"),
        ({"effective_rows": 499.0}, "caution", "499 effective rows; fewer than 500"),
        ({"effective_rows": 99.0}, "do not use", "99 effective rows; fewer than 100"),
        ({"max_weight_share": 0.06}, "caution", "one row carries 6.0% of all weight; more than 5%"),
        ({"max_weight_share": 0.3}, "do not use", "one row carries 30.0% of all weight; more than 25%"),
        ({"foreseen_carriers": 24.0}, "caution", "24 rewarded rows that carry the variance; fewer than 25"),
        ({"foreseen_carriers": 0.4}, "caution", "0.4 rewarded rows that carry the variance; fewer than 25"),
        ({"weight_error": 0.02}, "caution", "an error of 2.0% on the weights"),
        ({"unsupported": 1}, "do not use", "no common support"),
    ],
)
def test_every_threshold_that_is_crossed_is_a_reason(
    make_evidence: MakeEvidence, change: dict[str, float], word: str, reason: str
) -> None:
    found = verdict(make_evidence(), replace(SOUND, **change))
    assert found.word == word
    assert reason in found.reasons[0]


def test_a_mean_weight_that_only_a_huge_log_tells_from_one_is_no_reason(make_evidence: MakeEvidence) -> None:
    assert verdict(make_evidence(), replace(SOUND, mean_weight_z=9.0, mean_weight=1.01)).word == "trust"


def test_what_the_audit_finds_is_a_reason(make_evidence: MakeEvidence) -> None:
    evidence, told = make_evidence(), Finding("score residual", "failed", 1.2, "choices are sharper than logged")
    for outcome, word in (("passed", "trust"), ("strained", "caution"), ("failed", "do not use")):
        found = judge(ESTIMATORS["ips"], evidence, SOUND, 1_000, findings=[replace(told, outcome=outcome)])
        assert found.word == word
        assert (told.said in found.reasons) == (outcome != "passed")


def test_few_shoppers_are_a_reason(make_evidence: MakeEvidence) -> None:
    assert judge(ESTIMATORS["ips"], make_evidence(), SOUND, 39).reasons == (
        "39 effective shopper clusters; fewer than 40",
    )
    assert judge(ESTIMATORS["ips"], make_evidence(), SOUND, 9).word == "do not use"


def test_the_direct_method_rows_as_clusters_and_estimated_propensities_are_never_trusted(
    make_evidence: MakeEvidence,
) -> None:
    evidence = make_evidence(rows_each=1)
    assert verdict(evidence, name="dm").word == "caution"
    assert verdict(replace(evidence, cluster_name="row")).word == "caution"
    assert verdict(replace(evidence, cluster_name="session")).word == "caution"
    assert verdict(replace(evidence, propensity_kind="estimated")).word == "caution"


def test_the_worst_reason_decides_and_comes_first(make_evidence: MakeEvidence) -> None:
    found = verdict(make_evidence(), replace(SOUND, effective_positives=50.0, max_weight_share=0.5), name="dm")
    assert found.word == "do not use"
    assert len(found.reasons) == 4  # share, positives, the model's word, slots not checked
    assert "one row carries" in found.reasons[0]


def test_contradiction_by_an_estimator_that_assumes_less_is_a_reason(make_evidence: MakeEvidence) -> None:
    assert verdict(make_evidence(), name="ips-item", rival_z=3.5).word == "caution"
    found = verdict(make_evidence(), name="ips-item", rival_z=-5.5, interference_z=0.0)
    assert found.word == "do not use"
    assert found.reasons == ("it is -5.5 standard errors from 'rips', which assumes less",)


def test_prefix_weights_need_the_placebo_too_and_say_that_it_moved_rewards_above(make_evidence: MakeEvidence) -> None:
    found = [verdict(make_evidence(), name="rips", interference_z=z) for z in (None, 0.0, 6.0)]
    assert [each.word for each in found] == ["caution", "trust", "do not use"]
    assert "moves the rewards of those above it (z = 6.0" in found[2].reasons[0]


def test_item_position_weights_need_the_placebo_and_are_refused_where_it_moves_rewards(
    make_evidence: MakeEvidence,
) -> None:
    words = [verdict(make_evidence(), name="dr-item", interference_z=z).word for z in (None, 0.0, 2.7, 6.0)]
    assert words == ["caution", "trust", "caution", "do not use"]
    joint = verdict(make_evidence(), name="dr", interference_z=9.0)
    assert joint.word == verdict(make_evidence(), name="dr").word  # whole slates assume nothing about slots


def test_what_only_its_rival_can_test_is_trusted_no_further_than_the_rival_sees_and_never_refused_for_it(
    make_evidence: MakeEvidence,
) -> None:
    found = {bias: verdict(make_evidence(), replace(SOUND, unseen_bias=bias), name="pi") for bias in (0.4, 0.6, 1.5)}
    assert [each.word for each in found.values()] == ["trust", "caution", "caution"]
    assert "0.6 times the half-width of its narrower interval" in found[0.6].reasons[0]
    alone = verdict(make_evidence(), replace(SOUND, unseen_bias=float("inf")), name="pi")
    assert alone.word == "caution"
    assert "what it assumes has no test but its rival" in alone.reasons[0]
    by_design = verdict(make_evidence(), replace(SOUND, unseen_bias=1.5), name="clipped-ips")
    assert by_design.word == "do not use"
