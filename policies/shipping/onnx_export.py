"""Export of a policy to ONNX, never without a check: the file appears only where it shows what the policy shows.

Inputs are what a serving system has: `mask` (N, C) bool, False at holes; `features` (N, C, F) float32 in the order of
the card, where the score reads them; and what it needs beside (`policies.shipping.learners`). Outputs: `scores` (N, C)
float32, -inf at holes; `probabilities` (N, C) float32 of the first choice, temperature and floor inside; `slate` (N, K)
int64, the K best positions, ties to the earlier one, -1 where there are fewer. A slate drawn without replacement by
these probabilities is what the policy shows; `slate` is what it would show without chance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from policies import plackett_luce
from policies.features import page_tensors
from policies.learning import Learner
from policies.ranking import RankingPolicy
from simenv.errors import UserError
from simenv.world import Page

TOLERANCE = 1e-5  # of probabilities, and of scores whose order may be taken for a tie, relative to their size
ROUNDING = 5e-7  # of scores by float32; a probability moves by up to this over the temperature
OUTPUTS = ("scores", "probabilities", "slate")


@dataclass(frozen=True)
class Checked:
    """How an export compares with its policy over some pages.

    Attributes:
        pages: How many.
        probability_error: The largest difference of a first-choice probability.
        score_error: The largest difference of a score.
        other_slates: Slates that differ, all of them by ties within the tolerance.
        inputs: What the graph reads: name and shape of each.
    """

    pages: int
    probability_error: float
    score_error: float
    other_slates: int
    inputs: dict[str, list[str | int]]


def export_policy(policy: RankingPolicy, n_slots: int, card: Mapping[str, Any], out: Path, page: Page) -> Checked:
    """Write a policy as ONNX, and compare the two over pages.

    Args:
        policy: Over a learner.
        n_slots: K.
        card: Of the model; it travels in the file as metadata "slatelab_card".
        out: The file; it must not exist.
        page: Real pages to compare over.

    Raises:
        UserError: for a learner or an exploration that cannot be exported, where onnx or onnxruntime is missing, where
            the file exists, or where graph and policy differ by more than `allowed_error`.
    """
    if out.exists():
        raise UserError(f"'{out}' exists already; a file is never overwritten. Choose another --out or remove it.")
    content = onnx_bytes(policy, n_slots, card)
    checked = compare(policy, content, n_slots, page)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.partial")
    draft.write_bytes(content)
    draft.replace(out)
    return checked


def onnx_bytes(policy: RankingPolicy, n_slots: int, card: Mapping[str, Any]) -> bytes:
    """The file's content, unchecked.

    Raises:
        UserError: see `export_policy`.
    """
    _require("onnx")
    from onnx import TensorProto

    from policies.shipping.choices import choice_of
    from policies.shipping.graph import Graph
    from policies.shipping.learners import export_of

    export, choice, g = export_of(policy.name, policy.scorer), choice_of(policy), Graph()
    holes = g.number(-np.inf)
    scores = g.op("Where", "mask", export.scores(g, policy.scorer), holes)
    p = choice(g, scores, "mask")
    if policy.exploration is not None:  # its policy ranks by log p, and says so in its log
        scores = g.op("Where", "mask", g.single(g.op("Log", p)), holes)
    pads = g.ints(0, 0, 0, n_slots)  # so that there are always K to take
    best, at = g.ops("TopK", 2, g.op("Pad", scores, pads, holes), g.ints(n_slots))
    slate = g.op("Where", g.op("IsInf", best), g.ints(-1), at)
    for value, name in zip((scores, g.single(p), slate), OUTPUTS, strict=True):
        g.name(value, name)
    single, axes = TensorProto.FLOAT, ["N", "C"]
    inputs: dict[str, tuple[int, list[str | int]]] = {
        "mask": (TensorProto.BOOL, ["N", "C"]),
        **{name: (each.dtype, each.shape(policy.scorer)) for name, each in export.inputs.items()},
    }
    if export.reads_features:
        inputs["features"] = (single, ["N", "C", len(_learner(policy).feature_map.feature_names)])
    outputs = {"scores": (single, axes), "probabilities": (single, axes), "slate": (TensorProto.INT64, ["N", n_slots])}
    about = {f"input_{name}": each.about for name, each in export.inputs.items()}
    model = g.model(inputs, outputs, {"slatelab_card": json.dumps(card), **about})  # type: ignore[arg-type]
    made: bytes = model.SerializeToString(deterministic=True)
    return made


def feeds(policy: RankingPolicy, page: Page) -> dict[str, npt.NDArray[np.generic]]:
    """What a graph of the policy reads, for pages."""
    import torch

    from policies.shipping.learners import export_of

    export, feature_map = export_of(policy.name, policy.scorer), _learner(policy).feature_map
    made: dict[str, npt.NDArray[np.generic]] = {"mask": page.candidates >= 0}
    if export.reads_features:
        with torch.no_grad():
            x = feature_map(page_tensors(page, feature_map.style.device))  # type: ignore[arg-type]
        made["features"] = x.cpu().numpy()
    return made | {name: each.of_page(policy.scorer, page) for name, each in export.inputs.items()}


def session(content: bytes) -> Any:
    """An onnxruntime session of one thread on the CPU.

    Raises:
        UserError: where onnxruntime is missing.
    """
    _require("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def compare(policy: RankingPolicy, content: bytes, n_slots: int, page: Page) -> Checked:
    """Run a graph beside its policy over pages.

    Raises:
        UserError: where a probability differs by more than `allowed_error`, or a slate does and not by a tie.
    """
    run = session(content)
    scores, p, slate = run.run(list(OUTPUTS), feeds(policy, page))
    expected = policy.scores(page)
    with np.errstate(divide="ignore"):
        first = _first_choice(policy, expected)
    best = plackett_luce.top(expected, n_slots)
    p_error = float(np.abs(p - first).max(initial=0.0))
    here = page.candidates >= 0
    score_error = float(np.abs(scores[here] - expected[here]).max(initial=0.0))
    allowed = allowed_error(policy.temperature)
    if not p_error <= allowed or (np.isfinite(scores) != here).any():
        raise UserError(
            f"policy '{policy.name}': the exported graph gives a probability that differs by {p_error:.2g} from the "
            f"policy's (at most {allowed:.2g} is allowed). Nothing was written; this is a defect worth reporting."
        )
    differ = (slate != best).any(axis=1)
    if not _are_ties(expected, slate, best):
        raise UserError(
            f"policy '{policy.name}': the exported graph ranks {int(differ.sum())} of {len(page)} pages differently, "
            "and not by ties. Nothing was written; this is a defect worth reporting."
        )
    shapes = {each.name: list(each.shape) for each in run.get_inputs()}
    return Checked(len(page), p_error, score_error, int(differ.sum()), shapes)


def allowed_error(temperature: float) -> float:
    """How far apart a probability of the two may be: TOLERANCE, or what rounding does to a cold policy's."""
    return max(TOLERANCE, ROUNDING / temperature) if temperature > 0 else TOLERANCE


