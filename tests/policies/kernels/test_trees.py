"""Boosted trees as arrays: the same sums as LightGBM's own, and a sentence for whatever is no tree."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from policies.kernels.trees import Sum, Trees, check_trees, from_dump, no_trees

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def booster() -> Any:
    """Twenty trees of LightGBM's on 3,000 rows of six float32 features, one of them of few values."""
    lightgbm = pytest.importorskip("lightgbm", reason="trees are trained by LightGBM")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 6)).astype(np.float32)
    x[:, 5] = rng.integers(0, 3, 3000)
    y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + x[:, 5]
    options = {"objective": "regression", "num_leaves": 31, "num_threads": 1, "verbosity": -1}
    return lightgbm.train(options, lightgbm.Dataset(x, y), 20)


def test_sums_are_those_of_lightgbm(booster: Any) -> None:
    """Equal up to the order of a sum of 20 float64 numbers; a row on the wrong side of a split would differ by .01."""
    trees = from_dump(booster.dump_model())
    x = np.random.default_rng(1).normal(size=(5000, 6)).astype(np.float32)
    x[:, 5] = np.random.default_rng(2).integers(0, 3, 5000)
    edges = trees.threshold[:, 0]
    x[: len(edges), 0] = edges  # exactly on a threshold
    found = Sum(trees, 6, CPU).values(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, booster.predict(x), rtol=0, atol=1e-12)


def test_a_tree_of_one_leaf_is_a_constant_and_no_trees_are_0() -> None:
    one = from_dump({"tree_info": [{"num_leaves": 1, "tree_structure": {"leaf_value": 0.25}}]})
    x = torch.zeros((3, 2))
    assert Sum(one, 2, CPU).values(x).tolist() == [0.25] * 3
    assert Sum(no_trees(), 2, CPU).values(x).tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("feature", 6, "feature has a value outside 0 to 5"),
        ("feature", -1, "feature has a value outside"),
        ("left", 0, "left names a node that does not follow"),
        ("right", 30, "right names a node"),
        ("left", -32, "left names a node"),
    ],
)
def test_what_is_no_tree_is_refused(field: str, value: int, told: str, booster: Any) -> None:
    trees = from_dump(booster.dump_model())
    broken = getattr(trees, field).copy()
    broken[3, 0] = value
    with pytest.raises(ValueError, match=told):
        check_trees(dataclasses.replace(trees, **{field: broken}), 6)


def test_arrays_that_do_not_fit_each_other_are_refused(booster: Any) -> None:
    trees = from_dump(booster.dump_model())
    with pytest.raises(ValueError, match="leaf has shape"):
        check_trees(Trees(trees.feature, trees.threshold, trees.left, trees.right, trees.leaf[:, :-1]), 6)
