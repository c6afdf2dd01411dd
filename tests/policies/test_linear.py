"""The linear bandit: statistics are sums, the bonus is the one of the papers, and planted weights are found."""

from __future__ import annotations

import numpy as np

from policies.examples import Examples
from policies.features import features
from policies.linear import LinearBandit
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.play import Step


def taught(catalogue: PublicCatalogue, batches: list[Examples]) -> LinearBandit:
    learner = LinearBandit(catalogue, 3, alpha=0.5)
    for batch in batches:
        learner.update(batch)
    learner.finish()
    return learner


def test_one_by_one_all_at_once_or_backwards_is_the_same(seen: Examples, catalogue: PublicCatalogue) -> None:
    """Up to the rounding of float64 sums in another order."""
    some = take(seen, slice(0, 200))
    whole = taught(catalogue, [some])
    single = taught(catalogue, [take(some, slice(i, i + 1)) for i in range(200)])
    backwards = taught(catalogue, [take(some, np.arange(200)[::-1])])
    for other in (single, backwards):
        assert np.allclose(other.precision, whole.precision, rtol=1e-12, atol=1e-12)
        assert np.allclose(other.moment, whole.moment, rtol=1e-12, atol=1e-12)
        assert other.n_searches == whole.n_searches == 200


def test_a_search_that_is_delivered_twice_counts_once(seen: Examples, catalogue: PublicCatalogue) -> None:
    """Also where a saved model was told of it; the same bytes, for nothing is added."""
    some = take(seen, slice(0, 100))
    once, twice, restored = (taught(catalogue, batches) for batches in ([some], [some, take(some, slice(20, 60))], []))
    restored.restore(once.tensors())
    restored.update(take(some, slice(50, 100)))
    for other in (twice, restored):
        assert other.n_searches == once.n_searches == 100
        assert all(np.array_equal(value, other.tensors()[name]) for name, value in once.tensors().items())


def test_the_estimate_is_ridge_regression(seen: Examples, catalogue: PublicCatalogue) -> None:
    learner = taught(catalogue, [seen])
    slot = np.tile(np.eye(3), (len(seen), 1))
    z = np.concatenate([seen.features.reshape(len(slot), -1).astype(np.float64), slot], axis=1)
    z, y = z[seen.shown.reshape(-1)], seen.reward.reshape(-1)[seen.shown.reshape(-1)]
    theta = np.linalg.solve(z.T @ z + 10.0 * np.eye(z.shape[1]), z.T @ y)
    assert np.allclose(learner.posterior()[0], theta, atol=1e-10)


def test_the_bonus_of_a_cold_start_is_alpha_times_length_over_root_lambda(
    steps: Step, catalogue: PublicCatalogue
) -> None:
    """A library in wide use starts from lambda in place of 1 / lambda and is off by a factor of ten at lambda = 10."""
    page = take(steps.page, slice(0, 50))
    for regularisation in (0.1, 10.0):
        learner = LinearBandit(catalogue, 3, regularisation, alpha=2.0)
        x = features(learner.feature_map, page, np.tile(np.arange(8), (50, 1))).astype(np.float64)
        expected = 2.0 * np.linalg.norm(x, axis=2) / np.sqrt(regularisation)
        assert np.allclose(learner.score(page, None), expected, rtol=1e-5)


def test_the_bonus_is_the_posterior_deviation_with_its_square_root(
    steps: Step, seen: Examples, catalogue: PublicCatalogue
) -> None:
    """x' P^-1 x under the root, over the item's part alone; it falls where something was learned."""
    page = take(steps.page, slice(0, 50))
    bold, plain = taught(catalogue, [seen]), taught(catalogue, [seen])
    plain.alpha = 0.0
    x = features(bold.feature_map, page, np.tile(np.arange(8), (50, 1))).astype(np.float64)
    n = x.shape[2]
    covariance = np.linalg.inv(bold.precision)[:n, :n]
    deviation = np.sqrt(np.einsum("nmf,fg,nmg->nm", x, covariance, x))
    assert np.allclose(bold.score(page, None) - plain.score(page, None), 0.5 * deviation, atol=1e-5)
    assert (deviation < np.linalg.norm(x, axis=2) / np.sqrt(10.0)).all()


def test_planted_weights_are_found(seen: Examples, catalogue: PublicCatalogue) -> None:
    """Rewards linear in the features plus a slot effect and noise .1: predictions are right within five deviations.

    Features hold dependent columns (locales, devices and slots sum to one), so weights are compared by what they
    predict: theta . x with the regression's own standard error.
    """
    rng = np.random.default_rng(0)
    learner = LinearBandit(catalogue, 3, regularisation=1e-3)
    theta = rng.normal(size=learner.n_features) * 0.1
    mean = seen.features @ theta + np.array([0.3, 0.2, 0.1])
    reward = (mean + 0.1 * rng.normal(size=mean.shape)).astype(np.float32)
    learner.update(Examples(seen.features, reward, seen.shown))
    found, root = learner.posterior()
    # Differences within a page: what ranks. Slot effects and page-wide columns drop out of them.
    difference = (seen.features[:, 0] - seen.features[:, 1]).astype(np.float64)
    z = np.pad(difference, ((0, 0), (0, 3)))
    deviation = 0.1 * np.linalg.norm(z @ root.T, axis=1)
    error = difference @ (found[: len(theta)] - theta)
    assert (np.abs(error) < 5 * deviation + 1e-4).all()
    assert np.abs(error).max() < 0.05


def test_empty_slots_teach_nothing(seen: Examples, catalogue: PublicCatalogue) -> None:
    some = take(seen, slice(0, 100))
    shown = some.shown.copy()
    shown[:, 2] = False
    noise = some.features.copy()
    noise[:, 2] = 1e3
    one = taught(catalogue, [Examples(some.features, some.reward, shown)])
    other = taught(catalogue, [Examples(noise, some.reward, shown)])
    assert np.array_equal(one.precision, other.precision)
    assert np.array_equal(one.moment, other.moment)
