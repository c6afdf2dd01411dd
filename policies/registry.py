"""POLICIES: the rankers that a person can name, and how a name, a folder or a function becomes one.

Nothing heavy is imported before a policy is made.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError, unknown_name

if TYPE_CHECKING:
    from policies.exploration.slotwise import AnyPolicy
    from policies.learning import Learner
    from policies.ranking import RankingPolicy, Scorer

CARD_FILE = "card.json"
# Settings that may name the folder of a saved model whose outputs are features, and who reads it.
SAVED_PARTS = {"reader": "policies.query.saving:read_reader", "session": "policies.session.saving:read_session"}


@dataclass(frozen=True)
class Entry:
    """A policy by name.

    Attributes:
        about: One line about it.
        temperature: Its default temperature; scores of different policies have different scales.
        floor: Its default floor.
        made_by: "module:name" of a class, or of an object with `empty`; imported when the policy is made.
        learns: True where it needs training first.
        sees_truth: True for oracles, which can be played and never judged from a log.
        trained_by: "module:name" of the function that makes its `policies.rllib.trainer.Trainer`, imported when it is
            trained; empty for learners from shown slots, which `policies.training` trains.
        acts: True where it learns by playing in the market and never from a log.
        needs_runners: True where it cannot play in the process that learns.
    """

    about: str
    temperature: float
    floor: float
    made_by: str
    learns: bool = False
    sees_truth: bool = False
    trained_by: str = ""
    acts: bool = False
    needs_runners: bool = False


# What exploring costs. Default market, three logs of 12,000 searches, judged on 300 shoppers: the share of the gap from
# production to the best ranking on public information that a policy closes, and of the rows of its log that are left to
# judge production by at slot 1 (effective; standard deviations over logs are .01 to .02):
#
#   linear         greedy 88%   at .03, floor .01: 51%, 15% of rows   .015, .001: 75%, .6%    .01, .0001: 81%, .03%
#   neural-linear  greedy 87%   at .3, floor .01:  55%, 8% of rows    .15, .001:  76%, .3%    .1, .0001:  79%, .02%
#   neural-ts      greedy 77%   draws at .3, floor .01: 49%, 8%       .1, .001:   64%         .1, .0001:  64%, .03%
#   co-view        greedy  1%   at .1, floor .0001: -12%              .07: -6%, .3% of rows   .05: -3%, .04% of rows
#
# Whoever writes a log to judge others by explores more than these defaults: give a temperature and a floor.
POLICIES: dict[str, Entry] = {
    "uniform": Entry("every candidate alike", 1.0, 0.0, "policies.baselines:Uniform"),
    "popularity": Entry("past sales, whatever was asked", 0.7, 0.02, "policies.baselines:Popularity"),
    "lexical": Entry("matches between the query's words and the item", 0.4, 0.02, "policies.baselines:Lexical"),
    "production": Entry(
        "lexical match, then popularity, as many shops run it", 0.7, 0.02, "policies.baselines:Production"
    ),
    "oracle": Entry(
        "myopic oracle: sees hidden taste, cannot be shipped", 0.0, 0.0, "policies.oracles:MyopicOracle",
        sees_truth=True,
    ),
    "linear": Entry(
        "linear contextual bandit over shown slots", 0.015, 0.001, "policies.linear:LinearBandit", learns=True
    ),
    "linear-ts": Entry(
        "linear Thompson sampling, a mixture of posterior draws", 1.0, 0.0001, "policies.linear_family:LinearThompson",
        learns=True,
    ),
    "linear-disjoint": Entry(
        "linear bandit with a model for each category", 0.01, 0.0001, "policies.linear_family:DisjointLinear",
        learns=True,
    ),
    "logistic": Entry(
        "logistic bandit with a Laplace posterior", 0.1, 0.0001, "policies.logistic:LogisticBandit", learns=True
    ),
    "neural-linear": Entry(
        "neural contextual bandit with a Bayesian last layer", 0.15, 0.001, "policies.neural:NEURAL_LINEAR", learns=True
    ),
    "neural-ucb": Entry(
        "neural bandit with an upper bound over all weights", 0.1, 0.0001, "policies.neural:NEURAL_UCB", learns=True
    ),
    "neural-ts": Entry(
        "neural Thompson sampling, a mixture of draws", 1.0, 0.001, "policies.neural:NEURAL_TS", learns=True
    ),
    "ensemble": Entry(
        "bootstrapped ensemble of neural bandits", 0.1, 0.0001, "policies.neural:ENSEMBLE", learns=True
    ),
    "two-tower": Entry(
        "a vector for the search and one for each item, learned from clicks", 0.13, 0.0001,
        "policies.two_tower:TWO_TOWER", learns=True,
    ),
    "cross": Entry(
        "one network over search and item together, with embeddings of ids", 0.13, 0.0001, "policies.cross:CROSS",
        learns=True,
    ),
    "position-aware": Entry(
        "clicks freed of examination and trust, times what a click is worth", 0.08, 0.0001,
        "policies.position_aware:POSITION_AWARE", learns=True,
    ),
    "lambdamart": Entry(
        "gradient-boosted trees on the order of clicks, by LightGBM", 0.03, 0.0001, "policies.lambdamart:LambdaMart",
        learns=True,
    ),
    "co-view": Entry(
        "who clicked this also clicked that, mixed with what is clicked much", 0.05, 0.0001, "policies.co_view:CoView",
        learns=True,
    ),
    "pl-gradient": Entry(
        "slates trained on an off-policy estimate of their value", 1.0, 0.01,
        "policies.from_logs.learner:PlackettLuceGradient", learns=True,
    ),
    "ppo-slate": Entry(
        "PPO over Plackett-Luce slates, trained by RLlib in the market", 1.0, 0.0001, "policies.slate_net:PPO_SLATE",
        learns=True, trained_by="policies.rllib.train:ppo_trainer", acts=True,
    ),
    "appo-slate": Entry(
        "the same by asynchronous PPO, in several processes", 1.0, 0.0001, "policies.slate_net:APPO_SLATE",
        learns=True, trained_by="policies.rllib.train:appo_trainer", acts=True, needs_runners=True,
    ),
    "bc-slate": Entry(
        "shows what a log's ranker showed, by RLlib's behaviour cloning", 1.0, 0.01,
        "policies.slate_imitation:BC_SLATE", learns=True, trained_by="policies.rllib.offline_training:offline_trainer",
    ),
    "marwil-slate": Entry(
        "shows what went well of what a log's ranker showed, by RLlib's MARWIL", 1.0, 0.01,
        "policies.slate_imitation:MARWIL_SLATE", learns=True,
        trained_by="policies.rllib.offline_training:offline_trainer",
    ),
    "slateq-offline": Entry(
        "SlateQ from a log: long-term values, with doubt about what nobody tried", 0.3, 0.0001,
        "policies.slateq_offline:OfflineSlateQScorer", learns=True,
        trained_by="policies.rllib.slateq_offline_training:offline_slateq_trainer",
    ),
    "slateq": Entry(
        "SlateQ: item-wise long-term values and a choice model, trained by RLlib in the market", 0.3, 0.0001,
        "policies.slateq:SlateQScorer", learns=True, trained_by="policies.rllib.slateq_train:slateq_trainer", acts=True,
    ),
}  # fmt: skip


def entry_of(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UserError: for a name that is not in POLICIES.
    """
    if name not in POLICIES:
        raise unknown_name("policy", name, POLICIES)
    return POLICIES[name]


