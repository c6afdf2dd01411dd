"""SlateQ's scores as a graph: its networks, the search for each page's best slate, and what is ranked by.

The search is in the graph: Dinkelbach's iteration is a loop of ONNX's own, with the bound, the test for its end and
the float64 of `policies.rllib.slate_optimisers`. A page that is done stays as it is, whoever is beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from policies.rllib.slate_optimisers import ITERATIONS, ROUNDING
from policies.shipping.choices import first_best
from policies.shipping.export import FEATURES, MASK
from policies.shipping.graph import Graph
from policies.shipping.networks import array
from policies.slateq import SlateQScorer
from policies.slateq_net import LOGIT_LIMIT, ItemNet

SAME = 1e-12  # the spread below which a page's candidates score alike


@dataclass(frozen=True)
class Names:
    """`policies.rllib.slate_optimisers.Worth` by the names of its values.

    v, q: (N, C) float64; v is 0 at holes. null_v, null_q: (N, 1) float64. attention: (K,), the numbers themselves.
    """

    v: str
    q: str
    null_v: str
    null_q: str
    attention: npt.NDArray[np.float64]


def slateq_scores(g: Graph, scorer: SlateQScorer) -> str:
    """Standardised scores (N, C) float32, by the optimiser that serves."""
    worth = _worth(g, scorer)
    return _standardised(g, OPTIMISERS[scorer.settings["serve"]](g, worth))


def _worth(g: Graph, scorer: SlateQScorer) -> Names:
    """As `policies.slateq_net.SlateValues.worth` has it, in float64."""
    net = scorer.net
    items = g.double(FEATURES)
    context = _mean(g, items)
    logit, null_logit = (_clipped(g, each) for each in _item_net(g, net.choice, items, context))
    q, null_q = _item_net(g, net.values, items, context)
    here = g.op("Where", MASK, logit, _number(g, -np.inf))
    peak = g.op("Max", g.op("ReduceMax", here, g.ints(1)), null_logit)
    with torch.no_grad():
        attention = copy.deepcopy(net).double().log_attention().exp().numpy()
    return Names(
        v=g.op("Exp", g.op("Sub", here, peak)),
        q=g.op("Add", _number(g, 1.0), q),
        null_v=g.op("Exp", g.op("Sub", null_logit, peak)),
        null_q=g.op("Add", _number(g, 1.0), null_q),
        attention=attention,
    )


def _mean(g: Graph, items: str) -> str:
    """Mean features of a page's candidates (N, 1, F)."""
    here = g.op("Unsqueeze", g.double(MASK), g.ints(1))  # (N, 1, C)
    n = g.op("Max", g.op("ReduceSum", here, g.ints(2)), _number(g, 1.0))
    return g.op("MatMul", g.op("Div", here, n), items)


def _item_net(g: Graph, net: ItemNet, items: str, context: str) -> tuple[str, str]:
    """Numbers (N, C) of items and (N, 1) of nothing."""
    of_page = g.op("MatMul", context, _number(g, array(net.context.weight).T))
    first = g.op("Relu", g.op("Add", _layer(g, net.item, items), of_page))
    made = _layer(g, net.head, g.op("Relu", _layer(g, net.deep, first)))
    null = _layer(g, net.null_head, g.op("Relu", _layer(g, net.null, context)))
    return g.op("Squeeze", made, g.ints(2)), g.op("Squeeze", null, g.ints(2))


def _exact(g: Graph, worth: Names) -> str:
    """See `policies.rllib.slate_optimisers.exact`."""

    def around(level: str) -> tuple[str, str]:
        better = _slate_value(g, worth, _above(g, worth, level))
        least = g.op("Add", level, g.op("Mul", _number(g, ROUNDING), g.op("Abs", level)))
        gains = g.op("Greater", better, least)
        most = g.op("ReduceMax", g.double(gains), having={"keepdims": 0})
        return g.op("Where", gains, better, level), g.op("Greater", most, _number(g, 0.0))

    first = _slate_value(g, worth, _top_k(g, worth))
    return _above(g, worth, g.repeat(ITERATIONS, first, around))


