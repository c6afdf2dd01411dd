"""Checkpoints: one file that holds a training in the middle, written whole or not at all.

safetensors with the JSON in its header; reading one runs no code from it. The file takes its place by renaming, so a
process that is killed while it writes leaves the last whole checkpoint as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from policies.training_state import Arrays, packed, put_back
from simenv.errors import UserError

CHECKPOINT_SCHEMA = "1"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds: which training it belongs to, and the packed state of its parts."""

    training: dict[str, Any]
    nodes: dict[str, Any]
    arrays: Arrays

    def part(self, name: str, into: object = None) -> Any:
        """One part, put back into what stands in its place; see `policies.training_state.put_back`."""
        return put_back(self.nodes[name], self.arrays, into)


def write_checkpoint(path: Path, training: dict[str, Any], parts: dict[str, object]) -> None:
    """Write a checkpoint over the last one.

    Args:
        path: The file.
        training: What the training is: arguments that must be the same to go on, as JSON holds them.
        parts: What it has come to, by name.
    """
    arrays: Arrays = {}
    nodes = {name: packed(part, arrays, name) for name, part in parts.items()}
    header = {
        "schema": CHECKPOINT_SCHEMA,
        "training": json.dumps(training),
        "nodes": json.dumps(nodes),
    }
    draft = draft_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, draft, metadata=header)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)


def read_checkpoint(path: Path, training: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint of that very training.

    Raises:
        UserError: where the file is damaged, or of a training with other arguments.
    """
    try:
        with safe_open(path, "np") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found, nodes = json.loads(header["training"]), json.loads(header["nodes"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise damaged(path, error) from error
    if header.get("schema") != CHECKPOINT_SCHEMA:
        raise UserError(
            f"'{path}' has checkpoint schema {header.get('schema')}; remove it to start from the beginning."
        )
    wanted = json.loads(json.dumps(training))
    for name in wanted:
        if found.get(name) != wanted[name]:
            raise UserError(
                f"'{path}' is of a training with {name} {found.get(name)}, not {wanted[name]}. Go on with the same "
                "arguments, or remove the file to start from the beginning."
            )
    return Checkpoint(found, nodes, arrays)


def weights_digest(tensors: Mapping[str, npt.NDArray[np.generic]]) -> str:
    """The first 16 digits of a SHA-256 over names, types, shapes and numbers; "none" where there are no tensors.

    For weights that a training is given and does not learn, a reader's say: another's of the same shape would fit
    into a checkpoint without a word.
    """
    made = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        made.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        made.update(np.ascontiguousarray(value).tobytes())
    return made.hexdigest()[:16] if tensors else "none"


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint, and what a process that was killed left of the next one."""
    path.unlink(missing_ok=True)
    draft_of(path).unlink(missing_ok=True)


def draft_of(path: Path) -> Path:
    """Where the next checkpoint is written before it takes its place."""
    return path.with_name(f".{path.name}.partial")


def damaged(path: Path, error: Exception) -> UserError:
    """The error of a checkpoint that cannot be put back."""
    reason = str(error).partition("\n")[0] or repr(error)
    return UserError(
        f"checkpoint '{path}' is damaged or by another version ({reason}). Remove it to start from the beginning."
    )
