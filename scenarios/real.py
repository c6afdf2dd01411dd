"""The real log in a scenario: Open Bandit's small sample, judged beside the simulated one."""

from __future__ import annotations

from pathlib import Path

from offpolicy.obd import read_obd
from offpolicy.obd_fetch import CAMPAIGNS, cached, target_table_path
from scenarios.config import Estimation
from scenarios.evaluation import estimate_rows, weight_rows
from scenarios.folder import Row


def open_bandit(cache: str, settings: Estimation) -> tuple[list[Row], list[Row], list[str]]:
    """Estimates and weights of the random logs under the published Thompson-sampling tables, with notes.

    Args:
        cache: The folder that `slatelab data obd` filled; "" where the scenario does not ask.
        settings: Level of the intervals.
    """
    if not cache:
        return [], [], []
    folder = cached(Path(cache))
    if folder is None:
        note = f"The real Open Bandit log was left out: it is not in '{cache}'. Fetch it with 'slatelab data obd'."
        return [], [], [note]
    estimates: list[Row] = []
    weights: list[Row] = []
    for campaign in CAMPAIGNS:
        evidence = read_obd(folder, target_table_path(folder, campaign), campaign=campaign)
        source = f"open bandit {campaign}"
        plain = Estimation(level=settings.level, interval=settings.interval, replicates=settings.replicates)
        estimates += estimate_rows(source, "bts", evidence, plain)
        weights += weight_rows(source, "bts", evidence)
    return estimates, weights, []