def new_learner(
    name: str,
    catalogue: PublicCatalogue,
    n_slots: int,
    seed: int,
    device: str = "cpu",
    settings: Mapping[str, Any] | None = None,
) -> Learner:
    """An untrained learner.

    Args:
        name: In POLICIES.
        catalogue: Public columns.
        n_slots: K.
        seed: Of everything that it draws.
        device: A torch device.
        settings: In place of its defaults; `reader` is "dictionary" or the folder of a saved encoder, `session`
            "counts" or the folder of a saved session model.

    Raises:
        UserError: for an unknown name or setting, or a policy that has nothing to learn.
    """
    entry = entry_of(name)
    if not entry.learns:
        learners = ", ".join(each for each, other in POLICIES.items() if other.learns)
        raise UserError(f"policy '{name}' has nothing to learn; expected one of {learners}.")
    given = {**(settings or {}), "seed": seed, "device": device}
    weights: dict[str, npt.NDArray[np.generic]] = {}
    for setting, folder in part_folders(given).items():
        given[setting], held = _class(SAVED_PARTS[setting])(folder)
        weights |= {f"{setting}.{name}": value for name, value in held.items()}
    made: Learner = _class(entry.made_by).empty(catalogue, n_slots, given)
    try:
        if weights:
            made.feature_map.restore(weights)
    except (RuntimeError, TypeError) as error:  # torch says which weight does not fit
        told = ", ".join(f"{setting} '{folder}'" for setting, folder in part_folders(settings or {}).items())
        raise UserError(f"{told}: the weights are damaged ({str(error).splitlines()[0]}). Train it again.") from error
    return made


