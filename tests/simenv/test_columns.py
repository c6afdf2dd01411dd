"""Columns keep their rows together, nested ones too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simenv.columns import join, overwrite, take


@dataclass(frozen=True)
class Inner:
    b: np.ndarray


@dataclass(frozen=True)
class Outer:
    a: np.ndarray
    inner: Inner
    note: str = "kept"


def made(n: int, start: int = 0) -> Outer:
    return Outer(np.arange(start, start + n), Inner(np.arange(start, start + n)[:, None] * np.ones(2)))


def equal(one: Outer, other: Outer) -> bool:
    return np.array_equal(one.a, other.a) and np.array_equal(one.inner.b, other.inner.b) and one.note == other.note


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_what_is_split_by_take_is_put_back_by_overwrite(chosen: list[bool]) -> None:
    rows = np.array(chosen)
    whole = made(len(rows))
    blank = Outer(np.full(len(rows), -1), Inner(np.full((len(rows), 2), -1.0)))
    back = overwrite(overwrite(blank, rows, take(whole, rows)), ~rows, take(whole, ~rows))
    assert equal(back, whole)
    assert (blank.a == -1).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_join_puts_rows_one_after_another(lengths: list[int]) -> None:
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    parts = [made(n, int(start)) for n, start in zip(lengths, starts, strict=True)]
    assert equal(join(parts), made(sum(lengths)))


def test_rows_may_be_chosen_by_number_and_in_any_order() -> None:
    rows = np.array([3, 1])
    assert take(made(5), rows).inner.b[:, 0].tolist() == [3, 1]
    changed = overwrite(made(5), rows, made(2, start=10))
    assert changed.a.tolist() == [0, 11, 2, 10, 4]
