"""Scores of networks and of boosted trees as graphs: what `policies.kernels.mlp`, `diagonal` and `trees` compute."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from onnx import numpy_helper

from policies.kernels.mlp import Weights
from policies.kernels.trees import Trees
from policies.shipping.graph import Graph

LEQ, LEAF = "BRANCH_LEQ", "LEAF"


def array(tensor: torch.Tensor) -> npt.NDArray[np.generic]:
    """A tensor's numbers."""
    made: npt.NDArray[np.generic] = tensor.detach().cpu().numpy()
    return made


def number(g: Graph, tensor: torch.Tensor) -> str:
    """A tensor's numbers in the graph."""
    return g.number(array(tensor))


def layer(g: Graph, made: torch.nn.Linear, x: str) -> str:
    """What a layer makes of x (.., P), (.., Q)."""
    return g.affine(x, array(made.weight), array(made.bias))


def standardised(g: Graph, mean: torch.Tensor, scale: torch.Tensor, x: str) -> str:
    """Features (x - mean) / scale."""
    return g.op("Div", g.op("Sub", x, number(g, mean)), number(g, scale))


def hidden_layers(g: Graph, net: Weights, x: str) -> tuple[str, str, str]:
    """Standardised input (N, C, F) and both hidden layers, (N, C, H) and (N, C, G)."""
    z = standardised(g, net.mean, net.scale, x)
    one = g.op("Relu", g.affine(z, array(net.w1), array(net.b1)))
    return z, one, g.op("Relu", g.affine(one, array(net.w2), array(net.b2)))


def value(g: Graph, net: Weights, two: str) -> str:
    """The output f, (N, C), of the second hidden layer."""
    return g.op("Add", g.dot(two, array(net.w3)), number(g, net.b3))


def diagonal_spread(g: Graph, net: Weights, precision: torch.Tensor, layers: tuple[str, str, str]) -> str:
    """Deviations (N, C) under a diagonal precision, see `policies.kernels.diagonal`."""
    z, one, two = layers
    h, f = net.w1.shape
    k = len(net.w3)
    inverse = array(1.0 / (precision.double() * k))
    v1, c1, v2, c2, v3, c3 = np.split(inverse, np.cumsum([h * f, h, k * h, k, k]))
    alive = array(net.w3.double() ** 2)
    is_on_1, is_on_2 = (g.single(g.op("Greater", layer, g.number(0.0))) for layer in (one, two))
    delta = g.op("MatMul", g.op("Mul", is_on_2, number(g, net.w3)), number(g, net.w2))
    delta = g.op("Mul", delta, is_on_1)
    by_two = g.affine(g.op("Mul", one, one), alive[:, None] * v2.reshape(k, h), alive * c2)
    by_one = g.affine(g.op("Mul", z, z), v1.reshape(h, f), c1)
    parts = [
        g.op("Add", g.dot(g.op("Mul", two, two), v3), g.number(c3[0])),
        _summed(g, g.op("Mul", by_two, is_on_2)),
        _summed(g, g.op("Mul", by_one, g.op("Mul", delta, delta))),
    ]
    return g.op("Sqrt", g.op("Sum", *parts))


def members(g: Graph, net: Weights, x: str) -> str:
    """Values (N, M, C) of each member of an ensemble, whose weights have a leading axis M."""
    z = g.op("Unsqueeze", standardised(g, net.mean, net.scale, x), g.ints(1))  # (N, 1, C, F)
    for weight, bias in ((net.w1, net.b1), (net.w2, net.b2)):
        z = g.op("MatMul", z, g.number(np.swapaxes(array(weight), 1, 2)))
        z = g.op("Relu", g.op("Add", z, g.number(array(bias)[:, None, :])))
    last = g.op("Squeeze", g.op("MatMul", z, g.number(array(net.w3)[:, :, None])), g.ints(3))
    return g.op("Add", last, g.number(array(net.b3)[:, None]))


def mean_and_deviation(g: Graph, values: str) -> tuple[str, str]:
    """Over the members, (N, C) each; the deviation divides by M."""
    mean = g.op("ReduceMean", values, g.ints(1))
    off = g.op("Sub", values, mean)
    deviation = g.op("Sqrt", g.op("ReduceMean", g.op("Mul", off, off), g.ints(1), having={"keepdims": 0}))
    return g.op("Squeeze", mean, g.ints(1)), deviation


def trees(g: Graph, held: Trees, n_features: int, x: str, like: str) -> str:
    """Sums of boosted trees, in the shape (N, C) of `like`; compared and added in float64."""
    if not len(held.feature):
        return g.dot(x, np.zeros(n_features))
    rows = g.double(g.op("Reshape", x, g.ints(-1, n_features)))
    made = g.op("TreeEnsembleRegressor", rows, having={"domain": "ai.onnx.ml", "n_targets": 1, **_nodes(held)})
    return g.op("Reshape", made, g.op("Shape", like))


def _nodes(held: Trees) -> dict[str, object]:
    """Nodes and leaves as the operator takes them: inner node i of a tree is its node i, leaf l comes after them."""
    n_nodes = held.feature.shape[1]
    columns: dict[str, list[object]] = {
        name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    }
    leaves: dict[str, list[int]] = {"treeids": [], "nodeids": [], "ids": []}
    weights: list[float] = []
    for t in range(len(held.feature)):
        waiting, done = [0], set[int]()
        while waiting:
            node = waiting.pop()
            if node in done:  # a tree of one leaf has it on both sides
                continue
            done.add(node)
            row: tuple[object, ...] = (t, node, 0, 0.0, LEAF, 0, 0)
            if node < n_nodes:
                children = (int(held.left[t, node]), int(held.right[t, node]))
                left, right = (child if child >= 0 else n_nodes - 1 - child for child in children)
                row = (t, node, int(held.feature[t, node]), float(held.threshold[t, node]), LEQ, left, right)
                waiting += [left, right]
            else:
                for name, one in zip(leaves, (t, node, 0), strict=True):
                    leaves[name].append(one)
                weights.append(float(held.leaf[t, node - n_nodes]))
            for name, cell in zip(columns, row, strict=True):
                columns[name].append(cell)
    thresholds = columns.pop("values")
    return {
        **{f"nodes_{name}": cells for name, cells in columns.items()},
        **{f"target_{name}": cells for name, cells in leaves.items()},
        "nodes_values_as_tensor": _attribute(np.array(thresholds, dtype=np.float64)),
        "target_weights_as_tensor": _attribute(np.array(weights, dtype=np.float64)),
    }


def _attribute(values: npt.NDArray[np.float64]) -> object:
    return numpy_helper.from_array(values)


def _summed(g: Graph, x: str) -> str:
    return g.op("ReduceSum", x, g.ints(2), having={"keepdims": 0})
