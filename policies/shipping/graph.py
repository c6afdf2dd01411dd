"""A graph of ONNX in the making: operators are called like functions and return the name of what they made.

Written by hand instead of traced from torch: the graphs are small, their shapes stay free in N and C, and nothing
depends on which exporter a version of torch brings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
IR_VERSION = 10  # of onnxruntime 1.18 and later
MASKED = -1e30  # stands for -inf inside a softmax: finite, and nothing beside any score


class Graph:
    """Nodes in their order, and the numbers that they read."""

    def __init__(self) -> None:
        """Empty."""
        self._nodes: list[onnx.NodeProto] = []
        self._numbers: list[onnx.TensorProto] = []
        self._made = 0  # nodes so far, those inside of loops too: names are told apart by it

    def op(self, kind: str, *inputs: str, having: Mapping[str, Any] | None = None) -> str:
        """Add an operator of one output; returns the output's name."""
        return self.ops(kind, 1, *inputs, having=having)[0]

    def ops(self, kind: str, n_outputs: int, *inputs: str, having: Mapping[str, Any] | None = None) -> list[str]:
        """Add an operator of several outputs."""
        outputs = [f"{kind}_{self._made}_{i}" for i in range(n_outputs)]
        self._made += 1
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, **(having or {})))
        return outputs

    def name(self, value: str, as_output: str) -> None:
        """Give a value the name of an output."""
        self._made += 1
        self._nodes.append(helper.make_node("Identity", [value], [as_output]))

    def repeat(self, at_most: int, start: str, body: Callable[[str], tuple[str, str]]) -> str:
        """Add a loop over a value (N,) float64, and return what it comes to.

        Args:
            at_most: Times around.
            start: The value before the first.
            body: Adds one time around; from the value the next one, and whether to go on (a scalar bool).
        """
        outer, self._nodes = self._nodes, []
        value, go_on = f"value_{self._made}", f"go_on_{self._made}"
        following, more = body(value)
        double, boolean = onnx.TensorProto.DOUBLE, onnx.TensorProto.BOOL
        inner = helper.make_graph(
            self._nodes, "around",
            [helper.make_tensor_value_info(f"time_{self._made}", onnx.TensorProto.INT64, []),
             helper.make_tensor_value_info(go_on, boolean, []), helper.make_tensor_value_info(value, double, ["N"])],
            [helper.make_tensor_value_info(more, boolean, []), helper.make_tensor_value_info(following, double, ["N"])],
        )  # fmt: skip
        self._nodes = outer
        return self.op(
            "Loop", self.number(at_most, np.int64), self.number(True, np.bool_), start, having={"body": inner}
        )

    def number(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add numbers; torch tensors on the CPU are arrays too."""
        name = f"number_{len(self._numbers)}"
        self._numbers.append(numpy_helper.from_array(np.asarray(value).astype(dtype), name))
        return name

    def ints(self, *values: int) -> str:
        """Add a list of integers: axes, shapes, pads."""
        return self.number(np.array(values), np.int64)

    def double(self, value: str) -> str:
        """The value in float64."""
        return self.op("Cast", value, having={"to": onnx.TensorProto.DOUBLE})

    def single(self, value: str) -> str:
        """The value in float32."""
        return self.op("Cast", value, having={"to": onnx.TensorProto.FLOAT})

    def dot(self, x: str, vector: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Products (N, C) of x (N, C, P) with a vector (P,)."""
        made = self.op("MatMul", x, self.number(np.asarray(vector)[:, None], dtype))
        return self.op("Squeeze", made, self.ints(2))

    def affine(self, x: str, weight: npt.ArrayLike, bias: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """What a layer of weight (Q, P) and bias (Q,) makes of x (.., P), (.., Q)."""
        return self.op("Add", self.op("MatMul", x, self.number(np.asarray(weight).T, dtype)), self.number(bias, dtype))

    def length(self, x: str) -> str:
        """Euclidean length over the last axis of (N, C, P), (N, C)."""
        return self.op("ReduceL2", x, self.ints(-1), having={"keepdims": 0})

    def model(
        self,
        inputs: Mapping[str, tuple[int, list[str | int]]],
        outputs: Mapping[str, tuple[int, list[str | int]]],
        facts: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The finished model.

        Args:
            inputs: By name, the element type (of onnx.TensorProto) and the shape, whose names may be any number.
            outputs: In the same way.
            facts: Texts that travel in the file.
        """
        made = helper.make_graph(
            self._nodes,
            "slatelab",
            [helper.make_tensor_value_info(name, *each) for name, each in inputs.items()],
            [helper.make_tensor_value_info(name, *each) for name, each in outputs.items()],
            self._numbers,
        )
        model = helper.make_model(made, opset_imports=OPSETS, producer_name="slatelab")
        model.ir_version = IR_VERSION
        helper.set_model_props(model, dict(facts))
        onnx.checker.check_model(model, full_check=True)
        return model
