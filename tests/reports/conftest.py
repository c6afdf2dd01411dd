"""A made-up run with every table, as a run leaves it on disk: realistic numbers, no simulator behind them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

VALUES = {
    "lexical+popularity": 0.2114,
    "uniform": 0.1237,
    "lexical": 0.1975,
    "best-public": 0.2741,
    "linear-ts": 0.2402,
    "neural-linear": 0.2533,
    "ppo-slate": 0.2339,
    "oracle": 0.3318,
}
ROLES = {
    "lexical+popularity": "logger",
    "uniform": "baseline",
    "lexical": "baseline",
    "best-public": "baseline",
    "oracle": "oracle",
}
LEARNED = ("linear-ts", "neural-linear", "ppo-slate")
ESTIMAND = "value per search over the logger's contexts"
EVIL = "<script>alert('x')</script> röd sko & \"ankle\" NA"

FACTS: dict[str, Any] = {
    "kind": "experiment",
    "name": "demo",
    "title": "Can three learners beat the production ranker?",
    "question": "Would a personalised ranking be worth more per search than the lexical ranker that runs today, "
    "and could its log have told?",
    "finding": "The neural bandit earns 19.8% more per search than the logger and closes 67% of the gap "
    "to the best public policy; "
    "from the log alone, item-position weights say so within their interval, joint weights should not be used.",
    "assumptions": [
        "No hidden confounder: the logger chose by what the log holds and by a recorded draw.",
        "Item-position estimates assume that a slot's reward does not depend on what stands in the slots above.",
        "Shoppers are independent of each other within a day.",
    ],
    "notes": ["The oracle sees hidden taste; no deployable policy can."],
    "config": {
        "world": {"name": "default", "shoppers": 20000, "locales": ["en-GB", "de-DE", "fr-FR"]},
        "reward": "purchase + 0.1 click",
    },
    "seeds": {"market": 7, "log": 11, "truth": 1013, "training": [0, 1, 2, 3, 4]},
    "versions": {"python": "3.11.7", "numpy": "2.4.6", "slatelab": "0.1.0"},
    "hashes": {"log": "9f2c64d1aa03e7b5", "world": "03bb71c2"},
    "backend": "numba",
    "machine": "x86_64, 2 cores",
    "wall_seconds": 263.4,
    "started": "2026-01-05T10:00:00+00:00",
    "schema": 1,
}


def policies_rows() -> pd.DataFrame:
    """Eight policies; only the learned ones have a gap with an interval."""
    rows = []
    for policy, value in VALUES.items():
        gap = (value - 0.2114) / (0.2741 - 0.2114) if policy in LEARNED else np.nan
        rows.append(
            {
                "policy": policy, "role": ROLES.get(policy, "learned"),
                "value_search": value, "value_session": 2.9 * value,
                "value_shopper": 6.1 * value, "ndcg": 0.4 + value, "mrr": 0.35 + value, "clicks": 1.3 * value,
                "carts": 0.4 * value, "purchases": 0.17 * value, "revenue": 12.0 * value,
                "gap_closed": gap, "gap_low": gap - 0.11, "gap_high": gap + 0.11,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def learning_rows(points: int = 26, seeds: int = 5) -> pd.DataFrame:
    """Curves that rise to each learner's value, with noise over seeds."""
    draw = np.random.default_rng(5)
    searches = np.linspace(0, 100_000, points).round()
    parts = []
    for place, policy in enumerate(LEARNED):
        for seed in range(seeds):
            rise = 1 - np.exp(-searches / (14_000 * (1 + place)))
            value = 0.15 + (VALUES[policy] - 0.15) * rise + draw.normal(0, 0.003, points) + draw.normal(0, 0.004)
            parts.append(
                pd.DataFrame(
                    {"policy": policy, "seed": seed, "searches": searches, "value": value, "logger_value": 0.2114}
                )
            )
    return pd.concat(parts)


