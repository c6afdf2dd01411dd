"""The registry of estimators: a line each.

The same few formulas serve every family of weights. A line also says what no data can check, which columns are needed,
how often the log is read, and why an estimator may never be trusted where that is so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from offpolicy import weights
from offpolicy.estimator import LOGGED, Estimator, Strength
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm, dr, ips, own_searches, sndr, snips, switch
from offpolicy.inference import lift_per_search
from offpolicy.loggers import mixture, shared, stable, weighted
from offpolicy.recency import at_the_end
from offpolicy.sequences.blend import blended
from offpolicy.sequences.terms import by_state, by_state_before, fitted, per_step, per_step_with_model
from offpolicy.single.cuts import balanced, beyond, embedded, tabled
from offpolicy.single.registry import SINGLE_ACTIONS
from offpolicy.slates.cuts import click_model, prefix, pseudoinverse
from offpolicy.slates.registry import READINGS
from offpolicy.statistics import Statistics
from offpolicy.terms import Terms, direct, item_position, joint
from simenv.errors import UserError, unknown_name

MODEL = ("q_logged", "q_target")
MARGINALS = ("logger_marginal", "target_marginal")
PREFIX_MODEL = ("q_prefix", "q_prefix_target")
BY_SLOT = (item_position, prefix)  # cuts that are the joint one where a slate has one slot
TUNINGS = ("slope", "pas-if")  # words in place of a strength; `offpolicy.tuning` knows what they mean

_LOGGED = LOGGED
_SLOTWISE = _LOGGED + "; the reward of a slot depends on its item and position only (false under a cascade)"
_PREFIXWISE = _LOGGED + "; the reward of a slot does not depend on what stands below it"
_ADDITIVE = _LOGGED + "; the expected total reward is a sum over slots of something of the item and the slot"
_IPS = "Horvitz and Thompson 1952"
_SNIPS = "Swaminathan and Joachims 2015"
_DR = "Dudik, Langford and Li 2011"
_SNDR = "Thomas and Brunskill 2016"
_MCINERNEY = "McInerney, Brost, Chandar, Mehrotra and Carterette 2020"
_KIYOHARA = "Kiyohara, Saito, Matsuhiro, Narita, Shimizu and Yamamoto 2022"
_SWAMINATHAN = "Swaminathan, Krishnamurthy, Agarwal, Dudik, Langford, Jose and Zitouni 2017"
_RICHARDSON = "Richardson, Dominowska and Ragno 2007"
_LI = "Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen 2018"

_REWARD_MODEL = "the reward model is right wherever the target policy goes"
_BIASED = "large weights are reshaped, which biases it by an amount that the log cannot tell"
_LARGE = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
_CLIP = Strength(weights.clip, 10.0, np.inf, 0.0, np.inf, _LARGE, does="weights above 10 are cut to 10")
_SWITCH = Strength(
    weights.switch, 10.0, np.inf, 0.0, np.inf, _LARGE,
    does="where a weight is above 10 the reward model speaks alone, without it",
)  # fmt: skip
_SHRINK = Strength(
    weights.shrink, 100.0, np.inf, 0.0, np.inf, (1e6, 1e5, 1e4, 1000.0, 100.0, 10.0, 1.0),
    does="each weight is shrunk, the more the larger it is: none passes half the root of the number (5 at 100)",
)  # fmt: skip
_SUB_GAUSSIAN = Strength(
    weights.sub_gaussian, 0.01, 0.0, 0.0, 1.0, (1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3),
    does="each weight is shrunk a little, and none passes 1 over the number (100 at .01)",
)  # fmt: skip
_TABLED = replace(_SWITCH, beyond=beyond)
_IONIDES = "Ionides 2008"
_AGARWAL = "Agarwal, Basu, Schnabel and Joachims 2017"
_ZHAN = "Zhan, Hadad, Hirshberg and Athey 2021"
_WANG = "Wang, Agarwal and Dudik 2017"
_SU = "Su, Dimakopoulou, Krishnamurthy and Dudik 2020"
_METELLI = "Metelli, Russo and Restelli 2021"
_SAITO = "Saito and Joachims 2022"
_SONDHI = "Sondhi, Arbour and Dimmery 2020"
_EMBEDDING = f"{_LOGGED}; an action moves the reward through its embedding only"
_NO_DIRECT_EFFECT = "what an action does beyond its embedding biases it by an amount that the log cannot tell"
_CLASSIFIER = "its weights are a fitted classifier's, whose error biases it and is not in the interval"


_STEPS = (
    "every slate was drawn with the logged propensities given what went before, nothing unlogged moved both a slate "
    "and what came after it, and sequences are whole"
)
_PRECUP = "Precup, Sutton and Singh 2000"
_JIANG = "Jiang and Li 2016"
_LE = "Le, Voloshin and Yue 2019"
_XIE = "Xie, Ma and Wang 2019; Kallus and Uehara 2020"
_STATE = "what carries over from step to step unseen by its states biases it by an amount that it cannot tell"
_TRAJECTORY = "the weight of a whole sequence also weighs what came before its later slates; 'pdis' needs less"
_LEANS = "where weights vary much it leans on a model of what comes later, whose bias the log tells only roughly"
_SEQUENCE = "value per {unit}, the target ranking from its first search to its last"


def _of_sequences(
    name: str,
    terms: Callable[[Evidence], Terms],
    formula: Callable[[Terms], Statistics],
    needs: tuple[str, ...],
    paper: str,
    never_trust: str = "",
) -> Estimator:
    """An estimator of what whole sequences of searches are worth."""
    return Estimator(
        name,
        terms,
        formula,
        ("length", *needs),
        _STEPS,
        paper,
        estimand=_SEQUENCE,
        never_trust=never_trust,
        by_default=False,
        passes=1 if not needs else 2,
    )


def _by_state(name: str, terms: Callable[[Evidence], Terms], tells: str, rival: str) -> Estimator:
    """An estimator of sequences that weighs states in place of all that led to them."""
    made = _of_sequences(name, terms, dr, ("state_ratio", "q_state", "q_state_target"), _XIE, _STATE)
    return replace(made, assumption=f"{_STEPS}; {tells} tells all of the past that moves what comes later", rival=rival)


def _reshaped(name: str, formula: Callable[[Terms], Statistics], strength: Strength, paper: str) -> Estimator:
    """An estimator of whole slates whose weights are reshaped."""
    return Estimator(
        name,
        joint,
        formula,
        MODEL if formula is dr else (),
        _LOGGED,
        paper,
        never_trust=_BIASED,
        rival="dr" if formula is dr else "ips",
        strength=strength,
        at=strength.default,
        by_default=False,
        passes=2 if formula is dr else 1,
    )


def _by_prefix(
    name: str, formula: Callable[[Terms], Statistics], paper: str, *, rival: str, by_default: bool = True
) -> Estimator:
    """An estimator that weighs each slot by what stands at it and above."""
    uses_model = formula in (dr, sndr)
    return Estimator(
        name,
        prefix,
        formula,
        PREFIX_MODEL if uses_model else (),
        _PREFIXWISE,
        paper,
        prefixwise=True,
        rival=rival,
        by_default=by_default,
        passes=2 if uses_model else 1,
    )


def _embedding(name: str, formula: Callable[[Terms], Statistics]) -> Estimator:
    """An estimator that weighs embeddings of actions."""
    return Estimator(
        name,
        embedded,
        formula,
        ("embedding",),
        _EMBEDDING,
        _SAITO,
        never_trust=_NO_DIRECT_EFFECT,
        by_default=False,
    )


def _of_loggers(
    name: str, terms: Callable[[Evidence], Terms], formula: Callable[[Terms], Statistics], needs: tuple[str, ...]
) -> Estimator:
    """An estimator that knows of several loggers."""
    needed = 2 if formula is dr else 1
    return Estimator(name, terms, formula, needs, _LOGGED, _AGARWAL, rival="ips", by_default=False, passes=needed)


_ALL = (
    Estimator("ips", joint, ips, (), _LOGGED, _IPS),
    Estimator("snips", joint, snips, (), _LOGGED, _SNIPS),
    Estimator(
        "dm",
        direct,
        dm,
        MODEL,
        _REWARD_MODEL,
        _DR,
        never_trust="it rests on the reward model alone and its interval ignores the model's error",
        slotwise=True,
        rival="dr",
        passes=2,
    ),
    Estimator("dr", joint, dr, MODEL, _LOGGED, _DR, passes=2),
    Estimator("sndr", joint, sndr, MODEL, _LOGGED, _SNDR, by_default=False, passes=2),
    _reshaped("clipped-ips", ips, _CLIP, _IONIDES),
    _reshaped("sg-ips", ips, _SUB_GAUSSIAN, _METELLI),
    _reshaped("clipped-dr", dr, _CLIP, _SU),
    _reshaped("switch-dr", dr, _SWITCH, _WANG),
    _reshaped("dros", dr, _SHRINK, _SU),
    _reshaped("sg-dr", dr, _SUB_GAUSSIAN, _METELLI),
    replace(_reshaped("switch", switch, _TABLED, _WANG), terms=tabled, needs=("actions",), passes=2),
    replace(_embedding("mips", ips), rival="ips"),
    replace(_embedding("snmips", snips), rival="snips"),
    *SINGLE_ACTIONS,
    Estimator(
        "balanced-ips",
        balanced,
        ips,
        ("balanced",),
        f"{_LOGGED}; the classifier is right",
        _SONDHI,
        never_trust=_CLASSIFIER,
        rival="ips",
        by_default=False,
        passes=2,
    ),
    _by_prefix("rips", ips, _MCINERNEY, rival="ips"),
    _by_prefix("snrips", snips, f"{_MCINERNEY}; {_SNIPS}", rival="snips", by_default=False),
    _by_prefix("cascade-dr", dr, _KIYOHARA, rival="dr"),
    _by_prefix("cascade-sndr", sndr, f"{_KIYOHARA}; {_SNDR}", rival="sndr", by_default=False),
    Estimator("ips-item", item_position, ips, MARGINALS, _SLOTWISE, _LI, slotwise=True, rival="rips"),
    Estimator(
        "snips-item", item_position, snips, MARGINALS, _SLOTWISE, f"{_LI}; {_SNIPS}", slotwise=True, rival="snrips"
    ),
    Estimator(
        "dr-item",
        item_position,
        dr,
        MARGINALS + MODEL,
        _SLOTWISE,
        f"{_LI}; {_DR}",
        slotwise=True,
        rival="cascade-dr",
        passes=2,
    ),
    Estimator(
        "pi",
        pseudoinverse,
        ips,
        ("pseudoinverse",),
        _ADDITIVE,
        _SWAMINATHAN,
        only_rival=True,
        rival="ips",
        by_default=False,
    ),
    Estimator(
        "snpi",
        pseudoinverse,
        snips,
        ("pseudoinverse",),
        _ADDITIVE,
        f"{_SWAMINATHAN}; {_SNIPS}",
        only_rival=True,
        rival="snips",
        by_default=False,
    ),
    *READINGS,
    Estimator(
        "pbm",
        click_model,
        dm,
        ("q_click",),
        "clicks are examination by slot times attraction by features, wherever the target policy goes",
        _RICHARDSON,
        never_trust="it rests on a click model alone and its interval ignores the model's error",
        slotwise=True,
        rival="ips-item",
        by_default=False,
        passes=2,
    ),
    _of_loggers("mixture-ips", mixture, ips, ("mixture",)),
    _of_loggers("mixture-snips", mixture, snips, ("mixture",)),
    _of_loggers("mixture-dr", mixture, dr, ("mixture", *MODEL)),
    _of_loggers("weighted-ips", weighted, shared, ("second_moment",)),
    replace(_of_loggers("stable-ips", stable, shared, ("second_moment",)), paper=_ZHAN),
    _of_sequences("trajectory-is", joint, ips, (), _PRECUP, _TRAJECTORY),
    _of_sequences("trajectory-wis", joint, snips, (), _PRECUP, _TRAJECTORY),
    _of_sequences("pdis", per_step, ips, (), _PRECUP),
    _of_sequences("wpdis", per_step, snips, (), _PRECUP),
    _of_sequences("sequence-dr", per_step_with_model, dr, ("q_prefix", "q_next"), _JIANG),
    replace(
        _of_sequences("magic", blended, sndr, ("q_prefix", "q_next", "blend", "blend_start"), _SNDR, _LEANS),
        rival="sequence-dr",
    ),
    replace(
        _of_sequences("own-searches", per_step, own_searches, (), _PRECUP),
        estimand="value per search after deployment, over the target's own searches",
        against=lift_per_search,
    ),
    _by_state("state-dr", by_state, "the state", "state-step-dr"),
    _by_state("state-step-dr", by_state_before, "the state and the slate before it", "pdis"),
    replace(
        _of_sequences("fqe", fitted, dm, ("fitted",), _LE, "it rests on the model of what comes later alone"),
        rival="sequence-dr",
    ),
)

_NAMED = {one.name: one for one in _ALL}
ESTIMATORS: dict[str, Estimator] = _NAMED | {one.name: one for one in at_the_end(_NAMED)}


def estimator(name: str) -> Estimator:
    """The estimator of that name; `name:number` sets the strength of one that reshapes its weights.

    `name:slope` leaves the number to be chosen on the evidence (`offpolicy.tuning`), which `offpolicy.evaluate` does.

    Raises:
        UserError: If there is none, suggesting the nearest; if it takes no number; if the number is out of range.
    """
    bare, colon, number = name.partition(":")
    if bare not in ESTIMATORS:
        raise unknown_name("estimator", bare, ESTIMATORS)
    one = ESTIMATORS[bare]
    return one if not colon else at_strength(one, number)


def at_strength(one: Estimator, number: float | str) -> Estimator:
    """The estimator with another strength, which becomes part of its name.

    Raises:
        UserError: If it takes no number, or the number is out of range.
    """
    if one.strength is None:
        takers = ", ".join(name for name, other in ESTIMATORS.items() if other.strength is not None)
        raise UserError(
            f"estimator '{one.name}' takes no number; '{one.name}:{number}' was given. Those that do: {takers}."
        )
    if number in TUNINGS:
        return replace(one, name=f"{one.name.partition(':')[0]}:{number}", at=float("nan"), tuning=str(number))
    low, high = one.strength.low, one.strength.high
    try:
        at = float(number)
    except ValueError:
        at = float("nan")
    if not low <= at <= high:
        raise UserError(
            f"'{one.name}:{number}': expected a number from {low:g} to {high:g}, such as {one.strength.default:g}, or "
            f"a rule that chooses it: {', '.join(TUNINGS)}."
        )
    return replace(one, name=f"{one.name.partition(':')[0]}:{at:g}", at=at, tuning="")
