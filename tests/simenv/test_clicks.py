"""Click models agree with enumeration of everything that can happen on a page."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simenv.clicks import (
    CLICK_MODELS,
    Appeal,
    Cascade,
    ClickModel,
    DependentClick,
    DynamicBayesian,
    MultinomialLogit,
    PositionBased,
    ProportionalChoice,
    SimplifiedDynamicBayesian,
    TrustBias,
    UserBrowsing,
    check_click_model,
)

chances = st.floats(0.0, 1.0)
appeals = st.lists(st.tuples(chances, chances), min_size=1, max_size=5)
Chances = dict[tuple[bool, ...], float]
On = Callable[[int, bool], float]  # chance to go on from a slot, without and after a click


def patterns(n_slots: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=n_slots)))


def appeal_of(pairs: list[tuple[float, float]], n_rows: int = 1) -> Appeal:
    attraction, satisfaction = np.array(pairs).T
    return Appeal(np.tile(attraction, (n_rows, 1)), np.tile(satisfaction, (n_rows, 1)))


def random_appeal(n_rows: int, n_slots: int, seed: int = 0) -> Appeal:
    rng = np.random.default_rng(seed)
    return Appeal(rng.random((n_rows, n_slots)), rng.random((n_rows, n_slots)))


def assert_distribution(model: ClickModel, pairs: list[tuple[float, float]], expected: Chances) -> None:
    """log_prob gives the expected chance of every pattern, and click_probability is their marginal."""
    every = patterns(len(pairs))
    got = np.exp(model.log_prob(appeal_of(pairs, len(every)), every))
    np.testing.assert_allclose(got, [expected[tuple(pattern)] for pattern in every.tolist()], atol=1e-12)
    marginal = (got[:, None] * every).sum(axis=0)
    np.testing.assert_allclose(model.click_probability(appeal_of(pairs))[0], marginal, atol=1e-12)


def coins(p: list[float]) -> Chances:
    every = patterns(len(p))
    return {tuple(row): float(np.prod(np.where(row, p, np.subtract(1.0, p)))) for row in every.tolist()}


def walks(pairs: list[tuple[float, float]], on: On) -> Chances:
    """Every walk down the page is followed: clicked or not, then on or not."""
    expected = dict.fromkeys(map(tuple, patterns(len(pairs)).tolist()), 0.0)

    def walk(slot: int, before: tuple[bool, ...], chance: float) -> None:
        for clicked, p in ((True, pairs[slot][0]), (False, 1.0 - pairs[slot][0])):
            pattern, reached = (*before, clicked), chance * p
            goes = on(slot, clicked) if slot + 1 < len(pairs) else 0.0
            expected[pattern + (False,) * (len(pairs) - slot - 1)] += reached * (1.0 - goes)
            if slot + 1 < len(pairs):
                walk(slot + 1, pattern, reached * goes)

    walk(0, (), 1.0)
    return expected


@pytest.mark.parametrize("name", CLICK_MODELS)
def test_every_registered_model_keeps_the_contract(name: str) -> None:
    for n_slots in (1, 2, 4):
        check_click_model(CLICK_MODELS[name](n_slots), n_draws=50_000, n_slots=n_slots)


@pytest.mark.parametrize("name", CLICK_MODELS)
def test_every_registered_model_is_a_value_with_its_own_name(name: str) -> None:
    model = CLICK_MODELS[name](6)
    assert model.name == name
    assert model == CLICK_MODELS[name](6)
    assert pickle.loads(pickle.dumps(model)) == model
    assert name in repr(model)


@pytest.mark.parametrize("name", CLICK_MODELS)
def test_every_model_says_the_weakest_propensities_that_identify_it(name: str) -> None:
    """The contract refuses a claim that is too strong; here, that none is weaker than it could be."""
    model, appeal = CLICK_MODELS[name](4), random_appeal(1, 4)
    plain = model.click_probability(appeal)[0]
    top, bottom = (appeal.attraction.copy() for _ in range(2))
    top[:, 0] = bottom[:, 3] = 0.123
    from_above = abs(model.click_probability(dataclasses.replace(appeal, attraction=top))[0] - plain)[1:].max()
    from_below = abs(model.click_probability(dataclasses.replace(appeal, attraction=bottom))[0] - plain)[:3].max()
    assert model.identified_by == (
        "joint" if from_below > 1e-12 else "prefix" if from_above > 1e-12 else "item-position"
    )


@pytest.mark.parametrize("name", CLICK_MODELS)
def test_single_precision_appeal_gives_probabilities(name: str) -> None:
    appeal = random_appeal(500, 3)
    single = Appeal(appeal.attraction.astype(np.float32), appeal.satisfaction.astype(np.float32))
    p = CLICK_MODELS[name](3).click_probability(single)
    assert ((p >= 0) & (p <= 1)).all()


@given(appeals, chances)
def test_a_position_based_page_is_independent_coins(pairs: list[tuple[float, float]], steepness: float) -> None:
    examination = tuple((k + 1.0) ** -steepness for k in range(len(pairs)))
    expected = coins([a * look for (a, _), look in zip(pairs, examination, strict=True)])
    assert_distribution(PositionBased(examination), pairs, expected)


def test_a_position_based_page_in_single_precision_keeps_its_bytes() -> None:
    """The definition written out; the worlds built on it have logs whose numbers must not move."""
    rng = np.random.default_rng(0)
    attraction = rng.random((4_000, 5)).astype(np.float32)
    u_examine, u_item = rng.random((4_000, 5)), rng.random((4_000, 5))
    curve = (1.0, 0.6156, 0.4635, 0.3789, 0.3241)
    examined, clicked = PositionBased(curve).sample(Appeal(attraction, attraction), u_examine, u_item)
    assert np.array_equal(examined, u_examine < np.asarray(curve, dtype=np.float32))
    assert np.array_equal(clicked, examined & (u_item < attraction))
    p = PositionBased(curve).click_probability(Appeal(attraction, attraction))
    assert p.tobytes() == (attraction * np.asarray(curve, dtype=np.float32)).tobytes()


@given(appeals, chances, chances)
def test_trust_bias_is_coins_of_perceived_attraction(
    pairs: list[tuple[float, float]], epsilon_plus: float, epsilon_minus: float
) -> None:
    examination = tuple(0.9**k for k in range(len(pairs)))
    perceived = [epsilon_plus * a + epsilon_minus * (1 - a) if a > 0 else 0.0 for a, _ in pairs]
    model = TrustBias(examination, (epsilon_plus,) * len(pairs), (epsilon_minus,) * len(pairs))
    assert_distribution(model, pairs, coins([p * look for p, look in zip(perceived, examination, strict=True)]))


@given(appeals, chances)
def test_a_cascade_is_the_walk_that_its_docstring_tells(pairs: list[tuple[float, float]], continuation: float) -> None:
    assert_distribution(
        Cascade(continuation), pairs, walks(pairs, lambda slot, clicked: 0.0 if clicked else continuation)
    )


@given(appeals, st.lists(chances, min_size=5, max_size=5))
def test_dependent_clicks_are_the_walk_that_their_docstring_tells(
    pairs: list[tuple[float, float]], continuation: list[float]
) -> None:
    expected = walks(pairs, lambda slot, clicked: continuation[slot] if clicked else 1.0)
    assert_distribution(DependentClick(tuple(continuation)), pairs, expected)


@given(appeals, chances)
def test_a_dynamic_bayesian_network_is_the_walk_that_its_docstring_tells(
    pairs: list[tuple[float, float]], continuation: float
) -> None:
    expected = walks(pairs, lambda slot, clicked: continuation * (1 - pairs[slot][1] if clicked else 1.0))
    assert_distribution(DynamicBayesian(continuation), pairs, expected)


@given(appeals)
def test_a_simplified_network_is_one_whose_shopper_never_tires(pairs: list[tuple[float, float]]) -> None:
    expected = walks(pairs, lambda slot, clicked: 1 - pairs[slot][1] if clicked else 1.0)
    assert_distribution(SimplifiedDynamicBayesian(), pairs, expected)


@given(appeals, st.lists(chances, min_size=15, max_size=15))
def test_user_browsing_is_coins_that_know_the_last_click(
    pairs: list[tuple[float, float]], numbers: list[float]
) -> None:
    table = tuple(tuple(numbers[k * (k + 1) // 2 :][: k + 1]) for k in range(len(pairs)))
    expected = {}
    for pattern in map(tuple, patterns(len(pairs)).tolist()):
        chance, last = 1.0, -1
        for k, clicked in enumerate(pattern):
            p = table[k][k - last - 1] * pairs[k][0]
            chance *= p if clicked else 1.0 - p
            last = k if clicked else last
        expected[pattern] = chance
    assert_distribution(UserBrowsing(table), pairs, expected)


@given(appeals, st.floats(0.01, 10.0), st.booleans())
def test_a_choice_is_one_share_of_the_weights(pairs: list[tuple[float, float]], no_click: float, logit: bool) -> None:
    """An attraction of 1 has infinite odds: it is then chosen for sure, up to the bound that keeps odds finite."""
    prominence = tuple(0.8**k for k in range(len(pairs)))
    pairs = [(min(a, 0.999), s) for a, s in pairs]
    weights = np.array([a / (1 - a) if logit else a for a, _ in pairs]) * prominence
    share = weights / (no_click + weights.sum())
    expected = dict.fromkeys(map(tuple, patterns(len(pairs)).tolist()), 0.0)
    expected[(False,) * len(pairs)] = float(no_click / (no_click + weights.sum()))
    for k in range(len(pairs)):
        expected[tuple(j == k for j in range(len(pairs)))] = float(share[k])
    model = MultinomialLogit(no_click, prominence) if logit else ProportionalChoice(no_click, prominence)
    assert_distribution(model, pairs, expected)


def test_alone_on_the_page_a_logit_clicks_with_the_attraction() -> None:
    attraction = np.array([[0.0], [0.3], [0.999]])
    np.testing.assert_allclose(MultinomialLogit().click_probability(Appeal(attraction, attraction)), attraction)


def test_an_irresistible_item_is_chosen_for_sure() -> None:
    appeal = Appeal(np.array([[1.0, 0.5]], dtype=np.float32), np.zeros((1, 2)))
    np.testing.assert_allclose(MultinomialLogit().click_probability(appeal), [[1.0, 0.0]], atol=1e-11)
    draws = np.random.default_rng(0).random((2, 1_000, 2))
    many = Appeal(np.repeat(appeal.attraction, 1_000, axis=0), np.zeros((1_000, 2)))
    assert MultinomialLogit().sample(many, draws[0], draws[1])[1][:, 0].all()


@pytest.mark.parametrize(
    ("special", "general"),
    [
        (Cascade(0.8), DynamicBayesian(0.8)),
        (Cascade(1.0), DependentClick((0.0,) * 5)),
        (SimplifiedDynamicBayesian(), DynamicBayesian(1.0)),
        (PositionBased((1.0, 0.8, 0.5, 0.4, 0.1)), TrustBias((1.0, 0.8, 0.5, 0.4, 0.1), (1.0,) * 5, (0.0,) * 5)),
        (
            PositionBased((1.0, 0.8, 0.5, 0.4, 0.1)),
            UserBrowsing(tuple((look,) * (k + 1) for k, look in enumerate((1.0, 0.8, 0.5, 0.4, 0.1)))),
        ),
    ],
    ids=lambda model: model.name,
)
def test_models_that_contain_another_draw_what_it_draws(special: ClickModel, general: ClickModel) -> None:
    """With the same luck, where every item that is clicked satisfies."""
    appeal = dataclasses.replace(random_appeal(3_000, 5), satisfaction=np.ones((3_000, 5)))
    draws = np.random.default_rng(1).random((2, 3_000, 5))
    for mine, theirs in zip(special.sample(appeal, *draws), general.sample(appeal, *draws), strict=True):
        assert np.array_equal(mine, theirs)
    np.testing.assert_allclose(special.click_probability(appeal), general.click_probability(appeal), atol=1e-14)


@given(appeals, st.integers(0, 2**32 - 1))
def test_a_cascade_reads_from_the_top_and_stops_at_its_click(pairs: list[tuple[float, float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    appeal = appeal_of(pairs, 50)
    shape = appeal.attraction.shape
    examined, clicked = Cascade(0.9).sample(appeal, rng.random(shape), rng.random(shape))
    assert (clicked.sum(axis=1) <= 1).all()
    assert (examined[:, 1:] <= examined[:, :-1]).all()
    assert not (clicked[:, :-1] & examined[:, 1:]).any()
    assert examined[:, 0].all()


def test_with_the_same_luck_more_satisfaction_never_adds_a_click() -> None:
    appeal, draws = random_appeal(5_000, 6), np.random.default_rng(2).random((2, 5_000, 6))
    less = DynamicBayesian(0.9).sample(dataclasses.replace(appeal, satisfaction=appeal.satisfaction / 2), *draws)[1]
    more = DynamicBayesian(0.9).sample(appeal, *draws)[1]
    assert (more <= less).all()
    assert more.sum() < less.sum()


def test_with_the_same_luck_a_choice_moves_only_to_an_item_that_became_more_attractive() -> None:
    """Every item runs its own race: making the last slot better takes clicks to it and moves none between the rest."""
    appeal, draws = random_appeal(5_000, 4), np.random.default_rng(3).random((2, 5_000, 4))
    better = appeal.attraction.copy()
    better[:, 3] += 0.5 * (1 - better[:, 3])
    before = MultinomialLogit().sample(appeal, *draws)[1]
    after = MultinomialLogit().sample(dataclasses.replace(appeal, attraction=better), *draws)[1]
    moved = (before != after).any(axis=1)
    assert moved.any()
    assert after[moved, 3].all()


@pytest.mark.parametrize("model", [Cascade(), MultinomialLogit(), ProportionalChoice()], ids=lambda model: model.name)
def test_two_clicks_are_impossible_where_one_ends_the_page(model: ClickModel) -> None:
    assert model.log_prob(Appeal(np.array([[0.5, 0.5]]), np.ones((1, 2))), np.array([[True, True]]))[0] == -np.inf


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PositionBased((1.0, 1.3)), r"examination is 1.3 at slot 2; expected a probability"),
        (lambda: TrustBias((1.0,), (0.9,), (-0.1,)), "epsilon_minus is -0.1"),
        (lambda: Cascade(2.0), "continuation is 2.0"),
        (lambda: DependentClick((float("nan"),)), "continuation is nan"),
        (lambda: DynamicBayesian(-1.0), "continuation is -1.0"),
        (lambda: UserBrowsing(((1.0,), (0.5,))), "examination has 1 numbers in row 2; expected 2"),
        (lambda: UserBrowsing(((1.5,),)), "examination in row 1 is 1.5"),
        (lambda: MultinomialLogit(no_click=0.0), "no_click is 0.0; expected a positive weight"),
        (lambda: ProportionalChoice(prominence=(1.0, -1.0)), "prominence is -1.0 at slot 2"),
    ],
)
def test_numbers_that_are_no_probabilities_are_refused(make: Callable[[], ClickModel], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("name", ["position-based", "trust-bias", "dependent-click", "user-browsing", "proportional"])
def test_a_page_longer_than_what_is_given_for_its_slots_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"the slate has 3 slots and .* is given for 2"):
        CLICK_MODELS[name](2).click_probability(random_appeal(1, 3))
