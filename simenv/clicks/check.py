"""The contract of click models, as a function for people who add their own."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from simenv.clicks.model import Appeal, Bools, ClickModel, Floats

ATTRACTION = (0.7, 0.2, 0.0, 0.9)
SATISFACTION = (0.5, 0.9, 0.3, 0.2)
EMPTY = 2
ROUNDING = 1e-12  # of double precision over a handful of factors


def check_click_model(model: ClickModel, n_draws: int = 200_000, seed: int = 0, n_slots: int = 4) -> None:
    """Prove a click model against enumeration and against its own samples.

    On a small slate: the probabilities of all 2**K patterns sum to one; the slot probabilities are the marginals of
    those patterns; sampled patterns agree with them within five standard errors; an empty slot is never clicked; a
    click happens where somebody looked; what satisfies was clicked and is the last that
    is examined. The propensities that the model says identify it do: a click does not depend
    on items that they ignore. The same draws give the same clicks, single precision will do, and inputs are left alone.

    Args:
        model: The model, for at least `n_slots` slots.
        n_draws: Pages sampled.
        seed: Of the uniforms.
        n_slots: Size of the slate, from 1 to 4.

    Raises:
        AssertionError: naming the property that fails.
    """
    appeal = _appeal(ATTRACTION[:n_slots], SATISFACTION[:n_slots])
    patterns = np.array(list(itertools.product([False, True], repeat=n_slots)))
    p = np.exp(model.log_prob(_repeat(appeal, len(patterns)), patterns))
    assert abs(p.sum() - 1.0) < ROUNDING, f"{model.name}: pattern probabilities sum to {p.sum()}"
    marginal = (p[:, None] * patterns).sum(axis=0)
    assert np.allclose(marginal, model.click_probability(appeal)[0], atol=ROUNDING), (
        f"{model.name}: slot probabilities differ from enumeration"
    )
    _check_samples(model, appeal, p, n_draws, seed)
    _check_identification(model, appeal)
    single = Appeal(appeal.attraction.astype(np.float32), appeal.satisfaction.astype(np.float32))
    assert np.allclose(model.click_probability(single)[0], marginal, atol=1e-6), (
        f"{model.name}: single precision gives other slot probabilities"
    )


def _check_samples(model: ClickModel, appeal: Appeal, p: npt.NDArray[np.floating], n_draws: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_slots = appeal.attraction.shape[1]
    many, u_examine, u_item = _repeat(appeal, n_draws), rng.random((n_draws, n_slots)), rng.random((n_draws, n_slots))
    before = [each.copy() for each in (many.attraction, many.satisfaction, u_examine, u_item)]
    examined, clicks = model.sample(many, u_examine, u_item)
    assert not (clicks & ~examined).any(), f"{model.name}: a slot was clicked but not examined"
    assert not clicks[:, EMPTY : EMPTY + 1].any(), f"{model.name}: an empty slot was clicked"
    frequency = np.bincount(_number(clicks), minlength=len(p)) / n_draws
    error = 5.0 * np.sqrt(p * (1.0 - p).clip(0.0) / n_draws) + ROUNDING
    assert (np.abs(frequency - p) <= error).all(), f"{model.name}: samples disagree with log_prob"
    _check_satisfied(model, many, u_examine, u_item)
    again = model.sample(many, u_examine, u_item)
    assert np.array_equal(again[0], examined), f"{model.name}: the same draws give other examined slots"
    assert np.array_equal(again[1], clicks), f"{model.name}: the same draws give other clicks"
    after = (many.attraction, many.satisfaction, u_examine, u_item)
    assert all(map(np.array_equal, before, after)), f"{model.name}: sampling changed its inputs"


def _check_satisfied(model: ClickModel, appeal: Appeal, u_examine: Floats, u_item: Floats) -> None:
    """Who is satisfied has clicked, and looks no further."""
    examined, clicked = model.sample(appeal, u_examine, u_item)
    satisfied = model.satisfied(appeal, u_examine, u_item, clicked)
    if satisfied is None:
        return
    assert not (satisfied & ~clicked).any(), f"{model.name}: a slot satisfied that was not clicked"
    before = np.cumsum(satisfied, axis=1) - satisfied > 0
    assert not (examined & before).any(), f"{model.name}: a slot was examined below one that satisfied"


def _check_identification(model: ClickModel, appeal: Appeal) -> None:
    """Change one item at a time and see where the slot probabilities move."""
    n_slots = appeal.attraction.shape[1]
    plain = model.click_probability(appeal)[0]
    for changed in range(n_slots):
        attraction, satisfaction = appeal.attraction.copy(), appeal.satisfaction.copy()
        attraction[:, changed], satisfaction[:, changed] = 0.45, 0.75
        moved = np.abs(model.click_probability(Appeal(attraction, satisfaction))[0] - plain) > ROUNDING
        below, above = moved[changed + 1 :].any(), moved[:changed].any()
        assert not above or model.identified_by == "joint", (
            f"{model.name}: says that {model.identified_by} weights identify it, but a click depends on items below"
        )
        assert not below or model.identified_by != "item-position", (
            f"{model.name}: says that item-position weights identify it, but a click depends on items above"
        )


def _appeal(attraction: tuple[float, ...], satisfaction: tuple[float, ...]) -> Appeal:
    return Appeal(np.array([attraction]), np.array([satisfaction]))


def _repeat(appeal: Appeal, n: int) -> Appeal:
    return Appeal(np.repeat(appeal.attraction, n, axis=0), np.repeat(appeal.satisfaction, n, axis=0))


def _number(clicks: Bools) -> npt.NDArray[np.int64]:
    """A pattern as a number, the first slot its highest bit."""
    return clicks @ (1 << np.arange(clicks.shape[1] - 1, -1, -1))
