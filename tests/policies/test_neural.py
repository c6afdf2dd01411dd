"""The neural bandit: it tells examination from relevance, repeats itself by seed, and never adds what is stale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policies.examples import Examples
from policies.features import page_tensors
from policies.neural import NEURAL_LINEAR, NeuralBandit
from policies.position_based import click_cost, information
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.play import Step


def taught(catalogue: PublicCatalogue, batches: list[Examples], seed: int = 0, alpha: float = 0.0) -> NeuralBandit:
    learner = NEURAL_LINEAR.empty(catalogue, 3, {"seed": seed, "alpha": alpha})
    for batch in batches:
        learner.update(batch)
    learner.finish()
    return learner


def with_one(phi: torch.Tensor) -> torch.Tensor:
    return torch.cat([phi, phi.new_ones((*phi.shape[:-1], 1))], dim=-1)


def test_a_planted_examination_curve_is_found(seen: Examples, catalogue: PublicCatalogue) -> None:
    """20,000 searches whose items stand in random slots, examination 1, .6, .3, log-odds linear in two features.

    About 7,000 clicks at the second slot make its share good to 2%; the model itself is flexible, hence .05.
    """
    rng = np.random.default_rng(0)
    n = 20_000
    flat = seen.features.reshape(-1, seen.features.shape[2])
    x = flat[rng.integers(0, len(flat), (n, 3))]
    attraction = 1 / (1 + np.exp(-(x[:, :, 7] + 1.5 * x[:, :, 0] - 0.5)))
    click = rng.random((n, 3)) < attraction * np.array([1.0, 0.6, 0.3])
    learner = taught(catalogue, [Examples(x, click.astype(np.float32), np.ones((n, 3), dtype=bool))])
    found = learner.net.log_examination().exp().detach().numpy()
    assert found[0] == 1.0
    assert np.abs(found - [1.0, 0.6, 0.3]).max() < 0.05
    with torch.no_grad():
        logit = learner.net.head(learner.net.torso(torch.from_numpy(x[:2000, 0]))).squeeze(-1).numpy()
    assert np.corrcoef(logit, np.log(attraction[:2000, 0] / (1 - attraction[:2000, 0])))[0, 1] > 0.9


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    steps: Step, seen: Examples, catalogue: PublicCatalogue
) -> None:
    batches = [take(seen, slice(first, first + 256)) for first in range(0, 1024, 256)]
    page = take(steps.page, slice(0, 20))
    first, again, other = (taught(catalogue, batches, seed).score(page, None) for seed in (0, 0, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_the_posterior_is_computed_afresh_and_not_added_to(seen: Examples, catalogue: PublicCatalogue) -> None:
    """After a second round it is that of the current features over what was seen once."""
    learner = taught(catalogue, [take(seen, slice(0, 500))], alpha=1.0)
    learner.finish()
    x, shown = (torch.from_numpy(part[:500]) for part in (seen.features, seen.shown))
    with torch.no_grad():
        phi = learner.net.torso(x)
        attraction = torch.sigmoid(learner.net.head(phi).squeeze(-1))
        p = attraction * learner.net.log_examination().exp()
        z = with_one(phi).double()[shown]
        weight = (p * (1 - attraction) ** 2 / (1 - p)).double()[shown]
    precision = torch.eye(z.shape[1], dtype=torch.float64) + z.T @ (weight[:, None] * z)
    root = learner.belief.root.double()
    assert torch.allclose(root @ precision @ root.T, torch.eye(len(root), dtype=torch.float64), atol=1e-3)


def test_the_bonus_is_the_posterior_deviation(steps: Step, seen: Examples, catalogue: PublicCatalogue) -> None:
    """Before any feedback the deviation is that of the prior, |(phi, 1)|, and not 0."""
    page = take(steps.page, slice(0, 20))
    bold, plain = (NEURAL_LINEAR.empty(catalogue, 3, {"alpha": alpha}) for alpha in (2.0, 0.0))
    with torch.no_grad():
        phi = bold.net.torso(bold.feature_map(page_tensors(page)))
    expected = 2.0 * torch.linalg.vector_norm(with_one(phi), dim=2).numpy()
    assert np.allclose(bold.score(page, None) - plain.score(page, None), expected, rtol=1e-4)


def test_a_restored_learner_goes_on_from_where_it_was(steps: Step, seen: Examples, catalogue: PublicCatalogue) -> None:
    """One more search is one step of Adam; it does not standardise anew over that search alone."""
    page = take(steps.page, slice(0, 50))
    old = taught(catalogue, [take(seen, slice(0, 1000))])
    restored = NEURAL_LINEAR.empty(catalogue, 3, {})
    restored.restore(old.tensors())
    before = restored.score(page, None)
    assert before.tobytes() == old.score(page, None).tobytes()
    restored.update(take(seen, slice(1000, 1001)))
    moved = np.abs(restored.score(page, None) - before).max()
    assert 0 < moved < 1.0
    assert torch.equal(restored.net.torso.mean, old.net.torso.mean)


def test_saved_tensors_of_another_shape_are_refused(catalogue: PublicCatalogue) -> None:
    small = NEURAL_LINEAR.empty(catalogue, 3, {"hidden": (8, 4)})
    with pytest.raises(ValueError, match="last_root"):
        NEURAL_LINEAR.empty(catalogue, 3, {}).restore(small.tensors())


def test_the_likelihood_is_finite_where_the_network_is_sure(seen: Examples, catalogue: PublicCatalogue) -> None:
    learner = NEURAL_LINEAR.empty(catalogue, 3, {})
    x, reward, shown = (torch.from_numpy(part[:100]) for part in (seen.features, seen.reward, seen.shown))
    for bias in (-200.0, 200.0):
        learner.net.zero_grad()
        with torch.no_grad():
            learner.net.head.bias.fill_(bias)
        loss = learner.net.loss(x, reward, shown)
        loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(p.grad).all() for p in learner.net.parameters() if p.grad is not None)


@pytest.mark.parametrize("examined", [1.0, 0.6, 0.1])
def test_a_look_tells_what_the_curvature_of_its_likelihood_is_on_average(examined: float) -> None:
    """The expected second derivative of the cost in f, in float64 to a millionth; p (1 - p) is more than that."""
    f = torch.linspace(-6.0, 3.0, 19, dtype=torch.float64, requires_grad=True)
    log_examined = torch.tensor(examined, dtype=torch.float64).log()
    p = examined * torch.sigmoid(f).detach()
    expected = torch.zeros_like(p)
    for reward, chance in ((1.0, p), (0.0, 1.0 - p)):
        cost = click_cost(f, log_examined, torch.full_like(p, reward))
        (slope,) = torch.autograd.grad(cost.sum(), f, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), f)
        expected += chance * curvature
    assert torch.allclose(information(f.detach(), log_examined), expected, rtol=1e-6, atol=0.0)
