"""Each scheme against its own formula, worked out another way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from policies import plackett_luce
from policies.exploration.by_bound import RegCB
from policies.exploration.by_score import EpsilonGreedy, PlackettLuce, SquareCB
from policies.exploration.by_vote import Bagging, ThompsonMixture
from policies.exploration.estimates import Estimates
from policies.exploration.slotwise import SlotwisePolicy
from policies.exploration.thompson import ThompsonQuadrature, chance_of_best
from policies.ranking import RankingPolicy, slate_propensities
from policies.registry import named_policy
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.play import Step


def of(scores: Any, spread: Any = None, draws: Any = None) -> Estimates:
    scores = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    as_rows = [None if part is None else np.asarray(part, dtype=np.float64)[None] for part in (spread, draws)]
    return Estimates(scores, np.ones(scores.shape, bool), *as_rows)


def test_epsilon_greedy_by_hand() -> None:
    p = np.exp(EpsilonGreedy(0.2).log_prob(of([1.0, 3.0, 3.0, 2.0])))
    assert np.allclose(p, [[0.05, 0.45, 0.45, 0.05]], atol=1e-15)


def test_squarecb_by_hand_and_its_ties_are_a_random_best() -> None:
    p = np.exp(SquareCB(2.0).log_prob(of([1.0, 3.0, 2.0])))
    assert np.allclose(p, [[1 / 7, 1 - 1 / 7 - 1 / 5, 1 / 5]], atol=1e-15)
    # Two best: either is called the best and the other then has gap 0, p = 1 / n. The mean of both.
    p = np.exp(SquareCB(2.0).log_prob(of([3.0, 3.0, 2.0])))
    assert np.allclose(p, [[0.5 * (1 / 3 + 1 - 1 / 3 - 1 / 5)] * 2 + [1 / 5]], atol=1e-15)


def test_squarecb_takes_each_rows_own_best() -> None:
    """A library in wide use subtracted from the batch's maximum and summed over the batch: -0.108 came out."""
    scores = np.array([[0.0, 1.0, 2.0, 3.0], [9.0, 1.0, 8.0, 3.0], [5.0, 5.0, 5.0, 5.0], [-4.0, -1.0, -2.0, -3.0]])
    p = np.exp(SquareCB(10.0).log_prob(of(scores)))
    for row in range(4):
        gap = scores[row].max() - scores[row]
        expected = 1.0 / (4 + 10.0 * gap)
        best = gap == 0
        expected[best] = (1.0 - expected[~best].sum()) / best.sum()
        assert np.allclose(p[row], expected, atol=1e-15)


def test_regcb_is_uniform_over_the_plausible() -> None:
    """Intervals [0, 2], [1.5, 2.5], [2.2, 3.2], [-1, 0.5]; the greatest lower bound is 2.2. Ties stay normalised."""
    given = of([1.0, 2.0, 2.7, -0.25], [1.0, 0.5, 0.5, 0.75])
    assert np.allclose(np.exp(RegCB(1.0, 0.0).log_prob(given)), [[0.0, 0.5, 0.5, 0.0]])
    assert np.allclose(np.exp(RegCB(1.0, 0.0, True).log_prob(given)), [[0.0, 0.0, 1.0, 0.0]])
    assert np.allclose(np.exp(RegCB(1.0, 0.4).log_prob(given)), [[0.1, 0.4, 0.4, 0.1]])
    tied = of(np.zeros(100), np.zeros(100))  # a library in wide use gives each of these 1
    assert np.allclose(np.exp(RegCB(1.0, 0.0).log_prob(tied)), 0.01)


def test_votes_are_counted_and_ties_share_one() -> None:
    draws = [[1.0, 0.0, 0.0], [0.0, 2.0, 2.0], [0.0, 1.0, 0.0], [5.0, 5.0, 5.0]]
    shares = np.array([1 + 1 / 3, 0.5 + 1 + 1 / 3, 0.5 + 1 / 3]) / 4
    given = of([0.0, 0.0, 0.0], None, draws)
    assert np.allclose(np.exp(Bagging(4, 0.0).log_prob(given)), shares)
    assert np.allclose(np.exp(ThompsonMixture(4, 0.0, 0.3).log_prob(given)), 0.7 * shares + 0.1)


