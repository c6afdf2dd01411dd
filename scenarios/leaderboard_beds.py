"""The beds that the leaderboard runs by default: some sound, some that fail by design, a few in the simulator."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.enumerated_bed import Bed
from scenarios.leaderboard_cell import MarketBed

TARGETS = {"worse": -0.6, "near": 0.3, "further": 0.8, "far": 1.4}

_SOUND = (
    Bed(name="slates", about="336 slates, clicks by place, everything right", rows=4_000),
    Bed(name="slates-small", about="the same with 600 searches", rows=600),
    Bed(name="slates-large", about="the same with 16,000 searches", rows=16_000),
    Bed(name="uniform", about="the logger shows everything alike", rows=4_000, sharpness=0.0),
    Bed(name="cascade", about="people stop at the first click: a slot's reward hangs on those above", rows=8_000,
        behaviour="cascade", rate=1.0),
    Bed(name="whole-page", about="what stands around an item lends it shine", rows=8_000, behaviour="whole"),
    Bed(name="actions", about="20 actions, everything right", rows=4_000, slots=1, candidates=20),
    Bed(name="actions-many", about="80 actions", rows=4_000, slots=1, candidates=80),
    Bed(name="shoppers", about="20 searches a shopper, of very unlike appetites, clustered by shopper", rows=8_000,
        per_shopper=20, appetite=0.9),
)  # fmt: skip

_BROKEN = (
    Bed(name="tiny-slates", about="80 searches", rows=80),
    Bed(name="tiny-actions", about="60 decisions among 20 actions", rows=60, slots=1, candidates=20),
    Bed(name="rare-clicks", about="one search in a hundred is clicked", rows=2_000, rate=0.01),
    Bed(name="no-support", about="two of eight items are never shown", rows=4_000, rare=0.0, n_rare=2),
    Bed(name="no-support-actions", about="four of twenty actions are never played", rows=4_000, slots=1, candidates=20,
        rare=0.0, n_rare=4),
    Bed(name="hardly-shown", about="two of eight items are shown a thousand times too seldom", rows=4_000, rare=0.001,
        n_rare=2),
    Bed(name="hardly-played", about="four of twenty actions are played ten thousand times too seldom", rows=4_000,
        slots=1, candidates=20, rare=0.0001, n_rare=4),
    Bed(name="seldom-shown", about="one of eight items is shown 30 times too seldom", rows=4_000, rare=0.03),
    Bed(name="seldom-played", about="one of twenty actions is played 30 times too seldom", rows=4_000, slots=1,
        candidates=20, rare=0.03),
    Bed(name="heavy-weights", about="half of the target's choices have weight 20,000, the others 1/2", rows=20_000,
        slots=1, candidates=2, sharpness=0.0, rare=2.5e-5, targets={"near": 0.0, "far": 1.0}, rate=0.15),
    Bed(name="wrong-propensities", about="slates were drawn at 1.5 times the sharpness that was logged", rows=8_000,
        drawn_at=1.5),
    Bed(name="wrong-propensities-actions", about="the same, for actions", rows=8_000, slots=1, candidates=20,
        sharpness=1.0, drawn_at=1.5),
    Bed(name="drift", about="from half of the log on the logger was another than its propensities say", rows=8_000,
        drawn_later=2.0),
    Bed(name="wrong-model", about="the reward model likes what shoppers dislike", rows=4_000, model="wrong"),
    Bed(name="wrong-model-actions", about="the same, for actions", rows=4_000, slots=1, candidates=20, model="wrong"),
    Bed(name="revenue", about="what a click earns has a heavy tail", rows=2_000, spread=2.0),
    Bed(name="rows-not-shoppers", about="40 searches a shopper, taken for independent", rows=8_000, per_shopper=40,
        appetite=0.95, declared="row"),
    Bed(name="delivered-twice", about="each row was logged twice, under another shopper's name", rows=6_000, slots=1,
        candidates=20, twice=True),
    Bed(name="late-rewards", about="in the last fifth of the time rewards had not all arrived", rows=4_000, late=0.2),
)  # fmt: skip

_PLAYED = (
    MarketBed(name="simulator", about="the market itself, position-based clicks", world="default"),
    MarketBed(name="simulator-cascade", about="the market where shoppers stop at the first good item",
              world="cascade"),
)  # fmt: skip


def _listed() -> Iterator[Bed | MarketBed]:
    for bed in _SOUND:
        yield bed.model_copy(update={"targets": TARGETS, "is_sound": True})
    for bed in _BROKEN:
        yield bed if bed.name == "heavy-weights" else bed.model_copy(update={"targets": TARGETS})
    yield from _PLAYED


BEDS: dict[str, Bed | MarketBed] = {bed.name: bed for bed in _listed()}
