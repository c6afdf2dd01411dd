"""SlateQ from a log: transitions, the penalty against enumeration, training by steps. None of it starts Ray."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies.learning import in_half
from policies.registry import named_policy
from simenv.errors import UserError
from simenv.log import Log
from simenv.log.write import write_log
from simenv.play import shopper_range
from simenv.world import make_world
from simenv.worlds import load_world

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 300 shoppers of a market with 7 candidates a query: some pages have too few, and some have none."""
    world = make_world(dataclasses.replace(load_world("tiny").params, n_candidates=7))
    production = named_policy("production", world.catalogue.public())
    return write_log(world, "tiny", production, 5, shopper_range(300), tmp_path_factory.mktemp("offline") / "log")


def trainer(folder: Path, **settings: Any) -> Any:
    """Of the learning half of a log, two passes in small batches."""
    from policies.rllib.slateq_offline_training import offline_slateq_trainer
    from policies.rllib.trainer import Assignment

    given = {"passes": 2, "batch": 128, "hidden": 8, "copy_every": 3, **settings}
    return offline_slateq_trainer(
        Assignment("slateq-offline", "tiny", 3, 0, (0.3, 1e-4), given, log=Log.open(folder), half=0)
    )


def followed(folder: Path, **how: Any) -> Any:
    """The whole log as transitions."""
    from policies.rllib.offline_data import Reading
    from policies.rllib.slateq_log import transitions

    (made,) = transitions(Log.open(folder), Reading(**how))
    return made


def test_what_followed_a_page_is_the_shoppers_next_one_also_after_a_visit(folder: Path) -> None:
    """Row by row, in a loop; a life that the horizon cut off has a last page of which nobody knows what followed."""
    rows = next(Log.open(folder).batches())
    assert rows.truncated.any()
    known = np.flatnonzero(~rows.truncated)
    made = followed(folder, returns="shopper")
    np.testing.assert_array_equal(made.row, known)
    own = {row: made.observation[at] for at, row in enumerate(made.row.tolist())}
    crossed = 0
    for at, row in enumerate(made.row.tolist()):
        is_last = row + 1 == len(rows) or rows.page.shopper[row + 1] != rows.page.shopper[row]
        assert made.over[at] == is_last
        np.testing.assert_array_equal(made.clicked[at], rows.clicked[row] & (rows.slate[row] >= 0))
        assert made.reward[at] == pytest.approx(rows.reward[row].sum(), rel=1e-6)  # float32
        if not is_last and row + 1 in own:
            np.testing.assert_array_equal(made.next_observation[at], own[row + 1])
            crossed += rows.session[row] != rows.session[row + 1]
    assert crossed > 20
    assert made.over.sum() > 20


def test_within_sessions_a_life_ends_with_the_visit_and_every_row_is_one(folder: Path) -> None:
    rows = next(Log.open(folder).batches())
    made = followed(folder, returns="session")
    assert len(made) == len(rows)
    np.testing.assert_array_equal(made.over, rows.terminated)
    nothing = ~(rows.page.candidates >= 0).any(axis=1)
    assert nothing.any()  # a search without results is a page of a life, on which nothing can be clicked
    assert not made.clicked[nothing].any()


def test_windows_of_any_size_say_the_same_and_the_count_is_theirs(folder: Path) -> None:
    from policies.rllib.offline_data import Reading
    from policies.rllib.slateq_log import count_transitions, transitions

    log = Log.open(folder)
    for reading in (Reading(half=0, returns="shopper", gamma=0.9), Reading(returns="session")):
        (whole,) = transitions(log, reading)
        small = list(transitions(log, reading, batch=37))
        assert len(small) > 3
        for name in vars(whole):
            joined = np.concatenate([getattr(each, name) for each in small])
            np.testing.assert_array_equal(joined, getattr(whole, name))
        assert count_transitions(log, reading) == len(whole)


