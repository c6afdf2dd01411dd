"""`simenv.hashing` for one key at a time, and how kernels are compiled.

An entry kernel is called from Python and its machine code is remembered on disk; everything it calls is compiled into
it. The cache notices a change in the entry's own file only, so every entry also takes the tables of the world, whose
type carries a digest of all the files here; see `simenv.compiled.tables`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.options import DefaultOptions

F = TypeVar("F", bound=Callable[..., Any])
# Numbers of one width, which numba infers for itself and which mypy would take for arrays of them.
Int = Any
U64 = Any
Single = Any

_ONE = np.uint64(1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_U30, _U27, _U31 = np.uint64(30), np.uint64(27), np.uint64(31)
_U11, _U12 = np.uint64(11), np.uint64(12)
_U16, _LOW16 = np.uint64(16), np.uint64(0xFFFF)


_njit: Any = numba.njit  # its types do not know all of its options
# Only entries are called from Python or C, and every wrapper for that would be compiled.
_INSIDE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Kernels allocate nothing, so references to arrays are not counted; with that they would be nine times as slow.
# Division by zero gives what numpy gives.
_WANTED: dict[str, Any] = {"error_model": "numpy", "_nrt": False, **_INSIDE}


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """Those that this numba knows; some are not part of what it promises."""
    return {name: value for name, value in options.items() if hasattr(DefaultOptions, name)}


IS_FAST = "_nrt" in _known(_WANTED)  # kernels that count references are slower than the definition
_PART = _known(_WANTED)
_ENTRY = {name: value for name, value in _PART.items() if name != "no_cpython_wrapper"}


def inlined(function: F) -> F:
    """Compile a function of plain numbers, as a part of the entries that call it."""
    return cast(F, _njit(**_PART)(function))


def woven(function: F) -> F:
    """Copy a function that is handed arrays into each of its callers; a call would cost more than its work."""
    return cast(F, _njit(**_PART, inline="always")(function))


def entry(function: F) -> F:
    """Compile on the first call, and remember the result on disk where a folder for it can be written."""
    try:
        return cast(F, _njit(**_ENTRY, cache=True)(function))
    except RuntimeError:  # no folder for a cache
        return cast(F, _njit(**_ENTRY)(function))


@inlined
def mix(z: U64) -> U64:
    """Twin of `hashing._mix`."""
    z = (z ^ (z >> _U30)) * _M1
    z = (z ^ (z >> _U27)) * _M2
    return z ^ (z >> _U31)


@inlined
def absorb(key: U64, value: Int) -> U64:
    """Twin of `hashing.absorb`. Every integer that meets a key is a uint64: with int64 numba would make a float."""
    return mix(key + (np.uint64(value) + _ONE) * _GOLDEN)


@inlined
def uniform(key: U64) -> float:
    """Twin of `hashing.uniform`."""
    return np.float64(key >> _U11) * 2.0**-53


@inlined
def uniform_open(key: U64) -> float:
    """Twin of `hashing.uniform_open`."""
    return (np.float64(key >> _U12) + 0.5) * 2.0**-52


@inlined
def integer(key: U64, n: Int) -> Int:
    """Twin of `hashing.integers`."""
    return np.int64(uniform(key) * n)


@inlined
def normal(key: U64) -> float:
    """Twin of `hashing.normal`."""
    radius = math.sqrt(-2.0 * math.log(uniform_open(absorb(key, 1))))
    return radius * math.cos(2.0 * math.pi * uniform(absorb(key, 2)))


@inlined
def coin(key: U64, place: Int) -> Int:
    """Twin of `asking._coins`, one of them: 16 bits, four from each hash."""
    shift = np.uint64(place & 3) * _U16
    return np.int64((absorb(key, place >> 2) >> shift) & _LOW16)


@inlined
def visit_key(key: U64, visit: Int, draw: Int) -> U64:
    """Twin of `state.visit_key`."""
    return absorb(absorb(key, visit), draw)


@inlined
def place_among(edges: Any, u: float) -> Int:
    """Twin of `np.searchsorted(edges, u, side="right")`."""
    low, high = 0, len(edges)
    while low < high:
        middle = (low + high) >> 1
        if u < edges[middle]:
            high = middle
        else:
            low = middle + 1
    return low
