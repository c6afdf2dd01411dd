"""What the neural kinds believe: it shrinks with feedback, never with being asked, and counts every search once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from policies.examples import Examples, in_features_of
from policies.exploration.by_bound import RegCB
from policies.exploration.by_vote import Bagging, ThompsonMixture
from policies.exploration.estimates import Needs
from policies.exploration.thompson import ThompsonQuadrature
from policies.features import features
from policies.kernels import diagonal
from policies.learning import Learner
from policies.neural import NeuralBandit
from policies.neural_ensemble import EnsembleNet
from policies.position_based import information
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, new_learner
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step

FAMILY = ("neural-linear", "neural-ucb", "neural-ts", "ensemble")


def made(name: str, catalogue: PublicCatalogue, settings: dict[str, Any] | None = None) -> NeuralBandit:
    learner = new_learner(name, catalogue, 3, 1, settings=settings)
    assert isinstance(learner, NeuralBandit)
    return learner


@pytest.mark.parametrize("name", FAMILY)
def test_asking_changes_nothing_and_feedback_does(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """Two published codes count a page as feedback when it is ranked."""
    learner, page = made(name, catalogue), take(steps.page, slice(0, 30))
    before = {key: value.copy() for key, value in learner.tensors().items()}
    learner.score(page, None)
    learner.estimates(page, None, Needs(spread=True, n_draws=5))
    assert all(np.array_equal(before[key], value) for key, value in learner.tensors().items())
    learner.update(take(seen, slice(0, 40)))
    assert not all(np.array_equal(before[key], value) for key, value in learner.tensors().items())


@pytest.mark.parametrize("name", FAMILY)
def test_a_row_does_not_depend_on_its_batch(
    name: str, steps: Step, catalogue: PublicCatalogue, trained: dict[str, Learner]
) -> None:
    """To 1e-5 of scores of about 1, spreads and draws alike: networks move by 1e-6 with the batch."""
    page, needs = take(steps.page, slice(0, 40)), Needs(spread=True, n_draws=3)
    whole = trained[name].estimates(page, None, needs)  # type: ignore[attr-defined]
    for row in (0, 7, 39):
        alone = trained[name].estimates(take(page, slice(row, row + 1)), None, needs)  # type: ignore[attr-defined]
        for field in ("scores", "spread", "draws"):
            assert np.allclose(getattr(alone, field)[0], getattr(whole, field)[row], atol=1e-5)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("scheme", [Bagging(10), ThompsonMixture(6), ThompsonQuadrature(), RegCB()])
def test_every_exploration_runs_over_every_kind(
    scheme: Any, name: str, steps: Step, trained: dict[str, Learner]
) -> None:
    page, keys = take(steps.page, slice(0, 20)), hashing.absorb(0, np.arange(20))
    policy = RankingPolicy(name, trained[name], exploration=scheme)
    decision = policy.act(page, 3, keys)
    assert np.isfinite(decision.logp.logp).all()
    assert np.allclose(policy.log_prob(page, decision.slate).logp, decision.logp.logp, atol=1e-9)


@pytest.mark.parametrize("name", FAMILY)
def test_a_second_delivery_of_a_search_counts_nothing(name: str, seen: Examples, catalogue: PublicCatalogue) -> None:
    once, twice = made(name, catalogue), made(name, catalogue)
    for learner, batches in ((once, 1), (twice, 3)):
        for _ in range(batches):
            learner.update(take(seen, slice(0, 50)))
    assert (once.n_searches, twice.n_searches) == (50, 50)
    ours, theirs = once.tensors(), twice.tensors()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", FAMILY)
def test_rewards_of_the_future_do_not_move_the_past(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    page, keys, entry = take(steps.page, slice(0, 50)), hashing.absorb(0, np.arange(50)), POLICIES[name]
    acted = []
    for flipped in (False, True):
        learner = made(name, catalogue)
        learner.update(take(seen, slice(0, 60)))
        decision = RankingPolicy(name, learner, entry.temperature, entry.floor).act(page, 3, keys)
        future = take(seen, slice(60, 120))
        reward = 1.0 - future.reward if flipped else future.reward
        learner.update(dataclasses.replace(future, reward=reward.astype(np.float32)))
        acted.append((decision, learner.score(page, None)))
    assert acted[0][0].slate.tobytes() == acted[1][0].slate.tobytes()
    assert acted[0][0].logp.logp.tobytes() == acted[1][0].logp.logp.tobytes()
    assert not np.array_equal(acted[0][1], acted[1][1])


@pytest.mark.parametrize("name", ["neural-linear", "neural-ts"])
def test_draws_have_the_stated_spread_and_are_a_pages_own(
    name: str, steps: Step, catalogue: PublicCatalogue, trained: dict[str, Learner]
) -> None:
    """400 draws on 30 pages: within six standard errors of 400; asked again, the same."""
    page = take(steps.page, slice(0, 30))
    found = trained[name].estimates(page, None, Needs(spread=True, n_draws=400))  # type: ignore[attr-defined]
    z = (found.draws - found.scores[:, None]) / found.spread[:, None]
    assert (np.abs(z.std(axis=1) - 1.0) < 6.0 / np.sqrt(800)).all()
    assert (np.abs(z.mean(axis=1)) < 6.0 / np.sqrt(400)).all()
    again = trained[name].estimates(page, None, Needs(n_draws=400))  # type: ignore[attr-defined]
    assert again.draws.tobytes() == found.draws.tobytes()
    assert np.abs(z[0] - z[1]).max() > 1.0
    alike = np.abs(np.corrcoef(z[0].T) - np.eye(8)).max()  # of two candidates: they share a last layer, or nothing
    assert (alike < 6.0 / np.sqrt(400)) == (name == "neural-ts")


@pytest.mark.parametrize("name", ["neural-ucb", "neural-ts"])
def test_the_diagonal_is_the_sum_over_what_was_shown_and_no_more(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """After a round: lambda plus information times g^2 / m of the current network, however many rounds there were."""
    learner, some = made(name, catalogue, {"regularisation": 3.0}), take(seen, slice(0, 200))
    cold = learner.estimates(steps.page, None, Needs(spread=True)).spread
    x = features(learner.feature_map, steps.page, np.tile(np.arange(8), (len(steps.page), 1)))
    with torch.no_grad():
        phi = learner.net.torso(torch.from_numpy(x)).numpy()  # the head is 0 yet: no gradient below it
    assert np.allclose(cold, np.sqrt((1.0 + (phi**2).sum(axis=2)) / (32 * 3.0)), rtol=1e-4)
    learner.update(some)
    for _ in range(2):
        learner.finish()
    weights, flat = learner.net.weights(), torch.from_numpy(some.features[some.shown])
    curve = learner.net.log_examination().detach().expand(200, 3)[torch.from_numpy(some.shown)]
    with torch.no_grad():
        known = information(learner.net.head(learner.net.torso(flat)).squeeze(-1), curve)
    expected = 3.0 + diagonal.squares(weights, flat, known)
    assert torch.allclose(learner.belief.precision, expected, rtol=1e-4)
    assert torch.allclose(torch.from_numpy(learner.tensors()["precision"]), learner.belief.precision)


def test_a_bounded_memory_keeps_the_precision_of_all_that_was_seen(seen: Examples, catalogue: PublicCatalogue) -> None:
    """A tenth of the searches, counted ten times each: the mean over the weights within 25% of the whole."""
    some = take(seen, slice(0, 1000))
    whole, small = (made("neural-ucb", catalogue, {"memory": memory}) for memory in (1000, 100))
    for learner in (whole, small):
        learner.update(some)
    small.net.load_state_dict(whole.net.state_dict())
    for learner in (whole, small):
        kept = learner.training.replay.kept()
        assert kept is not None
        learner.belief.refresh(kept, learner.training.replay.scale())
    ratio = float((small.belief.precision - 1).sum() / (whole.belief.precision - 1).sum())
    assert ratio == pytest.approx(1.0, abs=0.25)


def test_members_of_an_ensemble_are_the_draws_in_turn(steps: Step, trained: dict[str, Learner]) -> None:
    page, ensemble = take(steps.page, slice(0, 10)), trained["ensemble"]
    found = ensemble.estimates(page, None, Needs(spread=True, n_draws=23))  # type: ignore[attr-defined]
    members = found.draws[:, :10]
    assert np.array_equal(found.draws[:, 10:20], members)
    assert np.array_equal(found.draws[:, 20:], members[:, :3])
    assert np.allclose(found.scores, members.mean(axis=1), atol=1e-6)
    assert np.allclose(found.spread, members.std(axis=1), atol=1e-5)
    assert found.spread.min() > 0.01


def test_a_members_gradient_depends_on_its_own_bootstrap_alone(seen: Examples, catalogue: PublicCatalogue) -> None:
    """Searches that it does not count teach it nothing, and those that it counts twice count twice."""
    learner = made("ensemble", catalogue)
    net = learner.net
    assert isinstance(net, EnsembleNet)
    new = learner.training.replay.add(in_features_of(learner.feature_map, take(seen, slice(0, 30))))
    x, reward, shown, count = net.batch(new)
    turned = count.clone()
    turned[:, 1:] = 0.0

    def gradient(counts: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        net.zero_grad()
        own = shown[rows].sum() / shown.sum()
        (net.loss(x[rows], reward[rows], shown[rows], counts[rows]) * own).backward()
        assert net.w1.grad is not None
        return net.w1.grad[0].clone()

    every = torch.arange(30)
    assert torch.allclose(gradient(count, every), gradient(turned, every), atol=1e-7)
    assert not net.w1.grad[1:].any()
    by_hand = torch.cat([every[count[:, 0] >= often] for often in range(1, 8)])
    repeated = gradient(torch.ones_like(count), by_hand)
    assert torch.allclose(gradient(count, every), repeated, atol=1e-6)


def test_what_makes_no_learner_is_refused(catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="n_members is 0"):
        made("ensemble", catalogue, {"n_members": 0})
    with pytest.raises(UserError, match="memory is 0"):
        made("neural-linear", catalogue, {"memory": 0})


@pytest.mark.parametrize("name", ["neural-ucb", "neural-linear"])
def test_a_restored_model_stays_as_sure_as_it_was(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """The searches behind it are gone; a round over one more does not send it back to its prior."""
    page, needs = take(steps.page, slice(0, 50)), Needs(spread=True)
    old, new, cold = (made(name, catalogue) for _ in range(3))
    old.update(take(seen, slice(0, 1000)))
    old.finish()
    cold.net.load_state_dict(old.net.state_dict())
    unsure = cold.estimates(page, None, needs).spread.mean()
    new.restore(old.tensors())
    sure = old.estimates(page, None, needs).spread
    assert new.estimates(page, None, needs).spread.tobytes() == sure.tobytes()
    kept = new.training.replay.add(take(seen, slice(1000, 1001)))
    new.belief.refresh(kept, 1.0)
    assert new.estimates(page, None, needs).spread.mean() < 1.01 * sure.mean() < 0.8 * unsure
