"""SlateQ's losses, networks and scorer, without Ray."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from policies import plackett_luce
from policies.features import page_tensors
from policies.persistence import LearnedFrom, load_model, save_model
from policies.ranking import RankingPolicy
from policies.rllib.slate_optimisers import OPTIMISERS, best_slate, exact, slate_value
from policies.rllib.slateq_loss import (
    Goal,
    Transitions,
    choice_shares,
    copied,
    filled_slots,
    losses,
    next_value,
    slate_scores,
    standardised,
    value_scale,
)
from policies.slateq import SlateQScorer
from policies.slateq_net import ItemNet, PageFeatures, Shape, SlateValues
from simenv.errors import UserError
from simenv.world import Page, begin, observe
from simenv.worlds import load_world

TINY = load_world("tiny")
CATALOGUE = TINY.catalogue.public()


def pages(n: int = 40) -> Page:
    return observe(TINY, begin(TINY, 3, np.arange(n)))


def moved(net: torch.nn.Module, seed: int = 1) -> None:
    """Stand in for training: every weight moves, by a seeded draw."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)


# What pages are read as.


def test_several_clicks_are_one_choice_drawn_evenly_and_no_click_is_the_choice_of_nothing() -> None:
    clicked = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    expected = torch.tensor([[0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]])
    assert torch.equal(choice_shares(clicked), expected)


def test_repeats_and_holes_are_empty_slots() -> None:
    slate = torch.tensor([[2, 0, 2], [1, 1, 1], [3, 0, 1]])
    here = torch.tensor([[True, True, True, False]]).expand(3, 4)
    expected = torch.tensor([[True, True, False], [True, False, False], [False, True, True]])
    assert torch.equal(filled_slots(slate, here), expected)


def test_the_unit_of_values_is_what_a_life_of_like_pages_is_worth() -> None:
    """Mean reward 1 and an end after a page in four: 4 at gamma 1, 1 at gamma 0; without rewards the unit is 1."""
    reward, over = torch.ones(8), torch.tensor([True, False, False, False] * 2)
    assert value_scale(reward, over, 1.0) == pytest.approx(4.0)
    assert value_scale(reward, over, 0.0) == pytest.approx(1.0)
    assert value_scale(torch.zeros(8), over, 1.0) == 1.0


def test_standardised_scores_keep_their_order_and_forget_their_scale() -> None:
    scores = torch.tensor([[1.0, 2.0, 4.0, -torch.inf], [5.0, 5.0, 5.0, 5.0]])
    made = standardised(scores)
    torch.testing.assert_close(standardised(100.0 * scores + 7.0), made, atol=1e-5, rtol=0.0)  # float32 around 400
    assert made[0, :3].mean() == pytest.approx(0.0, abs=1e-6)
    assert made[0, :3].std(correction=0) == pytest.approx(1.0, abs=1e-6)
    assert torch.isneginf(made[0, 3])
    assert torch.equal(made[1], torch.zeros(4))


# A small world with known values: a row of lamps, and a shopper who chooses one of two offers or nothing.
#
# States 0 and 1; items 0, 1, 2; slates of two. In state s the weights of choice are V[s], that of nothing 1. Choosing
# item i pays PAY[s, i] and leads to state 1 with probability TO[s, i], else 0; choosing nothing pays 0 and leads by
# TO[s, 3]. Every page is the last with probability END.

V = np.array([[1.0, 0.5, 2.0], [0.3, 1.5, 0.8]])
PAY = np.array([[1.0, 0.2, 2.0, 0.0], [0.5, 3.0, 0.1, 0.0]])
TO = np.array([[0.9, 0.8, 0.0, 0.1], [0.9, 0.2, 0.6, 0.5]])
END, GAMMA = 0.1, 0.9
SLATES = list(itertools.combinations(range(3), 2))
SMALL = Shape(n_items=6, n_context=2, n_slots=2, hidden=16, falls=False)


def small_page(state: Tensor) -> PageFeatures:
    """Every (state, item) has a feature of its own."""
    context = torch.nn.functional.one_hot(state, 2).float()
    items = torch.einsum("ns,ij->nisj", context, torch.eye(3)).flatten(start_dim=2)
    return PageFeatures(items, context, torch.ones(len(state), 3, dtype=torch.bool))