def _first_choice(policy: RankingPolicy, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    if policy.temperature == 0:
        made = np.zeros(scores.shape)
        top = plackett_luce.top(scores, 1)[:, 0]
        made[np.flatnonzero(top >= 0), top[top >= 0]] = 1.0
        return made
    return np.exp(plackett_luce.log_weights(scores, policy.temperature, policy.floor))


def _are_ties(scores: npt.NDArray[np.float32], slate: npt.NDArray[np.int64], best: npt.NDArray[np.int32]) -> bool:
    """Whether slates hold the scores of the best ones at every slot, up to the tolerance, and no item twice."""
    if not ((slate < 0) == (best < 0)).all():
        return False
    filled = np.sort(np.where(slate < 0, -1 - np.arange(slate.shape[1]), slate), axis=1)
    if (filled[:, 1:] == filled[:, :-1]).any():
        return False
    filled_slot = best >= 0
    row = np.nonzero(filled_slot)[0]
    shown, wanted = scores[row, slate[filled_slot]], scores[row, best[filled_slot]]
    return bool((np.abs(shown - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted))).all())


def _learner(policy: RankingPolicy) -> Learner:
    made: Learner = policy.scorer  # type: ignore[assignment]
    return made


def _require(library: str) -> None:
    """Refuse to go on without a library.

    Raises:
        UserError: saying how to get it.
    """
    import importlib.util

    if importlib.util.find_spec(library) is None:
        raise UserError(f"exporting needs {library}, which is not installed; pip install 'slatelab[ship]' brings it.")