def estimates_rows() -> pd.DataFrame:
    """Seven estimators of three policies on a simulated log, three on two real ones."""
    draw = np.random.default_rng(9)
    spreads = {
        "ips": 0.06,
        "snips": 0.035,
        "dm": 0.002,
        "dr": 0.03,
        "ips-item": 0.006,
        "snips-item": 0.005,
        "dr-item": 0.004,
    }
    rows = []
    for turn, policy in enumerate(LEARNED):
        for name, spread in spreads.items():
            joint = name in ("ips", "snips", "dr")
            stderr = spread * (1 + 3 * turn if joint else 1)
            bias = -0.012 if name == "dm" else draw.normal(0, 0.8 * stderr)
            verdict = "caution" if name == "dm" else ("do not use" if joint else "trust")
            why = "effective rows 212 of 50,214 are below 1%; one weight holds 8.1% of the sum" if joint else ""
            why = "a reward model alone; no data can check its bias" if name == "dm" else why
            rows.append(
                _estimate(
                    "simulated",
                    policy,
                    name,
                    VALUES[policy] + bias,
                    stderr,
                    0.2114,
                    50214,
                    212.4 if joint else 18204.0,
                    verdict,
                    why,
                )
            )
    rows[0] |= {
        "value": 1.31,
        "low": -0.4,
        "high": 3.02,
        "lift": 1.31 - 0.2114,
        "lift_low": -0.6114,
        "lift_high": 2.8086,
    }
    for source, logged, verdict in (("open bandit all", 0.0038, "do not use"), ("open bandit men", 0.0046, "caution")):
        for name, value in (("ips", 0.0045669), ("snips", 0.0047906), ("dm", 0.00391)):
            why = (
                "effective positives 4.8 are fewer than 10; an interval from so few clicks is luck"
                if verdict == "do not use"
                else "effective positives 17.5 are fewer than 50"
            )
            rows.append(_estimate(source, "bts", name, value, 0.0017, logged, 10000, 1643.0, verdict, why))
    return pd.DataFrame(rows)


def _estimate(
    source: str, policy: str, name: str, value: float, stderr: float, logged: float,
    n: int, effective: float, verdict: str, why: str,
) -> dict[str, Any]:  # fmt: skip
    low, high = value - 1.96 * stderr, value + 1.96 * stderr
    return {
        "source": source, "policy": policy, "estimator": name, "estimand": ESTIMAND if source == "simulated" else "row",
        "value": value, "stderr": stderr, "low": low, "high": high, "interval": "t", "level": 0.95,
        "lift": value - logged, "lift_low": low - logged, "lift_high": high - logged,
        "rows": n, "effective_rows": effective,
        "effective_positives": 4.8 if source.startswith("open") else effective / 5,
        "mean_weight": 1.002, "mean_weight_z": 0.3,
        "max_weight_share": 0.012, "cluster": "shopper" if source == "simulated" else "row",
        "verdict": verdict, "reasons": why,
    }  # fmt: skip


def audit_rows() -> pd.DataFrame:
    """Four checks of one policy's weights, one of each outcome."""
    seen = {
        "score residual": (
            "passed",
            1.01,
            "choices are 1.01 times as sharp as their logged propensities say (z = +0.8)",
        ),
        "balance": ("strained", 3.4, "weighting moves the share of device = phone, which no ranking can (z = 3.4)"),
        "drift": ("failed", 6.1, "in part 3 of 8 of the time, weights do not have mean 1 (z = 6.1)"),
        "support": ("not checked", None, "not checked: the evidence lacks the propensities of all actions"),
    }
    return pd.DataFrame(
        [
            {
                "source": "simulated",
                "policy": LEARNED[0],
                "check": name,
                "outcome": outcome,
                "figure": figure,
                "said": said,
            }
            for name, (outcome, figure, said) in seen.items()
        ]
    )


def by_segment_rows() -> pd.DataFrame:
    """One estimator's values on three kinds of device."""
    rows = []
    for device, p in (("desktop", 0.2), ("phone", 0.001), ("tablet", 1.0)):
        row = _estimate("simulated", LEARNED[0], "dr-item", 0.25, 0.01, 0.21, 900, 400.0, "caution", "few rows")
        rows.append({"column": "device", "segment": device, **row, "p": p})
    return pd.DataFrame(rows)


def sensitivity_rows() -> pd.DataFrame:
    """Clipping, hidden confounders and the weakest that explains a lift."""
    own = {"reward": "clicks", "estimator": "dr-item", "logger": 0.2114}
    cuts = [{**own, "asked": "clipping", "share": share, "at": 30 * (1 - share), "value": 0.25 - share}
            for share in (0.0, 0.001, 0.01, 0.05)]  # fmt: skip
    bounds = [{**own, "asked": "confounder", "gamma": gamma, "low": 0.25 / gamma, "high": 0.25 * gamma}
              for gamma in (1.1, 1.25, 1.5)]  # fmt: skip
    return pd.DataFrame([*cuts, *bounds, {**own, "asked": "weakest confounder", "gamma": 1.18}])


def quantiles_rows() -> pd.DataFrame:
    """A quantile of revenue and the mean beyond it."""
    one = {"reward": "revenue", "p": 0.99, "level": 0.95}
    return pd.DataFrame(
        [
            {**one, "what": "quantile", "value": 58.0, "low": 51.0, "high": 66.0, "logger": 55.0},
            {**one, "what": "mean beyond", "value": 120.5, "low": 101.0, "high": 140.0, "logger": 111.0},
        ]
    )


def truth_rows() -> pd.DataFrame:
    """The truth of every policy for two estimands."""
    rows = []
    for policy, value in VALUES.items():
        for estimand, shift in ((ESTIMAND, 0.0), ("value per search over its own contexts", 0.0015)):
            rows.append(
                {
                    "policy": policy,
                    "estimand": estimand,
                    "value": value + shift,
                    "stderr": 0.0008,
                    "lift": value - 0.2114,
                    "lift_stderr": 0.0009,
                    "twins_save": float("nan") if policy == "lexical+popularity" else 3.2,
                }
            )
    return pd.DataFrame(rows)


