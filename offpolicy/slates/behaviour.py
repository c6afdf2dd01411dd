"""How shoppers read a page: which slots move the reward of a slot, and the weights that are right under it.

A behaviour is a relation of slots, (K, K): entry [k, l] says whether what stands at l moves the reward at k. The weight
of the reward at k is then the ratio of the policies' probabilities of what stands at just these slots: right, and the
smallest that is. Other estimators believe in one behaviour for everybody (`ips-item`, `rips`, `ips`); here each row has
its own. Kiyohara, Uehara, Narita, Shimizu, Yamamoto and Saito, "Off-policy evaluation of ranking policies under diverse
user behavior" (2023).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.slates.behaviour_tree import Tree, grow, questions_of, readings
from offpolicy.terms import Terms, weights_of
from simenv.errors import UserError, unknown_name
from simenv.hashing import absorb, integers, stream

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

N_FOLDS = 2  # of clusters: each is read by the tree of the others
_SAME = 1e-9  # between a marginal and a conditional where slots are drawn one without the other


def _neighbours(n_slots: int) -> Bools:
    slot = np.arange(n_slots)
    made: Bools = np.abs(slot[:, None] - slot) <= 1
    return made


BEHAVIOURS: dict[str, Callable[[int], Bools]] = {
    "independent": lambda n_slots: np.eye(n_slots, dtype=bool),
    "neighbours": _neighbours,
    "cascade": lambda n_slots: np.tri(n_slots, dtype=bool),
    "standard": lambda n_slots: np.ones((n_slots, n_slots), dtype=bool),
}


def adaptive(evidence: Evidence) -> Terms:
    """Slots: w_k = p_target(what stands at the slots that move k) / p_logger(the same), by each row's own behaviour.

    Behaviours that the evidence does not give are learned from it: see `learned_behaviour`.

    Raises:
        UserError: If a marginal is absent, or a behaviour is unknown or asks for what the log does not hold.
    """
    behaviour = learned_behaviour(evidence) if evidence.behaviour is None else evidence.behaviour
    logw = np.empty(evidence.reward.shape)
    for name in np.unique(behaviour).tolist():
        if name not in BEHAVIOURS:
            raise unknown_name("behaviour", name, BEHAVIOURS)
        rows = behaviour == name
        logw[rows] = log_weights(evidence, BEHAVIOURS[name](evidence.n_slots))[rows]
    return Terms(weights_of(logw), evidence.reward)


def learned_behaviour(evidence: Evidence) -> npt.NDArray[np.str_]:
    """The behaviour of each row by a tree over features and segments that makes the estimated error small, (N,).

    Rows are read by a tree that was grown on other clusters, so that no row is weighed by what its own reward chose.

    Raises:
        UserError: If a marginal is absent.
    """
    relations = {name: relation(evidence.n_slots) for name, relation in BEHAVIOURS.items()}
    if not drawn_apart(evidence):
        del relations["neighbours"]
    names = list(relations)
    weights = [weights_of(log_weights(evidence, relation)) for relation in relations.values()]
    compared = [_first_order(evidence, each) for each in relations.values()] if drawn_apart(evidence) else weights
    questions = questions_of(evidence)
    fold = integers(absorb(stream(0, "behaviour fold"), evidence.cluster), N_FOLDS)
    made = np.empty(evidence.n_rows, dtype="U16")
    for held in range(N_FOLDS):
        mine, others = fold == held, fold != held
        if mine.any():
            tree = Tree(names.index("standard"))  # where nothing is left to learn from, all slots count
            if others.any():
                reward = evidence.reward[others]
                rest = reward - reward.mean(axis=0)  # of what every row earns weights say nothing
                scores, told = (
                    np.column_stack([(weight[others] * rest).sum(axis=1) for weight in each])
                    for each in (weights, compared)
                )
                tree = grow(scores, told, list(relations.values()), questions[others])
            made[mine] = np.array(names)[readings(tree, questions[mine])]
    return made


def log_weights(evidence: Evidence, relation: Bools) -> Floats:
    """Log of the weight of each slot's reward under a relation of slots, (N, K).

    The chance of what stands at some slots alone follows from what is logged where these are the slots down to some
    place, the slot by itself, or any at all where slots were drawn one without the other.

    Args:
        evidence: The columns.
        relation: (K, K); each slot moves its own reward.

    Raises:
        UserError: If a marginal is absent, or the chance does not follow from what is logged.
    """
    if evidence.logger_marginal is None or evidence.target_marginal is None:
        raise UserError("logger_marginal and target_marginal are absent; behaviours need what a slot shows by itself.")
    ratio = evidence.target.logp - evidence.logger.logp
    alone = evidence.target_marginal.logp - evidence.logger_marginal.logp
    down_to = np.cumsum(ratio, axis=1)
    made = np.empty(ratio.shape)
    for k, moves in enumerate(relation | np.eye(len(relation), dtype=bool)):
        last = int(np.flatnonzero(moves)[-1])
        if moves[: last + 1].all():
            made[:, k] = down_to[:, last]
        elif moves.sum() == 1:
            made[:, k] = alone[:, k]
        elif drawn_apart(evidence):
            made[:, k] = ratio[:, moves].sum(axis=1)
        else:
            raise UserError(
                f"the reward of slot {k + 1} hears slots {(np.flatnonzero(moves) + 1).tolist()}; where slots were not "
                "drawn one without the other, the chance of what stands there does not follow from the log. Give a "
                "behaviour of all slots down to some place: cascade or standard; or independent."
            )
    return made


def drawn_apart(evidence: Evidence) -> bool:
    """Whether both policies draw each slot without regard to the others: their marginals are their conditionals."""
    pairs = ((evidence.logger, evidence.logger_marginal), (evidence.target, evidence.target_marginal))
    return all(own is not None and np.allclose(given.logp, own.logp, rtol=0.0, atol=_SAME) for given, own in pairs)


def _first_order(evidence: Evidence, relation: Bools) -> Floats:
    """Weights of each slot with what other slots add to first order, w_k (1 + sum_l (w_l - 1)), (N, K).

    Their differences between behaviours tell what a slot's reward hears with far less noise than products of weights.
    They have mean 0 where it hears nothing, as long as slots were drawn one without the other.
    """
    weight = weights_of(evidence.target.logp - evidence.logger.logp)
    others = relation & ~np.eye(len(relation), dtype=bool)
    return weight * (1.0 + (weight - 1.0) @ others.T)
