"""Latencies are measured for every kind of model, by what really answers."""

from __future__ import annotations

import pytest

from policies.registry import POLICIES
from scenarios import latency
from scenarios.latency import latencies, latency_kinds


def test_every_kind_that_can_be_saved_is_measured() -> None:
    assert latency_kinds() == [name for name, entry in POLICIES.items() if entry.learns]


def test_a_kind_is_measured_with_both_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are positive, and quantiles in their order."""
    monkeypatch.setattr(latency, "latency_kinds", lambda: ["linear"])
    monkeypatch.setattr(latency, "QUERIES", 20)
    monkeypatch.setattr(latency, "WARM_UP", 2)
    monkeypatch.setattr(latency, "SHOPPERS", 10)
    told: list[int] = []
    records = latencies(lambda n=1: told.append(n))
    assert [(each["model"], each["runtime"]) for each in records] == [("linear", "torch"), ("linear", "onnxruntime")]
    assert told == [1]
    for each in records:
        assert 0 < each["p50"] <= each["p99"]
        assert 0 < each["cpu_p50"] <= each["cpu_p99"]
