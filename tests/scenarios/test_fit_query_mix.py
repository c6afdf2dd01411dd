"""The query mix of a log, and how much its items differ: found again where they are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from policies.registry import named_policy
from scenarios.fitting.aim import shrunk_covariance
from scenarios.fitting.items import PairSums, pair_sums
from scenarios.fitting.knobs import setting, with_setting
from scenarios.fitting.query_mix import design_effect, fit_query_mix, read_counts, readings
from scenarios.fitting.seen import Seen, seen_in_simulation
from simenv.errors import UserError
from simenv.invented import FAVOURITE, category_shares
from simenv.language import load_lexicon
from simenv.params import Queries, WorldParams
from simenv.world import make_world
from simenv.worlds import WORLDS

TINY = WORLDS["tiny"]
N_CATEGORIES = len(load_lexicon().categories)


def seen_of(params: WorldParams, n_shoppers: int, seed: int = 5) -> Seen:
    world = make_world(params)
    return seen_in_simulation(world, named_policy("uniform", world.catalogue.public()), seed, n_shoppers)


def with_mix(share: np.ndarray) -> WorldParams:
    return dataclasses.replace(TINY, queries=dataclasses.replace(TINY.queries, category_share=tuple(share.tolist())))


def test_a_planted_mix_lies_in_its_intervals() -> None:
    """The default mix turned round: what is rare there is the head here, so the prior pulls the wrong way.

    Of 64 sound 95% intervals more than nine miss with a chance of 0.3%; the prior's pull, one query a category of some
    2,800 effective ones, is a fifth of the standard error of a share of one in a hundred.
    """
    planted = category_shares(Queries(), load_lexicon())[::-1].copy()
    planted /= planted.sum()
    mix = fit_query_mix(seen_of(with_mix(planted), 2_000), load_lexicon(), 0)
    assert mix is not None
    assert np.isclose(mix.share.sum(), 1.0)
    low, high = np.quantile(mix.drawn, [0.025, 0.975], axis=0)
    missed = (planted < low) | (planted > high)
    assert missed.sum() <= 9, np.flatnonzero(missed)
    assert low[-1] <= planted[-1] <= high[-1]  # the head itself


def test_a_short_log_is_drawn_toward_the_default_mix_and_a_bare_one_says_nothing() -> None:
    planted = np.zeros(N_CATEGORIES)
    planted[-3:] = 1.0 / 3.0
    prior = category_shares(Queries(), load_lexicon())
    distances = []
    for n in (120, 1_500):
        mix = fit_query_mix(seen_of(with_mix(planted), n), load_lexicon(), 0)
        assert mix is not None
        distances.append(0.5 * np.abs(mix.share - planted).sum())
    assert distances[1] < 0.5 * distances[0] < 0.5 * 0.5 * np.abs(prior - planted).sum()
    assert fit_query_mix(seen_of(with_mix(planted), 30), load_lexicon(), 0) is None


def test_what_a_dictionary_reads_is_what_the_reading_matrix_says() -> None:
    """Most look for running shoes and smartwatches, which are called by ambiguous words every fourth time.

    Visits of one shopper count as fewer by the design effect; 4 standard errors are allowed.
    """
    lexicon = load_lexicon()
    share = np.ones(N_CATEGORIES)
    share[[lexicon.categories.index(name) for name in ("running-shoes", "smartwatch")]] = 40.0
    seen = seen_of(with_mix(share), 1_500)
    counts = read_counts(seen, N_CATEGORIES)
    assert counts is not None
    meant = FAVOURITE / N_CATEGORIES + (1.0 - FAVOURITE) * share / share.sum()
    expected = readings(seen, lexicon) @ meant
    expected /= expected.sum()
    n = counts.sum() / design_effect(counts)
    z = (counts.sum(axis=0) / counts.sum() - expected) / np.sqrt(expected * (1.0 - expected) / n)
    assert np.abs(z).max() < 4.0, z


def test_a_design_effect_is_one_where_everybody_asks_once_and_more_where_they_repeat() -> None:
    once = np.eye(4)[np.arange(400) % 4]
    assert design_effect(once) == 1.0
    assert np.isclose(design_effect(once * 3.0), 3.0)


def test_an_empty_mix_is_the_default_one_to_the_last_byte() -> None:
    share = category_shares(Queries(), load_lexicon())
    assert seen_equal(seen_of(TINY, 50), seen_of(with_mix(share), 50))
    assert not seen_equal(seen_of(TINY, 50), seen_of(with_mix(share[::-1]), 50))


def test_shares_that_do_not_fit_the_categories_are_refused() -> None:
    for share in (np.ones(3), np.zeros(N_CATEGORIES), -np.ones(N_CATEGORIES)):
        with pytest.raises(UserError, match=r"queries\.category_share"):
            make_world(with_mix(share))


def test_following_past_sales_is_off_at_zero_and_moves_clicks_otherwise() -> None:
    follow = dataclasses.replace(TINY, attraction=dataclasses.replace(TINY.attraction, popularity=1.0))
    before, after = seen_of(TINY, 800), seen_of(follow, 800)
    popularity = make_world(TINY).catalogue.popularity
    lifts = [
        popularity[each.items[each.clicked]].mean() - popularity[each.items[each.items >= 0]].mean()
        for each in (before, after)
    ]
    assert lifts[1] > lifts[0] + 0.3  # one unit of log-odds a standard deviation, on click rates around one in six


def test_pairs_of_shoppers_tell_how_much_items_differ() -> None:
    """Items with click rates of 0.1 and 0.3: half of each, so that the variance of relative rates is 0.25.

    A product of two shoppers has a standard deviation of 0.16 / 0.04 = 4 relative to 0.2 squared; 300 items with 40
    shoppers each have 234,000 pairs, so four standard errors are 0.033. Pairs of a shopper with themselves would add
    0.16 / 0.04 / 40 = 0.1.
    """
    rng = np.random.default_rng(3)
    n_shoppers, n_items = 40, 300
    item = np.tile(np.arange(n_items), n_shoppers)
    shopper = np.repeat(np.arange(n_shoppers), n_items)
    clicked = (rng.random(len(item)) < np.where(item % 2 == 0, 0.1, 0.3)).astype(np.float64)
    differ = PairSums(shopper, item, clicked - 0.2, np.full(len(item), 0.2))
    assert abs(differ.value() - 0.25) < 0.05  # and the rates' own noise
    alike = (rng.random(len(item)) < 0.2).astype(np.float64)
    assert abs(PairSums(shopper, item, alike - 0.2, differ.expected).value()) < 0.033
    twice = differ.value(np.full(n_shoppers, 2.0))
    assert np.isclose(twice, differ.value())  # a copy of a shopper is no other shopper
    assert np.isnan(PairSums(shopper[:0], item[:0], clicked[:0], clicked[:0]).value())


def test_pair_sums_are_what_a_loop_says() -> None:
    seen = seen_of(TINY, 120)
    sums = pair_sums(seen, np.zeros_like(seen.items, dtype=np.int64))
    shown = seen.items >= 0
    rate = seen.clicked.sum(axis=0) / shown.sum(axis=0)
    own: dict[tuple[int, int], float] = {}
    for row, slot in zip(*np.nonzero(shown), strict=True):
        key = int(seen.items[row, slot]), int(seen.shopper[row])
        own[key] = own.get(key, 0.0) + float(seen.clicked[row, slot]) - rate[slot]
    assert len(own) == len(sums.beyond)
    assert np.isclose(sum(value**2 for value in own.values()), (sums.beyond**2).sum())


def test_a_shrunk_covariance_keeps_variances_and_can_be_inverted() -> None:
    """Fewer draws than summaries: the plain covariance is singular; what truly goes together mostly stays."""
    rng = np.random.default_rng(1)
    drawn = rng.standard_normal((30, 40))
    drawn[:, 1] = drawn[:, 0] + 0.1 * drawn[:, 1]
    drawn[:, 5] = 0.0
    made = shrunk_covariance(drawn, floor=1e-3)
    assert np.allclose(np.delete(np.diag(made), 5), np.delete(drawn.var(axis=0, ddof=1), 5))
    assert made[5, 5] == 1e-6
    assert np.linalg.eigvalsh(made).min() > 0.0
    many = rng.standard_normal((20_000, 1)) * np.ones((1, 3)) + rng.standard_normal((20_000, 3))
    correlation = shrunk_covariance(many, 1e-3)[0, 1] / shrunk_covariance(many, 1e-3)[0, 0]
    assert abs(correlation - 0.5) < 0.03  # 4 standard errors of a correlation of 20,000 draws


def test_attributes_are_wanted_as_often_as_is_said() -> None:
    made = with_setting(TINY, "queries.wants.size", 0.3)
    assert np.isclose(setting(made, "queries.wants.size"), 0.3)
    ratio = [getattr(made.queries, kind).wants[2] / getattr(TINY.queries, kind).wants[2] for kind in KINDS]
    assert np.allclose(ratio, ratio[0])
    assert made.queries.focused.wants[:2] == TINY.queries.focused.wants[:2]


KINDS = ("navigational", "focused", "exploratory")


def seen_equal(one: Seen, other: Seen) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)
    )
