"""Learning from logs against known truth: what each objective brings, where, and where its own estimate is wrong.

Prints the table of docs/learning-from-logs.md where SLATELAB_WHOLE_TABLE is set: run with -s. Else the tests take what
they need: fewer objectives and markets.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from policies.examples import step_examples
from policies.from_logs.learner import PlackettLuceGradient
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, named_policy, new_learner
from simenv.play import play, shopper_range
from simenv.truth import on_logger_contexts
from simenv.worlds import load_world

pytestmark = pytest.mark.slow

WHOLE = "SLATELAB_WHOLE_TABLE" in os.environ
SEEDS = 5
SHOPPERS = 1_000  # of one training log: about 8,000 searches
JUDGES = 600  # shoppers of truth
OBJECTIVES = ("regression", "ips", "snips", "dr", "poem") if WHOLE else ("regression", "dr")


@dataclass(frozen=True)
class Setting:
    """A market, the temperature of its production ranker, and what is tried beside the objectives."""

    world: str
    temperature: float
    extra: dict[str, dict[str, object]]


SETTINGS = {
    "default": Setting("default", 0.7, {}),
    "narrow log": Setting("default", 0.2, {}),
    "cascade": Setting("cascade", 0.7, {"dr, prefix": {"weights": "prefix"}} if WHOLE else {}),
}


@dataclass(frozen=True)
class Measured:
    """By learner: true values per search (SEEDS,) as trained and greedy, own estimates; and the logger's value."""

    trained: dict[str, np.ndarray]
    greedy: dict[str, np.ndarray]
    estimate: dict[str, np.ndarray]
    logger: float


def measure(setting: Setting, seeds: Sequence[int] = range(SEEDS)) -> Measured:
    """Every training seed has its own log of shoppers that no other has seen; all are judged on the same shoppers."""
    world = load_world(setting.world)
    catalogue = world.catalogue.public()
    exploration = (setting.temperature, POLICIES["production"].floor)
    logger = named_policy("production", catalogue).with_exploration(*exploration)
    tried: dict[str, dict[str, object]] = {name: {"objective": name} for name in OBJECTIVES}
    tried |= setting.extra
    targets: dict[str, RankingPolicy] = {}
    estimates: dict[str, list[float]] = {name: [] for name in tried}
    entry = POLICIES["pl-gradient"]
    for seed in seeds:
        feature_map = new_learner("linear", catalogue, world.params.n_slots, 0).feature_map
        steps = play(world, logger, 3000 + seed, shopper_range(SHOPPERS))
        batches = [step_examples(feature_map, step, exploration) for step in steps]
        for name, settings in tried.items():
            learner = PlackettLuceGradient(catalogue, world.params.n_slots, {**settings, "seed": seed})
            for batch in batches:
                learner.update(batch)
            learner.finish()
            learner.kept_rows.clear()
            estimates[name].append(float(learner.history[learner.kept, 0]))
            print(setting.world, setting.temperature, seed, name, learner.history[:, 0].round(3), flush=True)
            targets[f"{name}/{seed}"] = RankingPolicy(name, learner, entry.temperature, entry.floor)
            targets[f"{name}/{seed}/greedy"] = RankingPolicy(name, learner, 0.0)
    worth = on_logger_contexts(world, logger, targets, seed=303, shoppers=shopper_range(JUDGES), n_draws=1)
    trained, greedy = (
        {name: np.array([worth[f"{name}/{seed}{end}"].value for seed in seeds]) for name in tried}
        for end in ("", "/greedy")
    )
    by_name = {name: np.array(values) for name, values in estimates.items()}
    return Measured(trained, greedy, by_name, worth["production"].value)


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and half-width, and lower limit, of a 95% t-interval over training seeds."""
    half = float(stats.t.ppf(0.975, SEEDS - 1) * stats.sem(values))
    return float(values.mean()), half, float(values.mean()) - half


def table(name: str, found: Measured) -> str:
    """Markdown rows: values, and lifts over regression paired by seed."""
    rows = [f"| {name} | logger | {found.logger:.3f} | | | | |"]
    for learner, value in found.trained.items():
        cells = [f"{value.mean():.3f}", f"{found.greedy[learner].mean():.3f}"]
        for each in (found.trained, found.greedy):
            mean, half, _ = interval(each[learner] - each["regression"])
            cells.insert(len(cells) - 1 if each is found.trained else len(cells), f"{mean:+.3f} ± {half:.3f}")
        cells.append(f"{(found.estimate[learner] - value).mean():+.3f}")
        rows.append(f"| {name} | {learner} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


@pytest.fixture(scope="module", params=SETTINGS if WHOLE else ("default", "cascade"))
def found(request: pytest.FixtureRequest) -> tuple[str, Measured]:
    measured = measure(SETTINGS[request.param])
    print("\n" + table(request.param, measured), flush=True)
    return request.param, measured


def test_every_objective_beats_the_logger(found: tuple[str, Measured]) -> None:
    """The lower limit of a 95% t-interval over training seeds."""
    for values in found[1].trained.values():
        assert interval(values - found[1].logger)[2] > 0


def test_learning_beats_its_warm_start_by_its_own_slates(found: tuple[str, Measured]) -> None:
    """Where the log explores and items stand for themselves, doubly robust learning pays, seed by seed."""
    name, measured = found
    if name == "default":
        assert interval(measured.trained["dr"] - measured.trained["regression"])[2] > 0


def test_item_position_estimates_exaggerate_under_a_cascade(found: tuple[str, Measured]) -> None:
    """The assumption is wrong there, and what stops the training says too much: by a tenth of the value at least."""
    name, measured = found
    if name == "cascade":
        for learner in set(OBJECTIVES) - {"regression"}:
            assert interval(measured.estimate[learner] - 1.1 * measured.trained[learner])[2] > 0
