"""Settings of learners: what a scenario, a command or a saved card says, over each learner's own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simenv.errors import UserError

FOR_ALL = ("seed", "device")  # told to every learner; those that draw nothing or keep no tensors take no notice


def chosen(kind: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, with what is given in their place.

    Raises:
        UserError: for a setting that the learner does not have.
    """
    for name in given:
        if name not in defaults and name not in FOR_ALL:
            raise UserError(f"policy '{kind}' has no setting '{name}'; expected {', '.join(defaults)}.")
    return {name: given.get(name, default) for name, default in defaults.items()}