def _greedy(g: Graph, worth: Names) -> str:
    """See `policies.rllib.slate_optimisers.greedy`; where there are fewer candidates, the last slots take none."""
    top, mass, left = g.op("Mul", worth.null_v, worth.null_q), worth.null_v, MASK
    nothing, n_slots = _number(g, -np.inf), len(worth.attention)
    scores = g.op("Expand", nothing, g.op("Shape", MASK))

    def values(v: str) -> str:
        made = g.op("Div", g.op("Add", top, g.op("Mul", v, worth.q)), g.op("Add", mass, v))
        return g.op("Where", left, made, nothing)

    for slot in range(n_slots):
        v = g.op("Mul", worth.v, _number(g, worth.attention[slot]))
        chosen = first_best(g, values(v), left)
        taken = g.op("Mul", v, chosen)
        is_chosen = g.op("Greater", chosen, _number(g, 0.0))
        scores = g.op("Where", is_chosen, _number(g, -1.0 - slot), scores)
        top = g.op("Add", top, g.op("ReduceSum", g.op("Mul", taken, worth.q), g.ints(1)))
        mass = g.op("Add", mass, g.op("ReduceSum", taken, g.ints(1)))
        left = g.op("And", left, g.op("Not", is_chosen))
    rest = values(g.op("Mul", worth.v, _number(g, worth.attention[-1])))
    width = g.op("Shape", MASK, having={"start": 1})
    order = g.ops("TopK", 2, rest, width)[1]
    rank = g.ops("TopK", 2, order, width, having={"largest": 0})[1]  # where each stands in that order
    return g.op("Where", left, g.op("Sub", _number(g, -1.0 - n_slots), g.double(rank)), scores)


def _top_k(g: Graph, worth: Names) -> str:
    """See `policies.rllib.slate_optimisers.top_k`."""
    return g.op("Where", MASK, g.op("Mul", worth.v, worth.q), _number(g, -np.inf))


def _above(g: Graph, worth: Names, level: str) -> str:
    gain = g.op("Sub", worth.q, g.op("Unsqueeze", level, g.ints(1)))
    return g.op("Where", MASK, g.op("Mul", worth.v, gain), _number(g, -np.inf))


def _slate_value(g: Graph, worth: Names, scores: str) -> str:
    """What the best-scored slates are worth (N,)."""
    filled = g.op("Min", g.op("Shape", MASK, having={"start": 1}), g.ints(len(worth.attention)))
    slate = g.ops("TopK", 2, scores, filled)[1]
    attention = g.op("Slice", _number(g, worth.attention), g.ints(0), filled)
    v = g.op("Mul", g.op("GatherElements", worth.v, slate, having={"axis": 1}), attention)
    q = g.op("GatherElements", worth.q, slate, having={"axis": 1})
    top = g.op("Add", g.op("Mul", worth.null_v, worth.null_q), g.op("ReduceSum", g.op("Mul", v, q), g.ints(1)))
    made = g.op("Div", top, g.op("Add", worth.null_v, g.op("ReduceSum", v, g.ints(1))))
    return g.op("Squeeze", made, g.ints(1))


def _standardised(g: Graph, scores: str) -> str:
    """See `policies.rllib.slateq_loss.standardised`; anything at holes."""
    zero, here = _number(g, 0.0), g.double(MASK)
    n = g.op("Max", g.op("ReduceSum", here, g.ints(1)), _number(g, 1.0))
    finite = g.op("Where", MASK, scores, zero)
    mean = g.op("Div", g.op("ReduceSum", finite, g.ints(1)), n)
    centred = g.op("Where", MASK, g.op("Sub", finite, mean), zero)
    variance = g.op("Div", g.op("ReduceSum", g.op("Mul", centred, centred), g.ints(1)), n)
    return g.single(g.op("Div", centred, g.op("Max", g.op("Sqrt", variance), _number(g, SAME))))


def _number(g: Graph, value: npt.ArrayLike) -> str:
    return g.number(value, np.float64)


def _layer(g: Graph, made: torch.nn.Linear, x: str) -> str:
    return g.affine(x, array(made.weight), array(made.bias), np.float64)


def _clipped(g: Graph, logit: str) -> str:
    return g.op("Clip", logit, _number(g, -LOGIT_LIMIT), _number(g, LOGIT_LIMIT))


OPTIMISERS: dict[str, Callable[[Graph, Names], str]] = {"optimal": _exact, "greedy": _greedy, "top-k": _top_k}
