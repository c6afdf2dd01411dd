"""A small log of pages in every layout that a mapping knows, with propensities that are right by construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

ITEMS, SLOTS = 4, 2
LOGGER = np.array([4.0, 3.0, 2.0, 1.0])
TARGET = np.array([1.0, 2.0, 6.0, 1.5])


@dataclass(frozen=True)
class Small:
    """Pages of two slots out of four items, drawn without replacement; columns are (N, 2)."""

    item: np.ndarray
    p: np.ndarray
    q: np.ndarray
    p_marginal: np.ndarray
    q_marginal: np.ndarray
    click: np.ndarray
    shopper: np.ndarray

    def wide(self) -> dict[str, Any]:
        """Columns of layout wide."""
        made: dict[str, Any] = {"user": [f"u{one}" for one in self.shopper], "page": np.arange(len(self.item))}
        for k in range(SLOTS):
            made[f"item_{k}"] = [f"i{one}" for one in self.item[:, k]]
            for name in ("p", "q", "p_marginal", "q_marginal", "click"):
                made[f"{name}_{k}"] = getattr(self, name)[:, k]
        made["p_whole"], made["q_whole"] = self.p.prod(axis=1), self.q.prod(axis=1)
        made["p_prefix_0"], made["p_prefix_1"] = self.p[:, 0], self.p.prod(axis=1)
        made["total"] = self.click.sum(axis=1)
        return made

    def long(self, order: np.ndarray) -> dict[str, Any]:
        """Columns of layout long, rows in that order."""
        page, slot = (one.ravel()[order] for one in np.indices(self.item.shape))
        return {
            "user": [f"u{one}" for one in self.shopper[page]], "page": page, "slot": slot + 1,
            "item": [f"i{one}" for one in self.item[page, slot]], "p": self.p[page, slot], "q": self.q[page, slot],
            "click": self.click[page, slot],
        }  # fmt: skip


def conditional(strength: np.ndarray, item: np.ndarray) -> np.ndarray:
    first = strength[item[:, 0]]
    return np.stack([first / strength.sum(), strength[item[:, 1]] / (strength.sum() - first)], axis=1)


def marginal(strength: np.ndarray, item: np.ndarray) -> np.ndarray:
    share = strength / strength.sum()
    second = np.array([sum(share[j] * share[i] / (1 - share[j]) for j in range(ITEMS) if j != i) for i in range(ITEMS)])
    return np.stack([share[item[:, 0]], second[item[:, 1]]], axis=1)


def small(n_pages: int = 400, seed: int = 0) -> Small:
    rng = np.random.default_rng(seed)
    race = rng.exponential(size=(n_pages, ITEMS)) / LOGGER  # the order of arrivals is Plackett-Luce
    item = np.argsort(race, axis=1)[:, :SLOTS]
    click = (rng.random(item.shape) < 0.1 + 0.15 * item).astype(np.float64)
    return Small(
        item, conditional(LOGGER, item), conditional(TARGET, item), marginal(LOGGER, item), marginal(TARGET, item),
        click, np.arange(n_pages) // 4,
    )  # fmt: skip


def chance(columns: Any, kind: str = "conditional", scale: str = "probability") -> dict[str, Any]:
    return {"columns": columns, "kind": kind, "scale": scale}


def both(name: str) -> list[str]:
    return [f"{name}_0", f"{name}_1"]


def wide_mapping() -> dict[str, Any]:
    return {
        "layout": "wide",
        "columns": {"shopper": "user", "action": both("item")},
        "rewards": {"clicks": both("click")},
        "propensity": chance(both("p")),
        "target": chance(both("q")),
    }


@pytest.fixture
def log() -> Small:
    return small()


@pytest.fixture
def wide() -> dict[str, Any]:
    return wide_mapping()
