"""The truth that estimates are held against, itself held against exact sums."""

from __future__ import annotations

import numpy as np

from policies import plackett_luce
from policies.registry import named_policy
from scenarios.candidates import seed_of
from scenarios.config import load_scenario
from simenv.play import play, shopper_range, truth
from simenv.truth import lives, on_logger_contexts, truth_seed, values, values_by_twins
from simenv.twins import Ratio
from simenv.world import World

SHOPPERS = shopper_range(200)


def test_drawn_slates_agree_with_exact_marginals(tiny: World) -> None:
    """Position-based clicks: a page's worth is sum over (item, slot) of P(item at slot) examination attraction.

    The drawn value must be within four standard errors of the exact one, paired by shopper: what differs is the draw
    of slates alone.
    """
    catalogue = tiny.catalogue.public()
    logger, target = named_policy("production", catalogue), named_policy("lexical", catalogue)
    drawn = on_logger_contexts(tiny, logger, {"lexical": target}, 5, SHOPPERS, n_draws=2)["lexical"]
    examination = np.array(tiny.params.click_model.examination[:3])  # type: ignore[attr-defined]
    total, count = np.zeros(len(SHOPPERS)), np.zeros(len(SHOPPERS))
    for step in play(tiny, logger, truth_seed(5), SHOPPERS):
        logw = plackett_luce.log_weights(target.scores(step.page), target.temperature, target.floor)
        table, _ = plackett_luce.marginal_table(logw, 3)  # (n, C, K)
        known = truth(tiny, step.state, step.page)
        worth = np.einsum("nck,k,nc->n", table, examination, known.attraction * known.value)
        np.add.at(total, step.state.shopper, worth)
        np.add.at(count, step.state.shopper, 1.0)
    exact = Ratio(total, count)
    assert np.array_equal(drawn.count, exact.count)
    error = (drawn.influence() - exact.influence()).std(ddof=1) / np.sqrt(len(SHOPPERS))
    assert abs(drawn.value - exact.value) < 4 * error
    assert error < 0.02 * exact.value


def test_the_logger_is_worth_what_its_play_expects(tiny: World) -> None:
    """And as its own target, by fresh slates on the same pages, the same within four paired standard errors."""
    logger = named_policy("production", tiny.catalogue.public())
    found = on_logger_contexts(tiny, logger, {"again": logger}, 5, SHOPPERS)
    rows = {row.policy: row for row in values(found, "production", "x")}
    assert rows["production"].lift == rows["production"].lift_stderr == 0.0
    assert abs(rows["again"].lift) < 4 * rows["again"].lift_stderr
    expected = sum(float(step.outcome.expected.sum()) for step in play(tiny, logger, truth_seed(5), SHOPPERS))
    assert np.isclose(found["production"].total.sum(), expected, rtol=1e-12)


def test_any_set_of_shoppers_will_do(tiny: World) -> None:
    """Ids with gaps, in any order: each shopper's sums are their own."""
    logger = named_policy("production", tiny.catalogue.public())
    all_of_them = on_logger_contexts(tiny, logger, {}, 5, SHOPPERS)["production"]
    some = np.array([150, 3, 77])
    found = on_logger_contexts(tiny, logger, {}, 5, some)["production"]
    assert sorted(found.total) == sorted(all_of_them.total[some])


def test_twins_measure_a_difference_better_than_strangers(tiny: World) -> None:
    """The paired error of a lift is smaller than that of two independent plays, for every estimand."""
    catalogue = tiny.catalogue.public()
    both = {name: named_policy(name, catalogue) for name in ("production", "lexical")}
    twins = [row for row in values_by_twins(lives(tiny, both, 5, SHOPPERS), "production") if row.policy == "lexical"]
    strangers = values_by_twins(
        {
            "production": lives(tiny, {"production": both["production"]}, 6, SHOPPERS)["production"],
            "lexical": lives(tiny, {"lexical": both["lexical"]}, 7, SHOPPERS)["lexical"],
        },
        "production",
    )
    apart = {(row.policy, row.estimand): row.stderr for row in strangers}
    assert len(twins) == 3
    for row in twins:
        independent = np.hypot(apart["production", row.estimand], apart["lexical", row.estimand])
        assert row.lift_stderr < independent, row.estimand


def test_seeds_of_truth_log_and_training_are_never_the_same() -> None:
    scenario = load_scenario("quick")
    seeds = [scenario.seed] + [
        seed_of(scenario, purpose) for purpose in ("log", "training", "truth", "yardstick", "folds", "curve")
    ]
    seeds += [truth_seed(seed) for seed in seeds]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    other = load_scenario("quick", seed=1)
    assert seed_of(other, "log") != seed_of(scenario, "log")


def test_an_oracle_beats_everybody_on_the_loggers_contexts(tiny: World) -> None:
    catalogue = tiny.catalogue.public()
    targets = {name: named_policy(name, catalogue) for name in ("uniform", "lexical", "popularity", "oracle")}
    found = on_logger_contexts(tiny, named_policy("production", catalogue), targets, 5, SHOPPERS)
    assert max(found, key=lambda name: found[name].value) == "oracle"