def known_values(gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """By iteration over all slates: item-wise values (2, 4), the last of nothing, and what states are worth (2,)."""
    worth = np.zeros(2)
    for _ in range(2000):
        q = PAY + gamma * (1.0 - END) * (TO * worth[1] + (1.0 - TO) * worth[0])
        worth = np.array([max(_slate_worth(s, slate, q) for slate in SLATES) for s in range(2)])
    return q, worth


def _slate_worth(state: int, slate: tuple[int, ...], q: np.ndarray) -> float:
    v = V[state, list(slate)]
    return float((q[state, 3] + (v * q[state, list(slate)]).sum()) / (1.0 + v.sum()))


def small_batch(n: int, rng: np.random.Generator) -> Transitions:
    """N pages with random slates, and what came of them."""
    state = rng.integers(0, 2, n)
    slate = rng.random((n, 3)).argsort(axis=1)[:, :2]
    weight = np.concatenate([V[state[:, None], slate], np.ones((n, 1))], axis=1)
    choice = (weight.cumsum(axis=1) <= rng.random((n, 1)) * weight.sum(axis=1, keepdims=True)).sum(axis=1)
    item = np.where(choice == 2, 3, slate[np.arange(n), np.minimum(choice, 1)])
    following = (rng.random(n) < TO[state, item]).astype(np.int64)
    return Transitions(
        page=small_page(torch.from_numpy(state)),
        slate=torch.from_numpy(slate),
        clicked=torch.from_numpy(choice[:, None] == np.arange(2)),
        reward=torch.from_numpy(PAY[state, item]).float(),
        over=torch.from_numpy(rng.random(n) < END),
        next_page=small_page(torch.from_numpy(following)),
        next_slate=torch.from_numpy(rng.random((n, 3)).argsort(axis=1)[:, :2]),
    )


def learned(goal: Goal, updates: int = 500, batch: int = 256) -> SlateValues:
    """SlateQ in the small world: pages drawn afresh, the target network copied every 10 updates."""
    rng = np.random.default_rng(0)
    net = SlateValues(SMALL, torch.Generator().manual_seed(0))
    target = ItemNet(SMALL.n_items, SMALL.n_context, SMALL.hidden, torch.Generator().manual_seed(1))
    net.scale.fill_(value_scale(torch.from_numpy(PAY), torch.full((10,), END), goal.gamma))
    copied(net.values, target, 1.0)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, updates)
    for update in range(updates):
        made = losses(net, target, small_batch(batch, rng), goal)
        optimiser.zero_grad()
        (made.choice + made.value).backward()
        optimiser.step()
        schedule.step()
        if update % 10 == 9:
            copied(net.values, target, 1.0)
    return net


@pytest.fixture(scope="module")
def q_learned() -> SlateValues:
    return learned(Goal(GAMMA))


def small_values(net: SlateValues) -> np.ndarray:
    """What it learned (2, 4), in rewards."""
    with torch.no_grad():
        worth = net.worth(small_page(torch.arange(2)))
        made: np.ndarray = (net.scale * torch.cat([worth.q, worth.null_q[:, None]], dim=1)).numpy()
    return made


def test_the_choice_model_recovers_planted_logits(q_learned: SlateValues) -> None:
    """Log odds against nothing. The last tenth of the updates, which counts most, shows an item in a state 4,000 times
    and it is chosen 600 times at least: standard error 0.04. Four of these."""
    with torch.no_grad():
        logit, null = q_learned.logits(small_page(torch.arange(2)))
    np.testing.assert_allclose((logit - null[:, None]).numpy(), np.log(V), atol=0.16)


def test_q_learning_finds_the_values_of_a_small_world_and_its_best_slates(q_learned: SlateValues) -> None:
    """Returns have a standard deviation near 2.5, and the last tenth of the updates holds 1,000 choices of each item in
    each state: standard error 0.08. Four of these, and a little for the copies of the target."""
    expected, worth = known_values(GAMMA)
    np.testing.assert_allclose(small_values(q_learned), expected, atol=0.35)
    with torch.no_grad():
        slate = best_slate(exact(q_learned.worth(small_page(torch.arange(2)))), 2)
    for state in range(2):
        assert _slate_worth(state, tuple(slate[state].tolist()), expected) == pytest.approx(worth[state])


def test_gamma_zero_learns_what_is_paid_now_whatever_the_method() -> None:
    """PAY is paid for certain, so nothing but the fit is left: 0.02 of values up to 3."""
    made = learned(Goal(0.0), updates=250, batch=128)
    np.testing.assert_allclose(small_values(made), PAY, atol=0.02)
    batch, target = small_batch(64, np.random.default_rng(4)), made.values
    same = [losses(made, target, batch, Goal(0.0, method)).value for method in ("q-learning", "sarsa")]
    assert torch.equal(same[0], same[1])


def test_sarsa_values_the_slate_that_was_shown_and_q_learning_the_best(q_learned: SlateValues) -> None:
    batch = small_batch(50, np.random.default_rng(2))
    with torch.no_grad():
        worth = q_learned.worth(batch.next_page)
        shown = next_value(q_learned, q_learned.values, batch, Goal(GAMMA, "sarsa"))
        best = next_value(q_learned, q_learned.values, batch, Goal(GAMMA))
    torch.testing.assert_close(shown, slate_value(worth, batch.next_slate))
    assert (best >= shown - 1e-6).all()
    assert (best > shown + 0.01).any()


