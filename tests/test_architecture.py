"""The rooms of the house and who may enter which, read from the source.

Every import counts, wherever in a file it stands (also inside a function, for type checking, or through
`importlib.import_module`); only for cycles do we look at those alone that run when a module is loaded.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent

# Which of our modules a room may import, as prefixes.
OURS: dict[str, tuple[str, ...]] = {
    "simenv": ("simenv",),
    "policies": ("policies", "simenv"),
    "offpolicy": ("offpolicy", "simenv"),
    "scenarios": ("scenarios", "policies", "offpolicy", "simenv"),
    "reports": ("reports", "simenv.errors"),
    "slatelab": ("slatelab", "reports", "scenarios", "policies", "offpolicy", "simenv"),
}
# Rooms that may import nothing of others' but this and the standard library.
ONLY_LIBRARIES: dict[str, frozenset[str]] = {
    "simenv": frozenset({"numpy", "gymnasium", "pyarrow", "numba", "PIL", "sklearn", "scipy"}),
    "reports": frozenset({"numpy", "scipy", "pandas", "matplotlib", "jinja2", "markupsafe"}),
}
# The standard library, and the types of it that only type checkers know.
STANDARD = sys.stdlib_module_names | {"_typeshed"}
# The only places for heavy libraries, as prefixes of our modules.
ONLY_PLACES: dict[str, tuple[str, ...]] = {
    "torch": ("policies",),
    # In simenv a real market's text index and text model need them, and nothing else does.
    "sklearn": ("simenv.real", "policies", "offpolicy", "scenarios"),
    "scipy": ("simenv.real", "policies", "offpolicy", "scenarios", "reports"),
    "ray": ("policies.rllib", "scenarios.sweep", "offpolicy.stream.on_ray"),
}
NAMELESS = {"utils", "util", "common", "base", "helpers", "helper", "manager", "misc"}
GLOBAL_SEEDS = {"numpy.random.seed", "torch.manual_seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all"} | {
    "random.seed",
    "torch.random.manual_seed",
}


@dataclass(frozen=True)
class Import:
    """One import statement's target, as a dotted name, and where it stands."""

    target: str
    line: int
    runs_on_load: bool


def sources() -> dict[str, str]:
    """Return the source of every module of ours by its dotted name."""
    found: dict[str, str] = {}
    for room in OURS:
        for path in sorted((TOP / room).rglob("*.py")):
            parts = path.relative_to(TOP).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path.read_text(encoding="utf-8")
    return found


