"""Saved session models: what a learner's setting `session` names the folder of.

The learner's own model then holds the weights, so that it loads without this folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from policies.persistence import LearnedFrom
from policies.saved_folder import Part, read_part, write_part
from policies.session.encoder import SessionNet, described_shape

SESSION = Part("session", "session model", 1, "policies.session.saving.save_session")


def save_session(net: SessionNet, folder: Path, learned_from: LearnedFrom) -> Path:
    """Write a session model's folder, whole or not at all.

    Args:
        net: A trained model.
        folder: To be made; it must not exist.
        learned_from: What it has seen: rankers that read by it are not judged on those shoppers either.

    Raises:
        UserError: where the folder exists.
    """
    tensors = {name: value.cpu().numpy() for name, value in net.state_dict().items()}
    return write_part(SESSION, folder, {**described_shape(net), "learned_from": vars(learned_from)}, tensors)


def read_session(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.generic]]]:
    """What describes a saved session model, and its weights; see `read_part`."""
    return read_part(SESSION, folder)
