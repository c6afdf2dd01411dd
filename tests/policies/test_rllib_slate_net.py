"""The slate network and its scorer, which need torch and no Ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from policies.baselines import Production
from policies.features import page_tensors
from policies.persistence import LearnedFrom, load_model, save_model
from policies.ranking import RankingPolicy
from policies.slate_net import PPO_SLATE, SlateScorer
from simenv.errors import UserError
from simenv.world import Page, begin, observe
from simenv.worlds import load_world

TINY = load_world("tiny")
CATALOGUE = TINY.catalogue.public()


def pages(n: int = 40) -> Page:
    return observe(TINY, begin(TINY, 3, np.arange(n)))


def other_weights(scorer: SlateScorer) -> None:
    """Stand in for training: every weight moves, by a seeded draw."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in scorer.net.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)


def test_training_starts_from_the_production_ranking() -> None:
    """Whose features are matches and popularity, with these weights: only float32 rounding lies between."""
    start = RankingPolicy("ppo-slate", SlateScorer(CATALOGUE, 3))
    production = RankingPolicy("production", Production(CATALOGUE))
    np.testing.assert_allclose(start.scores(pages()), production.scores(pages()), atol=1e-5)


def test_scores_do_not_depend_on_the_other_rows() -> None:
    """To 1e-5: matrix products may sum in another order for another number of rows."""
    scorer = SlateScorer(CATALOGUE, 3)
    other_weights(scorer)
    alone = np.concatenate([scorer.score(observe(TINY, begin(TINY, 3, np.array([i]))), None) for i in range(5)])
    np.testing.assert_allclose(scorer.score(pages(5), None), alone, atol=1e-5)


def test_holes_score_minus_infinity_and_the_value_has_no_gradient_into_the_scores() -> None:
    page = page_tensors(pages())
    page["candidates"][:, 2] = -1
    net = SlateScorer(CATALOGUE, 3).net
    scores, embedding = net(page)
    assert torch.isneginf(scores[:, 2]).all()
    assert torch.equal(torch.isfinite(scores), page["candidates"] >= 0)
    net.value(embedding).sum().backward()
    assert net.value_head.weight.grad is not None
    assert net.linear.weight.grad is None


def test_a_saved_scorer_ranks_as_before(tmp_path: Path) -> None:
    scorer = SlateScorer(CATALOGUE, 3, hidden=8, seed=5)
    other_weights(scorer)
    scorer.n_searches = 77
    save_model(scorer, tmp_path / "model", 3, LearnedFrom("", "", 5, None, 77), {})
    loaded = load_model(tmp_path / "model", CATALOGUE, 3)
    np.testing.assert_array_equal(
        loaded.scores(pages()), RankingPolicy("ppo-slate", scorer, temperature=1.0).scores(pages())
    )


def test_tensors_round_trip_and_are_copies() -> None:
    scorer, other = SlateScorer(CATALOGUE, 3, seed=1), SlateScorer(CATALOGUE, 3, seed=2)
    other_weights(scorer)
    held = scorer.tensors()
    expected = scorer.score(pages(), None)
    other.restore(held)
    other_weights(scorer)
    np.testing.assert_array_equal(other.score(pages(), None), expected)
    np.testing.assert_array_equal(other.tensors()["linear.weight"], held["linear.weight"])


def test_it_refuses_to_learn_from_shown_slots() -> None:
    scorer = PPO_SLATE.empty(CATALOGUE, 3, {"hidden": 8})
    assert scorer.settings == {"hidden": 8, "seed": 0}
    with pytest.raises(UserError, match="learns by playing in a market"):
        scorer.update(None)  # type: ignore[arg-type]


def test_using_a_trained_scorer_loads_no_ray(repository: Path) -> None:
    code = "import sys, policies.slate_net; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0
