"""The table of looking further than the page: who is compared with whom, that it goes on, and that a run draws it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.ranking import RankingPolicy
from policies.registry import named_policy
from reports import report
from reports.long_term_tables import CONDUCT as DRAWN
from scenarios import bench_long_term
from scenarios.bench_long_term import BANDITS, LEARNERS, Plan, run
from scenarios.conduct import CONDUCT
from scenarios.long_term_table import BANDITS_NAMED, FUTURE, NO_FUTURE, Record, best_bandit, finding, markdown, table
from simenv.worlds import load_world


def record(seed: int, name: str, value: float) -> Record:
    return Record(seed, name, value, 1.0, dict.fromkeys(CONDUCT, 1.0))


def test_gains_are_over_the_bandit_that_is_best_in_the_mean_and_paired_by_seed() -> None:
    """Differences 0.5, 1.0 and 1.5: a t-interval of 1 -+ 4.303 * 0.5 / sqrt(3) = 1 -+ 1.242, which holds 0."""
    records = [record(seed, "neural-linear", 7.0 + seed) for seed in range(3)]
    records += [record(0, "linear", 9.0), record(1, "linear", 6.0), record(2, "linear", 6.0)]
    records += [record(seed, FUTURE, 7.5 + 1.5 * seed) for seed in range(3)]
    assert best_bandit(records) == "neural-linear"  # 8 in the mean; linear 7
    rows = {row["policy"]: row for row in table(records)}
    assert rows["neural-linear"]["gain"] is None
    assert rows[FUTURE]["gain"] == 1.0
    assert rows[FUTURE]["gain_low"] == pytest.approx(1.0 - 4.3027 * 0.5 / 3**0.5, abs=1e-3)
    assert "not shown" in finding(list(rows.values()))
    sure = [record(seed, name, 7.0 + (name == FUTURE)) for seed in range(3) for name in ("linear", FUTURE)]
    assert "beats the best myopic bandit" in finding(table(sure))
    assert "not shown" not in finding(table(sure))
    assert "| ppo-slate | 3 | 8.00 |" in markdown(table(sure))


def test_what_is_measured_is_what_the_table_orders_and_a_report_draws() -> None:
    assert tuple(BANDITS) == BANDITS_NAMED
    assert set(LEARNERS) == {FUTURE, NO_FUTURE}
    assert list(DRAWN) == list(CONDUCT)


def test_a_measurement_goes_on_and_ends_as_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fixed rankers in place of trainings: half of them kept before, none of which is asked for again."""
    asked: list[tuple[int, str]] = []
    catalogue = load_world("tiny").catalogue.public()

    def policies_of(plan: Plan, seed: int, work: Path) -> dict[str, object]:
        def made(name: str) -> RankingPolicy:
            asked.append((seed, name))
            return named_policy("lexical" if name == FUTURE else "popularity", catalogue)

        return {name: lambda name=name: made(name) for name in ("linear", FUTURE, NO_FUTURE)}

    monkeypatch.setattr(bench_long_term, "policies_of", policies_of)
    plan, out = Plan(world="tiny", seeds=2, controls=1, shoppers=40), tmp_path / "run"
    with pytest.raises(RuntimeError):
        run(plan, out, _stop_after(2))
    assert asked == [(1, "linear"), (1, FUTURE)]
    rows = run(plan, out, lambda text: None)
    assert asked[2:] == [(2, "linear"), (2, FUTURE), (1, NO_FUTURE)]  # the control last, and on one seed alone
    assert [row["policy"] for row in rows] == ["linear", NO_FUTURE, FUTURE]
    assert len((out / bench_long_term.KEPT).read_text().splitlines()) == 5
    assert json.loads((out / "run.json").read_text())["kind"] == "benchmark"
    page = report(out).read_text(encoding="utf-8")
    assert all(text in page for text in ("over the best bandit", *(meaning for meaning, _ in DRAWN.values())))


def _stop_after(lines: int) -> object:
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == lines:
            raise RuntimeError("stopped")

    return tell
