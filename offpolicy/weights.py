"""Reshaping importance weights: less variance for some bias.

Each takes weights and one number, the strength. They differ in what they do to a large weight; all of them leave
the estimate biased by an amount that the log cannot tell, which is why no estimate made with them is trusted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TIE = 1.0 + 1e-9  # a weight that equals a limit but for rounding is within it, however it was computed


def clip(weight: Floats, most: float) -> Floats:
    """W becomes min(w, most). Ionides, "Truncated importance sampling" (2008)."""
    return np.minimum(weight, most)


def switch(weight: Floats, most: float) -> Floats:
    """W stays where w <= most, else 0: beyond, the reward model speaks alone. Wang, Agarwal and Dudik (2017)."""
    return np.where(weight <= most * TIE, weight, 0.0)


def shrink(weight: Floats, strength: float) -> Floats:
    """W becomes strength * w / (w^2 + strength): Su, Dimakopoulou, Krishnamurthy and Dudik (2020)."""
    if strength == np.inf:
        return weight
    return strength * weight / (weight * weight + strength)


def sub_gaussian(weight: Floats, strength: float) -> Floats:
    """W becomes w / (1 - strength + strength * w). Metelli, Russo and Restelli (2021), with s = -1."""
    return weight / (1.0 - strength + strength * weight)


def as_they_are(weight: Floats, strength: float) -> Floats:
    """W stays, where a strength is of whole rows."""
    del strength
    return weight


def scale(weight: Floats, share: float) -> Floats:
    """W becomes share * w: the rest of every action, rare or not, is left to the reward model."""
    return share * weight
