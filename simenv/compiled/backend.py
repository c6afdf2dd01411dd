"""Which backend plays a world: numpy, the definition, or numba, its compiled twin."""

from __future__ import annotations

from typing import Literal, get_args

from simenv.errors import UserError, unknown_name
from simenv.state import World

Backend = Literal["auto", "numpy", "numba"]


def with_backend(world: World, backend: Backend) -> World:
    """The same world, played by that backend; "auto" is numba where it is installed, fast and knows the world.

    Raises:
        UserError: for an unknown backend, and for "numba" where it is not installed or does not know the world.
    """
    if backend not in get_args(Backend):
        raise unknown_name("backend", backend, get_args(Backend))
    if backend == "numpy":
        return world
    try:
        from simenv.compiled.hashing import IS_FAST
        from simenv.compiled.twin import compile_world, supported
    except ImportError as error:
        if backend == "auto":
            return world
        raise UserError(
            "backend 'numba' needs numba, which is not installed; pip install 'slatelab[fast]', or take 'auto'."
        ) from error
    reason = supported(world)
    if reason is not None and backend == "numba":
        raise UserError(f"backend 'numba' does not know this world: {reason}. Take 'auto' or 'numpy'.")
    return world if reason is not None or not (IS_FAST or backend == "numba") else compile_world(world)