def test_an_end_is_worth_nothing_and_the_target_gets_no_gradient(q_learned: SlateValues) -> None:
    batch = small_batch(50, np.random.default_rng(3))
    ended = Transitions(**{**vars(batch), "over": torch.ones(50, dtype=torch.bool)})
    target = ItemNet(SMALL.n_items, SMALL.n_context, SMALL.hidden, torch.Generator().manual_seed(1))
    now, later = losses(q_learned, target, ended, Goal(0.0)), losses(q_learned, target, ended, Goal(GAMMA))
    assert torch.equal(now.value, later.value)
    losses(q_learned, target, batch, Goal(GAMMA)).value.backward()
    assert all(weight.grad is None for weight in target.parameters())
    q_learned.zero_grad()


def test_attention_falls_from_slot_to_slot_where_it_may() -> None:
    generator = torch.Generator().manual_seed(0)
    falling = SlateValues(Shape(6, 2, 4, 8, falls=True), generator).log_attention()
    level = SlateValues(Shape(6, 2, 4, 8, falls=False), generator).log_attention()
    assert falling[0] == 0.0
    assert (falling.diff() < 0).all()
    assert torch.equal(level, torch.zeros(4))


# The scorer.


@pytest.fixture(scope="module")
def scorer() -> SlateQScorer:
    made = SlateQScorer(CATALOGUE, 3, hidden=8, seed=5)
    moved(made.net)
    return made


@pytest.mark.parametrize("serve", OPTIMISERS)
def test_at_temperature_zero_it_shows_the_optimisers_slate(serve: str, scorer: SlateQScorer) -> None:
    other = SlateQScorer(CATALOGUE, 3, hidden=8, serve=serve)
    other.restore(scorer.tensors())
    page = pages()
    shown = RankingPolicy("slateq", other, 0.0).act(page, 3, np.arange(40, dtype=np.uint64)).slate
    with torch.no_grad():
        worth = other.net.worth(other.pages(page_tensors(page)))
        expected = best_slate(OPTIMISERS[serve](worth), 3).numpy()
        rounded = best_slate(slate_scores(worth, serve), 3).numpy()
    here = shown >= 0
    np.testing.assert_array_equal(shown[here], rounded[here])
    assert (expected[here] == rounded[here]).mean() > 0.99  # standardising rounds: only ties may change


def test_the_exploring_policys_slates_have_probabilities_that_sum_to_one(scorer: SlateQScorer) -> None:
    """All ordered slates of the first candidates of a page; float64 sums of at most 336 terms."""
    page = pages(1)
    scores = scorer.score(page, None)
    finite = np.flatnonzero(np.isfinite(scores[0]))[:8]
    few = scores[:, finite]
    slates = np.array(list(itertools.permutations(range(len(finite)), 3)), dtype=np.int32)
    logw = plackett_luce.log_weights(np.repeat(few, len(slates), axis=0), 0.3, 0.1)
    logp = plackett_luce.conditional(logw, slates).logp
    assert np.exp(logp.sum(axis=1)).sum() == pytest.approx(1.0, abs=1e-9)
    acted = RankingPolicy("slateq", scorer, 0.3, 0.1)
    drawn = acted.act(pages(), 3, np.arange(40, dtype=np.uint64))
    np.testing.assert_array_equal(drawn.logp.logp, acted.log_prob(pages(), drawn.slate).logp)


@pytest.mark.parametrize("serve", OPTIMISERS)
def test_a_saved_scorer_ranks_as_before(serve: str, scorer: SlateQScorer, tmp_path: Path) -> None:
    made = SlateQScorer(CATALOGUE, 3, hidden=8, serve=serve)
    made.restore(scorer.tensors() | {"n_searches": np.array(77)})
    save_model(made, tmp_path / "model", 3, LearnedFrom("", "", 5, None, 77), {}, exploration=(0.3, 0.1))
    loaded = load_model(tmp_path / "model", CATALOGUE, 3)
    assert (loaded.temperature, loaded.floor) == (0.3, 0.1)
    np.testing.assert_array_equal(loaded.scores(pages()), RankingPolicy("slateq", made).scores(pages()))


def test_it_refuses_what_it_cannot_do() -> None:
    made = SlateQScorer.empty(CATALOGUE, 3, {"hidden": 8})
    assert made.settings == {"hidden": 8, "seed": 0, "serve": "optimal"}
    with pytest.raises(UserError, match="learns by playing in a market"):
        made.update(None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="Did you mean 'greedy'"):
        SlateQScorer.empty(CATALOGUE, 3, {"serve": "greed"})


def test_using_a_trained_scorer_loads_no_ray(repository: Path) -> None:
    code = "import sys, policies.slateq; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0
