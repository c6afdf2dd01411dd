"""Gymnasium wrappers for libraries that want flat observations, scores or a single choice.

Here are those of the single environment; `simenv.wrappers.vector` has the same three for the vector environment, under
the same names, as Gymnasium does with its own. Each can be used without the others, in any order:

    env = ScoresToSlate(FlatObservation(SearchEnv("default")))  # Box in, Box out: what most libraries train on

Short candidate lists. A page may have fewer than C candidates; the other positions are holes. `info["action_mask"]`,
of `reset` and `step` alike, is (C,) int8 with 1 at a candidate and 0 at a hole (vector: (N, C)), the form that
Gymnasium's `space.sample(mask=...)` takes. Observations say the same in the column `is_candidate` of
`FlatObservation`. `ScoresToSlate` needs no mask: it never shows a hole. `SingleItem.action_masks()` is what masked PPO
of sb3-contrib asks for.
"""

from __future__ import annotations

from simenv.wrappers.layout import FlatLayout
from simenv.wrappers.single import FlatObservation, ScoresToSlate, SingleItem

__all__ = ["FlatLayout", "FlatObservation", "ScoresToSlate", "SingleItem"]