def part_folders(settings: Mapping[str, Any]) -> dict[str, Path]:
    """The folders of saved parts that settings of a learner name, by setting."""
    given = {setting: settings.get(setting) for setting in SAVED_PARTS}
    return {setting: Path(value) for setting, value in given.items()
            if isinstance(value, Path) or (isinstance(value, str) and Path(value).is_dir())}  # fmt: skip


def restored_learner(kind: str, catalogue: PublicCatalogue, n_slots: int, settings: dict[str, Any]) -> Learner:
    """A learner of a saved kind and settings, still without its numbers.

    Raises:
        UserError: for an unknown kind, or one that has nothing to learn.
    """
    entry = entry_of(kind)
    if not entry.learns:
        raise UserError(f"policy '{kind}' has nothing to learn, so there is no saved model of it")
    made: Learner = _class(entry.made_by).empty(catalogue, n_slots, settings)
    return made


def named_policy(name: str, catalogue: PublicCatalogue) -> RankingPolicy:
    """A fixed ranker by its name in POLICIES.

    Raises:
        UserError: for an unknown name, or the name of a learner.
    """
    from policies.ranking import RankingPolicy

    entry = entry_of(name)
    if entry.learns:
        raise UserError(
            f"policy '{name}' has to be trained first: slatelab train SCENARIO --policy {name} --out MODEL; "
            "then give the folder MODEL in its place."
        )
    scorer: Scorer = _class(entry.made_by)(catalogue)
    return RankingPolicy(name, scorer, entry.temperature, entry.floor, sees_truth=entry.sees_truth)


def load_policy(spec: str, catalogue: PublicCatalogue, n_slots: int) -> AnyPolicy:
    """The policy that a user named: a registry name, a saved model's folder, or `module:function`.

    A function is called with (catalogue, n_slots) and returns a `RankingPolicy` or a `SlotwisePolicy`; its module is
    looked for in the current folder too. Code is run only where the user names it in this form; loading a saved model
    runs none.

    Raises:
        UserError: where nothing of that name exists or what it made is no policy.
    """
    if (Path(spec) / CARD_FILE).is_file():
        from policies.persistence import load_any

        return load_any(Path(spec), catalogue, n_slots)
    if ":" in spec:
        return _from_function(spec, catalogue, n_slots)
    if Path(spec).is_dir():
        raise UserError(f"'{spec}' is a folder without {CARD_FILE}; expected a model saved by 'slatelab train'.")
    if spec not in POLICIES and "/" in spec:
        raise UserError(
            f"'{spec}' does not exist; expected the folder of a model saved by 'slatelab train', a name from "
            "'slatelab list policies', or module:function."
        )
    return named_policy(spec, catalogue)


def load_function(spec: str) -> Callable[..., Any]:
    """The function that a user named as module:function; its module is looked for in the current folder too.

    Raises:
        UserError: where there is none.
    """
    module_name, _, function_name = spec.partition(":")
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"policy '{spec}' cannot be loaded ({error}). Expected module:function, with the module on the Python path "
            "or in the current folder."
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    if not callable(function):
        raise UserError(f"policy '{spec}' is a {type(function).__name__}; expected a function.")
    made: Callable[..., Any] = function
    return made


def _from_function(spec: str, catalogue: PublicCatalogue, n_slots: int) -> AnyPolicy:
    from policies.exploration.slotwise import SlotwisePolicy
    from policies.ranking import RankingPolicy

    function = load_function(spec)
    made = function(catalogue, n_slots)
    if type(made) is not RankingPolicy and type(made) is not SlotwisePolicy:
        raise UserError(
            f"'{spec}' returned a {type(made).__name__}; expected policies.ranking.RankingPolicy(name, scorer, "
            "temperature, floor)."
        )
    policy: AnyPolicy = made
    return policy


def _class(made_by: str) -> Any:
    module, _, name = made_by.partition(":")
    return getattr(importlib.import_module(module), name)
