"""What session models are worth: differences paired by seed, and a measurement that goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scenarios.sessions import LOGGER, PAIRS, WAYS, Plan, differences, main, measured
from simenv.worlds import load_world


def values(seed: int) -> dict[str, float]:
    """What seed brings to all alike, and 1% a place for what way it is."""
    return {way: (1.0 + 0.1 * seed) * (1.0 + 0.01 * place) for place, way in enumerate((LOGGER, *WAYS))}


def test_differences_are_paired_by_seed() -> None:
    """What a seed does to all alike cancels: the interval has no width but rounding."""
    records = differences([values(seed) for seed in range(4)])
    assert [(each["own"], each["other"]) for each in records] == list(PAIRS)
    first = next(each for each in records if (each["own"], each["other"]) == ("history", "nothing"))
    assert first["gain"] == pytest.approx(100 * (1.02 / 1.01 - 1))
    assert first["high"] - first["low"] == pytest.approx(0.0, abs=1e-9)


def test_the_interval_is_students() -> None:
    """Two seeds, gains of 0% and 2%: 1% +- 12.706 * sqrt(2) / sqrt(2)."""
    first, second = values(0), values(0)
    first["history"] = first["nothing"]
    second["history"] = 1.02 * second["nothing"]
    record = next(each for each in differences([first, second]) if (each["own"], each["other"]) == PAIRS[0])
    assert record["gain"] == pytest.approx(1.0)
    assert record["high"] - record["gain"] == pytest.approx(12.706, abs=1e-3)


def test_what_is_measured_already_is_not_measured_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    lines = [{"world": "default", "seed": seed, "values": values(seed)} for seed in (0, 1)]
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    main([str(out), "--worlds", "default", "--seeds", "2"])
    assert len(out.read_text().splitlines()) == 2
    assert "| history less nothing | +1.0 [+1.0, +1.0] |" in capsys.readouterr().out


@pytest.mark.slow
def test_every_way_is_measured_on_the_same_searches_and_again_alike() -> None:
    world = load_world("tiny")
    first, again = (measured(world, 0, Plan(learning=150, judged=40)) for _ in range(2))
    assert list(first) == [LOGGER, *WAYS]
    assert first == again
    assert np.ptp(list(first.values())) > 0