def small_batch(n: int = 6, n_candidates: int = 5, n_slots: int = 2) -> tuple[Any, Any]:
    """A network with drawn weights, and pages of which some candidates are holes."""
    from policies.rllib.slateq_loss import Transitions
    from policies.slateq_net import PageFeatures, Shape, SlateValues

    generator = torch.Generator().manual_seed(2)
    net = SlateValues(Shape(3, 2, n_slots, 8, True), generator)
    with torch.no_grad():
        for weight in net.parameters():
            weight += torch.randn(weight.shape, generator=generator)
    here = torch.rand(n, n_candidates, generator=generator) < 0.9
    here[:, :2] = True
    page = PageFeatures(
        torch.randn(n, n_candidates, 3, generator=generator), torch.randn(n, 2, generator=generator), here
    )
    slate = torch.tensor([[0, 1], [1, 0], [0, 0]]).repeat(n // 3, 1)  # the third shows one item alone
    nothing = torch.zeros(n)
    return net, Transitions(page, slate, slate > 9, nothing, nothing > 0, page, slate)


def test_the_penalty_is_what_candidates_promise_beyond_the_shown_ones() -> None:
    """Page by page in float64, holes and empty slots left out; float32 there, hence 1e-5."""
    from policies.rllib.slateq_offline import TAU, conservative_penalty

    net, batch = small_batch()
    values = net.worth(batch.page).q.detach().double()
    apart = []
    for page in range(len(values)):
        held = values[page][batch.page.here[page]]
        shown = values[page][sorted(set(batch.slate[page].tolist()))]
        apart.append(TAU * torch.log(torch.exp(held / TAU).mean()) - shown.mean())
    expected = torch.stack(apart).mean().float()
    assert abs(expected) > 1e-2
    torch.testing.assert_close(conservative_penalty(net, batch), expected, atol=1e-5, rtol=1e-5)


def test_the_penalty_pulls_up_what_was_shown_and_leaves_choice_alone() -> None:
    """A step against it raises values of shown items beside the others; pages without candidates give no gradient."""
    from policies.rllib.slateq_offline import conservative_penalty

    net, batch = small_batch()
    conservative_penalty(net, batch).backward()
    assert all(weight.grad is None for weight in net.choice.parameters())
    assert net.fall.grad is None
    empty = dataclasses.replace(batch.page, here=torch.zeros_like(batch.page.here))
    before = float(conservative_penalty(net, batch).detach())
    with torch.no_grad():
        for weight in net.values.parameters():
            weight -= 1e-3 * (0.0 if weight.grad is None else weight.grad)
    assert float(conservative_penalty(net, batch).detach()) < before
    net.zero_grad()
    conservative_penalty(net, dataclasses.replace(batch, page=empty)).backward()
    assert all(weight.grad is None or not weight.grad.abs().sum() for weight in net.values.parameters())


def test_doubt_keeps_promises_below_what_was_logged(folder: Path) -> None:
    """After the same passes over the same pages, what was not shown promises less beside what was."""
    told = {}
    for alpha in (1e-9, 1.0):  # at 0 the penalty is not even computed
        made = trainer(folder, alpha=alpha, passes=3, learning_rate=0.01)
        while made.searches < made.budget:
            told[alpha] = made.step()["penalty"]
    assert told[1.0] < told[1e-9] - 0.02


def test_a_training_that_was_stopped_comes_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    """Target network and the page at which it was copied last go on too: stopped between two copies."""
    from policies.rllib.trainer import TrainerWatch, train_by_steps
    from policies.training import Plan

    whole = trainer(folder)
    told = train_by_steps(whole, Plan(None, None), TrainerWatch())
    steps = iter(range(1000))
    plan = Plan(None, None, tmp_path / "checkpoint", 10**9, {"policy": "slateq-offline"})
    with pytest.raises(KeyboardInterrupt):
        train_by_steps(trainer(folder), plan, TrainerWatch(stop=lambda: next(steps) == 4))
    again = trainer(folder)
    assert train_by_steps(again, plan, TrainerWatch()) == told
    mine, theirs = again.scorer().tensors(), whole.scorer().tensors()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    np.testing.assert_array_equal(again.shoppers(), whole.shoppers())
    assert in_half(whole.shoppers(), 0).all()


def test_wrong_settings_are_refused_in_words(folder: Path) -> None:
    from policies.rllib.slateq_offline import SlateCQLConfig
    from policies.rllib.slateq_offline_training import offline_slateq_trainer
    from policies.rllib.trainer import Assignment

    with pytest.raises(UserError, match="add --log LOG"):
        offline_slateq_trainer(Assignment("slateq-offline", "tiny", 0, 0, (0.3, 1e-4)))
    with pytest.raises(UserError, match="alpha is -1"):
        trainer(folder, alpha=-1.0)
    with pytest.raises(UserError, match="expected one of session, shopper"):
        trainer(folder, returns="visit")
    with pytest.raises(UserError, match="passes is 0"):
        trainer(folder, passes=0)
    with pytest.raises(UserError, match="no setting 'beta'"):
        trainer(folder, beta=1.0)
    with pytest.raises(UserError, match="there is no slate optimiser 'best'"):
        trainer(folder, serve="best")
    with pytest.raises(UserError, match="name a log"):
        SlateCQLConfig().log()
    with pytest.raises(UserError, match="one local learner"):
        SlateCQLConfig().offline_data(input_=folder).learners(num_learners=2).validate()
