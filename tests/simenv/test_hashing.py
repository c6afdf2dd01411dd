"""Hashed draws are as good as those of a generator, and depend on their name alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simenv import hashing

N = 100_000
KEYS = hashing.absorb(hashing.stream(3, "test"), np.arange(N))


def chi_square(u: np.ndarray, n_cells: int) -> float:
    count = np.bincount((u * n_cells).astype(int), minlength=n_cells)
    return float(((count - len(u) / n_cells) ** 2 / (len(u) / n_cells)).sum())


@pytest.mark.parametrize("keys", [KEYS, hashing.absorb(KEYS[0], np.arange(N)), hashing.absorb(KEYS, 0)], ids=str)
def test_uniforms_are_uniform(keys: hashing.Keys) -> None:
    """Chi-square with 99 degrees of freedom stays below 180, its 1 - 1e-6 quantile; so for the low bits."""
    u = hashing.uniform(keys)
    assert chi_square(u, 100) < 180
    assert chi_square((u * 2**20) % 1.0, 100) < 180
    assert u.min() >= 0
    assert u.max() < 1


def test_neighbouring_names_are_independent() -> None:
    """Correlations within 5 / sqrt(N) of zero, and 100 joint cells as even as chance makes them."""
    u = hashing.uniform(KEYS)
    follower = hashing.uniform(hashing.absorb(KEYS, 1))
    other = hashing.uniform(hashing.absorb(KEYS, 2))
    for a, b in [(u[1:], u[:-1]), (u, follower), (follower, other), (follower[1:], other[:-1])]:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(N)
        assert chi_square(((a * 10).astype(int) + b) / 10, 100) < 180


def test_seeds_and_stream_names_give_different_draws() -> None:
    roots = {hashing.stream(seed, name) for seed in range(-50, 50) for name in ("", "a", "b", "ab", "ba", "click")}
    assert len(roots) == 600
    u = [hashing.uniform(hashing.absorb(hashing.stream(seed, "x"), np.arange(N))) for seed in (0, 1)]
    assert abs(np.corrcoef(u[0], u[1])[0, 1]) < 5 / np.sqrt(N)


def test_no_two_of_a_million_keys_are_equal() -> None:
    """The chance of any collision among a million 64-bit keys is 3e-8."""
    keys = hashing.absorb(KEYS[:1000, None], np.arange(1000))
    assert len(np.unique(keys)) == 1_000_000


def test_normals_have_the_moments_of_a_standard_normal() -> None:
    """Mean, variance, skew and kurtosis within five standard errors: 1, 2, 6 and 24 over N."""
    z = hashing.normal(KEYS)
    for power, expected, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((z**power).mean() - expected) < 5 * np.sqrt(variance / N)
    assert np.abs(z).max() < 6


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**31 - 1))
def test_integers_stay_below_their_bound(key: int, n: int) -> None:
    drawn = hashing.integers(hashing.absorb(key, np.arange(4)), n)
    assert ((drawn >= 0) & (drawn < n)).all()


def test_integers_stay_below_their_bound_for_the_largest_key() -> None:
    top = np.full(1, 2**64 - 1, dtype=np.uint64)
    for n in (1, 2, 3, 10, 2**20 + 1, 2**31 - 1, 2**40 + 1):
        assert hashing.integers(top, n)[0] == n - 1
    assert hashing.uniform_open(top)[0] < 1
    assert hashing.uniform_open(np.zeros(1, dtype=np.uint64))[0] > 0


@given(st.integers(-(2**63), 2**64 - 1), st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_a_key_depends_on_its_own_name_alone(seed: int, names: list[int]) -> None:
    root = hashing.stream(seed, "x")
    together = hashing.absorb(root, np.array(names))
    alone = [int(hashing.absorb(root, name)) for name in names]
    assert together.tolist() == alone
    assert hashing.absorb(together[:, None], np.arange(3))[0, 2] == hashing.absorb(alone[0], 2)


def test_keys_are_the_published_splitmix64_sequence() -> None:
    """The first outputs of splitmix64 from state 0 (Steele, Lea and Flood; as in Java's SplittableRandom)."""
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert hashing.absorb(0, np.arange(3)).tolist() == expected


def test_absorbing_leaves_its_inputs_alone() -> None:
    keys, names = KEYS[:5].copy(), np.arange(5)
    before = keys.copy(), names.copy()
    hashing.absorb(keys, names)
    assert np.array_equal(keys, before[0])
    assert np.array_equal(names, before[1])