def is_within(module: str, prefixes: tuple[str, ...]) -> bool:
    """Tell whether a module is one of these or lies inside one of them."""
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def imports(tree: ast.Module, known: frozenset[str]) -> list[Import]:
    """Return everything a module imports; `from a import b` means `a.b` where that is a module of ours, else `a`."""
    found: list[Import] = []
    for node, runs_on_load in walk(tree, True):
        match node:
            case ast.Import(names=names):
                found += [Import(alias.name, node.lineno, runs_on_load) for alias in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                inner = [f"{module}.{alias.name}" for alias in names]
                found += [Import(name if name in known else module, node.lineno, runs_on_load) for name in inner]
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"), args=[first, *_]):
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.append(Import(first.value, node.lineno, runs_on_load))
    return found


def walk(node: ast.AST, runs_on_load: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node below this one, and whether it runs when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        runs = runs_on_load and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            runs = False
        yield child, runs
        yield from walk(child, runs)


def violations(code: Mapping[str, str]) -> list[str]:
    """Return what breaks the plan of the house, one line each; empty if nothing does."""
    known = frozenset(code)
    trees = {name: ast.parse(text) for name, text in code.items()}
    found: list[str] = []
    edges: dict[str, set[str]] = {}
    for name, tree in trees.items():
        imported = imports(tree, known)
        found += [f"{name}:{one.line}: {reason}" for one in imported for reason in wrong_import(name, one.target)]
        found += [f"{name}:{line}: {reason}" for line, reason in wrong_code(tree)]
        if NAMELESS & set(name.split(".")):
            found.append(f"{name}: a module needs a name of its own")
        edges[name] = {one.target for one in imported if one.runs_on_load and one.target in known} - {name}
    return found + [f"{' -> '.join(cycle)}: a cycle" for cycle in cycles(edges)]


def wrong_import(module: str, target: str) -> Iterator[str]:
    """Yield why a module may not import this."""
    room = module.partition(".")[0]
    library = target.partition(".")[0]
    if library in OURS:
        if not is_within(target, OURS[room]):
            yield f"{room} may not import {target}"
        return
    if library in ONLY_PLACES and not is_within(module, ONLY_PLACES[library]):
        yield f"{library} belongs to {', '.join(ONLY_PLACES[library])} alone"
    if room in ONLY_LIBRARIES and library not in ONLY_LIBRARIES[room] | STANDARD:
        yield f"{room} imports only {', '.join(sorted(ONLY_LIBRARIES[room]))}, not {library}"


def wrong_code(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the reason of relative imports, `**kwargs` in signatures, and seeds of global generators."""
    full = {"np": "numpy"}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(level=level) if level > 0:
                yield node.lineno, "imports are absolute"
            case ast.ImportFrom(module=str(module), names=names):
                full |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
            case ast.Import(names=names):
                full |= {alias.asname: alias.name for alias in names if alias.asname}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                if node.args.kwarg is not None and not overrides_a_library(node):
                    yield node.lineno, f"**{node.args.kwarg.arg} swallows what nobody reads"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            called = full.get(first, first) + ("." + rest if rest else "")
            if called in GLOBAL_SEEDS:
                yield node.lineno, f"{called} seeds a generator that everybody shares"


def overrides_a_library(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    """Tell whether a method is marked as overriding one, whose signature is then not ours to choose."""
    if isinstance(node, ast.Lambda):
        return False
    names = (ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list)
    return any(name.rpartition(".")[2] in {"override", "OverrideToImplementCustomLogic"} for name in names)


def cycles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the cycles among modules that a depth-first walk meets, each from and to the same module."""
    found: list[list[str]] = []
    finished: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in finished:
            for target in sorted(edges.get(module, ())):
                visit(target, [*path, module])
            finished.add(module)

    for module in sorted(edges):
        visit(module, [])
    return found


def test_every_room_keeps_to_its_imports_its_names_and_its_own_seeds() -> None:
    """The rules above, over all the source there is."""
    assert violations(sources()) == []


def test_every_room_is_there_to_be_read() -> None:
    """A rule over an empty folder would hold for ever."""
    rooms = {name.partition(".")[0] for name in sources()}
    assert rooms == set(OURS)


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        ({"simenv.world": "import policies.linear"}, "simenv may not import policies.linear"),
        ({"policies.linear": "def f():\n    from offpolicy import evidence"}, "policies may not import offpolicy"),
        ({"offpolicy.dr": "from policies.registry import load_policy"}, "offpolicy may not import policies.registry"),
        ({"reports.page": "from scenarios.run import run_scenario"}, "reports may not import scenarios.run"),
        ({"reports.page": "import simenv.world"}, "reports may not import simenv.world"),
        ({"scenarios.run": "import slatelab.main"}, "scenarios may not import slatelab.main"),
        ({"scenarios.run": "import torch"}, "torch belongs to policies alone"),
        ({"scenarios.run": "if TYPE_CHECKING:\n    import torch.nn"}, "torch belongs to policies alone"),
        ({"policies.linear": "from ray import tune"}, "ray belongs to policies.rllib, scenarios.sweep"),
        ({"policies.lazy": "import importlib\nimportlib.import_module('ray.rllib')"}, "ray belongs to policies.rllib"),
        ({"simenv.log": "import pandas as pd"}, "simenv imports only"),
        ({"simenv.log": "from scipy import sparse"}, "scipy belongs to simenv.real"),
        ({"simenv.log": "from . import world"}, "imports are absolute"),
        ({"offpolicy.dr": "def fit(x, **options): ..."}, "**options swallows"),
        ({"offpolicy.dr": "import numpy as np\nnp.random.seed(0)"}, "numpy.random.seed seeds"),
        ({"policies.net": "import torch\ndef f():\n    torch.manual_seed(0)"}, "torch.manual_seed seeds"),
        ({"policies.net": "from torch import manual_seed as start\nstart(0)"}, "torch.manual_seed seeds"),
        ({"scenarios.run": "import random\nrandom.seed(1)"}, "random.seed seeds"),
        ({"offpolicy.utils": ""}, "a module needs a name of its own"),
        ({"simenv.a": "import simenv.b", "simenv.b": "from simenv import c", "simenv.c": "import simenv.a"}, "a cycle"),
    ],
)
def test_a_planted_breach_is_found(planted: dict[str, str], reason: str) -> None:
    """A checker that finds nothing proves nothing."""
    found = violations(planted)
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    "allowed",
    [
        {"policies.net": "import torch\ng = torch.Generator()\ng.manual_seed(0)"},
        {"policies.rllib.module": "import ray\nclass M:\n    @override(RLModule)\n    def f(self, **kwargs): ..."},
        {"scenarios.sweep": "import ray"},
        {"reports.page": "from simenv.errors import UserError\nimport pandas"},
        {"simenv.a": "import simenv.b", "simenv.b": "def f():\n    import simenv.a"},
        {"simenv.a": "import simenv.b", "simenv.b": "if TYPE_CHECKING:\n    import simenv.a"},
        {"policies.linear": "import numpy as np\nrng = np.random.default_rng(0)"},
    ],
)
def test_what_is_allowed_is_left_alone(allowed: dict[str, str]) -> None:
    """The same rules do not cry over what the plan permits."""
    assert violations(allowed) == []
