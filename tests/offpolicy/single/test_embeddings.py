"""Ratios of embeddings: exact from known P(e|a), close from a learned posterior, refused where they cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy.actions import ActionTable
from offpolicy.estimate import values
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.single.embeddings import known_ratio, learned_likelihood, learned_ratio, likelihood, one_hot
from offpolicy.single.enumerated import EMBEDDING, LOGGER, TARGET, enumerated_actions
from simenv.errors import UserError


def codes() -> np.ndarray:
    """The embedding of each row of the enumerated log, (N, 1): its order is context, action, embedding."""
    times = np.rint(LOGGER[:, :, None] * EMBEDDING * 80 * 40).astype(np.int64)
    return np.repeat(np.indices(times.shape)[2].ravel(), times.ravel())[:, None]


def test_the_known_ratio_is_that_of_the_policies_embeddings() -> None:
    evidence, truth = enumerated_actions(wrong_model=True)
    assert evidence.actions is not None
    ratio = known_ratio(evidence.actions, likelihood(codes(), [EMBEDDING]))
    assert evidence.embedding is not None
    assert np.abs(ratio - evidence.embedding).max() < 1e-12
    assert values(replace(evidence, embedding=ratio), ["mips"])["mips"] == pytest.approx(truth, abs=1e-12)


def test_an_action_that_the_logger_never_plays_does_no_harm_where_others_share_its_embedding() -> None:
    # two actions of one category; the logger plays the first, the target the second
    table = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    actions = ActionTable(np.array([0, 2]), np.array([[0.5, 0.0, 0.5]] * 2), np.array([[0.0, 0.9, 0.1]] * 2))
    ratio = known_ratio(actions, likelihood(np.array([[0], [1]]), [table]))
    assert ratio == pytest.approx([0.9 / 0.5, 0.1 / 0.5], abs=1e-15)


def test_several_categories_multiply() -> None:
    tables = [np.array([[0.5, 0.5], [0.1, 0.9]]), np.array([[1.0, 0.0], [0.25, 0.75]])]
    found = likelihood(np.array([[0, 0], [1, 0]]), tables)
    assert found == pytest.approx(np.array([[0.5, 0.1 * 0.25], [0.5, 0.9 * 0.25]]), abs=1e-15)


def test_the_learned_ratio_comes_close_to_the_known_one() -> None:
    evidence, truth = enumerated_actions(wrong_model=True)
    assert evidence.actions is not None
    x = np.repeat([0, 1], evidence.n_rows // 2)
    log = SingleActionLog(
        action=evidence.actions.action,
        reward=evidence.reward[:, 0],
        propensity=evidence.actions.logger,
        context=np.eye(2)[x],
        cluster=np.arange(evidence.n_rows),
    )
    both = np.eye(6)[3 * x + codes()[:, 0]]  # indicators of every pair of context and embedding: the model can be right
    ratio = learned_ratio(log, evidence.actions, both)
    assert evidence.embedding is not None
    # P(a | x, e) from some 500 rows a cell errs by .02, times weights of up to 11
    assert np.abs(ratio - evidence.embedding).max() < 4 * 0.02 * 11.0
    assert values(replace(evidence, embedding=ratio), ["mips"])["mips"] == pytest.approx(truth, abs=0.02)
    counted = learned_likelihood(log, codes(), 4)
    # frequencies of 600 to 1,600 rows an action err by .02 at most
    assert np.abs(counted - likelihood(codes(), [EMBEDDING])).max() < 4 * 0.02
    ratio = known_ratio(evidence.actions, counted)
    assert values(replace(evidence, embedding=ratio), ["mips"])["mips"] == pytest.approx(truth, abs=0.02)
    assert one_hot(np.array([[0, 1], [2, 0]])).tolist() == [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]]


def test_shrinking_weights_is_what_embeddings_are_for() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    assert evidence.embedding is not None
    w = np.exp(evidence.target.logp - evidence.logger.logp)[:, 0]
    # the embedding's weight is the mean of the action's given context and embedding, so it varies less
    assert evidence.embedding.var() < 0.5 * w.var()
    assert evidence.embedding.mean() == pytest.approx(w.mean(), abs=1e-12)
    assert (TARGET / LOGGER).max() == pytest.approx(11.0)


def test_what_cannot_be_raises_and_names_the_row() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    table = np.array([[1.0, 0.0], [1.0, 0.0]])
    with pytest.raises(UserError, match="log row 1: category 0 is 5; expected 0 to 1"):
        likelihood(np.array([[0], [5]]), [table])
    with pytest.raises(UserError, match="log row 1: no action can have the logged embedding"):
        likelihood(np.array([[0], [1]]), [table])
    with pytest.raises(UserError, match="that sum to 1"):
        likelihood(np.array([[0]]), [2.0 * table])
    with pytest.raises(UserError, match="expected integers of shape"):
        likelihood(np.array([0, 1]), [table])
    with pytest.raises(UserError, match="the log has no context"):
        learned_ratio(SingleActionLog(action=np.array([0]), reward=np.ones(1)), evidence.actions, np.ones((1, 2)))
    actions = ActionTable(np.array([0]), np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    with pytest.raises(UserError, match="log row 0: the logger plays no action"):
        known_ratio(actions, np.array([[0.0, 1.0]]))
    assert evidence.embedding is not None
    negative = evidence.embedding.copy()
    negative[3] = -0.1
    with pytest.raises(UserError, match=r"log row 3: embedding is -0\.1"):
        values(replace(evidence, embedding=negative), ["mips"])
    log, target = SingleActionLog(action=np.zeros(3, dtype=int), reward=np.ones(3), propensity=np.ones(3)), np.ones(3)
    with pytest.raises(UserError, match=r"'mips' needs embedding, which .* offpolicy\.single\.embeddings"):
        values(evidence_of(log, target), ["mips"])
