"""Scores of learners as graphs: EXPORTS says of each kind how its score is computed and what it reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx

from policies.examples import page_names
from policies.from_logs.learner import PlackettLuceGradient
from policies.kernels.logistic import as_posterior
from policies.kernels.ridge import Posterior, posterior
from policies.lambdamart import LambdaMart
from policies.linear import LinearBandit
from policies.linear_beliefs import named_noise
from policies.linear_family import DisjointLinear, LinearThompson
from policies.logistic import LogisticBandit
from policies.neural import NeuralBandit
from policies.neural_beliefs import Diagonal, LastLayer
from policies.neural_ensemble import Members
from policies.position_based import weights_of
from policies.shipping import networks
from policies.shipping.export import FEATURES, MASK, Export, Input
from policies.shipping.graph import MASKED, Graph
from policies.shipping.id_rankers import ID_EXPORTS, ITEM, item_effect
from policies.shipping.slate_values import slateq_scores
from policies.slate_imitation import ImitationScorer
from policies.slate_net import SlateScorer
from simenv import hashing
from simenv.errors import UserError
from simenv.world import Page


def _linear(g: Graph, scorer: LinearBandit) -> str:
    theta, root = scorer.posterior()
    size = scorer.n_features
    return _bounded(g, theta[:size], root[:, :size], scorer.alpha)


def _logistic(g: Graph, scorer: LogisticBandit) -> str:
    own, size = as_posterior(scorer.mean, scorer.precision), len(scorer.feature_map.feature_names)
    return _bounded(g, own.mean[:size].numpy(), own.root[:, :size].numpy(), scorer.settings["alpha"])


def _bounded(g: Graph, mean: npt.NDArray[np.float64], root: npt.NDArray[np.float64], alpha: float) -> str:
    """`mean . x + alpha |root x|`."""
    value = g.dot(FEATURES, mean)
    if not alpha:
        return value
    spread = g.length(g.op("MatMul", FEATURES, g.number(root.T)))
    return g.op("Add", value, g.op("Mul", g.number(alpha), spread))


def _thompson_belief(scorer: LinearThompson) -> Posterior:
    """What theta of features is drawn from: mean (F,), root (P, F)."""
    own = posterior(scorer.feedback.total(), scorer.settings["regularisation"])
    size = len(scorer.feature_map.feature_names)
    return Posterior(own.mean[0, :size], own.root[0, :, :size] * scorer.settings["scale"])


def _linear_thompson(g: Graph, scorer: LinearThompson) -> str:
    """Log of the mean over draws of softmax(draw / temperature)."""
    own = _thompson_belief(scorer)
    theta = g.op("Add", g.op("MatMul", "noise", g.number(own.root)), g.number(own.mean))  # (N, M, F)
    draws = g.op("MatMul", theta, g.op("Transpose", FEATURES, having={"perm": [0, 2, 1]}))  # (N, M, C)
    return mixture(g, draws, scorer.settings["temperature"], scorer.settings["n_draws"])


def mixture(g: Graph, draws: str, temperature: float, n_draws: int) -> str:
    """Log of the mean over draws (N, M, C) of softmax(draw / temperature) among those that are here, (N, C)."""
    logit = g.op("Div", g.double(draws), g.number(temperature, np.float64))
    here = g.op("Unsqueeze", MASK, g.ints(1))
    logp = g.op("LogSoftmax", g.op("Where", here, logit, g.number(MASKED, np.float64)), having={"axis": 2})
    summed = g.op("ReduceLogSumExp", logp, g.ints(1), having={"keepdims": 0})
    return g.single(g.op("Sub", summed, g.number(np.log(n_draws), np.float64)))


def _disjoint(g: Graph, scorer: DisjointLinear) -> str:
    """A posterior for each arm, in float64 as the scorer has it."""
    own, size = posterior(scorer.feedback.total(), scorer.settings["regularisation"]), _n_features(scorer)
    x = g.double(FEATURES)
    mean = g.op("Gather", g.number(own.mean[:, :size], np.float64), "arm")  # (N, C, F)
    value = g.single(g.op("ReduceSum", g.op("Mul", mean, x), g.ints(2), having={"keepdims": 0}))
    if not scorer.settings["alpha"]:
        return value
    root = g.op("Gather", g.number(own.root[:, :, :size], np.float64), "arm")  # (N, C, P, F)
    turned = g.op("Squeeze", g.op("MatMul", root, g.op("Unsqueeze", x, g.ints(3))), g.ints(3))
    return g.op("Add", value, g.op("Mul", g.number(scorer.settings["alpha"]), g.single(g.length(turned))))


def _neural_linear(g: Graph, scorer: NeuralBandit) -> str:
    belief = cast(LastLayer, scorer.belief)
    net, alpha = belief.net.weights(), scorer.settings["alpha"]
    two = networks.hidden_layers(g, net, FEATURES)[2]
    root = networks.array(belief.root)
    spread = g.length(g.affine(two, root[:, :-1], root[:, -1])) if alpha else ""
    value = networks.value(g, net, two)
    if belief.net.item is not None:
        value = g.op("Add", value, item_effect(g, belief.net.item.weight))
    return _plus(g, value, alpha, spread)


def _neural_ucb(g: Graph, scorer: NeuralBandit) -> str:
    mean, spread = _diagonal(g, scorer)
    return _plus(g, mean, scorer.settings["alpha"], spread)


def _neural_ts(g: Graph, scorer: NeuralBandit) -> str:
    mean, spread = (g.op("Unsqueeze", each, g.ints(1)) for each in _diagonal(g, scorer))
    wide = g.op("Mul", spread, g.number(scorer.settings["scale"]))
    draws = g.op("Add", mean, g.op("Mul", wide, "noise"))
    return mixture(g, draws, scorer.settings["temperature"], scorer.settings["n_draws"])


def _diagonal(g: Graph, scorer: NeuralBandit) -> tuple[str, str]:
    belief = cast(Diagonal, scorer.belief)
    net = belief.net.weights()
    layers = networks.hidden_layers(g, net, FEATURES)
    return networks.value(g, net, layers[2]), networks.diagonal_spread(g, net, belief.precision, layers)


def _ensemble(g: Graph, scorer: NeuralBandit) -> str:
    values = networks.members(g, cast(Members, scorer.belief).net.weights(), FEATURES)
    mean, spread = networks.mean_and_deviation(g, values)
    return _plus(g, mean, scorer.settings["alpha"], spread)


def _lambdamart(g: Graph, scorer: LambdaMart) -> str:
    return networks.trees(g, scorer.trees.trees, len(scorer.feature_map.feature_names), FEATURES, MASK)


def _policy_gradient(g: Graph, scorer: PlackettLuceGradient) -> str:
    net = weights_of(scorer.policy.torso, scorer.policy.head)
    value = networks.value(g, net, networks.hidden_layers(g, net, FEATURES)[2])
    return g.op("Div", value, g.number(scorer.settings["temperature"]))


def _plus(g: Graph, mean: str, alpha: float, spread: str) -> str:
    return g.op("Add", mean, g.op("Mul", g.number(alpha), spread)) if alpha else mean


def _slate_net(g: Graph, scorer: SlateScorer) -> str:
    net = scorer.net
    deep = g.op("Relu", g.affine(FEATURES, networks.array(net.hidden.weight), networks.array(net.hidden.bias)))
    return g.op(
        "Add", g.dot(FEATURES, networks.array(net.linear.weight)[0]), g.dot(deep, networks.array(net.head.weight)[0])
    )


def _imitation(g: Graph, scorer: ImitationScorer) -> str:
    return _slate_net(g, scorer.slates)


def _n_features(scorer: DisjointLinear) -> int:
    return len(scorer.feature_map.feature_names)


def _noise(scorer: LinearThompson, page: Page) -> npt.NDArray[np.generic]:
    keys = page_names(page, scorer.settings["seed"])
    return networks.array(named_noise(keys, 0, scorer.settings["n_draws"], _thompson_belief(scorer).root.float()))


def _noise_of_items(scorer: NeuralBandit, page: Page) -> npt.NDArray[np.generic]:
    """As `policies.neural_beliefs.Diagonal` draws it, by page and item."""
    named = hashing.absorb(page_names(page, scorer.settings["seed"])[:, None], np.arange(scorer.settings["n_draws"]))
    noise = hashing.normal(hashing.absorb(named[:, :, None], page.candidates[:, None, :]))
    return noise.astype(np.float32)


NOISE = Input(
    "standard normals, fresh for each page; by `policies.linear_beliefs.named_noise` they are the Python policy's",
    onnx.TensorProto.FLOAT,
    lambda scorer: ["N", scorer.settings["n_draws"], len(_thompson_belief(scorer).root)],
    _noise,
)
NOISE_OF_ITEMS = Input(
    "standard normals, fresh for each page and candidate",
    onnx.TensorProto.FLOAT,
    lambda scorer: ["N", scorer.settings["n_draws"], "C"],
    _noise_of_items,
)
ARM = Input(
    "each candidate's arm: the place of its category among those of the catalogue, ascending; any arm at a hole",
    onnx.TensorProto.INT64,
    lambda scorer: ["N", "C"],
    lambda scorer, page: scorer.arm[np.maximum(page.candidates, 0)],
)
EXPORTS: dict[str, Export] = {
    "linear": Export(_linear),
    "linear-ts": Export(_linear_thompson, {"noise": NOISE}),
    "linear-disjoint": Export(_disjoint, {"arm": ARM}),
    "logistic": Export(_logistic),
    "neural-linear": Export(_neural_linear),
    "neural-ucb": Export(_neural_ucb),
    "neural-ts": Export(_neural_ts, {"noise": NOISE_OF_ITEMS}),
    "ensemble": Export(_ensemble),
    "lambdamart": Export(_lambdamart),
    "pl-gradient": Export(_policy_gradient),
    "ppo-slate": Export(_slate_net),
    "appo-slate": Export(_slate_net),
    "bc-slate": Export(_imitation),
    "marwil-slate": Export(_imitation),
    "slateq": Export(slateq_scores),
    "slateq-offline": Export(slateq_scores),
    **ID_EXPORTS,
}


def export_of(policy: str, scorer: Any) -> Export:
    """How the scorer of a policy is exported.

    Raises:
        UserError: for one that is not.
    """
    kind = getattr(scorer, "kind", "")
    if kind not in EXPORTS:
        raise UserError(
            f"policy '{policy}' cannot be exported: no graph is written for a {type(scorer).__name__}. What can: "
            f"{', '.join(EXPORTS)}."
        )
    made = EXPORTS[kind]
    return replace(made, inputs={**made.inputs, "item": ITEM}) if scorer.settings.get("item_effects") else made
