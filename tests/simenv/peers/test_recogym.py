"""RecoGym with leaving that is what its parameter says, and a life that begins at the first ad."""

from __future__ import annotations

import numpy as np
import pytest

from simenv.errors import UserError
from simenv.peers.check import check_peer_world
from simenv.peers.play import play
from simenv.peers.rankers import MOST_VIEWED, ORACLE, at_random
from simenv.peers.recogym import RecoGym


@pytest.mark.parametrize("world", [RecoGym(), RecoGym(n_candidates=30, n_flips=15, drift_sd=0.5)])
def test_the_market_keeps_the_contract(world: RecoGym) -> None:
    check_peer_world(world)


@pytest.mark.parametrize("leave", [0.01, 0.3, 0.9])
def test_users_leave_as_often_as_they_are_told_to(leave: float) -> None:
    """After the first ad, within four standard errors: left from the ads, or from the views that followed."""
    world, n = RecoGym(leave_bandit=leave), 6000
    state = world.begin(0, np.arange(n))
    _, outcome = world.step(state, np.zeros((n, 1), dtype=int))
    ctr = outcome.expected
    moves = 0.05 + 0.95 * ctr
    expected = (leave * (1 - ctr) + moves * 0.01 / 0.26).mean()
    assert abs(outcome.terminated.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def test_organic_sessions_are_as_long_as_published() -> None:
    """Views before the first ad are geometric with mean 1 / 0.26, given that an ad comes; five standard errors."""
    n = 4000
    state = RecoGym().begin(0, np.arange(n))
    length = state.views.sum(axis=1)
    assert not state.gone.any()
    assert length.min() == 1
    assert abs(length.mean() - 1 / 0.26) < 5 * np.sqrt(0.74) / 0.26 / np.sqrt(n)
    assert np.array_equal(state.views, state.session_views)


def test_views_follow_the_softmax_of_taste() -> None:
    """The first view, without drift and with one taste for all: chi-square of ten cells below 38, at 1 - 2e-5."""
    world, n = RecoGym(taste_sd=0.0, popularity_sd=1.0, organic_to_bandit=0.99, leave_organic=0.01), 5000
    views = world.begin(0, np.arange(n)).views
    assert (views.sum(axis=1) == 1).all()
    p = np.exp(world.factors[:, -1])
    expected = n * p / p.sum()
    assert ((views.sum(axis=0) - expected) ** 2 / expected).sum() < 38


def test_a_click_leads_to_organic_views() -> None:
    world = RecoGym(leave_bandit=0.5, leave_organic=0.0, bandit_to_organic=0.01)
    state = world.begin(0, np.arange(3000))
    slate = world.truth(state).argmax(axis=1)[:, None]
    after, outcome = world.step(state, slate)
    clicked = outcome.reward > 0
    assert clicked.sum() > 20
    assert (after.session_views[clicked].sum(axis=1) > 0).all()
    assert not outcome.terminated[clicked].any()


def test_flips_swap_the_response_of_like_products_alone() -> None:
    world = RecoGym(n_candidates=12, n_flips=3)
    same = (world.responses == world.factors).all(axis=1)
    assert same.sum() == 6
    assert np.array_equal(np.sort(world.responses[:, 0]), np.sort(world.factors[:, 0]))
    likeness = world.factors[:, :-1] @ world.factors[:, :-1].T
    np.fill_diagonal(likeness, -np.inf)
    assert not same[np.unravel_index(likeness.argmax(), likeness.shape)[0]]
    assert (RecoGym().responses == RecoGym().factors).all()


def test_organic_views_help_until_responses_are_swapped() -> None:
    """Clicks per ad of short lives over four catalogues, each from 500 clicks or more: ratios within 10% or so."""

    def rate(n_flips: int, by: str) -> float:
        rankers = {"random": at_random(10), "oracle": ORACLE, "most-viewed": MOST_VIEWED}
        worlds = [RecoGym(n_flips=n_flips, leave_bandit=0.1, catalogue_seed=c) for c in range(4)]
        lives = [play(world, rankers[by], 0, np.arange(1500)) for world in worlds]
        return float(sum(life.returns.sum() for life in lives) / sum(life.steps.sum() for life in lives))

    oracle, anyhow = rate(0, "oracle"), rate(0, "random")
    assert 1.5 < oracle / anyhow < 2.5
    assert rate(0, "most-viewed") > 0.85 * oracle
    assert rate(5, "most-viewed") < 0.8 * rate(5, "oracle")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"n_flips": 6}, "one swap each"), ({"leave_bandit": 0.97}, "probability"), ({"organic_to_bandit": 0.0}, "leave")],
)
def test_a_market_that_cannot_be_played_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        RecoGym(**wrong)  # type: ignore[arg-type]
