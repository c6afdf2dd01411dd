"""The learner from logs: repeats itself, never learns from who judges, stays near the logger where told to, goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies import click_training
from policies.examples import Examples, step_examples
from policies.from_logs.learner import PER_EPOCH, PlackettLuceGradient
from policies.from_logs.logged import is_held_out
from policies.learning import Learner, metrics_of
from policies.persistence import LearnedFrom, load_model, read_card, save_model
from policies.registry import new_learner
from policies.training import Market, Plan, train
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step
from simenv.vector_env import SearchVectorEnv
from simenv.worlds import world_params


def taught(catalogue: PublicCatalogue, seen: Examples, **settings: Any) -> PlackettLuceGradient:
    learner = PlackettLuceGradient(catalogue, 3, {"epochs": 2, **settings})
    learner.update(seen)
    learner.finish()
    return learner


@pytest.fixture(scope="module")
def some(seen: Examples) -> Examples:
    return take(seen, slice(0, 1000))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A click model of 40 steps is enough for what is asked here."""
    monkeypatch.setattr(click_training, "LEAST_STEPS", 40)


@pytest.mark.parametrize("objective", ["regression", "ips", "snips", "dr", "poem"])
@pytest.mark.parametrize("weights", ["item-position", "prefix", "joint"])
def test_every_objective_trains_by_every_weight(
    objective: str, weights: str, some: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    learner = taught(catalogue, take(some, slice(0, 600)), objective=objective, weights=weights, epochs=1)
    assert np.isfinite(learner.score(steps.page, None)).all()
    assert len(learner.history) == (1 if objective == "regression" else 2)
    assert np.isfinite(learner.history[:, :3]).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    some: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    first, again, other = (taught(catalogue, some, seed=seed).score(steps.page, None) for seed in (0, 0, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_nothing_is_learned_from_shoppers_who_judge(some: Examples, catalogue: PublicCatalogue) -> None:
    """Other clicks of theirs: another estimate of every pass, and the same click model and passes."""
    assert some.page is not None
    held = is_held_out(some.page.shopper)
    assert 0.1 < held.mean() < 0.3
    other = dataclasses.replace(some, reward=np.where(held[:, None] & some.shown, 1 - some.reward, some.reward))
    one, two = taught(catalogue, some, patience=9), taught(catalogue, other, patience=9)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name])
    assert np.array_equal(one.history[:, 2], two.history[:, 2])  # how far from the logger each pass is
    assert (one.history[:, 0] != two.history[:, 0]).all()


def test_the_pass_that_is_kept_has_the_best_estimate(some: Examples, catalogue: PublicCatalogue) -> None:
    learner = taught(catalogue, some, epochs=4, learning_rate=0.05)
    assert learner.kept == learner.history[:, 0].argmax()
    rows = learner.kept_rows[0]
    again = learner._judge(take(rows, is_held_out(rows.page.shopper)))
    assert np.allclose(again, learner.history[learner.kept], equal_nan=True)


def test_a_trust_region_keeps_the_policy_near_the_logger(some: Examples, catalogue: PublicCatalogue) -> None:
    """A warm start a nat or more away is pulled back toward it; without a region the same passes go elsewhere."""
    settings = {"epochs": 4, "patience": 9, "learning_rate": 1e-2}
    free = taught(catalogue, some, **settings)
    bound = taught(catalogue, some, trust=0.05, trust_price=5.0, **settings)
    assert bound.history[-1, 2] < 0.5 * min(free.history[-1, 2], bound.history[0, 2])
    assert bound.history[-1, 3] < bound.history[0, 3]
    assert np.isnan(free.history[:, 3]).all()
    assert (
        bound.kept == bound.history[:, 2].argmin()
    )  # .05 nats are out of reach: the nearest is kept, whatever its worth


def test_gains_are_told_in_their_own_unit(some: Examples, catalogue: PublicCatalogue) -> None:
    """Gains of -40 to 80: the doubly robust estimate of the same policy is in the same unit as the clicks' times 40."""
    worth = np.where(some.shown, 40.0 * some.reward, 0.0).astype(np.float32)
    by_gain = taught(catalogue, dataclasses.replace(some, gain=worth), reward="gain", objective="regression")
    by_click = taught(catalogue, some, objective="regression")
    assert by_gain.scale == 40.0
    assert np.allclose(by_gain.history[0, :2], 40.0 * by_click.history[0, :2], rtol=1e-5)


def test_a_saved_model_ranks_alike_says_what_it_saw_and_goes_on(
    seen: Examples, some: Examples, steps: Step, catalogue: PublicCatalogue, tmp_path: Path
) -> None:
    learner = taught(catalogue, some)
    save_model(learner, tmp_path / "m", 3, LearnedFrom("", "", 0, None, learner.n_searches), metrics_of(learner))
    said = read_card(tmp_path / "m")["metrics"]
    assert said[f"{PER_EPOCH[0]}, pass 0"] == learner.history[0, 0]
    assert said["pass kept"] == learner.kept
    restored = load_model(tmp_path / "m", catalogue, 3).scorer
    before = restored.score(steps.page, None)
    assert before.tobytes() == learner.score(steps.page, None).tobytes()
    assert isinstance(restored, PlackettLuceGradient)
    restored.update(take(some, slice(0, 256)))  # delivered again: nothing new
    assert restored.score(steps.page, None).tobytes() == before.tobytes()
    restored.update(take(seen, slice(1000, 1256)))
    moved = np.abs(restored.score(steps.page, None) - before).max()
    assert 0 < moved < 3.0  # one step of Adam, not a new start


def test_a_search_that_is_delivered_twice_counts_once(some: Examples, catalogue: PublicCatalogue) -> None:
    once, twice = (PlackettLuceGradient(catalogue, 3, {}) for _ in range(2))
    for learner in (once, twice):
        learner.update(some)
    twice.update(take(some, slice(0, 300)))
    assert once.n_searches == twice.n_searches == len(some)
    assert all(np.array_equal(value, twice.tensors()[name]) for name, value in once.tensors().items())


def test_it_goes_on_online_from_its_warm_start(some: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    learner = taught(catalogue, some, epochs=1)
    before = learner.score(steps.page, None)
    env = SearchVectorEnv(64, world_params("tiny"))
    train(learner, Market(learner, env, 5, (1.0, 0.01)), Plan(500, finish_every=300))
    assert learner.n_searches >= len(some) + 490  # other shoppers under the same numbers: hardly a page has one name
    after = learner.score(steps.page, None)
    assert np.isfinite(after).all()
    assert not np.array_equal(before, after)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.8  # it did not start anew


def test_what_says_too_little_is_refused(some: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    learner = PlackettLuceGradient(catalogue, 3, {})
    with pytest.raises(UserError, match="the weights of a logger"):
        learner.update(step_examples(learner.feature_map, steps))
    assert some.logp is not None
    other = dataclasses.replace(some, logp=some.logp - 0.1)
    with pytest.raises(UserError, match='weigh by "prefix" or "joint"'):
        learner.update(other)
    PlackettLuceGradient(catalogue, 3, {"weights": "prefix"}).update(other)
    with pytest.raises(UserError, match="do not say what a slot gained"):
        PlackettLuceGradient(catalogue, 3, {"reward": "gain"}).update(dataclasses.replace(some, gain=None))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"objective": "drr"}, "there is no objective of pl-gradient 'drr'"),
        ({"weights": "marginal"}, "weights of pl-gradient"),
        ({"clip": 1.0}, "expected a largest weight above 1"),
    ],
)
def test_a_setting_that_is_no_choice_is_refused(
    settings: dict[str, Any], told: str, catalogue: PublicCatalogue
) -> None:
    with pytest.raises(UserError, match=told):
        new_learner("pl-gradient", catalogue, 3, 0, settings=settings)


def test_learners_without_a_record_have_no_metrics(trained: dict[str, Learner]) -> None:
    assert metrics_of(trained["linear"]) == {}
    assert metrics_of(trained["pl-gradient"])
