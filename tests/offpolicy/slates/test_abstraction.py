"""What a page is about: exact where that is all that counts, biased as stated where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import evaluate
from offpolicy.slates.abstraction import abstraction_weights, labels_shown, plackett_luce_abstractions
from simenv.errors import UserError
from tests.offpolicy.slates.test_reward_structures import (
    CONTEXTS,
    LOGGER,
    REWARDS,
    SLATES,
    TARGET,
    drawn,
    expected,
    market,
)

LABEL = np.array([[0, 0, 1, 1, 2], [0, 1, 1, 2, 2], [0, 1, 0, 1, 0]])  # of each item in each context
GROUP = labels_shown(LABEL, SLATES)


def test_slates_that_show_as_many_of_each_label_share_a_number() -> None:
    for x in range(CONTEXTS):
        shown = [tuple(sorted(LABEL[x, slate])) for slate in SLATES]
        for a in range(len(SLATES)):
            for b in range(len(SLATES)):
                assert (GROUP[x, a] == GROUP[x, b]) == (shown[a] == shown[b])


def test_it_is_right_where_the_reward_is_of_what_the_page_is_about() -> None:
    """And more precise: under the same chances its weights have the smaller second moment."""
    by_label = np.array([0.5, 0.2, 0.7])[np.sort(LABEL[:, SLATES], axis=2)]  # (X, S, K) no item, no order
    evidence, chance, truth = market(by_label)
    p, q = (np.exp(each.logp.sum(axis=1)).reshape(CONTEXTS, -1) for each in (evidence.logger, evidence.target))
    given = replace(evidence, abstraction=abstraction_weights(p, q, GROUP).ravel())
    for name in ("lips", "snlips"):
        assert abs(expected(name, given, chance) - truth) < 1e-12  # float64 sums of 180 rows
    own, of_slates = (chance @ weight**2 - 1.0 for weight in (given.abstraction, (q / p).ravel()))
    print(own, of_slates)
    assert own < 0.9 * of_slates


def test_else_it_is_the_value_of_the_targets_labels_with_the_loggers_items() -> None:
    for structure in ("independent", "cascade", "all"):
        evidence, chance, truth = market(REWARDS[structure])
        p, q = (np.exp(each.logp.sum(axis=1)).reshape(CONTEXTS, -1) for each in (evidence.logger, evidence.target))
        stated = 0.0
        for x in range(CONTEXTS):
            for group in np.unique(GROUP[x]):
                inside = GROUP[x] == group
                reward = p[x, inside] @ REWARDS[structure][x, inside].sum(axis=1) / p[x, inside].sum()
                stated += q[x, inside].sum() * reward / CONTEXTS
        given = replace(evidence, abstraction=abstraction_weights(p, q, GROUP).ravel())
        assert expected("lips", given, chance) == pytest.approx(stated, abs=1e-12)
        assert stated < truth - 1e-3  # the target also chooses better items of the same label


def test_logged_slates_get_the_weights_of_all_slates_holes_and_short_pages_included() -> None:
    chances = [np.exp(np.log(weight[:, SLATES]).sum(axis=2)) for weight in (LOGGER, TARGET)]  # numerators
    for one, weight in enumerate((LOGGER, TARGET)):
        taken = np.cumsum(weight[:, SLATES], axis=2) - weight[:, SLATES]
        chances[one] /= (weight.sum(axis=1)[:, None, None] - taken).prod(axis=2)
    every = abstraction_weights(chances[0], chances[1], GROUP)
    hole = np.zeros((CONTEXTS, 1))
    for s in (0, 17, 59):
        slate = np.tile(SLATES[s] + 1, (CONTEXTS, 1))  # behind a hole
        made = plackett_luce_abstractions(
            np.hstack([hole, LOGGER]), np.hstack([hole, TARGET]), slate, np.hstack([hole.astype(np.int64), LABEL])
        )
        assert np.allclose(made, every[:, s], rtol=1e-12, atol=0.0)
    short = np.array([[1, 0, -1]])
    pair = plackett_luce_abstractions(LOGGER[:1, :2], TARGET[:1, :2], short, LABEL[:1, :2])
    assert pair == pytest.approx([1.0])  # both items are shown whatever the order
    with pytest.raises(UserError, match="11,880, expected at most 1,000"):
        plackett_luce_abstractions(
            np.ones((1, 12)), np.ones((1, 12)), np.arange(4)[None], np.zeros((1, 12), dtype=np.int64)
        )


def test_it_is_never_trusted_and_says_how_far_it_stands_from_whole_slates() -> None:
    evidence = drawn(0, REWARDS["independent"])
    weight = np.exp((evidence.target.logp - evidence.logger.logp).sum(axis=1))
    found = evaluate(replace(evidence, abstraction=weight), ["lips"])[0]
    assert found.verdict.word == "caution"
    assert any("from 'ips', which assumes less" in reason for reason in found.verdict.reasons)
    with pytest.raises(UserError, match="abstraction"):
        evaluate(evidence, ["lips"])
