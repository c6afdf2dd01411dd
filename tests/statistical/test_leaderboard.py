"""The two bars over a small leaderboard: trust is right, and what fails is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenarios.leaderboard_beds import BEDS
from scenarios.leaderboard_cell import ESTIMATORS, LeaderboardCell, judge_cell
from scenarios.leaderboard_tables import REFUSAL_GOAL, TRUST_GOAL, bar_rows, score_rows

pytestmark = pytest.mark.slow

SEEDS = 24
CHOSEN = (
    "slates", "slates-small", "cascade", "whole-page", "actions", "shoppers", "tiny-actions", "no-support",
    "hardly-shown", "hardly-played", "seldom-played", "heavy-weights", "wrong-propensities", "drift", "wrong-model",
    "revenue", "rows-not-shoppers",
)  # fmt: skip


def test_trust_is_right_and_what_fails_is_refused() -> None:
    """Estimates of one log share its luck, so the error of the first bar is taken over logs, not over estimates.

    Two standard errors below each bar fail the test. Measured: see docs/leaderboard.md.
    """
    scores, right = [], []
    for name in CHOSEN:
        cell = LeaderboardCell(bed=BEDS[name], seeds=SEEDS, seed=0, estimators=ESTIMATORS)
        judged = list(judge_cell(cell, Path()))
        scores += score_rows(name, judged, is_sound=BEDS[name].is_sound)
        for seed in range(SEEDS):
            trusted = [one.holds for one in judged if one.seed == seed and one.verdict == "trust"]
            right.append((sum(trusted), len(trusted)))
    bars = {row["bar"]: row for row in bar_rows(scores)}
    print(*bars.values(), sep="\n")
    held, count = np.array(right, dtype=np.float64).T
    share = held.sum() / count.sum()
    stderr = float(np.sqrt(((held - share * count) ** 2).sum()) / count.sum())
    refused = bars["failing cells are refused"]
    assert count.sum() > 3_000
    assert share >= TRUST_GOAL - 2 * stderr
    assert refused["of"] > 150
    assert refused["share"] >= REFUSAL_GOAL - 2 * np.sqrt(REFUSAL_GOAL * (1 - REFUSAL_GOAL) / refused["of"])
    assert bars["sound cells are trusted"]["share"] > 0.5  # refusing everything would pass both bars