def test_a_warm_mixture_is_the_mean_of_softmaxes_and_a_cold_one_the_votes() -> None:
    draws = np.random.default_rng(0).normal(size=(9, 6))
    given = of(np.zeros(6), None, draws)
    soft = np.exp(draws / 0.5) / np.exp(draws / 0.5).sum(axis=1, keepdims=True)
    assert np.allclose(np.exp(ThompsonMixture(9, 0.5, 0.1).log_prob(given)), 0.9 * soft.mean(axis=0) + 0.1 / 6)
    cold, votes = (np.exp(ThompsonMixture(9, t, 0.1).log_prob(given)) for t in (1e-4, 0.0))
    assert np.allclose(cold, votes, atol=1e-9)


def test_the_quadrature_is_the_integral() -> None:
    """Against adaptive integration of the same integral, to the error stated plus the integrator's own 1e-9."""
    rng = np.random.default_rng(0)
    mean, spread = rng.normal(size=(6, 5)), rng.choice([0.05, 0.3, 1.0, 2.0], (6, 5))
    p, error = chance_of_best(mean, spread, np.ones((6, 5), bool))
    assert error < 1e-6
    for row in range(6):
        for a in range(5):

            def integrand(t: float, row: int = row, a: int = a) -> float:
                below = stats.norm.cdf(t, np.delete(mean[row], a), np.delete(spread[row], a))
                return float(stats.norm.pdf(t, mean[row, a], spread[row, a]) * below.prod())

            edges = [mean[row, a] + c * spread[row, a] for c in (-9, -3, -1, 0, 1, 3, 9)]
            narrow = [m + c * s for m, s in zip(mean[row], spread[row], strict=True) for c in (-3, 0, 3)]
            points = sorted({e for e in edges + narrow if edges[0] < e < edges[-1]})
            exact = integrate.quad(integrand, edges[0], edges[-1], points=points, epsabs=1e-10, limit=400)[0]
            assert abs(p[row, a] - exact) <= error + 1e-9


def test_two_normals_have_a_closed_form() -> None:
    """P(a > b) = Phi((m_a - m_b) / sqrt(s_a^2 + s_b^2)), also for spreads a hundred times apart."""
    for spread in ([1.0, 1.0], [1.0, 0.01], [0.2, 3.0], [1e-6, 1e-6]):
        mean = np.array([[0.3, 0.1]]) * spread[0]
        p, _ = chance_of_best(mean, np.array([spread]), np.ones((1, 2), bool))
        assert p[0, 0] == pytest.approx(stats.norm.cdf(0.2 * spread[0] / np.hypot(*spread)), abs=1e-8)


def test_an_arm_that_is_sure_is_compared_with_those_that_are_not() -> None:
    """A point mass at 0 against N(0, 1) wins half, up to the spread it is widened to."""
    p = np.exp(ThompsonQuadrature(0.0).log_prob(of([0.0, 0.0, -50.0], [0.0, 1.0, 0.0])))
    assert np.allclose(p, [[0.5, 0.5, 0.0]], atol=1e-4)
    sure = np.exp(ThompsonQuadrature(0.0).log_prob(of([1.0, 2.0, 2.0], [0.0, 0.0, 0.0])))
    assert np.allclose(sure, [[0.0, 0.5, 0.5]])


def test_half_the_nodes_say_how_wrong_it_is() -> None:
    """1,000 draws of each of 200 rows agree with the integral: chi-square over all cells, alpha 1e-6."""
    rng = np.random.default_rng(1)
    mean, spread = rng.normal(size=(200, 6)), rng.uniform(0.2, 1.5, (200, 6))
    p, error = chance_of_best(mean, spread, np.ones((200, 6), bool))
    best = (mean[:, None] + spread[:, None] * rng.normal(size=(200, 1000, 6))).argmax(axis=2)
    count = np.stack([(best == a).sum(axis=1) for a in range(6)], axis=1)
    kept = p > 0.01
    z2 = ((count - 1000 * p) ** 2 / (1000 * p))[kept].sum()
    assert error < 1e-8
    assert stats.chi2.sf(z2, kept.sum()) > 1e-6


