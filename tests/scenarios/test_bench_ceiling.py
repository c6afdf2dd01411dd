"""What looking further can bring: weights are chosen on some shoppers and judged on others, as twins of the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from policies.indices import AIMS
from policies.oracles import pleasing
from scenarios import bench_ceiling
from scenarios.bench_ceiling import AHEAD, MYOPIC, Plan, ceiling, main, markdown
from simenv.truth import lives
from simenv.worlds import load_world

SMALL = Plan(seed=3, tuned_on=60, shoppers=90, ahead=6, futures=2)


@pytest.fixture(autouse=True)
def two_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of each aim in place of all."""
    monkeypatch.setattr(bench_ceiling, "GRID", dict.fromkeys(AIMS, (-1.0, 0.0)))


def test_the_best_weight_of_each_aim_is_judged_on_others_and_weight_0_gains_exactly_nothing() -> None:
    told: list[str] = []
    world = load_world("tiny")
    rows = ceiling(world, SMALL, lambda row: told.append(row.policy))
    assert told == [row.policy for row in rows]
    tried, judged = [row for row in rows if not row.judged], [row for row in rows if row.judged]
    assert [row.policy for row in tried] == [f"{aim} {weight:+g}" for aim in AIMS for weight in (-1.0, 0.0)]
    assert all(row.gain == 0.0 and row.stderr == 0.0 for row in tried if row.policy.endswith("+0"))
    by_aim = {aim: {row.policy: row.gain for row in tried if row.policy.startswith(aim)} for aim in AIMS}
    best = {max(gains, key=lambda name: gains[name]) for gains in by_aim.values()}
    assert judged[0].policy == MYOPIC
    assert judged[0].gain == 0.0
    assert {row.policy for row in judged[1:-1]} == best
    assert judged[-1].policy.startswith(f"{AHEAD} from ")
    assert [row.shoppers for row in judged] == [90] * 6 + [6]
    others = lives(world, {"": pleasing(0.0)}, 3, 60 + np.arange(90))[""]
    assert judged[0].value == others.per_shopper().value


def test_the_table_is_printed_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tiny", "--tuned-on", "20", "--shoppers", "20", "--ahead", "0", "--seed", "4"])
    printed = capsys.readouterr().out
    assert printed.strip() == markdown(ceiling(load_world("tiny"), Plan(4, 20, 20, 0)))
    assert AHEAD not in printed
