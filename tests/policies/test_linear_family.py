"""The linear learners: order and repeats of feedback do not matter, categories are apart, past actions stay."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from policies.check import check_policy
from policies.examples import Examples, step_examples
from policies.exploration.by_bound import RegCB
from policies.exploration.by_vote import ThompsonMixture
from policies.exploration.estimates import Needs
from policies.exploration.slotwise import SlotwisePolicy
from policies.exploration.thompson import ThompsonQuadrature
from policies.features import features
from policies.learning import Learner
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, new_learner, restored_learner
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step
from simenv.world import World

FAMILY = ("linear-ts", "linear-disjoint", "logistic")


def taught(name: str, catalogue: PublicCatalogue, batches: list[Examples], settings: Any = None) -> Learner:
    learner = restored_learner(name, catalogue, 3, settings or {})
    for batch in batches:
        learner.update(batch)
    learner.finish()
    return learner


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *(
            (name, settings)
            for name in ("linear-ts", "linear-disjoint")
            for settings in ({}, {"half_life": 2.0}, {"window": 2})
        ),
        ("logistic", {}),
    ],
)
def test_order_batches_and_repeats_of_feedback_do_not_matter(
    name: str, settings: dict[str, Any], seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """Means to 1e-5: rounding of sums, and for the logistic one where Newton ends. Each search counts once."""
    some = take(seen, slice(0, 150))
    whole = taught(name, catalogue, [some], settings)
    single = taught(name, catalogue, [take(some, slice(i, i + 1)) for i in range(150)], settings)
    backwards = taught(name, catalogue, [take(some, np.arange(150)[::-1])], settings)
    twice = taught(name, catalogue, [some, take(some, slice(20, 90)), some], settings)
    page = take(steps.page, slice(0, 40))
    expected = whole.estimates(page, None, Needs(spread=True))  # type: ignore[attr-defined]
    for other in (single, backwards, twice):
        found = other.estimates(page, None, Needs(spread=True))  # type: ignore[attr-defined]
        assert other.n_searches == 150
        assert np.allclose(found.scores, expected.scores, atol=1e-5)
        assert np.allclose(found.spread, expected.spread, atol=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_without_names_of_searches_every_delivery_counts(name: str, seen: Examples, catalogue: PublicCatalogue) -> None:
    """The planted fault of the test above."""
    nameless = dataclasses.replace(take(seen, slice(0, 50)), id=None)
    assert taught(name, catalogue, [nameless, nameless]).n_searches == 100


def test_disjoint_models_learn_from_their_own_category_alone(
    seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """Each is ridge regression on the slots that showed its category; one that was never shown keeps the prior."""
    learner = taught("linear-disjoint", catalogue, [seen])
    assert seen.item is not None
    shown = seen.shown.reshape(-1)
    slot = np.tile(np.eye(3), (len(seen), 1))
    z = np.concatenate([seen.features.reshape(len(slot), -1).astype(np.float64), slot], axis=1)
    page = take(steps.page, slice(0, 60))
    x = features(learner.feature_map, page, np.tile(np.arange(8), (60, 1))).astype(np.float64)
    score, category = learner.score(page, None), catalogue.category[np.maximum(page.candidates, 0)]
    for one in np.unique(category):
        own = shown & (catalogue.category[seen.item.reshape(-1)] == one)
        theta = np.linalg.solve(z[own].T @ z[own] + 10.0 * np.eye(z.shape[1]), z[own].T @ seen.reward.reshape(-1)[own])
        at = category == one
        assert np.allclose(score[at], x[at] @ theta[: x.shape[2]], atol=1e-5)


def test_a_disjoint_model_that_is_not_told_the_items_is_refused(seen: Examples, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match=r"Examples\.item is missing"):
        taught("linear-disjoint", catalogue, [dataclasses.replace(seen, item=None)])


@pytest.mark.parametrize("name", ["linear", *FAMILY])
def test_a_cold_start_knows_that_it_knows_nothing(name: str, steps: Step, catalogue: PublicCatalogue) -> None:
    """Mean 0 and spread |x| / sqrt(lambda), times the scale that Thompson sampling is set to."""
    own = {"scale": 0.5} if name == "linear-ts" else {}
    learner = restored_learner(name, catalogue, 3, {"regularisation": 4.0} | own)
    page = take(steps.page, slice(0, 20))
    x = features(learner.feature_map, page, np.tile(np.arange(8), (20, 1))).astype(np.float64)
    made = learner.estimates(page, None, Needs(spread=True, n_draws=3))  # type: ignore[attr-defined]
    scale = 0.5 if name == "linear-ts" else 1.0
    assert not made.scores.any()
    assert np.allclose(made.spread, scale * np.linalg.norm(x, axis=2) / 2.0, rtol=1e-5)
    assert made.draws.shape == (20, 3, 8)


@pytest.mark.parametrize("name", ["linear", *FAMILY])
def test_posterior_draws_have_the_stated_spread_and_are_a_pages_own(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """400 draws on 30 pages: deviations within six standard errors of 400, 6 / sqrt(800); asked again, the same."""
    learner = taught(name, catalogue, [take(seen, slice(0, 100))])
    page = take(steps.page, slice(0, 30))
    made = learner.estimates(page, None, Needs(spread=True, n_draws=400))  # type: ignore[attr-defined]
    assert made.draws is not None
    z = (made.draws - made.scores[:, None]) / made.spread[:, None]
    assert (np.abs(z.std(axis=1) - 1.0) < 6.0 / np.sqrt(800)).all()
    assert (np.abs(z.mean(axis=1)) < 6.0 / np.sqrt(400)).all()
    alone = learner.estimates(take(page, slice(4, 5)), None, Needs(n_draws=400))  # type: ignore[attr-defined]
    assert np.allclose(alone.draws[0], made.draws[4], atol=1e-5)
    assert np.abs(z[0] - z[1]).max() > 1.0


@pytest.mark.parametrize("name", ["linear", "neural-linear", *FAMILY])
def test_rewards_of_the_future_do_not_move_the_past(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """What a learner did before feedback arrived is the same whatever that feedback will be."""
    page, keys = take(steps.page, slice(0, 50)), hashing.absorb(0, np.arange(50))
    acted = []
    for flipped in (False, True):
        learner = new_learner(name, catalogue, 3, 1)
        past, future = take(seen, slice(0, 60)), take(seen, slice(60, 120))
        learner.update(past)
        entry = POLICIES[name]
        decision = RankingPolicy(name, learner, entry.temperature, entry.floor).act(page, 3, keys)
        reward = 1.0 - future.reward if flipped else future.reward
        learner.update(dataclasses.replace(future, reward=reward.astype(np.float32)))
        acted.append((decision, learner.score(page, None)))
    assert np.array_equal(acted[0][0].slate, acted[1][0].slate)
    assert np.array_equal(acted[0][0].logp.logp, acted[1][0].logp.logp)
    assert not np.array_equal(acted[0][1], acted[1][1])


@pytest.mark.parametrize("name", ["linear", *FAMILY])
def test_acting_never_changes_a_learner(name: str, trained: dict[str, Learner], steps: Step) -> None:
    learner, entry = trained[name], POLICIES[name]
    before = {key: np.copy(value) for key, value in learner.tensors().items()}
    RankingPolicy(name, learner, entry.temperature, entry.floor).act(
        steps.page, 3, hashing.absorb(0, np.arange(len(steps.page)))
    )
    for key, value in learner.tensors().items():
        assert np.array_equal(before[key], value)


@pytest.mark.parametrize(
    "exploration", [ThompsonMixture(16, 0.0, 0.05), RegCB(1.0, 0.05), ThompsonQuadrature(0.05)], ids=["mix", "cb", "q"]
)
@pytest.mark.parametrize("name", ["linear", "linear-disjoint", "logistic"])
def test_learners_explore_by_what_they_do_not_know(
    name: str, exploration: Any, trained: dict[str, Learner], tiny: World
) -> None:
    check_policy(RankingPolicy(name, trained[name], exploration=exploration), tiny, n_draws=10_000)


def test_slot_by_slot_thompson_keeps_the_contract(trained: dict[str, Learner], tiny: World) -> None:
    check_policy(SlotwisePolicy("mine", trained["linear"], ThompsonMixture(16, 0.0, 0.05)), tiny, n_draws=10_000)


def test_feedback_older_than_the_window_is_gone(seen: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    """What is left is what the last two days alone teach."""
    assert seen.day is not None
    recent = take(seen, seen.day > seen.day.max() - 2)
    assert 0 < len(recent) < len(seen)
    page = take(steps.page, slice(0, 20))
    forgetful, fresh = (taught("linear-disjoint", catalogue, [some], {"window": 2}) for some in (seen, recent))
    assert np.allclose(forgetful.score(page, None), fresh.score(page, None), atol=1e-6)


def test_examples_name_their_searches(steps: Step, catalogue: PublicCatalogue) -> None:
    made = step_examples(new_learner("linear", catalogue, 3, 0).feature_map, steps)
    assert made.id is not None
    assert len(np.unique(made.id)) == len(made)
    assert np.array_equal(made.item, steps.outcome.items)
