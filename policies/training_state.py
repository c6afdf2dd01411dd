"""A learner in the middle of its training as plain data: numbers in arrays, everything else in JSON.

What a saved model holds is enough to rank. To go on training bit for bit takes the rest as well: moments of an
optimiser, states of generators, what was kept to train on. Learners need not know of it: their attributes are walked,
and put back into a fresh learner of the same settings, so that whoever adds one adds nothing here. Nothing is pickled
and nothing that a file names is imported: the only things made by name are frozen dataclasses of our own packages that
are already loaded. A contract test over the registry holds every learner to it.

Not for attributes that share an array which is changed in place: each gets its own.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError

Node = Any  # what JSON holds
Arrays = dict[str, npt.NDArray[np.generic]]

ROOMS = ("policies", "simenv")
KEEPS_ITS_STATE = (nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
FOLLOWS_FROM_SETTINGS = (torch.device, torch.dtype, type, FunctionType, MethodType, PublicCatalogue)


def packed(value: object, arrays: Arrays, path: str = "") -> Node:
    """A value as JSON, its arrays put into `arrays` under their paths.

    Args:
        value: Scalars, texts, arrays, tensors, generators, modules and optimisers of torch, frozen dataclasses and
            objects of our own, and lists, tuples, sets, deques and dicts of all that.
        arrays: Filled.
        path: Where the value stands, the name of its array.

    Raises:
        UserError: for a value of another kind, saying where it stands.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        return _packed_numbers(value, arrays, path)
    if isinstance(value, (list, tuple, deque, set)):
        items = sorted(value) if isinstance(value, set) else value
        return {type(value).__name__: [packed(one, arrays, f"{path}.{i}") for i, one in enumerate(items)]}
    if isinstance(value, Mapping):
        held = [[packed(key, arrays, path), packed(one, arrays, f"{path}.{key}")] for key, one in value.items()]
        return {"dict": held}
    if isinstance(value, torch.Generator):
        return {"luck": packed(value.get_state(), arrays, path)}
    if isinstance(value, np.random.Generator):
        return {"luck": packed(value.bit_generator.state, arrays, path)}
    if isinstance(value, KEEPS_ITS_STATE):
        return {"state": packed(value.state_dict(), arrays, path)}
    if isinstance(value, FOLLOWS_FROM_SETTINGS):
        return {"fixed": None}
    kind = f"{type(value).__module__}:{type(value).__qualname__}"
    if not kind.startswith(ROOMS):
        raise UserError(f"{path.lstrip('.')} is a {kind}, which a checkpoint cannot hold; keep arrays in its place.")
    fields = {name: packed(one, arrays, f"{path}.{name}") for name, one in vars(value).items()}
    return {"columns" if dataclasses.is_dataclass(value) else "object": [kind, fields]}


def put_back(node: Node, arrays: Arrays, into: Any = None) -> Any:
    """The value that was packed.

    Args:
        node: By `packed`.
        arrays: By `packed`.
        into: The value that stands in its place now, if any: objects, modules, optimisers and generators are not made
            but set to their state.

    Raises:
        ValueError, TypeError, KeyError, AttributeError or RuntimeError: where it does not fit.
    """
    if not isinstance(node, dict):
        return node
    ((kind, held),) = node.items()
    match kind:
        case "array":
            return np.array(arrays[held])
        case "number":
            return arrays[held][()]
        case "tensor":
            return _tensor(arrays[held["at"]], held["device"], into)
        case "texts":
            return np.array(held, dtype=object)
        case "list" | "tuple" | "deque" | "set":
            present = list(into) if isinstance(into, (list, tuple)) and len(into) == len(held) else [None] * len(held)
            made = [put_back(one, arrays, now) for one, now in zip(held, present, strict=True)]
            return {"list": list, "tuple": tuple, "deque": deque, "set": set}[kind](made)
        case "dict":
            now = into if isinstance(into, dict) else {}
            keys = [put_back(key, arrays) for key, _ in held]
            return {key: put_back(one, arrays, now.get(key)) for key, (_, one) in zip(keys, held, strict=True)}
        case "luck":
            return _lucky(put_back(held, arrays), into)
        case "state":
            into.load_state_dict(put_back(held, arrays))
            return into
        case "fixed":
            return into
        case "columns":
            fields = {name: put_back(one, arrays, getattr(into, name, None)) for name, one in held[1].items()}
            return _columns_class(held[0])(**fields)
        case "object":
            return _put_into(into, held, arrays)
    raise ValueError(f"'{kind}' is nothing that a checkpoint holds")


def _packed_numbers(value: npt.NDArray[np.generic] | np.generic | Tensor, arrays: Arrays, path: str) -> Node:
    if isinstance(value, Tensor):
        arrays[path] = np.array(value.detach().cpu().numpy(), order="C")
        return {"tensor": {"at": path, "device": str(value.device)}}
    if value.dtype.kind == "O":  # what was typed
        return {"texts": value.tolist()}
    arrays[path] = np.array(value, order="C")
    return {"array" if isinstance(value, np.ndarray) else "number": path}


def _tensor(array: npt.NDArray[np.generic], device: str, into: Any) -> Tensor:
    """The tensor; what an optimiser moves is overwritten in place, because the optimiser holds it too."""
    made = torch.from_numpy(np.array(array)).to(device)
    if isinstance(into, Tensor) and into.requires_grad:
        with torch.no_grad():
            return into.copy_(made)
    return made


def _lucky(state: Any, into: torch.Generator | np.random.Generator) -> torch.Generator | np.random.Generator:
    if isinstance(into, torch.Generator):
        into.set_state(state)
    else:
        into.bit_generator.state = state
    return into


def _columns_class(kind: str) -> Any:
    """A frozen dataclass of ours that is already loaded, by "module:class"; nothing is imported."""
    module, _, name = kind.partition(":")
    made = getattr(sys.modules.get(module), name, None) if module.partition(".")[0] in ROOMS else None
    if not isinstance(made, type) or not dataclasses.is_dataclass(made):
        raise ValueError(f"'{kind}' is no dataclass of {' or '.join(ROOMS)}")
    return made


def _put_into(into: Any, held: list[Any], arrays: Arrays) -> Any:
    kind, fields = held
    if kind != f"{type(into).__module__}:{type(into).__qualname__}":
        raise ValueError(f"a {kind} cannot be put into a {type(into).__qualname__}")
    for name, node in fields.items():
        setattr(into, name, put_back(node, arrays, getattr(into, name, None)))
    return into
