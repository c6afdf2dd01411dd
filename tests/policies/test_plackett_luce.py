"""The one Plackett-Luce definition against enumeration, at every scale, with floors, holes and empty slots."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from policies import plackett_luce
from simenv import hashing

N, C, K = 6, 6, 3
SCALES = (0.0, 0.1, 1.0, 5.0, 20.0, 100.0)
FLOORS = (0.0, 0.001, 0.1, 0.9)

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


def some_scores(scale: float, holes: int = 0, seed: int = 0) -> npt.NDArray[np.float32]:
    """(N, C) normal scores; each row has `holes` of them at -inf, at places of its own."""
    rng = np.random.default_rng(seed)
    scores = (scale * rng.normal(size=(N, C))).astype(np.float32)
    scores[np.argsort(rng.random((N, C)), axis=1) < holes] = -np.inf
    return scores


def slates_of(row: npt.NDArray[np.float32]) -> I32:
    """Every slate of a row, -1 at the end where candidates run out."""
    here = np.flatnonzero(np.isfinite(row))
    filled = np.array(list(permutations(here, min(K, len(here)))), dtype=np.int32)
    return np.pad(filled, ((0, 0), (0, K - filled.shape[1])), constant_values=-1)


def by_definition(row: npt.NDArray[np.float32], temperature: float, floor: float, slate: I32) -> F64:
    """Conditional probabilities (M, K) in plain probabilities, one slate and one slot after another."""
    here = np.isfinite(row)
    relative = np.exp((row.astype(np.float64) - row[here].max()) / temperature)
    weight = np.where(here, (1 - floor) * relative / relative.sum() + floor / here.sum(), 0.0)
    made = np.ones(slate.shape)
    for m, positions in enumerate(slate):
        left = weight.copy()
        for k, c in enumerate(positions):
            if c >= 0:
                made[m, k] = left[c] / left.sum()
                left[c] = 0.0
    return made


@pytest.mark.parametrize("holes", [0, 2, 4])
@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("scale", SCALES)
def test_propensities_are_those_of_the_enumeration(scale: float, floor: float, holes: int) -> None:
    """Conditionals by definition (where plain probabilities can say them), sums to one, marginals as sums of slates."""
    scores = some_scores(scale, holes)
    logw = plackett_luce.log_weights(scores, 1.0, floor)
    assert np.allclose(np.exp(logw).sum(axis=1), 1.0, rtol=1e-12)
    for row in range(N):
        slate = slates_of(scores[row])
        repeated = np.repeat(logw[row : row + 1], len(slate), axis=0)
        conditional = plackett_luce.conditional(repeated, slate)
        if scale <= 5.0 or floor > 0:  # beyond, what is left underflows in plain probabilities
            expected = by_definition(scores[row], 1.0, floor, slate)
            assert np.allclose(np.exp(conditional.logp), expected, rtol=1e-9, atol=1e-300)
        joint = np.exp(conditional.prefix().joint)
        assert abs(joint.sum() - 1.0) < 1e-12
        marginal = plackett_luce.marginal(repeated, slate)
        for k in range(min(K, C - holes)):
            exact = np.bincount(slate[:, k], weights=joint, minlength=C)[slate[:, k]]
            off = np.abs(np.exp(marginal.logp[:, k]) - exact).max()
            assert off <= marginal.error + 1e-14, f"off by {off}, stated {marginal.error}"  # rounding of 120 terms
        assert marginal.error < 1e-8
        assert (marginal.logp[slate < 0] == 0).all()
        table, error = plackett_luce.marginal_table(logw[row : row + 1], K)
        assert error < 1e-8
        assert (table >= 0).all()
        filled = [k for k in range(K) if k < C - holes]
        assert np.allclose(table[0][:, filled].sum(axis=0), 1.0, atol=C * error + 1e-12)
        assert np.allclose(np.exp(marginal.logp[:, filled]), table[0][slate[:, filled], filled], atol=error + 1e-12)


@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_small_marginals_are_right_relative_to_their_size(scale: float) -> None:
    """A logger's marginal divides: 1e-7 off by 1e-9 would be a weight off by one percent."""
    scores = some_scores(scale, seed=3)
    logw = plackett_luce.log_weights(scores, 1.0, 0.0)
    for row in range(N):
        slate = slates_of(scores[row])
        repeated = np.repeat(logw[row : row + 1], len(slate), axis=0)
        joint = np.exp(plackett_luce.conditional(repeated, slate).prefix().joint)
        marginal = np.exp(plackett_luce.marginal(repeated, slate).logp)
        for k in range(K):
            exact = np.bincount(slate[:, k], weights=joint, minlength=C)[slate[:, k]]
            assert np.abs(marginal[:, k] / exact - 1.0).max() < 1e-4


