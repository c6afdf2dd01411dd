"""What is loaded when, looked at in a fresh interpreter: the light rooms stay light, the front door opens at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What no light room loads, and what `slatelab --help` has no need of either.
HEAVY = {"torch", "ray", "matplotlib"}
NOT_FOR_HELP = HEAVY | {"pandas", "sklearn", "numba", "pyarrow", "gymnasium", "scipy", "numpy"}


def loaded_by(code: str, folder: Path) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after running the code."""
    tell = "import sys; print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], cwd=folder, capture_output=True, text=True, check=True
    )
    line = done.stdout.splitlines()[-1]
    assert line.startswith("loaded: ")
    return set(line.split()[1:])


@pytest.mark.parametrize("room", ["simenv", "policies", "offpolicy", "reports"])
def test_a_light_room_loads_neither_torch_nor_ray_nor_matplotlib(room: str, repository: Path) -> None:
    """Whoever only simulates, evaluates or reads a page does not wait for what learns or draws."""
    loaded = loaded_by(f"import {room}", repository)
    assert room in loaded
    assert loaded & HEAVY == set()


def test_help_loads_no_library_that_computes(repository: Path) -> None:
    """The number of modules, not the clock: `slatelab --help` takes as long as what it imports."""
    loaded = loaded_by("from slatelab.main import call\nassert call(['--help']) == 0", repository)
    assert "typer" in loaded
    assert loaded & NOT_FOR_HELP == set()


def test_the_list_of_scenarios_needs_neither_torch_nor_ray(repository: Path) -> None:
    """Names are looked up without loading what they name."""
    loaded = loaded_by("from slatelab.main import call\nassert call(['list', 'scenarios']) == 0", repository)
    assert "scenarios" in loaded
    assert loaded & HEAVY == set()


def test_the_check_sees_what_is_loaded(repository: Path) -> None:
    """A planted import is seen, and so would be torch."""
    assert "sqlite3" in loaded_by("import sqlite3", repository)
