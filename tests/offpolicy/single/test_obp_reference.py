"""Equality with values that the Open Bandit Pipeline 0.5.7 computed on the same files, for every estimator both have.

The reference is read from the notes beside the repository. Values are sums of 10,000 products in float64, so they agree
far better than the tolerance of 1e-6.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy import Evidence
from offpolicy.estimate import evaluate, values
from offpolicy.estimators import estimator
from offpolicy.obd import find_csv, read_impressions, read_obd, read_table
from offpolicy.single.obd_model import with_click_rates
from offpolicy.terms import joint
from simenv.errors import UserError

NAMES = {
    "ipw": "ips",
    "snipw": "snips",
    "ipw_clip5": "clipped-ips:5",
    "sgipw_0.01": "sg-ips:0.01",
    "dm": "dm",
    "dr": "dr",
    "dr_clip5": "clipped-dr:5",
    "sndr": "sndr",
    "switch-dr_5": "switch-dr:5",
    "dr-os_10": "dros:10",
    "sgdr_0.01": "sg-dr:0.01",
}
CASES = ("all: random->bts", "men: random->bts", "men: bts->random", "men: random->random", "men: bts->bts")


@pytest.fixture
def reference(repository: Path) -> dict[str, Any]:
    path = repository.parent / "shared" / "notes" / "obp_reference.json"
    if not path.is_file():
        pytest.skip("needs the reference values in ../shared/notes, which the repository does not ship")
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["ope"]
    return read


@cache
def evidence_of_case(data: Path, case: str) -> Evidence:
    """The case with the reference's reward model: (clicks + 10 m) / (rows + 10) by item and position, m the mean."""
    campaign, _, way = case.partition(": ")
    behaviour, _, policy = way.partition("->")
    bts = data / "obd" / "derived" / f"bts_action_dist_{campaign}_seed12345_nsim1000000.csv"
    log = data / "obd" / behaviour / campaign
    evidence = read_obd(log, bts if policy == "bts" else "uniform")
    table = read_table(bts)
    table = table if policy == "bts" else np.full(table.shape, 1.0 / len(table))
    seen = read_impressions(find_csv(log))
    cell = (seen.item, seen.position - 1)
    clicked, shown = np.zeros(table.shape), np.zeros(table.shape)
    np.add.at(clicked, cell, seen.click)
    np.add.at(shown, cell, 1.0)
    rate = (clicked + 10.0 * seen.click.mean()) / (shown + 10.0)
    return replace(evidence, q_logged=rate[cell][:, None], q_target=(table * rate).sum(axis=0)[cell[1]])


@pytest.mark.parametrize("case", CASES)
def test_every_estimator_that_both_have_gives_the_same_value(
    real_data: Path, reference: dict[str, Any], case: str
) -> None:
    published = reference[case]["smoothed_q"]
    assert set(published) == set(NAMES)
    found = values(evidence_of_case(real_data, case), list(NAMES.values()))
    for theirs, ours in NAMES.items():
        assert found[ours] == pytest.approx(published[theirs]["estimate"], rel=1e-6), ours


@pytest.mark.parametrize("case", CASES)
def test_weights_have_the_same_moments_and_quantiles(real_data: Path, reference: dict[str, Any], case: str) -> None:
    w = joint(evidence_of_case(real_data, case)).weight[:, 0]
    found = {
        "n": len(w),
        "mean": w.mean(),
        "max": w.max(),
        "min": w.min(),
        "p50": np.quantile(w, 0.5),
        "p99": np.quantile(w, 0.99),
        "p999": np.quantile(w, 0.999),
        "ess": w.sum() ** 2 / (w @ w),
        "ess_frac": w.sum() ** 2 / (w @ w) / len(w),
        "frac_gt_10": (w > 10.0).mean(),
        "var": w.var(),
    }
    assert found == pytest.approx(reference[case]["weights"], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("case", CASES[:3])
def test_slope_reshapes_where_a_mean_squared_error_with_a_bias_bound_never_would(real_data: Path, case: str) -> None:
    # The reference's "mse" rule took infinity, which is DR, in all of these cases. 4.8 to 14.7 effective positives
    # bound nothing, so the least biased strengths rule nothing out and SLOPE goes on to where intervals are narrow.
    (one,) = evaluate(evidence_of_case(real_data, case), ["dros:slope"])
    assert one.verdict.word != "trust"
    (told,) = [reason for reason in one.verdict.reasons if "was chosen by SLOPE" in reason]
    assert "its strength, inf" not in told
    assert "(3 passes over the log)" in told
    none = evaluate(evidence_of_case(real_data, case), ["dros:inf"])[0]
    assert one.interval.high - one.interval.low < none.interval.high - none.interval.low


def test_a_difference_that_no_click_fell_into_contradicts_nobody(real_data: Path) -> None:
    # none of the 84 impressions of weight above 10 was clicked: there the switch estimator leaves nothing but the
    # model's part, which hardly varies, so its difference to IPS seemed 71 standard errors from 0
    bts = real_data / "obd" / "derived" / "bts_action_dist_men_seed12345_nsim1000000.csv"
    log = real_data / "obd" / "random" / "men"
    evidence = with_click_rates(read_obd(log, bts), log, bts, want_table=True)
    ips, switch = evaluate(evidence, ["ips", "switch"])
    assert switch.verdict.word == ips.verdict.word == "caution"
    assert "(too few positives to say by chance or not) from 'ips'" in switch.verdict.reasons[-1]
    with pytest.raises(UserError, match=r"men\.csv holds the propensity of the item that was shown"):
        with_click_rates(evidence, real_data / "obd" / "bts" / "men", "uniform", want_table=True)


def test_the_names_compared_are_those_of_the_registry() -> None:
    assert [estimator(name).name for name in NAMES.values()] == list(NAMES.values())