def test_the_prefix_is_the_running_sum_of_the_conditionals() -> None:
    logw = plackett_luce.log_weights(some_scores(1.0), 1.0, 0.0)
    slate = plackett_luce.top(logw, K)
    conditional = plackett_luce.conditional(logw, slate)
    assert np.array_equal(conditional.prefix().logp[:, 0], conditional.logp[:, 0])
    assert np.allclose(conditional.prefix().joint, conditional.logp.sum(axis=1), rtol=1e-15)


@pytest.mark.parametrize("scale", [20.0, 100.0, 1e4])
@pytest.mark.parametrize("n_candidates", [8, 100])
def test_any_scale_of_scores_is_finite(scale: float, n_candidates: int) -> None:
    """Subtracting what was chosen from the total is not finite for most slates at scale 20; sums from the end are."""
    scores = (scale * np.random.default_rng(1).normal(size=(200, n_candidates))).astype(np.float32)
    logw = plackett_luce.log_weights(scores, 1.0, 0.0)
    keys = hashing.absorb(0, np.arange(200))
    slate = plackett_luce.draw(logw, 5, keys, np.tile(np.arange(n_candidates), (200, 1)))
    unlikely = np.tile(np.argsort(scores[0])[:5].astype(np.int32), (200, 1))
    for each in (slate, unlikely):
        logp = plackett_luce.conditional(logw, each).logp
        assert np.isfinite(logp).all()
        assert (logp <= 0).all()


@pytest.mark.parametrize("scale", [100.0, 3000.0])
def test_marginals_are_probabilities_at_any_scale(scale: float) -> None:
    """Differences of thousands between scores: every sum of a slot's marginals is one, and none is NaN."""
    logw = plackett_luce.log_weights(some_scores(scale, seed=5)[:2], 1.0, 0.0)
    table, error = plackett_luce.marginal_table(logw, K)
    assert np.allclose(table.sum(axis=1), 1.0, atol=C * error + 1e-9)
    slate = plackett_luce.top(logw, K)
    assert np.allclose(np.exp(plackett_luce.marginal(logw, slate).logp), 1.0, atol=1e-6)


def test_temperature_divides_the_scores() -> None:
    scores = some_scores(1.0)
    halved = plackett_luce.log_weights(scores, 2.0, 0.1)
    assert np.allclose(halved, plackett_luce.log_weights((scores / 2).astype(np.float32), 1.0, 0.1), rtol=1e-6)


def test_the_floor_acts_on_the_weights_before_the_draw() -> None:
    """So every candidate has at least floor / n at the first slot, and the law stays Plackett-Luce below it."""
    scores = some_scores(50.0, holes=2)
    logw = plackett_luce.log_weights(scores, 1.0, 0.2)
    here = np.isfinite(scores)
    assert np.exp(logw[here]).min() >= 0.2 / 4 * (1 - 1e-12)
    assert np.isneginf(logw[~here]).all()
    slate = np.array([slates_of(scores[0])[0]])
    logp = plackett_luce.conditional(logw[:1], slate).logp[0]
    left = np.exp(logw[0])
    for k, c in enumerate(slate[0]):
        assert np.isclose(np.exp(logp[k]), left[c] / left.sum(), rtol=1e-12)  # no second floor over what is left
        left[c] = 0.0


def test_the_noise_is_added_to_log_weights_and_not_to_probabilities() -> None:
    """Frequencies of first choices against the softmax: a library in wide use gets .27 .25 .25 .23 here.

    Tolerance: five standard errors of a share over 100,000 draws.
    """
    share = np.array([0.333, 0.229, 0.269, 0.169])
    n = 100_000
    logw = np.tile(plackett_luce.log_weights(np.log(share)[None].astype(np.float32), 1.0, 0.0), (n, 1))
    drawn = plackett_luce.draw(logw, 1, hashing.absorb(7, np.arange(n)), np.tile(np.arange(4), (n, 1)))
    frequency = np.bincount(drawn[:, 0], minlength=4) / n
    assert (np.abs(frequency - share) < 5 * np.sqrt(share * (1 - share) / n)).all()


def test_ties_are_broken_by_luck_where_the_policy_is_stochastic() -> None:
    """Equal scores: every candidate is first in a sixth of the draws, within five standard errors."""
    n = 30_000
    logw = plackett_luce.log_weights(np.zeros((n, C), dtype=np.float32), 0.01, 0.0)
    drawn = plackett_luce.draw(logw, K, hashing.absorb(3, np.arange(n)), np.tile(np.arange(C), (n, 1)))
    share = np.bincount(drawn[:, 0], minlength=C) / n
    assert np.abs(share - 1 / C).max() < 5 * np.sqrt(1 / C * (1 - 1 / C) / n)


