"""What is looked up before a pass is what all rows at once would say."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.audit.checks import time_blocks
from offpolicy.stream import survey as surveys
from offpolicy.stream.survey import glance_at, survey

RNG = np.random.default_rng(0)
ROWS = 5_003
TIMES = {
    "one": np.zeros(ROWS, dtype=np.int64),
    "two": RNG.integers(0, 2, ROWS),
    "days": RNG.integers(0, 30, ROWS),
    "mostly one day": np.where(RNG.random(ROWS) < 0.9, 7, RNG.integers(0, 30, ROWS)),
    "seconds": np.sort(RNG.integers(0, 10**7, ROWS)),
    "microseconds": 17 * 10**14 + RNG.integers(0, 10**14, ROWS),
    "all there is": RNG.integers(-(2**63), 2**63 - 1, ROWS),
}


@pytest.mark.parametrize("cells", [4, 64, 1 << 16])
@pytest.mark.parametrize("name", list(TIMES))
def test_the_parts_of_the_time_are_those_that_quantiles_of_all_rows_cut(
    name: str, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "CELLS", cells)
    time = TIMES[name]
    chunks = np.array_split(np.arange(ROWS), 7)
    found = survey(lambda: ((len(rows), glance_at(rows, time[rows], {})) for rows in chunks))
    masks = time_blocks(time)
    assert found.has_time
    assert len(found.shares) == len(masks)
    part = np.searchsorted(np.array(found.edges, dtype=np.int64), time, side="left")
    for at, mask in enumerate(masks):
        assert np.array_equal(part == at, mask)
        assert found.shares[at] == mask.mean()


def test_a_log_is_in_order_if_it_never_falls_within_chunks_or_between_them() -> None:
    def is_sorted(*chunks: list[int]) -> bool:
        return survey(lambda: ((len(one), glance_at(np.array(one), None, {})) for one in chunks)).is_sorted

    assert is_sorted([1, 1, 2], [2, 3])
    assert not is_sorted([1, 2, 1], [2, 3])
    assert not is_sorted([1, 2, 3], [2, 3])
