"""The position-based click model: it finds what made the clicks, and says where nobody could."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import evaluate
from offpolicy.clickmodel import ClickLog, fit, identified
from offpolicy.readers.modelled import modelled
from offpolicy.readers.reading import Reading, with_caveats
from simenv.errors import UserError

LOOKS = np.array([1.0, 0.7, 0.4])
QUERIES, ITEMS = 5, 6


def clicks(n_pages: int = 6000, seed: int = 0, *, shuffled: bool = True) -> tuple[ClickLog, np.ndarray]:
    """Pages of three of six items a query, and the attraction of each pair, (Q, I)."""
    rng = np.random.default_rng(seed)
    attraction = rng.uniform(0.1, 0.6, (QUERIES, ITEMS))
    query = rng.integers(0, QUERIES, n_pages)
    order = np.argsort(rng.random((n_pages, ITEMS)), axis=1) if shuffled else np.tile(np.arange(ITEMS), (n_pages, 1))
    item = order[:, :3]
    click = rng.random(item.shape) < attraction[query[:, None], item] * LOOKS
    names = tuple(f"i{one}" for one in range(ITEMS))
    return ClickLog(query, item, click.astype(np.float64), np.arange(n_pages) // 3, names), attraction


def test_examination_and_attraction_are_found() -> None:
    log, attraction = clicks()
    model = fit(log)
    # A slot has 6,000 looks at a mean attraction of .35: its click rate errs by .006, its ratio to slot 1's by .025.
    assert model.examination == pytest.approx(LOOKS, abs=4 * 0.025)
    best = np.argsort(-attraction, axis=1)[:, :3]  # (Q, 3)
    found, known = model.expect(np.arange(QUERIES), best)
    truth = np.take_along_axis(attraction, best, axis=1) * LOOKS
    assert known.all()
    # A pair is shown 600 times, so that its attraction errs by .03, and the mean over 15 of them by .01.
    assert found.mean() == pytest.approx(truth.mean(), abs=0.03)


def test_a_ranker_that_never_changes_tells_nothing_of_slots() -> None:
    log, attraction = clicks(shuffled=False)
    assert not identified(log)
    with pytest.raises(UserError, match="cannot tell how much of a click is the slot"):
        fit(log)
    model = fit(log, LOOKS)
    assert model.expect(np.arange(QUERIES), np.zeros((QUERIES, 1), dtype=np.int64))[0][:, 0] == pytest.approx(
        attraction[:, 0], abs=5 * 0.014
    )  # each item at slot 1 has 1,200 looks
    with pytest.raises(UserError, match="expected 3 numbers above 0"):
        fit(log, np.array([1.0, 0.0, 2.0]))


def test_what_was_never_shown_is_expected_to_be_ordinary_and_said_to_be_unknown() -> None:
    log, _ = clicks(600)
    model = fit(log)
    found, known = model.expect(np.array([0]), np.array([[ITEMS, -1, 0]]))
    assert known.tolist() == [[False, True, True]]
    assert found[0, 0] == pytest.approx(model.prior)
    assert found[0, 1] == 0.0


def test_rewards_that_are_no_clicks_are_refused() -> None:
    log, _ = clicks(30)
    with pytest.raises(UserError, match="log row 0, slot 1: the reward is 2; a click model is of clicks"):
        replace(log, click=log.click * 0.0 + 2.0)
    with pytest.raises(UserError, match="disagree"):
        replace(log, query=log.query[:3])


def test_the_model_never_saw_the_shopper_it_is_asked_of() -> None:
    log, _ = clicks(600)
    item, click = log.item.copy(), log.click.copy()
    item[:3, 0], click[:3, 0] = ITEMS, 1.0  # shopper 0 alone was shown item 6, and always clicked it
    own = ClickLog(log.query, item, click, log.cluster, (*log.names, "i6"))
    evidence, caveats = modelled(Reading("log", (), no_weight="why", clicks=own, ranking=item))
    assert evidence.q_logged is not None
    assert (evidence.q_logged[:3, 0] < 0.5).all()
    assert "was never shown for its query (to others)" in caveats[1].text
    alone = replace(own, cluster=np.zeros_like(own.cluster))
    with pytest.raises(UserError, match="all shoppers fell into one fold"):
        modelled(Reading("log", (), no_weight="why", clicks=alone, ranking=item))


def test_its_estimate_is_near_the_truth_and_never_trusted() -> None:
    log, attraction = clicks(3000)
    best = np.argsort(-attraction, axis=1)[:, :3][log.query]
    reading = Reading("log", (), no_weight="why", clicks=log, ranking=best.astype(np.int64))
    evidence, caveats = modelled(reading)
    estimate = with_caveats(evaluate(evidence, ["dm"]), caveats)[0]
    truth = float((attraction[log.query[:, None], best] * LOOKS).sum(axis=1).mean())
    assert estimate.interval.value == pytest.approx(truth, abs=0.06)  # 15 pairs of 300 looks: .03 a pair, three slots
    assert estimate.verdict.word == "caution"
    clicked = evaluate(evidence, ["pbm"])[0]  # no weights: what weighs is the logger's mean and contradicts nobody
    assert clicked.lift.low > 0.0
    assert not any("which assumes less" in reason for reason in clicked.verdict.reasons)
    unknown = replace(reading, ranking=np.full_like(reading.ranking, ITEMS))
    evidence, caveats = modelled(unknown)
    assert with_caveats(evaluate(evidence, ["dm"]), caveats)[0].verdict.word == "do not use"
    for lacking, complaint in (
        ({"clicks": None}, "needs the query"),
        ({"ranking": None}, "what the target would show"),
    ):
        with pytest.raises(UserError, match=complaint):
            modelled(replace(reading, **lacking))  # type: ignore[arg-type]