def test_luck_follows_the_name_of_a_candidate_and_not_its_place() -> None:
    rng = np.random.default_rng(0)
    scores, names = some_scores(1.0, holes=1), np.argsort(rng.random((N, 50)), axis=1)[:, :C]
    order = np.argsort(rng.random((N, C)), axis=1)
    keys = hashing.absorb(5, np.arange(N))
    logw = plackett_luce.log_weights(scores, 1.0, 0.05)
    slate = plackett_luce.draw(logw, K, keys, names)
    turned = plackett_luce.draw(
        np.take_along_axis(logw, order, axis=1), K, keys, np.take_along_axis(names, order, axis=1)
    )
    shown = np.take_along_axis(names, slate.astype(np.int64), axis=1)
    assert np.array_equal(shown, np.take_along_axis(np.take_along_axis(names, order, axis=1), turned, axis=1))
    wider = np.concatenate([logw, np.full((N, 3), -np.inf)], axis=1)
    wide_names = np.concatenate([names, np.full((N, 3), -1)], axis=1)
    assert np.array_equal(slate, plackett_luce.draw(wider, K, keys, wide_names))


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.sampled_from(
        [-np.inf, -2.0, 0.0, 0.5, 3.0])),
    st.integers(1, 6),
)  # fmt: skip
def test_the_best_k_are_those_of_a_full_stable_sort(scores: npt.NDArray[np.float32], n_slots: int) -> None:
    """Many ties, holes, and fewer candidates than slots."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n_slots]
    expected = np.full((len(scores), n_slots), -1)
    expected[:, : order.shape[1]] = np.where(np.isneginf(np.take_along_axis(scores, order, axis=1)), -1, order)
    found = plackett_luce.top(scores, n_slots)
    assert found.dtype == np.int32
    assert np.array_equal(found, expected)


def test_a_slate_with_a_hole_is_impossible_and_so_is_all_below_it() -> None:
    scores = np.array([[1.0, -np.inf, 0.0, 2.0]], dtype=np.float32)
    logw = plackett_luce.log_weights(scores, 1.0, 0.1)
    slate = np.array([[0, 1, 2]], dtype=np.int32)
    conditional = plackett_luce.conditional(logw, slate)
    assert np.isfinite(conditional.logp[0, 0])
    assert np.isneginf(conditional.logp[0, 1])
    assert np.isneginf(conditional.prefix().joint[0])
    assert np.isneginf(plackett_luce.marginal(logw, slate).logp[0, 1])


def test_marginals_do_not_depend_on_the_other_rows() -> None:
    """The quadrature shares its nodes among 128 rows; a sharp row beside a flat one costs neither its digits."""
    flat, sharp = some_scores(0.1), some_scores(100.0)
    mixed = plackett_luce.log_weights(np.concatenate([flat, sharp]), 1.0, 0.001)
    slate = plackett_luce.top(mixed, K)
    together = plackett_luce.marginal(mixed, slate)
    alone = [plackett_luce.marginal(mixed[row : row + 1], slate[row : row + 1]) for row in range(2 * N)]
    for row, each in enumerate(alone):
        assert np.allclose(np.exp(together.logp[row]), np.exp(each.logp[0]), atol=together.error + each.error + 1e-14)


def test_a_ranking_that_repeats_an_item_is_never_shown() -> None:
    """And what stands above the repetition has the log-probability that it has in any slate."""
    logw = plackett_luce.log_weights(np.random.default_rng(0).normal(size=(1, 5)), 0.7, 0.05)
    said = plackett_luce.conditional(logw, np.array([[2, 0, 2, 1]], dtype=np.int32)).logp[0]
    sound = plackett_luce.conditional(logw, np.array([[2, 0, 3, 1]], dtype=np.int32)).logp[0]
    assert np.allclose(said[:2], sound[:2], rtol=0.0, atol=1e-14)
    assert said[2] == -np.inf
    padded = plackett_luce.conditional(logw, np.array([[2, -1, -1]], dtype=np.int32)).logp[0]
    assert padded.tolist() == [said[0], 0.0, 0.0]  # empty slots are no repetition


def test_the_chance_of_standing_anywhere_is_that_of_all_slates() -> None:
    logw = plackett_luce.log_weights(np.random.default_rng(1).normal(size=(1, 5)), 0.7, 0.05)
    slates = np.array(list(permutations(range(5), 3)), dtype=np.int32)
    repeated = np.repeat(logw, len(slates), axis=0)
    joint = np.exp(plackett_luce.conditional(repeated, slates).prefix().joint)
    exact = np.array([[joint[(slates == item).any(axis=1)].sum() for item in slate] for slate in slates])
    # Three integrals of stated error 1e-11 each, and the rule's own convergence.
    assert np.allclose(plackett_luce.inclusion(repeated, slates), exact, rtol=0.0, atol=1e-9)
