"""Searches that found nothing: every policy shows nothing for certain, and no estimate is moved by them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from policies import plackett_luce, plackett_luce_torch
from policies.check import check_policy
from policies.examples import Examples
from policies.features import page_tensors
from policies.registry import POLICIES, named_policy, new_learner
from policies.slate_net import SlateNet
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.log import Log, write_log
from simenv.play import play, shopper_range
from simenv.world import World, begin, make_world, observe
from simenv.worlds import load_world, world_params


@pytest.fixture(scope="module")
def empty_handed() -> World:
    """The tiny market, whose engine gives up on everything that it does not know, and shoppers who say such things."""
    params = world_params("tiny")
    vague = dataclasses.replace(params.queries.exploratory, share=3.0 / 4.0, says_category=0.1)
    return make_world(
        dataclasses.replace(params, queries=dataclasses.replace(params.queries, exploratory=vague, nothing_found=1.0))
    )


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_a_row_of_holes_shows_nothing_for_certain(floor: float) -> None:
    scores = np.array([[-np.inf] * 4, [0.0, -np.inf, 1.0, 2.0]], np.float32)
    logw = plackett_luce.log_weights(scores, 0.7, floor)
    assert np.isneginf(logw[0]).all()
    assert np.exp(logw[1]).sum() == pytest.approx(1.0)
    slate = plackett_luce.draw(logw, 3, hashing.absorb(0, np.arange(2)), np.tile(np.arange(4), (2, 1)))
    assert slate[0].tolist() == [-1, -1, -1]
    for propensity in (plackett_luce.conditional(logw, slate), plackett_luce.marginal(logw, slate)):
        assert propensity.logp[0].tolist() == [0.0, 0.0, 0.0]
        assert np.isfinite(propensity.logp).all()
    assert plackett_luce.top(scores, 3)[0].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_the_torch_form_says_the_same_and_has_finite_gradients(floor: float) -> None:
    scores = torch.tensor([[-torch.inf] * 4, [0.0, -torch.inf, 1.0, 2.0]], requires_grad=True)
    logw = plackett_luce_torch.log_weights(scores, 0.7, floor)
    expected = plackett_luce.log_weights(scores.detach().numpy(), 0.7, floor)
    np.testing.assert_allclose(logw.detach().numpy(), expected, rtol=1e-6)  # scores are float32
    drawn = plackett_luce_torch.draw(logw, 3, torch.Generator().manual_seed(0))
    assert drawn[0].tolist() == [-1, -1, -1]
    for said in (drawn, drawn.clamp(min=0)):  # RLlib has no word for "nothing"
        logp = plackett_luce_torch.conditional(logw, said)
        assert logp[0].tolist() == [0.0, 0.0, 0.0]
    for said in (drawn, drawn.clamp(min=0)):
        plackett_luce_torch.conditional(logw, said).sum().backward(retain_graph=True)
    assert torch.isfinite(scores.grad).all()  # type: ignore[arg-type]


def test_a_page_without_candidates_has_a_value() -> None:
    tiny = load_world("tiny")
    page = observe(tiny, begin(tiny, 0, np.arange(3)))
    page.candidates[1] = -1
    scores, embedding = SlateNet(tiny.catalogue.public(), 8, torch.Generator().manual_seed(0))(page_tensors(page))
    assert torch.isneginf(scores[1]).all()
    assert torch.isfinite(embedding).all()


@pytest.mark.parametrize("name", [name for name, entry in POLICIES.items() if not entry.learns])
def test_baselines_keep_the_contract_where_much_is_not_found(name: str, empty_handed: World) -> None:
    policy = named_policy(name, empty_handed.catalogue.public())
    steps = list(play(empty_handed, policy, 0, shopper_range(60)))
    empty = np.concatenate([(step.page.candidates < 0).all(axis=1) for step in steps])
    assert empty.mean() > 0.05
    for step in steps:
        nothing = (step.page.candidates < 0).all(axis=1)
        assert (step.decision.slate[nothing] == -1).all()
        assert (step.decision.logp.logp[nothing] == 0).all()
    check_policy(policy, empty_handed, n_draws=20_000)


def test_a_log_of_such_searches_is_written_and_read_and_weighs_them_one(
    empty_handed: World, catalogue: PublicCatalogue, tmp_path: Path
) -> None:
    public = empty_handed.catalogue.public()
    logger = named_policy("production", public).with_exploration(1.0, 0.05)
    log = Log.open(write_log(empty_handed, "tiny", logger, 3, shopper_range(80), tmp_path / "log"))
    target = named_policy("popularity", public).with_exploration(0.5, 0.05)
    met = 0
    for batch in log.batches():
        nothing = (batch.page.candidates < 0).all(axis=1)
        met += int(nothing.sum())
        weight = np.exp((target.log_prob(batch.page, batch.slate).logp - batch.logp.logp).sum(axis=1))
        assert (weight[nothing] == 1.0).all()
        assert (batch.reward[nothing] == 0.0).all()
        assert np.isfinite(weight).all()
    assert met > 20


@pytest.mark.parametrize("name", ["neural-linear", "ensemble", "cross", "position-aware", "pl-gradient"])
def test_features_are_standardised_by_the_first_searches_that_found_something(
    name: str, seen: Examples, catalogue: PublicCatalogue
) -> None:
    some, nothing = take(seen, slice(20, 120)), take(seen, slice(0, 20))
    nothing = dataclasses.replace(
        nothing,
        shown=np.zeros_like(nothing.shown), reward=np.zeros_like(nothing.reward), gain=np.zeros_like(nothing.reward),
        slate=np.full_like(nothing.reward, -1, dtype=np.int32), item=np.full_like(nothing.reward, -1, dtype=np.int32),
        logp=np.zeros(nothing.reward.shape),
    )  # fmt: skip
    plain, late = (new_learner(name, catalogue, 3, 1) for _ in range(2))
    plain.update(some)
    late.update(nothing)
    late.update(some)
    means = [key for key in plain.tensors() if key.endswith("mean")]
    assert means
    for key in means:
        assert np.abs(late.tensors()[key]).max() > 0.1
        assert np.array_equal(late.tensors()[key], plain.tensors()[key])
