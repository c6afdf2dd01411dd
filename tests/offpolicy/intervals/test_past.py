"""A reward model of the past only, and what doubly robust bets gain by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence
from offpolicy.intervals.betting import betting
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.past import fit_past, past_only
from simenv.errors import UserError
from simenv.propensity import Marginal

MakeLog = Callable[..., Evidence]
MakeCase = Callable[..., Case]


def test_a_rows_expectation_does_not_change_with_what_comes_later() -> None:
    rng = np.random.default_rng(0)
    features, cluster = rng.standard_normal((600, 1, 2)), np.repeat(np.arange(300), 2)
    reward = (rng.random((600, 1)) < 1 / (1 + np.exp(-features[:, :, 0]))) * 1.0
    later = np.where(np.arange(600)[:, None] < 400, reward, 1.0 - reward)
    one, other = (past_only(features, each, features[:, None], cluster, first=50) for each in (reward, later))
    assert (one.q_logged[:400] == other.q_logged[:400]).all()  # shoppers 100 to 199 know of the first 100 only
    assert (one.q_logged[400:] == other.q_logged[400:]).all()  # the third block, 200 to 299, knows of rows under 400
    assert (one.q_logged[:100] == 0.0).all()
    assert np.corrcoef(one.q_logged[100:, 0], features[100:, 0, 0])[0, 1] > 0.9
    assert np.allclose(one.q_target[100:], one.q_logged[100:, 0])
    with pytest.raises(UserError, match="first is 0"):
        past_only(features, reward, features[:, None], cluster, first=0)


def test_a_doubly_robust_bet_with_the_past_covers_and_beats_plain_weights(
    make_log: MakeLog, make_case: MakeCase
) -> None:
    """Rewards that the context all but tells, weights of 1.6 and .4: of 40 logs, 35 or more are inside (2.5 in 100)."""
    covered, ratios = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.random(2_000)
        reward = (rng.random(2_000) < 0.05 + 0.9 * (x > 0.5)) * 1.0
        weight = np.where(rng.random(2_000) < 0.5, 1.6, 0.4)
        log = make_log(weight, reward, 1.6, cluster=np.arange(2_000))
        features = (x > 0.5)[:, None, None] * 1.0
        q = past_only(features, log.reward, features[:, None], log.cluster)
        case = make_case(replace(log, q_logged=q.q_logged, q_target=q.q_target, q_is_past_only=True), "dr")
        found, plain = betting(case, Asked()), betting(make_case(log), Asked())
        covered += found.low <= 0.5 <= found.high
        ratios.append((found.high - found.low) / (plain.high - plain.low))
    assert covered >= 35
    assert np.mean(ratios) < 1.0


@pytest.mark.parametrize(
    ("name", "why"), [("mrdr", "folds of these rows"), ("offcem", "folds of these rows"), ("aips", "how shoppers read")]
)
def test_bets_with_what_was_fitted_on_rows_to_come_are_refused_though_another_model_knows_the_past_alone(
    make_log: MakeLog, make_case: MakeCase, name: str, why: str
) -> None:
    rng = np.random.default_rng(0)
    evidence = make_log(rng.choice([0.4, 1.6], 200), rng.integers(0, 2, 200).astype(np.float64), max_weight=2.0)
    q = np.full((200, 1), 0.5)
    marginal = {"logger_marginal": evidence.logger.logp, "target_marginal": evidence.target.logp}
    known = replace(
        evidence,
        **{side: Marginal(logp) for side, logp in marginal.items()},
        embedding=np.exp(evidence.target.logp - evidence.logger.logp)[:, 0],
        q_is_past_only=True,
        **dict.fromkeys(("q_logged", "q_robust", "q_within"), q),
        **dict.fromkeys(("q_target", "q_robust_target", "q_within_target"), q[:, 0]),
    )
    betting(make_case(known, "dr"), Asked(0.95))
    with pytest.raises(UserError, match=why):
        betting(make_case(known, name), Asked(0.95))
    declared = replace(known, behaviour=np.full(200, "independent"))
    if name == "aips":
        betting(make_case(declared, name), Asked(0.95))


def test_a_huge_bound_costs_a_doubly_robust_bet_no_more_than_half_its_money(
    make_log: MakeLog, make_case: MakeCase
) -> None:
    """Where weights may reach 1,000, bets with the model stake next to nothing; the other half bets as plain weights.

    A limit at half the money is that of 2.5% at 1.25%: 1.06 times as wide in a normal tail; twice that is allowed.
    """
    rng = np.random.default_rng(0)
    log = make_log(np.where(rng.random(2_000) < 0.5, 1.6, 0.4), (rng.random(2_000) < 0.3) * 1.0, 1_000.0)
    q = {"q_logged": np.full((2_000, 1), 0.3), "q_target": np.full(2_000, 0.3)}
    found = betting(make_case(replace(log, **q, q_is_past_only=True), "dr"), Asked())
    plain = betting(make_case(log), Asked())
    assert found.high - found.low < 1.12 * (plain.high - plain.low)
    with pytest.raises(UserError, match="--reward-model past"):
        betting(make_case(replace(log, **q), "dr"), Asked())


def test_who_was_not_seen_when_models_were_fitted_came_later_and_has_the_last() -> None:
    rng = np.random.default_rng(0)
    features, cluster = rng.standard_normal((300, 2, 3)), rng.permutation(300) + 1_000
    models = fit_past(features, (rng.random((300, 2)) < 0.5) * 1.0, cluster, first=100)
    assert len(models.models) == 4  # of nobody, 100, 200 and all 300: doubled, a log of 400 would need no more
    assert (models.block_of(np.array([7, 2_000])) == 3).all()
    assert (models.block_of(cluster[[0, 99, 100, 199, 200, 299]]) == [0, 0, 1, 1, 2, 2]).all()
    assert (models.expect(cluster[:100], features[:100]) == 0.0).all()
    assert models.expect(cluster[100:], features[100:, 0], slot=1) == pytest.approx(
        models.expect(cluster[100:], features[100:, [0, 0]])[:, 1]
    )