def weights_rows() -> pd.DataFrame:
    """Histograms of two kinds of weights for three policies and one real log."""
    edges = np.round(np.arange(-5.0, 4.01, 0.25), 2)
    rows = []
    for source, policies in (("simulated", LEARNED), ("open bandit all", ("bts",))):
        for policy in policies:
            for kind, width in (("joint", 1.1), ("item-position", 0.35)):
                centre = (edges[:-1] + edges[1:]) / 2
                mass = np.exp(-0.5 * ((centre + width**2) / width) ** 2)
                for low, high, n in zip(edges[:-1], edges[1:], np.round(50000 * mass / mass.sum()), strict=True):
                    rows.append(
                        {
                            "source": source,
                            "policy": policy,
                            "kind": kind,
                            "log10_low": low,
                            "log10_high": high,
                            "count": int(n),
                        }
                    )
    return pd.DataFrame(rows)


def segments_rows() -> pd.DataFrame:
    """Three policies in six segments."""
    names = ("locale=de-DE", "locale=en-GB", "locale=fr-FR", "intent=head", "intent=tail", "shopper=new")
    rows = []
    for turn, policy in enumerate(("lexical+popularity", "neural-linear", "ppo-slate")):
        for place, name in enumerate(names):
            value = VALUES[policy] + 0.01 * ((place + turn) % 3 - 1)
            rows.append(
                {
                    "policy": policy,
                    "segment": name,
                    "value": value,
                    "low": value - 0.006,
                    "high": value + 0.006,
                    "n": 8000 - 900 * place,
                }
            )
    return pd.DataFrame(rows)


def sessions_rows() -> pd.DataFrame:
    """Four searches; one query tries to be a script."""
    searches = (
        ("s1", 1, "en-GB", EVIL), ("s1", 2, "en-GB", "red leather ankle boots"),
        ("s2", 1, "de-DE", "wanderschuhe damen wasserdicht"), ("s3", 1, "fr-FR", "chaussures de running légères"),
    )  # fmt: skip
    titles = (
        "Norrland ankle boot, red leather, size 38",
        "Halden trail shoe",
        "Ostrea chelsea boot, black",
        "Kivi city sneaker in canvas",
        "Brisk running shoe",
    )
    return pd.DataFrame(
        [
            {"session": session, "step": step, "locale": locale, "query": query, "slot": slot, "title": title,
             "price": 39.9 + 20 * slot, "clicked": slot in (0, 2), "bought": slot == 2}
            for session, step, locale, query in searches
            for slot, title in enumerate(titles)
        ]
    )  # fmt: skip


def cells_rows(scenarios: int = 5) -> pd.DataFrame:
    """A sweep: scenarios, four policies, five seeds, two metrics."""
    draw = np.random.default_rng(2)
    return pd.DataFrame(
        [
            {"scenario": f"patience-{place}", "policy": policy, "seed": seed, "metric": metric,
             "value": scale * (VALUES[policy] + 0.02 * place + draw.normal(0, 0.006)), "note": "ignored"}
            for metric, scale in (("value_search", 1.0), ("ndcg", 1.7))
            for place in range(scenarios)
            for policy in ("lexical+popularity", "linear-ts", "neural-linear", "ppo-slate")
            for seed in range(5)
        ]
    )  # fmt: skip


def write_run(folder: Path, facts: dict[str, Any], tables: dict[str, pd.DataFrame]) -> Path:
    """Write a run's folder as `scenarios` does."""
    (folder / "tables").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    for name, table in tables.items():
        table.to_csv(folder / "tables" / f"{name}.csv", index=False, encoding="utf-8")
    return folder


def experiment_tables() -> dict[str, pd.DataFrame]:
    """Every table of an experiment."""
    return {
        "policies": policies_rows(), "learning": learning_rows(), "estimates": estimates_rows(), "truth": truth_rows(),
        "weights": weights_rows(), "segments": segments_rows(), "sessions": sessions_rows(),
        "audit": audit_rows(), "by_segment": by_segment_rows(),
        "sensitivity": sensitivity_rows(), "quantiles": quantiles_rows(),
    }  # fmt: skip


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole experiment, written once; nobody writes into it."""
    return write_run(tmp_path_factory.mktemp("pristine") / "run", FACTS, experiment_tables())


@pytest.fixture
def run_dir(tmp_path: Path, pristine: Path) -> Path:
    """A fresh folder with a whole experiment."""
    return shutil.copytree(pristine, tmp_path / "run")


@pytest.fixture(scope="session")
def made_up() -> ModuleType:
    """This file: what made the run up, for tests that want to bend it."""
    return sys.modules[__name__]
