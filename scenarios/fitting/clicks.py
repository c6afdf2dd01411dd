"""Which click model imitates a log: fitted models compared on shoppers that they were not fitted to, then simulated.

Held-out likelihood alone would favour a model whose clicks depend on clicks above: shoppers differ in what nobody sees
(taste, intent), so clicks of one page go together even where no click moves the eye. So every model that comes close is
put into a world, its level and its parameters are moved until the fits agree, and the one whose simulated log has the
click rates of the log, by slot and distance to the last click above, is taken; each parameter must earn its place as in
Akaike's criterion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.fitting.knobs import BUILDERS, Knobs, moved_by, setting, with_setting
from scenarios.fitting.seen import Seen
from scenarios.fitting.summaries import documents, fitted_clicks
from simenv.catalogue import PublicCatalogue
from simenv.clicks import Appeal, Fitted
from simenv.columns import take
from simenv.errors import UserError, unknown_name
from simenv.params import WorldParams

F64 = npt.NDArray[np.float64]
CLOSE = 0.02  # nats a page from the best held-out likelihood, within which a model is simulated
ROUNDS = 4  # of moving a simulated model's parameters toward the log's
NEVER_CLICKED = 1e-4  # attraction of a document without a click in the fitted half


@dataclass(frozen=True)
class Choice:
    """A click model for the log.

    Attributes:
        name: In `BUILDERS`.
        fitted: To the whole log.
        start: The world with the parameters that were reached in choosing.
        rows: What was compared, for a table.
    """

    name: str
    fitted: Fitted
    start: WorldParams
    rows: list[dict[str, object]]


@dataclass(frozen=True)
class Case:
    """What click models are compared on.

    seen: the log; own: its items. world: like the log's but for clicks; simulate: a log of a world; items: their items.
    """

    seen: Seen
    own: PublicCatalogue
    world: WorldParams
    simulate: Callable[[WorldParams], Seen]
    items: PublicCatalogue


def choose(name: str, case: Case, advance: Callable[[], None]) -> Choice:
    """The click model of that name, or by the comparison above where the name is "auto".

    Args:
        name: In `BUILDERS`, or "auto".
        case: The log and its world.
        advance: Called after each model that was simulated.

    Raises:
        UserError: for an unknown name, or a model that cannot make the log's clicks.
    """
    if name != "auto" and name not in BUILDERS:
        raise unknown_name("click model for --click-model:", name, [*BUILDERS, "auto"])
    names = list(BUILDERS) if name == "auto" else [name]
    held_out, refused = {}, {}
    for each in names:
        try:
            held_out[each] = _held_out(each, case.seen, case.own)
        except UserError as error:
            refused[each] = str(error)
    if not held_out:
        raise UserError(f"click model '{names[0]}' cannot be fitted to this log: {refused[names[0]]}")
    best = max(held_out.values())
    misfits, starts = {}, {}
    for each in held_out:
        if held_out[each] >= best - CLOSE:
            starts[each], misfits[each] = _simulated(each, case)
            advance()
    chosen = min(misfits, key=lambda each: misfits[each])
    rows: list[dict[str, object]] = [
        {
            "model": each,
            "held_out": held_out.get(each, float("nan")),
            "misfit": misfits.get(each, float("nan")),
            "chosen": each == chosen,
            "note": refused.get(each, "" if each in misfits else "held-out likelihood too far from the best"),
        }
        for each in names
    ]
    return Choice(chosen, fitted_clicks(chosen, case.seen, case.own), starts[chosen], rows)


def pattern(seen: Seen) -> tuple[F64, F64]:
    """Click rates by slot and distance to the last click above, and their variances: (K (K + 1) / 2,) each."""
    n_slots = seen.items.shape[1]
    slots = np.arange(n_slots)
    last = np.maximum.accumulate(np.where(seen.clicked, slots, -1), axis=1)
    above = np.concatenate([np.full((len(seen), 1), -1), last[:, :-1]], axis=1)
    cell = slots * (slots + 1) // 2 + (slots - above) - 1
    filled = seen.items >= 0
    shown = np.bincount(cell[filled], minlength=n_slots * (n_slots + 1) // 2)
    clicked = np.bincount(cell[filled & seen.clicked], minlength=len(shown))
    rate = (clicked + 0.5) / (shown + 1.0)
    return rate, rate * (1.0 - rate) / (shown + 1.0)


def _held_out(name: str, seen: Seen, catalogue: PublicCatalogue) -> float:
    """Log-likelihood a page of every second shopper, fitted to the others."""
    _, number = np.unique(seen.shopper, return_inverse=True)
    fitted = fitted_clicks(name, take(seen, number % 2 == 0), catalogue)
    rest = take(seen, (number % 2 == 1) & (seen.items >= 0).any(axis=1))
    names = documents(rest, catalogue)
    known = np.isin(names, fitted.documents)
    appeal = fitted.appeal(np.where(known, names, -1))
    attraction = np.where(names >= 0, np.maximum(appeal.attraction, NEVER_CLICKED), 0.0)
    value = float(fitted.model.log_prob(Appeal(attraction, appeal.satisfaction), rest.clicked).mean())
    if not np.isfinite(value):
        raise UserError("the clicks of the held-out shoppers are impossible under it.")
    return value


def _simulated(name: str, case: Case) -> tuple[WorldParams, float]:
    """A world with this click model that clicks as often as the log, and how far its clicks are from the log's."""
    seen, world = case.seen, case.world
    fitted = fitted_clicks(name, seen, case.own)
    knobs = Knobs(world, (), name, tuple(fitted.parameters))
    aim = _odds(fitted)
    vector, (rate, variance) = aim.copy(), pattern(seen)
    level = seen.clicked.sum() / (seen.items >= 0).sum()
    reached: list[tuple[float, WorldParams]] = []
    for _ in range(ROUNDS):
        world = dataclasses.replace(knobs.params(vector), attraction=world.attraction)
        made = case.simulate(world)
        own_rate, own_variance = pattern(made)
        misfit = float(((rate - own_rate) ** 2 / (variance + own_variance)).sum()) + 2.0 * len(vector)
        reached.append((misfit, world))
        own_level = max(made.clicked.sum(), 1) / (made.items >= 0).sum()
        base = setting(world, "attraction.base") + 1.3 * (moved_by("odds", level) - moved_by("odds", own_level))
        world = with_setting(world, "attraction.base", base)
        try:
            vector = np.clip(vector + aim - _odds(fitted_clicks(name, made, case.items)), -5.0, 5.0)
        except UserError:  # a simulated log too poor to be fitted: stay
            continue
    best = min(reached, key=lambda each: each[0])
    return best[1], best[0]


def _odds(fitted: Fitted) -> F64:
    return np.array([moved_by("odds", p) for p in fitted.parameters.values()]).clip(-5.0, 5.0)
