"""Vowpal Wabbit on the same examples in the same order, where it is installed: `--cbify`, progressive validation loss.

It is no dependency: its wheel is made for some versions of Python only. Every algorithm gets the best of three learning
rates in hindsight, as in Bietti, Agarwal and Langford, "A contextual bandit bake-off", 2021, which is kinder to it than
to the policies beside it.
"""

from __future__ import annotations

import importlib.util

from scenarios.bandit_beds import Examples

RATES = (0.1, 0.5, 2.0)
OPTIONS = {
    "greedy": "--cb_type mtr --epsilon 0",
    "epsilon .05": "--cb_type mtr --epsilon 0.05",
    "bag 4, greedify": "--cb_type mtr --bag 4 --greedify",
    "cover 4, nounif": "--cb_type dr --cover 4 --psi 0.1 --nounif",
    "RegCB, optimistic": "--cb_explore_adf --cb_type mtr --regcbopt --mellowness 0.001",
    "SquareCB": "--cb_explore_adf --cb_type mtr --squarecb --gamma_scale 1000",
}


def has_vowpal() -> bool:
    """Whether Vowpal Wabbit is installed."""
    return importlib.util.find_spec("vowpalwabbit") is not None


def vowpal_loss(examples: Examples, options: str) -> float:
    """Share of wrong choices by Vowpal Wabbit at the best of RATES."""
    return min(_loss(examples, options, rate) for rate in RATES)


def _loss(examples: Examples, options: str, rate: float) -> float:
    import vowpalwabbit

    n_classes = examples.shape[1]
    learner = vowpalwabbit.Workspace(f"--cbify {n_classes} {options} -l {rate} -b 20 --quiet")
    for x, label in zip(examples.x.tolist(), examples.label.tolist(), strict=True):
        # Names, not numbers: with numbered features `--cbify` makes several times as many mistakes (9.11.9).
        features = " ".join(f"f{j}:{value:.6g}" for j, value in enumerate(x) if value)
        learner.learn(f"{label + 1} | {features}")
    loss = float(learner.get_sum_loss()) / len(examples.label)
    learner.finish()
    return loss
