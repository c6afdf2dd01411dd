"""Boosted trees as arrays: a sum of step functions that is evaluated, saved and checked without the library behind it.

LightGBM's own text is not kept, for reading it is not safe: cut short, it makes LightGBM 4.7 read past the end of its
buffer and end the process. Arrays are checked before they are used, and run on any device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

ROWS = 2048  # evaluated at once, so that what is held stays in the cache

FIELDS = ("feature", "threshold", "left", "right", "leaf")


@dataclass(frozen=True)
class Trees:
    """T trees of at most L leaves; a tree with one leaf has it as child on both sides of its first node.

    feature: (T, L - 1) int32, of the split. threshold: (T, L - 1) float32; left where x <= threshold. left, right: (T,
    L - 1) int32, the node that follows, always a later one, or -1 - l for leaf l. leaf: (T, L) float64 values.
    """

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    leaf: npt.NDArray[np.float64]


def no_trees() -> Trees:
    """None: the sum is 0."""
    nodes = np.zeros((0, 1), dtype=np.int32)
    return Trees(nodes, nodes.astype(np.float32), nodes - 1, nodes - 1, np.zeros((0, 2)))


def from_dump(dump: Mapping[str, Any]) -> Trees:
    """Trees of what LightGBM's `Booster.dump_model` returns; numerical splits only, as features here are."""
    structures = [tree["tree_structure"] for tree in dump["tree_info"]]
    n_leaves = max([2, *(tree["num_leaves"] for tree in dump["tree_info"])])
    shape = len(structures), n_leaves - 1
    made = Trees(
        np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.full(shape, -1, np.int32),
        np.full(shape, -1, np.int32), np.zeros((len(structures), n_leaves)),
    )  # fmt: skip
    for t, root in enumerate(structures):
        _write(made, t, root)
    return made


def check_trees(trees: Trees, n_features: int) -> int:
    """The depth of the deepest tree.

    Raises:
        ValueError: for arrays that are no trees over so many features.
    """
    n_trees, n_nodes = trees.feature.shape
    for name in FIELDS:
        array, expected = getattr(trees, name), (n_trees, n_nodes + (name == "leaf"))
        if array.shape != expected:
            raise ValueError(f"{name} has shape {array.shape}; expected {expected}")
    if ((trees.feature < 0) | (trees.feature >= n_features)).any():
        raise ValueError(f"feature has a value outside 0 to {n_features - 1}")
    here = np.arange(n_nodes)
    depth = np.ones((n_trees, n_nodes), dtype=np.int64)
    for name in ("left", "right"):
        child = getattr(trees, name)
        if ((child < -1 - n_nodes) | (child >= n_nodes) | ((child >= 0) & (child <= here))).any():
            raise ValueError(f"{name} names a node that does not follow, so that there are no trees")
    for node in range(n_nodes):  # a child stands after its parent
        for child in (trees.left[:, node], trees.right[:, node]):
            inner = np.flatnonzero(child >= 0)
            depth[inner, child[inner]] = np.maximum(depth[inner, child[inner]], depth[inner, node] + 1)
    return int(depth.max(initial=0))


class Sum:
    """Trees on a device, ready to be evaluated."""

    def __init__(self, trees: Trees, n_features: int, device: torch.device) -> None:
        """Check them and move them.

        Raises:
            ValueError: see `check_trees`.
        """
        self.trees, self.depth = trees, check_trees(trees, n_features)
        n_trees, self.n_nodes = trees.feature.shape
        self.start = torch.arange(n_trees, device=device)
        both = np.stack([trees.right, trees.left], axis=-1).reshape(-1)  # by whether x <= threshold
        self.feature, self.threshold, self.child, self.leaf = (
            torch.from_numpy(np.ascontiguousarray(part.reshape(-1))).to(device)
            for part in (trees.feature.astype(np.int64), trees.threshold, both.astype(np.int64), trees.leaf)
        )

    def values(self, x: Tensor) -> Tensor:
        """Sums (R,) float64 of rows x (R, F) float32."""
        return torch.cat([self._values(rows) for rows in torch.split(x, ROWS)]) if len(x) else x.new_zeros(0).double()

    def _values(self, x: Tensor) -> Tensor:
        base = self.start * self.n_nodes
        node = base.expand(len(x), -1)  # (R, T) places among all nodes
        place = torch.zeros_like(node)  # nodes of the tree, or -1 - leaf once there
        for _ in range(self.depth):
            goes_left = x.gather(1, self.feature[node]) <= self.threshold[node]
            place = torch.where(place >= 0, self.child[2 * node + goes_left], place)
            node = base + place.clamp(min=0)
        return self.leaf[self.start * (self.n_nodes + 1) - 1 - place].sum(dim=1)


def _write(made: Trees, t: int, root: Mapping[str, Any]) -> None:
    if "split_feature" not in root:
        made.leaf[t, 0] = root["leaf_value"]
        return
    waiting = [root]
    while waiting:
        split = waiting.pop()
        node = split["split_index"]
        made.feature[t, node] = split["split_feature"]
        made.threshold[t, node] = _not_above(split["threshold"])
        for side, name in ((made.left, "left_child"), (made.right, "right_child")):
            child = split[name]
            if "split_feature" in child:
                side[t, node] = child["split_index"]
                waiting.append(child)
            else:
                side[t, node] = -1 - child["leaf_index"]
                made.leaf[t, child["leaf_index"]] = child["leaf_value"]


def _not_above(threshold: float) -> np.float32:
    """The largest float32 up to a float64: float32 features stand on the same side of both."""
    near = np.float32(threshold)
    return near if near <= threshold else np.nextafter(near, np.float32(-np.inf))
