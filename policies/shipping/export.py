"""What an export of a learner is: how its score is computed in a graph, and what the graph reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from policies.shipping.graph import Graph
from simenv.world import Page

FEATURES, MASK = "features", "mask"


@dataclass(frozen=True)
class Input:
    """What a score reads beside features and mask.

    Attributes:
        about: What a serving system has to give.
        dtype: Of onnx.TensorProto.
        shape: Names or numbers of its axes, from the scorer.
        of_page: The input for a page, from the scorer: how the check feeds it.
    """

    about: str
    dtype: int
    shape: Callable[[Any], list[str | int]]
    of_page: Callable[[Any, Page], npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Export:
    """How a kind is exported.

    Attributes:
        scores: A function of (graph, scorer) that returns the scores (N, C) float32.
        inputs: What it reads beside features and mask, by name.
        reads_features: False where features are not read, and so not asked for.
    """

    scores: Callable[[Graph, Any], str]
    inputs: Mapping[str, Input] = field(default_factory=dict)
    reads_features: bool = True
