"""Saved models: numbers in safetensors, everything else in a JSON card. Loading runs no code from either.

The card says what the model learned from, so that evaluating it on the same shoppers can be refused, and how it
explores, so that a loaded model has the propensities of the one that was saved.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from policies.exploration.estimates import Exploration
from policies.exploration.registry import exploration as scheme_of
from policies.exploration.registry import name_of
from policies.exploration.slotwise import AnyPolicy, Slotwise, SlotwisePolicy
from policies.features import READER, SESSION
from policies.learning import Learner
from policies.ranking import RankingPolicy, Scorer
from policies.registry import CARD_FILE, POLICIES, SAVED_PARTS, Entry, restored_learner
from policies.saved_folder import packed, write_folder
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError

MODEL_FILE = "model.safetensors"
CARD_SCHEMA = 2
CARD_TYPES: dict[str, type | tuple[type, ...]] = {
    "kind": str, "settings": dict, "temperature": (int, float), "floor": (int, float), "n_slots": int, "features": list,
    "exploration": (dict, type(None)), "learned_from": dict,
}  # fmt: skip
VERSIONS_OF = ("slatelab", "torch", "numpy", "safetensors")


@dataclass(frozen=True)
class LearnedFrom:
    """What a model has seen.

    Attributes:
        log_hash: Of the log, or "" where it learned in the market.
        world_hash: Of the world.
        seed: Of the shoppers' luck: simulated shoppers of equal seed and id are the same people; None for real ones.
        half: Which half of the shoppers (`policies.learning.in_half`), or None for all.
        searches: How many.
        shoppers: `shoppers_digest` of those it learned from; "" where nobody took it.
    """

    log_hash: str
    world_hash: str
    seed: int | None
    half: int | None
    searches: int
    shoppers: str = ""


def shoppers_digest(shoppers: npt.NDArray[np.integer]) -> str:
    """SHA-256 over the sorted ids, each once: the same for the same people, whatever their order and their searches."""
    return hashlib.sha256(np.unique(shoppers).astype("<i8").tobytes()).hexdigest()


def parts_learned_from(settings: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """What the saved parts inside a learner (its reader, its session model) have seen, by the setting of each.

    A learner's settings hold the card of each part, and so does its own card.

    Returns:
        The fields of `LearnedFrom` of each part; None for one that does not say.
    """
    cards = {part: settings[part] for part in SAVED_PARTS if isinstance(settings.get(part), Mapping)}
    told = {part: card.get("learned_from") for part, card in cards.items()}
    fields = set(LearnedFrom.__dataclass_fields__)
    return {part: dict(seen) if isinstance(seen, Mapping) and set(seen) == fields else None
            for part, seen in told.items()}  # fmt: skip


def save_model(
    scorer: Learner,
    folder: Path,
    n_slots: int,
    learned_from: LearnedFrom,
    metrics: dict[str, float],
    exploration: tuple[float, float] | Exploration | Slotwise | None = None,
) -> Path:
    """Write a model's folder, whole or not at all.

    Args:
        scorer: The trained learner.
        folder: To be made; it must not exist.
        n_slots: K it was trained with.
        learned_from: What it has seen.
        metrics: Numbers for the card.
        exploration: How the policy explores: (temperature, floor) of plain Plackett-Luce; a scheme of EXPLORATIONS, or
            one asked at every slot; the registry's temperature and floor where None.

    Raises:
        UserError: where the folder exists, or for a scheme that is not in EXPLORATIONS and so could not be loaded.
    """
    entry = POLICIES[scorer.kind]
    temperature, floor, scheme = _told(entry, exploration)
    card = {
        "schema": CARD_SCHEMA,
        "kind": scorer.kind,
        "about": entry.about,
        "settings": scorer.settings,
        "temperature": temperature,
        "floor": floor,
        "exploration": scheme,
        "n_slots": n_slots,
        "features": list(scorer.feature_map.feature_names),
        "learned_from": vars(learned_from),
        "metrics": metrics,
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        "intended_use": "ranking the candidates of a search on a catalogue with the same columns; judged off-policy "
        "or in simulated tests before any shopper sees it",
    }
    text = json.dumps(card, indent=2) + "\n"
    return write_folder(folder, "model", {MODEL_FILE: packed(_held(scorer)), CARD_FILE: text.encode()})


def read_card(folder: Path) -> dict[str, Any]:
    """A model's card.

    Raises:
        UserError: where the card is unreadable or of another schema.
    """
    if not (folder / CARD_FILE).is_file():
        raise UserError(f"'{folder}' is no saved model: it has no {CARD_FILE}. Expected a folder by 'slatelab train'.")
    try:
        card: dict[str, Any] = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"'{folder / CARD_FILE}' cannot be read ({error}). Expected a model by 'slatelab train'."
        ) from error
    if not isinstance(card, dict) or card.get("schema") != CARD_SCHEMA:
        found = card.get("schema") if isinstance(card, dict) else None
        raise UserError(f"'{folder}' has card schema {found}; this version reads {CARD_SCHEMA}.")
    wrong = [name for name, kind in CARD_TYPES.items() if name not in card or not isinstance(card[name], kind)]
    if wrong or set(card["learned_from"]) != set(LearnedFrom.__dataclass_fields__):
        raise UserError(
            f"'{folder / CARD_FILE}' is damaged: {[*wrong, 'learned_from'][0]} is missing or of another type. "
            "Train the model again."
        )
    return card


def load_model(folder: Path, catalogue: PublicCatalogue, n_slots: int) -> RankingPolicy:
    """A saved model as a ranking policy over a catalogue.

    Raises:
        UserError: where the files are damaged, of another kind, or do not fit the catalogue or the number of slots; or
            where the model explores slot by slot, so that its slates are not Plackett-Luce.
    """
    card = read_card(folder)
    if _is_slotwise(card):
        raise UserError(
            f"model '{folder}' explores slot by slot; expected one whose slates are Plackett-Luce by its scores. Save "
            "it under another exploration, or load it by policies.persistence.load_any."
        )
    policy = RankingPolicy(card["kind"], _scorer(folder, card, catalogue, n_slots), card["temperature"], card["floor"])
    return policy if card["exploration"] is None else dataclasses.replace(policy, exploration=_scheme(folder, card))


def load_any(folder: Path, catalogue: PublicCatalogue, n_slots: int) -> AnyPolicy:
    """A saved model as the policy that it was saved as.

    Raises:
        UserError: see `load_model`.
    """
    card = read_card(folder)
    if not _is_slotwise(card):
        return load_model(folder, catalogue, n_slots)
    return SlotwisePolicy(card["kind"], _scorer(folder, card, catalogue, n_slots), _scheme(folder, card))


def _told(
    entry: Entry, exploration: tuple[float, float] | Exploration | Slotwise | None
) -> tuple[float, float, dict[str, Any] | None]:
    """Temperature, floor and scheme as a card tells them; a scheme has its own temperature and floor."""
    match exploration:
        case None:
            return entry.temperature, entry.floor, None
        case (temperature, floor):
            return temperature, floor, None
        case Slotwise(scheme=scheme):
            return 1.0, 0.0, {"name": name_of(scheme), "settings": vars(scheme), "slotwise": True}
    return 1.0, 0.0, {"name": name_of(exploration), "settings": vars(exploration), "slotwise": False}


def _is_slotwise(card: dict[str, Any]) -> bool:
    return card["exploration"] is not None and bool(card["exploration"].get("slotwise", False))


def _scorer(folder: Path, card: dict[str, Any], catalogue: PublicCatalogue, n_slots: int) -> Scorer:
    """The learner that a folder holds."""
    if card["n_slots"] != n_slots:
        raise UserError(
            f"model '{folder}' ranks {card['n_slots']} slots; the log or world has {n_slots}. Train one for it."
        )
    try:
        scorer = restored_learner(card["kind"], catalogue, n_slots, card["settings"])
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise UserError(f"'{folder / CARD_FILE}' names no model that can be made ({error}). Train it again.") from error
    if list(scorer.feature_map.feature_names) != card["features"]:
        raise UserError(f"model '{folder}' was trained on other features than this catalogue gives. Train it again.")
    try:
        tensors = load_file(folder / MODEL_FILE)
        bad = [name for name, value in tensors.items() if not np.isfinite(value).all()]
        if bad:
            raise ValueError(f"{bad[0]} holds a number that is NaN or infinite")
        scorer.feature_map.restore(tensors)
        scorer.restore({name: value for name, value in tensors.items() if not name.startswith((READER, SESSION))})
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(
            f"'{folder / MODEL_FILE}' is damaged or of another shape ({str(error).splitlines()[0]}). Train it again."
        ) from error
    return scorer


def _scheme(folder: Path, card: dict[str, Any]) -> Exploration:
    """The exploration that a card names: a class of EXPLORATIONS and numbers, nothing else."""
    named = card["exploration"]
    name, settings = named.get("name"), named.get("settings")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise UserError(
            f"'{folder / CARD_FILE}' is damaged: its exploration needs a name and settings. Train it again."
        )
    for setting, value in settings.items():
        if not isinstance(value, (int, float)):
            raise UserError(
                f"'{folder / CARD_FILE}' is damaged: exploration setting {setting} is {value!r}, no number."
            )
    return scheme_of(name, settings)


def _held(scorer: Learner) -> dict[str, npt.NDArray[np.generic]]:
    return scorer.tensors() | scorer.feature_map.tensors()
