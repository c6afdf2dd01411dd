"""Fitting: from a log to a world that imitates it, with intervals, and a check of how well it does.

What a log says outright is read off it (shares, sizes, days). Everything else is found by indirect inference: the
parameters under which simulated logs have the same summaries (`scenarios.fitting.solve`), with a click model chosen by
`scenarios.fitting.clicks`. What the log does not tell keeps the value it has in the default world, and is named.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from scenarios.fitting.aim import Aim
from scenarios.fitting.clicks import Case, Choice, choose
from scenarios.fitting.folder import Found, write_fit
from scenarios.fitting.knobs import KNOBS, Knob, Knobs, click_chances, setting, value_of, with_setting
from scenarios.fitting.logger import logger_of
from scenarios.fitting.market import NORMAL_95, brand_names, row, told_outright
from scenarios.fitting.predict import Row, Study, predict
from scenarios.fitting.seen import Seen, seen_in_log, seen_in_simulation
from scenarios.fitting.solve import Solution, Target, solve
from scenarios.fitting.summaries import SUMMARIES, summarise
from scenarios.progress import Progress
from simenv import hashing
from simenv.catalogue import I64, PublicCatalogue
from simenv.errors import UserError
from simenv.log import Log
from simenv.params import WorldParams
from simenv.world import make_world

F64 = npt.NDArray[np.float64]
LEAST_ROWS, LEAST_SHOPPERS, LEAST_CLICKS = 500, 100, 100
SIMULATED = (4_000, 20_000)  # shoppers in a simulation that is fitted: twice the log's, within these
COMPARED = 6_000  # shoppers at most in a simulation that compares click models
OWN_LUCK = 1_000_003  # added to every seed: a fit must not meet the luck of the log that it imitates


@dataclass(frozen=True)
class FitSettings:
    """How a log is fitted.

    Attributes:
        click_model: A name in `scenarios.fitting.clicks.BUILDERS`, or "auto".
        shoppers: Of the log, at most; chosen by their ids' hash.
        draws: Worlds that are drawn for the check.
        seed: Of simulations and bootstrap.
    """

    click_model: str = "auto"
    shoppers: int = 10_000
    draws: int = 60
    seed: int = 0


@dataclass(frozen=True)
class Fit:
    """A fitted world, and everything that is told about it.

    Attributes:
        params: The world.
        knobs: What was moved.
        solution: Where to, and how surely.
        choice: The click model.
        rows: Of the table of parameters.
        notes: What a reader must know.
    """

    params: WorldParams
    knobs: Knobs
    solution: Solution
    choice: Choice
    rows: list[Row]
    notes: list[str]


def fit_log(folder: Path, out: Path, settings: FitSettings, progress: Progress) -> Found:
    """Fit a world to a log and leave a run folder with `world.toml`, tables and run.json.

    Args:
        folder: The log; only its public columns are read.
        out: The folder to make.
        settings: How.
        progress: Told steps.

    Raises:
        UserError: where the log is missing, broken, too small, its slates never move, or the market filled places of
            its pages itself; where `out` exists.
    """
    if out.exists():
        raise UserError(f"'{out}' exists already; choose another --out or remove it.")
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    log = Log.open(folder)
    _refuse_house(log)
    study, who = study_of(log, settings)
    fit = fit_world(study, settings, progress)
    luck = range(settings.seed + OWN_LUCK + 1, settings.seed + OWN_LUCK + 1 + settings.draws)
    advance = progress.task("draw worlds and compare", settings.draws)
    predicted = predict(study, fit.knobs, fit.solution, luck, advance)
    found = Found(
        params=fit.params,
        parameters=fit.rows,
        click_models=fit.choice.rows,
        predicted=predicted,
        notes=[who, *study.told.notes, *fit.notes],
        n_rows=len(study.seen),
        n_shoppers=study.n_shoppers,
        config={"log": str(folder), **dataclasses.asdict(settings)},
        seed=settings.seed,
        started=started.isoformat(timespec="seconds"),
    )
    draft = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        write_fit(draft, log, found, time.monotonic() - clock)
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def study_of(log: Log, settings: FitSettings) -> tuple[Study, str]:
    """The log, the market that will imitate it, and a sentence that says who ranks there."""
    own = log.catalogue()
    seen = read_seen(log, own, settings)
    told = told_outright(log, seen, own, settings.seed)
    items = make_world(told.params).catalogue.public()
    policy, who = logger_of(log, own, items)
    return Study(seen, own, told, items, policy), who


def read_seen(log: Log, catalogue: PublicCatalogue, settings: FitSettings) -> Seen:
    """The log's public columns, of so many shoppers at most.

    Raises:
        UserError: where they are too few to fit, or nothing ever moves.
    """
    ids = np.unique(np.concatenate([pq.read_table(p, columns=["shopper"])["shopper"].to_numpy() for p in log.parts]))
    keep = None
    if len(ids) > settings.shoppers:

        def keep(shopper: I64) -> npt.NDArray[np.bool_]:
            chosen: npt.NDArray[np.bool_] = hashing.uniform(
                hashing.absorb(hashing.stream(settings.seed, "fit"), shopper)
            ) < settings.shoppers / len(ids)
            return chosen

    _refuse_certain(log)
    seen = seen_in_log(log, catalogue, brand_names(log.folder), keep)
    counts = {
        "rows": (len(seen), LEAST_ROWS),
        "shoppers": (len(np.unique(seen.shopper)), LEAST_SHOPPERS),
        "clicks": (int(seen.clicked.sum()), LEAST_CLICKS),
    }
    for name, (n, least) in counts.items():
        if n < least:
            raise UserError(f"the log has {n} {name}; expected {least} at least to fit a world. Give a longer log.")
    return seen


def fit_world(study: Study, settings: FitSettings, progress: Progress) -> Fit:
    """Choose a click model, move the knobs that the log tells, and give intervals."""
    n_log, seed = study.n_shoppers, settings.seed + OWN_LUCK
    n_simulated = int(np.clip(2 * n_log, *SIMULATED))
    base, moved, absent = _movable(study.told.params, summarise(study.seen, study.own).values())

    def logged(params: WorldParams, n_shoppers: int) -> Seen:
        return seen_in_simulation(make_world(params), study.policy, seed, n_shoppers)

    count = progress.task("choose a click model")
    case = Case(study.seen, study.own, base, lambda params: logged(params, min(n_simulated, COMPARED)), study.items)
    choice = choose(settings.click_model, case, count)
    knobs = Knobs(choice.start, moved, choice.name, tuple(choice.fitted.parameters))
    aim = Aim(knobs)
    count = progress.task("meet the log's summaries in simulations")

    def simulate(vector: F64) -> F64:
        count()
        return aim.values(logged(knobs.params(vector), n_simulated), study.items)

    target = Target(
        aim.values(study.seen, study.own),
        aim.covariance(study.seen, study.own, settings.seed),
        1.0 + n_log / n_simulated,
    )
    start = knobs.start(np.array(click_chances(choice.start.click_model)))
    solution = solve(knobs, target, simulate, start)
    rows, untold = _parameters(aim, solution)
    return Fit(
        knobs.params(solution.vector), knobs, solution, choice, [*study.told.rows, *rows],
        _notes(base, [*absent, *untold]),
    )  # fmt: skip


def _refuse_house(log: Log) -> None:
    """Slot k of a log is not the k-th place of the page where the house stands above it, and no knob knows a house."""
    if log.n_house:
        raise UserError(
            f"on the pages of '{log.folder}' the market fills {log.n_house} places itself (house_places of its "
            "log.json); a world is fitted to logs whose pages hold the policy's slots alone, since attention is read "
            "off slots. Log without sponsored and pinned places."
        )


def _refuse_certain(log: Log) -> None:
    """A log whose slates never move cannot tell what is looked at from what attracts."""
    moved = any(float(rows.logp.logp.min()) < -1e-6 for rows in log.batches())
    if not moved:
        raise UserError(
            f"the slates of '{log.folder}' never move: every one was shown for certain (logp_conditional is 0 "
            "throughout), so position cannot be told from attraction. Log with a policy that explores."
        )


def _movable(params: WorldParams, values: F64) -> tuple[WorldParams, tuple[Knob, ...], list[str]]:
    """The knobs whose summaries exist, the world with those switched off that were never seen, and the others."""
    moved, absent = [], []
    for knob in KNOBS:
        value = values[list(SUMMARIES).index(knob.told_by)]
        if value == 0.0 and knob.off is not None:
            params = with_setting(params, knob.path, knob.off)
        elif not np.isfinite(value) or (value in (0.0, 1.0) and knob.scale == "odds") or value == 0.0:
            absent.append(knob.path)
        else:
            moved.append(knob)
    return params, tuple(moved), absent


def _parameters(aim: Aim, solution: Solution) -> tuple[list[Row], list[str]]:
    """Rows of what was told, and names of what was not."""
    rows, untold = [], []
    error = np.sqrt(np.diag(solution.covariance))
    knobs = aim.knobs
    for place, (label, scale) in enumerate(zip(knobs.labels, knobs.scales, strict=True)):
        if solution.vague[place]:
            untold.append(label)
            continue
        ends = solution.vector[place] + np.array([-1.0, 0.0, 1.0]) * NORMAL_95 * error[place]
        low, value, high = (value_of(scale, float(end)) for end in ends)
        rows.append(row(label, value, low, high, aim.sources[place]))
    return rows, untold


def _notes(base: WorldParams, untold: list[str]) -> list[str]:
    off = [knob.path for knob in KNOBS if knob.off is not None and setting(base, knob.path) == knob.off]
    notes = [f"Never seen in the log, so switched off: {', '.join(off)}."] if off else []
    if untold:
        notes.append(
            "Not told by this log (too few rows, or nothing to tell it by), so left as in the default world: "
            f"{', '.join(untold)}."
        )
    return notes
