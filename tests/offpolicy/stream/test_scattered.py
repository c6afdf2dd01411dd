"""Logs whose shoppers stand anywhere: the same estimates as in memory, on disk no more than promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.rows import take
from offpolicy.stream import scattered
from offpolicy.stream.finish import finish
from offpolicy.stream.gather import Chunk, Gathered, gather, merge
from offpolicy.stream.parts import closed
from offpolicy.stream.plan import Plan, plan_of
from offpolicy.stream.scattered import Lines, Writer, lines_of, mixed
from simenv.errors import UserError
from tests.offpolicy.stream.test_finish import SINGLE, SLATES, asked, single, slates, surveyed


def shuffled(evidence: Evidence) -> Evidence:
    """The rows in any order, their shoppers known by ids of any size and sign."""
    made = take(evidence, np.random.default_rng(3).permutation(evidence.n_rows))
    ids = np.random.default_rng(4).integers(-(2**63), 2**63 - 1, int(evidence.cluster.max()) + 1)
    return replace(made, cluster=ids[made.cluster])


def read(evidence: Evidence, plan: Plan, folder: Path) -> tuple[Gathered, list[Path]]:
    """Three parts of two chunks each."""
    whole: Gathered | None = None
    paths = []
    for number, part in enumerate(np.array_split(np.arange(evidence.n_rows), 3)):
        paths.append(folder / f"{number}.arrow")
        made: Gathered | None = None
        with Writer(paths[-1]) as writer:
            for rows in np.array_split(part, 2):
                made = gather(Chunk(take(evidence, rows)), plan, made, writer.add)
        assert made is not None
        whole = made if whole is None else merge(whole, made, plan)
    assert whole is not None
    return whole, paths


@pytest.mark.parametrize("at_once", [1 << 26, 40_000])
@pytest.mark.parametrize(("evidence", "names"), [(single(), SINGLE), (slates(), SLATES)])
def test_a_log_in_any_order_gives_the_estimates_of_all_rows(
    evidence: Evidence, names: list[str], at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scattered, "AT_ONCE", at_once)  # 40,000 bytes are some tens of buckets here
    mixed_up = shuffled(evidence)
    plan = plan_of(mixed_up, names, survey=surveyed(mixed_up))
    assert not plan.survey.is_sorted
    made = finish(closed(*read(mixed_up, plan, tmp_path), plan), plan)
    for one, expected in zip(made, evaluate(mixed_up, names), strict=True):
        for key, value in expected.record().items():
            # As in test_finish: sums of 3,000 rows in another order.
            told = pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
            assert one.record()[key] == told, (one.estimator, key)
        share = expected.diagnostics.variance_share
        assert one.diagnostics.variance_share == pytest.approx(share, rel=1e-9 if share > 0.1 else 0.5)
        assert asked(one) == asked(expected)


def test_a_bootstrap_draws_the_same_shoppers_in_whatever_order_they_stand(tmp_path: Path) -> None:
    evidence = single()
    mixed_up = take(evidence, np.random.default_rng(3).permutation(evidence.n_rows))
    plan = plan_of(mixed_up, ["ips", "dr"], 200, 5, surveyed(mixed_up))
    made = finish(closed(*read(mixed_up, plan, tmp_path), plan), plan, interval="bootstrap")
    for one, expected in zip(
        made, evaluate(evidence, ["ips", "dr"], interval="bootstrap", seed=5, replicates=200), strict=True
    ):
        assert one.interval.low == pytest.approx(expected.interval.low, rel=1e-9)
        assert one.interval.high == pytest.approx(expected.interval.high, rel=1e-9)


def test_ids_stay_apart_and_are_spread() -> None:
    keys = np.concatenate([np.arange(-5_000, 5_000), 2 ** np.arange(62)])
    hashed = mixed(np.unique(keys))
    assert len(np.unique(hashed)) == len(np.unique(keys))
    shares = np.bincount((hashed >> np.uint64(61)).astype(np.int64), minlength=8) / len(hashed)
    assert np.abs(shares - 0.125).max() < 5 * np.sqrt(0.125 * 0.875 / len(hashed))  # five standard errors


def test_sums_on_disk_that_are_of_other_rows_are_refused(tmp_path: Path) -> None:
    evidence = shuffled(single())
    plan = plan_of(evidence, ["ips"], survey=surveyed(evidence))
    whole, paths = read(evidence, plan, tmp_path)
    with pytest.raises(UserError, match="the sums on disk are of 2,000 rows, and 3,000 were read"):
        closed(whole, paths[:2], plan)


def test_a_part_that_was_not_read_to_its_end_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> None:
        with Writer(tmp_path / "part.arrow") as writer:
            writer.add(lines_of(np.ones((2, 5)), np.arange(5)))
            raise UserError("row 5 is wrong")

    with pytest.raises(UserError, match="row 5 is wrong"):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_of_many_rows_is_summed_like_others() -> None:
    keys = np.where(np.arange(3_000) % 3 == 0, 0, np.arange(3_000))
    values = np.random.default_rng(0).random(3_000)
    made = lines_of(values[None], keys)
    heavy = keys[made.first] == 0
    assert made.sums[heavy][0] == pytest.approx([values[::3].sum(), 1_000.0], rel=1e-13)  # of 1,000 numbers
    assert np.array_equal(made.sums[~heavy][:, 0], values[made.first[~heavy]])


def test_lines_hold_each_cluster_once_with_its_sums() -> None:
    made: Lines = lines_of(np.arange(6.0).reshape(1, 6), np.array([7, 3, 7, 7, 3, 9]))
    found = {
        int(key): tuple(sums) for key, sums in zip(np.array([7, 3, 7, 7, 3, 9])[made.first], made.sums, strict=True)
    }
    assert found == {7: (5.0, 3.0), 3: (5.0, 2.0), 9: (5.0, 1.0)}
