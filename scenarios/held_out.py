"""Nobody is judged on the shoppers that they learned from: which of a log's shoppers are left to judge a saved model.

What a model ranks by may come from elsewhere: a reader of queries or a session model inside it has learned too, from
shoppers of its own. Those are looked at like the model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policies.learning import in_half
from policies.persistence import parts_learned_from, read_card, shoppers_digest
from policies.registry import CARD_FILE
from simenv.errors import UserError
from simenv.log import Log


def unseen_half(policy: str, log: Log) -> tuple[int | None, list[str]]:
    """Which half of a log's shoppers a policy may be judged on, with a note; None for all of them.

    Args:
        policy: A saved model's folder; whatever else names a policy has learned from nobody that we know of.
        log: To judge it from.

    Raises:
        UserError: where it, or a part of it, learned from all of them, or both halves were learned from; where a part
            does not say what it learned from; where the log is not what its manifest says.
    """
    if not (Path(policy) / CARD_FILE).is_file():
        return None, []
    card, digest = read_card(Path(policy)), log.verified_digest()
    learned = {f"model '{policy}'": card["learned_from"], **_parts(policy, card["settings"])}
    seen_by: dict[int, str] = {}
    for who, seen in learned.items():
        if not _met(seen, log, digest):
            continue
        if seen["half"] is None:
            raise UserError(
                f"{who} learned from the shoppers of this log; judging it on them would flatter it. Evaluate on "
                "another log, or train on one half of the shoppers."
            )
        seen_by.setdefault(int(seen["half"]), who)
    if not seen_by:
        return None, []
    if len(seen_by) > 1:
        raise UserError(
            f"{seen_by[0]} learned from one half of this log's shoppers and {seen_by[1]} from the other; nobody is "
            "left to judge it. Evaluate on another log, or train both on the same half."
        )
    ((half, who),) = seen_by.items()
    subject = "The model" if who == f"model '{policy}'" else f"T{who[1:]}"
    note = f"{subject} learned from one half of this log's shoppers; it is judged on the other half ({1 - half})."
    return 1 - half, [note]


def _parts(policy: str, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the reader and the session model inside a saved model have seen, by what messages call them."""
    found = {}
    for part, seen in parts_learned_from(settings).items():
        if seen is None:
            raise UserError(
                f"the {part} inside model '{policy}' does not say which shoppers it learned from; it may be those of "
                "this log. Save it with policies.persistence.LearnedFrom and train the model again."
            )
        found[f"the {part} inside model '{policy}'"] = seen
    return found


def _met(seen: Mapping[str, Any], log: Log, digest: str) -> bool:
    """Whether what was learned from are shoppers of this log."""
    # Shoppers of one seed are the same people in every world and over any number of days.
    same_people = log.seed is not None and seen["seed"] == log.seed
    return seen["log_hash"] == digest or same_people or _same_shoppers(seen, log)


def _same_shoppers(seen: Mapping[str, Any], log: Log) -> bool:
    """Whether a log of real shoppers, under another hash, holds the very ones that a model learned from.

    Such are the same searches written anew, or another week of the same panel. Simulated shoppers are told apart by
    their seed: equal ids of two seeds are two people.
    """
    if log.seed is not None or seen["seed"] is not None or not seen["shoppers"]:
        return False
    shoppers = log.shoppers()
    learned = shoppers if seen["half"] is None else shoppers[in_half(shoppers, int(seen["half"]))]
    return shoppers_digest(learned) == str(seen["shoppers"])
