"""Random numbers as pure functions of their names.

Nothing in the market draws from a generator with state. A draw is named by (seed, stream, shopper, visit, search,
page, item or slot) and hashed from that name, so it does not depend on the batch size, on the number of workers or on
what was drawn before, and two policies can face the same shoppers with the same luck.

A *key* is a uint64; `absorb` folds one more integer into it with the splitmix64 step (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", 2014). Arrays broadcast as in numpy.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.integer] | int

_ONE = np.uint64(1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_U30, _U27, _U31 = np.uint64(30), np.uint64(27), np.uint64(31)
_U11, _U12 = np.uint64(11), np.uint64(12)
_MASK = (1 << 64) - 1


@functools.lru_cache(maxsize=4096)
def stream(seed: int, name: str) -> int:
    """The root key of a named stream under a seed, as a Python integer in [0, 2**64).

    Args:
        seed: Any integer; taken modulo 2**64.
        name: The purpose of the stream, for example "click". Different names give independent draws.
    """
    key = _mix_python((seed & _MASK) ^ 0x5851F42D4C957F2D)
    for byte in name.encode():
        key = _mix_python(key + (byte + 1) * int(_GOLDEN) & _MASK)
    return key


def absorb(key: Keys | int, value: Integers) -> Keys:
    """Fold an integer into a key.

    Args:
        key: uint64 array or integer.
        value: Integers that broadcast against `key`; negative ones are taken modulo 2**64.

    Returns:
        New keys of the broadcast shape, uint64.
    """
    base = key if isinstance(key, np.ndarray) else np.asarray(np.uint64(key))
    step = np.asarray(value)
    mixed = np.atleast_1d(step).astype(np.uint64)  # arrays wrap around silently, scalars would warn
    mixed += _ONE
    mixed *= _GOLDEN
    mixed = mixed + base
    _mix(mixed)
    return mixed if step.ndim or base.ndim else mixed.reshape(())


def uniform(key: Keys) -> npt.NDArray[np.float64]:
    """Uniforms in [0, 1) with 53 bits from keys."""
    return (key >> _U11).astype(np.float64) * 2.0**-53


def uniform_open(key: Keys) -> npt.NDArray[np.float64]:
    """Uniforms in the open interval (0, 1), safe for logarithms. With 53 bits the largest would round to 1."""
    return ((key >> _U12).astype(np.float64) + 0.5) * 2.0**-52


def integers(key: Keys, n: Integers) -> npt.NDArray[np.int64]:
    """Integers in [0, n). `n` broadcasts and must be positive."""
    drawn: npt.NDArray[np.int64] = (uniform(key) * n).astype(np.int64)
    return drawn


def normal(key: Keys) -> npt.NDArray[np.float64]:
    """Standard normals by the Box-Muller transform of two uniforms hashed from each key."""
    radius = np.sqrt(-2.0 * np.log(uniform_open(absorb(key, 1))))
    return radius * np.cos(2.0 * np.pi * uniform(absorb(key, 2)))


def _mix(z: Keys) -> None:
    z ^= z >> _U30
    z *= _M1
    z ^= z >> _U27
    z *= _M2
    z ^= z >> _U31


def _mix_python(z: int) -> int:
    z = ((z ^ (z >> 30)) * int(_M1)) & _MASK
    z = ((z ^ (z >> 27)) * int(_M2)) & _MASK
    return z ^ (z >> 31)
