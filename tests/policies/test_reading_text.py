"""Policies that read the queries as typed: who fills them in, and that nobody else pays for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from policies.check import check_policy
from policies.exploration.registry import exploration
from policies.exploration.slotwise import SlotwisePolicy
from policies.ranking import F32, RankingPolicy
from policies.registry import new_learner
from policies.training import Market, Plan, train
from scenarios.config import Estimation
from scenarios.evidence import join_log
from simenv import hashing
from simenv.columns import join, take
from simenv.decision import Truth, query_of
from simenv.errors import UserError
from simenv.log import Log
from simenv.log.write import write_log
from simenv.play import play, shopper_range
from simenv.truth import lives, on_logger_contexts
from simenv.vector_env import SearchVectorEnv
from simenv.world import Page, World, begin, observe
from simenv.worlds import load_world


class ByLetters:
    """Ranks by a number made of the text and the item's id."""

    reads_query = True

    def score(self, page: Page, truth: Truth | None) -> F32:
        text = np.array([sum(query.encode()) for query in query_of(page)])
        made: F32 = hashing.uniform(hashing.absorb(hashing.absorb(7, text)[:, None], page.candidates)).astype(
            np.float32
        )
        return made


class Blind:
    """Ranks as the engine does, and reads nothing."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        assert page.query is None
        return np.zeros(page.candidates.shape, dtype=np.float32)


READER = RankingPolicy("reader", ByLetters(), 0.5, 0.1)
BLIND = RankingPolicy("blind", Blind(), 0.5, 0.1)


@pytest.fixture(scope="module")
def world() -> World:
    return load_world("tiny")


def test_a_policy_reads_text_only_where_its_scorer_says_so() -> None:
    assert READER.reads_query
    assert not BLIND.reads_query
    assert SlotwisePolicy("slotwise", ByLetters(), exploration("epsilon-greedy")).reads_query


def test_play_hands_over_the_strings_of_the_demand(world: World) -> None:
    played = join(list(play(world, READER, 3, shopper_range(40))))
    assert played.page.query is not None
    assert played.page.query.tolist() == world.demand.strings(played.state)
    assert all(step.page.query is None for step in play(world, BLIND, 3, shopper_range(10)))


def test_play_with_shared_stock_hands_them_over_too() -> None:
    world = load_world("scarce")
    steps = list(play(world, READER, 3, shopper_range(10)))
    assert all(step.page.query is not None for step in steps)


def test_a_reader_on_a_page_without_text_is_told_what_to_do(world: World) -> None:
    page = observe(world, begin(world, 3, shopper_range(4)))
    with pytest.raises(UserError, match="reads_query = True"):
        READER.act(page, 3, np.arange(4, dtype=np.uint64))


def test_truth_hands_text_to_targets_of_a_logger_that_reads_none(world: World) -> None:
    found = on_logger_contexts(world, BLIND, {"reader": READER}, 3, shopper_range(30))
    assert found["reader"].value > 0
    assert lives(world, {"reader": READER, "blind": BLIND}, 3, shopper_range(10)).keys() == {"reader", "blind"}


def test_a_log_gives_back_what_the_logger_read(world: World, tmp_path: Path) -> None:
    log = Log.open(write_log(world, "tiny", READER, 3, shopper_range(60), tmp_path / "log"))
    rows = join(list(log.batches(batch=50, want_query=True)))
    assert np.abs(READER.log_prob(rows.page, rows.slate).logp - rows.logp.logp).max() < 1e-6
    assert all(batch.page.query is None for batch in log.batches())
    some = join(list(log.batches(lambda shopper: shopper % 3 == 0, want_query=True)))
    assert some.page.query is not None
    assert len(some.page.query) == len(some)


def test_evidence_is_made_for_a_target_that_reads_text(world: World, tmp_path: Path) -> None:
    log = Log.open(write_log(world, "tiny", RankingPolicy("u", Blind(), 1.0), 3, shopper_range(80), tmp_path / "log"))
    joined = join_log(log, {"reader": READER}, None, Estimation(), 3, lambda _: None)
    assert np.isfinite(joined.evidence["reader"].target.logp).all()


def test_a_learner_that_reads_text_learns_online(world: World) -> None:
    made = new_learner("linear", world.catalogue.public(), 3, 0)

    class Reading(type(made)):  # type: ignore[misc]
        reads_query = True

        def score(self, page: Page, truth: Truth | None) -> F32:
            assert len(query_of(page)) == len(page)
            return super().score(page, truth)  # type: ignore[no-any-return]

    made.__class__ = Reading
    env = SearchVectorEnv(8, "tiny", episode="shopper")
    train(made, Market(made, env, 3, (0.1, 0.01)), Plan(60, 30))


def test_a_reader_keeps_the_contract_of_policies(world: World) -> None:
    check_policy(READER, world, n_draws=5_000)


def test_rows_of_a_page_keep_their_text(world: World) -> None:
    page = join(list(play(world, READER, 3, shopper_range(10))))
    some = take(page, np.array([2, 0])).page
    assert some.query is not None
    assert page.page.query is not None
    assert some.query.tolist() == [page.page.query[2], page.page.query[0]]
    assert dataclasses.replace(page.page, query=None).query is None
