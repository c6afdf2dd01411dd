"""Pseudoinverse weights against their definition, and against the mistake that makes all targets equal."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from offpolicy.slates.every_slate import MAX_SLATES, slate_chances
from offpolicy.slates.pseudoinverse import moment_weights, plackett_luce_weights, uniform_weights
from simenv.errors import UserError

RNG = np.random.default_rng(0)


def slates_of(m: int, depth: int) -> np.ndarray:
    return np.array(list(permutations(range(m), depth)))


@pytest.mark.parametrize(("m", "depth"), [(1, 1), (4, 1), (4, 2), (5, 3), (4, 4), (2, 2)])
def test_the_closed_form_of_uniform_loggers_is_the_pseudoinverse(m: int, depth: int) -> None:
    slates = slates_of(m, depth)
    target = RNG.dirichlet(np.ones(len(slates)), 3)  # any policy over slates, Plackett-Luce or not
    exact = moment_weights(np.full((3, len(slates)), 1.0 / len(slates)), target, slates, m)
    same_slot = (slates[:, None] == slates[None]).astype(np.float64)  # (S, S, l)
    anywhere = (slates[:, None, :, None] == slates[None, :, None, :]).any(axis=3).astype(np.float64)
    for row in range(3):
        made = uniform_weights(
            np.full(len(slates), m),
            np.full(len(slates), depth),
            np.einsum("t,stk->sk", target[row], same_slot),
            np.einsum("t,stk->sk", target[row], anywhere),
        )
        assert np.allclose(made, exact[row], rtol=0.0, atol=1e-10)
        assert made.mean() == pytest.approx(1.0, abs=1e-12)


def test_empty_slots_and_empty_pages_weigh_what_the_shown_items_do() -> None:
    """Two candidates for three slots are a page of two slots; a page without candidates was the same under anybody."""
    whole = uniform_weights(np.array([2]), np.array([2]), np.array([[0.7, 0.7]]), np.array([[1.0, 1.0]]))
    short = uniform_weights(
        np.array([2, 0]), np.array([2, 0]), np.array([[0.7, 0.7, 1.0]] * 2), np.array([[1.0, 1.0, 1.0]] * 2)
    )
    assert short.tolist() == [whole[0], 1.0]
    assert whole[0] == pytest.approx(1.4)  # joint weights are .7 / .5


def test_plackett_luce_weights_are_the_definition_with_holes_and_empty_slots() -> None:
    logger, target = np.exp(RNG.normal(size=(4, 5))), np.exp(RNG.normal(size=(4, 5)))
    logger[1, 2] = target[1, 2] = 0.0  # a hole among five
    logger[2, 1:4] = target[2, 1:4] = 0.0  # two candidates for three slots
    slate = np.array([[4, 0, 2], [3, 4, 0], [4, 0, -1], [0, 1, 2]], dtype=np.int32)
    made = plackett_luce_weights(logger, target, slate)
    for row, (here, depth) in enumerate([(range(5), 3), ([0, 1, 3, 4], 3), ([0, 4], 2), (range(5), 3)]):
        slates = slates_of(len(here), depth)
        p, q = (slate_chances(weight[row : row + 1, list(here)], slates) for weight in (logger, target))
        shown = np.array([[[s[k] == a for a in range(len(here))] for k in range(depth)] for s in slates], dtype=float)
        flat = shown.reshape(len(slates), -1)
        gamma = sum(chance * np.outer(one, one) for chance, one in zip(p[0], flat, strict=True))
        z = np.linalg.lstsq(gamma, q[0] @ flat, rcond=1e-12)[0]
        logged = [list(here).index(a) for a in slate[row] if a >= 0]
        assert made[row] == pytest.approx(float(flat[(slates == logged).all(axis=1)][0] @ z), abs=1e-8)


def test_a_uniform_plackett_luce_logger_needs_no_enumeration_and_agrees_with_it() -> None:
    target = np.exp(RNG.normal(size=(1, 5)))
    slates = slates_of(5, 3)
    q = slate_chances(target, slates)[0]
    slate = slates[17]
    at_slot = np.array([q[slates[:, k] == slate[k]].sum() for k in range(3)])
    anywhere = np.array([q[(slates == a).any(axis=1)].sum() for a in slate])
    closed = uniform_weights(np.array([5]), np.array([3]), at_slot[None], anywhere[None])
    assert plackett_luce_weights(np.ones((1, 5)), target, slate[None]) == pytest.approx(closed, abs=1e-10)


def test_the_product_of_marginals_in_place_of_pairs_would_give_every_target_the_loggers_value() -> None:
    slates = slates_of(4, 2)
    p, q = np.full(12, 1.0 / 12.0), RNG.dirichlet(np.ones(12))
    shown = np.zeros((12, 8))
    shown[np.arange(12)[:, None], slates + 4 * np.arange(2)] = 1.0
    theta = p @ shown
    wrong = (q @ shown) @ np.linalg.pinv(np.outer(theta, theta)) @ shown.T
    right = moment_weights(p[None], q[None], slates, 4)[0]
    assert np.allclose(wrong, 1.0)
    assert np.abs(right - 1.0).max() > 0.5


def test_pages_with_too_many_slates_are_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match=f"has 1,320, expected at most {MAX_SLATES:,}. Log uniformly"):
        plackett_luce_weights(np.ones((1, 12)), np.ones((1, 12)), np.array([[0, 1, 2]]))
