"""What every scheme owes: probabilities, whatever the ties, the holes, the shapes and the scale."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import stats

from policies import plackett_luce
from policies.check import check_policy
from policies.exploration.by_score import EpsilonGreedy, Softmax
from policies.exploration.estimates import Estimates, Exploration
from policies.exploration.registry import EXPLORATIONS, exploration
from policies.exploration.slotwise import SlotwisePolicy
from policies.ranking import RankingPolicy
from simenv import hashing
from simenv.errors import UserError
from simenv.world import World

EXACT = 1e-12  # float64 sums of at most 50 numbers below one
ALPHA = 1e-6  # of a chi-square test
SHAPES = [(6, 6), (1, 4), (40, 50), (7, 1), (50, 3)]  # (N, C): N == C and N != C, C = 1


def beliefs(n: int, n_candidates: int, n_draws: int, seed: int = 0, scale: float = 1.0) -> Estimates:
    """Beliefs with everything that breaks.

    Rounded scores, so that many tie; rows with holes, from none to all; the last row has nothing but holes.
    """
    rng = np.random.default_rng(seed)
    scores = np.round(2.0 * rng.normal(size=(n, n_candidates))) / 2.0
    here = rng.random((n, n_candidates)) < rng.uniform(0.2, 1.5, (n, 1))
    here[0] = True
    if n > 2:
        scores[1] = 0.25  # all equal
        here[-1] = False
    spread = rng.choice([0.0, 0.05, 1.0], (n, n_candidates))
    draws = scores[:, None] + np.round(2.0 * rng.normal(size=(n, n_draws, n_candidates))) / 2.0
    scores[~here] = np.nan  # whatever is said about holes is ignored
    return Estimates(scale * scores, here, scale * spread, scale * np.where(here[:, None], draws, np.nan))


def asked(scheme: Exploration, estimates: Estimates) -> Any:
    before = [np.copy(part) for part in vars(estimates).values()]
    with np.errstate(invalid="raise", over="raise"):
        p = np.exp(scheme.log_prob(estimates))
    for old, new in zip(before, vars(estimates).values(), strict=True):
        assert np.array_equal(old, new, equal_nan=True), "the beliefs were written to"
    return p


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", EXPLORATIONS)
def test_probabilities_sum_to_one_under_ties_and_holes(name: str, shape: tuple[int, int], scale: float) -> None:
    given = beliefs(*shape, n_draws=9, scale=scale)
    p = asked(exploration(name), given)
    assert p.shape == shape
    assert np.isfinite(p).all()
    assert (p >= 0).all()
    assert (p[~given.here] == 0).all()
    assert np.allclose(p.sum(axis=1), given.here.any(axis=1), atol=EXACT, rtol=0)


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_equal_candidates_are_equally_likely(name: str) -> None:
    """Position never breaks a tie: equal scores, spreads and draws have equal probabilities."""
    here = np.array([[True] * 5, [True, False, True, True, False]])
    equal = Estimates(np.full((2, 5), 3.0), here, np.full((2, 5), 0.5), np.full((2, 4, 5), 3.0))
    p = asked(exploration(name), equal)
    assert np.allclose(p, here / here.sum(axis=1, keepdims=True), atol=1e-12)


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_a_row_does_not_look_at_its_batch(name: str) -> None:
    """Alone, in another order or among others, a row has the same bytes; also where N equals C."""
    scheme = exploration(name)
    given = beliefs(30, 6, n_draws=5)
    whole = scheme.log_prob(given)
    order = np.random.default_rng(1).permutation(30)
    for rows in (order, order[:6], *np.arange(30)[:, None]):
        some = Estimates(*(part[rows] for part in vars(given).values()))
        assert np.array_equal(scheme.log_prob(some), whole[rows])


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_the_order_of_the_candidates_does_not_matter(name: str) -> None:
    given = beliefs(30, 6, n_draws=5)
    order = np.array([3, 0, 5, 1, 4, 2])
    turned = Estimates(*(part[..., order] for part in vars(given).values()))
    assert np.allclose(asked(exploration(name), turned), asked(exploration(name), given)[:, order], atol=EXACT)


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_holes_change_nothing_for_the_others(name: str) -> None:
    """Candidates and holes beside them: as if the holes had never been listed."""
    given = beliefs(1, 6, n_draws=5)
    some = np.array([0, 2, 5])
    assert given.here.all()
    masked = dataclasses.replace(given, here=np.isin(np.arange(6), some)[None])
    short = Estimates(*(part[..., some] for part in vars(given).values()))
    assert np.allclose(asked(exploration(name), masked)[:, some], asked(exploration(name), short), atol=EXACT)


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_a_better_score_is_never_less_likely(name: str) -> None:
    """Equal spreads, draws that are moved alike: the order of the probabilities is that of the scores."""
    rng = np.random.default_rng(0)
    scores = np.sort(rng.normal(size=(20, 8)), axis=1)
    # Each draw is the scores plus one noise for all: votes follow the scores.
    draws = scores[:, None] + rng.normal(size=(20, 7, 1))
    p = asked(exploration(name), Estimates(scores, np.ones((20, 8), bool), np.full((20, 8), 0.7), draws))
    assert (np.diff(p, axis=1) >= -EXACT).all()


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_drawn_choices_have_the_stated_probabilities(name: str) -> None:
    """Chi-square over 200,000 draws of one row with a tie and a hole; cells under 10 expected are pooled."""
    given = beliefs(1, 12, n_draws=30, seed=3)
    given.here[0, 4] = False
    given.scores[0, 7] = given.scores[0, 8]
    logp = exploration(name).log_prob(given)
    n = 200_000
    keys = hashing.absorb(hashing.stream(1, "contract"), np.arange(n))
    many = np.broadcast_to(logp, (n, 12))
    drawn = plackett_luce.draw(np.ascontiguousarray(many), 1, keys, np.tile(np.arange(12), (n, 1)))[:, 0]
    assert p_value(np.bincount(drawn, minlength=12), n * np.exp(logp[0])) > ALPHA


def p_value(count: Any, expected: Any) -> float:
    assert not count[expected == 0].any()
    rare = expected < 10
    cells = [np.append(each[~rare], each[rare].sum()) for each in (count, expected)]
    if cells[1][-1] == 0:
        cells = [each[:-1] for each in cells]
    statistic = ((cells[0] - cells[1]) ** 2 / cells[1]).sum()
    return float(stats.chi2.sf(statistic, max(1, len(cells[1]) - 1)))


def test_the_chi_square_sees_a_temperature_five_percent_off() -> None:
    """The power of the test above: 20 arms, 200,000 draws, stated at 1 and drawn at 1.05; and epsilon over K - 1."""
    scores = np.random.default_rng(0).normal(size=(1, 20))
    given = Estimates(scores, np.ones((1, 20), bool))
    rng, n = np.random.default_rng(5), 200_000
    stated, hotter = (np.exp(Softmax(t).log_prob(given))[0] for t in (1.0, 1.05))
    assert p_value(rng.multinomial(n, hotter), n * stated) < ALPHA
    assert p_value(rng.multinomial(n, stated), n * stated) > ALPHA
    stated = np.exp(EpsilonGreedy(0.1).log_prob(given))[0]
    without_best = np.where(stated == stated.max(), 0.9, 0.1 / 19)  # explores the others only
    assert p_value(rng.multinomial(2 * n, without_best), 2 * n * stated) < ALPHA


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_a_policy_that_explores_by_it_keeps_the_contract(name: str, unsure: Any, tiny: World) -> None:
    """Joint probabilities by enumeration, marginals, chi-square of slates, purity, scale 100: see `check_policy`."""
    check_policy(RankingPolicy(name, unsure, exploration=exploration(name)), tiny, n_draws=20_000)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if "thompson" in name else name for name in EXPLORATIONS]
)
def test_slot_by_slot_it_keeps_the_contract(name: str, unsure: Any, tiny: World) -> None:
    check_policy(SlotwisePolicy(name, unsure, exploration(name)), tiny, n_draws=20_000)


def test_an_unknown_scheme_or_setting_is_refused() -> None:
    with pytest.raises(UserError, match=r"there is no exploration 'sofmax'\. Did you mean 'softmax'"):
        exploration("sofmax")
    with pytest.raises(UserError, match="'squarecb' has no setting 'gama'; expected gamma"):
        exploration("squarecb", {"gama": 3.0})
    for name, settings in [
        ("epsilon-greedy", {"epsilon": 1.5}), ("softmax", {"temperature": 0.0}), ("squarecb", {"gamma": -1.0}),
        ("regcb", {"width": float("inf")}), ("bagging", {"n_members": 0}), ("thompson-mixture", {"n_draws": 0}),
        ("thompson-quadrature", {"floor": -0.1}), ("plackett-luce", {"floor": 1.0}),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=f"exploration '{name}'"):
            exploration(name, settings)


@pytest.mark.parametrize("name", [name for name in EXPLORATIONS if exploration(name).needs.spread])
def test_missing_spreads_are_not_zero(name: str) -> None:
    with pytest.raises(UserError, match="needs the spread of each score"):
        exploration(name).log_prob(Estimates(np.zeros((2, 3)), np.ones((2, 3), bool)))


@pytest.mark.parametrize("name", [name for name in EXPLORATIONS if exploration(name).needs.n_draws])
def test_missing_draws_are_not_made_up(name: str) -> None:
    with pytest.raises(UserError, match="needs posterior draws or members"):
        exploration(name).log_prob(Estimates(np.zeros((2, 3)), np.ones((2, 3), bool)))