def test_the_first_slot_has_exactly_the_schemes_probabilities(steps: Step, catalogue: PublicCatalogue) -> None:
    """Up to log p as float32: 6e-8 of |log p|. And the log alone gives the propensities back to the last bit."""
    scorer, page = named_policy("production", catalogue).scorer, steps.page
    policy = RankingPolicy("mine", scorer, exploration=SquareCB(5.0))
    decision = policy.act(page, 3, hashing.absorb(0, np.arange(len(page))))
    here = page.candidates >= 0
    p = SquareCB(5.0).log_prob(Estimates(scorer.score(page, None), here))
    for c in range(page.candidates.shape[1]):
        first = policy.log_prob(page, np.full((len(page), 1), c, dtype=np.int32)).logp[:, 0]
        assert np.allclose(first[here[:, c]], p[here[:, c], c], rtol=1e-6, atol=1e-6)
    again, _ = slate_propensities(decision.scores, policy.temperature, policy.floor, decision.slate, False)
    assert np.array_equal(again.logp, decision.logp.logp)


def test_without_an_exploration_nothing_has_changed(steps: Step, catalogue: PublicCatalogue) -> None:
    """Temperature and floor give the very bytes that Plackett-Luce as an exploration of its own is close to."""
    policy, page = named_policy("production", catalogue), steps.page
    keys = hashing.absorb(0, np.arange(len(page)))
    plain = policy.act(page, 3, keys)
    logw = plackett_luce.log_weights(plain.scores, 0.7, 0.02)
    slate = plackett_luce.draw(logw, 3, keys, page.candidates)
    assert np.array_equal(plain.slate, slate)
    assert np.array_equal(plain.logp.logp, plackett_luce.conditional(logw, slate).logp)
    named = RankingPolicy("mine", policy.scorer, exploration=PlackettLuce(0.7, 0.02)).act(page, 3, keys)
    assert (named.slate == plain.slate).mean() > 0.999
    assert np.allclose(named.logp.logp, plain.logp.logp, atol=1e-5)


def test_slot_by_slot_shows_the_second_best_second(steps: Step, catalogue: PublicCatalogue) -> None:
    """With probability (1 - eps + eps / n_left) at each slot; a Plackett-Luce slate would shuffle them."""
    scorer = named_policy("production", catalogue).scorer
    page = steps.page
    policy = SlotwisePolicy("mine", scorer, EpsilonGreedy(0.1))
    scores = np.where(page.candidates >= 0, scorer.score(page, None), -np.inf)
    best = plackett_luce.top(scores, 3)
    full = (np.sort(scores, axis=1)[:, 1:] > np.sort(scores, axis=1)[:, :-1]).all(axis=1) & (page.candidates >= 0).all(
        1
    )
    assert full.sum() > 50
    logp = policy.log_prob(page, best).logp[full]
    n_left = page.candidates.shape[1] - np.arange(3)
    assert np.allclose(np.exp(logp), 0.9 + 0.1 / n_left, atol=1e-12)


def test_slot_by_slot_marginals_of_a_large_page_are_refused(steps: Step, catalogue: PublicCatalogue) -> None:
    policy = SlotwisePolicy("mine", named_policy("production", catalogue).scorer, EpsilonGreedy(0.1))
    slate = np.tile(np.arange(6, dtype=np.int32), (len(steps.page), 1))
    with pytest.raises(UserError, match=r"explores slot by slot: its marginals are by enumeration.*20,160 slates"):
        policy.propensities(steps.page, slate)


def test_an_exploration_that_leaves_somebody_out_makes_no_plackett_luce_slate(
    steps: Step, catalogue: PublicCatalogue
) -> None:
    scorer = named_policy("production", catalogue).scorer
    with pytest.raises(UserError, match=r"gives a candidate probability 0.*Give it a floor"):
        RankingPolicy("mine", scorer, exploration=EpsilonGreedy(0.0)).scores(steps.page)
    with pytest.raises(UserError, match="a temperature and a floor of its own"):
        RankingPolicy("mine", scorer, 0.7, 0.02, exploration=EpsilonGreedy(0.1))
    for make in (
        lambda: RankingPolicy("mine", scorer, exploration=RegCB()),
        lambda: SlotwisePolicy("mine", scorer, RegCB()),
    ):
        with pytest.raises(UserError, match="needs spreads, and a Production only scores"):
            make()
