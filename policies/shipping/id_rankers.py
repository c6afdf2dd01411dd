"""Scores that read ids, as graphs: the catalogue is a table in the graph, and ids gather from it.

What an item has of its own (a vector, an effect, its clicks) is computed once, when the graph is written; items that
come later need another export.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from policies.co_view import CoView
from policies.cross import Cross
from policies.features import N_DEVICES
from policies.id_tables import COLUMNS, IdTables
from policies.network_ranker import NetworkRanker
from policies.position_aware import LEVEL_RATE, PositionAware
from policies.position_based import weights_of
from policies.shipping import networks
from policies.shipping.export import FEATURES, Export, Input
from policies.shipping.graph import Graph
from policies.two_tower import TwoTower
from simenv.world import Page

INT64, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT


def _ids(field: str, axes: list[str | int], about: str) -> Input:
    """Ids as a page has them; a hole reads item 0."""

    def of_page(scorer: Any, page: Page) -> npt.NDArray[np.generic]:
        found: npt.NDArray[np.generic] = getattr(page, field).astype(np.int64)
        return np.maximum(found, 0) if field == "candidates" else found

    return Input(about, INT64, lambda scorer: axes, of_page)


ITEM = _ids("candidates", ["N", "C"], "each candidate's id: its row in the catalogue; any row at a hole")
TERMS = _ids("query_terms", ["N", len(COLUMNS)], f"the recognised word of each of {', '.join(COLUMNS)}; -1 for none")
RECENT = _ids("recent", ["N", "L"], "ids of the shopper's last clicks, as many as there are; -1 for none")
OF_SEARCH = {
    "locale": _ids("locale", ["N"], "index of the shopper's locale"),
    "device": _ids("device", ["N"], "index of the shopper's device"),
    "last_brand": _ids("last_brand", ["N"], "brand of the last item clicked; -1 for none"),
    "history": Input(
        "mean style and price of what the shopper clicked, as in the log",
        FLOAT,
        lambda scorer: ["N", scorer.feature_map.n_style + 1],
        lambda scorer, page: page.history.astype(np.float32),
    ),
    "history_weight": Input(
        "how many clicks that is the mean of, as in the log",
        FLOAT,
        lambda scorer: ["N"],
        lambda scorer, page: page.history_weight.astype(np.float32).reshape(-1),
    ),
}


def item_effect(g: Graph, weight: torch.Tensor, column: int = 0) -> str:
    """What each candidate has of its own, (N, C), from a table (I, P)."""
    return g.op("Gather", networks.number(g, weight[:, column]), "item")


def _rows_of_words(g: Graph, tables: IdTables) -> str:
    """Embeddings (N, T, D) of the recognised words."""
    size, first = (g.number(networks.array(each), np.int64) for each in (tables.size, tables.first))
    known = g.op("And", g.op("GreaterOrEqual", "terms", g.ints(0)), g.op("Less", "terms", size))
    row = g.op("Where", known, g.op("Add", "terms", first), g.ints(0))
    return g.op("Gather", networks.number(g, tables.table.weight), row)


def _flat(g: Graph, x: str) -> str:
    """(N, T, D) -> (N, T D)."""
    return g.op("Flatten", x, having={"axis": 1})


def _cross(g: Graph, scorer: NetworkRanker) -> str:
    net: Cross = scorer.net  # type: ignore[assignment]
    of_item = net.tables.items(torch.arange(len(net.tables.item_rows), device=scorer.device)).flatten(1)  # (I, T D)
    items = g.op("Gather", networks.number(g, of_item), "item")
    words = g.op("Unsqueeze", _flat(g, _rows_of_words(g, net.tables)), g.ints(1))
    asked = g.op("Expand", words, g.op("Shape", items))
    z = networks.standardised(g, net.mean, net.scale, FEATURES)
    x = g.op("Concat", z, asked, items, g.op("Mul", asked, items), having={"axis": 2})
    x = g.op("Add", g.op("Mul", x, networks.layer(g, net.cross, x)), x)
    for hidden in (net.first, net.second):
        x = g.op("Relu", networks.layer(g, hidden, x))
    made = g.op("Squeeze", networks.layer(g, net.head, x), g.ints(2))
    return g.op("Add", made, item_effect(g, net.item_own.weight))


def _two_tower(g: Graph, scorer: NetworkRanker) -> str:
    net: TwoTower = scorer.net  # type: ignore[assignment]
    with torch.no_grad():
        item = g.op("Gather", networks.number(g, net.item_table()), "item")  # (N, C, V)
    words = _rows_of_words(g, net.tables)
    place = g.op("Add", g.op("Mul", "locale", g.ints(N_DEVICES)), "device")
    read = [_flat(g, words), g.op("Gather", networks.number(g, net.places.weight), place)]
    past = _past(g)
    if net.past is not None:
        read += [_rows_of_brand(g, net.tables), past]
    out = g.op("Relu", networks.layer(g, net.search_in, g.op("Concat", *read, having={"axis": 1})))
    out = networks.layer(g, net.search_out, out)
    columns, deep = (
        g.op("Slice", out, g.ints(first), g.ints(last), g.ints(1))
        for first, last in ((0, net.columns.shape[1]), (net.columns.shape[1], net.search_out.out_features - 1))
    )
    if net.past is not None:
        columns = g.op("Add", columns, g.op("MatMul", past, g.number(networks.array(net.past.weight).T)))
    matches = _flat(g, g.op("Mul", words, g.number(networks.array(net.weight)[:, None])))
    one = g.op("Add", g.op("Mul", _column(g, "history_weight"), g.number(0.0)), g.number(1.0))
    vector = g.op("Unsqueeze", g.op("Concat", matches, columns, deep, one, having={"axis": 1}), g.ints(2))
    return g.op("Squeeze", g.op("MatMul", item, vector), g.ints(2))


def _past(g: Graph) -> str:
    """See `policies.two_tower`."""
    weight = _column(g, "history_weight")
    sure = g.op("Div", weight, g.op("Add", weight, g.number(5.0)))
    return g.op("Concat", "history", g.op("Mul", "history", sure), sure, having={"axis": 1})


def _rows_of_brand(g: Graph, tables: IdTables) -> str:
    """Embedding (N, D) of the last brand."""
    at = COLUMNS.index("brand")
    size, first = int(tables.size[at]), int(tables.first[at])
    known = g.op("And", g.op("GreaterOrEqual", "last_brand", g.ints(0)), g.op("Less", "last_brand", g.ints(size)))
    row = g.op("Where", known, g.op("Add", "last_brand", g.ints(first)), g.ints(0))
    return g.op("Gather", networks.number(g, tables.table.weight), row)


def _column(g: Graph, name: str) -> str:
    return g.op("Unsqueeze", name, g.ints(1))


def _position_aware(g: Graph, scorer: NetworkRanker) -> str:
    net: PositionAware = scorer.net  # type: ignore[assignment]
    parts = []
    for place, (torso, head) in enumerate(((net.torso, net.head), (net.value_torso, net.value_head))):
        weights = weights_of(torso, head)
        value = networks.value(g, weights, networks.hidden_layers(g, weights, FEATURES)[2])
        own = item_effect(g, net.item_own.weight, place) if net.has_own else g.number(0.0)
        parts.append(g.op("Add", value, own))
    log_odds, log_gain = parts
    attraction = g.op("Neg", g.op("Softplus", g.op("Neg", log_odds)))
    if not net.has_value:
        return attraction
    return g.op("Add", attraction, g.op("Add", log_gain, g.number(LEVEL_RATE * float(net.level.detach()))))


def _co_view(g: Graph, scorer: CoView) -> str:
    """In float64, as the scorer has it; pairs are found by halving their sorted list."""
    score = g.op("Gather", g.number(scorer.popularity(), np.float64), "item")
    if not (scorer.settings["personal"] and len(scorer.pair)):
        return g.single(score)
    last = g.op("Unsqueeze", "recent", g.ints(2))  # (N, L, 1)
    clicked = g.op("Max", last, g.ints(0))
    beside = g.op("Unsqueeze", "item", g.ints(1))  # (N, 1, C)
    key = g.op("Add", g.op("Mul", clicked, g.ints(scorer.n_items)), beside)  # (N, L, C)
    count = g.op("Where", g.op("GreaterOrEqual", last, g.ints(0)), _found(g, scorer, key), g.number(0.0, np.float64))
    sums = [g.number(each, np.float64) for each in scorer.sums()]
    both = g.op("Mul", g.op("Gather", sums[0], clicked), g.op("Gather", sums[1], beside))
    norm = g.op("Add", g.op("Sqrt", both), g.number(scorer.settings["damping"], np.float64))
    together = g.op("ReduceSum", g.op("Div", count, norm), g.ints(1), having={"keepdims": 0})
    return g.single(g.op("Add", score, g.op("Mul", together, g.number(scorer.settings["weight"], np.float64))))


def _found(g: Graph, scorer: CoView, key: str) -> str:
    """How often each key's pair was counted, (N, L, C) float64; 0 of a pair that is not in the list."""
    depth = len(scorer.pair).bit_length()  # 2^depth places, the last of them empty
    pair = np.full(2**depth, np.iinfo(np.int64).max)
    count = np.zeros(2**depth)
    pair[: len(scorer.pair)], count[: len(scorer.pair)] = scorer.pair, scorer.count
    pairs, at = g.number(pair, np.int64), g.op("Mul", key, g.ints(0))
    for step in (2**level for level in reversed(range(depth))):
        further = g.op("Add", at, g.ints(step))
        before = g.op("Gather", pairs, g.op("Sub", further, g.ints(1)))
        at = g.op("Where", g.op("Less", before, key), further, at)
    is_there = g.op("Equal", g.op("Gather", pairs, at), key)
    return g.op("Where", is_there, g.op("Gather", g.number(count, np.float64), at), g.number(0.0, np.float64))


ID_EXPORTS: dict[str, Export] = {
    "two-tower": Export(_two_tower, {"item": ITEM, "terms": TERMS, **OF_SEARCH}, reads_features=False),
    "cross": Export(_cross, {"item": ITEM, "terms": TERMS}),
    "position-aware": Export(_position_aware, {"item": ITEM}),
    "co-view": Export(_co_view, {"item": ITEM, "recent": RECENT}, reads_features=False),
}
