"""Ways to explore as graphs: from scores and a mask to first-choice probabilities, as `policies.ranking` has them.

Schemes that read more than scores (spreads, posterior draws) are refused: what they read is not in the graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from policies.exploration.by_score import EpsilonGreedy, PlackettLuce, Softmax, SquareCB
from policies.exploration.estimates import Exploration
from policies.ranking import RankingPolicy
from policies.shipping.graph import MASKED, Graph
from simenv.errors import UserError

Choice = Callable[[Graph, str, str], str]  # (graph, scores (N, C), mask (N, C)) -> probabilities (N, C) float64


def choice_of(policy: RankingPolicy) -> Choice:
    """How a policy's first choice is distributed.

    Raises:
        UserError: for a scheme that reads more than scores.
    """
    if policy.exploration is not None:
        return _of_scheme(policy.name, policy.exploration)
    if policy.temperature == 0:
        return lambda g, scores, mask: first_best(g, scores, mask)
    return lambda g, scores, mask: plackett_luce(g, scores, mask, policy.temperature, policy.floor)


def plackett_luce(g: Graph, scores: str, mask: str, temperature: float, floor: float) -> str:
    """Plackett-Luce's first choice, (N, C) float64: weights as `policies.plackett_luce` has them, 0 at holes."""
    logit = g.op("Div", g.double(scores), g.number(temperature, np.float64))
    p = g.op("Softmax", g.op("Where", mask, logit, g.number(MASKED, np.float64)), having={"axis": 1})
    return _floored(g, g.op("Mul", p, g.double(mask)), mask, floor)


def _of_scheme(policy: str, scheme: Exploration) -> Choice:
    match scheme:
        case Softmax(temperature=temperature):
            return lambda g, scores, mask: plackett_luce(g, scores, mask, temperature, 0.0)
        case PlackettLuce(temperature=temperature, floor=floor):
            return lambda g, scores, mask: plackett_luce(g, scores, mask, temperature, floor)
        case EpsilonGreedy(epsilon=epsilon):
            return lambda g, scores, mask: _floored(g, _share_of_best(g, scores, mask), mask, epsilon)
        case SquareCB(gamma=gamma):
            return lambda g, scores, mask: _inverse_gap(g, scores, mask, gamma)
    raise UserError(
        f"policy '{policy}' explores by {type(scheme).__name__}, which reads spreads or posterior draws; a graph gives "
        "scores alone. Export it under plackett-luce, softmax, epsilon-greedy or squarecb."
    )


def first_best(g: Graph, scores: str, mask: str) -> str:
    """1 at the best, the first of those that are; what the greedy policy shows on top."""
    best = g.op("ArgMax", scores, having={"axis": 1, "keepdims": 1, "select_last_index": 0})
    width = g.op("Gather", g.op("Shape", scores), g.ints(1))
    columns = g.op("Range", g.number(0, np.int64), g.op("Squeeze", width, g.ints(0)), g.number(1, np.int64))
    return g.double(g.op("And", g.op("Equal", columns, best), mask))


def _share_of_best(g: Graph, scores: str, mask: str) -> str:
    best = g.double(_is_best(g, scores, mask))
    return g.op("Div", best, _at_least_one(g, best))


def _inverse_gap(g: Graph, scores: str, mask: str, gamma: float) -> str:
    """`1 / (n + gamma * gap)`; the best share what is left."""
    is_best = _is_best(g, scores, mask)
    here, score = g.double(mask), g.double(g.op("Where", mask, scores, g.number(0.0)))
    best = g.op("ReduceMax", g.op("Where", mask, score, g.number(MASKED, np.float64)), g.ints(1))
    others = g.op("And", mask, g.op("Not", is_best))
    gap = g.op("Where", others, g.op("Sub", best, score), g.number(0.0, np.float64))
    weight = g.op("Add", _at_least_one(g, here), g.op("Mul", g.number(gamma, np.float64), gap))
    p = g.op("Mul", g.op("Reciprocal", weight), g.double(others))
    rest = g.op("Sub", g.number(1.0, np.float64), g.op("ReduceSum", p, g.ints(1)))
    share = g.op("Div", rest, _at_least_one(g, g.double(is_best)))
    return g.op("Where", is_best, share, p)


def _is_best(g: Graph, scores: str, mask: str) -> str:
    return g.op("And", mask, g.op("Equal", scores, g.op("ReduceMax", scores, g.ints(1))))


def _at_least_one(g: Graph, counted: str) -> str:
    return g.op("Max", g.op("ReduceSum", counted, g.ints(1)), g.number(1.0, np.float64))


def _floored(g: Graph, p: str, mask: str, floor: float) -> str:
    if floor == 0.0:
        return p
    here = g.double(mask)
    even = g.op("Mul", g.op("Div", here, _at_least_one(g, here)), g.number(floor, np.float64))
    return g.op("Add", g.op("Mul", p, g.number(1.0 - floor, np.float64)), even)
